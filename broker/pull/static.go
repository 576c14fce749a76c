package pull

import (
	"context"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

// logicalPull is a pull of a logical queue, put into the terms of the physical queue where the messages lie.
type logicalPull struct {
	queue mapping.Queue
	item  *mapping.Item
}

func (l *logicalPull) here() bool { return l.queue.Here(l.item) }

// told is what the client is told of a result. nil stands for an ordinary pull.
func (l *logicalPull) told(h *header.PullMessageRequest, res store.GetResult) mapping.Pulled {
	p := mapping.Pulled{Code: responseCode(res.Status, h.QueueOffset), Next: res.NextOffset, Min: res.MinOffset, Max: res.MaxOffset}
	if l == nil {
		return p
	}
	return l.queue.Pull(l.item, h.QueueOffset, p)
}

// logical puts the request into physical terms; nil without a refusal when it is that already.
// Java: PullMessageProcessor.rewriteRequestForStaticTopic.
func (p *Puller) logical(r *mux.Request, d *mapping.Detail, h *header.PullMessageRequest) (*logicalPull, *protocol.Command) {
	if mapping.IsPhysical(r.Cmd.Ext) {
		return nil, nil
	}
	q, err := mapping.Lead(d, h.QueueID)
	if err != nil {
		return nil, refusal(0, protocol.NotLeaderForQueue, "%s-%d cannot find mapping item in request process of current broker %s", h.Topic, h.QueueID, d.Bname)
	}
	l := &logicalPull{q, q.At(h.QueueOffset)}
	if l.item == nil {
		return nil, refusal(0, protocol.SystemError, "the offsets of queue %d of topic %s are not decided yet", h.QueueID, h.Topic)
	}
	// Java stores the logical offset as if it were one of the physical queue that is pulled.
	if at := q.At(h.CommitOffset); q.Here(at) && at.QueueID == l.item.QueueID {
		h.CommitOffset = mapping.Physical(at, h.CommitOffset)
	} else {
		h.SysFlag &^= header.PullCommitOffset // the client's own update of the offset finds the way
	}
	h.QueueID, h.QueueOffset = l.item.QueueID, mapping.Physical(l.item, h.QueueOffset)
	h.MaxMsgNums = mapping.Limit(l.item, h.MaxMsgNums)
	return l, nil
}

// remotes are the goroutines that wait for other brokers. Each answers one request, which counts among those that a
// connection may have waiting.
type remotes struct {
	ctx    context.Context // ends when close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex // a leaf
	closed bool
}

func newRemotes() *remotes {
	r := &remotes{}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// run runs fn on a goroutine of its own and reports whether it may still.
func (r *remotes) run(fn func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.wg.Go(fn)
	}
	return !r.closed
}

func (r *remotes) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}

// forward gets the messages of the other broker. It does not hold the lane's worker meanwhile.
func (p *Puller) forward(r *mux.Request, l *logicalPull, h *header.PullMessageRequest) *protocol.Command {
	if p.remotes.run(func() { r.Reply(p.remote(r, l, h)) }) {
		return nil
	}
	return refusal(0, protocol.SystemError, "the broker is shutting down")
}

func (p *Puller) remote(r *mux.Request, l *logicalPull, h *header.PullMessageRequest) *protocol.Command {
	suspend := h.SysFlag&header.PullSuspend != 0
	h.SysFlag &^= header.PullSuspend | header.PullCommitOffset
	cmd := protocol.NewRequest(protocol.PullMessage, *h)
	cmd.Ext = append(cmd.Ext, mapping.PhysicalAt(l.item)...)
	resp, err := p.o.Remote(p.remotes.ctx, l.item.Bname, cmd)
	if err != nil {
		return protocol.NewResponse(protocol.SystemError, err.Error())
	}
	switch resp.Code {
	case protocol.Success, protocol.PullNotFound, protocol.PullRetryImmediately, protocol.PullOffsetMoved:
	default:
		return refusal(0, protocol.SystemError, "broker %s refused a pull of queue %d of topic %s with code %d: %s", l.item.Bname, h.QueueID, h.Topic, resp.Code, resp.Remark)
	}
	var found header.PullMessageResponse
	if err := protocol.DecodeHeader(resp.Ext, &found); err != nil {
		return protocol.NewResponse(protocol.SystemError, err.Error())
	}
	told := l.queue.Pull(l.item, h.QueueOffset, mapping.Pulled{Code: resp.Code, Next: found.NextBeginOffset, Min: found.MinOffset, Max: found.MaxOffset})
	if told.Code == protocol.PullNotFound && suspend && !r.Conn.Closed() {
		// The queue is on its way here, and the client would ask again at once.
		select {
		case <-p.remotes.ctx.Done():
		case <-time.After(p.live.Load().ShortPolling):
		}
	}
	found.NextBeginOffset, found.MinOffset, found.MaxOffset, found.OffsetDelta = told.Next, told.Min, told.Max, &told.Delta
	out := protocol.Reply(found, resp.Body)
	out.Code, out.Remark = told.Code, resp.Remark
	return out
}
