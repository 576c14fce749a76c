package commitlog

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Verifier looks through whole files of the log on several cores, ahead of a walk in order: recovery spends
// its time on checksums and on copying from the page cache.
type Verifier struct {
	files   map[int64]*verified
	stop    atomic.Bool
	workers sync.WaitGroup
	seen    func(bytes int64)
}

type verified struct {
	done   chan struct{}
	newest int64
	whole  bool
}

// VerifyFiles begins to look through the files from offset on, but for the last one, which is seldom full.
// Close ends it. seen is told, on several goroutines, of bytes that were looked through; it must be cheap.
func (l *Log) VerifyFiles(from int64, seen func(bytes int64)) *Verifier {
	v := &Verifier{files: map[int64]*verified{}, seen: seen}
	var todo []int64
	for _, base := range l.FileStarts() {
		if base >= from {
			todo = append(todo, base)
		}
	}
	if len(todo) < 2 {
		return v
	}
	todo = todo[:len(todo)-1]
	next := make(chan int64, len(todo))
	for _, base := range todo {
		v.files[base] = &verified{done: make(chan struct{})}
		next <- base
	}
	close(next)
	for range min(runtime.GOMAXPROCS(0), len(todo)) {
		v.workers.Go(func() {
			for base := range next {
				f := v.files[base]
				f.newest, f.whole = v.look(l, base)
				close(f.done)
			}
		})
	}
	return v
}

// seenEvery is how many bytes are told of at once.
const seenEvery = 1 << 20

// look reports whether a file holds whole records to its end, and the newest store timestamp, ms.
func (v *Verifier) look(l *Log, base int64) (newest int64, whole bool) {
	sc, told := l.ScanAhead(base), base
	defer sc.Close()
	defer func() { v.seen(sc.at - told) }()
	for end := base + l.o.FileSize; sc.at < end && !v.stop.Load(); {
		if n := sc.at - told; n >= seenEvery {
			v.seen(n)
			told = sc.at
		}
		r, _, ok := sc.Next()
		if !ok || r.PhysicalOffset >= end {
			return newest, sc.at >= end
		}
		newest = max(newest, r.StoreTimestamp)
		whole = sc.at == end
	}
	return newest, whole
}

// Whole waits for the file that begins at base and returns the newest store timestamp in it, ms. ok is
// false when the file has to be walked: it is not whole, or no file of this Verifier.
func (v *Verifier) Whole(base int64) (newest int64, ok bool) {
	f := v.files[base]
	if f == nil {
		return 0, false
	}
	<-f.done
	return f.newest, f.whole
}

// Close ends the work and waits for it.
func (v *Verifier) Close() {
	v.stop.Store(true)
	v.workers.Wait()
}
