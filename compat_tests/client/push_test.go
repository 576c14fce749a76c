package client_test

import (
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestOrderedConsume sends with a queue selector and consumes orderly; each
// message is refused once, which must hold back its queue, not reorder it.
func TestOrderedConsume(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic := topic(t, c, 4)
		sent := produce(t, c, version, topic, 40, "sharding=4", "prefix=o")
		for i, s := range sent {
			require.Equal(t, i%4, s.QueueID())
			require.EqualValues(t, i/4, s.QueueOffset())
		}
		got := received(t, consume(t, c, version, topic, name(t, "group"), "mode=orderly", "failFirst=1", "expect=80"))
		require.Len(t, got, 80)
		next := map[int]int64{} // deliveries seen per queue
		for _, m := range got {
			n := next[m.QueueID()]
			next[m.QueueID()]++
			require.Equal(t, n/2, m.QueueOffset(), "queue %d out of order", m.QueueID())
			require.EqualValues(t, n%2, m.Reconsume())
		}
		for _, q := range queues(t, c, version, topic, name(t, "group")) {
			require.EqualValues(t, 10, q.Int("committed"))
		}
	})
}

// TestBroadcast starts two broadcasting consumers of one group; each gets every
// message, soon after it was stored (held pulls are answered, not timed out).
func TestBroadcast(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic, group := topic(t, c, 4), name(t, "group")
		var consumers []*cluster.Run
		for range 2 {
			consumers = append(consumers, consume(t, c, version, topic, group, "mode=broadcast", "expect=24"))
		}
		warm(t, c, version, topic, 4, consumers...)
		sent := produce(t, c, version, topic, 20, "prefix=b")
		for _, r := range consumers {
			got := byBody(t, received(t, r))
			require.Len(t, got, 24)
			soon := 0
			for _, s := range sent {
				m := got[s.Body()]
				checkReceived(t, s, m)
				if m.Int("recvTimestamp")-m.Int("storeTimestamp") < 3000 {
					soon++
				}
			}
			require.Greater(t, soon, 10, "held pulls were not woken by the arrival")
		}
		for _, q := range queues(t, c, version, topic, group) {
			require.LessOrEqual(t, q.Int("committed"), int64(0), "each consumer keeps its offsets to itself")
		}
	})
}

// TestRebalance lets consumers join and leave a group, once cleanly and once by
// SIGKILL. The broker tells the others at once, and no message is lost.
func TestRebalance(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic, group := topic(t, c, 4), name(t, "group")
		stays := consume(t, c, version, topic, group)
		awaitQueues(t, stays, 4, limit)
		producer := cluster.Java(t, version, "produce", c.Arg(), "topic="+topic, "prefix=r", "forever=1", "rate=40", "timeout=240000")

		leaves := consume(t, c, version, topic, group)
		awaitQueues(t, leaves, 2, limit)
		awaitQueues(t, stays, 2, notified)
		leaves.Collect(t, limit, "msg", 5)
		leaves.CloseStdin()
		awaitQueues(t, stays, 4, notified)

		dies := consume(t, c, version, topic, group)
		awaitQueues(t, dies, 2, limit)
		awaitQueues(t, stays, 2, notified)
		dies.Collect(t, limit, "msg", 5)
		dies.Kill(t)
		awaitQueues(t, stays, 4, notified)

		sent := producer.Stop(t, limit)
		require.Empty(t, cluster.Of(sent, "sendError"))
		missing := map[string]bool{}
		for _, s := range cluster.Of(sent, "sent") {
			missing[s.Body()] = true
		}
		for _, r := range []*cluster.Run{leaves, dies, stays} {
			for _, m := range cluster.Of(r.Events(), "msg") {
				delete(missing, m.Body())
			}
		}
		if len(missing) > 0 {
			stays.Until(t, limit, func(e cluster.Event) bool {
				if e.Kind() == "msg" {
					delete(missing, e.Body())
				}
				return len(missing) == 0
			})
		}
		leaves.Wait(t, limit)
		stays.Stop(t, limit)
	})
}

// notified bounds the wait for a change the broker announces. Without the
// announcement a client rebalances every 20 s, so this stays below.
const notified = 15 * time.Second

// awaitQueues waits until the consumer has that many queues.
func awaitQueues(t *testing.T, r *cluster.Run, n int, timeout time.Duration) {
	t.Helper()
	r.Until(t, timeout, func(e cluster.Event) bool {
		list, _ := e["queues"].([]any)
		return e.Kind() == "assigned" && len(list) == n
	})
}
