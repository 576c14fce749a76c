package client_test

import (
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestRefusedOrderedMessageHoldsItsQueueOnly refuses one message until all that is in other queues has been
// consumed, also what was sent after a restart of the broker, whose queue locks are gone then. Behind it nothing
// of its queue comes; so if it held back anything else, the test would not end. Until its next heartbeat a broker
// that has restarted does not know a consumer, so these come soon.
func TestRefusedOrderedMessageHoldsItsQueueOnly(t *testing.T) {
	const queueCount, each, heldQueue = 4, 10, 1
	c := aged(t)
	consumers, topics := map[string]*cluster.Run{}, map[string]string{}
	others := 2 * each * (queueCount - 1)
	for _, v := range versions {
		topics[v] = name(t, v[:1]+"-topic")
		c.Broker.CreateTopic(t, topics[v], queueCount)
		consumers[v] = consume(t, c, v, topics[v], name(t, v[:1]+"-group"), "mode=orderly", "suspendMs=200",
			soon, "hold=first-1:"+itoa(others))
	}
	ok := map[string][]cluster.Event{}
	await := func(v string, n int) {
		t.Helper()
		refusals := 0
		consumers[v].Until(t, 2*limit, func(e cluster.Event) bool {
			switch {
			case e.Kind() == "msg" && e["ok"] == true:
				ok[v] = append(ok[v], e)
			case e.Kind() == "msg":
				require.Equal(t, "first-1", e.Body())
				refusals++
			}
			return len(ok[v]) == n && (refusals > 1 || n > others)
		})
	}
	for _, v := range versions {
		produce(t, c, v, topics[v], queueCount*each, "sharding="+itoa(queueCount), "prefix=first")
		await(v, others/2)
	}
	c.Broker.Restart(t)
	for _, v := range versions {
		produce(t, c, v, topics[v], queueCount*each, "sharding="+itoa(queueCount), "prefix=second")
		await(v, 2*queueCount*each)
		next := map[int]int64{}
		for i, m := range ok[v] {
			require.Equal(t, next[m.QueueID()], m.QueueOffset(), "queue %d of %s", m.QueueID(), topics[v])
			next[m.QueueID()]++
			if m.QueueID() == heldQueue {
				require.GreaterOrEqual(t, i, others, "%s came past the message that holds its queue", m.Body())
			}
		}
		consumers[v].Stop(t, limit)
		for _, q := range queues(t, c, v, topics[v], name(t, v[:1]+"-group")) {
			require.EqualValues(t, 2*each, q.Int("committed"), "queue %d", q.QueueID())
		}
	}
}
