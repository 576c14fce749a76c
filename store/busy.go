package store

import "time"

// Busy returns for how long the append goroutine has not taken the oldest group that waits: Java's
// "page cache busy" signal.
func (s *Store) Busy() time.Duration {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if len(s.in.groups) == 0 {
		return 0
	}
	return max(0, s.o.Now().Sub(s.in.groups[0].at))
}

// Stalled reports whether the disk keeps the append goroutine from its work: it is at one round, or has left a
// group waiting, for longer than osPageCacheBusyTimeOutMills. A full disk does not count, Submit names that.
// Java: DefaultMessageStore.isOSPageCacheBusy.
func (s *Store) Stalled() bool {
	limit := s.live.Load().OsPageCacheBusyTimeOutMills
	if s.unitsFull.Load() != nil {
		return false
	}
	if since := s.roundSince.Load(); since > 0 && s.o.Now().UnixMilli()-since > limit {
		return true
	}
	return s.Busy().Milliseconds() > limit
}

// TurnAway gives the groups that wait for the append goroutine and are Impatient back to their owners, with err.
// Owner.Appended is called for them on the caller's goroutine.
func (s *Store) TurnAway(err error) {
	in := &s.in
	in.mu.Lock()
	var gone []*Group
	if len(in.groups) > 0 {
		at, rest := in.groups[0].at, in.groups[:0]
		for _, g := range in.groups {
			if g.Impatient {
				gone = append(gone, g)
				in.bytes -= int64(len(g.Buf))
			} else {
				rest = append(rest, g)
			}
		}
		clear(in.groups[len(rest):])
		if in.groups = rest; len(rest) > 0 {
			rest[0].at = at // it came later; how much later was not noted
		}
	}
	in.mu.Unlock()
	s.finish(gone, err)
}
