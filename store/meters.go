package store

import (
	"time"

	"github.com/skylarkmq/skylark/store/latency"
)

// Meters are what a store measures of its own work.
type Meters struct {
	// Recovery is how long the start took to recover the store.
	Recovery time.Duration
	// Appends are how long rounds of writes took, Syncs how long making the CommitLog durable did, Dispatches how long it took
	// to make a round's messages visible to consumers: their units, the index, and waking who waits.
	Appends, Syncs, Dispatches latency.Snapshot
	// Memory is how many bytes of memory the process may use, of the machine's or its container's.
	Memory int64
	// LongestGet is how long one Get took at most.
	LongestGet time.Duration
	// IndexBehind is how many bytes of the log the index misses because it is being built.
	IndexBehind int64
}

// Meters returns the figures of now.
func (s *Store) Meters() Meters {
	m := Meters{Recovery: s.o.Progress.Now().Took, Appends: s.appendTimes.Snapshot(), Syncs: s.syncTimes.Snapshot(),
		Dispatches: s.dispatchTimes.Snapshot(), Memory: s.total, LongestGet: s.longestGet.Load()}
	if s.index != nil {
		m.IndexBehind = s.index.Behind()
	}
	return m
}

// took counts how long a piece of work has taken, and logs it when that is long, not more than once a second.
func (s *Store) took(h *latency.Histogram, work string, begun time.Time) {
	d := time.Since(begun)
	h.Observe(d)
	limit := time.Duration(s.o.SlowMillis) * time.Millisecond
	if limit <= 0 || d <= limit {
		return
	}
	now := begun.Add(d).UnixNano()
	if last := s.slowLogged.Load(); now-last >= int64(time.Second) && s.slowLogged.CompareAndSwap(last, now) {
		s.o.Logger.Warn().Str("work", work).Dur("ms", d).Msg("the disk was slow")
	}
}
