package mqadmin

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/client/admin/statictopic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func topicCommands() []command {
	return []command{
		{name: "updateTopic", usage: "Update or create topic.", change: true, run: updateTopic,
			options: "b/brokerAddr= c/clusterName= a/attributes= t/topic=* r/readQueueNums=# w/writeQueueNums=# p/perm=# o/order= u/unit= s/hasUnitSub="},
		{name: "updateTopicList", usage: "create or update topic in batch", change: true, run: updateTopicList, options: "b/brokerAddr= c/clusterName= f/filename=*"},
		{name: "deleteTopic", usage: "Delete topic from broker and NameServer.", change: true, run: deleteTopic, options: "t/topic=* c/clusterName=*"},
		{name: "updateTopicPerm", usage: "Update topic perm.", change: true, run: updateTopicPerm, options: "b/brokerAddr= c/clusterName= t/topic=* p/perm=#*"},
		{name: "topicRoute", usage: "Examine topic route info.", run: topicRoute, options: "t/topic=* l/list"},
		{name: "topicStatus", usage: "Examine topic Status info.", run: topicStatus, options: "t/topic=* c/cluster="},
		{name: "topicClusterList", usage: "Get cluster info for topic.", run: topicClusterList, options: "t/topic=*"},
		{name: "topicList", usage: "Fetch all topic list from name server.", run: topicList, options: "c/clusterModel"},
		{name: "allocateMQ", usage: "Allocate MQ.", run: allocateMQ, options: "t/topic=* i/ipList=*"},
		{name: "updateOrderConf", usage: "Create or update or delete order conf.", change: true, run: updateOrderConf, options: "t/topic=* v/orderConf= m/method=*"},
	}
}

// attributes takes "+a=b,-c" apart. Java: AttributeParser.parseToMap.
func attributes(text string) (map[string]string, error) {
	out := map[string]string{}
	for _, part := range strings.Split(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if key == "" {
			continue
		}
		if key[0] != '+' && key[0] != '-' || (key[0] == '+') != strings.Contains(part, "=") {
			return nil, fmt.Errorf("cannot read the attribute %q: +key=value sets one, -key removes it", part)
		}
		out[key] = value
	}
	return out, nil
}

// Bits of topicSysFlag. Java: TopicSysFlag.
const (
	flagUnit    = 1
	flagUnitSub = 2
)

func updateTopic(k *call) error {
	t := body.NewTopicConfig(k.str("t"))
	t.ReadQueueNums, t.WriteQueueNums = int32(k.num("r", 8)), int32(k.num("w", 8))
	t.Perm, t.Order = int32(k.num("p", 6)), k.boolean("o", false)
	if k.boolean("u", false) {
		t.TopicSysFlag |= flagUnit
	}
	if k.boolean("s", false) {
		t.TopicSysFlag |= flagUnitSub
	}
	var err error
	if t.Attributes, err = attributes(k.str("a")); err != nil {
		return err
	}
	addrs, err := k.masters()
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if err := k.CreateTopic(k.ctx, addr, t); err != nil {
			return err
		}
		if !k.has("b") {
			k.printf("create topic to %s success.\n", addr)
		}
	}
	if t.Order {
		if err := setOrder(k, t); err != nil {
			return err
		}
	}
	if k.has("b") {
		k.printf("create topic to %s success.\n", addrs[0])
	}
	k.printf("%s\n", topicText(t))
	return nil
}

// setOrder tells the name servers of the queues of an ordered topic: of one broker beside the others', or of all.
func setOrder(k *call, t body.TopicConfig) error {
	brokers, err := k.Brokers(k.ctx, k.str("c"))
	if err != nil {
		return err
	}
	var confs []string
	for _, b := range brokers {
		if !k.has("b") || slices.ContainsFunc(brokerIDs(b), func(id int64) bool { return b.BrokerAddrs[id] == k.str("b") }) {
			confs = append(confs, fmt.Sprintf("%s:%d", b.BrokerName, t.WriteQueueNums))
		}
	}
	conf := strings.Join(confs, ";")
	if k.has("b") {
		if conf == "" {
			return fmt.Errorf("the name server does not know the broker %s", k.str("b"))
		}
		k.printf("set broker orderConf. isOrder=%t, orderConf=[%s]\n", t.Order, conf)
		return k.SetOrderConf(k.ctx, t.TopicName, conf)
	}
	k.printf("set cluster orderConf. isOrder=%t, orderConf=[%s]\n", t.Order, conf)
	return k.PutKV(k.ctx, admin.OrderNamespace, t.TopicName, conf)
}

// readList reads a JSON array of -f.
func readList[T any](k *call) ([]*T, error) {
	text, err := os.ReadFile(k.str("f"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the list: %w", err)
	}
	var list []*T
	if err := body.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("cannot read the list %s: %w", k.str("f"), err)
	}
	return list, nil
}

func updateTopicList(k *call) error {
	list, err := readList[body.TopicConfig](k)
	if err != nil {
		return err
	}
	return k.each(k.masters, func(addr string) error {
		err := k.CreateTopics(k.ctx, addr, list)
		if err == nil {
			k.printf("submit batch of topic config to %s success, please check the result later.\n", addr)
		}
		return err
	})
}

func deleteTopic(k *call) error {
	topic, cluster := k.str("t"), k.str("c")
	if err := k.DeleteTopic(k.ctx, topic, cluster); err != nil {
		return err
	}
	k.printf("delete topic [%s] from cluster [%s] success.\ndelete topic [%s] from NameServer success.\n", topic, cluster, topic)
	return nil
}

func updateTopicPerm(k *call) error {
	topic, perm := k.str("t"), int32(k.num("p", 0))
	route, err := k.Route(k.ctx, topic)
	if err != nil {
		return err
	}
	perms := map[string]int32{} // by master
	for _, b := range route.BrokerDatas {
		for _, q := range route.QueueDatas {
			if q.BrokerName == b.BrokerName && b.BrokerAddrs[admin.MasterID] != "" {
				perms[b.BrokerAddrs[admin.MasterID]] = q.Perm
			}
		}
	}
	if len(route.QueueDatas) == 0 {
		return fmt.Errorf("topic %s has no queues", topic)
	}
	t := body.NewTopicConfig(topic)
	q := route.QueueDatas[0]
	t.ReadQueueNums, t.WriteQueueNums, t.TopicSysFlag, t.Perm = q.ReadQueueNums, q.WriteQueueNums, q.TopicSysFlag, perm
	return k.each(k.masters, func(addr string) error {
		old, ok := perms[addr]
		switch {
		case k.has("b") && !ok:
			return fmt.Errorf("the broker %s is no master of the topic", addr)
		case k.has("b") && old == perm:
			k.printf("new perm equals to the old one!\n")
			return nil
		case !ok:
			return nil
		}
		if err := k.CreateTopic(k.ctx, addr, t); err != nil {
			return err
		}
		k.printf("update topic perm from %d to %d in %s success.\n", old, perm, addr)
		if k.has("b") {
			k.printf("%s.\n", topicText(t))
		}
		return nil
	})
}

func topicRoute(k *call) error {
	route, err := k.Route(k.ctx, k.str("t"))
	if err != nil {
		return err
	}
	return k.show(route, func() {
		if !k.has("l") {
			b, err := body.MarshalPretty(route)
			if err != nil {
				b = []byte(err.Error())
			}
			k.printf("%s\n", b)
			return
		}
		const format = "%-45s %-32v %-50s %-10v %-11v %-5v\n"
		queues := map[string]body.QueueData{}
		for _, q := range route.QueueDatas {
			queues[q.BrokerName] = q
		}
		slices.SortFunc(route.BrokerDatas, func(a, b body.BrokerData) int { return strings.Compare(a.BrokerName, b.BrokerName) })
		k.printf(format, "#ClusterName", "#BrokerName", "#BrokerAddrs", "#ReadQueue", "#WriteQueue", "#Perm")
		var read, written int32
		for _, b := range route.BrokerDatas {
			q := queues[b.BrokerName]
			read, written = read+q.ReadQueueNums, written+q.WriteQueueNums
			var addrs []string
			for _, id := range brokerIDs(b) {
				addrs = append(addrs, fmt.Sprintf("%d=%s", id, b.BrokerAddrs[id]))
			}
			k.printf(format, b.Cluster, b.BrokerName, "{"+strings.Join(addrs, ", ")+"}", q.ReadQueueNums, q.WriteQueueNums, q.Perm)
		}
		k.printf("%s\n", strings.Repeat("-", 158))
		k.printf(format, "Total:", len(queues), "", read, written, "")
	})
}

func topicStatus(k *call) error {
	stats, err := k.TopicStats(k.ctx, "", k.str("t"))
	if k.has("c") {
		stats, err = statsByRoute(k)
	}
	if err != nil {
		return err
	}
	configs, err := k.mappings(k.str("t"))
	if err != nil {
		return err
	}
	maps.Copy(stats.OffsetTable, statictopic.Bounds(configs, stats.OffsetTable))
	return k.show(stats, func() {
		k.printf("%-32s  %-4s  %-20s  %-20s    %s\n", "#Broker Name", "#QID", "#Min Offset", "#Max Offset", "#Last Updated")
		for _, q := range sortedQueues(stats.OffsetTable) {
			o := stats.OffsetTable[q]
			last := ""
			if o.LastUpdateTimestamp > 0 {
				last = human(o.LastUpdateTimestamp)
			}
			k.printf("%-32s  %-4d  %-20d  %-20d    %s\n", front(q.BrokerName, 32), q.QueueID, o.MinOffset, o.MaxOffset, last)
		}
		k.printf("\nTopic Put TPS: %v\n", stats.TopicPutTps)
	})
}

// statsByRoute asks the brokers of another topic, that of -c.
func statsByRoute(k *call) (*body.TopicStatsTable, error) {
	route, err := k.Route(k.ctx, k.str("c"))
	if err != nil {
		return nil, err
	}
	sum := &body.TopicStatsTable{OffsetTable: body.QueueMap[body.TopicOffset]{}}
	for _, b := range route.BrokerDatas {
		one, err := k.TopicStats(k.ctx, admin.Addr(b), k.str("t"))
		if err != nil {
			return nil, err
		}
		for q, o := range one.OffsetTable {
			sum.OffsetTable[q] = o
		}
	}
	return sum, nil
}

// clusterOf returns the cluster of a broker.
func clusterOf(info *body.ClusterInfo, broker string) string {
	for name, brokers := range info.ClusterAddrTable {
		if slices.Contains(brokers, broker) {
			return name
		}
	}
	return ""
}

func topicClusterList(k *call) error {
	route, err := k.Route(k.ctx, k.str("t"))
	if err != nil {
		return err
	}
	var names []string
	for _, b := range route.BrokerDatas {
		names = append(names, b.Cluster)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return k.show(names, func() {
		for _, n := range names {
			k.printf("%s\n", n)
		}
	})
}

// topicOfCluster is a row of topicList -c.
type topicOfCluster struct {
	Cluster string   `json:"cluster"`
	Topic   string   `json:"topic"`
	Groups  []string `json:"groups"`
}

func topicList(k *call) error {
	topics, err := k.TopicList(k.ctx)
	if err != nil {
		return err
	}
	if !k.has("c") {
		return k.show(topics, func() {
			for _, t := range topics {
				k.printf("%s\n", t)
			}
		})
	}
	var rows []topicOfCluster
	for _, t := range topics {
		if strings.HasPrefix(t, admin.RetryPrefix) || strings.HasPrefix(t, admin.DLQPrefix) {
			continue
		}
		row := topicOfCluster{Topic: t}
		if route, err := k.Route(k.ctx, t); err == nil && len(route.BrokerDatas) > 0 {
			row.Cluster = route.BrokerDatas[0].Cluster
			row.Groups, _ = k.GroupsOf(k.ctx, t) // a topic whose brokers are away has no groups, as in Java
		}
		rows = append(rows, row)
	}
	return k.show(rows, func() {
		k.printf("%-20s  %-48s  %-48s\n", "#Cluster Name", "#Topic", "#Consumer Group")
		for _, r := range rows {
			for _, g := range append([]string{""}, r.Groups...)[min(1, len(r.Groups)):] {
				k.printf("%-20s  %-64s  %-64s\n", front(r.Cluster, 20), front(r.Topic, 64), front(g, 64))
			}
		}
	})
}

// allocateMQ shares the queues out as consumers do.
func allocateMQ(k *call) error {
	queues, _, err := k.Queues(k.ctx, k.str("t"), true)
	if err != nil {
		return err
	}
	ips := strings.Split(k.str("i"), ",")
	result := map[string][]body.MessageQueue{}
	for i, ip := range ips {
		result[ip] = message.Averagely(queues, i, len(ips))
	}
	b, err := body.Marshal(map[string]any{"result": result})
	k.printf("%s\n", b)
	return err
}

func updateOrderConf(k *call) error {
	topic, conf := k.str("t"), k.str("v")
	switch k.str("m") {
	case "get":
		conf, err := k.KV(k.ctx, admin.OrderNamespace, topic)
		if err == nil {
			k.printf("get orderConf success. topic=[%s], orderConf=[%s] ", topic, conf)
		}
		return err
	case "put":
		if conf == "" {
			return errors.New("please set orderConf with option -v")
		}
		err := k.PutKV(k.ctx, admin.OrderNamespace, topic, conf)
		if err == nil {
			k.printf("update orderConf success. topic=[%s], orderConf=[%s]", topic, conf)
		}
		return err
	case "delete":
		err := k.DeleteKV(k.ctx, admin.OrderNamespace, topic)
		if err == nil {
			k.printf("delete orderConf success. topic=[%s]", topic)
		}
		return err
	}
	return &protocol.Error{Code: protocol.InvalidParameter, Remark: "the method (-m) is get, put or delete"}
}
