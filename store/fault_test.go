package store

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
)

// faulty is the real file system with a hook in front of every write and sync.
type faulty struct {
	fsys.OS
	hook atomic.Pointer[func(op, path string) error]
}

type faultyFile struct {
	fsys.File
	fs   *faulty
	path string
}

func (f *faulty) set(hook func(op, path string) error) { f.hook.Store(&hook) }

func (f *faulty) call(op, path string) error {
	if hook := f.hook.Load(); hook != nil {
		return (*hook)(op, path)
	}
	return nil
}

func (f *faulty) Open(path string, create bool) (fsys.File, error) {
	file, err := f.OS.Open(path, create)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f, path}, nil
}

func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.fs.call("write", f.path); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

func (f *faultyFile) WriteVec(p [][]byte, off int64) error {
	if err := f.fs.call("write", f.path); err != nil {
		return err
	}
	return f.File.WriteVec(p, off)
}

func (f *faultyFile) Allocate(size int64) error {
	if err := f.fs.call("allocate", f.path); err != nil {
		return err
	}
	return f.File.Allocate(size)
}

func (f *faultyFile) Datasync() error {
	if err := f.fs.call("sync", f.path); err != nil {
		return err
	}
	return f.File.Datasync()
}

func isLog(path string) bool { return strings.Contains(path, "/commitlog/") }

// outcome is an owner that hands on what became of its group.
type outcome chan error

func (o outcome) Appended(_ *Group, err error) { o <- err }

func TestSyncFlushAcknowledgesWhatIsDurable(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FlushDiskType, o.FS = SyncFlush, fs
	arrived := make(chan int64, 10)
	o.Listener = func(_ *consumequeue.Queue, offset, _ int64, _ []byte) { arrived <- offset }
	s := open(t, o)
	syncing, goOn := make(chan struct{}), make(chan struct{})
	fs.set(func(op, path string) error {
		if op == "sync" && isLog(path) {
			syncing <- struct{}{}
			<-goOn
		}
		return nil
	})
	done := make(outcome, 1)
	g := group(s, done, "A", 0, 0, 3, false)
	q := s.Queue("A", 0)
	q.Waiters.Add(1)
	require.NoError(t, s.Submit(g))
	<-syncing // the record is written, and its sync has begun
	require.Empty(t, done, "acknowledged before it was durable")
	require.Empty(t, arrived)
	require.Zero(t, q.Max(), "visible to consumers before it was durable")
	fs.set(func(string, string) error { return nil })
	close(goOn)
	require.NoError(t, <-done)
	require.EqualValues(t, 3, q.Max())
	require.EqualValues(t, 0, <-arrived)
	q.Waiters.Add(-1)
	verify(t, s, "A", 0, 3)
}

// TestDiskErrorStopsWritesForGood: nothing of the round is acknowledged, nothing is tried again, what was
// there is served, and the next start finds an unclean stop.
func TestDiskErrorStopsWritesForGood(t *testing.T) {
	for _, x := range []struct{ mode, op string }{{AsyncFlush, "write"}, {SyncFlush, "write"}, {SyncFlush, "sync"}} {
		t.Run(x.mode+" "+x.op, func(t *testing.T) {
			fs := &faulty{}
			o := testOptions(t.TempDir())
			o.FlushDiskType, o.FS = x.mode, fs
			o.FlushIntervalCommitLog, o.FlushIntervalConsumeQueue = 10_000, 10_000
			fatal := make(chan error, 10)
			o.OnFatal = func(err error) { fatal <- err }
			s := open(t, o)
			n := fill(t, s, 5, 0)
			var failures atomic.Int32
			fs.set(func(op, path string) error {
				if op == x.op && isLog(path) && failures.Add(1) == 1 {
					return syscall.EIO // a second try would succeed
				}
				return nil
			})
			done := make(outcome, 1)
			require.NoError(t, s.Submit(group(s, done, "A", 0, n, 2, false)))
			require.ErrorIs(t, <-done, ErrReadOnly)
			require.ErrorIs(t, <-fatal, syscall.EIO)
			require.ErrorIs(t, s.Submit(group(s, done, "A", 0, n, 2, false)), ErrReadOnly)
			require.ErrorIs(t, s.Err(), syscall.EIO)
			require.False(t, s.Stats().Writable)
			verify(t, s, "A", 0, n)
			require.EqualValues(t, 1, failures.Load(), "it was tried again")
			require.Empty(t, fatal)
			require.Error(t, s.Close())
			_, err := os.Stat(filepath.Join(o.StorePathRootDir, "abort"))
			require.NoError(t, err, "the stop must not count as clean")

			fs.set(func(string, string) error { return nil })
			again := open(t, o)
			got := again.Find("A", 0).Max()
			require.GreaterOrEqual(t, got, int64(n))
			verify(t, again, "A", 0, int(got))
		})
	}
}

// TestConsumeQueueErrorIsTriedAgain: units are derived, so a full disk under them costs nobody a message.
func TestConsumeQueueErrorIsTriedAgain(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FS, o.FlushIntervalConsumeQueue = fs, 10
	s := open(t, o)
	refused, through := make(chan struct{}, 1000), make(chan struct{}, 1000)
	fs.set(func(op, path string) error {
		if op == "write" && strings.Contains(path, "/consumequeue/") {
			refused <- struct{}{}
			return syscall.ENOSPC
		}
		return nil
	})
	n := fill(t, s, 5, 0)
	<-refused
	verify(t, s, "A", 0, n)
	fs.set(func(op, path string) error {
		if op == "write" && strings.Contains(path, "/consumequeue/") {
			through <- struct{}{}
		}
		return nil
	})
	<-through
	require.NoError(t, s.Close())
	verify(t, open(t, o), "A", 0, n)
}

func TestBusyStoreRefuses(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FS, o.MaxQueuedBytes = fs, 2000
	s := open(t, o)
	writing, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs.set(func(op, path string) error {
		if op == "write" && isLog(path) {
			once.Do(func() { close(writing) })
			<-goOn
		}
		return nil
	})
	done := make(outcome, 100)
	require.NoError(t, s.Submit(group(s, done, "A", 0, 0, 1, false)))
	<-writing
	accepted, bytes := 1, 0
	for i := 1; ; i++ {
		g := group(s, done, "A", 0, i, 1, false)
		if err := s.Submit(g); err != nil {
			require.ErrorIs(t, err, ErrBusy)
			break
		}
		accepted++
		bytes += len(g.Buf)
	}
	require.LessOrEqual(t, int64(bytes), o.MaxQueuedBytes)
	require.Greater(t, accepted, 5)
	require.Positive(t, s.Busy())
	close(goOn)
	for range accepted {
		require.NoError(t, <-done)
	}
	require.Zero(t, s.Busy())
	verify(t, s, "A", 0, accepted)
}

func TestBatchStaysInOneFile(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	k := &sink{}
	for i := range 200 {
		g := group(s, k, "B", 0, i*9, 9, true)
		put(t, s, g)
		first, last := g.Recs[0], g.Recs[8]
		require.Equal(t, first.PhysicalOffset/o.MappedFileSizeCommitLog, (last.PhysicalOffset+int64(last.Size)-1)/o.MappedFileSizeCommitLog, "batch %d", i)
		require.Equal(t, first.QueueOffset+8, last.QueueOffset)
	}
	require.Greater(t, s.Stats().MaxPhysical, 4*o.MappedFileSizeCommitLog)
	verify(t, s, "B", 0, 1800)
}

func TestCheckpointSaysWhatIsDurable(t *testing.T) {
	o := testOptions(t.TempDir())
	now := time.UnixMilli(1_700_000_000_000)
	o.Now = func() time.Time { return now }
	s := open(t, o)
	fill(t, s, 5, 0)
	end := s.Stats().MaxPhysical
	require.NoError(t, s.Close())
	b, err := os.ReadFile(filepath.Join(o.StorePathRootDir, "checkpoint"))
	require.NoError(t, err)
	require.Len(t, b, 4096)
	var longs []int64
	for i := range 6 {
		longs = append(longs, int64(binary.BigEndian.Uint64(b[8*i:])))
	}
	require.Equal(t, []int64{now.UnixMilli(), now.UnixMilli(), 0, 0, 0, end}, longs)
}

func TestBadCheckpointsDoNoHarm(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := fill(t, s, 60, 0)
	require.NoError(t, s.Close())
	path := filepath.Join(o.StorePathRootDir, "checkpoint")
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, change := range map[string]func(b []byte) []byte{
		"missing":         func([]byte) []byte { return nil },
		"empty":           func([]byte) []byte { return []byte{} },
		"zeros":           func(b []byte) []byte { return make([]byte, len(b)) },
		"short":           func(b []byte) []byte { return b[:20] },
		"garbage":         func(b []byte) []byte { return []byte(strings.Repeat("garbage!", 512)) },
		"inside a record": func(b []byte) []byte { b[47] ^= 1; return b },
		"behind the end":  func(b []byte) []byte { b[44] ^= 1; return b },
	} {
		for _, killed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				k := o
				k.StorePathRootDir = snapshot(t, o.StorePathRootDir)
				to := filepath.Join(k.StorePathRootDir, "checkpoint")
				require.NoError(t, os.Remove(to))
				if b := change(append([]byte(nil), good...)); b != nil {
					require.NoError(t, os.WriteFile(to, b, 0o644))
				}
				if killed {
					require.NoError(t, os.WriteFile(filepath.Join(k.StorePathRootDir, "abort"), nil, 0o644))
				}
				s := open(t, k)
				verify(t, s, "A", 0, n)
				m := fill(t, s, 3, n)
				verify(t, s, "B", 3, m)
			})
		}
	}
}

// TestRecoveryTwiceIsRecoveryOnce starts on the same killed folder, is killed right behind the recovery, and
// starts again: files and queues are the same.
func TestRecoveryTwiceIsRecoveryOnce(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := fill(t, s, 30, 0)
	k := o
	k.StorePathRootDir = snapshot(t, o.StorePathRootDir)
	for range 3 {
		s := open(t, k)
		verify(t, s, "A", 0, n)
		require.Equal(t, int64(n), s.Find("A", 0).Next, "the next message must not take an offset twice")
		k.StorePathRootDir = snapshot(t, k.StorePathRootDir)
	}
}

func TestLostUnitsAreBuiltAnew(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	n := fill(t, s, 30, 0)
	require.NoError(t, s.Close())
	files, err := filepath.Glob(filepath.Join(o.StorePathRootDir, "consumequeue", "A", "0", "*"))
	require.NoError(t, err)
	require.Greater(t, len(files), 2)
	last := files[len(files)-1]
	for name, damage := range map[string]func(t *testing.T, path string){
		"tail of zeros": func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			clear(b[40:])
			require.NoError(t, os.WriteFile(path, b, 0o644))
		},
		"file gone": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"folder gone": func(t *testing.T, path string) {
			require.NoError(t, os.RemoveAll(filepath.Dir(path)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := o
			k.StorePathRootDir = snapshot(t, o.StorePathRootDir)
			damage(t, filepath.Join(k.StorePathRootDir, strings.TrimPrefix(last, o.StorePathRootDir)))
			require.NoError(t, os.WriteFile(filepath.Join(k.StorePathRootDir, "abort"), nil, 0o644))
			s := open(t, k)
			verify(t, s, "A", 0, n)
			verify(t, s, "B", 3, n)
		})
	}
}

func TestDelayLevels(t *testing.T) {
	got, err := ParseDelayLevels("1s  5m 2h 1d 0s")
	require.NoError(t, err)
	require.Equal(t, []time.Duration{time.Second, 5 * time.Minute, 2 * time.Hour, 24 * time.Hour, 0}, got)
	for _, bad := range []string{"", " ", "1", "s", "5x", "-1s", "1.5s", "9999999999999s"} {
		_, err := ParseDelayLevels(bad)
		require.ErrorContains(t, err, "messageDelayLevel", bad)
	}
	s := open(t, testOptions(t.TempDir()))
	delayed := message.Record{Message: message.Message{Topic: ScheduleTopic}, StoreTimestamp: 1000, Properties: "DELAY\x013\x02TAGS\x01a\x02"}
	require.EqualValues(t, 1000+10_000, s.tagsCode(&delayed))
	delayed.Properties = "DELAY\x0199\x02"
	require.EqualValues(t, 1000+2*3600_000, s.tagsCode(&delayed), "past the last level it is the last")
	delayed.Topic = "T"
	delayed.Properties = "DELAY\x013\x02TAGS\x01a\x02"
	require.EqualValues(t, message.HashCode("a"), s.tagsCode(&delayed))
}

func TestClosedStoreRefuses(t *testing.T) {
	s := open(t, testOptions(t.TempDir()))
	g := group(s, make(outcome, 1), "A", 0, 0, 1, false)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Submit(g), ErrClosed)
	require.NoError(t, s.Close())
	_, err := Open(Options{})
	require.True(t, err != nil && !errors.Is(err, ErrClosed), "%v", err)
}
