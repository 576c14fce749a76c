package pop

import (
	"strings"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/broker/pop/receipt"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

type queueKey struct {
	topic, group string
	id           int32
}

// queue is what the broker knows of a queue that a group pops.
type queue struct {
	key  queueKey
	sem  chan struct{} // the queue's lock
	gone bool          // out of the table; who holds the lock of such a queue holds nothing

	mu       sync.Mutex
	ahead    []*popped // pops whose end is not committed yet, oldest first; only with enablePopBufferMerge
	inFlight int64     // messages that are popped and neither acknowledged nor revived
	used     time.Time
}

// popped is one pop in the order of its queue.
type popped struct {
	next int64 // queue offset behind it
	done bool
}

// queues are all queues that were popped of late.
type queues struct {
	mu    sync.RWMutex
	m     map[queueKey]*queue
	swept time.Time
}

// forgetAfter is how long a queue is kept that nobody pops. Java: PopBufferMergeService.scanGarbage, 5 min.
const forgetAfter = 5 * time.Minute

// get returns a queue, which is made when it is new.
func (s *queues) get(topic, group string, id int32) *queue {
	k := queueKey{topic, group, id}
	s.mu.RLock()
	q := s.m[k]
	s.mu.RUnlock()
	if q != nil {
		return q
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q = s.m[k]; q == nil {
		k.topic, k.group = strings.Clone(topic), strings.Clone(group)
		q = &queue{key: k, sem: make(chan struct{}, 1), used: time.Now()}
		s.m[k] = q
		s.sweep(q.used)
	}
	return q
}

// find returns a queue, nil when nobody has popped it of late.
func (s *queues) find(topic, group string, id int32) *queue {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[queueKey{topic, group, id}]
}

// sweep forgets queues that nobody uses; the caller holds s.mu. It is done when queues are added, which is
// when they can become too many.
func (s *queues) sweep(now time.Time) {
	if now.Sub(s.swept) < forgetAfter {
		return
	}
	s.swept = now
	for k, q := range s.m {
		if !q.tryLock() {
			continue
		}
		q.mu.Lock()
		if len(q.ahead) == 0 && q.inFlight <= 0 && now.Sub(q.used) > forgetAfter {
			q.gone = true
			delete(s.m, k)
		}
		q.mu.Unlock()
		q.unlock()
	}
}

// tryLocked returns a queue with its lock taken; locked is false when somebody else holds it.
func (s *queues) tryLocked(topic, group string, id int32) (q *queue, locked bool) {
	for {
		q = s.get(topic, group, id)
		if !q.tryLock() {
			return q, false
		}
		if !q.gone {
			return q, true
		}
		q.unlock()
	}
}

// locked returns a queue with its lock taken. The lock is held for reads and writes of the disk.
func (s *queues) locked(topic, group string, id int32) *queue {
	for {
		q := s.get(topic, group, id)
		q.lock()
		if !q.gone {
			return q
		}
		q.unlock()
	}
}

func (q *queue) tryLock() bool {
	select {
	case q.sem <- struct{}{}:
		return true
	default:
		return false
	}
}

func (q *queue) lock()      { q.sem <- struct{}{} }
func (q *queue) unlock()    { <-q.sem }
func (q *queue) busy() bool { return len(q.sem) > 0 }

// latest returns the offset behind the newest pop that is not committed, -1 when there is none.
func (q *queue) latest() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.ahead); n > 0 {
		return q.ahead[n-1].next
	}
	return -1
}

// push notes a pop behind those that are not committed.
func (q *queue) push(x *popped) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ahead = append(q.ahead, x)
}

// finish marks x as done and commits the offset behind all pops that are done in a row.
func (p *Popper) finish(q *queue, x *popped) {
	q.mu.Lock()
	defer q.mu.Unlock()
	x.done = true
	n := 0
	for n < len(q.ahead) && q.ahead[n].done {
		n++
	}
	if n == 0 {
		return // it waits for older ones, or was cleared
	}
	// Under q.mu, or an older commit could overtake a newer one.
	p.o.Offsets.Commit("pop", q.key.group, q.key.topic, q.key.id, q.ahead[n-1].next)
	clear(q.ahead[:n])
	if q.ahead = q.ahead[n:]; len(q.ahead) == 0 {
		q.ahead = nil
	}
}

// passed commits that the group has nothing to get up to next.
func (p *Popper) passed(q *queue, next int64) {
	x := &popped{next: next}
	q.push(x)
	p.finish(q, x)
}

func (q *queue) clear() {
	q.mu.Lock()
	q.ahead = nil
	q.mu.Unlock()
}

// fly changes how many messages are in flight.
func (q *queue) fly(n int) {
	q.mu.Lock()
	q.inFlight = max(q.inFlight+int64(n), 0)
	q.used = time.Now()
	q.mu.Unlock()
}

func (q *queue) land() {
	q.mu.Lock()
	q.inFlight = 0
	q.mu.Unlock()
}

// landed notes that messages are no longer in flight. Those of an earlier run of the broker were never counted.
func (p *Popper) landed(topic, group string, queueID int32, popTime int64, n int) {
	if popTime < p.started {
		return
	}
	if q := p.queues.find(topic, group, queueID); q != nil {
		full := p.tooMany(q)
		q.fly(-n)
		if full && !p.tooMany(q) {
			p.wake(q)
		}
	}
}

// tooMany reports whether too many messages of the queue are in flight for more to be popped.
func (p *Popper) tooMany(q *queue) bool {
	if !p.live.Load().EnablePopMessageThreshold {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inFlight > p.live.Load().PopInflightMessageThreshold
}

// offset returns where the group goes on in a queue. It may be called without the queue's lock; the offset may
// then be old already. Java: PopMessageProcessor.getPopOffset.
func (p *Popper) offset(q *queue, initMode int32) int64 {
	at, ok := p.o.Offsets.Query(q.key.group, q.key.topic, q.key.id)
	if !ok {
		at = p.firstOffset(q.key.topic, q.key.id, initMode)
	}
	return max(at, q.latest())
}

// start is offset for a pop: it takes over a reset and fixes where a new group begins. The caller holds the
// queue's lock.
func (p *Popper) start(q *queue, initMode int32) int64 {
	k := q.key
	if at, ok := p.o.Offsets.TakeReset(k.group, k.topic, k.id); ok {
		p.order.Clear(k.topic, k.group, k.id)
		q.clear()
		p.o.Offsets.Commit("pop", k.group, k.topic, k.id, at)
		return at
	}
	at, ok := p.o.Offsets.Query(k.group, k.topic, k.id)
	if !ok {
		at = p.firstOffset(k.topic, k.id, initMode)
		p.o.Offsets.Commit("pop", k.group, k.topic, k.id, at)
	}
	return max(at, q.latest())
}

// firstOffset returns where a group without an offset begins. Java: PopMessageProcessor.getInitOffset.
func (p *Popper) firstOffset(topic string, queueID, initMode int32) int64 {
	first := p.o.Store.MinOffset(topic, queueID)
	if initMode == header.PopInitMin || receipt.IsRetry(topic) {
		return first
	}
	if p.o.InitPopOffsetByCheckMsgInMem && first <= 0 && p.o.Store.InMemory(topic, queueID, 0) {
		return 0
	}
	return max(p.o.Store.MaxOffset(topic, queueID)-1, 0) // the last message, so that there is an offset to commit
}
