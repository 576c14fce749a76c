package topic

import (
	"maps"
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// defaults returns the topics that are there from the start. Java: TopicConfigManager.init.
func defaults(o *Options) map[string]*body.TopicConfig {
	out := map[string]*body.TopicConfig{}
	add := func(name string, queues, perm int32) { out[name] = newConfig(name, queues, perm) }
	const rw = PermRead | PermWrite
	optional := func(enabled bool) int32 {
		if enabled {
			return PermInherit | rw
		}
		return PermInherit
	}
	add(SelfTest, 1, rw)
	if o.AutoCreateTopicEnable {
		add(AutoCreate, o.DefaultTopicQueueNums, PermInherit|rw)
	}
	add(Benchmark, benchmarkQueueNums, rw)
	add(o.ClusterName, clusterQueueNums, optional(o.ClusterTopicEnable))
	add(o.BrokerName, 1, optional(o.BrokerTopicEnable))
	add(OffsetMovedEvent, 1, rw)
	add(Schedule, scheduleQueueNums, rw)
	if o.TraceTopicEnable {
		add(o.MsgTraceTopicName, 1, rw)
	}
	add(o.ClusterName+replySuffix, 1, rw)
	add(revivePrefix+o.ClusterName, o.ReviveQueueNum, rw)
	add(syncMemberPrefix+o.BrokerName, 1, PermInherit)
	add(TransHalf, 1, rw)
	add(TransOpHalf, 1, rw)
	add(RocksDBTransHalf, 1, rw)
	add(RocksDBTransOpHalf, 1, rw)
	if o.TimerWheelEnable {
		add(TimerWheel, 1, rw)
	}
	return out
}

func newConfig(name string, queues, perm int32) *body.TopicConfig {
	return &body.TopicConfig{TopicName: name, ReadQueueNums: queues, WriteQueueNums: queues, Perm: perm,
		TopicFilterType: body.SingleTag, Attributes: map[string]string{}}
}

// IsSystem reports whether a topic is the broker's own. It takes no lock and allocates nothing.
// Java: TopicValidator.isSystemTopic.
func (t *Table) IsSystem(topic string) bool {
	_, registered := t.system[topic]
	return registered || strings.HasPrefix(topic, SystemPrefix)
}

// SystemTopics returns the names of the broker's own topics in order, those of request code 305.
func (t *Table) SystemTopics() []string { return slices.Sorted(maps.Keys(t.system)) }
