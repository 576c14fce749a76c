package client_test

import (
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestAdminTopicAndGroup creates, changes and deletes a topic and a group with
// Java's DefaultMQAdminExt and looks at what the broker and the NameServer show.
func TestAdminTopicAndGroup(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic, group := name(t, "topic"), name(t, "group")
		broker := "broker=" + c.Broker.Addr()
		admin := func(verb string, args ...string) []cluster.Event {
			return cluster.Java(t, version, verb, append([]string{c.Arg(), broker}, args...)...).Wait(t, limit)
		}

		events := admin("createtopic", "topic="+topic, "queues=6", "perm=6")
		shown := cluster.Of(events, "topic")[0]
		require.Equal(t, true, shown["found"])
		require.EqualValues(t, 6, shown.Int("readQueues"))
		require.EqualValues(t, 6, shown.Int("writeQueues"))
		require.EqualValues(t, 6, shown.Int("perm"))
		require.Equal(t, true, cluster.Of(events, "route")[0]["found"])
		produce(t, c, version, topic, 6, "sharding=6")

		events = admin("deletetopic", "topic="+topic)
		require.Equal(t, false, cluster.Of(events, "topic")[0]["found"])
		require.Equal(t, false, cluster.Of(events, "route")[0]["found"])

		shown = cluster.Of(admin("createsub", "group="+group, "retryMax=7", "retryQueues=2"), "group")[0]
		require.Equal(t, true, shown["found"])
		require.EqualValues(t, 7, shown.Int("retryMax"))
		require.EqualValues(t, 2, shown.Int("retryQueues"))
		shown = cluster.Of(admin("deletesub", "group="+group), "group")[0]
		if version == cluster.ClientV4 && cluster.PeerIsJava() {
			// The 4.9 client asks to keep the offsets. Java 5.5.0 then looks whether the group is a lite one
			// (LiteMetadataUtil.isLiteGroupType), which makes the group it has just deleted. Skylark does not.
			require.EqualValues(t, 16, shown.Int("retryMax"))
			require.EqualValues(t, 1, shown.Int("retryQueues"))
		} else {
			require.Equal(t, false, shown["found"])
		}
	})
}
