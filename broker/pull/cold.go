package pull

import (
	"time"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// Cold counts what groups read that is no longer in memory.
type Cold interface {
	// Over reports whether the group has to be slowed down.
	Over(group string) bool
	// Add counts bytes that the group has read.
	Add(group string, bytes int64)
}

// coldHold is how long a pull of cold data is held. Java: ColdDataPullRequestHoldService.coldHoldTimeoutMillis; it
// looks every 5 s.
const coldHold = 3 * time.Second

// chill slows down a pull of cold data of a group that has read too much of it: a push consumer is told to come
// again, the others' pulls are held and get one message then. done says that nothing more is to be done now.
// Java: PullMessageProcessor.processRequest.
func (p *Puller) chill(r *mux.Request, h *header.PullMessageRequest, q *consumequeue.Queue) (resp *protocol.Command, done bool) {
	if p.o.Cold == nil || !p.o.Cold.Over(h.ConsumerGroup) || !p.o.Store.Cold(q, h.QueueOffset) {
		return nil, false
	}
	switch p.o.ConsumeType(h.ConsumerGroup) {
	case body.ConsumePassively:
		return protocol.NewResponse(protocol.SystemBusy, "This consumer group is reading cold data. It has been flow control"), true
	case body.ConsumePop:
		return nil, false
	}
	if r.Attempt > 0 {
		h.MaxMsgNums = 1
		return nil, false
	}
	if h.SysFlag&header.PullCommitOffset != 0 { // a pull that runs again does not commit
		p.o.Offsets.Commit(r.Conn.Remote().String(), h.ConsumerGroup, h.Topic, h.QueueID, h.CommitOffset)
	}
	p.hold.freeze(r, coldHold)
	return nil, true
}

// countRead counts a look at a queue that found nothing, and what was read that is cold.
func (p *Puller) countRead(h *header.PullMessageRequest, res *store.GetResult) {
	if res.Messages == 0 {
		p.o.Missed()
	}
	if res.Cold > 0 && p.o.Cold != nil {
		p.o.Cold.Add(h.ConsumerGroup, res.Cold)
	}
}
