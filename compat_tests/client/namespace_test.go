package client_test

import (
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestNamespaces: topics and groups of clients in a namespace have its name in front at the broker and not in the
// application, retries and dead letters too; the same topic outside is another one.
func TestNamespaces(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		space := "INST_" + name(t, "space")
		group := name(t, "group")
		topic := topic(t, c, 2)
		inside := space + "%" + topic
		for _, made := range []string{inside, "%RETRY%" + space + "%" + group} {
			c.Broker.CreateTopic(t, made, 2) // see TestRetryAndDeadLetter
		}
		consumer := consume(t, c, version, topic, group, "namespace="+space, "failFirst=2", "maxReconsume=1", "expect=8", soon)
		produce(t, c, version, topic, 4, "prefix=outside")
		sent := produce(t, c, version, topic, 4, "prefix=inside", "namespace="+space, "tag=t", "keys=1")
		times := map[string]int{}
		for _, m := range received(t, consumer) {
			require.Equal(t, topic, m.Topic())
			require.Equal(t, times[m.Body()], m.Reconsume())
			times[m.Body()]++
		}
		require.Equal(t, map[string]int{"inside-0": 2, "inside-1": 2, "inside-2": 2, "inside-3": 2}, times)
		// Seen from outside, where the names are whole.
		whole := byBody(t, received(t, consume(t, c, version, inside, name(t, "outside"), "expect=4", soon)))
		dead := byBody(t, received(t, consume(t, c, version, "%DLQ%"+space+"%"+group, name(t, "undertaker"), "expect=4", soon)))
		for _, s := range sent {
			checkReceived(t, s, whole[s.Body()])
			require.Equal(t, inside, whole[s.Body()].Topic())
			require.Equal(t, s.MsgID(), dead[s.Body()].MsgID())
			require.Equal(t, inside, dead[s.Body()].Props()["RETRY_TOPIC"])
		}
	})
}

// TestNamespaceV2: with it a 5.x client leaves the names alone and sends the namespace as a field of its own with
// every request, which a broker by itself does nothing with.
func TestNamespaceV2(t *testing.T) {
	c := shared(t)
	topic, group := topic(t, c, 4), name(t, "group")
	consumer := consume(t, c, cluster.ClientV5, topic, group, "namespaceV2=space", "expect=8", soon)
	sent := produce(t, c, cluster.ClientV5, topic, 8, "prefix=v2", "namespaceV2=space")
	got := byBody(t, received(t, consumer))
	for _, s := range sent {
		checkReceived(t, s, got[s.Body()])
		require.Equal(t, topic, got[s.Body()].Topic())
	}
	for _, q := range queues(t, c, cluster.ClientV5, topic, group) {
		require.Equal(t, q.Int("max"), q.Int("committed"))
	}
}
