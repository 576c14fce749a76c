package consumer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// PullOptions of a Pull. Zero values take the defaults named.
type PullOptions struct {
	Options
	// ManualCommit leaves it to Commit to store offsets. Otherwise messages count as consumed when Poll is called
	// again, or Close.
	ManualCommit bool
	// MaxPoll is how many messages Poll returns at most; 0: 10. Java: DefaultLitePullConsumer.pullBatchSize.
	MaxPoll int
}

// Pull has the messages of its group polled: those of queues that it shares with the other consumers of the group or,
// without subscriptions, those of queues that it is assigned. All methods are safe from any goroutine.
// Java: DefaultLitePullConsumer.
type Pull struct {
	group
	o       PullOptions
	closing sync.Once

	pollMu   sync.Mutex
	left     task   // what Poll has not returned yet of a task
	returned []task // what was returned and is not committed
}

// NewPull returns a consumer that has begun. ctx bounds the beginning: finding the topics, and having the brokers
// check filters.
func NewPull(ctx context.Context, o PullOptions) (*Pull, error) {
	if err := o.Options.prepare(); err != nil {
		return nil, err
	}
	if o.MaxPoll <= 0 {
		o.MaxPoll = 10
	}
	p := &Pull{o: o}
	p.group.o, p.kind = &p.o.Options, body.ConsumeActively
	p.took = func(pq *processQueue, list []*entry) { p.tasks.put(task{pq, list}) }
	if len(o.Subscriptions) == 0 {
		p.fixed = []client.MessageQueue{}
	}
	if err := p.open(ctx, nil); err != nil {
		return nil, err
	}
	p.run()
	return p, nil
}

// ClientID returns what brokers call this consumer.
func (p *Pull) ClientID() string { return p.inst.ClientID() }

// Queues returns the queues of a topic that can be read, in order.
func (p *Pull) Queues(ctx context.Context, topic string) ([]client.MessageQueue, error) {
	r, err := p.inst.Route(ctx, topic)
	if err != nil {
		return nil, err
	}
	return slices.Clone(r.Readable), nil
}

// Assigned returns the queues that are this consumer's now.
func (p *Pull) Assigned() []client.MessageQueue {
	var out []client.MessageQueue
	for _, pq := range p.held() {
		out = append(out, pq.q)
	}
	slices.SortFunc(out, client.MessageQueue.Compare)
	return out
}

// Assign says which queues to take; it is for consumers without subscriptions. It replaces what was assigned before.
func (p *Pull) Assign(ctx context.Context, queues ...client.MessageQueue) error {
	if len(p.subs) > 0 {
		return fmt.Errorf("cannot assign queues: group %s has subscriptions", p.o.Group)
	}
	for _, q := range queues {
		if _, err := p.inst.Route(ctx, q.Topic); err != nil {
			return err
		}
	}
	p.mu.Lock()
	p.fixed = append([]client.MessageQueue{}, queues...)
	p.mu.Unlock()
	signal(p.wake)
	return nil
}

// Poll waits until there are messages, all of one queue, and returns up to PullOptions.MaxPoll of them. Its error is
// that of ctx, or ErrClosed.
func (p *Pull) Poll(ctx context.Context) ([]*client.MessageExt, error) {
	p.pollMu.Lock()
	defer p.pollMu.Unlock()
	if !p.o.ManualCommit {
		p.commitReturned()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	for {
		t := p.left
		p.left = task{}
		if t.pq == nil {
			var ok bool
			if t, ok = p.tasks.take(ctx); !ok {
				if p.ctx.Err() != nil {
					return nil, ErrClosed
				}
				return nil, ctx.Err()
			}
		}
		n := min(len(t.entries), p.o.MaxPoll)
		if !t.pq.begin(t.entries[:n], time.Now()) {
			continue // another consumer's now, or it was sought elsewhere
		}
		if n < len(t.entries) {
			p.left = task{t.pq, t.entries[n:]}
		}
		t.entries = t.entries[:n:n]
		p.returned = append(p.returned, t)
		list := messagesOf(t.entries)
		p.trace.Begin(p.o.Group, list)(0)
		p.stats.of(list[0].Topic).consumed(n, 0, 0)
		return list, nil
	}
}

// commitReturned notes that what Poll has returned is consumed; p.pollMu is held.
func (p *Pull) commitReturned() {
	for _, t := range p.returned {
		t.pq.finish(t.entries, func(offset int64) { p.offsets.update(t.pq.q, offset) })
	}
	p.returned = nil
}

// Commit notes that all that Poll has returned is consumed, and stores the offsets.
func (p *Pull) Commit(ctx context.Context) error {
	p.pollMu.Lock()
	p.commitReturned()
	p.pollMu.Unlock()
	return p.offsets.store(ctx)
}

// Committed returns the offset that the group has stored of a queue, -1 when there is none.
func (p *Pull) Committed(ctx context.Context, q client.MessageQueue) (int64, error) {
	if _, err := p.inst.Route(ctx, q.Topic); err != nil {
		return 0, err
	}
	return p.offsets.load(ctx, q)
}

// Seek has a queue, which must be this consumer's, go on at an offset: what Poll has not returned of it is forgotten.
// Nothing is stored until messages are consumed from there.
func (p *Pull) Seek(q client.MessageQueue, offset int64) error {
	p.mu.Lock()
	pq, ours := p.queues[q], p.queues[q] != nil || p.ending[q]
	if ours {
		p.seeks[q] = offset
	}
	p.mu.Unlock()
	if !ours {
		return fmt.Errorf("cannot seek: queue %d of topic %s at %s is not this consumer's", q.QueueID, q.Topic, q.BrokerName)
	}
	if pq != nil {
		p.drop(pq)
	}
	return nil
}

// Bounds returns the offsets of a queue's first message and behind its last.
func (p *Pull) Bounds(ctx context.Context, q client.MessageQueue) (first, end int64, err error) {
	return p.bounds(ctx, q)
}

// OffsetForTime returns the offset of a queue's first message that was stored at t or later.
func (p *Pull) OffsetForTime(ctx context.Context, q client.MessageQueue, t time.Time) (int64, error) {
	return p.offsetForTime(ctx, q, t)
}

// Pause has no more pulled of queues; what was pulled already is still polled.
func (p *Pull) Pause(queues ...client.MessageQueue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range queues {
		if p.paused[q] == nil {
			p.paused[q] = make(chan struct{})
		}
	}
}

// Resume ends Pause.
func (p *Pull) Resume(queues ...client.MessageQueue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range queues {
		if c := p.paused[q]; c != nil {
			close(c)
			delete(p.paused, q)
		}
	}
}

// Close stops pulling, stores offsets and takes leave of the brokers, as long as ctx allows. Polls fail with ErrClosed.
// Closing twice is fine.
func (p *Pull) Close(ctx context.Context) error {
	var err error
	p.closing.Do(func() {
		p.stop()
		p.wg.Wait()
		p.pollMu.Lock()
		if !p.o.ManualCommit {
			p.commitReturned()
		}
		p.pollMu.Unlock()
		err = p.close(ctx)
	})
	return err
}
