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
