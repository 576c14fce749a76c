package client_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestQueueOffsets asks for min, max, committed, earliest time and the offset
// of a time, per queue; and views and queries single messages.
func TestQueueOffsets(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic, group := topic(t, c, 4), name(t, "group")
		first := produce(t, c, version, topic, 20, "sharding=4", "prefix=a", "keys=1", "tag=t")
		between := nextMilli(first)
		second := produce(t, c, version, topic, 12, "sharding=4", "prefix=b", "keys=1")
		got := byBody(t, received(t, consume(t, c, version, topic, group, "expect=32")))

		list := queues(t, c, version, topic, group, "timestamp="+strconv.FormatInt(between, 10))
		require.Len(t, list, 4)
		for id, q := range list {
			require.Equal(t, id, q.QueueID())
			require.EqualValues(t, 0, q.Int("min"))
			require.EqualValues(t, 8, q.Int("max"))
			require.EqualValues(t, 8, q.Int("committed"))
			require.EqualValues(t, 5, q.Int("byTime"))
			require.Equal(t, got["a-"+strconv.Itoa(id)].Int("storeTimestamp"), q.Int("earliest"))
		}

		s := second[5]
		view := one(t, cluster.Java(t, version, "view", c.Arg(), "topic="+topic, "msgId="+s.OffsetMsgID()))
		require.Equal(t, s.Body(), view.Body())
		checkReceived(t, s, view)
		require.Equal(t, got[s.Body()].Props()["KEYS"], view.Keys())

		s = first[7]
		found := one(t, cluster.Java(t, version, "query", c.Arg(), "topic="+topic, "key=a-k7"))
		require.Equal(t, s.Body(), found.Body())
		checkReceived(t, s, found)
		require.Equal(t, "t", found.Tag())
	})
}

// nextMilli returns a time later than every ack, after that time has come.
func nextMilli(sent []cluster.Event) int64 {
	at := sent[len(sent)-1].Int("ackTimestamp") + 1
	waitUntil(at)
	return at
}

// waitUntil returns when the clock shows at least that many Unix milliseconds.
func waitUntil(at int64) { time.Sleep(time.Until(time.UnixMilli(at))) }

// one returns the single message of a driver run.
func one(t *testing.T, r *cluster.Run) cluster.Event {
	t.Helper()
	msgs := received(t, r)
	require.Len(t, msgs, 1)
	return msgs[0]
}

// onDisk is a cluster that regards every message as out of memory. Only then
// does Java's broker let a new group start elsewhere than at offset 0 of a
// young queue (ConsumerManageProcessor.queryConsumerOffset).
func onDisk(t *testing.T) *cluster.Cluster {
	t.Helper()
	return pool.Cluster(t, "disk", "accessMessageInMemoryMaxRatio=0")
}

// TestConsumeFrom starts new groups at the first message, at a time and at the end.
func TestConsumeFrom(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := onDisk(t)
		topic := topic(t, c, 2)
		old := produce(t, c, version, topic, 10, "prefix=old")
		second := old[len(old)-1].Int("ackTimestamp")/1000 + 1 // consumeTimestamp counts seconds
		waitUntil(second * 1000)
		last := consume(t, c, version, topic, name(t, "last"), "from=last", "expect=10")
		awaitQueues(t, last, 2, limit)
		awaitCommitted(t, c, version, topic, name(t, "last"), 5)
		produce(t, c, version, topic, 10, "prefix=new")
		require.ElementsMatch(t, bodies("new", 0, 10), cluster.Bodies(received(t, last)))

		first := consume(t, c, version, topic, name(t, "first"), "from=first", "expect=20")
		stamp := time.Unix(second, 0).Format("20060102150405")
		at := consume(t, c, version, topic, name(t, "time"), "from=timestamp", "timestamp="+stamp, "expect=10")
		require.ElementsMatch(t, append(bodies("old", 0, 10), bodies("new", 0, 10)...), cluster.Bodies(received(t, first)))
		require.ElementsMatch(t, bodies("new", 0, 10), cluster.Bodies(received(t, at)))
	})
}

// awaitCommitted waits until every queue of the group has that committed offset.
func awaitCommitted(t *testing.T, c *cluster.Cluster, version, topic, group string, want int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, q := range queues(t, c, version, topic, group) {
			if q.Int("committed") != want {
				return false
			}
		}
		return true
	}, limit, 10*time.Millisecond)
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
