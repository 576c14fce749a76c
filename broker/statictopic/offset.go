package statictopic

import (
	"slices"
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// set replaces or adds an ext field of the request, whose handler runs once.
func (a *asked) set(key, value string) {
	ext := a.r.Cmd.Ext
	if i := slices.IndexFunc(ext, func(f protocol.Field) bool { return f.Key == key }); i >= 0 {
		ext[i].Value = value
		return
	}
	a.r.Cmd.Ext = append(ext, protocol.Field{Key: key, Value: value})
}

func (a *asked) undecided() error {
	return protocol.Errorf(protocol.SystemError, "the offsets of queue %d of topic %s are not decided yet", a.queue.ID, a.queue.Detail.Topic)
}

// queryOffset finds the group's offset in the last item that has one: a group that has not come to the leader's item
// yet has it in an item before. Java: ConsumerManageProcessor.rewriteRequestForStaticTopic.
func (a *asked) queryOffset() (*protocol.Command, error) {
	var h header.QueryConsumerOffsetRequest
	if err := protocol.DecodeHeader(a.r.Cmd.Ext, &h); err != nil {
		return nil, err
	}
	items := a.queue.Items
	if len(items) == 1 && items[0].LogicOffset == 0 {
		a.set("queueId", strconv.Itoa(int(items[0].QueueID)))
		return a.physical(a.r), nil // which knows more of groups that begin
	}
	for i := len(items) - 1; i >= 0; i-- {
		item := &items[i]
		if !mapping.Decided(item) {
			continue // nobody can have an offset there
		}
		offset, ok, err := a.offsetIn(item, h.ConsumerGroup)
		if err != nil {
			return nil, err
		}
		if ok {
			return protocol.Reply(header.QueryConsumerOffsetResponse{Offset: item.Logical(offset)}, nil), nil
		}
	}
	return nil, protocol.Errorf(protocol.QueryNotFound, "Not found, maybe this group consumer boot first")
}

// offsetIn returns the group's offset of an item's physical queue.
func (a *asked) offsetIn(i *mapping.Item, group string) (int64, bool, error) {
	topic := a.queue.Detail.Topic
	if a.queue.Here(i) {
		offset, ok := a.s.o.Offset(group, topic, i.QueueID)
		return offset, ok, nil
	}
	zero := false
	resp, err := a.s.ask(i, protocol.QueryConsumerOffset, header.QueryConsumerOffsetRequest{ConsumerGroup: group, Topic: topic, QueueID: i.QueueID, SetZeroIfNotFound: &zero})
	if err != nil || resp.Code == protocol.QueryNotFound {
		return 0, false, err
	}
	var h header.QueryConsumerOffsetResponse
	if err := success(i, resp, &h); err != nil {
		return 0, false, err
	}
	return h.Offset, true, nil
}

// updateOffset stores a group's offset in the item where it lies.
func (a *asked) updateOffset() (*protocol.Command, error) {
	text, _ := a.r.Cmd.Ext.Get("commitOffset")
	offset, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return a.physical(a.r), nil // for its refusal
	}
	item := a.queue.At(offset)
	if item == nil {
		return nil, a.undecided()
	}
	a.set("queueId", strconv.Itoa(int(item.QueueID)))
	a.set("commitOffset", strconv.FormatInt(mapping.Physical(item, offset), 10))
	if a.queue.Here(item) {
		return a.physical(a.r), nil
	}
	a.set("bname", item.Bname)
	a.set("lo", "false")
	resp, err := a.s.call(item.Bname, &protocol.Command{Code: protocol.UpdateConsumerOffset, Version: protocol.Version, Ext: a.r.Cmd.Ext})
	if err != nil {
		return nil, err
	}
	return protocol.NewResponse(resp.Code, resp.Remark), nil
}

// maxOffset returns the logical offset behind the last message. While the queue moves to this broker that is in the
// item before, where Java asks for the number that the queue has in the new one.
func (a *asked) maxOffset() (*protocol.Command, error) {
	last := a.queue.Last()
	if last == nil {
		return nil, a.undecided()
	}
	offset, err := a.end(last)
	if err != nil {
		return nil, err
	}
	return protocol.Reply(header.GetMaxOffsetResponse{Offset: last.Logical(offset)}, nil), nil
}

// minOffset returns the logical offset of the first message.
func (a *asked) minOffset() (*protocol.Command, error) {
	first := a.queue.First()
	if first == nil {
		return nil, a.undecided()
	}
	offset, err := a.begin(first)
	if err != nil {
		return nil, err
	}
	return protocol.Reply(header.GetMinOffsetResponse{Offset: mapping.LogicalWithin(first, offset)}, nil), nil
}

func (a *asked) end(i *mapping.Item) (int64, error) { return a.s.end(&a.queue, i) }

// end returns the physical offset behind an item's last message.
func (s *Static) end(q *mapping.Queue, i *mapping.Item) (int64, error) {
	if q.Here(i) {
		return s.o.Store.MaxOffset(q.Detail.Topic, i.QueueID), nil
	}
	var h header.GetMaxOffsetResponse
	resp, err := s.ask(i, protocol.GetMaxOffset, header.GetMaxOffsetRequest{Topic: q.Detail.Topic, QueueID: i.QueueID})
	if err == nil {
		err = success(i, resp, &h)
	}
	return h.Offset, err
}

func (a *asked) begin(i *mapping.Item) (int64, error) { return a.s.begin(&a.queue, i) }

// begin returns the physical offset of an item's first message.
func (s *Static) begin(q *mapping.Queue, i *mapping.Item) (int64, error) {
	if q.Here(i) {
		return s.o.Store.MinOffset(q.Detail.Topic, i.QueueID), nil
	}
	var h header.GetMinOffsetResponse
	resp, err := s.ask(i, protocol.GetMinOffset, header.GetMinOffsetRequest{Topic: q.Detail.Topic, QueueID: i.QueueID})
	if err == nil {
		err = success(i, resp, &h)
	}
	return h.Offset, err
}

// earliestStoreTime returns when the first message was stored: that of the first item that has one.
func (a *asked) earliestStoreTime() (*protocol.Command, error) {
	items := a.queue.Decided()
	if len(items) == 0 {
		return nil, a.undecided()
	}
	at := int64(-1)
	for i := 0; i < len(items) && at < 0; i++ {
		var err error
		if at, err = a.earliestIn(&items[i]); err != nil {
			return nil, err
		}
	}
	return protocol.Reply(header.GetEarliestMsgStoretimeResponse{Timestamp: at}, nil), nil
}

func (a *asked) earliestIn(i *mapping.Item) (int64, error) {
	topic := a.queue.Detail.Topic
	if a.queue.Here(i) {
		return a.s.o.Store.StoreTime(topic, i.QueueID, a.s.o.Store.MinOffset(topic, i.QueueID)), nil
	}
	var h header.GetEarliestMsgStoretimeResponse
	resp, err := a.s.ask(i, protocol.GetEarliestMsgStoreTime, header.GetEarliestMsgStoretimeRequest{Topic: topic, QueueID: i.QueueID})
	if err == nil {
		err = success(i, resp, &h)
	}
	return h.Timestamp, err
}

// searchOffset finds the logical offset of a time: the first message stored at or after it or, upper, the last one
// stored at or before it. Java goes on to later items when it has found the offset in an earlier one of another broker,
// and never finds the first message of a queue.
func (a *asked) searchOffset() (*protocol.Command, error) {
	var h header.SearchOffsetRequest
	if err := protocol.DecodeHeader(a.r.Cmd.Ext, &h); err != nil {
		return nil, err
	}
	items := a.queue.Decided()
	if len(items) == 0 {
		return nil, a.undecided()
	}
	find := a.atOrAfter
	if strings.EqualFold(h.BoundaryType, header.BoundaryUpper) {
		find = a.atOrBefore
	}
	offset, err := find(items, h.Timestamp)
	if err != nil {
		return nil, err
	}
	return protocol.Reply(header.SearchOffsetResponse{Offset: offset}, nil), nil
}

func (a *asked) atOrAfter(items []mapping.Item, timestamp int64) (int64, error) {
	for i := range items {
		item := &items[i]
		offset, err := a.searchIn(item, timestamp)
		if err != nil {
			return 0, err
		}
		if i < len(items)-1 {
			end, err := a.end(item)
			if err != nil {
				return 0, err
			}
			if offset >= end {
				continue // everything there is older
			}
		}
		return item.Logical(offset), nil
	}
	return 0, a.undecided()
}

func (a *asked) atOrBefore(items []mapping.Item, timestamp int64) (int64, error) {
	for i := len(items) - 1; i >= 0; i-- {
		item := &items[i]
		after, err := a.searchIn(item, timestamp+1)
		if err != nil {
			return 0, err
		}
		begin, err := a.begin(item)
		switch {
		case err != nil:
			return 0, err
		case after > begin:
			return item.Logical(after - 1), nil
		case i == 0:
			return item.Logical(begin), nil
		}
	}
	return 0, a.undecided()
}

// searchIn returns the physical offset of an item's first message stored at or after timestamp, or that behind its
// last message.
func (a *asked) searchIn(i *mapping.Item, timestamp int64) (int64, error) {
	topic := a.queue.Detail.Topic
	if a.queue.Here(i) {
		return a.s.o.Store.OffsetByTime(topic, i.QueueID, timestamp, false), nil
	}
	var h header.SearchOffsetResponse
	resp, err := a.s.ask(i, protocol.SearchOffsetByTimestamp, header.SearchOffsetRequest{Topic: topic, QueueID: i.QueueID, Timestamp: timestamp, BoundaryType: header.BoundaryLower})
	if err == nil {
		err = success(i, resp, &h)
	}
	return h.Offset, err
}
