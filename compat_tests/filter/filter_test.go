// Package filter_test subscribes by SQL92 with stock clients, and compares our filter with Java's classes on fresh
// random expressions.
package filter_test

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/broker/filter/sql92"
	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/stretchr/testify/require"
)

// limit bounds one wait; JVMs start slowly on two busy cores.
const limit = 90 * time.Second

var pool = cluster.NewPool()

func TestMain(m *testing.M) { os.Exit(pool.Run(m)) }

// client is a stock client and the verb and group it consumes with.
type client struct {
	name, verb string
	start      func(t cluster.TB, verb string, args ...string) *cluster.Run
}

func clients() []client {
	java := func(version string) func(t cluster.TB, verb string, args ...string) *cluster.Run {
		return func(t cluster.TB, verb string, args ...string) *cluster.Run {
			return cluster.Java(t, version, verb, args...)
		}
	}
	return []client{{"java4", "consume", java(cluster.ClientV4)}, {"java5", "consume", java(cluster.ClientV5)},
		{"go", "consume", cluster.Go}, {"lite5", "litepull", java(cluster.ClientV5)}}
}

// TestSubscriptionsBySQL: consumers of all clients get what their expression selects, of messages that were there
// and of messages that come while they wait; push consumers refuse each once and get it again through their retry
// topic, which the expression does not filter.
func TestSubscriptionsBySQL(t *testing.T) {
	c := pool.Cluster(t, "sql", "enablePropertyFilter=true", "messageDelayLevel=1s 1s 1s 1s 1s 1s")
	const topic = "sql-topic"
	c.Broker.CreateTopic(t, topic, 2)
	produce := func(prefix string, args ...string) {
		args = append([]string{c.Arg(), "topic=" + topic, "prefix=" + prefix}, args...)
		events := cluster.Java(t, cluster.ClientV5, "produce", args...).Wait(t, limit)
		require.Empty(t, cluster.Of(events, "sendError"))
	}
	produce("old", "count=40", "number=n", "prop.colour=red", "tag=a")
	var runs []*cluster.Run
	for _, x := range clients() {
		args := []string{c.Arg(), "topic=" + topic, "group=" + x.name, "timeout=240000", "sql=(n BETWEEN 8 AND 11 AND colour IN ('red', 'blue')) OR TAGS = 'b' AND n > 38"}
		if x.verb == "consume" {
			c.Broker.CreateTopic(t, "%RETRY%"+x.name, 1) // see client.TestRetryAndDeadLetter
			args = append(args, "failFirst=1", "expect=10")
		} else {
			args = append(args, "expect=5")
		}
		runs = append(runs, x.start(t, x.verb, args...))
	}
	for i, r := range runs {
		require.Len(t, r.Collect(t, limit, "msg", 4), 4, clients()[i].name)
	}
	produce("new", "count=40", "number=n", "tag=b")
	for i, r := range runs {
		name := clients()[i].name
		times := map[string]int{}
		for _, m := range cluster.Of(r.Wait(t, limit), "msg") {
			times[m.Body()]++
		}
		want := map[string]int{}
		for _, b := range []string{"old-8", "old-9", "old-10", "old-11", "new-39"} {
			want[b] = 2
			if clients()[i].verb == "litepull" {
				want[b] = 1
			}
		}
		require.Equal(t, want, times, name)
	}
}

// TestRefusedSubscriptions: a consumer with an expression that does not compile, or on a broker without
// enablePropertyFilter, does not start and says why.
func TestRefusedSubscriptions(t *testing.T) {
	refused := func(c *cluster.Cluster, sql string) string {
		c.Broker.CreateTopic(t, "refused", 1)
		r := cluster.Java(t, cluster.ClientV5, "consume", c.Arg(), "topic=refused", "group=refused", "sql="+sql)
		return r.Until(t, limit, func(e cluster.Event) bool { return e.Kind() == "error" }).Str("error")
	}
	with := pool.Cluster(t, "sql", "enablePropertyFilter=true", "messageDelayLevel=1s 1s 1s 1s 1s 1s")
	text := refused(with, "a = 'x' AND b >")
	require.Contains(t, text, "CODE: 23")
	require.Contains(t, text, "org.apache.rocketmq.filter.parser.ParseException: Encountered \"<EOF>\" at line 1, column 15.\nWas expecting one of:\n    \"NOT\" ...\n    \"TRUE\" ...")
	text = refused(cluster.Standalone(t), "a = 'x'")
	require.Contains(t, text, "CODE: 1")
	require.Contains(t, text, "The broker does not support consumer to filter message by SQL92")
}

// TestRandomExpressionsAsJava has Java's own classes judge fresh random expressions: the verdicts for each message,
// and the error texts, must be ours.
func TestRandomExpressionsAsJava(t *testing.T) {
	seed := rand.Uint64()
	g := grammar{rand.New(rand.NewPCG(seed, 0))}
	golden, err := os.Open("../../broker/filter/sql92/testdata/verdicts.golden")
	require.NoError(t, err)
	defer golden.Close()
	in := bufio.NewScanner(golden)
	require.True(t, in.Scan())
	head := in.Text() // the messages
	path := filepath.Join(t.TempDir(), "verdicts")
	text := []byte(head + "\n")
	for range 3000 {
		line, err := json.Marshal(map[string]string{"e": g.expression()})
		require.NoError(t, err)
		text = append(append(text, line...), '\n')
	}
	require.NoError(t, os.WriteFile(path, text, 0o600))
	cluster.JavaSource(t, cluster.ServerVersion, "scripts/golden/java/SqlGolden.java", path)

	var messages struct{ Messages [][]string }
	require.NoError(t, json.Unmarshal([]byte(head), &messages))
	judged, err := os.Open(path)
	require.NoError(t, err)
	defer judged.Close()
	in = bufio.NewScanner(judged)
	in.Buffer(nil, 1<<20)
	require.True(t, in.Scan())
	seen := map[byte]int{}
	n := 0
	for ; in.Scan(); n++ {
		var java struct{ E, Error, V string }
		require.NoError(t, json.Unmarshal(in.Bytes(), &java))
		v, fault := judge(java.E, messages.Messages)
		require.Equal(t, java.Error, fault, "seed %d: %s", seed, java.E)
		require.Equal(t, java.V, v, "seed %d: %s", seed, java.E)
		for i := range v {
			seen[v[i]]++
		}
	}
	require.Equal(t, 3000, n)
	for _, verdict := range []byte("TFUX") {
		require.Greater(t, seen[verdict], 500, "too few %c among %v: the grammar is of no use", verdict, seen)
	}
}

// judge returns the verdicts of our filter in the form of SqlGolden.java.
func judge(text string, messages [][]string) (verdicts, fault string) {
	e, err := sql92.Compile(text)
	if err != nil {
		return "", err.Error()
	}
	v := make([]byte, len(messages))
	for i, pairs := range messages {
		var props []byte
		for j := 0; j < len(pairs); j += 2 {
			props = message.AppendProperty(props, pairs[j], pairs[j+1])
		}
		r, err := e.Evaluate(string(props))
		v[i] = "UFT"[r]
		if err != nil {
			v[i] = 'X'
		}
	}
	return string(v), ""
}
