package mqadmin

import (
	"fmt"
	"strings"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func groupCommands() []command {
	return []command{
		{name: "updateSubGroup", usage: "Update or create subscription group.", change: true, run: updateSubGroup,
			options: "b/brokerAddr= c/clusterName= g/groupName=* s/consumeEnable= m/consumeFromMinEnable= d/consumeBroadcastEnable= o/consumeMessageOrderly= q/retryQueueNums=# " +
				"r/retryMaxTimes=# p/groupRetryPolicy= i/brokerId=# w/whichBrokerWhenConsumeSlowly=# a/notifyConsumerIdsChanged= attributes="},
		{name: "updateSubGroupList", usage: "Update or create subscription group in batch", change: true, run: updateSubGroupList, options: "b/brokerAddr= c/clusterName= f/filename=*"},
		{name: "deleteSubGroup", usage: "Delete subscription group from broker.", change: true, run: deleteSubGroup, options: "b/brokerAddr= c/clusterName= g/groupName=* r/removeOffset="},
		{name: "setConsumeMode", usage: "Set consume message mode. pull/pop etc.", change: true, run: setConsumeMode,
			options: "b/brokerAddr= c/clusterName= t/topicName=* g/groupName=* m/mode=* q/popShareQueueNum=#"},
		{name: "getConsumerConfig", usage: "Get consumer config by subscription group name.", run: getConsumerConfig, options: "g/groupName=*"},
	}
}

// updateSubGroup sets all of a group's settings; what is not given is Java's default of the command.
func updateSubGroup(k *call) error {
	g := body.NewSubscriptionGroupConfig(k.str("g"))
	g.ConsumeEnable = k.boolean("s", g.ConsumeEnable)
	g.ConsumeFromMinEnable = k.boolean("m", false)
	g.ConsumeBroadcastEnable = k.boolean("d", false)
	g.ConsumeMessageOrderly = k.boolean("o", false)
	g.NotifyConsumerIdsChangedEnable = k.boolean("a", g.NotifyConsumerIdsChangedEnable)
	g.RetryQueueNums = int32(k.num("q", int64(g.RetryQueueNums)))
	g.RetryMaxTimes = int32(k.num("r", int64(g.RetryMaxTimes)))
	g.BrokerID = k.num("i", g.BrokerID)
	g.WhichBrokerWhenConsumeSlowly = k.num("w", g.WhichBrokerWhenConsumeSlowly)
	if k.has("p") {
		if err := body.Unmarshal([]byte(k.str("p")), &g.GroupRetryPolicy); err != nil {
			return fmt.Errorf("cannot read the retry policy: %w", err)
		}
	}
	var err error
	if g.Attributes, err = attributes(k.str("attributes")); err != nil {
		return err
	}
	err = k.each(k.masters, func(addr string) error {
		err := k.CreateGroup(k.ctx, addr, g)
		if err == nil {
			k.printf("create subscription group to %s success.\n", addr)
		}
		return err
	})
	if err == nil {
		k.printf("%s", groupText(g))
	}
	return err
}

func updateSubGroupList(k *call) error {
	list, err := readList[body.SubscriptionGroupConfig](k)
	if err != nil {
		return err
	}
	return k.each(k.masters, func(addr string) error {
		what := "group"
		if !k.has("b") {
			what = "subscription group"
		}
		err := k.CreateGroups(k.ctx, addr, list)
		if err == nil {
			k.printf("submit batch of %s config to %s success, please check the result later.\n", what, addr)
		}
		return err
	})
}

func deleteSubGroup(k *call) error {
	group := k.str("g")
	err := k.each(k.masters, func(addr string) error {
		err := k.DeleteGroup(k.ctx, addr, group, k.boolean("r", false))
		if err == nil {
			in := ""
			if !k.has("b") {
				in = fmt.Sprintf(" in cluster [%s]", k.str("c"))
			}
			k.printf("delete subscription group [%s] from broker [%s]%s success.\n", group, addr, in)
		}
		return err
	})
	for _, prefix := range []string{admin.RetryPrefix, admin.DLQPrefix} {
		if err == nil && !k.has("b") {
			err = k.DeleteTopic(k.ctx, prefix+group, k.str("c"))
		}
	}
	return err
}

func setConsumeMode(k *call) error {
	m := body.SetMessageRequestModeRequestBody{ConsumerGroup: k.str("g"), Topic: k.str("t"), Mode: strings.ToUpper(k.str("m")), PopShareQueueNum: int32(k.num("q", 0))}
	if m.Mode != body.RequestModePull && m.Mode != body.RequestModePop {
		return fmt.Errorf("the mode is PULL or POP, not %q", m.Mode)
	}
	err := k.each(k.masters, func(addr string) error {
		err := k.SetRequestMode(k.ctx, addr, m)
		if err == nil {
			k.printf("set consume mode to %s success.\n", addr)
		}
		return err
	})
	if err == nil {
		k.printf("topic[%s] group[%s] consume mode[%s] popShareQueueNum[%d]", m.Topic, m.ConsumerGroup, m.Mode, m.PopShareQueueNum)
	}
	return err
}

// groupOfBroker is a row of getConsumerConfig.
type groupOfBroker struct {
	Cluster string                        `json:"cluster"`
	Broker  string                        `json:"brokerName"`
	Config  *body.SubscriptionGroupConfig `json:"config"`
}

func getConsumerConfig(k *call) error {
	info, err := k.ClusterInfo(k.ctx)
	if err != nil {
		return err
	}
	brokers, err := k.Brokers(k.ctx, "")
	if err != nil {
		return err
	}
	var rows []groupOfBroker
	for _, b := range brokers {
		all, err := k.Groups(k.ctx, admin.Addr(b))
		if err != nil {
			return err
		}
		if g := all.SubscriptionGroupTable[k.str("g")]; g != nil {
			rows = append(rows, groupOfBroker{clusterOf(info, b.BrokerName), b.BrokerName, g})
		}
	}
	return k.show(rows, func() {
		for _, r := range rows {
			k.printf("=============================%s:%s=============================\n", r.Cluster, r.Broker)
			for _, f := range groupFields(*r.Config) {
				k.printf("%-40s=  %s\n", f[0], f[1])
			}
		}
	})
}
