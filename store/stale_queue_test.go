package store

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// TestGroupThatOutlivesItsTopic: a sender resolved the queue before the topic was deleted, and submits when it
// has been made again. Its message belongs to the new one, and the next start must not stumble over its offset.
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
	require.NoError(t, <-done)
	require.NoError(t, tl.put(s, part{key: qd, sizes: []int{10}}))
	want, err := dump(s)
	require.NoError(t, err)
	require.Len(t, want[qd], 4, "what was acknowledged is not there")
	img := d.Crash(1, simfs.Kill)
	require.NoError(t, s.Close())
	require.NoError(t, same("behind a kill", img, SyncFlush, want, nil))
	require.NoError(t, same("behind a stop", d, SyncFlush, want, nil))
}

// TestSendersAndADeletion: many senders while the topic is deleted again and again; the store starts afterwards.
func TestSendersAndADeletion(t *testing.T) {
	d := newSimDisk(t)
	s, err := Open(simOptions(AsyncFlush, d))
	require.NoError(t, err)
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for id := range int32(3) {
		senders.Go(func() {
			k := &sink{}
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				k.wg.Add(1)
				if err := s.Submit(group(s, k, "Busy", id%2, i, 2, false)); err != nil {
					t.Error(err)
					return
				}
				k.wg.Wait()
			}
		})
	}
	for range 30 {
		for s.MaxOffset("Busy", 0) < 5 || s.MaxOffset("Busy", 1) < 5 {
			runtime.Gosched()
		}
		require.NoError(t, s.DeleteTopic("Busy"))
	}
	close(stop)
	senders.Wait()
	for id := range int32(2) { // a queue that is not used again may come back
		put(t, s, group(s, &sink{}, "Busy", id, 0, 1, false))
	}
	img := d.Crash(1, simfs.Kill)
	want, err := dump(s)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, same("behind a kill", img, AsyncFlush, want, nil))
	require.NoError(t, same("behind a stop", d, AsyncFlush, want, nil))
}
