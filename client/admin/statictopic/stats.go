package statictopic

import (
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// BrokerPrefix begins the name under which clients know the logical queues of static topics, as they do the queues of
// a broker. Java: MixAll.LOGICAL_QUEUE_MOCK_BROKER_PREFIX.
const BrokerPrefix = "__syslo__"

// logicalQueue names a logical queue as clients do. Java: TopicQueueMappingUtils.getMockBrokerName.
func logicalQueue(d *body.TopicQueueMappingDetail, id int64) body.MessageQueue {
	return body.MessageQueue{Topic: d.Topic, BrokerName: BrokerPrefix + strings.TrimPrefix(d.Scope, "__"), QueueID: int32(id)}
}

func physicalQueue(topic string, i *body.LogicQueueMappingItem) body.MessageQueue {
	return body.MessageQueue{Topic: topic, BrokerName: i.Bname, QueueID: i.QueueID}
}

// each calls fn with every logical queue and those of its items whose logical offset is decided, as the leader of the
// newest epoch knows it. Brokers without a mapping count for nothing.
func each(configs Configs, fn func(q body.MessageQueue, items []body.LogicQueueMappingItem)) {
	type known struct {
		*body.TopicQueueMappingDetail
		id int64
	}
	newest := map[int64]known{}
	for _, t := range configs {
		d := t.MappingDetail
		if d == nil {
			continue
		}
		for id, items := range d.HostedQueues {
			n := len(items)
			if n == 0 || items[n-1].Bname != d.Bname {
				continue
			}
			if k, ok := newest[id]; !ok || d.Epoch > k.Epoch {
				newest[id] = known{d, id}
			}
		}
	}
	for id, k := range newest {
		var decided []body.LogicQueueMappingItem
		for _, i := range k.HostedQueues[id] {
			if i.LogicOffset >= 0 {
				decided = append(decided, i)
			}
		}
		if len(decided) > 0 {
			fn(logicalQueue(k.TopicQueueMappingDetail, id), decided)
		}
	}
}

// Bounds returns the bounds of a topic's logical queues, from those of the physical ones of all its brokers.
// Java: MQAdminUtils.convertPhysicalTopicStats.
func Bounds(configs Configs, physical body.QueueMap[body.TopicOffset]) body.QueueMap[body.TopicOffset] {
	out := body.QueueMap[body.TopicOffset]{}
	each(configs, func(q body.MessageQueue, items []body.LogicQueueMappingItem) {
		first, last := &items[0], &items[len(items)-1]
		begin, ok := physical[physicalQueue(q.Topic, first)]
		end, both := physical[physicalQueue(q.Topic, last)]
		if ok && both {
			out[q] = body.TopicOffset{MinOffset: first.Logical(begin.MinOffset), MaxOffset: last.Logical(end.MaxOffset), LastUpdateTimestamp: end.LastUpdateTimestamp}
		}
	})
	return out
}

// Progress returns how far a group is in a topic's logical queues, from how far brokers say it is in the physical ones.
// A queue that the group has read nothing of is left out.
//
// Java: MQAdminUtils.convertPhysicalConsumeStats, which takes the group's physical offset for a logical one and forgets
// PullOffset.
func Progress(configs Configs, physical body.QueueMap[body.OffsetWrapper]) body.QueueMap[body.OffsetWrapper] {
	out := body.QueueMap[body.OffsetWrapper]{}
	each(configs, func(q body.MessageQueue, items []body.LogicQueueMappingItem) {
		w := body.OffsetWrapper{BrokerOffset: -1, ConsumerOffset: -1}
		for i := len(items) - 1; i >= 0; i-- {
			p, ok := physical[physicalQueue(q.Topic, &items[i])]
			if !ok {
				continue
			}
			if w.ConsumerOffset < 0 && p.ConsumerOffset >= 0 {
				w.ConsumerOffset, w.LastTimestamp = items[i].Logical(p.ConsumerOffset), p.LastTimestamp
				w.PullOffset = items[i].Logical(max(p.PullOffset, p.ConsumerOffset))
			}
			if w.BrokerOffset < 0 {
				w.BrokerOffset = items[i].Logical(p.BrokerOffset)
			}
		}
		if w.BrokerOffset >= 0 && w.ConsumerOffset >= 0 {
			out[q] = w
		}
	})
	return out
}
