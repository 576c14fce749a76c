package polyglot

import (
	"strconv"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// codeMaxOffset is GET_MAX_OFFSET.
const codeMaxOffset = 30

// awaitTotal waits until the runs have received n messages together.
func awaitTotal(t *testing.T, runs []*cluster.Run, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		got := 0
		for _, r := range runs {
			got += len(cluster.Of(r.Events(), "msg"))
		}
		return got >= n
	}, limit, 20*time.Millisecond)
}

func TestRejectedMessageComesAgainLater(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, l)
			const count, rejections = 4, 2
			acks := byBody(t, b.send(t, count, "prefix=r", "tags=x", "keys=1", "prop.city=Zürich"))
			msgs := b.consume(t, count*(rejections+1), "failFirst=2", "getprops=city")
			seen := map[string]int{}
			for _, m := range msgs {
				require.Equal(t, seen[m.Body()], m.Reconsume(), "reconsumeTimes of %s", m.Body())
				seen[m.Body()]++
				require.Equal(t, acks[m.Body()].MsgID(), m.MsgID(), "the unique id survives a retry")
				require.Equal(t, b.topic, m.Topic())
				require.Equal(t, "x", m.Tag())
				require.Equal(t, "Zürich", m.Props()["city"])
				if m.Reconsume() == 0 {
					continue
				}
				require.Equal(t, b.topic, m.Props()["RETRY_TOPIC"])
				require.NotEmpty(t, m.Props()["ORIGIN_MESSAGE_ID"])
				require.Equal(t, 0, m.QueueID(), "the retry topic has one queue")
			}
			require.Len(t, seen, count)
			for body, n := range seen {
				require.Equal(t, rejections+1, n, body)
			}
		})
	}
}

func TestMessageRejectedTooOftenGoesToTheDeadLetterTopic(t *testing.T) {
	b := newBench(t, golang())
	b.send(t, 2, "prefix=dead")
	run := b.consumer(t, "failFirst=99", "maxReconsume=1")
	run.Collect(t, limit, "msg", 4)
	dlq := "%DLQ%" + b.group
	require.Eventually(t, func() bool { return maxOffset(t, b.c, dlq, 0) == 2 }, limit, 100*time.Millisecond)
	for _, m := range cluster.Of(run.Stop(t, limit), "msg") {
		require.LessOrEqual(t, m.Reconsume(), 1)
	}
}

// maxOffset returns the number of messages a queue has ever had, -1 when the broker refuses.
func maxOffset(t *testing.T, c *cluster.Cluster, topic string, queue int) int64 {
	t.Helper()
	resp, err := cluster.Call(c.Broker.Addr(), codeMaxOffset,
		map[string]string{"topic": topic, "queueId": strconv.Itoa(queue)}, nil)
	require.NoError(t, err)
	n, err := strconv.ParseInt(resp.Ext["offset"], 10, 64)
	if resp.Code != 0 || err != nil {
		return -1
	}
	return n
}

func TestDelayedMessageComesAfterItsLevel(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, l)
			acks := byBody(t, b.send(t, 4, "delay=6", "prefix=d")) // level 6 is 2 s here
			for _, m := range b.consume(t, 4) {
				require.GreaterOrEqual(t, m.Int("storeTimestamp")-m.Int("bornTimestamp"), int64(1900))
				require.Less(t, m.Int("storeTimestamp")-m.Int("bornTimestamp"), int64(6000))
				require.Equal(t, acks[m.Body()].MsgID(), m.MsgID())
				require.Equal(t, b.topic, m.Topic())
				require.Equal(t, b.topic, m.Props()["REAL_TOPIC"])
			}
		})
	}
}
