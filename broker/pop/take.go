package pop

import (
	"fmt"

	"github.com/skylarkmq/skylark/broker/pop/hold"
	"github.com/skylarkmq/skylark/broker/pop/inorder"
	"github.com/skylarkmq/skylark/broker/pop/receipt"
	"github.com/skylarkmq/skylark/broker/pop/revivelog"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

// take pops messages of one queue into the answer. A queue that somebody else pops just now, or from which
// nothing may be popped, is passed over. Java: PopMessageProcessor.popMsgFromQueue.
func (q *request) take(topic string, id int32) error {
	p, h := q.p, q.h
	state, locked := p.queues.tryLocked(topic, h.ConsumerGroup, id)
	if !locked {
		if !h.Order {
			q.rest += max(p.o.Store.MaxOffset(topic, id)-p.offset(state, h.InitMode), 0)
		}
		return nil
	}
	kept := false // the lock is held on until the checkpoint is stored
	defer func() {
		if !kept {
			p.release(state, !q.stuck)
		}
	}()
	if p.tooMany(state) {
		q.rest += max(p.o.Store.MaxOffset(topic, id)-p.offset(state, h.InitMode), 0)
		return nil
	}
	at := p.start(state, h.InitMode)
	if h.Order {
		if p.order.Blocked(h.AttemptID, topic, h.ConsumerGroup, id, h.InvisibleTime) {
			return nil // what is behind does not count as rest, or the consumer would be woken for nothing
		}
		state.land()
	}
	if q.room() <= 0 {
		q.rest += max(p.o.Store.MaxOffset(topic, id)-at, 0)
		return nil
	}
	from := len(q.buf.B)
	res, at, err := q.read(topic, id, at)
	if err != nil {
		return fmt.Errorf("cannot read queue %d of topic %s at %d: %w", id, topic, at, err)
	}
	q.rest += max(res.MaxOffset-res.NextOffset, 0)
	switch {
	case res.Messages > 0:
		kept, err = q.took(state, from, at, res)
		return err
	case res.Status == store.OffsetFoundNull:
		q.stuck = true
	case res.NextOffset > at:
		if h.Order {
			p.o.Offsets.Commit(q.r.Conn.Remote().String(), h.ConsumerGroup, topic, id, res.NextOffset)
		} else {
			p.passed(state, res.NextOffset)
		}
	}
	return nil
}

// read appends the messages at a queue offset to q.buf, or at the next offset there is.
func (q *request) read(topic string, id int32, at int64) (store.GetResult, int64, error) {
	p := q.p
	get := store.GetRequest{Queue: p.o.Store.Find(topic, id), Offset: at, MaxMessages: q.room(), Match: q.filter.Match, MatchRecord: q.filter.record()}
	var res store.GetResult
	var err error
	if q.buf.B, res, err = p.o.Store.Get(q.buf.B, get); err != nil {
		return res, at, err
	}
	switch res.Status {
	case store.OffsetTooSmall, store.OffsetOverflowBadly:
		p.o.Logger.Warn().Str("topic", topic).Int32("queueId", id).Str("group", q.h.ConsumerGroup).Int64("from", at).Int64("to", res.NextOffset).
			Msg("the offset of the group is not in the queue, it is corrected")
		at = res.NextOffset
		get.Offset = at
		p.o.Offsets.Commit(q.r.Conn.Remote().String(), q.h.ConsumerGroup, topic, id, at)
		q.buf.B, res, err = p.o.Store.Get(q.buf.B, get)
	case store.NoMessageInQueue, store.NoMatchedLogicQueue:
		res.NextOffset = at // nothing is to be committed for a queue that was never used
	}
	return res, at, err
}

// took notes the messages that stand in q.buf from an index on; at is the offset at which they were looked for.
// kept says that the lock of the queue is given up later.
func (q *request) took(state *queue, from int, at int64, res store.GetResult) (kept bool, err error) {
	p, h, k := q.p, q.h, state.key
	offsets, err := q.offsets(from)
	if err != nil {
		q.buf.B = q.buf.B[:from]
		return false, err
	}
	if !h.Order && offsets[len(offsets)-1]-at > 1<<31-1 {
		at = offsets[0] // a checkpoint holds distances of 31 bits
	}
	p.o.Stats.Pop(k.group, h.Topic, k.topic, len(offsets), len(q.buf.B)-from)
	retry := receipt.IsRetry(k.topic) && k.topic != h.Topic
	if retry && !p.live.Load().PopResponseReturnActualRetryTopic {
		if err := q.rename(from, at); err != nil {
			q.buf.B = q.buf.B[:from]
			return false, err
		}
	}
	q.count += len(offsets)
	q.lists.Add(k.topic, k.id, at, offsets)
	state.fly(len(offsets))
	if h.Order {
		p.order.Update(inorder.Popped{Topic: k.topic, Group: k.group, AttemptID: h.AttemptID, QueueID: k.id,
			PopTime: q.handle.PopTime, InvisibleTime: h.InvisibleTime, Offsets: offsets}, &q.lists)
		p.o.Offsets.Commit(q.r.Conn.Remote().String(), k.group, k.topic, k.id, at)
		return false, nil
	}
	ck := &revivelog.CheckPoint{BrokerName: p.o.BrokerName, Group: k.group, InvisibleTime: h.InvisibleTime, Num: int8(len(offsets)),
		PopTime: q.handle.PopTime, QueueID: k.id, StartOffset: at, Topic: k.topic}
	for _, o := range offsets {
		ck.Diffs = append(ck.Diffs, int32(o-at))
	}
	if p.buffer != nil && p.buffer.add(state, ck, q.handle.ReviveQueueID, res.NextOffset) {
		return false, nil
	}
	q.open.Add(1)
	p.open.Add(1)
	p.log.CheckPoint(ck, q.handle.ReviveQueueID, func(err error) {
		defer p.open.Done()
		if err == nil {
			p.passed(state, res.NextOffset)
		} else {
			q.fail(err)
			state.fly(-len(offsets))
		}
		p.release(state, true)
		q.closeOne()
	})
	return true, nil
}

// offsets returns the queue offsets of the records that stand in q.buf from an index on.
func (q *request) offsets(from int) ([]int64, error) {
	out := make([]int64, 0, q.room())
	for b := q.buf.B[from:]; len(b) > 0; {
		r, err := message.Parse(b, false)
		if err != nil {
			return nil, err
		}
		out = append(out, r.QueueOffset)
		b = b[r.Size:]
	}
	return out, nil
}

// rename gives the records of a retry topic, which stand in q.buf from an index on, the topic that was asked
// for, and the handle, which the client cannot make for them then.
func (q *request) rename(from int, start int64) error {
	old := mux.NewBuffer(len(q.buf.B) - from)
	defer old.Release()
	old.B = append(old.B, q.buf.B[from:]...)
	out := q.buf.B[:from]
	handle := q.handle
	handle.StartOffset = start
	for b := old.B; len(b) > 0; {
		r, err := message.Parse(b, false)
		if err != nil {
			return err
		}
		b = b[r.Size:]
		p := message.ParseProperties(r.Properties)
		p.Set(message.PropertyPopCK, string(handle.Append(nil, r.Topic, r.QueueID, r.QueueOffset)))
		at := len(out)
		r.Message.Topic = q.h.Topic
		if out, err = message.AppendRecord(out, &r.Message, p.String()); err != nil {
			return fmt.Errorf("cannot give message %d the topic %s: %w", r.QueueOffset, q.h.Topic, err)
		}
		message.Patch(out[at:], r.QueueOffset, r.PhysicalOffset, r.StoreTimestamp)
	}
	q.buf.B = out
	return nil
}

// release gives up the lock of a queue. With wake, those who found it locked meanwhile have their turn.
func (p *Popper) release(q *queue, wake bool) {
	q.unlock()
	if wake {
		p.wake(q)
	}
}

// wake runs a request again that waits for a queue, if there is something for it.
func (p *Popper) wake(q *queue) {
	k := q.key
	if p.closed.Load() || !p.has(k.topic, k.group, k.id, 0) || p.order.Blocked("", k.topic, k.group, k.id, 0) {
		return
	}
	if receipt.IsRetry(k.topic) {
		if k.topic = receipt.NormalTopic(k.topic, k.group); k.topic != "" {
			p.hold.WakeGroup(k.topic, k.group)
		}
		return
	}
	p.hold.WakeAny(hold.Key{Topic: k.topic, Group: k.group, QueueID: k.id})
}

// has reports whether a group could pop something of a queue now, as far as its filter lets it.
func (p *Popper) has(topic, group string, id, initMode int32) bool {
	limit := p.o.Store.MaxOffset(topic, id)
	if limit == 0 {
		return false
	}
	q := p.queues.find(topic, group, id)
	if q != nil {
		return !q.busy() && limit > p.offset(q, initMode) && !p.tooMany(q)
	}
	at, ok := p.o.Offsets.Query(group, topic, id)
	if !ok {
		at = p.firstOffset(topic, id, initMode)
	}
	return limit > at
}

// available reports whether a request could have messages.
func (p *Popper) available(h *header.PopMessageRequest, topic *body.TopicConfig) bool {
	from, to := h.QueueID, h.QueueID+1
	if h.QueueID < 0 {
		from, to = 0, topic.ReadQueueNums
	}
	for id := from; id < to; id++ {
		if p.has(h.Topic, h.ConsumerGroup, id, h.InitMode) && !(h.Order && p.order.Blocked(h.AttemptID, h.Topic, h.ConsumerGroup, id, h.InvisibleTime)) {
			return true
		}
	}
	return !h.Order && p.retryAvailable(h.Topic, h.ConsumerGroup)
}

// retryAvailable reports whether there is something in the retry topics that the group's pops read.
func (p *Popper) retryAvailable(topic, group string) bool {
	names := []string{receipt.RetryTopicV1(topic, group)}
	if p.o.EnableRetryTopicV2 {
		if names = append(names, receipt.RetryTopicV2(topic, group)); !p.o.RetrieveMessageFromPopRetryTopicV1 {
			names = names[1:]
		}
	}
	for _, name := range names {
		if t := p.o.Topics.Get(name); t != nil {
			for id := range t.ReadQueueNums {
				if p.has(name, group, id, 0) {
					return true
				}
			}
		}
	}
	return false
}
