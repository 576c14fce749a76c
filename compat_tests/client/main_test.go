// Package client_test runs stock client libraries against our NameServer and
// broker (or Java's, with COMPAT_PEER=java) and asserts on what they saw.
package client_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// limit bounds one wait. It is generous: two busy cores start a JVM slowly.
const limit = 90 * time.Second

var pool = cluster.NewPool()

func TestMain(m *testing.M) { os.Exit(pool.Run(m)) }

// delays are the delay levels of the shared cluster: short ones, so that
// retries (level 3 and up) come soon.
const delays = "messageDelayLevel=1s 2s 3s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s"

// shared returns the cluster most tests use; each brings its own topics and groups.
func shared(t *testing.T) *cluster.Cluster {
	t.Helper()
	return pool.Cluster(t, "shared", delays, "traceTopicEnable=true")
}

// versions are the Java clients under test.
var versions = []string{cluster.ClientV4, cluster.ClientV5}

// eachVersion runs the test with both Java client versions, side by side.
func eachVersion(t *testing.T, f func(t *testing.T, version string)) {
	t.Helper()
	for _, v := range versions {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			f(t, v)
		})
	}
}

// name makes a topic or group name of the test, unique in the shared cluster;
// with -count also among the runs of one test.
func name(t *testing.T, what string) string {
	t.Helper()
	run, _ := runs.LoadOrStore(t, runCount.Add(1))
	clean := strings.NewReplacer("/", "-", ".", "_", "#", "-").Replace(t.Name())
	return fmt.Sprintf("%s-%d-%s", clean, run, what)
}

var (
	runs     sync.Map // *testing.T -> number
	runCount atomic.Int64
)

// topic creates a topic named after the test.
func topic(t *testing.T, c *cluster.Cluster, queues int) string {
	t.Helper()
	topic := name(t, "topic")
	c.Broker.CreateTopic(t, topic, queues)
	return topic
}

// bodies returns the bodies a produce run with that prefix sends.
func bodies(prefix string, from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("%s-%d", prefix, i))
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }

// produce runs the Java producer to its end and returns the acks; every
// message must be acknowledged.
func produce(t *testing.T, c *cluster.Cluster, version, topic string, count int, args ...string) []cluster.Event {
	t.Helper()
	args = append([]string{c.Arg(), "topic=" + topic, "count=" + strconv.Itoa(count)}, args...)
	events := cluster.Java(t, version, "produce", args...).Wait(t, limit)
	require.Empty(t, cluster.Of(events, "sendError"))
	sent := append(cluster.Of(events, "sent"), cluster.Of(events, "sentOneway")...)
	require.Len(t, sent, count)
	return sent
}

// consume starts a Java push consumer that reads from the first message.
func consume(t *testing.T, c *cluster.Cluster, version, topic, group string, args ...string) *cluster.Run {
	t.Helper()
	args = append([]string{c.Arg(), "topic=" + topic, "group=" + group, "timeout=240000"}, args...)
	return cluster.Java(t, version, "consume", args...)
}

// soon, for a consumer, has what the broker forgot or did not hear at its start (see warm) told again soon.
const soon = "heartbeatMs=1000"

// received waits for the end of a consumer with expect= and returns its messages.
func received(t *testing.T, r *cluster.Run) []cluster.Event {
	t.Helper()
	return cluster.Of(r.Wait(t, limit), "msg")
}

// warm sends one message to each queue and waits until each consumer has them
// all. A 5.x client that loses a race at its start (two threads want to send
// the heartbeat with the new subVersion, one gives up) has its pulls refused
// until its next heartbeat 30 s later; what follows is not about that.
func warm(t *testing.T, c *cluster.Cluster, version, topic string, queues int, consumers ...*cluster.Run) {
	t.Helper()
	produce(t, c, version, topic, queues, "prefix=warm", "sharding="+strconv.Itoa(queues))
	for _, r := range consumers {
		for _, m := range r.Collect(t, limit, "msg", queues) {
			require.Contains(t, m.Body(), "warm-")
		}
	}
}

// byBody indexes messages by body; a body seen twice fails the test.
func byBody(t *testing.T, msgs []cluster.Event) map[string]cluster.Event {
	t.Helper()
	m := map[string]cluster.Event{}
	for _, e := range msgs {
		require.NotContains(t, m, e.Body(), "delivered twice")
		m[e.Body()] = e
	}
	return m
}
