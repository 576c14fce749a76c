// Package static_test moves the queues of a static topic between two brokers with stock mqadmin, and with ours, while
// stock Java clients send and consume, against our servers (or Java's, with COMPAT_PEER=java), and with stock mqadmin
// against one broker of each.
package static_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
	tool  func(args ...string) string
	files string // where our tool leaves what it did
}

func newWorld(t *testing.T, startB func(cluster.TB, cluster.Options) *cluster.Server) *world {
	w := &world{t: t, topic: "Static", sent: map[string]cluster.Event{}, files: t.TempDir()}
	w.tool = func(args ...string) string { t.Helper(); return cluster.MQAdmin(t, args...) }
	w.ns = cluster.StartNamesrv(t, cluster.Options{})
	conf := []string{"flushConsumerOffsetInterval=500"}
	w.a = cluster.StartBroker(t, cluster.Options{Namesrv: []string{w.ns.Addr()}, Name: "broker-a", ExtraConf: conf})
	w.b = startB(t, cluster.Options{Namesrv: []string{w.ns.Addr()}, Name: "broker-b", ExtraConf: conf})
	return w
}

func (w *world) arg() string { return "namesrv=" + w.ns.Addr() }

func (w *world) mqadmin(args ...string) {
	w.t.Helper()
	out := w.tool(append(args, "-n", w.ns.Addr(), "-t", w.topic)...)
	require.NotContains(w.t, out, "Exception")
	require.Contains(w.t, out, "mapping data is written to file")
}

// ours runs skylark admin.
func (w *world) ours(args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), cluster.Skylark(w.t), append([]string{"admin"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+w.files)
	out, err := cmd.CombinedOutput()
	require.NoError(w.t, err, "%v: %s", args, out)
	return string(out)
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

// consume reads what a group has not read yet: the messages sent with these prefixes, each once, at the place it was
// sent to and in order.
func (w *world) consume(group string, prefixes ...string) {
	w.t.Helper()
	want := map[string]bool{}
	for body := range w.sent {
		prefix, _, _ := strings.Cut(body, "-")
		if slices.Contains(prefixes, prefix) {
			want[body] = true
		}
	}
	run := cluster.Java(w.t, cluster.ClientV5, "consume", w.arg(), "topic="+w.topic, "group="+group, fmt.Sprint("expect=", len(want)), "mode=orderly", "timeout=240000")
	last := map[int]int64{}
	for _, m := range cluster.Of(run.Wait(w.t, limit), "msg") {
		s := w.sent[m.Body()]
		require.True(w.t, want[m.Body()], "%s is not to be delivered, or is delivered twice", m.Body())
		delete(want, m.Body())
		require.Equal(w.t, s.QueueID(), m.QueueID())
		if s.QueueOffset() >= 0 { // told to the producer
			require.Equal(w.t, s.QueueOffset(), m.QueueOffset())
		}
		if at, ok := last[m.QueueID()]; ok {
			require.Greater(w.t, m.QueueOffset(), at)
		}
		last[m.QueueID()] = m.QueueOffset()
	}
	require.Empty(w.t, want)
}

// shown returns what a client sees of each logical queue, without messages that come later than timestamp.
func (w *world) shown(group string, timestamp int64) []cluster.Event {
	w.t.Helper()
	events := cluster.Java(w.t, cluster.ClientV5, "queue", w.arg(), "topic="+w.topic, "group="+group, fmt.Sprint("timestamp=", timestamp)).Wait(w.t, limit)
	return cluster.Of(events, "queue")
}

// moved makes the topic on broker-a, and moves its queues to broker-b when one group has read them.
func (w *world) moved() (first []cluster.Event) {
	w.t.Helper()
	w.mqadmin("updateStaticTopic", "-qn", fmt.Sprint(queues), "-b", "broker-a")
	first = w.produce("first")
	offsets(w.t, first, "broker-a", 0)
	w.consume("G1", "first")
	w.mqadmin("remappingStaticTopic", "-b", "broker-b")
	offsets(w.t, w.produce("second"), "broker-b", 10000)
	return first
}

// TestQueuesMoveBetweenBrokers moves queues there and, under the eyes of a producer and a consumer, some of them back.
func TestQueuesMoveBetweenBrokers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cluster.StartBroker)
	first := w.moved()
	list := w.shown("G1", first[0].Int("ackTimestamp")-1000)
	require.Len(t, list, queues)
	for _, q := range list {
		require.EqualValues(t, 0, q.Int("min"))
		require.EqualValues(t, 10000+perQueue, q.Int("max"))
		require.EqualValues(t, perQueue, q.Int("committed"), "the offset is that in the queue before")
		require.Positive(t, q.Int("earliest"))
		if !cluster.PeerIsJava() { // which does not find it in the first of several queues
			require.EqualValues(t, 0, q.Int("byTime"))
		}
	}
	for _, broker := range []*cluster.Server{w.a, w.b} {
		broker.Restart(t)
	}
	w.live()
	w.consume("G2", "first", "second", "live") // through queues of both brokers
}

// TestOurToolMovesQueues does the same with skylark admin, and repeats the last move from the file that it has left, as
// one does when a move fails in its midst.
func TestOurToolMovesQueues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cluster.StartBroker)
	w.tool = w.ours
	w.moved()
	w.live()
	plans, err := filepath.Glob(filepath.Join(w.files, w.topic+"-*.after"))
	require.NoError(t, err)
	require.Len(t, plans, 3)
	again := []string{"remappingStaticTopic", "-mf", slices.Max(plans), "-n", w.ns.Addr(), "-t", w.topic, "-fr", "true"}
	require.Empty(t, w.ours(again...))
	w.consume("G2", "first", "second", "live")
}

// live moves queues back while messages are sent and consumed. Clients see the new route a second later; until then
// the broker that no longer leads a queue refuses what is sent to it.
func (w *world) live() {
	w.t.Helper()
	consumer := cluster.Java(w.t, cluster.ClientV5, "consume", w.arg(), "topic="+w.topic, "group=G1", "poll=1000", "timeout=240000")
	producer := cluster.Java(w.t, cluster.ClientV5, "produce", w.arg(), "topic="+w.topic, "prefix=live", "forever=1", "rate=20", fmt.Sprint("sharding=", queues),
		"poll=1000", "timeout=240000")
	some := func(broker string) {
		w.t.Helper()
		left := 3 * queues
		producer.Until(w.t, limit, func(e cluster.Event) bool {
			if e.Kind() == "sent" && e.Str("broker") == broker {
				left--
			}
			return left == 0
		})
	}
	some("broker-b")
	w.mqadmin("remappingStaticTopic", "-b", "broker-a,broker-b")
	some("broker-a")
	some("broker-b")
	left := map[string]bool{}
	for _, e := range cluster.Of(producer.Stop(w.t, limit), "sent") {
		w.sent[e.Body()], left[e.Body()] = e, true
	}
	consumer.Until(w.t, limit, func(e cluster.Event) bool { // at least once
		if e.Kind() == "msg" {
			require.False(w.t, strings.HasPrefix(e.Body(), "first"), "the group had read that")
			delete(left, e.Body())
		}
		return len(left) == 0
	})
	consumer.Stop(w.t, limit)
}

// TestABrokerOfEachKind moves queues from our broker to Java's and lets each read what lies on the other.
func TestABrokerOfEachKind(t *testing.T) {
	t.Parallel()
	if cluster.PeerIsJava() {
		t.Skip("Java's brokers among themselves are the other test")
	}
	w := newWorld(t, cluster.StartJavaBroker)
	w.moved()
	w.mqadmin("remappingStaticTopic", "-b", "broker-a,broker-b")
	w.produce("third")
	w.consume("G1", "second", "third")
	w.consume("G2", "first", "second", "third")
}
