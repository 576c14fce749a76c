package index

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/fsys"
)

// TestAnyHistory runs operations by chance and compares all answers with the log after each few of them.
func TestAnyHistory(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRig(t)
			r.rnd = rand.New(rand.NewPCG(seed, 0))
			r.o.Slots, r.o.Entries = 1+r.rnd.Int32N(60), 2+r.rnd.Int32N(60)
			r.open(true)
			for range 25 {
				switch r.rnd.IntN(5) {
				case 0:
					require.NoError(t, r.x.Close())
					r.open(r.rnd.IntN(2) > 0)
				case 1:
					r.kill()
					require.NoError(t, r.x.Close())
					r.open(false)
				case 2:
					require.NoError(t, r.settle())
				default:
					r.put(r.rnd.IntN(30))
				}
				if r.rnd.IntN(3) > 0 {
					require.NoError(t, r.settle())
					r.check()
				}
			}
			require.NoError(t, r.settle())
			r.put(5)
			r.check()
			require.Equal(t, slices.IsSorted(r.names()), true)
		})
	}
}

// TestPutIsSeenAtOnce: no answer depends on where an entry is on its way.
func TestPutIsSeenAtOnce(t *testing.T) {
	r := newRig(t)
	r.open(true)
	require.NoError(t, r.settle())
	r.put(10)
	r.check()
	stamp, offset := r.x.Last()
	require.NoError(t, r.settle())
	r.check()
	got, at := r.x.Last()
	require.Equal(t, []int64{stamp, offset}, []int64{got, at})
	require.NoError(t, r.x.Close())
	_, err := r.x.Query("A", "all", 1, 0, math.MaxInt64, 0)
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, r.x.Close())
	late := r.log.add("A", message.PropertyKeys, "all")
	r.tell(late) // harmless, and read from the CommitLog at the next start
	got, at = r.x.Last()
	require.Equal(t, []int64{stamp, offset}, []int64{got, at})
	r.open(true)
	require.NoError(t, r.settle())
	_, at = r.x.Last()
	require.Equal(t, late.PhysicalOffset, at)
	r.check()
}

// TestFullBatchWaitsForNobody holds the disk while more messages come than memory is given for.
func TestFullBatchWaitsForNobody(t *testing.T) {
	r := newRig(t)
	fs := r.fs
	r.open(true)
	require.NoError(t, r.settle())
	writing, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs.set(func(string, string) error {
		once.Do(func() { close(writing) })
		<-goOn
		return nil
	})
	r.put(20)
	<-writing
	r.put(200)
	r.x.mu.Lock()
	require.False(t, r.x.live)
	require.LessOrEqual(t, r.x.batch.n, r.x.maxPending)
	r.x.mu.Unlock()
	close(goOn)
	require.NoError(t, r.settle())
	r.x.mu.Lock()
	require.True(t, r.x.live)
	require.Zero(t, r.x.batch.n)
	require.Empty(t, r.x.batch.chunks, "memory is given back")
	r.x.mu.Unlock()
	r.check()
	r.put(10)
	r.check()
}

// TestDiskThatRefusesIsTriedAgain: a full disk costs no entry and stops nobody.
func TestDiskThatRefusesIsTriedAgain(t *testing.T) {
	for fails := 1; fails < 8; fails++ {
		for _, op := range []string{"open", "truncate", "dir", "write"} {
			r := newRig(t)
			fs := r.fs
			r.open(true)
			require.NoError(t, r.settle())
			r.put(30)
			require.NoError(t, r.settle())
			n := 0
			fs.set(func(got, path string) error {
				if got != op {
					return nil
				}
				if n++; n >= fails {
					return syscall.ENOSPC
				}
				return nil
			})
			r.put(15)
			err := r.settle()
			r.check()
			if n < fails {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, syscall.ENOSPC)
			}
			r.put(100) // more than memory holds
			fs.set(nil)
			require.NoError(t, r.settle())
			r.check()
			require.NoError(t, r.x.Close())
			r.open(true)
			require.NoError(t, r.settle())
			r.check()
			soundFiles(t, r)
		}
	}
}

// TestFailedSyncStopsTheIndex: what a failed sync leaves is not to be written on.
func TestFailedSyncStopsTheIndex(t *testing.T) {
	r := newRig(t)
	fs := r.fs
	r.open(true)
	require.NoError(t, r.settle())
	fails := 0
	fs.set(func(op, _ string) error {
		if op == "sync" {
			if fails++; fails == 1 {
				return syscall.EIO
			}
		}
		return nil
	})
	r.put(80)
	require.ErrorIs(t, r.settle(), syscall.EIO)
	require.ErrorIs(t, r.settle(), syscall.EIO)
	require.Zero(t, r.x.Durable())
	require.ErrorIs(t, r.x.Close(), syscall.EIO)
	require.Equal(t, 1, fails)
	r.open(false)
	require.NoError(t, r.settle())
	r.check()
}

func TestCloseReportsWhatIsNotWritten(t *testing.T) {
	r := newRig(t)
	fs := r.fs
	r.open(true)
	require.NoError(t, r.settle())
	r.put(10)
	fs.set(func(op, _ string) error {
		if op == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	require.ErrorIs(t, r.x.Close(), syscall.ENOSPC)
	fs.set(nil)
	r.open(false)
	require.NoError(t, r.settle())
	r.check()
}

// TestCloseDoesNotWaitForTheCommitLog: an index that is far behind goes on at the next start.
func TestCloseDoesNotWaitForTheCommitLog(t *testing.T) {
	r := newRig(t)
	for range 300 {
		r.log.message(r.rnd)
	}
	scanning := make(chan struct{})
	scan := r.o.Scan
	r.o.Scan = func(from int64, fn func(*message.Record) bool) (int64, error) {
		return scan(from, func(m *message.Record) bool {
			if m == &r.log.recs[150] {
				close(scanning)
				<-r.x.stop
			}
			return fn(m)
		})
	}
	r.open(true)
	go func() {
		<-scanning
		_ = r.x.Close()
	}()
	<-r.x.done
	require.NoError(t, r.x.Close())
	_, last := r.x.Last()
	require.LessOrEqual(t, last, r.log.recs[150].PhysicalOffset)
	r.o.Scan = scan
	r.open(true)
	require.NoError(t, r.settle())
	r.check()
}

func TestCommitLogThatCannotBeReadIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.log.message(r.rnd)
	r.log.scanErr = syscall.EIO
	r.open(true)
	require.ErrorIs(t, r.settle(), syscall.EIO)
	r.put(100)
	require.ErrorIs(t, r.settle(), syscall.EIO)
	r.log.mu.Lock()
	r.log.scanErr = nil
	r.log.mu.Unlock()
	require.NoError(t, r.settle())
	r.check()
}

// TestOtherCommitLog: files that go up to where no record is are worth nothing.
func TestOtherCommitLog(t *testing.T) {
	r := newRig(t)
	r.open(true)
	r.put(100)
	require.NoError(t, r.settle()) // or it may know the first message alone, which is gone anyway
	require.NoError(t, r.x.Close())
	other := newLog()
	*r.log = testLog{keys: other.keys, now: other.now, end: 13, min: 13}
	for range 200 {
		r.log.add("A", message.PropertyKeys, "all")
		r.log.now += 1000
	}
	r.open(true)
	require.NoError(t, r.settle())
	r.check()
	r.put(10)
	r.check()
}

// TestRetention removes files in front of the log's first byte, not the last one, also while they are read.
func TestRetention(t *testing.T) {
	r := newRig(t)
	r.open(true)
	r.put(300)
	require.NoError(t, r.settle())
	n := len(r.names())
	require.Greater(t, n, 5)
	require.NoError(t, r.x.RemoveBefore(0))
	require.Len(t, r.names(), n)
	x := r.x
	x.mu.Lock()
	held := x.files
	ends := []int64{held[0].head.endPhysical, held[1].head.endPhysical}
	held[0].refs++
	x.mu.Unlock()
	require.NoError(t, x.RemoveBefore(ends[0]))
	require.Len(t, r.names(), n, "a file that ends there still counts")
	require.NoError(t, x.RemoveBefore(ends[1]))
	require.Len(t, r.names(), n-1)
	_, err := held[0].entry(1)
	require.NoError(t, err, "closed under a reader")
	x.release(held[:1])
	_, err = held[0].entry(1)
	require.ErrorIs(t, err, os.ErrClosed)
	require.NoError(t, x.RemoveBefore(math.MaxInt64))
	require.Len(t, r.names(), 1)
	r.put(3)
	require.NoError(t, x.RemoveBefore(math.MaxInt64))
	last := r.log.recs[len(r.log.recs)-1]
	r.find(last.Topic, "all", 1, last.StoreTimestamp-5000, math.MaxInt64, 0)
}

// TestDurable follows Java's rule: full files count when they are synced.
func TestDurable(t *testing.T) {
	r := newRig(t)
	r.open(true)
	require.NoError(t, r.settle())
	r.put(5)
	require.NoError(t, r.settle())
	require.Zero(t, r.x.Durable())
	r.put(100)
	require.NoError(t, r.settle())
	r.put(3) // the last file is not full
	require.NoError(t, r.settle())
	r.x.mu.Lock()
	n := len(r.x.files)
	full, last := r.x.files[n-2].head.endTimestamp, r.x.files[n-1].head.endTimestamp
	r.x.mu.Unlock()
	require.Less(t, full, last)
	require.Equal(t, full, r.x.Durable())
	require.NoError(t, r.x.Close())
	require.Equal(t, last, r.x.Durable())
	x, err := Open(r.o, true, last)
	require.NoError(t, err)
	require.Equal(t, last, x.Durable())
	require.NoError(t, x.Close())
	x, err = Open(r.o, true, 0)
	require.NoError(t, err)
	require.Equal(t, full, x.Durable())
	require.NoError(t, x.Close())
}

// TestNamesFollowEachOther has a clock that stands, goes back an hour and jumps.
func TestNamesFollowEachOther(t *testing.T) {
	r := newRig(t)
	now := time.Date(2026, 10, 25, 2, 30, 59, 999e6, time.Local)
	var back atomic.Bool
	r.o.Now = func() time.Time {
		if back.Load() {
			return now.Add(-time.Hour)
		}
		return now
	}
	r.open(true)
	r.put(100)
	require.NoError(t, r.settle())
	first := r.names()
	require.Equal(t, []string{"20261025023059999", "20261025023060000"}, first[:2])
	back.Store(true)
	r.put(100)
	require.NoError(t, r.settle())
	require.Greater(t, len(r.names()), len(first)+1)
	require.NoError(t, r.x.Close())
	scans := r.log.scans
	r.open(true)
	require.NoError(t, r.settle())
	r.check()
	require.Equal(t, 1, r.log.scans-scans, "something was built anew")
}

// TestQueriesRunBesideTheBuilder asks while entries go to files: each message told before is found, once.
func TestQueriesRunBesideTheBuilder(t *testing.T) {
	r := newRig(t)
	r.o.Slots, r.o.Entries = 7, 400
	r.open(true)
	require.NoError(t, r.settle())
	r.x.mu.Lock()
	r.x.maxPending = 1 << 20
	r.x.mu.Unlock()
	var told atomic.Int64
	hashes := AppendHashes(nil, "A", "", "all", "")
	other := AppendHashes(nil, "A", "", "b c d e f g h", "")
	r.x.Put(0, 50, 1_700_000_000_000, hashes)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				newest := told.Load()
				got, err := r.x.Query("A", "all", math.MaxInt, 0, math.MaxInt64, newest+1)
				if err != nil || len(got) != int(newest/100+1) || !slices.IsSortedFunc(got, func(a, b int64) int { return int(b - a) }) {
					t.Errorf("%d told, found %d: %v", newest/100+1, len(got), err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := int64(1); i < 2500; i++ {
		r.x.Put(i*100, i*100+50, 1_700_000_000_000+i, hashes)
		told.Store(i * 100)
		r.x.Put(i*100+50, i*100+100, 1_700_000_000_000+i, other[:i%8])
		if i%500 == 499 {
			require.NoError(t, r.settle())
		}
	}
	close(stop)
	wg.Wait()
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{Slots: 0, Entries: 10}, {Slots: 10, Entries: 1}} {
		_, err := Open(o, true, 0)
		require.ErrorContains(t, err, "must be at least")
	}
}

// TestDamagedChainsEnd makes slots and links point anywhere.
func TestDamagedChainsEnd(t *testing.T) {
	r := newRig(t)
	r.open(true)
	r.put(20)
	require.NoError(t, r.settle())
	require.NoError(t, r.x.Close())
	path := filepath.Join(r.o.Dir, r.names()[0])
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for range 300 {
		b := slices.Clone(good)
		for range 1 + r.rnd.IntN(5) {
			at := 40 + r.rnd.IntN(20*r.rnd.IntN(40)+4)
			b[at] = byte(r.rnd.IntN(256))
		}
		require.NoError(t, os.WriteFile(path, b, 0o644))
		x, err := Open(r.o, true, 0)
		require.NoError(t, err)
		for i := range 10 {
			_, err := x.Query("A", fmt.Sprint("k", i), 1000, 0, math.MaxInt64, 0)
			require.NoError(t, err)
		}
		require.NoError(t, x.Close())
	}
}

// faulty is the real file system with a hook in front of what changes it. Its syncs do nothing else: no test
// cuts the power for real.
type faulty struct {
	fsys.OS
	mu   sync.Mutex
	hook func(op, path string) error
	torn bool // a write that fails is half done
}

func (f *faulty) set(hook func(op, path string) error) {
	f.mu.Lock()
	f.hook = hook
	f.mu.Unlock()
}

func (f *faulty) call(op, path string) error {
	f.mu.Lock()
	hook := f.hook
	f.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(op, path)
}

type faultyFile struct {
	fsys.File
	fs   *faulty
	path string
}

func (f *faulty) Open(path string, create bool) (fsys.File, error) {
	if create {
		if err := f.call("open", path); err != nil {
			return nil, err
		}
	}
	file, err := f.OS.Open(path, create)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f, path}, nil
}

func (f *faulty) Remove(path string) error {
	return errors.Join(f.call("remove", path), f.OS.Remove(path))
}

func (f *faulty) SyncDir(dir string) error {
	return f.call("dir", dir)
}

func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.fs.call("write", f.path); err != nil {
		if f.fs.torn {
			_, _ = f.File.WriteAt(b[:len(b)/2], off)
		}
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.fs.call("truncate", f.path); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Datasync() error {
	return f.fs.call("sync", f.path)
}
