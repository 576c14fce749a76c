// Package hold keeps the requests of POP consumers that wait for messages: POP_MESSAGE and NOTIFICATION. A
// request waits for one queue of a topic, or for any, on behalf of one group. When a message comes that it
// wants, or its time is over, it runs again on its lane. Java: PopLongPollingService.
//
// One goroutine ends the waiting of requests; it sleeps while none waits. Hold.mu is a leaf but for
// Options.Queue and the lanes' mutexes.
package hold

import (
	"container/heap"
	"container/list"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// AnyQueue stands for all queues of a topic.
const AnyQueue int32 = -1

// early is how long before its end a request is answered. Java: PopRequest.isTimeout.
const early = 50 * time.Millisecond

// maxWait bounds how long a request asks to be held: its times are the client's to choose.
const maxWait = 24 * time.Hour

// sweepEvery is how often requests of closed connections are given up, and topics nobody waits for forgotten.
const sweepEvery = 5 * time.Second

// linger is for how long a topic is listened to after the last request for it.
const linger = 10 * time.Second

// Key names what a request waits for.
type Key struct {
	Topic, Group string
	QueueID      int32 // or AnyQueue
}

// Result says what became of a request. Java: PollingResult.
type Result int

// The results of Add.
const (
	Held Result = iota
	Full
	TimedOut
)

// Options of a Hold.
type Options struct {
	// MaxTotal and MaxPerKey bound the requests. Java: maxPopPollingSize, popPollingSize.
	MaxTotal, MaxPerKey int
	// Queue returns a queue of a topic; its Waiters make the store tell of messages.
	Queue func(topic string, id int32) *consumequeue.Queue
	// ForceEvery wakes a request at every such queue offset, whether it wants the message or not, so that its
	// group gets past messages it does not want; 0: never. Java: popLongPollingForceNotifyInterval.
	ForceEvery int64
	// Last takes the request that came last first. Java: PopLongPollingService.notifyLast.
	Last bool
}

// Request is a request that waits.
type Request struct {
	r     *mux.Request
	wants func(tagsCode int64, record []byte) bool // nil: all
	end   time.Time
	heap  int // index in Hold.ends, -1: taken
	line  *line
	place *list.Element
}

// line is the requests of one key, the oldest in front.
type line struct {
	topic *topic
	list  list.List
}

type topic struct {
	groups map[string]map[int32]*line
	queues []*consumequeue.Queue // those listened to
	used   time.Time             // last time a request was added
	held   int
}

// Hold holds requests. All methods are safe for concurrent use.
type Hold struct {
	o       Options
	waiting atomic.Int64 // topics listened to

	mu     sync.Mutex
	topics map[string]*topic
	ends   ends
	closed bool

	wake chan struct{} // an earlier end, or the first request
	stop chan struct{}
	done chan struct{}
}

// Open starts the goroutine; Close ends it.
func Open(o Options) *Hold {
	h := &Hold{o: o, topics: map[string]*topic{}, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go h.run()
	return h
}

// Add holds r until end. queues is how many queues the topic has now. The request that is returned can be
// taken back with Take.
func (h *Hold) Add(r *mux.Request, k Key, queues int32, end time.Time, wants func(tagsCode int64, record []byte) bool) (*Request, Result) {
	now := time.Now()
	if limit := now.Add(maxWait); end.After(limit) {
		end = limit
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, TimedOut
	case len(h.ends) >= h.o.MaxTotal:
		return nil, Full
	case !now.Before(end.Add(-early)):
		return nil, TimedOut
	}
	l := h.line(k, queues)
	if l.list.Len() > h.o.MaxPerKey {
		return nil, Full
	}
	x := &Request{r: r, wants: wants, end: end.Add(-early), line: l}
	x.place = l.list.PushBack(x)
	l.topic.used = now
	l.topic.held++
	heap.Push(&h.ends, x)
	if x.heap == 0 {
		h.nudge()
	}
	return x, Held
}

// line returns the line of a key, which is made when it is new; the caller holds h.mu.
func (h *Hold) line(k Key, queues int32) *line {
	t := h.topics[k.Topic]
	if t == nil {
		t = &topic{groups: map[string]map[int32]*line{}}
		h.topics[strings.Clone(k.Topic)] = t
		h.waiting.Add(1)
	}
	for id := int32(len(t.queues)); id < queues; id++ {
		q := h.o.Queue(k.Topic, id)
		q.Waiters.Add(1)
		t.queues = append(t.queues, q)
	}
	g := t.groups[k.Group]
	if g == nil {
		g = map[int32]*line{}
		t.groups[strings.Clone(k.Group)] = g
	}
	l := g[k.QueueID]
	if l == nil {
		l = &line{topic: t}
		g[k.QueueID] = l
	}
	return l
}

// take removes x, which waits; the caller holds h.mu.
func (h *Hold) take(x *Request) *mux.Request {
	heap.Remove(&h.ends, x.heap)
	x.line.list.Remove(x.place)
	x.line.topic.held--
	return x.r
}

// Take takes x back and reports whether it still waited; then the caller has to see to it.
func (h *Hold) Take(x *Request) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if x.heap < 0 {
		return false
	}
	h.take(x)
	return true
}

// Arrived tells of a message. It wakes one request of each group for any queue, and one for this queue.
// It runs on a goroutine of the store.
func (h *Hold) Arrived(q *consumequeue.Queue, queueOffset, tagsCode int64, record []byte) {
	if h.waiting.Load() == 0 {
		return
	}
	force := h.o.ForceEvery > 0 && queueOffset%h.o.ForceEvery == 0
	var few [8]*mux.Request
	woken := few[:0]
	h.mu.Lock()
	if t := h.topics[q.Topic]; t != nil && t.held > 0 {
		for _, g := range t.groups {
			for _, id := range [...]int32{AnyQueue, q.ID} {
				if r := h.first(g[id], tagsCode, record, force); r != nil {
					woken = append(woken, r)
				}
			}
		}
	}
	h.mu.Unlock()
	for _, r := range woken {
		r.Requeue()
	}
}

// first takes the next request of a line if it wants the message; the caller holds h.mu.
func (h *Hold) first(l *line, tagsCode int64, record []byte, force bool) *mux.Request {
	if l == nil {
		return nil
	}
	for {
		e := l.list.Front()
		if h.o.Last {
			e = l.list.Back()
		}
		if e == nil {
			return nil
		}
		x := e.Value.(*Request)
		switch {
		case x.r.Conn.Closed():
			h.take(x).Drop()
		case force || x.wants == nil || x.wants(tagsCode, record):
			return h.take(x)
		default:
			return nil
		}
	}
}

// Wake runs one request of the key again whatever it waits for, and reports whether there was one.
func (h *Hold) Wake(k Key) bool {
	if h.waiting.Load() == 0 {
		return false
	}
	var r *mux.Request
	h.mu.Lock()
	if t := h.topics[k.Topic]; t != nil {
		r = h.first(t.groups[k.Group][k.QueueID], 0, nil, true)
	}
	h.mu.Unlock()
	if r == nil {
		return false
	}
	r.Requeue()
	return true
}

// WakeAny runs a request for any queue again, or else one for this queue.
func (h *Hold) WakeAny(k Key) {
	one := k
	one.QueueID = AnyQueue
	if !h.Wake(one) {
		h.Wake(k)
	}
}

// WakeGroup runs a request of the group again whatever it waits for, one for any queue if there is one.
func (h *Hold) WakeGroup(topic, group string) {
	if h.waiting.Load() == 0 {
		return
	}
	var r *mux.Request
	h.mu.Lock()
	if t := h.topics[topic]; t != nil {
		lines := t.groups[group]
		r = h.first(lines[AnyQueue], 0, nil, true)
		for _, l := range lines {
			if r != nil {
				break
			}
			r = h.first(l, 0, nil, true)
		}
	}
	h.mu.Unlock()
	if r != nil {
		r.Requeue()
	}
}

// Len returns how many requests of the key wait.
func (h *Hold) Len(k Key) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[k.Topic]; t != nil {
		if l := t.groups[k.Group][k.QueueID]; l != nil {
			return l.list.Len()
		}
	}
	return 0
}

func (h *Hold) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *Hold) run() {
	defer close(h.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	sweep := time.Now().Add(sweepEvery)
	for {
		select {
		case <-h.stop:
			return
		case <-h.wake:
		case <-timer.C:
		}
		now := time.Now()
		over, next := h.expire(now)
		for _, r := range over {
			r.Requeue()
		}
		if !now.Before(sweep) {
			h.sweep(now)
			sweep = now.Add(sweepEvery)
		}
		switch {
		case h.waiting.Load() == 0:
			timer.Stop()
		case next.IsZero() || next.After(sweep):
			timer.Reset(time.Until(sweep))
		default:
			timer.Reset(time.Until(next))
		}
	}
}

// expire takes the requests whose time is over and returns when the next one's is.
func (h *Hold) expire(now time.Time) (over []*mux.Request, next time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.ends) > 0 {
		if x := h.ends[0]; x.end.After(now) {
			return over, x.end
		}
		over = append(over, h.take(h.ends[0]))
	}
	return over, time.Time{}
}

func (h *Hold) sweep(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.ends) - 1; i >= 0; i-- {
		if i < len(h.ends) && h.ends[i].r.Conn.Closed() {
			h.take(h.ends[i]).Drop()
		}
	}
	for name, t := range h.topics {
		for group, lines := range t.groups {
			for id, l := range lines {
				if l.list.Len() == 0 {
					delete(lines, id)
				}
			}
			if len(lines) == 0 {
				delete(t.groups, group)
			}
		}
		if t.held == 0 && now.Sub(t.used) > linger {
			for _, q := range t.queues {
				q.Waiters.Add(-1)
			}
			delete(h.topics, name)
			h.waiting.Add(-1)
		}
	}
}

// Close runs all requests again; from now on Add answers TimedOut.
func (h *Hold) Close() {
	close(h.stop)
	<-h.done
	var all []*mux.Request
	h.mu.Lock()
	h.closed = true
	for len(h.ends) > 0 {
		all = append(all, h.take(h.ends[0]))
	}
	for _, t := range h.topics {
		for _, q := range t.queues {
			q.Waiters.Add(-1)
		}
	}
	clear(h.topics)
	h.waiting.Store(0)
	h.mu.Unlock()
	for _, r := range all {
		r.Requeue()
	}
}

// ends orders requests by their end.
type ends []*Request

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].end.Before(e[j].end) }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i]; e[i].heap, e[j].heap = i, j }

// Push implements heap.Interface.
func (e *ends) Push(x any) {
	r := x.(*Request)
	r.heap = len(*e)
	*e = append(*e, r)
}

// Pop implements heap.Interface.
func (e *ends) Pop() any {
	old := *e
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*e = old[:len(old)-1]
	r.heap = -1
	return r
}
