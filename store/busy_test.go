package store

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStalledDisk: a write that takes longer than osPageCacheBusyTimeOutMills stalls the store. Then what waits can
// be turned away, but for the broker's own; it is not stored, all else is.
func TestStalledDisk(t *testing.T) {
	fs := &faulty{}
	o := testOptions(t.TempDir())
	o.FS = fs
	clock := atomic.Int64{}
	clock.Store(1e12)
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
	done, away := make(outcome, 3), make(outcome, 3)
	require.NoError(t, s.Submit(group(s, done, "A", 0, 0, 1, false)))
	<-writing
	clock.Add(o.OsPageCacheBusyTimeOutMills)
	require.False(t, s.Stalled())
	s.TurnAway(ErrBusy) // nothing waits
	for i, impatient := range []bool{true, false, true} {
		to := done
		if impatient {
			to = away
		}
		g := group(s, to, "A", 0, i, 1, false)
		g.Impatient = impatient
		require.NoError(t, s.Submit(g))
	}
	clock.Add(1)
	require.True(t, s.Stalled(), "the round")
	why := errors.New("because")
	s.TurnAway(why)
	require.ErrorIs(t, <-away, why)
	require.ErrorIs(t, <-away, why)
	require.Equal(t, 1, s.Stats().QueuedGroups)
	require.Equal(t, time.Millisecond, s.Busy(), "the age of what stays is that of the oldest there was")
	close(goOn)
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	require.Eventually(t, func() bool { return !s.Stalled() }, 30*time.Second, time.Millisecond)
	require.Empty(t, away)
	require.EqualValues(t, 2, s.MaxOffset("A", 0))
	require.NoError(t, s.Submit(group(s, done, "A", 0, 2, 1, false)))
	require.NoError(t, <-done)
}
