package client_test

import (
	"fmt"
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestClientsAreReachedThroughTheBroker: requests are replied to, and an administrator's tool sees a consumer's
// state, has it consume one message and read everything again.
func TestClientsAreReachedThroughTheBroker(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) { reachClients(t, shared(t), version) })
}

// TestConsumersMoveThemselves does the same with a broker that has the consumers reset their offsets.
func TestConsumersMoveThemselves(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		reachClients(t, pool.Cluster(t, "clientreset", "useServerSideResetOffset=false"), version)
	})
}

func reachClients(t *testing.T, c *cluster.Cluster, version string) {
	t.Helper()
	topic, group := topic(t, c, 4), name(t, "group")
	events := cluster.Java(t, version, "relay", c.Arg(), "broker="+c.Broker.Addr(), "topic="+topic, "group="+group, "clone="+name(t, "clone"), "count=8").Wait(t, limit)
	the := func(kind string) cluster.Event {
		t.Helper()
		list := cluster.Of(events, kind)
		require.Len(t, list, 1, kind)
		return list[0]
	}

	answers := cluster.Of(events, "answer")
	require.Len(t, answers, 8)
	for i, a := range answers {
		require.Equal(t, fmt.Sprintf("re:q-%d", i), a.Body())
		require.NotEmpty(t, a.Props()["CORRELATION_ID"])
		require.NotEmpty(t, a.Props()["PUSH_REPLY_TIME"])
	}

	state := the("state")
	require.Equal(t, true, state["jstack"])
	require.GreaterOrEqual(t, state.Int("queues"), int64(4), "and perhaps already that of the retry topic")
	require.EqualValues(t, 2, state.Int("subscriptions"))
	require.Contains(t, the("stranger")["error"], "The Consumer <"+group+"> <nobody> not online")
	require.EqualValues(t, 1, the("status").Int("clients"))
	require.Equal(t, true, the("status")["mine"])
	require.Equal(t, "CR_SUCCESS", the("direct")["result"])
	require.Equal(t, true, the("direct")["same"])

	require.EqualValues(t, 8, the("again").Int("messages"), "the reset has everything consumed again")
	require.Equal(t, the("cloned").Int("diff"), the("cloned").Int("cloneDiff"))
	require.EqualValues(t, 4, the("spans").Int("queues"))
	require.EqualValues(t, 1, the("units").Int("units"))
	require.Contains(t, the("all")["groups"], group)
}
