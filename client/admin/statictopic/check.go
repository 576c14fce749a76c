package statictopic

import (
	"fmt"
	"maps"
	"slices"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Epoch returns the epoch that all brokers have of a topic. The error says in what they differ, or that the topic is
// not a static one. Java: TopicQueueMappingUtils.checkNameEpochNumConsistence.
func Epoch(topic string, configs Configs) (int64, error) {
	var first *body.TopicQueueMappingDetail
	for _, broker := range slices.Sorted(maps.Keys(configs)) {
		t := configs[broker]
		if t == nil || t.MappingDetail == nil {
			return 0, refuse("Mapping info should not be null in broker %s", broker)
		}
		d := t.MappingDetail
		if first == nil {
			first = d
		}
		switch {
		case d.Bname != broker:
			return 0, refuse("The broker name is not equal %s != %s", broker, d.Bname)
		case d.Dirty:
			return 0, refuse("The mapping info is dirty in broker %s", broker)
		case t.TopicName != d.Topic:
			return 0, refuse("The topic name is inconsistent in broker %s", broker)
		case d.Topic != topic:
			return 0, refuse("The topic name is not match for broker %s", broker)
		case d.Scope != first.Scope:
			return 0, refuse("scope does not match %s != %s in %s", d.Scope, first.Scope, broker)
		case d.Epoch != first.Epoch:
			return 0, refuse("epoch does not match %d != %d in %s", first.Epoch, d.Epoch, broker)
		case d.TotalQueues != first.TotalQueues:
			return 0, refuse("total queue number does not match %d != %d in %s", first.TotalQueues, d.TotalQueues, broker)
		}
	}
	if first == nil {
		return 0, refuse("No topic route to do the remapping")
	}
	return first.Epoch, nil
}

// queue is a logical queue as its leader knows it.
type queue struct {
	leader string
	items  []body.LogicQueueMappingItem
}

func (q *queue) last() *body.LogicQueueMappingItem { return &q.items[len(q.items)-1] }

// inspect returns the logical queues of a topic in the order of their ids, if what the brokers know fits together.
// Java: TopicQueueMappingUtils.checkAndBuildMappingItems, checkIfReusePhysicalQueue, checkPhysicalQueueConsistence.
func inspect(topic string, configs Configs) ([]queue, error) {
	if _, err := Epoch(topic, configs); err != nil {
		return nil, err
	}
	led := map[int64]queue{}
	var total int32
	for _, broker := range slices.Sorted(maps.Keys(configs)) {
		d := configs[broker].MappingDetail
		total = d.TotalQueues
		for _, id := range slices.Sorted(maps.Keys(d.HostedQueues)) {
			q := queue{broker, d.HostedQueues[id]}
			if len(q.items) == 0 {
				return nil, fmt.Errorf("queue %d has no items in broker %s", id, broker)
			}
			if err := body.CheckItems(q.items); err != nil {
				return nil, err
			}
			if q.last().Bname != broker {
				continue
			}
			if other, ok := led[id]; ok {
				return nil, refuse("The queue id is duplicated in broker %s %s", broker, other.leader)
			}
			led[id] = q
		}
	}
	if int(total) != len(led) {
		return nil, refuse("The total queue number in config does not match the real hosted queues %d != %d", total, len(led))
	}
	queues := make([]queue, total)
	for i := range queues {
		q, ok := led[int64(i)]
		if !ok {
			return nil, refuse("The queue number %d is not in globalIdMap", i)
		}
		queues[i] = q
	}
	if err := distinct(topic, queues); err != nil {
		return nil, err
	}
	return queues, physical(configs)
}

// distinct returns which logical queues share a physical one.
func distinct(topic string, queues []queue) error {
	type place struct {
		broker string
		id     int32
	}
	taken := map[place]int{}
	for id, q := range queues {
		for _, item := range q.items {
			p := place{item.Bname, item.QueueID}
			if other, ok := taken[p]; ok {
				return refuse("Topic %s global queue id %d and %d shared the same physical queue %s-%d", topic, id, other, p.broker, p.id)
			}
			taken[p] = id
		}
	}
	return nil
}

// physical returns which item is none of the queues that its broker has.
func physical(configs Configs) error {
	for _, broker := range slices.Sorted(maps.Keys(configs)) {
		t := configs[broker]
		if t.ReadQueueNums < t.WriteQueueNums {
			return refuse("Read queues is smaller than write queues")
		}
		for _, items := range t.MappingDetail.HostedQueues {
			for _, item := range items {
				switch of := configs[item.Bname]; {
				case item.StartOffset != 0:
					return refuse("The start offset does not begin from 0")
				case of == nil:
					return refuse("The broker of item does not exist")
				case item.QueueID >= of.WriteQueueNums:
					return refuse("The physical queue id is overflow the write queues")
				}
			}
		}
	}
	return nil
}
