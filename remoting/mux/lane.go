package mux

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// LaneOptions size a lane. The values come from Java's properties (sendMessageThreadPoolNums and so on).
type LaneOptions struct {
	Name     string
	Workers  int           // goroutines, at least 1
	Capacity int           // requests that may wait, at least 1
	MaxWait  time.Duration // a request that waited longer is refused with SYSTEM_BUSY; 0: never
	// Busy is asked every 50 ms, every 200 ms while no request waits, and must not block; nil: never. While it says so, requests to the lane's routes,
	// those of Inline parts too, are refused with SYSTEM_BUSY as they come, and with CleanBusy those that wait.
	// Java: NettyRequestProcessor.rejectRequest and BrokerFastFailure.
	Busy      func() bool
	CleanBusy bool
}

// Lane is a bounded queue of requests with a fixed number of workers.
type Lane struct {
	o    LaneOptions
	m    *Mux
	busy atomic.Bool // what Busy said; read for every request
	mu   sync.Mutex
	wake sync.Cond
	// queue is a ring: n requests from head on.
	queue     []*Request
	head, n   int
	closed    bool
	maxWait   atomic.Int64 // ns
	cleanBusy atomic.Bool
	wg        sync.WaitGroup
}

// NewLane makes a lane of the mux and starts its workers; Mux.Close ends them.
func (m *Mux) NewLane(o LaneOptions) *Lane {
	o.Workers, o.Capacity = max(o.Workers, 1), max(o.Capacity, 1)
	l := &Lane{o: o, m: m, queue: make([]*Request, min(o.Capacity, 64))}
	l.wake.L = &l.mu
	l.SetMaxWait(o.MaxWait)
	l.SetCleanBusy(o.CleanBusy)
	m.lanesMu.Lock()
	m.lanes = append(m.lanes[:len(m.lanes):len(m.lanes)], l)
	m.lanesMu.Unlock()
	for range o.Workers {
		l.wg.Go(l.work)
	}
	return l
}

// Name returns the lane's name.
func (l *Lane) Name() string { return l.o.Name }

// Capacity returns how many requests may wait.
func (l *Lane) Capacity() int { return l.o.Capacity }

// SetMaxWait changes LaneOptions.MaxWait, also for requests that wait already.
func (l *Lane) SetMaxWait(d time.Duration) { l.maxWait.Store(int64(d)) }

// SetCleanBusy changes LaneOptions.CleanBusy.
func (l *Lane) SetCleanBusy(clean bool) { l.cleanBusy.Store(clean) }

// Waiting returns how many requests wait and for how long the oldest has.
func (l *Lane) Waiting(now time.Time) (int, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == 0 {
		return 0, 0
	}
	return l.n, max(0, now.Sub(l.queue[l.head].At))
}

func (l *Lane) push(r *Request) bool {
	l.mu.Lock()
	if l.closed || l.n >= l.o.Capacity {
		l.mu.Unlock()
		return false
	}
	if l.n == len(l.queue) {
		bigger := make([]*Request, min(2*len(l.queue), l.o.Capacity))
		for i := range l.n {
			bigger[i] = l.queue[(l.head+i)%len(l.queue)]
		}
		l.queue, l.head = bigger, 0
	}
	l.queue[(l.head+l.n)%len(l.queue)] = r
	l.n++
	l.mu.Unlock()
	l.wake.Signal()
	return true
}

// pop takes the oldest request; the caller holds l.mu and l.n > 0.
func (l *Lane) pop() *Request {
	r := l.queue[l.head]
	l.queue[l.head] = nil
	l.head = (l.head + 1) % len(l.queue)
	l.n--
	return r
}

func (l *Lane) work() {
	for {
		l.mu.Lock()
		for l.n == 0 && !l.closed {
			l.wake.Wait()
		}
		if l.n == 0 {
			l.mu.Unlock()
			return
		}
		r := l.pop()
		l.mu.Unlock()
		r.run()
	}
}

// look asks whether the lane is busy and refuses what waited too long. It reports whether it is, or requests wait. Java: BrokerFastFailure.cleanExpiredRequest.
func (l *Lane) look(now time.Time) bool {
	if l.o.Busy != nil {
		busy := l.o.Busy()
		l.busy.Store(busy)
		if busy && l.cleanBusy.Load() {
			l.clean(now, -1, "PCBUSY_CLEAN_QUEUE")
		}
	}
	if limit := time.Duration(l.maxWait.Load()); limit > 0 {
		l.clean(now, limit, "TIMEOUT_CLEAN_QUEUE")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n > 0 || l.busy.Load()
}

// clean refuses what has waited for so long.
func (l *Lane) clean(now time.Time, wait time.Duration, why string) {
	for {
		l.mu.Lock()
		if l.n == 0 || wait >= 0 && now.Sub(l.queue[l.head].At) < wait {
			l.mu.Unlock()
			return
		}
		r, left := l.pop(), l.n
		l.mu.Unlock()
		l.m.stats.timedOut.Add(1)
		r.Reply(protocol.NewResponse(protocol.SystemBusy, fmt.Sprintf("[%s]broker busy, start flow control for a while, period in queue: %dms, size of queue: %d",
			why, max(0, now.Sub(r.At)).Milliseconds(), left)))
	}
}

func (l *Lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wake.Broadcast()
	l.wg.Wait()
}
