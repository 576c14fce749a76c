package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// TestGroupThatOutlivesItsTopic: a sender resolved the queue before the topic was deleted, and submits when it
// has been made again. Its message goes nowhere, and the next start must not stumble over its queue offset.
func TestGroupThatOutlivesItsTopic(t *testing.T) {
	d, tl := newSimDisk(t), newTally()
	s, err := Open(simOptions(SyncFlush, d))
	require.NoError(t, err)
	require.NoError(t, tl.put(s, part{key: qd, sizes: []int{10, 10, 10, 10}}))
	done := make(outcome, 1)
	g := group(s, done, qd.topic, qd.id, 0, 1, false)
	require.NoError(t, tl.deleteTopic(s, qd.topic))
	require.NoError(t, tl.put(s, part{key: qd, sizes: []int{10, 10}}))
	require.NoError(t, s.Submit(g))
	<-done
	require.NoError(t, tl.put(s, part{key: qd, sizes: []int{10}}))
	img := d.Crash(1, simfs.Kill)
	require.NoError(t, s.Close())
	for _, from := range []*simfs.Disk{img, d} {
		s, err := Open(simOptions(SyncFlush, from))
		require.NoError(t, err)
		got, err := dump(s)
		require.NoError(t, err)
		require.NoError(t, tl.verify(got, tl.end()))
		require.NoError(t, s.Close())
	}
}
