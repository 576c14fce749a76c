package mqadmin

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func consumerCommands() []command {
	return []command{
		{name: "consumerProgress", usage: "Query consumer's progress, speed.", run: consumerProgress, options: "g/groupName= t/topicName= s/showClientIP= c/cluster="},
		{name: "consumerConnection", usage: "Query consumer's socket connection, client version and subscription.", run: consumerConnection, options: "g/consumerGroup=* b/brokerAddr="},
		{name: "consumerStatus", usage: "Query consumer's internal data structure.", run: consumerStatus, options: "g/consumerGroup=* i/clientId= b/brokerAddr= s/jstack"},
		{name: "producerConnection", usage: "Query producer's socket connection and client version.", run: producerConnection, options: "g/producerGroup=* t/topic=*"},
		{name: "producer", usage: "Query producer's instances, connection, status, etc.", run: producer, options: "b/broker=*"},
		{name: "brokerConsumeStats", usage: "Fetch broker consume stats data.", run: brokerConsumeStats, options: "b/brokerAddr=* t/timeoutMillis=# l/level=# o/order="},
		{name: "startMonitoring", usage: "Start Monitoring.", run: startMonitoring},
	}
}

func consumerProgress(k *call) error {
	if !k.has("g") {
		return allProgress(k)
	}
	group := k.str("g")
	stats, err := k.ConsumeStats(k.ctx, group, k.str("t"), k.str("c"))
	if err != nil {
		return err
	}
	var owners map[body.MessageQueue]string
	if k.boolean("s", false) {
		owners = queueOwners(k, group)
	}
	return k.show(stats, func() { printProgress(k, stats, owners) })
}

// queueOwners asks the consumers of a group which queues they have; who does not answer owns none.
func queueOwners(k *call, group string) map[body.MessageQueue]string {
	owners := map[body.MessageQueue]string{}
	conns, err := k.ConsumerConnection(k.ctx, group, "")
	if err != nil {
		return owners
	}
	for _, c := range conns.ConnectionSet {
		if info, err := k.RunningInfo(k.ctx, group, c.ClientID, false); err == nil {
			for q := range info.MQTable {
				owners[q], _, _ = strings.Cut(c.ClientID, "@")
			}
		}
	}
	return owners
}

func printProgress(k *call, stats *body.ConsumeStats, owners map[body.MessageQueue]string) {
	ip := func(text string) string {
		if owners == nil {
			return ""
		}
		return fmt.Sprintf("%-20s ", text)
	}
	k.printf("%-64s  %-32s  %-4s  %-20s  %-20s  %s%-20s %-20s%s\n", "#Topic", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset", ip("#Client IP"), "#Diff", "#Inflight", "#LastTime")
	var diffs, inflights int64
	for _, q := range sortedQueues(stats.OffsetTable) {
		o := stats.OffsetTable[q]
		diff, inflight, last := o.BrokerOffset-o.ConsumerOffset, o.PullOffset-o.ConsumerOffset, "N/A"
		diffs, inflights = diffs+diff, inflights+inflight
		if o.LastTimestamp != 0 {
			last = seconds(o.LastTimestamp)
		}
		owner := owners[q]
		if owner == "" {
			owner = "N/A"
		}
		k.printf("%-64s  %-32s  %-4d  %-20d  %-20d  %s%-20d %-20d %s\n", front(q.Topic, 64), front(q.BrokerName, 32), q.QueueID, o.BrokerOffset, o.ConsumerOffset, ip(owner), diff, inflight, last)
	}
	k.printf("\nConsume TPS: %.2f\nConsume Diff Total: %d\nConsume Inflight Total: %d\n", stats.ConsumeTps, diffs, inflights)
}

// groupProgress is a row of consumerProgress without a group.
type groupProgress struct {
	Group     string  `json:"group"`
	Count     int     `json:"count"`
	Version   string  `json:"version,omitempty"`
	Type      string  `json:"type,omitempty"`
	Model     string  `json:"model,omitempty"`
	TPS       float64 `json:"tps"`
	DiffTotal int64   `json:"diffTotal"`
}

func allProgress(k *call) error {
	topics, err := k.TopicList(k.ctx)
	if err != nil {
		return err
	}
	var rows []groupProgress
	for _, t := range topics {
		group, ok := strings.CutPrefix(t, admin.RetryPrefix)
		if !ok {
			continue
		}
		row := groupProgress{Group: group, Version: "OFFLINE"}
		if stats, err := k.ConsumeStats(k.ctx, group, "", ""); err == nil {
			row.TPS, row.DiffTotal = stats.ConsumeTps, totalDiff(stats)
		}
		if cc, err := k.ConsumerConnection(k.ctx, group, ""); err == nil && len(cc.ConnectionSet) > 0 {
			row.Count, row.Type = len(cc.ConnectionSet), "PUSH"
			if cc.ConsumeType == body.ConsumeActively {
				row.Type = "PULL"
			}
			if cc.ConsumeType == body.ConsumePassively {
				row.Model = string(cc.MessageModel)
			}
			oldest := slices.MinFunc(cc.ConnectionSet, func(a, b body.Connection) int { return int(a.Version - b.Version) })
			row.Version = protocol.VersionName(oldest.Version)
		}
		rows = append(rows, row)
	}
	return k.show(rows, func() {
		k.printf("%-64s  %-6s  %-24s %-5s  %-14s  %-7s  %s\n", "#Group", "#Count", "#Version", "#Type", "#Model", "#TPS", "#Diff Total")
		for _, r := range rows {
			k.printf("%-64s  %-6d  %-24s %-5s  %-14s  %-7d  %d\n", front(r.Group, 64), r.Count, r.Version, r.Type, r.Model, int(r.TPS), r.DiffTotal)
		}
	})
}

func consumerConnection(k *call) error {
	cc, err := k.ConsumerConnection(k.ctx, k.str("g"), k.str("b"))
	if err != nil {
		return err
	}
	return k.show(cc, func() {
		k.printf("%-36s %-22s %-10s %s\n", "#ClientId", "#ClientAddr", "#Language", "#Version")
		for _, c := range cc.ConnectionSet {
			k.printf("%-36s %-22s %-10s %s\n", c.ClientID, c.ClientAddr, c.Language, protocol.VersionName(c.Version))
		}
		k.printf("\nBelow is subscription:\n%-20s %s\n", "#Topic", "#SubExpression")
		for _, t := range slices.Sorted(maps.Keys(cc.SubscriptionTable)) {
			k.printf("%-20s %s\n", cc.SubscriptionTable[t].Topic, cc.SubscriptionTable[t].SubString)
		}
		k.printf("\nConsumeType: %s\nMessageModel: %s\nConsumeFromWhere: %s\n", cc.ConsumeType, cc.MessageModel, cc.ConsumeFromWhere)
	})
}

func producerConnection(k *call) error {
	pc, err := k.ProducerConnection(k.ctx, k.str("g"), k.str("t"))
	if err != nil {
		return err
	}
	return k.show(pc, func() {
		for i, c := range pc.ConnectionSet {
			k.printf("%04d  %-32s %-22s %-8s %s\n", i+1, c.ClientID, c.ClientAddr, c.Language, protocol.VersionName(c.Version))
		}
	})
}

func producer(k *call) error {
	all, err := k.Producers(k.ctx, k.str("b"))
	if err != nil {
		return err
	}
	return k.show(all, func() {
		for _, g := range slices.Sorted(maps.Keys(all.Data)) {
			for _, p := range all.Data[g] {
				k.printf("producer group (%s) instance : clientId=%s,remoteIP=%s, language=%s, version=%d, lastUpdateTimestamp=%d\n", g, p.ClientID, p.RemoteIP, p.Language, p.Version, p.LastUpdateTimestamp)
			}
		}
	})
}

func brokerConsumeStats(k *call) error {
	all, err := k.AllConsumeStats(k.ctx, k.str("b"), k.boolean("o", false))
	if err != nil {
		return err
	}
	return k.show(all, func() {
		k.printf("%-64s  %-64s  %-32s  %-4s  %-20s  %-20s  %-20s  %s\n", "#Topic", "#Group", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset", "#Diff", "#LastTime")
		for _, groups := range all.ConsumeStatsList {
			for _, g := range slices.Sorted(maps.Keys(groups)) {
				for _, stats := range groups[g] {
					for _, q := range sortedQueues(stats.OffsetTable) {
						o := stats.OffsetTable[q]
						diff := o.BrokerOffset - o.ConsumerOffset
						if diff >= k.num("l", 0) && o.LastTimestamp > 0 {
							k.printf("%-64s  %-64s  %-32s  %-4d  %-20d  %-20d  %-20d  %s\n", front(q.Topic, 64), g, front(q.BrokerName, 32), q.QueueID, o.BrokerOffset, o.ConsumerOffset, diff, seconds(o.LastTimestamp))
						}
					}
				}
			}
		}
		k.printf("\nDiff Total: %d\n", all.TotalDiff)
	})
}

func consumerStatus(k *call) error {
	group := k.str("g")
	cc, err := k.ConsumerConnection(k.ctx, group, k.str("b"))
	if err != nil {
		return err
	}
	if k.has("i") {
		info, err := k.RunningInfo(k.ctx, group, k.str("i"), k.has("s"))
		if err != nil {
			return err
		}
		return k.show(info, func() { k.printf("%s", runningText(info)) })
	}
	infos := map[string]*admin.RunningInfo{}
	var failed []error
	for _, c := range cc.ConnectionSet {
		info, err := k.RunningInfo(k.ctx, group, c.ClientID, k.has("s"))
		if err != nil {
			failed = append(failed, fmt.Errorf("client %s: %w", c.ClientID, err))
			continue
		}
		infos[c.ClientID] = info
	}
	if k.c.Bool("json") {
		return errors.Join(append(failed, k.show(infos, nil))...)
	}
	return errors.Join(append(failed, statusFiles(k, cc, infos))...)
}

// statusFiles writes what each consumer said into a file of a folder named by the time, and what is wrong with
// the group.
func statusFiles(k *call, cc *body.ConsumerConnection, infos map[string]*admin.RunningInfo) error {
	k.printf("%-10s %-40s %-20s %s\n", "#Index", "#ClientId", "#Version", "#ConsumerRunningInfoFile")
	dir := fmt.Sprint(time.Now().UnixMilli())
	n := 0
	for _, c := range cc.ConnectionSet {
		info := infos[c.ClientID]
		if info == nil {
			continue
		}
		path := dir + "/" + c.ClientID
		if err := writeFile(path, []byte(runningText(info))); err != nil {
			return err
		}
		n++
		k.printf("%-10d %-40s %-20s %s\n", n, c.ClientID, protocol.VersionName(c.Version), path)
	}
	if n == 0 {
		return nil
	}
	if !sameSubscriptions(infos, time.Now()) {
		k.printf("\n\nWARN: Different subscription in the same group of consumer!!!")
		return nil
	}
	k.printf("\n\nSame subscription in the same group of consumer\n\nRebalance OK\n")
	for _, id := range slices.Sorted(maps.Keys(infos)) {
		k.printf("%s", stuck(id, infos[id], time.Now()))
	}
	return nil
}

// writeFile writes a file and the folders it is in.
func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
