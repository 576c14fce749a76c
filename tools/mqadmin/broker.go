package mqadmin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func brokerCommands() []command {
	const target = "b/brokerAddr= c/clusterName="
	return []command{
		{name: "brokerStatus", usage: "Fetch broker runtime status data.", run: brokerStatus, options: target},
		{name: "getBrokerConfig", usage: "Get broker config by cluster or special broker.", run: getBrokerConfig, options: target},
		{name: "updateBrokerConfig", usage: "Update broker's config.", change: true, run: updateBrokerConfig, options: target + " a/updateAllBroker= k/key=* v/value=*"},
		{name: "cleanExpiredCQ", usage: "Clean expired ConsumeQueue on broker.", change: true, run: clean((*admin.Client).CleanExpiredConsumeQueue), options: "b/brokerAddr= c/cluster="},
		{name: "cleanUnusedTopic", usage: "Clean unused topic on broker.", change: true, run: clean((*admin.Client).CleanUnusedTopic), options: "b/brokerAddr= c/cluster="},
		{name: "deleteExpiredCommitLog", usage: "Delete expired CommitLog files.", change: true, run: clean((*admin.Client).DeleteExpiredCommitLog), options: "b/brokerAddr= c/cluster="},
		{name: "resetMasterFlushOffset", usage: "Reset master flush offset in slave.", change: true, run: resetMasterFlushOffset, options: "b/brokerAddr=* o/offset=#*"},
		{name: "haStatus", usage: "Fetch ha runtime status data.", run: haStatus, options: target + " i/interval=#"},
		{name: "getBrokerEpoch", usage: "Fetch broker epoch entries.", run: getBrokerEpoch, options: "c/clusterName= b/brokerName= i/interval=#"},
		{name: "getColdDataFlowCtrInfo", usage: "Get cold data flow ctr info.", run: getColdDataFlowCtrInfo, options: target},
		{name: "updateColdDataFlowCtrGroupConfig", usage: "Add or update cold data flow ctr group config.", change: true, run: updateColdData, options: target + " g/consumerGroup=* v/threshold=#*"},
		{name: "removeColdDataFlowCtrGroupConfig", usage: "Remove consumer from cold ctr config.", change: true, run: removeColdData, options: target + " g/consumerGroup=*"},
		{name: "setCommitLogReadAheadMode", usage: "Set read ahead mode for all commitlog files.", change: true, run: setReadAhead, options: target + " m/commitLogReadAheadMode=*"},
		{name: "switchTimerEngine", usage: "switch the engine of timer message in broker", change: true, run: switchTimerEngine, options: target + " e/engineType=*"},
	}
}

func brokerStatus(k *call) error {
	figures := map[string]map[string]string{}
	addrs, err := k.brokers()
	for _, a := range addrs {
		if figures[a], err = k.Runtime(k.ctx, a); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return k.show(figures, func() {
		for _, a := range addrs {
			for _, key := range slices.Sorted(maps.Keys(figures[a])) {
				if !k.has("b") {
					k.printf("%-24s ", a)
				}
				k.printf("%-32s: %s\n", key, figures[a][key])
			}
		}
	})
}

// titled calls fn with each broker of -b or -c and the title Java prints above it.
func titled(k *call, fn func(addr, title string) error) error {
	if k.has("b") || !k.has("c") {
		return k.each(k.masters, func(addr string) error { return fn(addr, fmt.Sprintf("============%s============\n", addr)) })
	}
	brokers, err := k.Brokers(k.ctx, k.str("c"))
	if err != nil {
		return err
	}
	for _, b := range brokers {
		master := b.BrokerAddrs[admin.MasterID]
		for _, id := range brokerIDs(b) {
			addr := b.BrokerAddrs[id]
			title := fmt.Sprintf("============Master: %s============\n", addr)
			if id != admin.MasterID {
				title = fmt.Sprintf("============My Master: %s=====Slave: %s============\n", orNoMaster(master), addr)
			}
			if err := fn(addr, title); err != nil {
				return err
			}
		}
	}
	return nil
}

func orNoMaster(addr string) string {
	if addr == "" {
		return "NO_MASTER"
	}
	return addr
}

// settingsOf is the settings of one server, for --json.
type settingsOf struct {
	Addr   string            `json:"addr"`
	Config map[string]string `json:"config"`
}

func printSettings(k *call, addr, title string, list []properties.KV, end string) error {
	all := settingsOf{addr, map[string]string{}}
	for _, kv := range list {
		all.Config[kv.Key] = kv.Value
	}
	return k.show(all, func() {
		k.printf("%s", title)
		for _, kv := range list {
			k.printf("%-50s=  %s\n", kv.Key, kv.Value)
		}
		k.printf("%s", end)
	})
}

func getBrokerConfig(k *call) error {
	return titled(k, func(addr, title string) error {
		list, err := k.BrokerConfig(k.ctx, addr)
		if err != nil {
			return err
		}
		return printSettings(k, addr, title, list, "\n")
	})
}

func updateBrokerConfig(k *call) error {
	find := k.masters
	if k.has("a") {
		find = k.brokers
	}
	return k.each(find, func(addr string) error {
		err := k.UpdateBrokerConfig(k.ctx, addr, properties.KV{Key: k.str("k"), Value: k.str("v")})
		if err == nil {
			k.printf("update broker config success, %s\n", addr)
		}
		return err
	})
}

func clean(do func(c *admin.Client, ctx context.Context, broker string) error) func(k *call) error {
	return func(k *call) error {
		find := k.brokers
		if !k.has("b") && !k.has("c") { // Java: every broker of the name server
			find = func() ([]string, error) {
				list, err := k.Brokers(k.ctx, "")
				var out []string
				for _, b := range list {
					out = append(out, admin.Addr(b))
				}
				return out, err
			}
		}
		err := k.each(find, func(addr string) error { return do(k.Client, k.ctx, addr) })
		if err == nil {
			k.printf("success")
		}
		return err
	}
}

func resetMasterFlushOffset(k *call) error {
	err := k.ResetMasterFlushOffset(k.ctx, k.str("b"), k.num("o", 0))
	if err == nil {
		k.printf("reset master flush offset to %d success\n", k.num("o", 0))
	}
	return err
}

func haStatus(k *call) error {
	return k.repeat(func() error {
		return k.each(k.masters, func(addr string) error {
			s, err := k.HAStatus(k.ctx, addr)
			if err != nil {
				return err
			}
			return k.show(s, func() { printHA(k, addr, s) })
		})
	})
}

func printHA(k *call, addr string, s *body.HARuntimeInfo) {
	if !s.Master {
		c := s.HAClientRuntimeInfo
		k.printf("\n#MasterAddr\t%s\n#CommitLogMaxOffset\t%d\n#TransferSpeed(KB/s)\t%.2f\n#LastReadTime\t%s\n#LastWriteTime\t%s\n#MasterFlushOffset\t%d\n",
			c.MasterAddr, c.MaxOffset, float64(c.TransferredByteInSecond)/1024, human(c.LastReadTimestamp), human(c.LastWriteTimestamp), c.MasterFlushOffset)
		return
	}
	k.printf("\n#MasterAddr\t%s\n#MasterCommitLogMaxOffset\t%d\n#SlaveNum\t%d\n#InSyncSlaveNum\t%d\n", addr, s.MasterCommitLogMaxOffset, len(s.HAConnectionInfo), s.InSyncSlaveNums)
	k.printf("%-32s  %-16s %16s %16s %16s %16s\n", "#SlaveAddr", "#SlaveAckOffset", "#Diff", "#TransferSpeed(KB/s)", "#Status", "#TransferFromWhere")
	for _, c := range s.HAConnectionInfo {
		status := "Fall Behind"
		if c.InSync {
			status = "OK"
		}
		k.printf("%-32s  %-16d %16d %16.2f %16s %16d\n", c.Addr, c.SlaveAckOffset, c.Diff, float64(c.TransferredByteInSecond)/1024, status, c.TransferFromWhere)
	}
}

func getBrokerEpoch(k *call) error {
	find := k.brokers
	if k.has("b") { // here a name
		find = func() ([]string, error) {
			addr, err := brokerAddr(k, k.str("b"))
			return []string{addr}, err
		}
	}
	return k.repeat(func() error {
		return k.each(find, func(addr string) error {
			e, err := k.EpochCache(k.ctx, addr)
			if err != nil {
				return err
			}
			return k.show(e, func() {
				k.printf("\n#clusterName\t%s\n#brokerName\t%s\n#brokerAddr\t%s\n#brokerId\t%d", e.ClusterName, e.BrokerName, addr, e.BrokerID)
				for i, p := range e.EpochList {
					if i == len(e.EpochList)-1 {
						p.EndOffset = e.MaxOffset
					}
					k.printf("\n#Epoch: EpochEntry{epoch=%d, startOffset=%d, endOffset=%d}", p.Epoch, p.StartOffset, p.EndOffset)
				}
				k.printf("\n")
			})
		})
	})
}

func getColdDataFlowCtrInfo(k *call) error {
	return titled(k, func(addr, title string) error {
		text, err := k.ColdDataInfo(k.ctx, addr)
		if err != nil {
			return err
		}
		var info struct {
			Runtime map[string]map[string]json.RawMessage `json:"runtimeTable"`
			Config  map[string]int64                      `json:"configTable"`
			Group   int64                                 `json:"cgColdReadThreshold"`
			Global  int64                                 `json:"globalColdReadThreshold"`
			Sum     int64                                 `json:"globalAcc"`
		}
		if err := json.Unmarshal(text, &info); err != nil {
			return fmt.Errorf("cannot read the answer of %s: %w", addr, err)
		}
		for _, r := range info.Runtime { // times are shown as such
			for from, to := range map[string]string{"lastColdReadTimeMills": "lastColdReadTimeFormat", "createTimeMills": "createTimeFormat"} {
				var ms int64
				if json.Unmarshal(r[from], &ms) == nil {
					r[to], _ = json.Marshal(seconds(ms))
				}
				delete(r, from)
			}
		}
		return k.show(info, func() {
			b, err := body.MarshalPretty(info)
			if err != nil {
				b = text
			}
			k.printf(" %s%s\n", title, b)
		})
	})
}

func updateColdData(k *call) error {
	return k.each(k.masters, func(addr string) error {
		err := k.SetColdDataLimit(k.ctx, addr, k.str("g"), k.str("v"))
		if err == nil {
			k.printf("updateColdDataFlowCtrGroupConfig success, %s\n", addr)
		}
		return err
	})
}

func removeColdData(k *call) error {
	return k.each(k.masters, func(addr string) error {
		err := k.RemoveColdDataLimit(k.ctx, addr, k.str("g"))
		if err == nil {
			k.printf("remove broker cold read threshold success, %s\n", addr)
		}
		return err
	})
}

func setReadAhead(k *call) error {
	mode := k.str("m")
	if mode != "0" && mode != "1" {
		return fmt.Errorf("set the read mode error; 0 is default, 1 random read")
	}
	return titled(k, func(addr, title string) error {
		remark, err := k.SetReadAhead(k.ctx, addr, mode)
		if err == nil {
			k.printf(" %scommitLog set readAhead mode rstStr%s\n", title, remark)
		}
		return err
	})
}

func switchTimerEngine(k *call) error {
	names := map[string]string{"R": "ROCKSDB_TIMELINE", "F": "FILE_TIME_WHEEL"}
	engine := k.str("e")
	if names[engine] == "" {
		return fmt.Errorf("the engine is R for RocksDB or F for files, not %q", engine)
	}
	return k.each(k.masters, func(addr string) error {
		err := k.SwitchTimerEngine(k.ctx, addr, engine)
		if err == nil {
			k.printf("switchTimerEngine to %s success, %s\n", names[engine], addr)
		}
		return err
	})
}
