package store

import (
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// TestQueueIDsOfAnySize: a queue id costs no memory by its size, is served like any other and comes through a
// crash and a deletion.
func TestQueueIDsOfAnySize(t *testing.T) {
	d, tl := newSimDisk(t), newTally()
	s, err := Open(simOptions(AsyncFlush, d))
	require.NoError(t, err)
	ids := []int32{0, rowLength - 1, rowLength, 1 << 30, math.MaxInt32}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, id := range ids {
		require.NoError(t, tl.put(s, part{key: queueKey{"Far", id}, sizes: []int{10, 20}}))
	}
	img := d.Crash(1, simfs.Kill)
	k, err := Open(simOptions(AsyncFlush, img))
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
	got, err := dump(k)
	require.NoError(t, err)
	require.NoError(t, tl.verify(got, tl.end()))
	require.Len(t, got, len(ids))
	require.NoError(t, k.DeleteTopic("Far"))
	for _, id := range ids {
		require.Nil(t, k.Find("Far", id))
	}
	require.NoError(t, k.Close())
	require.NoError(t, s.Close())
}
