package store

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSyncThatTakesTooLong: the owners are told in time and once; what they were told of stays out of sight
// until it is durable, keeps its offsets, and is not stored twice.
func TestSyncThatTakesTooLong(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FlushDiskType, o.FS, o.SyncFlushTimeout = SyncFlush, fs, 20
	s := open(t, o)
	n := fill(t, s, 1, 0)
	goOn := make(chan struct{})
	var hang atomic.Bool
	hang.Store(true)
	syncing := make(chan struct{}, 100)
	fs.set(func(op, path string) error {
		if hang.Load() && op == "sync" && isLog(path) {
			syncing <- struct{}{}
			<-goOn
		}
		return nil
	})
	done := make(outcome, 10)
	first := group(s, done, "A", 0, n, 2, false)
	require.NoError(t, s.Submit(first))
	<-syncing
	second := group(s, done, "A", 0, n+2, 3, true) // waits behind the sync that hangs
	require.NoError(t, s.Submit(second))
	for range 2 {
		require.ErrorIs(t, <-done, ErrFlushTimeout)
	}
	require.EqualValues(t, n, first.Recs[0].QueueOffset)
	require.EqualValues(t, n+4, second.Recs[2].QueueOffset)
	clear(first.Buf) // it is ours again
	clear(second.Recs)
	require.EqualValues(t, n, s.MaxOffset("A", 0), "visible before it was durable")
	require.Zero(t, s.fl.bytes.Load())
	hang.Store(false)
	close(goOn)
	require.Eventually(t, func() bool { return s.MaxOffset("A", 0) == int64(n+5) }, 10*time.Second, time.Millisecond)
	if err := sendOneAt(t, s, n+5); err != nil { // this disk may be slow as well
		require.ErrorIs(t, err, ErrFlushTimeout)
		require.Eventually(t, func() bool { return s.MaxOffset("A", 0) == int64(n+6) }, 10*time.Second, time.Millisecond)
	}
	require.Empty(t, done, "told twice")
	verify(t, s, "A", 0, n+6)
	require.NoError(t, s.Close())
	o.FS = nil
	verify(t, open(t, o), "A", 0, n+6)
}

// sendOneAt sends message i of queue A.
func sendOneAt(t *testing.T, s *Store, i int) error {
	t.Helper()
	done := make(outcome, 1)
	require.NoError(t, s.Submit(group(s, done, "A", 0, i, 1, false)))
	return <-done
}
