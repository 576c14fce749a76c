package client_test

import (
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestLitePull reads with DefaultLitePullConsumer: by subscription with a tag
// and commit, and by assign and seek, which ignores committed offsets.
func TestLitePull(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic, group := topic(t, c, 4), name(t, "group")
		sent := produce(t, c, version, topic, 40, "sharding=4", "prefix=l", "tags=x,x,x,x,y,y,y,y")

		got := byBody(t, litepull(t, c, version, topic, group, "tag=x", "expect=20"))
		for i, s := range sent {
			if i%8 < 4 {
				checkReceived(t, s, got[s.Body()])
			} else {
				require.NotContains(t, got, s.Body())
			}
		}
		for _, q := range queues(t, c, version, topic, group) {
			require.GreaterOrEqual(t, q.Int("committed"), int64(9), "committed past the last x, at offset 8")
		}

		tail := litepull(t, c, version, topic, name(t, "seek"), "assign=1", "seek=7", "expect=12")
		next := map[int]int64{}
		for _, m := range tail {
			require.Equal(t, 7+next[m.QueueID()], m.QueueOffset())
			next[m.QueueID()]++
		}
		require.Equal(t, map[int]int64{0: 3, 1: 3, 2: 3, 3: 3}, next)
	})
}

func litepull(t *testing.T, c *cluster.Cluster, version, topic, group string, args ...string) []cluster.Event {
	t.Helper()
	args = append([]string{c.Arg(), "topic=" + topic, "group=" + group}, args...)
	return received(t, cluster.Java(t, version, "litepull", args...))
}
