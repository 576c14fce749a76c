// Package polyglot runs the stock Go, C++ and Java clients against one NameServer and broker, each
// alone and across: what one produces the others consume.
package polyglot

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

const (
	queues = 4
	// limit is how long a driver may take for anything: JVMs on a busy two-core machine are slow.
	limit = 45 * time.Second
)

// pool is the one cluster of this package; TestMain stops it.
var pool = cluster.NewPool()

func TestMain(m *testing.M) {
	// JVMs read their arguments in the locale's encoding; the tests pass UTF-8.
	os.Setenv("LC_ALL", "C.UTF-8")
	os.Exit(pool.Run(m))
}

// shared returns the package's cluster. Its delay levels are short, so that retries come soon: the
// first retry has level 3 (Java: DefaultMQPushConsumerImpl, 3 + reconsumeTimes).
func shared(t *testing.T) *cluster.Cluster {
	t.Helper()
	return pool.Cluster(t, "polyglot", "traceTopicEnable=true", "messageDelayLevel=1s 1s 1s 1s 1s 2s 2s 2s 2s 2s")
}

// language is one client library under test.
type language struct {
	name  string
	start func(t cluster.TB, verb string, args ...string) *cluster.Run
}

func golang() language { return language{"go", cluster.Go} }

func cpp() language { return language{"cpp", cluster.Cpp} }

func java(version string) language {
	return language{"java" + version, func(t cluster.TB, verb string, args ...string) *cluster.Run {
		return cluster.Java(t, version, verb, args...)
	}}
}

// native are the languages whose single tests live in this package; Java's are in compat_tests/client.
func native() []language { return []language{golang(), cpp()} }

// stage is a topic of its own on the shared cluster with one language.
type stage struct {
	language
	c     *cluster.Cluster
	topic string
	group string
}

// newStage makes a topic and names a group after the test.
func newStage(t *testing.T, l language) stage {
	t.Helper()
	c := shared(t)
	name := unique(strings.NewReplacer("/", "_", ".", "_").Replace(t.Name()))
	c.Broker.CreateTopic(t, name, queues)
	return stage{l, c, name, "G_" + name}
}

// unique makes a name that no earlier run of the same test on the same cluster had (go test -count).
func unique(name string) string { return name + "_" + strconv.FormatInt(time.Now().UnixNano(), 36) }

func (s stage) produce(t *testing.T, args ...string) []cluster.Event {
	t.Helper()
	all := append([]string{s.c.Arg(), "topic=" + s.topic, "group=P_" + s.topic}, args...)
	return s.start(t, "produce", all...).Wait(t, limit)
}

// send produces and returns the acknowledgements, which must be count and good.
func (s stage) send(t *testing.T, count int, args ...string) []cluster.Event {
	t.Helper()
	events := s.produce(t, append(args, fmt.Sprintf("count=%d", count))...)
	acks := cluster.Of(events, "sent")
	require.Empty(t, cluster.Of(events, "sendError"))
	require.Len(t, acks, count)
	for _, a := range acks {
		require.Equal(t, "SEND_OK", a.Status())
	}
	return acks
}

// consumer starts a consumer that reads the topic from its beginning.
func (s stage) consumer(t *testing.T, args ...string) *cluster.Run {
	t.Helper()
	all := append([]string{s.c.Arg(), "topic=" + s.topic}, args...)
	if !has(args, "group=") {
		all = append(all, "group="+s.group)
	}
	if s.name == "cpp" {
		all = append(all, "getprops=city,note") // the C++ binding cannot list properties
	}
	return s.start(t, "consume", append(all, "from=first")...)
}

// consume reads exactly count messages and returns them.
func (s stage) consume(t *testing.T, count int, args ...string) []cluster.Event {
	t.Helper()
	run := s.consumer(t, append(args, fmt.Sprintf("expect=%d", count))...)
	msgs := cluster.Of(run.Wait(t, limit), "msg")
	require.Len(t, msgs, count)
	return msgs
}

func has(args []string, prefix string) bool {
	for _, a := range args {
		if strings.HasPrefix(a, prefix) {
			return true
		}
	}
	return false
}

// names returns the bodies "<prefix>-<from>" to "<prefix>-<to-1>", sorted.
func names(prefix string, to int) []string {
	var out []string
	for i := range to {
		out = append(out, fmt.Sprintf("%s-%d", prefix, i))
	}
	sort.Strings(out)
	return out
}

func sortedBodies(events []cluster.Event) []string {
	out := cluster.Bodies(events)
	sort.Strings(out)
	return out
}

// byBody indexes events and fails on a second one with the same body.
func byBody(t *testing.T, events []cluster.Event) map[string]cluster.Event {
	t.Helper()
	m := map[string]cluster.Event{}
	for _, e := range events {
		require.NotContains(t, m, e.Body())
		m[e.Body()] = e
	}
	return m
}
