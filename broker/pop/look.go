package pop

import (
	"math/rand/v2"
	"time"

	"github.com/skylarkmq/skylark/broker/pop/hold"
	"github.com/skylarkmq/skylark/broker/pop/receipt"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// peek handles PEEK_MESSAGE: the messages that a pop would take next, without taking them.
// Java: PeekMessageProcessor.
func (p *Popper) peek(r *mux.Request, h *header.PeekMessageRequest) (*protocol.Command, error) {
	topic, err := p.check(r, target{topic: h.Topic, group: h.ConsumerGroup, queueID: h.QueueID, verb: "peeking message"})
	if err != nil {
		return nil, err
	}
	k := &look{p: p, group: h.ConsumerGroup, most: int(h.MaxMsgNums)}
	dice := rand.Int32N(100)
	first := dice%5 == 0
	if first {
		err = k.retry(h.Topic, dice)
	}
	switch {
	case err != nil:
	case h.QueueID < 0:
		err = k.all(topic, dice)
	default:
		err = k.queue(h.Topic, h.QueueID)
	}
	if err == nil && !first && k.count < k.most {
		err = k.retry(h.Topic, dice)
	}
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "cannot peek messages: %s", err)
	}
	resp := protocol.Reply(header.PopMessageResponse{RestNum: k.rest}, k.buf)
	resp.Remark = string(store.Found)
	if k.count == 0 {
		resp.Code, resp.Remark = protocol.PullNotFound, string(store.NoMessageInQueue)
	} else {
		p.o.Stats.Pull(h.ConsumerGroup, h.Topic, k.count, len(k.buf))
	}
	return resp, nil
}

// look collects the answer to a PEEK_MESSAGE.
type look struct {
	p     *Popper
	group string
	most  int
	buf   []byte
	count int
	rest  int64
}

func (k *look) retry(topic string, dice int32) error {
	name := receipt.RetryTopicV1(topic, k.group)
	if k.p.o.EnableRetryTopicV2 {
		name = receipt.RetryTopicV2(topic, k.group)
	}
	if t := k.p.o.Topics.Get(name); t != nil {
		return k.all(t, dice)
	}
	return nil
}

func (k *look) all(topic *body.TopicConfig, dice int32) error {
	for i := range topic.ReadQueueNums {
		if err := k.queue(topic.TopicName, (dice+i)%topic.ReadQueueNums); err != nil {
			return err
		}
	}
	return nil
}

func (k *look) queue(topic string, id int32) error {
	q := k.p.o.Store.Find(topic, id)
	if q == nil {
		return nil
	}
	at := k.p.nextOffset(topic, k.group, id)
	k.rest += max(q.Max()-at, 0)
	if k.count >= k.most {
		return nil
	}
	get := store.GetRequest{Queue: q, Offset: at, MaxMessages: k.most - k.count}
	var res store.GetResult
	var err error
	if k.buf, res, err = k.p.o.Store.Get(k.buf, get); err != nil {
		return err
	}
	if res.Status == store.OffsetTooSmall || res.Status == store.OffsetOverflowBadly {
		get.Offset = res.NextOffset
		k.buf, res, err = k.p.o.Store.Get(k.buf, get)
	}
	k.count += res.Messages
	return err
}

// nextOffset returns where a group's next pop begins, the first message for a group without an offset.
func (p *Popper) nextOffset(topic, group string, id int32) int64 {
	if q := p.queues.find(topic, group, id); q != nil {
		return p.offset(q, header.PopInitMin)
	}
	if at, ok := p.o.Offsets.Query(group, topic, id); ok {
		return at
	}
	return p.o.Store.MinOffset(topic, id)
}

// notification handles NOTIFICATION: are there messages to pop? It is held until there are.
// Java: NotificationProcessor.
func (p *Popper) notification(r *mux.Request, h *header.NotificationRequest) (*protocol.Command, error) {
	if r.Conn.Closed() {
		r.Drop()
		return nil, nil
	}
	h.QueueID = max(h.QueueID, hold.AnyQueue)
	if h.BornTime == 0 {
		h.BornTime = r.At.UnixMilli()
		if r.Attempt == 0 {
			r.Cmd.Ext = setField(r.Cmd.Ext, "bornTime", h.BornTime)
		}
	}
	topic, err := p.check(r, target{topic: h.Topic, group: h.ConsumerGroup, queueID: h.QueueID, verb: "peeking message"})
	if err != nil {
		return nil, err
	}
	var filter Filter
	if p.live.Load().UseMessageFilterForNotification && h.ExpType != "" && h.Exp != "" {
		if filter, err = p.o.ParseFilter(h.Topic, h.ConsumerGroup, h.ExpType, h.Exp); err != nil {
			return nil, err
		}
	}
	has := p.notable(h, topic, filter.Match)
	resp := header.NotificationResponse{HasMsg: has}
	if !has && h.PollTime > 0 {
		k := hold.Key{Topic: h.Topic, Group: h.ConsumerGroup, QueueID: h.QueueID}
		x, result := p.notify.Add(r, k, topic.ReadQueueNums, time.UnixMilli(h.BornTime+h.PollTime), filter.wants())
		resp.PollingFull = result == hold.Full
		if result == hold.Held {
			// A message may have come between the look and now: nobody would tell.
			if p.notable(h, topic, filter.Match) && p.notify.Take(x) {
				r.Requeue()
			}
			return nil, nil
		}
	}
	return protocol.Reply(resp, nil), nil
}

// notable reports whether there is something that NOTIFICATION tells of.
func (p *Popper) notable(h *header.NotificationRequest, topic *body.TopicConfig, match func(int64) bool) bool {
	from, to := h.QueueID, h.QueueID+1
	if h.QueueID < 0 {
		from, to = 0, topic.ReadQueueNums
	}
	for id := from; id < to; id++ {
		if h.Order && p.order.Blocked(h.AttemptID, h.Topic, h.ConsumerGroup, id, 0) {
			continue
		}
		if p.matches(h.Topic, h.ConsumerGroup, id, match) {
			return true
		}
	}
	return p.retryAvailable(h.Topic, h.ConsumerGroup)
}

// matches reports whether a queue has a message for the group. Only a short rest is looked through for one
// that passes the filter of tags, and no more than 32 messages of it; others are not looked at.
// Java: NotificationProcessor.hasMsgFromQueue.
func (p *Popper) matches(topic, group string, id int32, match func(int64) bool) bool {
	at := p.nextOffset(topic, group, id)
	rest := p.o.Store.MaxOffset(topic, id) - at
	q := p.o.Store.Find(topic, id)
	if rest <= 0 || q == nil {
		return false
	}
	if match == nil || rest >= int64(p.live.Load().MaxMessageFilterNumForNotification) {
		return true
	}
	var buf [32 * consumequeue.UnitSize]byte
	n, err := q.Read(max(at, q.Min()), buf[:])
	if err != nil {
		return true // the pop will say what is wrong
	}
	for i := range n {
		if match(consumequeue.GetUnit(buf[i*consumequeue.UnitSize:]).TagsCode) {
			return true
		}
	}
	return n < int(rest)
}

// pollingInfo handles POLLING_INFO: how many pops wait. Java: PollingInfoProcessor.
func (p *Popper) pollingInfo(r *mux.Request, h *header.PollingInfoRequest) (*protocol.Command, error) {
	if _, err := p.check(r, target{topic: h.Topic, group: h.ConsumerGroup, queueID: h.QueueID, verb: "peeking message"}); err != nil {
		return nil, err
	}
	n := p.hold.Len(hold.Key{Topic: h.Topic, Group: h.ConsumerGroup, QueueID: h.QueueID})
	return protocol.Reply(header.PollingInfoResponse{PollingNum: int32(n)}, nil), nil
}
