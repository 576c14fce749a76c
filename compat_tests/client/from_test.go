package client_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// aged is a cluster with small commit log files, whose first file is gone as
// if it had expired; its old topics so begin above offset 0. Only
// then does Java's broker let a new group start elsewhere than at 0: while
// offset 0 is in memory, that is where it starts
// (ConsumerManageProcessor.queryConsumerOffset).
func aged(t *testing.T) *cluster.Cluster {
	t.Helper()
	c := pool.Cluster(t, "aged", "mappedFileSizeCommitLog=131072")
	agedOnce.Do(func() {
		for _, v := range versions {
			c.Broker.CreateTopic(t, oldTopic(v), 2)
			produce(t, c, v, oldTopic(v), 4, "prefix=lost")
		}
		c.Broker.CreateTopic(t, "filler", 1)
		produce(t, c, cluster.ClientV5, "filler", 80, "size=4000")
		c.Broker.Stop(t)
		require.NoError(t, os.Remove(filepath.Join(c.Broker.Dir(), "store", "commitlog", "00000000000000000000")))
		c.Broker.Restart(t)
		agedDone = true
	})
	require.True(t, agedDone, "the cluster could not be aged, see the test that tried")
	return c
}

var (
	agedOnce sync.Once
	agedDone bool
)

func oldTopic(version string) string { return "old-" + version[:1] }

// TestConsumeFrom starts new groups at the first message there is, at a time
// and at the end.
func TestConsumeFrom(t *testing.T) {
	c := aged(t)
	eachVersion(t, func(t *testing.T, version string) {
		topic := oldTopic(version)
		old := produce(t, c, version, topic, 10, "prefix=old")
		for _, q := range queues(t, c, version, topic, name(t, "none")) {
			require.EqualValues(t, 2, q.Int("min"), "two messages per queue are gone with the first file")
			require.EqualValues(t, -1, q.Int("committed"))
		}
		second := old[len(old)-1].Int("ackTimestamp")/1000 + 1 // consumeTimestamp counts seconds
		waitUntil(second * 1000)
		last := consume(t, c, version, topic, name(t, "last"), "from=last", "expect=10")
		awaitQueues(t, last, 2, limit) // a queue is listed after its start was computed
		produce(t, c, version, topic, 10, "prefix=new")
		require.ElementsMatch(t, bodies("new", 0, 10), cluster.Bodies(received(t, last)))

		first := consume(t, c, version, topic, name(t, "first"), "from=first", "expect=20")
		stamp := time.Unix(second, 0).Format("20060102150405")
		at := consume(t, c, version, topic, name(t, "time"), "from=timestamp", "timestamp="+stamp, "expect=10")
		require.ElementsMatch(t, append(bodies("old", 0, 10), bodies("new", 0, 10)...), cluster.Bodies(received(t, first)))
		require.ElementsMatch(t, bodies("new", 0, 10), cluster.Bodies(received(t, at)))
	})
}

// TestConsumeFromLastOfYoungQueue: while offset 0 of a queue is in memory, a new
// group starts there even when it asks for the end, as with Java.
func TestConsumeFromLastOfYoungQueue(t *testing.T) {
	c := shared(t)
	topic := topic(t, c, 2)
	produce(t, c, cluster.ClientV5, topic, 6, "prefix=m")
	got := received(t, consume(t, c, cluster.ClientV5, topic, name(t, "group"), "from=last", "expect=6"))
	require.ElementsMatch(t, bodies("m", 0, 6), cluster.Bodies(got))
}
