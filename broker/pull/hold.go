package pull

import (
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// hold keeps pulls that have come to the end of their queue until a message arrives that they want or
// their time is over. Then they run again on their lane, for an answer at once. Java: PullRequestHoldService.
//
// A held pull stands in its queue's list and in the slot of the time wheel at which it ends. Whoever
// takes it first, arrival or sweep, wins.
type hold struct {
	mu sync.Mutex
	// waiting lists the held pulls of a queue.
	waiting map[*consumequeue.Queue][]*held
	began   time.Time         // of slot 0; a wall clock that is set does not matter
	slots   map[int64][]*held // by end time / slotLength
	next    int64             // first slot not swept yet
	due     int64             // slot at which the sweep looks again
	wake    chan struct{}     // it is to look earlier
	closed  bool
	stop    chan struct{}
	done    chan struct{}
}

type held struct {
	q      *consumequeue.Queue // nil: put off, not held
	offset int64
	filter *Filter
	r      *mux.Request
	slot   int64
	at     int  // index in its slot
	pos    int  // index in its queue's list
	frozen bool // put off for its own sake: it counts as tried
}

// slotLength is how exactly a pull's end is kept. Java looks every 5 s.
const slotLength = 50 * time.Millisecond

// goneEvery is how often pulls of closed connections are given up, in slots. The time a pull may wait is the
// client's to choose, so its end cannot be waited for.
const goneEvery = 100

func newHold() *hold {
	h := &hold{waiting: map[*consumequeue.Queue][]*held{}, slots: map[int64][]*held{}, began: time.Now(),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go h.sweep()
	return h
}

func (h *hold) slotOf(t time.Time) int64 { return int64(t.Sub(h.began) / slotLength) }

func (h *hold) add(q *consumequeue.Queue, offset int64, f *Filter, r *mux.Request, wait time.Duration) {
	x := &held{q: q, offset: offset, filter: f, r: r}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		r.Requeue()
		return
	}
	x.pos = len(h.waiting[q])
	h.waiting[q] = append(h.waiting[q], x)
	h.schedule(x, wait)
	q.Waiters.Add(1)
	// A message may have come between the look at the queue and now: nobody would tell.
	missed := q.Max() > offset
	if missed {
		h.take(x)
	}
	h.mu.Unlock()
	if missed {
		r.Requeue()
	}
}

// later runs a request of a congested connection again in a moment.
func (h *hold) later(r *mux.Request) { h.putOff(&held{r: r}, 0) }

// freeze runs a request again after wait, as one that was tried.
func (h *hold) freeze(r *mux.Request, wait time.Duration) { h.putOff(&held{r: r, frozen: true}, wait) }

func (h *hold) putOff(x *held, wait time.Duration) {
	r := x.r
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.schedule(x, wait)
	}
	h.mu.Unlock()
	if closed {
		r.Drop()
	}
}

// schedule puts x into the slot at which wait is over; the caller holds h.mu.
func (h *hold) schedule(x *held, wait time.Duration) {
	x.slot = max(h.slotOf(time.Now().Add(wait))+1, h.next)
	x.at = len(h.slots[x.slot])
	h.slots[x.slot] = append(h.slots[x.slot], x)
	if x.slot < h.due {
		h.due = x.slot
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

// take removes x from its slot and its queue's list and returns its request; the caller holds h.mu.
func (h *hold) take(x *held) *mux.Request {
	slot := h.slots[x.slot]
	last := len(slot) - 1
	slot[x.at] = slot[last]
	slot[x.at].at = x.at
	slot[last] = nil
	if last == 0 {
		delete(h.slots, x.slot)
	} else {
		h.slots[x.slot] = slot[:last]
	}
	if x.q == nil {
		return x.r
	}
	list := h.waiting[x.q]
	last = len(list) - 1
	list[x.pos] = list[last]
	list[x.pos].pos = x.pos
	list[last] = nil
	if last == 0 {
		delete(h.waiting, x.q)
	} else {
		h.waiting[x.q] = list[:last]
	}
	x.q.Waiters.Add(-1)
	return x.r
}

// Arrived wakes the pulls that want the message at queueOffset. It runs on the store's append goroutine.
func (p *Puller) Arrived(q *consumequeue.Queue, queueOffset, tagsCode int64, record []byte) {
	p.hold.arrived(q, queueOffset, arrival{tagsCode: tagsCode, record: record})
}

func (h *hold) arrived(q *consumequeue.Queue, queueOffset int64, a arrival) {
	h.mu.Lock()
	var few [8]*mux.Request
	woken := few[:0]
	list := h.waiting[q]
	any := q.Batch() && a.tagsCode == 0 // of a batch without a tag of its own only the client can tell what matches
	for i := len(list) - 1; i >= 0; i-- {
		if x := list[i]; x.offset <= queueOffset && (any || x.filter.wants(&a)) {
			woken = append(woken, h.take(x))
		}
	}
	h.mu.Unlock()
	for _, r := range woken {
		r.Requeue()
	}
}

// Moved runs the pulls of a static topic again whose queues may have gone to another broker: nothing would come for them
// here, and the client learns it. Java lets them wait for their time.
func (p *Puller) Moved(topic string) {
	h := p.hold
	h.mu.Lock()
	var woken []*mux.Request
	for q, list := range h.waiting {
		if q.Topic != topic {
			continue
		}
		for i := len(list) - 1; i >= 0; i-- { // take fills the gap from behind
			woken = append(woken, h.take(list[i]))
		}
	}
	h.mu.Unlock()
	for _, r := range woken {
		r.Requeue()
	}
}

// sweep sleeps from one slot that holds something to the next: most of the time a broker's pulls wait for long.
func (h *hold) sweep() {
	defer close(h.done)
	t := time.NewTimer(0)
	defer t.Stop()
	gone := int64(goneEvery)
	for {
		select {
		case <-h.stop:
			return
		case <-h.wake:
		case <-t.C:
		}
		slot := h.slotOf(time.Now())
		h.expire(slot)
		if slot >= gone {
			h.dropGone()
			gone = slot + goneEvery
		}
		t.Reset(time.Until(h.began.Add(time.Duration(h.nextDue(gone)) * slotLength)))
	}
}

// nextDue returns the first slot that holds something, limit when none in front of it does.
func (h *hold) nextDue(limit int64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due = h.next
	for h.due < limit && len(h.slots[h.due]) == 0 {
		h.due++
	}
	return h.due
}

// dropGone gives up the requests whose connection is closed.
func (h *hold) dropGone() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, slot := range h.slots {
		for i := len(slot) - 1; i >= 0; i-- { // take fills the gap from behind
			if x := slot[i]; x.r.Conn.Closed() {
				h.take(x).Drop()
			}
		}
	}
}

func (h *hold) expire(upTo int64) {
	var over, again []*mux.Request
	h.mu.Lock()
	for ; h.next <= upTo; h.next++ {
		for slot := h.slots[h.next]; len(slot) > 0; slot = h.slots[h.next] {
			x := slot[len(slot)-1]
			if r := h.take(x); x.q == nil && !x.frozen {
				again = append(again, r)
			} else {
				over = append(over, r)
			}
		}
	}
	h.mu.Unlock()
	for _, r := range over {
		r.Requeue()
	}
	for _, r := range again {
		r.Again()
	}
}

// close answers what is held and drops what was put off.
func (h *hold) close() {
	close(h.stop)
	<-h.done
	var all []*mux.Request
	h.mu.Lock()
	h.closed = true
	for _, slot := range h.slots {
		for i := len(slot) - 1; i >= 0; i-- {
			if x := slot[i]; x.q == nil {
				h.take(x).Drop()
			} else {
				all = append(all, h.take(x))
			}
		}
	}
	h.mu.Unlock()
	for _, r := range all {
		r.Requeue()
	}
}
