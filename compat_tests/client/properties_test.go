package client_test

import (
	"strconv"
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestTagsKeysProperties filters by tag on the server, and finds tags, keys,
// the flag and user properties unchanged.
func TestTagsKeysProperties(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic, group := topic(t, c, 4), name(t, "group")
		sent := produce(t, c, version, topic, 31, "prefix=p", "tags=a,b,c", "keys=1", "flag=7",
			"prop.colour=red", "prop.empty=x y=z", "prop.unicode=Grüße 消息")
		got := byBody(t, received(t, consume(t, c, version, topic, group, "tag=a || c", "expect=21")))
		tags := []string{"a", "b", "c"}
		for i, s := range sent {
			tag := tags[i%3]
			if tag == "b" {
				require.NotContains(t, got, s.Body())
				continue
			}
			g := got[s.Body()]
			checkReceived(t, s, g)
			require.Equal(t, topic, g.Topic())
			require.Equal(t, tag, g.Tag())
			require.Equal(t, "p-k"+strconv.Itoa(i), g.Keys())
			require.EqualValues(t, 7, g.Int("flag"))
			props := g.Props()
			require.Equal(t, "red", props["colour"])
			require.Equal(t, "x y=z", props["empty"])
			require.Equal(t, "Grüße 消息", props["unicode"])
			require.Equal(t, s.MsgID(), props["UNIQ_KEY"])
			require.Equal(t, "true", props["WAIT"])
		}
	})
}

// TestFilterAdvancesOffset shows that a consumer whose tag matches nothing
// still moves its committed offset over what the server filtered out.
func TestFilterAdvancesOffset(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic, group := topic(t, c, 1), name(t, "group")
		produce(t, c, version, topic, 10, "tag=other")
		produce(t, c, version, topic, 1, "tag=mine", "prefix=last")
		got := received(t, consume(t, c, version, topic, group, "tag=mine", "expect=1"))
		require.Equal(t, []string{"last-0"}, cluster.Bodies(got))
		require.EqualValues(t, 10, got[0].QueueOffset())
		q := queues(t, c, version, topic, group)
		require.EqualValues(t, 11, q[0].Int("committed"))
	})
}

// queues runs the driver's verb queue and returns one event per queue in order.
func queues(t *testing.T, c *cluster.Cluster, version, topic, group string, args ...string) []cluster.Event {
	t.Helper()
	args = append([]string{c.Arg(), "topic=" + topic, "group=" + group}, args...)
	return cluster.Of(cluster.Java(t, version, "queue", args...).Wait(t, limit), "queue")
}
