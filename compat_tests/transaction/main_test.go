// Package transaction_test runs the stock transaction producers against our broker (or Java's, with
// COMPAT_PEER=java): ends, questions, deaths of producers and of the broker, and a folder that goes from Java's
// broker to ours and back with open transactions in it.
package transaction_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/stretchr/testify/require"
)

// limit bounds one wait.
const limit = 90 * time.Second

// keys make transactions old soon. Java's broker delivers twice when an op waits longer than transactionTimeOut.
var keys = []string{"transactionTimeOut=2000", "transactionCheckInterval=1000", "transactionCheckMax=60", "transactionOpBatchInterval=200",
	"transactionMetricFlushInterval=500", "flushConsumerOffsetInterval=1000"}

var pool = cluster.NewPool()

func TestMain(m *testing.M) { os.Exit(pool.Run(m)) }

func shared(t *testing.T) *cluster.Cluster {
	t.Helper()
	return pool.Cluster(t, "transaction", keys...)
}

// client is a stock transaction producer.
type client struct {
	name  string
	start func(t cluster.TB, verb string, args ...string) *cluster.Run
}

func java(version string) client {
	return client{"java" + version, func(t cluster.TB, verb string, args ...string) *cluster.Run {
		return cluster.Java(t, version, verb, args...)
	}}
}

var clients = []client{java(cluster.ClientV4), java(cluster.ClientV5), {"go", cluster.Go}}

// stage is a topic of a test with a consumer that sees all of it.
type stage struct {
	t            *testing.T
	c            *cluster.Cluster
	topic, group string
	consumer     *cluster.Run
	seen         []cluster.Event
}

func newStage(t *testing.T, c *cluster.Cluster) *stage {
	t.Helper()
	s := newDeafStage(t, c)
	s.consume()
	return s
}

// newDeafStage is newStage without the consumer, which begins with the first message whenever it is started: one
// that runs takes its time to notice that its broker has gone.
func newDeafStage(t *testing.T, c *cluster.Cluster) *stage {
	t.Helper()
	name := strings.NewReplacer("/", "-", ".", "_").Replace(t.Name()) + strconv.FormatInt(time.Now().UnixNano()%1e9, 36)
	c.Broker.CreateTopic(t, name, 2)
	return &stage{t: t, c: c, topic: name, group: "GID-" + name}
}

func (s *stage) consume() {
	s.t.Helper()
	s.consumer = cluster.Go(s.t, "consume", s.c.Arg(), "topic="+s.topic, "group=C-"+s.topic, "timeout=240000")
}

func (s *stage) producer(by client, args ...string) *cluster.Run {
	s.t.Helper()
	return by.start(s.t, "transact", append([]string{s.c.Arg(), "topic=" + s.topic, "group=" + s.group, "timeout=240000"}, args...)...)
}

// sent waits for n messages that a producer has sent.
func (s *stage) sent(run *cluster.Run, n int) map[string]cluster.Event {
	s.t.Helper()
	out := map[string]cluster.Event{}
	for _, e := range run.Collect(s.t, limit, "sent", n) {
		require.Equal(s.t, "SEND_OK", e.Status())
		out[e.Body()] = e
	}
	return out
}

// ended waits until op messages name these half messages: the requests that end them are one-way.
func (s *stage) ended(half ...cluster.Event) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		ops := ","
		for _, r := range queue(s.t, s.c.Broker, "RMQ_SYS_TRANS_OP_HALF_TOPIC", 0) {
			ops += string(r.Body)
		}
		for _, h := range half {
			if !strings.Contains(ops, fmt.Sprintf(",%d,", h.QueueOffset())) {
				return false
			}
		}
		return true
	}, limit, 100*time.Millisecond)
}

// delivered waits until the consumer has seen these bodies and fails when it sees others.
func (s *stage) delivered(want ...string) {
	s.t.Helper()
	left := map[string]bool{}
	for _, b := range want {
		left[b] = true
	}
	for _, m := range s.consumer.Collect(s.t, limit, "msg", len(want)) {
		require.True(s.t, left[m.Body()], "%s was not to be delivered, or is delivered twice", m.Body())
		delete(left, m.Body())
		s.seen = append(s.seen, m)
	}
}

// end sees to it that nothing else was delivered: a last commit comes behind all that the checker may do to what
// came before.
func (s *stage) end(by client) {
	s.t.Helper()
	run := s.producer(by, "prefix=last", "count=1", "end=unknown", "answer=commit")
	s.delivered("last-0")
	run.Stop(s.t, limit)
}

func bodies(prefix string, n ...int) []string {
	var out []string
	for _, i := range n {
		out = append(out, fmt.Sprintf("%s-%d", prefix, i))
	}
	return out
}

const reqPull = 11 // PULL_MESSAGE

// queue returns all messages of a queue of the broker.
func queue(t *testing.T, s *cluster.Server, topic string, id int) []message.Record {
	t.Helper()
	var out []message.Record
	for {
		resp, err := cluster.Call(s.Addr(), reqPull, map[string]string{"consumerGroup": "looker", "topic": topic, "queueId": strconv.Itoa(id),
			"queueOffset": strconv.Itoa(len(out)), "maxMsgNums": "32", "sysFlag": "4", "commitOffset": "0", "suspendTimeoutMillis": "0",
			"subscription": "*", "subVersion": "0", "expressionType": "TAG"}, nil)
		require.NoError(t, err)
		if resp.Code != 0 {
			return out
		}
		for b := resp.Body; len(b) > 0; {
			r, err := message.Parse(b, true)
			require.NoError(t, err)
			out = append(out, r)
			b = b[r.Size:]
		}
	}
}
