package client_test

import (
	"strings"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

const traceTopic = "RMQ_SYS_TRACE_TOPIC"

// TestMessageTrace has producer and consumer write their traces and finds them, and the messages, as an
// administrator does: by key, by unique id, and of a time.
func TestMessageTrace(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := shared(t)
		topic, group := topic(t, c, 2), name(t, "group")
		before := time.Now().UnixMilli()
		// Both go on until their traces are found: a client that stops may lose its last ones.
		producer := cluster.Java(t, version, "produce", c.Arg(), "topic="+topic, "prefix=t", "tag=t", "keys=1", "trace=1", "group="+name(t, "producers"),
			"forever=1", "rate=4", "timeout=240000")
		s := producer.Collect(t, limit, "sent", 2)[1]
		consumer := consume(t, c, version, topic, group, "trace=1", soon)
		consumer.Until(t, limit, func(e cluster.Event) bool { return e.Kind() == "msg" && e.Body() == s.Body() })

		byKey := one(t, query(t, c, version, topic, "t-k1", "begin="+itoa(int(before-60000))))
		checkReceived(t, s, byKey)
		require.Equal(t, "t-k1", byKey.Keys())
		checkReceived(t, s, one(t, cluster.Java(t, version, "view", c.Arg(), "topic="+topic, "msgId="+s.MsgID())))
		for _, none := range []*cluster.Run{query(t, c, version, topic, "t-none"), query(t, c, version, topic, "t-k1", "end="+itoa(int(before-60000)))} {
			events := none.Wait(t, limit)
			require.Empty(t, cluster.Of(events, "msg"))
			require.Contains(t, cluster.Of(events, "queryError")[0].Str("error"), "no message")
		}

		// What the clients say of it: sent, about to be consumed, consumed. A client writes a trace a moment later.
		kinds := map[string]string{}
		for _, key := range []string{s.MsgID(), "t-k1"} {
			clear(kinds)
			for deadline := time.Now().Add(limit); len(kinds) < 3; {
				require.Less(t, time.Now(), deadline, "traces found by %s: %v", key, kinds)
				for _, m := range received(t, query(t, c, version, traceTopic, key)) {
					collectTrace(m, s.MsgID(), kinds)
				}
			}
		}
		for _, part := range []string{topic, s.MsgID(), "t-k1", name(t, "producers"), s.OffsetMsgID()} {
			require.Contains(t, kinds["Pub"], part)
		}
		for _, part := range []string{s.MsgID(), "t-k1", group} {
			require.Contains(t, kinds["SubBefore"], part)
		}
		require.Contains(t, kinds["SubAfter"], s.MsgID())
		producer.Stop(t, limit)
		consumer.Stop(t, limit)
	})
}

// collectTrace adds the lines of a trace message that are about that message id, by their kind. Java: TraceDataEncoder.
func collectTrace(m cluster.Event, id string, kinds map[string]string) {
	for line := range strings.SplitSeq(m.Body(), "\x02") {
		if kind, _, _ := strings.Cut(line, "\x01"); strings.Contains(line, id) {
			kinds[kind] = line
		}
	}
}

func query(t *testing.T, c *cluster.Cluster, version, topic, key string, args ...string) *cluster.Run {
	t.Helper()
	return cluster.Java(t, version, "query", append([]string{c.Arg(), "topic=" + topic, "key=" + key}, args...)...)
}
