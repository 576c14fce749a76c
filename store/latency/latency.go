// Package latency counts durations in classes that double, at the price of a few atomic additions: for what
// happens too often to lock or allocate.
package latency

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Classes is how many classes a Histogram has: class i counts what took at most 2^i µs, the last what took
// longer than 2^24 µs, 16.8 s.
const Classes = 26

// Histogram counts durations. The zero value is empty; it is safe for concurrent use.
type Histogram struct {
	counts [Classes]atomic.Int64
	nanos  atomic.Int64
}

// Since counts the time that has passed since t.
func (h *Histogram) Since(t time.Time) { h.Observe(time.Since(t)) }

// Observe counts a duration.
func (h *Histogram) Observe(d time.Duration) {
	h.counts[class(d)].Add(1)
	h.nanos.Add(int64(d))
}

func class(d time.Duration) int {
	if d <= time.Microsecond {
		return 0
	}
	return min(bits.Len64(uint64((d-1)/time.Microsecond)), Classes-1)
}

// Longest keeps the longest of many durations. The zero value has seen none; it is safe for concurrent use.
type Longest struct{ nanos atomic.Int64 }

// Since notes the time that has passed since t.
func (l *Longest) Since(t time.Time) {
	took := int64(time.Since(t))
	for old := l.nanos.Load(); took > old && !l.nanos.CompareAndSwap(old, took); old = l.nanos.Load() {
	}
}

// Load returns the longest so far.
func (l *Longest) Load() time.Duration { return time.Duration(l.nanos.Load()) }

// Snapshot is what a Histogram has counted.
type Snapshot struct {
	Counts [Classes]int64 // by class, not summed up
	Sum    time.Duration
}

// Snapshot returns the counts so far; what is counted meanwhile may be in a part of them only.
func (h *Histogram) Snapshot() Snapshot {
	var s Snapshot
	for i := range h.counts {
		s.Counts[i] = h.counts[i].Load()
	}
	s.Sum = time.Duration(h.nanos.Load())
	return s
}

// Limit returns the upper bound of a class, which belongs to it; the last has none.
func Limit(class int) time.Duration { return time.Microsecond << class }
