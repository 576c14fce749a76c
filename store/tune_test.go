package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFlushDiskTypeChangesUnderLoad: every message is stored, and each queue has them in the order of the log, with no
// gap, whichever type they came under.
func TestFlushDiskTypeChangesUnderLoad(t *testing.T) {
	o := testOptions(t.TempDir())
	s := open(t, o)
	const count = 400
	k := &sink{}
	k.wg.Add(count)
	for i := range count {
		if i%10 == 0 { // twenty times each way
			now := s.Options()
			now.FlushDiskType = []string{SyncFlush, AsyncFlush}[i/10%2]
			s.Tune(now)
		}
		require.NoError(t, s.Submit(group(s, k, "T", 0, i, 1, false)))
	}
	k.wg.Wait()
	require.NoError(t, k.err)
	verify(t, s, "T", 0, count)
	require.Eventually(t, func() bool { return s.fl.hidden.Load() == 0 }, 30*time.Second, time.Millisecond)
}

// TestRetentionIsTuned: what is allowed to stay decides at the next round.
func TestRetentionIsTuned(t *testing.T) {
	w := newEarth()
	s := w.open(t, w.options(t.TempDir()))
	o := s.Options()
	o.FileReservedTime, o.DeleteWhen, o.DiskSpaceWarningLevelRatio, o.CleanResourceInterval = 5, "07", 60, 3000
	s.Tune(o)
	require.Eventually(t, func() bool {
		var reserved time.Duration
		require.NoError(t, s.onKeeper(func() { reserved = s.keeper.rules.ReservedTime }))
		return reserved == 5*time.Hour
	}, 30*time.Second, time.Millisecond)
	require.NoError(t, s.onKeeper(func() {
		require.Equal(t, []int{7}, s.keeper.rules.Hours)
		require.Equal(t, 60, s.keeper.rules.RefuseAbove)
	}))
	require.EqualValues(t, 5, s.Options().FileReservedTime)
}

// TestReadLimitsAreTuned: the next read keeps to them.
func TestReadLimitsAreTuned(t *testing.T) {
	s := open(t, testOptions(t.TempDir()))
	put(t, s, group(s, &sink{}, "T", 0, 0, 10, false))
	read := func() int {
		_, res, err := s.Get(nil, GetRequest{Queue: s.Find("T", 0), MaxMessages: 32})
		require.NoError(t, err)
		return res.Messages
	}
	require.EqualValues(t, 10, read())
	o := s.Options()
	o.MaxTransferCountInMemory, o.MaxTransferCountInDisk, o.FlushDiskType = 3, 3, "NEVER"
	s.Tune(o)
	require.EqualValues(t, 3, read())
	require.Equal(t, AsyncFlush, s.Options().FlushDiskType)
}
