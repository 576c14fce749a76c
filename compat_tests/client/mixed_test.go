package client_test

import (
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestMixedServers puts our broker under a Java NameServer and a Java broker
// under ours, with Java clients on top.
func TestMixedServers(t *testing.T) {
	t.Run("java-namesrv", func(t *testing.T) {
		t.Parallel()
		ns := cluster.StartJavaNamesrv(t, cluster.Options{})
		b := cluster.StartBroker(t, cluster.Options{Namesrv: []string{ns.Addr()}})
		roundTrip(t, &cluster.Cluster{Namesrv: ns, Broker: b})
	})
	t.Run("java-broker", func(t *testing.T) {
		t.Parallel()
		ns := cluster.StartNamesrv(t, cluster.Options{})
		b := cluster.StartJavaBroker(t, cluster.Options{Namesrv: []string{ns.Addr()}})
		roundTrip(t, &cluster.Cluster{Namesrv: ns, Broker: b})
	})
}

// roundTrip creates a topic by being sent to (auto creation), and reads back
// bodies, order per queue and properties.
func roundTrip(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	topic := name(t, "topic")
	produce(t, c, cluster.ClientV5, topic, 1, "prefix=first")
	c.Broker.AwaitRoute(t, topic)
	sent := produce(t, c, cluster.ClientV5, topic, 40, "prefix=x", "sharding=4", "keys=1", "tag=t", "prop.colour=red", "size=200")
	got := received(t, consume(t, c, cluster.ClientV5, topic, name(t, "group"), "mode=orderly", "expect=41"))
	index := byBody(t, got)
	require.Contains(t, index, "first-0")
	next := map[int]int64{}
	for _, m := range got {
		require.Equal(t, next[m.QueueID()], m.QueueOffset(), "order of queue %d", m.QueueID())
		next[m.QueueID()]++
	}
	for _, s := range sent {
		m := index[s.Body()]
		checkReceived(t, s, m)
		require.Equal(t, "red", m.Props()["colour"])
		require.Equal(t, "t", m.Tag())
		require.Len(t, m.Body(), 200)
	}
	for _, q := range queues(t, c, cluster.ClientV5, topic, name(t, "group")) {
		require.Equal(t, q.Int("max"), q.Int("committed"))
	}
}
