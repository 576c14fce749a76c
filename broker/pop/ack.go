package pop

import (
	"encoding/base64"
	"fmt"
	"math/bits"
	"net/netip"
	"sync"

	"github.com/skylarkmq/skylark/broker/pop/hold"
	"github.com/skylarkmq/skylark/broker/pop/inorder"
	"github.com/skylarkmq/skylark/broker/pop/receipt"
	"github.com/skylarkmq/skylark/broker/pop/revivelog"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// ack handles ACK_MESSAGE. Java: AckMessageProcessor.
func (p *Popper) ack(r *mux.Request, h *header.AckMessageRequest) (*protocol.Command, error) {
	if err := p.checkAck(r.Conn.Remote(), h.Topic, h.QueueID, h.LiteTopic); err != nil {
		return nil, err
	}
	first, last := p.o.Store.MinOffset(h.Topic, h.QueueID), p.o.Store.MaxOffset(h.Topic, h.QueueID)
	if h.Offset < first || h.Offset > last {
		return nil, protocol.Errorf(protocol.NoMessage, "offset is illegal, key:%s@%d, commit:%d, store:%d~%d", h.Topic, h.QueueID, h.Offset, first, last)
	}
	handle, err := p.handle(h.ExtraInfo)
	if err != nil {
		return nil, err
	}
	if handle.ReviveQueueID == receipt.OrderQueue {
		if err := p.ackInOrder(r.Conn.Remote(), h.Topic, h.ConsumerGroup, h.QueueID, h.Offset, handle.PopTime); err != nil {
			return nil, err
		}
		return protocol.NewResponse(protocol.Success, ""), nil
	}
	a := revivelog.Ack{Offset: h.Offset, BrokerName: handle.BrokerName, Group: h.ConsumerGroup, PopTime: handle.PopTime,
		QueueID: h.QueueID, StartOffset: handle.StartOffset, Topic: h.Topic}
	p.putAck(&a, handle, 1, func(err error) { r.Reply(answer(err)) })
	return nil, nil
}

func answer(err error) *protocol.Command {
	if err != nil {
		return protocol.ErrorResponse(protocol.Errorf(protocol.SystemError, "%s", err))
	}
	return protocol.NewResponse(protocol.Success, "")
}

// checkAck is what ACK_MESSAGE and CHANGE_MESSAGE_INVISIBLETIME have in common.
func (p *Popper) checkAck(from netip.AddrPort, topic string, queueID int32, liteTopic string) error {
	t := p.o.Topics.Get(topic)
	if t == nil {
		return protocol.Errorf(protocol.TopicNotExist, "topic[%s] not exist, apply first please! %s", topic, faq)
	}
	if queueID >= t.ReadQueueNums || queueID < 0 {
		return protocol.Errorf(protocol.MessageIllegal, "queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d] consumer:[%s]", queueID, topic, t.ReadQueueNums, from)
	}
	if liteTopic != "" {
		return protocol.Errorf(protocol.InvalidParameter, "group type or bind topic not match.") // as Java where lite topics are not used
	}
	return nil
}

// handle reads a receipt handle.
func (p *Popper) handle(text string) (receipt.Handle, error) {
	h, err := receipt.Parse(text)
	if err == nil {
		err = p.checkHandle(h)
	}
	if err != nil {
		return h, protocol.Errorf(protocol.SystemError, "%s", err)
	}
	return h, nil
}

// checkHandle keeps what a client made up out of the revive log.
func (p *Popper) checkHandle(h receipt.Handle) error {
	if h.ReviveQueueID != receipt.OrderQueue && (h.ReviveQueueID < 0 || int(h.ReviveQueueID) >= len(p.reviver.queues)) {
		return fmt.Errorf("the receipt handle is illegal: there is no revive queue %d", h.ReviveQueueID)
	}
	if h.StartOffset < 0 || h.PopTime < 0 || h.InvisibleTime < 0 || h.InvisibleTime > p.live.Load().MaxInvisible.Milliseconds() {
		return fmt.Errorf("the receipt handle is illegal: offset %d, times %d and %d", h.StartOffset, h.PopTime, h.InvisibleTime)
	}
	return nil
}

// putAck notes acknowledgements in the buffer or the revive log; n is how many messages they are of. done is
// called once and must not block.
func (p *Popper) putAck(a *revivelog.Ack, h receipt.Handle, n int, done func(error)) {
	if p.buffer != nil && p.buffer.ack(a) {
		p.landed(a.Topic, a.Group, a.QueueID, a.PopTime, n)
		done(nil)
		return
	}
	p.open.Add(1)
	p.log.Ack(a, h.ReviveQueueID, h.PopTime+h.InvisibleTime, func(err error) {
		defer p.open.Done()
		if err != nil {
			p.o.Logger.Error().Err(err).Str("topic", a.Topic).Str("group", a.Group).Msg("cannot write a POP acknowledgement")
		} else {
			p.landed(a.Topic, a.Group, a.QueueID, a.PopTime, n)
		}
		done(err)
	})
}

// ackInOrder notes that a message popped in order is consumed. Java: AckMessageProcessor.ackOrderly.
func (p *Popper) ackInOrder(from netip.AddrPort, topic, group string, queueID int32, offset, popTime int64) error {
	q := p.queues.locked(topic, group, queueID)
	free := false
	defer func() { p.release(q, free) }()
	old, ok := p.o.Offsets.Query(group, topic, queueID)
	if ok && offset < old {
		return nil
	}
	next, outcome := p.order.Ack(topic, group, queueID, offset, popTime)
	switch outcome {
	case inorder.Illegal:
		return protocol.Errorf(protocol.MessageIllegal, "offset is illegal, key:%s@%s@%d, old:%d, commit:%d, next:%d, %s", topic, group, queueID, old, offset, -1, from)
	case inorder.Commit:
		if !p.o.Offsets.HasReset(group, topic, queueID) {
			p.o.Offsets.Commit(from.String(), group, topic, queueID, next)
		}
		free = true // release wakes somebody unless the queue is still blocked
	}
	p.landed(topic, group, queueID, popTime, 1)
	return nil
}

// queueFree wakes those who wait for a queue that is no longer blocked.
func (p *Popper) queueFree(topic, group string, queueID int32) {
	k := hold.Key{Topic: topic, Group: group, QueueID: queueID}
	if p.closed.Load() || !p.has(topic, group, queueID, 0) {
		return
	}
	p.hold.WakeAny(k)
	p.notify.WakeAny(k)
}

// maxBatch bounds the messages that one entry of a batch acknowledges. A checkpoint has 32.
const maxBatch = 1024

// batchAck handles BATCH_ACK_MESSAGE.
func (p *Popper) batchAck(r *mux.Request) (*protocol.Command, error) {
	var b body.BatchAckMessageRequestBody
	if len(r.Cmd.Body) > 0 {
		if err := body.Unmarshal(r.Cmd.Body, &b); err != nil {
			return nil, protocol.Errorf(protocol.SystemError, "%s", err)
		}
	}
	if len(b.Acks) == 0 {
		return protocol.NewResponse(protocol.NoMessage, ""), nil
	}
	batch := &batch{left: 1, r: r}
	for i := range b.Acks {
		if err := p.batchOne(batch, b.BrokerName, &b.Acks[i]); err != nil {
			batch.fail(err)
			break
		}
	}
	batch.done(nil)
	return nil, nil
}

// batch answers when all its acknowledgements are stored.
type batch struct {
	r    *mux.Request
	mu   sync.Mutex
	left int
	err  error
}

func (b *batch) add() {
	b.mu.Lock()
	b.left++
	b.mu.Unlock()
}

func (b *batch) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
}

func (b *batch) done(err error) {
	if err != nil {
		b.fail(protocol.Errorf(protocol.SystemError, "%s", err))
	}
	b.mu.Lock()
	b.left--
	over := b.left == 0
	b.mu.Unlock()
	switch {
	case over && b.err != nil:
		b.r.Reply(protocol.ErrorResponse(b.err))
	case over:
		b.r.Reply(protocol.NewResponse(protocol.Success, ""))
	}
}

func (p *Popper) batchOne(b *batch, brokerName string, x *body.BatchAck) error {
	topic, err := receipt.RealTopic(x.Topic, x.ConsumerGroup, x.Retry)
	if err != nil {
		return protocol.Errorf(protocol.SystemError, "%s", err)
	}
	handle := receipt.Handle{StartOffset: x.StartOffset, PopTime: x.PopTime, InvisibleTime: x.InvisibleTime, ReviveQueueID: x.ReviveQueueID, BrokerName: brokerName}
	if err := p.checkHandle(handle); err != nil {
		return protocol.Errorf(protocol.SystemError, "%s", err)
	}
	q := p.o.Store.Find(topic, x.QueueID)
	if q == nil || x.ConsumerGroup == "" {
		return nil // as Java: what cannot be meant is passed over
	}
	offsets, err := bitOffsets(x.BitSet, x.StartOffset, q.Min(), q.Max())
	if err != nil {
		return protocol.Errorf(protocol.SystemError, "%s", err)
	}
	if handle.ReviveQueueID == receipt.OrderQueue {
		for _, at := range offsets {
			if err := p.ackInOrder(b.r.Conn.Remote(), topic, x.ConsumerGroup, x.QueueID, at, x.PopTime); err != nil {
				b.fail(err)
			}
		}
		return nil
	}
	if len(offsets) == 0 {
		return nil
	}
	b.add()
	a := revivelog.Ack{Offset: -1, Offsets: offsets, BrokerName: brokerName, Group: x.ConsumerGroup, PopTime: x.PopTime,
		QueueID: x.QueueID, StartOffset: x.StartOffset, Topic: topic}
	p.putAck(&a, handle, len(offsets), b.done)
	return nil
}

// bitOffsets returns the queue offsets within [first, last] whose bits are set. Java: BitSet.valueOf, bit 0 the
// lowest of the first byte.
func bitOffsets(text string, start, first, last int64) ([]int64, error) {
	set, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the bit set of a batch is illegal: %w", err)
	}
	var out []int64
	for i, b := range set {
		for ; b != 0; b &= b - 1 {
			at := start + int64(i*8+bits.TrailingZeros8(b))
			if at < first || at > last {
				continue
			}
			if len(out) == maxBatch {
				return nil, fmt.Errorf("an entry of a batch acknowledges more than %d messages", maxBatch)
			}
			out = append(out, at)
		}
	}
	return out, nil
}
