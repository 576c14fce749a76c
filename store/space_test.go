package store

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fullDisk is a disk that can be made full for one operation on paths of one kind.
func fullDisk(o *Options, op, part string) (full *atomic.Bool) {
	full = &atomic.Bool{}
	fs := &faulty{}
	fs.set(func(did, path string) error {
		if full.Load() && did == op && strings.Contains(path, part) {
			return syscall.ENOSPC
		}
		return nil
	})
	o.FS = fs
	return full
}

// sendOne sends one group of n messages behind those that queue A has and returns its error.
func sendOne(t *testing.T, s *Store, n int) error {
	t.Helper()
	done := make(outcome, 1)
	from := int(s.MaxOffset("A", 0))
	if err := s.Submit(group(s, done, "A", 0, from, n, false)); err != nil {
		return err
	}
	return <-done
}

// TestFullDiskCostsOnlyWhatItHasNoRoomFor: the log's next file cannot be made, or a write finds no space.
// What fits is taken, the rest is refused as a whole, and all goes on when there is space again.
func TestFullDiskCostsOnlyWhatItHasNoRoomFor(t *testing.T) {
	for _, mode := range []string{AsyncFlush, SyncFlush} {
		for _, x := range []struct{ op, part string }{{"allocate", "/prep/"}, {"write", "/commitlog/"}} {
			t.Run(mode+" "+x.op, func(t *testing.T) {
				o := testOptions(t.TempDir())
				o.FlushDiskType = mode
				full := fullDisk(&o, x.op, x.part)
				s := open(t, o)
				n := fill(t, s, 1, 0)
				full.Store(true)
				refused := 0
				for i := 0; refused < 5; i++ {
					require.Less(t, i, 1000, "never full")
					err := sendOne(t, s, 7)
					if err == nil {
						require.Zero(t, refused, "taken behind a group that was refused, without space")
						n += 7
						continue
					}
					require.ErrorIs(t, err, ErrNoSpace)
					require.ErrorIs(t, err, syscall.ENOSPC)
					refused++
				}
				require.NoError(t, s.Err(), "a full disk is no broken disk")
				verify(t, s, "A", 0, n)
				killed := o
				killed.FS, killed.StorePathRootDir = nil, snapshot(t, o.StorePathRootDir)
				verify(t, open(t, killed), "A", 0, n)
				full.Store(false)
				require.Eventually(t, func() bool { return sendOne(t, s, 7) == nil }, 10*time.Second, 5*time.Millisecond)
				n += 7
				for range 40 {
					require.NoError(t, sendOne(t, s, 7))
					n += 7
				}
				require.Nil(t, s.logFull.Load())
				verify(t, s, "A", 0, n)
				require.NoError(t, s.Close())
				o.FS = nil
				verify(t, open(t, o), "A", 0, n)
			})
		}
	}
}

// TestFullDiskAtTheFirstMessage: there is no file yet.
func TestFullDiskAtTheFirstMessage(t *testing.T) {
	o := testOptions(t.TempDir())
	full := fullDisk(&o, "allocate", "/prep/")
	full.Store(true)
	s := open(t, o)
	require.ErrorIs(t, sendOne(t, s, 3), ErrNoSpace)
	entries, err := filepath.Glob(filepath.Join(o.StorePathRootDir, "skylark", "prep", "*"))
	require.NoError(t, err)
	require.Empty(t, entries, "a file that could not be made keeps no space")
	full.Store(false)
	require.Eventually(t, func() bool { return sendOne(t, s, 3) == nil }, 10*time.Second, 5*time.Millisecond)
	verify(t, s, "A", 0, 3)
}

// TestTakeBackGivesTheOffsetsAgain: several groups of one round, to the same queue, of which the write fails.
func TestTakeBackGivesTheOffsetsAgain(t *testing.T) {
	o := testOptions(t.TempDir())
	full := fullDisk(&o, "write", "/commitlog/")
	s := open(t, o)
	n := fill(t, s, 1, 0)
	q := s.Find("A", 0)
	var groups []*Group
	for i := range 3 {
		groups = append(groups, group(s, &sink{}, "A", 0, n+2*i, 2, i == 1))
	}
	full.Store(true)
	w := roundWriter{s: s, groups: groups, end: s.log.End(), now: 1}
	w.run()
	require.NoError(t, w.err)
	require.ErrorIs(t, w.full, ErrNoSpace)
	require.EqualValues(t, n, q.Next)
	for _, g := range groups {
		require.ErrorIs(t, g.err, ErrNoSpace)
	}
}

// TestFullDiskForQueues: the log takes messages on, units gather in memory up to their bound, then sending is
// refused with the reason; nothing is lost.
func TestFullDiskForQueues(t *testing.T) {
	o := testOptions(t.TempDir())
	o.FlushIntervalConsumeQueue, o.MaxQueuedBytes = 10, 4000
	full := fullDisk(&o, "write", "/consumequeue/")
	s := open(t, o)
	n := fill(t, s, 1, 0)
	full.Store(true)
	require.NoError(t, sendOne(t, s, 5))
	n += 5
	require.Eventually(t, func() bool { return s.unitsFull.Load() != nil }, 10*time.Second, time.Millisecond)
	s.dirtyUnits.Add(maxDirtyUnits) // as if so many waited
	done := make(outcome, 1000)
	sent := 0
	var err error
	for ; err == nil && sent < 1000; sent++ {
		err = s.Submit(group(s, done, "A", 0, n+sent, 1, false))
	}
	require.ErrorIs(t, err, ErrNoSpace)
	sent--
	full.Store(false)
	s.dirtyUnits.Add(-maxDirtyUnits)
	for range sent {
		require.NoError(t, <-done)
	}
	require.Eventually(t, func() bool { return s.unitsFull.Load() == nil }, 10*time.Second, time.Millisecond)
	verify(t, s, "A", 0, n+sent)
	require.NoError(t, s.Close())
	o.FS = nil
	verify(t, open(t, o), "A", 0, n+sent)
}
