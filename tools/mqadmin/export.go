package mqadmin

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func exportCommands() []command {
	return []command{
		{name: "exportMetadata", usage: "Export metadata.", change: true, run: exportMetadata, options: "c/clusterName= b/brokerAddr= f/filePath= t/topic g/subscriptionGroup s/specialTopic"},
		{name: "exportConfigs", usage: "Export configs.", change: true, run: exportConfigs, options: "c/clusterName=* f/filePath="},
		{name: "exportMetrics", usage: "Export metrics.", change: true, run: exportMetrics, options: "c/clusterName=* f/filePath="},
		{name: "exportPopRecord", usage: "Export pop consumer record", change: true, run: exportPopRecord, options: "c/clusterName= b/brokerAddr= d/dryRun="},
	}
}

// export writes v as JSON into a file of the folder of -f and says so.
func export(k *call, name string, v any, end string) error {
	path := cmp.Or(k.str("f"), "/tmp/rocketmq/export") + "/" + name
	b, err := body.MarshalPretty(v)
	if err == nil {
		err = writeFile(path, b)
	}
	if err == nil {
		k.printf("export %s success%s", path, end)
	}
	return err
}

// userTopics returns the topics of a broker without its own and, unless special, without those of groups.
func userTopics(k *call, addr string, special bool) (*body.TopicConfigSerializeWrapper, error) {
	own, err := k.SystemTopics(k.ctx, addr)
	if err != nil {
		return nil, err
	}
	all, err := k.Topics(k.ctx, addr)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(all.TopicConfigTable, func(name string, t *body.TopicConfig) bool {
		ofGroup := strings.HasPrefix(name, admin.RetryPrefix) || strings.HasPrefix(name, admin.DLQPrefix)
		return slices.Contains(own, name) || ofGroup && !special || t.Perm < 0 || t.Perm > 7
	})
	return all, nil
}

// userGroups returns the groups of a broker without those that every broker has. Java: MixAll.isSysConsumerGroup,
// DefaultMQAdminExtImpl.SYSTEM_GROUP_SET.
func userGroups(k *call, addr string) (*body.SubscriptionGroupWrapper, error) {
	own := strings.Fields("DEFAULT_CONSUMER DEFAULT_PRODUCER TOOLS_CONSUMER SCHEDULE_CONSUMER FILTERSRV_CONSUMER __MONITOR_CONSUMER CLIENT_INNER_PRODUCER " +
		"SELF_TEST_P_GROUP SELF_TEST_C_GROUP CID_ONS-HTTP-PROXY CID_ONSAPI_PERMISSION CID_ONSAPI_OWNER CID_ONSAPI_PULL CID_SYS_RMQ_TRANS")
	all, err := k.Groups(k.ctx, addr)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(all.SubscriptionGroupTable, func(name string, _ *body.SubscriptionGroupConfig) bool {
		return strings.HasPrefix(name, "CID_RMQ_SYS_") || slices.Contains(own, name)
	})
	return all, nil
}

func exportMetadata(k *call) error {
	if k.has("b") {
		return exportBroker(k, k.str("b"))
	}
	topics, groups := map[string]*body.TopicConfig{}, map[string]*body.SubscriptionGroupConfig{}
	err := k.each(k.masters, func(addr string) error {
		t, err := userTopics(k, addr, k.has("s"))
		if err != nil {
			return err
		}
		g, err := userGroups(k, addr)
		if err != nil {
			return err
		}
		for name, one := range t.TopicConfigTable { // queues of all brokers add up
			if before := topics[name]; before != nil {
				one.ReadQueueNums += before.ReadQueueNums
				one.WriteQueueNums += before.WriteQueueNums
			}
			topics[name] = one
		}
		for name, one := range g.SubscriptionGroupTable {
			if before := groups[name]; before != nil {
				one.RetryQueueNums += before.RetryQueueNums
			}
			groups[name] = one
		}
		return nil
	})
	if err != nil {
		return err
	}
	result := map[string]any{"topicConfigTable": topics, "subscriptionGroupTable": groups, "exportTime": time.Now().UnixMilli()}
	name := "metadata.json"
	switch {
	case k.has("t"):
		name = "topic.json"
		delete(result, "subscriptionGroupTable")
	case k.has("g"):
		name = "subscriptionGroup.json"
		delete(result, "topicConfigTable")
	}
	return export(k, name, result, "\n")
}

func exportBroker(k *call, addr string) error {
	if k.has("t") {
		t, err := userTopics(k, addr, k.has("s"))
		if err != nil {
			return err
		}
		return export(k, "topic.json", t, "")
	}
	g, err := userGroups(k, addr)
	if err != nil {
		return err
	}
	return export(k, "subscriptionGroup.json", g, "")
}

// values returns the settings as a map, those of keys when there are any.
func values(list []properties.KV, keys ...string) map[string]string {
	out := map[string]string{}
	for _, kv := range list {
		if len(keys) == 0 || slices.Contains(keys, kv.Key) {
			out[kv.Key] = kv.Value
		}
	}
	return out
}

func exportConfigs(k *call) error {
	brokers, err := k.Brokers(k.ctx, k.str("c"))
	if err != nil {
		return err
	}
	configs := map[string]map[string]string{}
	masters, slaves := 0, 0
	for _, b := range brokers {
		list, err := k.BrokerConfig(k.ctx, admin.Addr(b))
		if err != nil {
			return err
		}
		masters++
		slaves += len(b.BrokerAddrs) - 1
		configs[b.BrokerName] = values(list, "brokerClusterName", "brokerId", "brokerName", "brokerRole", "fileReservedTime", "filterServerNums", "flushDiskType", "maxMessageSize",
			"messageDelayLevel", "msgTraceTopicName", "slaveReadEnable", "traceOn", "traceTopicEnable", "useTLS", "autoCreateTopicEnable", "autoCreateSubscriptionGroup")
	}
	scale := map[string]int{"namesrvSize": len(k.Namesrv()), "masterBrokerSize": masters, "slaveBrokerSize": slaves}
	return export(k, "configs.json", map[string]any{"brokerConfigs": configs, "clusterScale": scale}, "")
}

// totals are the sums of exportMetrics over all brokers.
type totals struct {
	tps map[string]float64
	day map[string]int64
}

func exportMetrics(k *call) error {
	brokers, err := k.Brokers(k.ctx, k.str("c"))
	if err != nil {
		return err
	}
	sum := totals{map[string]float64{}, map[string]int64{}}
	report := map[string]any{}
	for _, b := range brokers {
		if report[b.BrokerName], err = brokerReport(k, admin.Addr(b), sum); err != nil {
			return err
		}
	}
	return export(k, "metrics.json", map[string]any{"evaluateReport": report, "totalData": map[string]any{"totalTps": sum.tps, "totalOneDayNum": sum.day}}, "")
}

func brokerReport(k *call, addr string, sum totals) (map[string]any, error) {
	figures, err := k.Runtime(k.ctx, addr)
	if err != nil {
		return nil, err
	}
	list, err := k.BrokerConfig(k.ctx, addr)
	if err != nil {
		return nil, err
	}
	topics, err := userTopics(k, addr, false)
	if err != nil {
		return nil, err
	}
	groups, err := userGroups(k, addr)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for key, v := range map[string]string{"cpuNum": values(list)["clientCallbackExecutorThreads"], "totalMemKBytes": figures["totalMemKBytes"]} {
		if v != "" {
			env[key] = v
		}
	}
	quota := load(k, addr, figures, sum)
	quota["topicSize"], quota["groupSize"] = len(topics.TopicConfigTable), len(groups.SubscriptionGroupTable)
	clients := []string{}
	for name := range groups.SubscriptionGroupTable {
		cc, err := k.ConsumerConnection(k.ctx, name, "")
		if err != nil {
			continue // nobody is online
		}
		for _, c := range cc.ConnectionSet {
			clients = append(clients, c.Language+"%"+protocol.VersionName(c.Version))
		}
	}
	slices.Sort(clients)
	return map[string]any{"runtimeEnv": env, "runtimeQuota": quota,
		"runtimeVersion": map[string]any{"rocketmqVersion": protocol.VersionName(protocol.Version), "clientInfo": slices.Compact(clients)}}, nil
}

// load is what a broker has to do, which is added to sum.
func load(k *call, addr string, figures map[string]string, sum totals) map[string]any {
	first := func(key string) float64 {
		text, _, _ := strings.Cut(figures[key], " ")
		n, _ := strconv.ParseFloat(text, 64)
		return n
	}
	day := func(key string) int64 {
		return int64(first(key+"TotalTodayMorning")) - int64(first(key+"TotalYesterdayMorning"))
	}
	topic := func(name string) (float64, int64) { // one that nobody has sent to has none
		s, err := k.Stats(k.ctx, addr, "TOPIC_PUT_NUMS", name)
		if err != nil {
			return 0, 0
		}
		return s.StatsMinute.Tps, daySum(s)
	}
	transTPS, transDay := topic("RMQ_SYS_TRANS_HALF_TOPIC")
	scheduleTPS, scheduleDay := topic("SCHEDULE_TOPIC_XXXX")
	tps := map[string]float64{"normalInTps": first("putTps"), "normalOutTps": first("getTransferredTps"), "transInTps": transTPS, "scheduleInTps": scheduleTPS}
	days := map[string]int64{"normalOneDayInNum": day("msgPut"), "normalOneDayOutNum": day("msgGet"), "transOneDayInNum": transDay, "scheduleOneDayInNum": scheduleDay}
	for name, n := range tps {
		sum.tps["total"+strings.ToUpper(name[:1])+name[1:]] += n
	}
	for name, n := range days {
		sum.day[name] += n
	}
	return map[string]any{"tps": tps, "oneDayNum": days, "messageAverageSize": figures["putMessageAverageSize"],
		"diskRatio": map[string]string{"commitLogDiskRatio": figures["commitLogDiskRatio"], "consumeQueueDiskRatio": figures["consumeQueueDiskRatio"]}}
}

func exportPopRecord(k *call) error {
	dry := strings.EqualFold(k.str("d"), "false") // Java has it the wrong way round
	addrs, err := k.brokers()
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		list, err := k.BrokerConfig(k.ctx, addr)
		if err == nil && !dry {
			err = k.ExportPopRecords(k.ctx, addr)
		}
		if err != nil {
			return err
		}
		k.printf("Export broker records, brokerName=%s, brokerAddr=%s, dryRun=%t\n", values(list)["brokerName"], addr, dry)
	}
	return nil
}
