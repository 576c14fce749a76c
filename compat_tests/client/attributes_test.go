package client_test

import (
	"strings"
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestTopicAttributes creates and changes topics with attributes, in what is taken and what is refused. A broker
// keeps a topic's message type for gRPC proxies and takes messages of every type from clients of this protocol.
func TestTopicAttributes(t *testing.T) {
	c := shared(t)
	topic := name(t, "topic")
	admin := func(topic string, sets ...string) (shown, refused []cluster.Event) {
		t.Helper()
		events := cluster.Java(t, cluster.ClientV5, "createtopic", c.Arg(), "broker="+c.Broker.Addr(), "topic="+topic, "queues=2",
			"attributes="+strings.Join(sets, "|")).Wait(t, limit)
		shown = cluster.Of(events, "topic")
		require.Len(t, shown, len(sets))
		return shown, cluster.Of(events, "refused")
	}
	left := map[string]any{"queue.type": "SimpleCQ"}
	refusals := []struct{ attribute, why string }{
		{"+queue.type:BatchCQ", "attempt to update an unchangeable attribute. key: queue.type"},
		{"+no.such:x", "unsupported key: no.such"},
		{"+message.type:MANY", "value is not in set: "},
		{"message.type:FIFO", "add/alter attribute format is wrong: message.type"},
		{"+message.type:MIXED", "MIXED message type is not supported."},
	}
	if !cluster.PeerIsJava() { // which has lite topics
		refusals = append(refusals, struct{ attribute, why string }{"+message.type:LITE", "LITE message type is not supported."})
	}
	sets := []string{"+message.type:FIFO,+queue.type:SimpleCQ", "+message.type:DELAY", "-message.type:"}
	for _, r := range refusals {
		sets = append(sets, r.attribute)
	}
	sets = append(sets, "+message.type:FIFO")
	shown, refused := admin(topic, sets...)
	require.Equal(t, map[string]any{"message.type": "FIFO", "queue.type": "SimpleCQ"}, shown[0]["attributes"])
	require.Equal(t, map[string]any{"message.type": "DELAY", "queue.type": "SimpleCQ"}, shown[1]["attributes"])
	require.Equal(t, left, shown[2]["attributes"])
	require.Len(t, refused, len(refusals))
	for i, r := range refusals {
		require.Contains(t, refused[i].Str("error"), r.why, r.attribute)
		require.Equal(t, left, shown[3+i]["attributes"], "%s has changed something", r.attribute)
	}
	require.Equal(t, shown[0]["attributes"], shown[len(shown)-1]["attributes"])
	_, refused = admin(name(t, "other"), "+queue.type:Some", "-message.type:")
	require.Len(t, refused, 2)

	produce(t, c, cluster.ClientV5, topic, 8, "delay=0,1", "prop.__SHARDINGKEY=k")
	got := received(t, consume(t, c, cluster.ClientV5, topic, name(t, "group"), "expect=8", soon))
	require.ElementsMatch(t, bodies("m", 0, 8), cluster.Bodies(got))
}

// TestOrderedTopicOfTheNameServer: the queues an ordered topic has stand in the NameServer's KV configuration, and
// producers follow that and not what its broker says (orderMessageEnable).
func TestOrderedTopicOfTheNameServer(t *testing.T) {
	ns := cluster.StartNamesrv(t, cluster.Options{ExtraConf: []string{"orderMessageEnable=true"}})
	c := &cluster.Cluster{Namesrv: ns, Broker: cluster.StartBroker(t, cluster.Options{Namesrv: []string{ns.Addr()}})}
	eachVersion(t, func(t *testing.T, version string) {
		topic := topic(t, c, 4)
		cluster.Java(t, version, "orderconf", c.Arg(), "broker="+c.Broker.Addr(), "topic="+topic, "conf=broker-a:2").Wait(t, limit)
		count := map[int]int{}
		for _, s := range produce(t, c, version, topic, 12) {
			count[s.QueueID()]++
		}
		require.Equal(t, map[int]int{0: 6, 1: 6}, count)
		refused := cluster.Java(t, version, "produce", c.Arg(), "topic="+topic, "queue=2").Wait(t, limit)
		require.Contains(t, cluster.Of(refused, "sendError")[0].Str("error"), "select message queue threw exception", "there is no queue 2")
		got := received(t, consume(t, c, version, topic, name(t, "group"), "mode=orderly", "expect=12", soon))
		require.ElementsMatch(t, bodies("m", 0, 12), cluster.Bodies(got))
	})
}
