package pop

import (
	"time"

	"github.com/skylarkmq/skylark/broker/pop/receipt"
	"github.com/skylarkmq/skylark/broker/pop/revivelog"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// changeInvisibleTime handles CHANGE_MESSAGE_INVISIBLETIME: the message gets a checkpoint of its own, with the
// new time, and is acknowledged in the old one. Java: ChangeInvisibleTimeProcessor.
func (p *Popper) changeInvisibleTime(r *mux.Request, h *header.ChangeInvisibleTimeRequest) (*protocol.Command, error) {
	if err := p.checkAck(r.Conn.Remote(), h.Topic, h.QueueID, h.LiteTopic); err != nil {
		return nil, err
	}
	if h.Offset < p.o.Store.MinOffset(h.Topic, h.QueueID) || h.Offset >= p.o.Store.MaxOffset(h.Topic, h.QueueID) {
		return nil, protocol.Errorf(protocol.NoMessage, "")
	}
	if h.InvisibleTime < 0 || h.InvisibleTime > p.live.Load().MaxInvisible.Milliseconds() {
		return nil, protocol.Errorf(protocol.SystemError, "the invisible time %d is not within 0 and %d ms (timerMaxDelaySec)", h.InvisibleTime, p.live.Load().MaxInvisible.Milliseconds())
	}
	handle, err := p.handle(h.ExtraInfo)
	if err != nil {
		return nil, err
	}
	if handle.ReviveQueueID == receipt.OrderQueue {
		return p.changeInOrder(h, handle), nil
	}
	now := timeOfNext(handle.PopTime, time.Now().UnixMilli())
	ck := &revivelog.CheckPoint{BrokerName: handle.BrokerName, Diffs: []int32{0}, Group: h.ConsumerGroup, InvisibleTime: h.InvisibleTime, Num: 1,
		PopTime: now, QueueID: h.QueueID, StartOffset: h.Offset, Suspend: h.Suspend, Topic: h.Topic}
	a := &revivelog.Ack{Offset: h.Offset, BrokerName: handle.BrokerName, Group: h.ConsumerGroup, PopTime: handle.PopTime,
		QueueID: h.QueueID, StartOffset: handle.StartOffset, Topic: h.Topic}
	resp := header.ChangeInvisibleTimeResponse{PopTime: now, InvisibleTime: h.InvisibleTime, ReviveQueueID: handle.ReviveQueueID}
	p.open.Add(1)
	p.log.CheckPoint(ck, handle.ReviveQueueID, func(err error) {
		defer p.open.Done()
		if err != nil {
			r.Reply(answer(err))
			return
		}
		// Without this the message comes twice. It is in flight as before.
		if p.buffer != nil && p.buffer.ack(a) {
			r.Reply(protocol.Reply(resp, nil))
			return
		}
		p.open.Add(1)
		p.log.Ack(a, handle.ReviveQueueID, handle.PopTime+handle.InvisibleTime, func(err error) {
			defer p.open.Done()
			if err != nil {
				p.o.Logger.Error().Err(err).Str("topic", a.Topic).Str("group", a.Group).Msg("cannot write a POP acknowledgement; the message may come twice")
			}
			r.Reply(protocol.Reply(resp, nil))
		})
	})
	return nil, nil
}

// timeOfNext returns the pop time, ms, of the checkpoint that follows one of a pop time. It is another: by it the
// acknowledgement of the one is told from that of the other, and both may be of the same offset. Java takes now, and
// loses a message whose time is changed in the millisecond in which it was popped.
func timeOfNext(popTime, now int64) int64 {
	if ahead := popTime - now; 0 <= ahead && ahead < 1000 {
		return popTime + 1
	}
	return now
}

// changeInOrder sets when a message popped in order may be popped again.
func (p *Popper) changeInOrder(h *header.ChangeInvisibleTimeRequest, handle receipt.Handle) *protocol.Command {
	q := p.queues.locked(h.Topic, h.ConsumerGroup, h.QueueID)
	defer q.unlock()
	resp := header.ChangeInvisibleTimeResponse{}
	if old, ok := p.o.Offsets.Query(h.ConsumerGroup, h.Topic, h.QueueID); !ok || h.Offset >= old {
		visible := time.Now().UnixMilli() + h.InvisibleTime
		p.order.SetVisible(h.Topic, h.ConsumerGroup, h.QueueID, h.Offset, handle.PopTime, visible)
		resp = header.ChangeInvisibleTimeResponse{PopTime: handle.PopTime, InvisibleTime: visible - handle.PopTime, ReviveQueueID: handle.ReviveQueueID}
	}
	return protocol.Reply(resp, nil)
}
