package admin

import (
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

func (h *Handlers) queue(topic string, id int32) message.MessageQueue {
	return message.MessageQueue{Topic: topic, BrokerName: h.o.BrokerName, QueueID: id}
}

// topicStats returns the bounds of each queue of a topic. Java: AdminBrokerProcessor.getTopicStatsInfo.
func (h *Handlers) topicStats(_ *mux.Request, req *header.GetTopicStatsInfoRequest) (*protocol.Command, error) {
	c := h.o.Topics.Get(req.Topic)
	if c == nil {
		return nil, protocol.Errorf(protocol.TopicNotExist, "topic[%s] not exist", req.Topic)
	}
	out := body.TopicStatsTable{OffsetTable: body.QueueMap[body.TopicOffset]{}, TopicPutTps: h.o.Stats.TopicPutTPS(req.Topic)}
	for id := range max(c.WriteQueueNums, c.ReadQueueNums) {
		q := body.TopicOffset{MinOffset: max(h.o.Store.MinOffset(req.Topic, id), 0), MaxOffset: max(h.o.Store.MaxOffset(req.Topic, id), 0)}
		if q.MaxOffset > 0 {
			q.LastUpdateTimestamp = h.o.Store.StoreTime(req.Topic, id, q.MaxOffset-1)
		}
		out.OffsetTable[h.queue(req.Topic, id)] = q
	}
	return body.Reply(nil, out)
}

// consumeStats returns how far a group is in each queue of its topics.
// Java: AdminBrokerProcessor.getConsumeStats.
func (h *Handlers) consumeStats(_ *mux.Request, req *header.GetConsumeStatsRequest) (*protocol.Command, error) {
	out := body.ConsumeStats{OffsetTable: body.QueueMap[body.OffsetWrapper]{}}
	for _, name := range h.topicsToShow(req) {
		c := h.o.Topics.Get(name)
		if c == nil {
			continue
		}
		for id := range c.ReadQueueNums {
			p := h.progress(req.ConsumerGroup, name, id)
			if _, ok := h.o.Offsets.Query(req.ConsumerGroup, name, id); !ok && h.o.Mappings.Get(name) != nil {
				p.ConsumerOffset = -1 // the tool looks in the physical queue before
			}
			out.OffsetTable[h.queue(name, id)] = p
		}
		out.ConsumeTps += h.o.Stats.GroupGetTPS(req.ConsumerGroup, name)
	}
	return body.Reply(nil, out)
}

func (h *Handlers) progress(group, topic string, id int32) body.OffsetWrapper {
	q := body.OffsetWrapper{BrokerOffset: max(h.o.Store.MaxOffset(topic, id), 0)}
	if at, ok := h.o.Offsets.Query(group, topic, id); ok {
		q.ConsumerOffset = at
	}
	q.PullOffset = q.ConsumerOffset
	if at, ok := h.o.Offsets.QueryPull(group, topic, id); ok {
		q.PullOffset = max(q.PullOffset, at)
	}
	if q.ConsumerOffset > 0 {
		q.LastTimestamp = max(h.o.Store.StoreTime(topic, id, q.ConsumerOffset-1), 0)
	}
	return q
}

// topicsToShow returns the topics of GET_CONSUME_STATS, each once: those of the list, or the one asked for
// or else all in which the group has offsets; of the latter two, not those that a live group no longer
// subscribes to. Java: AdminBrokerProcessor.getTopicsForCollectingConsumeStats.
func (h *Handlers) topicsToShow(req *header.GetConsumeStatsRequest) []string {
	if strings.TrimSpace(req.TopicList) != "" {
		list := slices.DeleteFunc(strings.Split(req.TopicList, ";"), func(t string) bool { return t == "" })
		slices.Sort(list)
		return slices.Compact(list)
	}
	names := []string{req.Topic}
	if strings.TrimSpace(req.Topic) == "" {
		names = h.o.Offsets.TopicsOf(req.ConsumerGroup)
	}
	g := h.o.Sessions.Group(req.ConsumerGroup)
	if g == nil || len(g.Subscriptions) == 0 {
		return names
	}
	return slices.DeleteFunc(names, func(t string) bool { return g.Subscriptions[t] == nil })
}

// groupsOfTopic lists the groups that subscribe to a topic now or have offsets in it.
// Java: AdminBrokerProcessor.queryTopicConsumeByWho.
func (h *Handlers) groupsOfTopic(_ *mux.Request, req *header.QueryTopicConsumeByWhoRequest) (*protocol.Command, error) {
	groups := append(h.o.Sessions.GroupsOf(req.Topic), h.o.Offsets.GroupsOf(req.Topic)...)
	slices.Sort(groups)
	return body.Reply(nil, body.GroupList{GroupList: slices.Compact(groups)})
}

// topicsOfGroup lists the topics in which a group has offsets.
// Java: AdminBrokerProcessor.queryTopicsByConsumer.
func (h *Handlers) topicsOfGroup(_ *mux.Request, req *header.QueryTopicsByConsumerRequest) (*protocol.Command, error) {
	return body.Reply(nil, body.TopicList{BrokerAddr: h.o.BrokerAddr, TopicList: h.o.Offsets.TopicsOf(req.Group)})
}

// subscription returns what a live group wants of a topic.
// Java: AdminBrokerProcessor.querySubscriptionByConsumer.
func (h *Handlers) subscription(_ *mux.Request, req *header.QuerySubscriptionByConsumerRequest) (*protocol.Command, error) {
	out := body.QuerySubscriptionResponseBody{Group: req.Group, Topic: req.Topic}
	if s, _, _ := h.o.Sessions.Find(req.Group, req.Topic); s != nil {
		out.SubscriptionData = s.Data
	}
	return body.Reply(nil, out)
}

// allOffsets returns the table of consumer offsets. Java: AdminBrokerProcessor.getAllConsumerOffset.
func (h *Handlers) allOffsets(*mux.Request) (*protocol.Command, error) {
	b, err := h.o.Offsets.JSON()
	if err != nil {
		return nil, err
	}
	return protocol.Reply(nil, b), nil
}

// allDelayOffsets returns how far each delay level is delivered.
// Java: AdminBrokerProcessor.getAllDelayOffset.
func (h *Handlers) allDelayOffsets(*mux.Request) (*protocol.Command, error) {
	return body.Reply(nil, h.o.DelayOffsets())
}
