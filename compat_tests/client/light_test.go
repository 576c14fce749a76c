package client_test

import (
	"fmt"
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestLightQueues sends messages that light queues get too (LMQ). Stock clients, whose groups nobody has made, read
// them there, from the first offset and from where they had come, while others come in.
func TestLightQueues(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := cluster.Standalone(t, "enableLmq=true", "enableMultiDispatch=true")
		topic := topic(t, c, 4)
		x, y := "%LMQ%x", "%LMQ%y%z"
		read := func(light, group string, seek, expect int) *cluster.Run {
			return cluster.Java(t, version, "litepull", c.Arg(), "topic="+topic, "group="+group, "assign=1", "light="+light, fmt.Sprint("seek=", seek), fmt.Sprint("expect=", expect), "timeout=240000")
		}
		require1 := func(want []string, got []cluster.Event) {
			t.Helper()
			var have []string
			for _, e := range got {
				require.Equal(t, topic, e.Topic())
				have = append(have, e.Body())
			}
			require.Equal(t, want, have)
		}
		produce(t, c, version, topic, 40, "sharding=4", "prefix=both", "tag=t", "prop.INNER_MULTI_DISPATCH="+x+","+y)
		produce(t, c, version, topic, 10, "prefix=none")
		waiting := read(y, "%LMQ%group", 0, 50)
		waiting.Await(t, limit, "started")
		require1(bodies("both", 0, 40), waiting.Collect(t, limit, "msg", 40))
		produce(t, c, version, topic, 10, "prefix=late", "prop.INNER_MULTI_DISPATCH="+y) // the pull waits
		require1(bodies("late", 0, 10), waiting.Collect(t, limit, "msg", 10))
		waiting.Wait(t, limit)
		require1(bodies("both", 35, 40), received(t, read(x, name(t, "group"), 35, 5)))
		require.Len(t, byBody(t, received(t, consume(t, c, version, topic, name(t, "all"), "expect=60"))), 60)
	})
}
