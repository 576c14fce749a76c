package consumer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/client"
)

// entry is a message in hand.
type entry struct {
	m     *client.MessageExt
	done  bool
	began time.Time // when its listener was called; zero: it was not yet
}

// processQueue is what is in hand of one queue: messages in the order of their offsets. It ends when it is dropped;
// the same queue may come back as another processQueue. Java: ProcessQueue.
type processQueue struct {
	q      client.MessageQueue
	ctx    context.Context // ends when the queue is dropped
	cancel context.CancelFunc
	room   chan struct{} // holds a token when messages were taken out
	ready  chan struct{} // holds a token when messages were put in
	// Of the pull loop alone: the id of the broker to pull from next, and that it does not know LITE_PULL_MESSAGE.
	which  int64
	noLite bool
	lastPull, lastConsume, lockedAt,
	pulled atomic.Int64 // ms, but pulled: the offset that comes next

	mu      sync.Mutex
	entries []*entry // those before the first that is not done are gone
	count   int      // of those not done
	size    int64    // bytes of their bodies
	next    int64    // offset behind the last message that was put in
	dropped bool
}

func newProcessQueue(parent context.Context, q client.MessageQueue, from int64) *processQueue {
	p := &processQueue{q: q, room: make(chan struct{}, 1), ready: make(chan struct{}, 1), next: from}
	p.ctx, p.cancel = context.WithCancel(parent)
	now := time.Now().UnixMilli()
	p.lastPull.Store(now)
	p.lastConsume.Store(now)
	p.lockedAt.Store(now)
	p.pulled.Store(from)
	return p
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put takes messages, whose offsets ascend, and the offset behind them.
func (p *processQueue) put(messages []*client.MessageExt, next int64) []*entry {
	added := make([]*entry, len(messages))
	p.mu.Lock()
	for i, m := range messages {
		added[i] = &entry{m: m}
		p.size += int64(len(m.Body))
	}
	p.entries = append(p.entries, added...)
	p.count += len(added)
	p.next = next
	p.mu.Unlock()
	signal(p.ready)
	return added
}

// full tells whether no more is to be pulled.
func (p *processQueue) full(o *Options, ordered bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count > o.MaxCached || p.size > o.MaxCachedBytes ||
		!ordered && len(p.entries) > 0 && p.entries[len(p.entries)-1].m.QueueOffset-p.entries[0].m.QueueOffset > o.MaxSpan
}

// finish takes messages out. With none before them in hand it calls commit with the offset up to which all are
// consumed, unless the queue was dropped; commit runs under the queue's lock and must not wait.
func (p *processQueue) finish(list []*entry, commit func(offset int64)) {
	p.mu.Lock()
	for _, e := range list {
		if !e.done {
			e.done = true
			p.count--
			p.size -= int64(len(e.m.Body))
		}
	}
	at := 0
	for at < len(p.entries) && p.entries[at].done {
		p.entries[at] = nil
		at++
	}
	p.entries = p.entries[at:]
	if !p.dropped {
		commit(p.low())
	}
	p.mu.Unlock()
	signal(p.room)
}

// low is the offset up to which all is consumed; p.mu is held.
func (p *processQueue) low() int64 {
	if len(p.entries) > 0 {
		return p.entries[0].m.QueueOffset
	}
	return p.next
}

// advance notes that a pull has found nothing up to an offset, and commits it when nothing is in hand.
func (p *processQueue) advance(next int64, commit func(offset int64)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.entries) == 0 && !p.dropped && next > p.next {
		p.next = next
		commit(next)
	}
}

// head returns up to n messages from the front, which stay in hand.
func (p *processQueue) head(n int) []*entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*entry(nil), p.entries[:min(n, len(p.entries))]...)
}

// begin notes that a listener is called with messages; false when the queue was dropped meanwhile.
func (p *processQueue) begin(list []*entry, now time.Time) bool {
	p.lastConsume.Store(now.UnixMilli())
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range list {
		e.began = now
	}
	return !p.dropped
}

// stuck returns the messages at the front whose listener has been running since before then.
func (p *processQueue) stuck(then time.Time) []*entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, e := range p.entries {
		if e.done || e.began.IsZero() || e.began.After(then) {
			return append([]*entry(nil), p.entries[:i]...)
		}
	}
	return append([]*entry(nil), p.entries...)
}

// drop ends the queue: nothing is committed of it any more.
func (p *processQueue) drop() {
	p.freeze()
	p.cancel()
}

// freeze has nothing committed of the queue any more.
func (p *processQueue) freeze() {
	p.mu.Lock()
	p.dropped = true
	p.mu.Unlock()
}

// task is messages of one queue for a listener, or for Poll.
type task struct {
	pq      *processQueue
	entries []*entry
}

// tasks is a queue of them. Its length is bounded by what processQueues take.
type tasks struct {
	mu    sync.Mutex
	list  []task
	ready chan struct{} // holds a token when list has something
}

func newTasks() *tasks { return &tasks{ready: make(chan struct{}, 1)} }

func (t *tasks) put(list ...task) {
	t.mu.Lock()
	t.list = append(t.list, list...)
	t.mu.Unlock()
	signal(t.ready)
}

// take waits for a task until ctx ends.
func (t *tasks) take(ctx context.Context) (task, bool) {
	for {
		t.mu.Lock()
		if len(t.list) > 0 && ctx.Err() == nil {
			one := t.list[0]
			t.list[0] = task{}
			t.list = t.list[1:]
			more := len(t.list) > 0
			t.mu.Unlock()
			if more {
				signal(t.ready)
			}
			return one, true
		}
		t.mu.Unlock()
		select {
		case <-t.ready:
		case <-ctx.Done():
			signal(t.ready) // the token may have been meant for another taker
			return task{}, false
		}
	}
}
