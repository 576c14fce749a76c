// Package pop_test runs the stock Java 5.5.0 client in POP mode against our NameServer and broker (or Java's,
// with COMPAT_PEER=java).
package pop_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// limit bounds one wait. It is generous: two busy cores start a JVM slowly.
const limit = 90 * time.Second

var pool = cluster.NewPool()

func TestMain(m *testing.M) { os.Exit(pool.Run(m)) }

func topic(t *testing.T, c *cluster.Cluster, queues int) (topic, group string) {
	t.Helper()
	topic = strings.ReplaceAll(t.Name(), "/", "-")
	c.Broker.CreateTopic(t, topic, queues)
	group = topic + "-group"
	c.Broker.CreateGroup(t, group, 16)
	return topic, group
}

func java(t *testing.T, c *cluster.Cluster, verb, topic, group string, args ...string) *cluster.Run {
	t.Helper()
	return cluster.Java(t, cluster.ClientV5, verb, append([]string{c.Arg(), "topic=" + topic, "group=" + group, "timeout=200000"}, args...)...)
}

func produce(t *testing.T, c *cluster.Cluster, topic string, count int, args ...string) []cluster.Event {
	t.Helper()
	sent := cluster.Of(java(t, c, "produce", topic, "producers", append([]string{fmt.Sprint("count=", count)}, args...)...).Wait(t, limit), "sent")
	require.Len(t, sent, count)
	return sent
}

// TestPushConsumersInPopMode sets the group's mode as mqadmin does. Then push consumers come and go, and one
// refuses each message once, while messages are sent; the broker stops, and is killed. Every message is consumed.
func TestPushConsumersInPopMode(t *testing.T) {
	t.Parallel()
	c := cluster.Standalone(t)
	topic, group := topic(t, c, 4)
	cluster.Java(t, cluster.ClientV5, "popmode", c.Arg(), "broker="+c.Broker.Addr(), "topic="+topic, "group="+group).Wait(t, limit)
	producer := java(t, c, "produce", topic, "producers", "forever=1", "rate=60", "prefix=m")
	args := []string{"pop=1", "invisible=5000", "retryAfter=1"}
	consumers := []*cluster.Run{java(t, c, "consume", topic, group, append(args, "instance=a", "failFirst=1")...),
		java(t, c, "consume", topic, group, append(args, "instance=b")...)}
	consumers[0].Await(t, limit, "msg")
	consumers[0].CloseStdin()
	consumers = append(consumers, java(t, c, "consume", topic, group, append(args, "instance=c")...))
	consumers[1].Await(t, limit, "msg")
	c.Broker.Stop(t)
	c.Broker.Restart(t)
	consumers[2].Await(t, limit, "msg")
	c.Broker.Kill(t)
	c.Broker.Restart(t)
	consumers[1].Kill(t)
	consumers[2].Await(t, limit, "msg")
	sent := cluster.Of(producer.Stop(t, limit), "sent")
	require.NotEmpty(t, sent)
	missing := map[string]bool{}
	for _, s := range sent {
		missing[s.Body()] = true
	}
	require.Eventually(t, func() bool {
		for _, r := range consumers {
			for _, m := range cluster.Of(r.Events(), "msg") {
				if m["ok"] == true && r != consumers[1] {
					delete(missing, m.Body())
				}
			}
		}
		for _, m := range cluster.Of(consumers[1].Events(), "msg") { // killed: what it had may come again, or be done
			delete(missing, m.Body())
		}
		return len(missing) == 0
	}, limit, 50*time.Millisecond, "not consumed")
	consumers[2].Stop(t, limit)
	requireRetries(t, cluster.Of(consumers[0].Events(), "msg"))
}

// requireRetries expects that what the listener refused came again under its own topic and id, counted.
func requireRetries(t *testing.T, msgs []cluster.Event) {
	t.Helper()
	for _, m := range msgs {
		require.NotContains(t, m.Topic(), "%RETRY%")
		require.NotEmpty(t, m.Props()["POP_CK"])
		if m.Reconsume() > 0 {
			require.NotEmpty(t, m.Props()["1ST_POP_TIME"])
		}
	}
}

// TestNothingAcknowledgedComesBack pops with three consumers that acknowledge one by one, in batches, and late;
// the broker stops cleanly and is killed. What the broker has confirmed is not delivered again, but for what was
// popped so short a time before the kill that the group's offset was not written yet. Every message is delivered.
func TestNothingAcknowledgedComesBack(t *testing.T) {
	t.Parallel()
	const flush = 1000
	c := cluster.Standalone(t, fmt.Sprint("flushConsumerOffsetInterval=", flush))
	topic, group := topic(t, c, 4)
	producer := java(t, c, "produce", topic, "producers", "forever=1", "rate=150", "prefix=m")
	consumers := []*cluster.Run{java(t, c, "pop", topic, group, "invisible=2000", "max=8"),
		java(t, c, "pop", topic, group, "invisible=2000", "batch=1"),
		java(t, c, "pop", topic, group, "invisible=2000", "failFirst=1", "max=8")}
	for _, r := range consumers {
		r.Await(t, limit, "msg")
	}
	c.Broker.Stop(t)
	c.Broker.Restart(t)
	consumers[0].Await(t, limit, "acked")
	time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond) // the moment of the kill
	killed := time.Now()
	c.Broker.Kill(t)
	c.Broker.Restart(t)
	consumers[0].Await(t, limit, "acked")
	sent := cluster.Of(producer.Stop(t, limit), "sent")
	require.Eventually(t, func() bool {
		acked := map[string]bool{}
		for _, r := range consumers {
			for _, a := range cluster.Of(r.Events(), "acked") {
				acked[a.Body()] = true
			}
		}
		return !slices.ContainsFunc(sent, func(s cluster.Event) bool { return !acked[s.Body()] })
	}, limit, 50*time.Millisecond, "not all acknowledged")
	time.Sleep(6 * time.Second) // longer than the invisible time: what comes again has come
	for _, r := range consumers {
		r.Stop(t, limit)
	}
	requireNoReturn(t, consumers, sent, killed, time.Duration(flush)*time.Millisecond)
}

// requireNoReturn looks for deliveries behind a confirmed acknowledgement. A kill takes the offsets that were not
// written yet: what was popped in that time, whether the consumer saw it or not, is popped again, and once more
// when the invisible time of the first pop is over.
func requireNoReturn(t *testing.T, consumers []*cluster.Run, sent []cluster.Event, killed time.Time, flush time.Duration) {
	t.Helper()
	const slack = 500 // ms
	kill := killed.UnixMilli()
	acked, popped := map[string]int64{}, map[string][]int64{}
	for _, r := range consumers {
		for _, e := range r.Events() {
			switch e.Kind() {
			case "acked":
				if old, ok := acked[e.Body()]; !ok || e.Int("at") < old {
					acked[e.Body()] = e.Int("at")
				}
			case "msg":
				popped[e.Body()] = append(popped[e.Body()], e.Int("popTime"))
			}
		}
	}
	excused := 0
	for _, s := range sent {
		times := popped[s.Body()]
		slices.Sort(times)
		if last := times[len(times)-1]; last <= acked[s.Body()] {
			continue
		}
		unseen := s.Int("ackTimestamp") < kill && times[0] > kill
		lost := slices.ContainsFunc(times, func(at int64) bool { return at > kill-flush.Milliseconds()-slack && at <= kill+slack })
		require.True(t, unseen || lost, "%s was acknowledged at %d and popped at %v; the broker was killed at %d", s.Body(), acked[s.Body()], times, kill)
		excused++
	}
	t.Logf("%d messages; %d came again because of the kill", len(sent), excused)
}

// TestChangeInvisibleTime refuses each message once and asks for it again in 2 s; its invisible time is a minute.
func TestChangeInvisibleTime(t *testing.T) {
	t.Parallel()
	c := pool.Cluster(t, "shared")
	topic, group := topic(t, c, 2)
	produce(t, c, topic, 6, "prefix=c")
	events := java(t, c, "pop", topic, group, "failFirst=1", "change=2000", "expect=6").Wait(t, limit)
	changed, first := map[string]int64{}, map[string]int64{}
	for _, e := range events {
		switch e.Kind() {
		case "changed":
			changed[e.Body()] = e.Int("at")
		case "msg":
			if e.Reconsume() == 0 {
				require.NotContains(t, first, e.Body())
				first[e.Body()] = e.Int("popTime")
				continue
			}
			require.Equal(t, 1, e.Reconsume())
			require.GreaterOrEqual(t, e.Int("popTime"), first[e.Body()]+2000)
			require.Equal(t, fmt.Sprint(changed[e.Body()] > 0), "true")
			require.Equal(t, topic, e.Topic())
		}
	}
	require.Len(t, changed, 6)
	require.Len(t, cluster.Of(events, "acked"), 6)
}

// TestOrderlyPop pops a queue in order with two consumers, one of which dies with messages that it did not
// acknowledge. The broker stops in between. The order of first deliveries and of acknowledgements is that of sending.
func TestOrderlyPop(t *testing.T) {
	t.Parallel()
	c := cluster.Standalone(t)
	topic, group := topic(t, c, 1)
	produce(t, c, topic, 40, "prefix=o")
	args := []string{"order=1", "max=4", "invisible=2000"}
	dying := java(t, c, "pop", topic, group, append(args, "failFirst=9")...)
	got := dying.Collect(t, limit, "msg", 4)
	dying.Kill(t)
	for i, m := range got {
		require.Equal(t, fmt.Sprint("o-", i), m.Body())
	}
	one := java(t, c, "pop", topic, group, append(args, "expect=16", "delayMs=50")...).Wait(t, limit)
	c.Broker.Stop(t)
	c.Broker.Restart(t)
	two := java(t, c, "pop", topic, group, append(args, "expect=24")...).Wait(t, limit)
	var acked []string
	for _, e := range append(one, two...) {
		switch e.Kind() {
		case "acked":
			acked = append(acked, e.Body())
		case "msg":
			if i := slices.IndexFunc(got, func(g cluster.Event) bool { return g.Body() == e.Body() }); i >= 0 {
				require.Equal(t, 1, e.Reconsume(), "delivered before")
				require.GreaterOrEqual(t, e.Int("popTime"), got[i].Int("popTime")+2000)
			}
		}
	}
	require.Len(t, acked, 40)
	for i, b := range acked {
		require.Equal(t, fmt.Sprint("o-", i), b)
	}
}

// TestPopBySQL pops by expression, with the client's calls and as a push consumer: of what was there, and of what
// comes while they wait. Each message is refused once and comes again, through the retry topic, which the
// expression selects from as well. An expression that is none is refused.
func TestPopBySQL(t *testing.T) {
	t.Parallel()
	c := pool.Cluster(t, "sql", "enablePropertyFilter=true")
	topic, group := topic(t, c, 2)
	pushed := group + "-push"
	c.Broker.CreateGroup(t, pushed, 16)
	cluster.Java(t, cluster.ClientV5, "popmode", c.Arg(), "broker="+c.Broker.Addr(), "topic="+topic, "group="+pushed).Wait(t, limit)
	produce(t, c, topic, 40, "prefix=old", "number=n", "prop.colour=red", "tag=a")
	const sql = "sql=(n BETWEEN 8 AND 11 AND colour IN ('red', 'blue')) OR TAGS = 'b' AND n > 38"
	popping := java(t, c, "pop", topic, group, sql, "invisible=2000", "failFirst=1", "expect=5")
	pushing := java(t, c, "consume", topic, pushed, sql, "pop=1", "invisible=20000", "retryAfter=1", "failFirst=1", "expect=10")
	require.Len(t, popping.Collect(t, limit, "msg", 4), 4)
	require.Len(t, pushing.Collect(t, limit, "msg", 4), 4)
	produce(t, c, topic, 40, "prefix=new", "number=n", "tag=b")
	for name, r := range map[string]*cluster.Run{"pop": popping, "push": pushing} {
		times := map[string]int{}
		for _, m := range cluster.Of(r.Wait(t, limit), "msg") {
			times[m.Body()] |= 1 << m.Reconsume()
		}
		require.Equal(t, map[string]int{"old-8": 3, "old-9": 3, "old-10": 3, "old-11": 3, "new-39": 3}, times, name)
	}
	bad := java(t, c, "pop", topic, group, "sql=n BETWEEN 3 AND")
	e := bad.Await(t, limit, "popError")
	require.Contains(t, fmt.Sprint(e["error"]), "CODE: 23  DESC: parse the consumer's subscription failed")
	bad.Stop(t, limit)
}
