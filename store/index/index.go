package index

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/fsys"
)

// Options say where the files are and what the index is built from. Max, Min and Scan are called from Open
// on until Close returns, by one goroutine at a time.
type Options struct {
	FS  fsys.FS // the real one when nil
	Dir string  // <root>/index
	// Slots and Entries are the shape of a file. Java: maxHashSlotNum 5000000, maxIndexNum 20000000.
	Slots, Entries int32
	// Now is the wall clock that names files; nil: time.Now.
	Now    func() time.Time
	Logger zerolog.Logger
	// Scan calls fn for the records of the CommitLog that are visible, from the one at offset from on, until fn
	// returns false. It returns the offset behind the last record fn was called with. Without a record at from
	// it calls nothing and returns from.
	Scan func(from int64, fn func(r *message.Record) bool) (next int64, err error)
	// Min returns the offset of the CommitLog's first byte, Max that behind its last visible record. What the
	// index knows of offsets from Max on at Open is of a log that a crash has cut, and is dropped.
	Min, Max func() int64
}

// ErrClosed is returned by Query behind Close.
var ErrClosed = errors.New("the message index is closed")

const (
	// maxPending bounds the entries in memory, about 6 MiB.
	maxPending = 256 << 10
	// writeAt is how many of them are written without waiting for writeEvery.
	writeAt    = maxPending / 2
	writeEvery = 10 * time.Second
)

// Index is the folder of index files and the batch in front of them. Java: IndexService.
type Index struct {
	o Options
	g geometry

	maxPending, writeAt int // lower in tests
	writeEvery          time.Duration

	dirMu sync.Mutex // serialises removal of files

	mu     sync.Mutex
	files  []*file // oldest first; replaced, never changed
	batch  batch
	live   bool
	closed bool
	// next is behind the records whose entries are in files or in the batch. While the index is not live only
	// the builder moves it.
	next                  int64
	told                  int64 // behind the last record Put was told of
	lastStamp, lastOffset int64
	durable               int64
	problem               error // of the last round, nil when it went well

	// The builder's.
	broken     error // a sync has failed: nothing is written any more
	skipOffset int64 // of this record the first skipHashes keys are there
	skipHashes int
	sure       bool      // next is known to be the offset of a record
	toldAt     time.Time // when it said last how much is left

	begun      bool
	wake       chan struct{}
	ask        chan chan error
	stop, done chan struct{}
	closeOnce  sync.Once
	closeErr   error
}

// Open checks the files and repairs what an unclean stop left; then Query can be asked. indexMsgTimestamp is
// the checkpoint's. Damaged files are removed and built anew from the CommitLog in the background; an error
// means that the disk could not be read or written.
func Open(o Options, clean bool, indexMsgTimestamp int64) (*Index, error) {
	if o.FS == nil {
		o.FS = fsys.OS{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Slots < 1 || o.Entries < 2 {
		return nil, fmt.Errorf("cannot open the message index: maxHashSlotNum %d and maxIndexNum %d must be at least 1 and 2", o.Slots, o.Entries)
	}
	x := &Index{
		o: o, g: geometry{o.Slots, o.Entries}, maxPending: maxPending, writeAt: writeAt, writeEvery: writeEvery,
		wake: make(chan struct{}, 1), ask: make(chan chan error), stop: make(chan struct{}), done: make(chan struct{}),
		skipOffset: -1,
	}
	l := loader{x: x, clean: clean, durable: indexMsgTimestamp, max: o.Max()}
	if err := l.load(); err != nil {
		for _, f := range l.files {
			_ = f.Close()
		}
		return nil, fmt.Errorf("cannot open the message index: %w", err)
	}
	return x, nil
}

// Start starts the builder.
func (x *Index) Start() {
	x.begun = true
	go x.run()
}

// Close writes what is in memory and makes it durable. After an error the files are not sound: the stop
// must not count as clean.
func (x *Index) Close() error {
	x.closeOnce.Do(func() {
		close(x.stop)
		if x.begun {
			<-x.done
		}
		x.mu.Lock()
		x.closed = true
		x.mu.Unlock()
		x.closeErr = x.finish()
	})
	return x.closeErr
}

func (x *Index) finish() error {
	err := x.writeAll()
	x.mu.Lock()
	files := x.files
	x.mu.Unlock()
	if n := len(files); n > 0 && err == nil {
		if err = files[n-1].sync(); err == nil {
			x.setDurable(files[n-1])
		}
	}
	for _, f := range files {
		x.leave(f)
	}
	return err
}

// Put is told, in order, of each record that has become visible: its offset, the offset behind it, its store
// timestamp and its hashes (AppendHashes), of which there may be none. It never waits for a disk.
func (x *Index) Put(offset, end, storeTimestamp int64, hashes []int32) {
	x.mu.Lock()
	x.told = max(x.told, end)
	if !x.live || x.closed || offset < x.next {
		x.mu.Unlock()
		return
	}
	wake := false
	if n := x.batch.n + len(hashes); n > x.maxPending {
		x.live, x.next = false, offset
		wake = true
	} else {
		x.add(offset, storeTimestamp, hashes)
		x.next = end
		wake = n >= x.writeAt && len(hashes) > 0
	}
	x.mu.Unlock()
	if wake {
		select {
		case x.wake <- struct{}{}:
		default:
		}
	}
}

// add puts a message's entries into the batch; the caller holds x.mu.
func (x *Index) add(offset, storeTimestamp int64, hashes []int32) {
	for _, h := range hashes {
		x.batch.add(entry{offset, storeTimestamp, h})
	}
	if len(hashes) > 0 {
		x.lastStamp, x.lastOffset = storeTimestamp, offset
	}
}

// Query returns the physical offsets of messages of topic that have key and were stored from begin to end,
// both in ms, newest first and at most max; before > 0 leaves those from that offset on away. It sees all
// that Put was told while the index is live. As in Java, of a message in a file only the second is known, counted
// from the file's begin and cut. Java: IndexService.queryOffset, which has no before.
func (x *Index) Query(topic, key string, max int, begin, end, before int64) ([]int64, error) {
	q := query{hash: Hash(topic, key), max: max, begin: begin, end: end, before: before}
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		return nil, ErrClosed
	}
	batch, files := x.batch, x.files
	heads := make([]header, len(files))
	for i, f := range files {
		f.refs++
		heads[i] = f.head
	}
	x.mu.Unlock()
	defer x.release(files)
	batch.find(&q)
	var w window
	for i := len(files) - 1; i >= 0 && !q.done(); i-- {
		if q.matches(&heads[i]) {
			if err := files[i].find(&heads[i], &q, &w); err != nil {
				return q.out, err
			}
		}
		if heads[i].beginTimestamp < begin {
			break
		}
	}
	return q.out, nil
}

func (x *Index) release(files []*file) {
	var last []*file
	x.mu.Lock()
	for _, f := range files {
		if f.refs--; f.gone && f.refs == 0 {
			last = append(last, f)
		}
	}
	x.mu.Unlock()
	for _, f := range last {
		_ = f.Close()
	}
}

// leave takes f out of x.files and closes it as soon as nobody reads it. It does so without the lock: closing
// a removed file is when its space is freed.
func (x *Index) leave(f *file) {
	x.mu.Lock()
	x.files = slices.DeleteFunc(slices.Clone(x.files), func(o *file) bool { return o == f })
	f.gone = true
	f.refs++
	x.mu.Unlock()
	x.release([]*file{f})
}

// Live reports whether Query sees all that Put was told.
func (x *Index) Live() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.live && !x.closed
}

// Last returns store timestamp and offset of the newest message that has an entry.
// Java: QueryOffsetResult.indexLastUpdateTimestamp, indexLastUpdatePhyoffset.
func (x *Index) Last() (storeTimestamp, physicalOffset int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lastStamp, x.lastOffset
}

// Behind returns how many bytes of the CommitLog are not indexed yet, 0 while the index is live.
func (x *Index) Behind() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.live {
		return 0
	}
	return max(x.told-max(x.next, x.o.Min()), 0)
}

// Durable returns the store timestamp up to which the index is durable: the end of the last full file,
// behind Close of the last file. Java: StoreCheckpoint.indexMsgTimestamp.
func (x *Index) Durable() (endTimestamp int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.durable
}

func (x *Index) setDurable(f *file) {
	x.mu.Lock()
	x.durable = max(x.durable, f.head.endTimestamp)
	x.mu.Unlock()
}

// RemoveBefore removes the files, but the last, that hold nothing of the CommitLog from minPhysical on.
// Java: IndexService.deleteExpiredFile.
func (x *Index) RemoveBefore(minPhysical int64) error {
	x.dirMu.Lock()
	defer x.dirMu.Unlock()
	removed := false
	for {
		x.mu.Lock()
		if len(x.files) < 2 || x.files[0].head.endPhysical >= minPhysical {
			x.mu.Unlock()
			break
		}
		f := x.files[0]
		x.mu.Unlock()
		if err := x.o.FS.Remove(f.path); err != nil {
			return fmt.Errorf("cannot remove %s: %w", f.path, err)
		}
		removed = true
		x.leave(f)
	}
	if removed {
		return x.o.FS.SyncDir(x.o.Dir)
	}
	return nil
}

// allHashes skips all keys of a record.
const allHashes = math.MaxInt
