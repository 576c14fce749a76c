package commitlog

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
)

// Verifier looks through parts of the log on several cores, ahead of a walk in order: recovery spends its time on
// checksums and on copying from the page cache.
type Verifier struct {
	l       *Log
	parts   []*part // those that the walk has not passed, in order
	stop    atomic.Bool
	workers sync.WaitGroup
	seen    func(bytes int64)
}

// part is a range of one file. Where its first record begins is known for the first one of a file alone; of any other
// the one found counts only when the walk comes to it: a message may hold what looks like a record.
type part struct {
	from, to   int64
	done       chan struct{}
	first, end int64 // of the whole records that were found in it, one behind the other: from first up to end, at least to
	newest     int64 // store timestamp, ms
	whole      bool
}

// partSize is how much of the log is looked through at once; a var for tests.
var partSize int64 = 16 << 20

// Verify begins to look through the log from offset on, where a record or a file begins. Close ends it. seen is told,
// on several goroutines, of bytes that were looked through; it must be cheap.
func (l *Log) Verify(offset int64, seen func(bytes int64)) *Verifier {
	v := &Verifier{l: l, seen: seen}
	var parts []*part
	for _, base := range l.FileStarts() {
		end := base + l.o.FileSize
		for from := max(base, offset); from < end; from += partSize {
			parts = append(parts, &part{from: from, to: min(from+partSize, end), done: make(chan struct{})})
		}
	}
	if len(parts) < 2 {
		return v
	}
	v.parts = parts
	next := make(chan *part, len(parts))
	for _, p := range parts {
		next <- p
	}
	close(next)
	for range min(runtime.GOMAXPROCS(0), len(parts)) {
		v.workers.Go(func() {
			for p := range next {
				p.whole = !v.stop.Load() && v.look(p, p.from == offset || p.from%l.o.FileSize == 0)
				close(p.done)
			}
		})
	}
	return v
}

// seenEvery is how many bytes are told of at once.
const seenEvery = 1 << 20

// look reports whether whole records stand from the first that is found in p to its end.
func (v *Verifier) look(p *part, begins bool) bool {
	if !begins && !v.l.written(p.from) {
		return false
	}
	sc := v.l.ScanAhead(p.from)
	defer sc.Close()
	if !begins {
		if _, ok := sc.find(p.to); !ok {
			return false
		}
	}
	p.first = sc.at
	told := sc.at
	defer func() { v.seen(sc.at - told) }()
	for sc.at < p.to && !v.stop.Load() {
		if n := sc.at - told; n >= seenEvery {
			v.seen(n)
			told = sc.at
		}
		r, _, ok := sc.Next()
		switch {
		case !ok: // behind a filler it is the next file in which nothing stands
			p.end = sc.at
			return sc.at >= p.to
		case r.PhysicalOffset >= p.to: // the record behind a filler
			p.end = r.PhysicalOffset
			return true
		}
		p.newest = max(p.newest, r.StoreTimestamp)
	}
	p.end = sc.at
	return sc.at >= p.to
}

// written reports whether anything but zeros stands at offset, 4 KiB wide: files are as long as they will ever be from
// the beginning.
func (l *Log) written(offset int64) bool {
	b := make([]byte, min(4<<10, l.Left(offset)))
	return l.files.ReadAt(b, offset) == nil && len(bytes.Trim(b, "\x00")) > 0
}

// Whole waits for the part in which offset lies and reports whether its records begin there and are whole: then they
// go on at end, and newest is their newest store timestamp, ms. Otherwise the log has to be walked there.
func (v *Verifier) Whole(offset int64) (end, newest int64, ok bool) {
	for len(v.parts) > 0 && offset >= v.parts[0].to {
		v.parts = v.parts[1:]
	}
	if len(v.parts) == 0 || offset < v.parts[0].from {
		return 0, 0, false
	}
	p := v.parts[0]
	<-p.done
	return p.end, p.newest, p.whole && p.first == offset
}

// Close ends the work and waits for it.
func (v *Verifier) Close() {
	v.stop.Store(true)
	v.workers.Wait()
}
