package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/segment"
)

// sized returns a group of one unit: n records of together exactly size bytes.
func sized(t *testing.T, s *Store, owner Owner, n, size int) *Group {
	t.Helper()
	g := &Group{Owner: owner}
	q := s.Queue("S", 0)
	for i := range n {
		want := size/n + min(i, 1)*(size%n)/max(n-1, 1)
		if i == n-1 {
			want = size - len(g.Buf)
		}
		at := len(g.Buf)
		m := message.Message{Topic: "S", Body: bytes.Repeat([]byte("b"), want-message.MinRecord-1)}
		var err error
		g.Buf, err = message.AppendRecord(g.Buf, &m, "")
		require.NoError(t, err)
		require.Equal(t, want, len(g.Buf)-at)
		g.Recs = append(g.Recs, Rec{Queue: q, Size: int32(want)})
	}
	g.Recs[0].Unit = int32(n)
	return g
}

// TestUnitsAtTheEndOfAFile: a unit that leaves exactly the blank's 8 bytes stays; with one byte more all of
// it goes to the next file, and the blank fills this one.
func TestUnitsAtTheEndOfAFile(t *testing.T) {
	for _, n := range []int{1, 3} {
		for over := range 2 {
			t.Run(fmt.Sprintf("%d records %d too long", n, over), func(t *testing.T) {
				o := testOptions(t.TempDir())
				s := open(t, o)
				k := &sink{}
				size := int(o.MappedFileSizeCommitLog)
				put(t, s, sized(t, s, k, 1, 1000))
				g := sized(t, s, k, n, size-1000-message.BlankSize+over)
				put(t, s, g)
				put(t, s, sized(t, s, k, 1, 500))
				file, err := os.ReadFile(filepath.Join(o.StorePathRootDir, "commitlog", segment.Name(0)))
				require.NoError(t, err)
				first, blank := int64(1000), size-message.BlankSize
				if over > 0 {
					first, blank = int64(size), 1000
				}
				at := first
				for i, r := range g.Recs {
					require.Equal(t, at, r.PhysicalOffset)
					require.EqualValues(t, 1+i, r.QueueOffset)
					at += int64(r.Size)
				}
				require.Equal(t, message.AppendBlank(nil, size-blank), file[blank:blank+8])
				if over > 0 {
					require.Equal(t, make([]byte, size-1008), file[1008:], "the rest of the file stays as it was made")
				}
				require.EqualValues(t, 2+n, s.Find("S", 0).Max())
			})
		}
	}
}

// TestUnitLargerThanAFile must cost its owner an error, not the store its life.
func TestUnitLargerThanAFile(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	k := &sink{}
	for _, n := range []int{1, 3} {
		g := sized(t, s, k, n, int(o.MappedFileSizeCommitLog)-message.BlankSize+1)
		k.wg.Add(1) // for a store that takes it
		require.ErrorIs(t, s.Submit(g), ErrTooLarge)
		k.wg.Done()
	}
	put(t, s, sized(t, s, k, 3, int(o.MappedFileSizeCommitLog)-message.BlankSize))
	require.NoError(t, s.Err())
}

// TestOffsetsOfManyProducers: per queue the offsets have no gap and no double, in the log the records stand
// one behind the other.
func TestOffsetsOfManyProducers(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	var mu sync.Mutex
	seen := map[*consumequeue.Queue]map[int64]bool{}
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			for i := range 40 {
				k := &sink{}
				k.wg.Add(1)
				g := group(s, k, "A", int32((p+i)%3), i, 1+i%4, i%2 == 0)
				if err := s.Submit(g); err != nil {
					t.Error(err)
					return
				}
				k.wg.Wait()
				mu.Lock()
				for j, r := range g.Recs {
					if seen[r.Queue] == nil {
						seen[r.Queue] = map[int64]bool{}
					}
					if seen[r.Queue][r.QueueOffset] {
						t.Errorf("queue offset %d was given twice", r.QueueOffset)
					}
					seen[r.Queue][r.QueueOffset] = true
					if j > 0 && r.QueueOffset != g.Recs[j-1].QueueOffset+1 {
						t.Errorf("a group's queue offsets: %d behind %d", r.QueueOffset, g.Recs[j-1].QueueOffset)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	sum := 0
	for q, offsets := range seen {
		require.EqualValues(t, len(offsets), q.Max())
		require.EqualValues(t, len(offsets), q.Next)
		sum += len(offsets)
	}
	require.Equal(t, 400, sum)
	n := 0
	for sc := s.log.Scan(0); ; n++ {
		r, _, ok := sc.Next()
		if !ok {
			require.NoError(t, sc.Err())
			require.Equal(t, s.log.End(), sc.At())
			break
		}
		u, ok, err := s.Find(r.Topic, r.QueueID).At(r.QueueOffset)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, consumequeue.Unit{PhysicalOffset: r.PhysicalOffset, Size: int32(r.Size), TagsCode: 97}, u)
	}
	require.Equal(t, sum, n)
}

// TestStoreTimestampsNeverGoBack: neither when the clock does, nor over a restart with an earlier clock.
func TestStoreTimestampsNeverGoBack(t *testing.T) {
	o := testOptions(t.TempDir())
	var now atomic.Int64
	o.Now = func() time.Time { return time.UnixMilli(now.Load()) }
	k := &sink{}
	stamp := func(s *Store, clock int64) int64 {
		now.Store(clock)
		g := group(s, k, "A", 0, 0, 1, false)
		put(t, s, g)
		require.Equal(t, g.Recs[0].StoreTimestamp, s.StoreTime("A", 0, g.Recs[0].QueueOffset))
		return g.Recs[0].StoreTimestamp
	}
	s := open(t, o)
	require.EqualValues(t, 5000_000, stamp(s, 5000_000))
	require.EqualValues(t, 5000_000, stamp(s, 4000_000))
	require.EqualValues(t, 6000_000, stamp(s, 6000_000))
	killed := o
	killed.StorePathRootDir = snapshot(t, o.StorePathRootDir)
	require.EqualValues(t, 6000_000, stamp(open(t, killed), 1000_000), "after a kill")
	require.NoError(t, s.Close())
	require.EqualValues(t, 6000_000, stamp(open(t, o), 1000_000), "after a clean stop")
}

// TestErrorInTheMiddleOfARound: the round spans two files and the second write fails. None of it is
// acknowledged, also what the first file holds already; the next start gives no offset twice.
func TestErrorInTheMiddleOfARound(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FS, o.FlushIntervalConsumeQueue = fs, 1<<30
	s := open(t, o)
	n := fill(t, s, 1, 0)
	writing, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs.set(func(op, path string) error {
		if op == "write" && isLog(path) {
			once.Do(func() { close(writing); <-goOn })
			if filepath.Base(path) != segment.Name(0) {
				return syscall.EIO
			}
		}
		return nil
	})
	done := make(outcome, 1000)
	require.NoError(t, s.Submit(group(s, done, "A", 0, n, 1, false)))
	<-writing
	groups := 0 // these form one round
	for ; groups < 200; groups++ {
		require.NoError(t, s.Submit(group(s, done, "A", 0, n+1+groups, 1, false)))
	}
	close(goOn)
	require.NoError(t, <-done)
	for range groups {
		require.ErrorIs(t, <-done, ErrReadOnly)
	}
	require.EqualValues(t, n+1, s.Find("A", 0).Max())
	require.Error(t, s.Close())
	o.FS = nil
	again := open(t, o)
	found := int(again.Find("A", 0).Max())
	require.Greater(t, found, n+1, "whole records that were written may stay, and do")
	verify(t, again, "A", 0, found)
	k := &sink{}
	g := group(again, k, "A", 0, found, 1, false)
	put(t, again, g)
	require.EqualValues(t, found, g.Recs[0].QueueOffset)
}

// TestOneGroupMayExceedTheLimit, or a large batch could never be sent; nothing is taken beside it.
func TestOneGroupMayExceedTheLimit(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FS, o.MaxQueuedBytes = fs, 100
	clock := atomic.Int64{}
	o.Now = func() time.Time { return time.UnixMilli(clock.Load()) }
	s := open(t, o)
	writing, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs.set(func(op, path string) error {
		if op == "write" && isLog(path) {
			once.Do(func() { close(writing); <-goOn })
		}
		return nil
	})
	done := make(outcome, 3)
	require.NoError(t, s.Submit(group(s, done, "A", 0, 0, 1, false)))
	<-writing
	require.Zero(t, s.Busy())
	require.NoError(t, s.Submit(group(s, done, "A", 0, 1, 9, false)))
	clock.Add(700)
	small := group(s, done, "A", 0, 10, 1, false)
	require.ErrorIs(t, s.Submit(small), ErrBusy)
	require.Equal(t, 700*time.Millisecond, s.Busy(), "of the oldest that waits")
	require.Equal(t, 1, s.Stats().QueuedGroups)
	close(goOn)
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	require.NoError(t, s.Submit(small))
	require.NoError(t, <-done)
	verify(t, s, "A", 0, 11)
}

// TestMemoryWhileTheDiskSyncs: in SYNC_FLUSH a sync that hangs must bound memory as a write that hangs does.
func TestMemoryWhileTheDiskSyncs(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FlushDiskType, o.FS, o.MaxQueuedBytes = SyncFlush, fs, 2000
	s := open(t, o)
	syncing, goOn, wrote := make(chan struct{}, 1000), make(chan struct{}), make(chan struct{}, 1000)
	fs.set(func(op, path string) error {
		if isLog(path) && op == "sync" {
			syncing <- struct{}{}
			<-goOn
		}
		if isLog(path) && op == "write" {
			wrote <- struct{}{}
		}
		return nil
	})
	done := make(outcome, 1000)
	require.NoError(t, s.Submit(group(s, done, "A", 0, 0, 1, false)))
	<-wrote
	<-syncing
	bytes, accepted := int64(0), 1
	for bytes <= 2*o.MaxQueuedBytes {
		g := group(s, done, "A", 0, accepted, 1, false)
		if s.Submit(g) != nil {
			break
		}
		<-wrote
		bytes += int64(len(g.Buf))
		accepted++
	}
	close(goOn)
	for range accepted {
		require.NoError(t, <-done)
	}
	require.LessOrEqual(t, bytes, o.MaxQueuedBytes)
}
