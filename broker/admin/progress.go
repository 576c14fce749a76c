package admin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// consumeTimeSpan returns, for each queue of a topic, the times of its first and last message and how late a
// group is. Java: AdminBrokerProcessor.queryConsumeTimeSpan.
func (h *Handlers) consumeTimeSpan(_ *mux.Request, req *header.QueryConsumeTimeSpanRequest) (*protocol.Command, error) {
	c := h.o.Topics.Get(req.Topic)
	if c == nil {
		return nil, protocol.Errorf(protocol.TopicNotExist, "topic[%s] not exist", req.Topic)
	}
	out := body.QueryConsumeTimeSpanBody{ConsumeTimeSpanSet: []body.QueueTimeSpan{}}
	for id := range c.WriteQueueNums {
		first, end := h.o.Store.MinOffset(req.Topic, id), h.o.Store.MaxOffset(req.Topic, id)
		s := body.QueueTimeSpan{MessageQueue: h.queue(req.Topic, id), MinTimeStamp: h.o.Store.StoreTime(req.Topic, id, first),
			MaxTimeStamp: h.o.Store.StoreTime(req.Topic, id, end-1)}
		s.ConsumeTimeStamp = s.MinTimeStamp
		at, _ := h.o.Offsets.Query(req.Group, req.Topic, id)
		if at > 0 {
			s.ConsumeTimeStamp = h.o.Store.StoreTime(req.Topic, id, at-1)
		}
		if at < end {
			s.DelayTime = time.Now().UnixMilli() - h.o.Store.StoreTime(req.Topic, id, max(at, first))
		}
		s.MinTimeStampStr, s.MaxTimeStampStr, s.ConsumeTimeStampStr = timeText(s.MinTimeStamp), timeText(s.MaxTimeStamp), timeText(s.ConsumeTimeStamp)
		out.ConsumeTimeSpanSet = append(out.ConsumeTimeSpanSet, s)
	}
	return body.Reply(nil, out)
}

// timeText is a time, ms, as Java's UtilAll.YYYY_MM_DD_HH_MM_SS_SSS writes it.
func timeText(ms int64) string {
	return strings.Replace(time.UnixMilli(ms).Format("2006-01-02#15:04:05.000"), ".", ":", 1)
}

// correctionOffset returns the least offset that any group has in each queue of a topic; where the group to
// compare is behind it, the greatest number there is. Java's removes the offsets of the groups that do not
// count from the broker; here they are only passed over. Java: AdminBrokerProcessor.queryCorrectionOffset.
func (h *Handlers) correctionOffset(_ *mux.Request, req *header.QueryCorrectionOffset) (*protocol.Command, error) {
	skip := strings.Split(req.FilterGroups, ",")
	least := body.IntMap[int64]{}
	for _, group := range h.o.Offsets.GroupsOf(req.Topic) {
		if slices.Contains(skip, group) {
			continue
		}
		for id, at := range h.o.Offsets.Queues(group, req.Topic) {
			if at < h.o.Store.MinOffset(req.Topic, id) {
				continue
			}
			if have, ok := least[int64(id)]; !ok || at < have {
				least[int64(id)] = at
			}
		}
	}
	for id, at := range h.o.Offsets.Queues(req.CompareGroup, req.Topic) {
		if have, ok := least[int64(id)]; ok && have > at {
			least[int64(id)] = 1<<63 - 1
		}
	}
	return body.Reply(nil, body.QueryCorrectionOffsetBody{CorrectionOffsets: least})
}

// cloneOffsets gives a group the offsets of another one. Without a topic it does so in all of the source
// group's topics, as the header says; Java copies nothing then. Java: AdminBrokerProcessor.cloneGroupOffset.
func (h *Handlers) cloneOffsets(_ *mux.Request, req *header.CloneGroupOffsetRequest) (*protocol.Command, error) {
	topics := []string{req.Topic}
	if strings.TrimSpace(req.Topic) == "" {
		topics = h.o.Offsets.TopicsOf(req.SrcGroup)
	}
	g := h.o.Sessions.Group(req.SrcGroup)
	for _, topic := range topics {
		left := !req.Offline && g != nil && len(g.Subscriptions) > 0 && g.Subscriptions[topic] == nil
		if h.o.Topics.Get(topic) != nil && !left {
			h.o.Offsets.Clone(req.SrcGroup, req.DestGroup, topic)
		}
	}
	return success(), nil
}

// brokerConsumeStats returns how far every group is in every topic, and how far all are behind.
// Java: AdminBrokerProcessor.fetchAllConsumeStatsInBroker.
func (h *Handlers) brokerConsumeStats(_ *mux.Request, req *header.GetConsumeStatsInBroker) (*protocol.Command, error) {
	out := body.ConsumeStatsList{BrokerAddr: h.o.BrokerAddr, ConsumeStatsList: []map[string][]body.ConsumeStats{}}
	for _, g := range h.o.Groups.All() {
		list := []body.ConsumeStats{}
		for _, topic := range h.topicsToShow(&header.GetConsumeStatsRequest{ConsumerGroup: g.GroupName}) {
			c := h.o.Topics.Get(topic)
			if c == nil || req.IsOrder && !c.Order {
				continue
			}
			stats := body.ConsumeStats{OffsetTable: body.QueueMap[body.OffsetWrapper]{}, ConsumeTps: h.o.Stats.GroupGetTPS(g.GroupName, topic)}
			for id := range c.WriteQueueNums {
				p := h.progress(g.GroupName, topic, id)
				stats.OffsetTable[h.queue(topic, id)] = p
				out.TotalDiff += p.BrokerOffset - p.ConsumerOffset
				out.TotalInflightDiff += p.PullOffset - p.ConsumerOffset
			}
			list = append(list, stats)
		}
		out.ConsumeStatsList = append(out.ConsumeStatsList, map[string][]body.ConsumeStats{g.GroupName: list})
	}
	return body.Reply(nil, out)
}

// maxUnits bounds the units of one QUERY_CONSUME_QUEUE.
const maxUnits = 10000

// consumeQueue shows units of a queue. Java: AdminBrokerProcessor.queryConsumeQueue.
func (h *Handlers) consumeQueue(_ *mux.Request, req *header.QueryConsumeQueueRequest) (*protocol.Command, error) {
	q := h.o.Store.Find(req.Topic, req.QueueID)
	if q == nil {
		return nil, protocol.Errorf(protocol.SystemError, "%d@%s is not exist!", req.QueueID, req.Topic)
	}
	out := body.QueryConsumeQueueResponseBody{MaxQueueIndex: q.Max(), MinQueueIndex: q.Min(), QueueData: []body.ConsumeQueueData{}}
	if req.ConsumerGroup != "" {
		if s, _, _ := h.o.Sessions.Find(req.ConsumerGroup, req.Topic); s != nil {
			out.SubscriptionData = s.Data
			if s.Data.ExpressionType == "TAG" {
				out.FilterData = "null" // Java's text for a group that has no compiled filter
			}
		} else {
			out.FilterData = req.ConsumerGroup + "@" + req.Topic + " is not online!"
		}
	}
	if req.Index < q.Min() || req.Index >= q.Max() {
		resp, err := body.Reply(nil, out) // Java leaves the body out, on which its own tool stumbles
		if err == nil {
			resp.Remark = fmt.Sprintf("Index %d of %d@%s is not exist!", req.Index, req.QueueID, req.Topic)
		}
		return resp, err
	}
	units := make([]byte, int(min(max(req.Count, 0), maxUnits))*consumequeue.UnitSize)
	n, err := q.Read(req.Index, units)
	if err != nil {
		return nil, err
	}
	for i := range n {
		u := consumequeue.GetUnit(units[i*consumequeue.UnitSize:])
		out.QueueData = append(out.QueueData, body.ConsumeQueueData{PhysicOffset: u.PhysicalOffset, PhysicSize: u.Size, TagsCode: u.TagsCode})
	}
	resp, err := body.Reply(nil, out)
	if err == nil {
		resp.Remark = notSet
	}
	return resp, err
}
