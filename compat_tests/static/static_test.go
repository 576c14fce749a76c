// Package static_test moves the queues of a static topic between two brokers with stock mqadmin while stock Java
// clients send and consume, against our servers (or Java's, with COMPAT_PEER=java), and against one broker of each.
package static_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// limit bounds one wait.
const limit = 90 * time.Second

// queues is the number of logical queues, and perQueue that of messages each gets in a round.
const (
	queues   = 4
	perQueue = 5
	round    = queues * perQueue
)

// world is a cluster of two brokers with a static topic.
type world struct {
	t     *testing.T
	ns    *cluster.Server
	a, b  *cluster.Server
	topic string
	sent  map[string]cluster.Event // by body
}

func newWorld(t *testing.T, startB func(cluster.TB, cluster.Options) *cluster.Server) *world {
	w := &world{t: t, topic: "Static", sent: map[string]cluster.Event{}}
	w.ns = cluster.StartNamesrv(t, cluster.Options{})
	conf := []string{"flushConsumerOffsetInterval=500"}
	w.a = cluster.StartBroker(t, cluster.Options{Namesrv: []string{w.ns.Addr()}, Name: "broker-a", ExtraConf: conf})
	w.b = startB(t, cluster.Options{Namesrv: []string{w.ns.Addr()}, Name: "broker-b", ExtraConf: conf})
	return w
}

func (w *world) arg() string { return "namesrv=" + w.ns.Addr() }

func (w *world) mqadmin(args ...string) {
	w.t.Helper()
	out := cluster.MQAdmin(w.t, append(args, "-n", w.ns.Addr(), "-t", w.topic)...)
	require.NotContains(w.t, out, "Exception")
	require.Contains(w.t, out, "mapping data is written to file")
}

// produce sends perQueue messages to each logical queue.
func (w *world) produce(prefix string) []cluster.Event {
	w.t.Helper()
	events := cluster.Java(w.t, cluster.ClientV5, "produce", w.arg(), "topic="+w.topic, "prefix="+prefix, fmt.Sprint("count=", round),
		fmt.Sprint("sharding=", queues)).Wait(w.t, limit)
	require.Empty(w.t, cluster.Of(events, "sendError"))
	sent := cluster.Of(events, "sent")
	require.Len(w.t, sent, round)
	for _, s := range sent {
		require.Equal(w.t, "SEND_OK", s.Status())
		w.sent[s.Body()] = s
	}
	return sent
}

// offsets checks that the round's messages lie on that broker, at base and behind in each queue.
func offsets(t *testing.T, sent []cluster.Event, broker string, base int64) {
	t.Helper()
	next := map[int]int64{}
	for _, s := range sent {
		require.Equal(t, broker, s.Str("broker"))
		require.Equal(t, base+next[s.QueueID()], s.QueueOffset(), "%v", s)
		next[s.QueueID()]++
	}
	require.Len(t, next, queues)
}

// consume reads what a group has not read yet, n messages, each at the place it was sent to and in order.
func (w *world) consume(group string, n int) {
	w.t.Helper()
	run := cluster.Java(w.t, cluster.ClientV5, "consume", w.arg(), "topic="+w.topic, "group="+group, fmt.Sprint("expect=", n), "mode=orderly", "timeout=240000")
	last, seen := map[int]int64{}, map[string]bool{}
	for _, m := range cluster.Of(run.Wait(w.t, limit), "msg") {
		s, ok := w.sent[m.Body()]
		require.True(w.t, ok && !seen[m.Body()], "%s is not to be delivered, or is delivered twice", m.Body())
		seen[m.Body()] = true
		require.Equal(w.t, s.QueueID(), m.QueueID())
		if s.QueueOffset() >= 0 {
			require.Equal(w.t, s.QueueOffset(), m.QueueOffset())
		}
		if at, ok := last[m.QueueID()]; ok {
			require.Greater(w.t, m.QueueOffset(), at)
		}
		last[m.QueueID()] = m.QueueOffset()
	}
	require.Len(w.t, seen, n)
}

// shown returns what a client sees of each logical queue, without messages that come later than timestamp.
func (w *world) shown(group string, timestamp int64) []cluster.Event {
	w.t.Helper()
	events := cluster.Java(w.t, cluster.ClientV5, "queue", w.arg(), "topic="+w.topic, "group="+group, fmt.Sprint("timestamp=", timestamp)).Wait(w.t, limit)
	return cluster.Of(events, "queue")
}

func TestQueuesMoveBetweenBrokers(t *testing.T) {
	peers := map[string]func(cluster.TB, cluster.Options) *cluster.Server{"same": cluster.StartBroker}
	if !cluster.PeerIsJava() {
		peers["mixed"] = cluster.StartJavaBroker
	}
	for name, startB := range peers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, startB)
			w.mqadmin("updateStaticTopic", "-qn", fmt.Sprint(queues), "-b", "broker-a")
			first := w.produce("first")
			offsets(t, first, "broker-a", 0)
			w.consume("G1", round)

			w.mqadmin("remappingStaticTopic", "-b", "broker-b")
			second := w.produce("second")
			offsets(t, second, "broker-b", 10000)
			list := w.shown("G1", first[0].Int("ackTimestamp")-1000)
			require.Len(t, list, queues)
			for _, q := range list {
				require.EqualValues(t, 0, q.Int("min"))
				require.EqualValues(t, 10000+perQueue, q.Int("max"))
				require.EqualValues(t, perQueue, q.Int("committed"), "the offset is that in the queue before")
				require.Positive(t, q.Int("earliest"))
			}
			w.consume("G1", round)
			w.consume("G2", 2*round) // from the first message, which lies on the other broker

			w.mqadmin("remappingStaticTopic", "-b", "broker-a,broker-b")
			w.produce("third")
			w.consume("G1", round)
			w.consume("G2", round)
		})
	}
}
