package transaction

import "sync"

// phase says who has a half message in hand.
type phase uint8

const (
	ending   phase = iota + 1 // a request stores what ends it
	ended                     // it is ended, and its op not stored yet
	renewing                  // the checker stores it again
)

type entry struct {
	phase phase
	kind  int32 // of its end: message.SysFlagCommit or SysFlagRollback
}

// ledger holds the half messages, by queue offset, that are in hand: requests and the checker find each other
// here, and the checker what no op message says yet.
type ledger struct {
	mu      sync.Mutex
	freed   *sync.Cond // when the checker has let go of some
	entries map[int64]entry
}

func (l *ledger) init() {
	l.freed = sync.NewCond(&l.mu)
	l.entries = map[int64]entry{}
}

// claim takes a half message for its end and reports whether it could; otherwise another request did, and was
// is the kind of that. A checker that is storing the message again is waited for.
func (l *ledger) claim(offset int64, kind int32) (was int32, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.entries[offset].phase == renewing {
		l.freed.Wait()
	}
	if e, taken := l.entries[offset]; taken {
		return e.kind, false
	}
	l.entries[offset] = entry{ending, kind}
	return kind, true
}

// end notes that half messages that were claimed are ended.
func (l *ledger) end(offsets []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, offset := range offsets {
		e := l.entries[offset]
		e.phase = ended
		l.entries[offset] = e
	}
}

// renew takes a half message for the checker, unless a request has it: then its phase is returned.
func (l *ledger) renew(offset int64) phase {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, taken := l.entries[offset]; taken {
		return e.phase
	}
	l.entries[offset] = entry{phase: renewing}
	return 0
}

// settle makes a half message that the checker has in hand an ended one.
func (l *ledger) settle(offset int64, kind int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[offset] = entry{ended, kind}
	l.freed.Broadcast()
}

// release forgets half messages.
func (l *ledger) release(offsets ...int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, offset := range offsets {
		delete(l.entries, offset)
	}
	l.freed.Broadcast()
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}
