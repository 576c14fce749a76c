package store

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEveryAcknowledgedMessageIsDurable has many producers at once, over many files.
func TestEveryAcknowledgedMessageIsDurable(t *testing.T) {
	w := newWitness()
	o := testOptions(t.TempDir())
	o.FlushDiskType, o.FS = SyncFlush, w
	s := open(t, o)
	j := &judge{w: w, dir: filepath.Join(o.StorePathRootDir, "commitlog"), size: o.MappedFileSizeCommitLog}
	var wg sync.WaitGroup
	for id := range int32(6) {
		wg.Go(func() {
			for i := range 30 {
				g := group(s, j, "A", id, i*5, 5, i%2 == 0)
				j.wg.Add(1)
				if err := s.Submit(g); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	j.wg.Wait()
	require.NoError(t, j.err)
	require.Zero(t, j.bad.Load(), "acknowledged before its bytes, or the name of its file, were durable")
	require.Greater(t, s.Stats().MaxPhysical, 4*o.MappedFileSizeCommitLog)
	for id := range int32(6) {
		verify(t, s, "A", id, 150)
	}
}

// TestFailedSyncRefusesAllThatWaitForIt: what was written before or during the sync that fails is not
// acknowledged, though a second sync would succeed.
func TestFailedSyncRefusesAllThatWaitForIt(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FlushDiskType, o.FS, o.FlushIntervalConsumeQueue = SyncFlush, fs, 1<<30
	s := open(t, o)
	syncing, goOn, wrote := make(chan struct{}, 10), make(chan struct{}), make(chan struct{}, 100)
	fs.set(func(op, path string) error {
		switch {
		case isLog(path) && op == "sync":
			syncing <- struct{}{}
			<-goOn
			return syscall.EIO
		case isLog(path) && op == "write":
			wrote <- struct{}{}
		}
		return nil
	})
	done := make(outcome, 10)
	require.NoError(t, s.Submit(group(s, done, "A", 0, 0, 1, false)))
	<-syncing
	<-wrote
	for i := range 3 {
		require.NoError(t, s.Submit(group(s, done, "A", 0, i+1, 1, false)))
		<-wrote
	}
	close(goOn)
	for range 4 {
		require.ErrorIs(t, <-done, ErrReadOnly)
	}
	require.Zero(t, s.Queue("A", 0).Max(), "visible though it was refused")
	require.EqualValues(t, 4, s.Stats().Failed)
	require.Error(t, s.Close())
	require.Empty(t, syncing, "a failed sync was tried again")
}

// TestFailedNameOfANewFile: a sync of the folder is as final as one of a file.
func TestFailedNameOfANewFile(t *testing.T) {
	w := newWitness()
	o := testOptions(t.TempDir())
	o.FlushDiskType, o.FS = SyncFlush, w
	s := open(t, o)
	n := fill(t, s, 2, 0)
	var tries atomic.Int32
	hook := func(dir string) error {
		if filepath.Base(dir) == "commitlog" && tries.Add(1) == 1 {
			return syscall.EIO
		}
		return nil
	}
	w.dirHook.Store(&hook)
	done := make(outcome, 1)
	for ; ; n += 7 {
		require.NoError(t, s.Submit(group(s, done, "A", 0, n, 7, false)))
		if err := <-done; err != nil {
			require.ErrorIs(t, err, ErrReadOnly)
			break
		}
	}
	require.ErrorIs(t, s.Err(), syscall.EIO)
	verify(t, s, "A", 0, n)
	require.Error(t, s.Close())
	require.EqualValues(t, 1, tries.Load())
}

// TestBackgroundErrorsStopWrites: in ASYNC_FLUSH nobody waits for these, yet each is final, and none moves the
// checkpoint.
func TestBackgroundErrorsStopWrites(t *testing.T) {
	for name, fails := range map[string]func(op, path string) bool{
		"sync of the log":         func(op, path string) bool { return op == "sync" && isLog(path) },
		"sync of a queue":         func(op, path string) bool { return op == "sync" && strings.Contains(path, "/consumequeue/") },
		"write of the checkpoint": func(op, path string) bool { return op == "write" && filepath.Base(path) == "checkpoint" },
		"sync of the checkpoint":  func(op, path string) bool { return op == "sync" && filepath.Base(path) == "checkpoint" },
		"write of the watermark":  func(op, path string) bool { return op == "write" && filepath.Base(path) == "watermark" },
	} {
		t.Run(name, func(t *testing.T) {
			fs := &faulty{}
			o := testOptions(t.TempDir())
			o.FS, o.FlushIntervalCommitLog, o.FlushIntervalConsumeQueue = fs, 10, 10
			fatal := make(chan error, 10)
			o.OnFatal = func(err error) { fatal <- err }
			s := open(t, o)
			before, err := os.ReadFile(filepath.Join(o.StorePathRootDir, "checkpoint"))
			require.NoError(t, err)
			var failures atomic.Int32
			fs.set(func(op, path string) error {
				if fails(op, path) && failures.Add(1) == 1 {
					return syscall.EIO
				}
				return nil
			})
			const n = 1
			k := make(outcome, 1)
			require.NoError(t, s.Submit(group(s, k, "A", 0, 0, n, false)))
			require.NoError(t, <-k)
			require.ErrorIs(t, <-fatal, syscall.EIO)
			require.ErrorIs(t, s.Submit(group(s, k, "A", 0, n, 1, false)), ErrReadOnly)
			require.ErrorIs(t, s.Err(), ErrReadOnly)
			require.ErrorIs(t, s.Err(), syscall.EIO)
			verify(t, s, "A", 0, n)
			require.Error(t, s.Close())
			require.EqualValues(t, 1, failures.Load(), "it was tried again")
			require.FileExists(t, filepath.Join(o.StorePathRootDir, "abort"))
			if strings.Contains(name, "log") || strings.Contains(name, "queue") {
				after, err := os.ReadFile(filepath.Join(o.StorePathRootDir, "checkpoint"))
				require.NoError(t, err)
				require.Equal(t, before, after, "the checkpoint names what is not durable")
			}
			o.FS, o.OnFatal = nil, nil
			verify(t, open(t, o), "A", 0, n)
		})
	}
}

// TestCheckpointFollowsWhatItNames pins the order: log, units, their sync, checkpoint, its sync.
func TestCheckpointFollowsWhatItNames(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FS, o.FlushIntervalCommitLog, o.FlushIntervalConsumeQueue = fs, 1<<30, 1<<30
	s := open(t, o)
	fill(t, s, 1, 0)
	var mu sync.Mutex
	var ops []string
	fs.set(func(op, path string) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case isLog(path):
			ops = append(ops, op+" log")
		case strings.Contains(path, "/consumequeue/"):
			ops = append(ops, op+" queue")
		default:
			ops = append(ops, op+" "+filepath.Base(path))
		}
		return nil
	})
	require.NoError(t, s.Close())
	require.Equal(t, []string{
		"sync log", "write queue", "write queue", "sync queue", "sync queue", "write checkpoint", "sync checkpoint", "write watermark",
		"write checkpoint", "sync checkpoint", "write watermark", "sync watermark",
	}, ops)
}

// TestStopStoresWhatIsQueued: Close waits for the disk, and everything that Submit took is acknowledged.
func TestStopStoresWhatIsQueued(t *testing.T) {
	for _, mode := range []string{AsyncFlush, SyncFlush} {
		fs := &faulty{}
		o := testOptions(t.TempDir())
		o.FlushDiskType, o.FS = mode, fs
		s := open(t, o)
		writing, goOn := make(chan struct{}, 100), make(chan struct{})
		fs.set(func(op, path string) error {
			if op == "write" && isLog(path) {
				writing <- struct{}{}
				<-goOn
			}
			return nil
		})
		done := make(outcome, 100)
		require.NoError(t, s.Submit(group(s, done, "A", 0, 0, 1, false)))
		<-writing
		for i := range 20 {
			require.NoError(t, s.Submit(group(s, done, "A", 0, i+1, 1, false)))
		}
		closed := make(chan error)
		go func() { closed <- s.Close() }()
		close(goOn)
		require.NoError(t, <-closed)
		require.Len(t, done, 21)
		for range 21 {
			require.NoError(t, <-done)
		}
		o.FS = nil
		verify(t, open(t, o), "A", 0, 21)
	}
}

// TestBusyQueueIsWrittenBeforeTheInterval: units must not gather in memory until the next checkpoint.
func TestBusyQueueIsWrittenBeforeTheInterval(t *testing.T) {
	fs := &faulty{}
	o := idle(testOptions(t.TempDir()))
	o.FS, o.MappedFileSizeCommitLog = fs, 4<<20
	s := open(t, o)
	wrote := make(chan struct{}, 1000)
	fs.set(func(op, path string) error {
		if op == "write" && strings.Contains(path, "/consumequeue/") {
			wrote <- struct{}{}
		}
		return nil
	})
	k := &sink{}
	for i := range 10 {
		put(t, s, group(s, k, "A", 0, i*500, 500, false))
	}
	select {
	case <-wrote:
	case <-time.After(5 * time.Second):
		t.Fatal("5000 units wait in memory")
	}
}

// TestStopWithAFullDiskEnds: units that cannot be written hold the append goroutine back, not a stop.
func TestStopWithAFullDiskEnds(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FS, o.FlushIntervalConsumeQueue = fs, 10
	s := open(t, o)
	fs.set(func(op, path string) error {
		if op == "write" && strings.Contains(path, "/consumequeue/") {
			return syscall.ENOSPC
		}
		return nil
	})
	s.dirtyUnits.Add(maxDirtyUnits) // as if so many waited
	k := &sink{}
	put(t, s, group(s, k, "A", 0, 0, 1, false))
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.FileExists(t, filepath.Join(o.StorePathRootDir, "abort"))
	case <-time.After(5 * time.Second):
		fs.set(func(string, string) error { return nil })
		s.dirtyUnits.Add(-maxDirtyUnits)
		<-closed
		t.Fatal("the stop did not end")
	}
}

// TestEachWriteMayWakeTheFlush: wakeFlushWhenPutMessage counts when flushCommitLogTimed is false, as with Java.
func TestEachWriteMayWakeTheFlush(t *testing.T) {
	for _, timed := range []bool{false, true} {
		o := testOptions(t.TempDir())
		o.FlushIntervalCommitLog, o.FlushIntervalConsumeQueue = 1<<30, 1<<30
		o.WakeFlushWhenPutMessage, o.FlushCommitLogTimed = true, timed
		s := open(t, o)
		n := fill(t, s, 1, 0)
		if timed {
			require.Zero(t, s.Stats().Flushed)
			continue
		}
		require.Eventually(t, func() bool { return s.Stats().Flushed == s.Stats().MaxPhysical }, 10*time.Second, time.Millisecond)
		verify(t, s, "A", 0, n)
	}
}
