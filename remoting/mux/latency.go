package mux

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// LatencyBounds are the upper bounds of the classes in which the times of requests are counted, each belonging to its
// class; there is one more for what took longer. Java: RemotingMetricsManager.getMetricsView.
var LatencyBounds = [...]time.Duration{1 * time.Millisecond, 3 * time.Millisecond, 5 * time.Millisecond, 7 * time.Millisecond, 10 * time.Millisecond,
	100 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second}

// Result says what became of an answer. Java: RemotingMetricsConstant.
type Result string

// The results.
const (
	ResultSuccess Result = "success"
	ResultOneway  Result = "oneway"
	ResultNotSent Result = "write_channel_failed" // the connection is closed
)

// Outcome is how a request ended, as far as requests are told apart when their times are counted.
type Outcome struct {
	Response int32 // code
	// Held: it waited for something to answer, as a pull at the end of its queue does.
	Held   bool
	Result Result
}

// Latency is how long the requests of a code with one outcome took, from their header to their answer.
type Latency struct {
	Code int32
	Outcome
	Counts [len(LatencyBounds) + 1]uint64 // by class, not summed up
	Sum    time.Duration
}

// latencies are those of one request code. Outcomes are few, so they are looked for one by one.
type latencies struct {
	list atomic.Pointer[[]*latency] // never changed in place
	mu   sync.Mutex                 // of who adds one
}

type latency struct {
	of     Outcome
	counts [len(LatencyBounds) + 1]atomic.Uint64
	nanos  atomic.Int64
}

// maxStray bounds the codes without a route that are counted each by themselves.
const maxStray = 64

func (l *latencies) observe(of Outcome, n int, took time.Duration) {
	x := l.find(of)
	if x == nil {
		x = l.add(of)
	}
	i := 0
	for i < len(LatencyBounds) && took > LatencyBounds[i] {
		i++
	}
	x.counts[i].Add(uint64(n))
	x.nanos.Add(int64(n) * int64(took))
}

func (l *latencies) find(of Outcome) *latency {
	if list := l.list.Load(); list != nil {
		for _, x := range *list {
			if x.of == of {
				return x
			}
		}
	}
	return nil
}

func (l *latencies) add(of Outcome) *latency {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x := l.find(of); x != nil {
		return x
	}
	var list []*latency
	if old := l.list.Load(); old != nil {
		list = append(list, *old...)
	}
	x := &latency{of: of}
	list = append(list, x)
	l.list.Store(&list)
	return x
}

func (l *latencies) append(dst []Latency, code int32) []Latency {
	list := l.list.Load()
	if list == nil {
		return dst
	}
	for _, x := range *list {
		out := Latency{Code: code, Outcome: x.of, Sum: time.Duration(x.nanos.Load())}
		for i := range x.counts {
			out.Counts[i] = x.counts[i].Load()
		}
		dst = append(dst, out)
	}
	return dst
}

// Observe counts requests of a code that were not answered through a Request, as those of Inline parts. It allocates
// nothing once the outcome is known.
func (m *Mux) Observe(code int32, of Outcome, n int, took time.Duration) {
	if r := m.routes[code]; r != nil {
		r.latencies.observe(of, n, took)
	}
}

// stray counts a request of a code without a route.
func (m *Mux) stray(code int32, of Outcome) {
	m.strays.mu.Lock()
	l := m.strays.by[code]
	if l == nil && len(m.strays.by) < maxStray {
		if m.strays.by == nil {
			m.strays.by = map[int32]*latencies{}
		}
		l = &latencies{}
		m.strays.by[code] = l
	}
	m.strays.mu.Unlock()
	if l != nil {
		l.observe(of, 1, 0)
	}
}

// Latencies returns how long requests took so far.
func (m *Mux) Latencies() []Latency {
	var out []Latency
	for code, r := range m.routes {
		out = r.latencies.append(out, code)
	}
	m.strays.mu.Lock()
	defer m.strays.mu.Unlock()
	for code, l := range m.strays.by {
		out = l.append(out, code)
	}
	return out
}

// Sent is the result of an answer to a request of c.
func Sent(c Conn, oneway bool) Result {
	switch {
	case oneway:
		return ResultOneway
	case c.Closed():
		return ResultNotSent
	}
	return ResultSuccess
}

// observe counts a request that is answered with a code.
func (r *Request) observe(response int32) {
	r.route.latencies.observe(Outcome{Response: response, Held: r.Attempt > 0, Result: Sent(r.Conn, r.Cmd.IsOneway())}, 1, time.Since(r.arrived))
}

// refused counts a request that is answered before it came to its handler.
func (s *Session) refused(response int32) {
	of := Outcome{Response: response, Result: Sent(s.conn, s.cmd.IsOneway())}
	if r := s.m.routes[s.cmd.Code]; r != nil && response != protocol.RequestCodeNotSupported {
		r.latencies.observe(of, 1, 0)
		return
	}
	s.m.stray(s.cmd.Code, of)
}
