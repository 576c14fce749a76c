package client_test

import (
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestOffsetsSurviveRestart restarts the broker with SIGTERM: committed
// messages stay consumed, later ones arrive, and clients that run across a
// second restart go on without losing an acknowledged message.
func TestOffsetsSurviveRestart(t *testing.T) {
	c := aged(t)
	topics, groups := map[string]string{}, map[string]string{}
	for _, v := range versions {
		topics[v], groups[v] = name(t, v[:1]+"-topic"), name(t, v[:1]+"-group")
		c.Broker.CreateTopic(t, topics[v], 4)
		c.Broker.CreateGroup(t, groups[v], 16)
		produce(t, c, v, topics[v], 100, "prefix=before")
		got := received(t, consume(t, c, v, topics[v], groups[v], "expect=100"))
		require.ElementsMatch(t, bodies("before", 0, 100), cluster.Bodies(got))
	}
	c.Broker.Restart(t)

	consumers, producers := map[string]*cluster.Run{}, map[string]*cluster.Run{}
	for _, v := range versions {
		consumers[v] = consume(t, c, v, topics[v], groups[v])
		producers[v] = cluster.Java(t, v, "produce", c.Arg(), "topic="+topics[v], "prefix=after",
			"forever=1", "rate=40", "timeout=240000")
	}
	for _, v := range versions {
		for _, m := range consumers[v].Collect(t, limit, "msg", 40) {
			require.Contains(t, m.Body(), "after-", "consumed before the restart, delivered again after it")
		}
	}
	c.Broker.Restart(t)
	for _, v := range versions {
		lastBefore := len(cluster.Of(producers[v].Events(), "sent"))
		producers[v].Collect(t, 2*limit, "sent", lastBefore+40)
		sent := cluster.Of(producers[v].Stop(t, limit), "sent")
		awaitAll(t, consumers[v], sent)
		consumers[v].Stop(t, limit)
		for _, m := range cluster.Of(consumers[v].Events(), "msg") {
			require.Contains(t, m.Body(), "after-")
		}
		list := queues(t, c, v, topics[v], groups[v])
		require.Len(t, list, 4)
		total := int64(0)
		for _, q := range list {
			total += q.Int("max")
			require.Equal(t, q.Int("max"), q.Int("committed"))
		}
		require.GreaterOrEqual(t, total, int64(100+len(sent)))
	}
}

// awaitAll waits until the consumer has seen every sent message.
func awaitAll(t *testing.T, consumer *cluster.Run, sent []cluster.Event) {
	t.Helper()
	missing := map[string]bool{}
	for _, s := range sent {
		missing[s.Body()] = true
	}
	for _, m := range cluster.Of(consumer.Events(), "msg") {
		delete(missing, m.Body())
	}
	if len(missing) == 0 {
		return
	}
	consumer.Until(t, 2*limit, func(e cluster.Event) bool {
		if e.Kind() == "msg" {
			delete(missing, e.Body())
		}
		return len(missing) == 0
	})
}
