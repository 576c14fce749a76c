package pull

import (
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// hold keeps pulls that have come to the end of their queue until a message arrives that they want or
// their time is over. Then they run again on their lane, for an answer at once. Java: PullRequestHoldService.
//
// A held pull stands in its queue's list and in the slot of the time wheel at which it ends. Whoever
// takes it first, arrival or sweep, wins.
type hold struct {
	store *store.Store
	mu    sync.Mutex
	// waiting lists the held pulls of a queue.
	waiting map[*consumequeue.Queue][]*held
	slots   map[int64][]*held // by end time / slotLength
	next    int64             // first slot not swept yet
	closed  bool
	stop    chan struct{}
	done    chan struct{}
}

type held struct {
	q      *consumequeue.Queue
	offset int64
	filter *Filter
	r      *mux.Request // nil once taken
}

// slotLength is how exactly a pull's end is kept. Java looks every 5 s.
const slotLength = 50 * time.Millisecond

func newHold(s *store.Store) *hold {
	h := &hold{store: s, waiting: map[*consumequeue.Queue][]*held{}, slots: map[int64][]*held{}, next: slotOf(time.Now()),
		stop: make(chan struct{}), done: make(chan struct{})}
	go h.sweep()
	return h
}

func slotOf(t time.Time) int64 { return t.UnixNano() / int64(slotLength) }

func (h *hold) add(q *consumequeue.Queue, offset int64, f *Filter, r *mux.Request, wait time.Duration) {
	x := &held{q: q, offset: offset, filter: f, r: r}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		r.Requeue()
		return
	}
	slot := max(slotOf(time.Now().Add(wait))+1, h.next)
	h.waiting[q] = append(h.waiting[q], x)
	h.slots[slot] = append(h.slots[slot], x)
	q.Waiters.Add(1)
	// A message may have come between the look at the queue and now: nobody would tell.
	missed := q.Max() > offset
	if missed {
		h.remove(x)
	}
	h.mu.Unlock()
	if missed {
		r.Requeue()
	}
}

// later runs a request of a congested connection again in a moment.
func (h *hold) later(r *mux.Request) {
	h.mu.Lock()
	closed := h.closed
	if !closed {
		slot := max(slotOf(time.Now())+1, h.next)
		h.slots[slot] = append(h.slots[slot], &held{r: r})
	}
	h.mu.Unlock()
	if closed {
		r.Drop()
	}
}

// remove takes x out of its queue's list; the caller holds h.mu and requeues the request it returns.
func (h *hold) remove(x *held) *mux.Request {
	r := x.r
	x.r = nil
	list := h.waiting[x.q]
	for i := range list {
		if list[i] == x {
			list[i] = list[len(list)-1]
			list[len(list)-1] = nil
			list = list[:len(list)-1]
			break
		}
	}
	if len(list) == 0 {
		delete(h.waiting, x.q)
	} else {
		h.waiting[x.q] = list
	}
	x.q.Waiters.Add(-1)
	return r
}

// Arrived wakes the pulls that want the message at queueOffset. It runs on the store's append goroutine.
func (p *Puller) Arrived(q *consumequeue.Queue, queueOffset, tagsCode int64) {
	p.hold.arrived(q, queueOffset, tagsCode)
}

func (h *hold) arrived(q *consumequeue.Queue, queueOffset, tagsCode int64) {
	h.mu.Lock()
	var few [8]*mux.Request
	woken := few[:0]
	list := h.waiting[q]
	for i := len(list) - 1; i >= 0; i-- {
		if x := list[i]; x.offset <= queueOffset && x.filter.Match(tagsCode) {
			woken = append(woken, h.remove(x))
		}
	}
	h.mu.Unlock()
	for _, r := range woken {
		r.Requeue()
	}
}

func (h *hold) sweep() {
	defer close(h.done)
	t := time.NewTicker(slotLength)
	defer t.Stop()
	for {
		select {
		case <-h.stop:
			return
		case now := <-t.C:
			h.expire(slotOf(now))
		}
	}
}

func (h *hold) expire(upTo int64) {
	var over, again []*mux.Request
	h.mu.Lock()
	for ; h.next <= upTo; h.next++ {
		for _, x := range h.slots[h.next] {
			switch {
			case x.q == nil:
				again = append(again, x.r)
			case x.r != nil:
				over = append(over, h.remove(x))
			}
		}
		delete(h.slots, h.next)
	}
	h.mu.Unlock()
	for _, r := range over {
		r.Requeue()
	}
	for _, r := range again {
		r.Again()
	}
}

func (h *hold) close() {
	close(h.stop)
	<-h.done
	h.mu.Lock()
	h.closed = true
	var all []*mux.Request
	for q, list := range h.waiting {
		for _, x := range list {
			all = append(all, x.r)
			x.r = nil
		}
		q.Waiters.Add(-int32(len(list)))
	}
	clear(h.waiting)
	h.mu.Unlock()
	for _, r := range all {
		r.Requeue()
	}
}
