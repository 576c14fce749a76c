package golib_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/consumer"
	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// TestFilters selects by tags and by SQL.
func TestFilters(t *testing.T) {
	c := shared(t)
	topic, ctx, tags, sql := topic(t, c, 2), within(t), newInbox(), newInbox()
	p := newProducer(t, c, nil)
	for i := range 9 {
		_, err := p.Send(ctx, &client.Message{Topic: topic, Tag: string(rune('a' + i%3)), Body: text("m", i), Properties: map[string]string{"n": fmt.Sprint(i)}})
		require.NoError(t, err)
	}
	newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { tags.add(list...); return nil },
		func(o *consumer.PushOptions) { o.Subscriptions[0].Expression = "a || c" })
	newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { sql.add(list...); return nil }, func(o *consumer.PushOptions) {
		o.Group += "-sql"
		o.Subscriptions[0] = consumer.Subscription{Topic: topic, Expression: "n > 4 AND TAGS <> 'b'", SQL: true}
	})
	require.ElementsMatch(t, []string{"m-0", "m-2", "m-3", "m-5", "m-6", "m-8"}, texts(tags.count(t, 6)))
	require.ElementsMatch(t, []string{"m-5", "m-6", "m-8"}, texts(sql.count(t, 3)))
	_, err := consumer.NewPush(ctx, consumer.PushOptions{Options: consumer.Options{Options: options(t, c), Group: name(t, "bad"),
		Subscriptions: []consumer.Subscription{{Topic: topic, Expression: "n >", SQL: true}}}, Listener: func(context.Context, []*client.MessageExt) error { return nil }})
	require.Equal(t, protocol.SubscriptionParseFailed, client.Code(err), "%v", err)
}

// TestFailedMessagesComeAgainAndGoToTheDeadLetters has a listener fail once, and always.
func TestFailedMessagesComeAgainAndGoToTheDeadLetters(t *testing.T) {
	c := shared(t)
	topic, ctx, box := topic(t, c, 2), within(t), newInbox()
	p := newProducer(t, c, nil)
	push := newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error {
		box.add(list...)
		switch m := list[0]; {
		case string(m.Body) == "panics" && m.ReconsumeTimes == 0:
			panic("oops")
		case string(m.Body) == "once" && m.ReconsumeTimes == 0:
			return errors.New("not now")
		case string(m.Body) == "never":
			return &consumer.Retry{Level: -1}
		case string(m.Body) == "always":
			return &consumer.Retry{Level: 1}
		}
		return nil
	}, func(o *consumer.PushOptions) { o.MaxReconsume = 2 })
	for _, b := range []string{"once", "never", "always", "panics"} {
		_, err := p.Send(ctx, &client.Message{Topic: topic, Body: []byte(b)})
		require.NoError(t, err)
	}
	list := box.count(t, 2+1+3+2)
	for _, m := range list {
		require.Equal(t, topic, m.Topic)
	}
	dead, err := consumer.NewPull(ctx, consumer.PullOptions{Options: consumer.Options{Options: options(t, c), Group: name(t, "dead"), From: consumer.FromFirst}})
	require.NoError(t, err)
	defer dead.Close(context.Background())
	dlq := client.DLQPrefix + name(t, "group")
	eventually(t, func() bool {
		err := dead.Assign(ctx, client.MessageQueue{Topic: dlq, BrokerName: c.Broker.Name()})
		return err == nil
	}, "the dead letter queue exists")
	var got []string
	for len(got) < 2 {
		list, err := dead.Poll(ctx)
		require.NoError(t, err)
		got = append(got, texts(list)...)
	}
	require.ElementsMatch(t, []string{"never", "always"}, got)
	require.NoError(t, push.Close(ctx))
	require.Len(t, box.all(), 8, "nothing comes that was not to")
}

// TestOrderIsKept has two consumers share the queues of a group in order, one of which fails now and then.
func TestOrderIsKept(t *testing.T) {
	c := shared(t)
	topic, ctx, box := topic(t, c, 4), within(t), newInbox()
	p := newProducer(t, c, nil)
	var mu sync.Mutex
	failed := map[string]bool{}
	listener := func(_ context.Context, list []*client.MessageExt) error {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range list {
			if strings.HasSuffix(string(m.Body), "5") && !failed[m.ID()] {
				failed[m.ID()] = true
				return &consumer.Retry{Suspend: 10 * time.Millisecond}
			}
		}
		box.add(list...)
		return nil
	}
	orderly := func(o *consumer.PushOptions) { o.Orderly, o.Batch = true, 2 }
	first := newPush(t, c, topic, listener, orderly)
	send := func(prefix string) {
		for i := range 10 {
			for key := range 4 {
				_, err := p.SendOrdered(ctx, &client.Message{Topic: topic, Keys: []string{fmt.Sprint(key)}, Body: text(prefix, i)}, fmt.Sprint(key))
				require.NoError(t, err)
			}
		}
	}
	send("one")
	box.count(t, 40)
	second := newPush(t, c, topic, listener, orderly)
	eventually(t, func() bool { return ofTopic(first, topic) == 2 && ofTopic(second, topic) == 2 }, "two queues each")
	send("two")
	box.count(t, 80)
	require.NoError(t, first.Close(ctx))
	eventually(t, func() bool { return ofTopic(second, topic) == 4 }, "the locks are given back")
	send("three")
	list := box.count(t, 120)
	require.Len(t, list, 120)
	next := map[string]int{}
	for _, m := range list {
		key := m.Keys()[0]
		require.Equal(t, fmt.Sprintf("%s-%d", []string{"one", "two", "three"}[next[key]/10], next[key]%10), string(m.Body), "of key %s", key)
		next[key]++
	}
	require.NotEmpty(t, failed)
}

func ofTopic(p *consumer.Push, topic string) int {
	n := 0
	for _, q := range p.Queues() {
		if q.Topic == topic {
			n++
		}
	}
	return n
}

// TestGroupIsSharedWithJava has a stock Java consumer and ours take halves of the queues; each message comes once.
func TestGroupIsSharedWithJava(t *testing.T) {
	c := shared(t)
	topic, ctx, box := topic(t, c, 5), within(t), newInbox()
	ours := newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { box.add(list...); return nil }, nil)
	java := cluster.Java(t, cluster.ClientV5, "consume", c.Arg(), "topic="+topic, "group="+name(t, "group"), "heartbeatMs=1000", "timeout=240000")
	java.Await(t, limit, "started")
	n := 0
	java.Until(t, limit, func(e cluster.Event) bool {
		if e.Kind() == "assigned" {
			queues, _ := e["queues"].([]any)
			n = len(queues)
		}
		return n == 2 || n == 3
	})
	eventually(t, func() bool { return ofTopic(ours, topic) == 5-n }, "the queues are divided")
	p := newProducer(t, c, nil)
	want := []string{}
	for i := range 200 {
		_, err := p.Send(ctx, &client.Message{Topic: topic, Body: text("m", i)})
		require.NoError(t, err)
		want = append(want, fmt.Sprintf("m-%d", i))
	}
	both := func() []string {
		list := texts(box.all())
		for _, e := range cluster.Of(java.Events(), "msg") {
			list = append(list, e.Body())
		}
		return list
	}
	eventually(t, func() bool { return len(both()) >= 200 }, "all messages come")
	java.Stop(t, limit)
	require.ElementsMatch(t, want, both())
	require.NotEmpty(t, box.all())
	require.Less(t, len(box.all()), 200)
	eventually(t, func() bool { return ofTopic(ours, topic) == 5 }, "the queues of the one that left are ours")
}

// TestCloseKeepsOffsets closes a consumer while a listener runs: that is waited for, and nothing of it comes again.
func TestCloseKeepsOffsets(t *testing.T) {
	c := shared(t)
	topic, ctx, first, second := topic(t, c, 1), within(t), newInbox(), newInbox()
	p := newProducer(t, c, nil)
	started, release := make(chan struct{}, 100), make(chan struct{})
	push := newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error {
		started <- struct{}{}
		<-release
		first.add(list...)
		return nil
	}, func(o *consumer.PushOptions) { o.Workers, o.CommitInterval = 1, time.Hour })
	for i := range 10 {
		_, err := p.Send(ctx, &client.Message{Topic: topic, Body: text("m", i)})
		require.NoError(t, err)
	}
	<-started
	closed := make(chan error, 1)
	go func() { closed <- push.Close(ctx) }()
	close(release)
	require.NoError(t, <-closed)
	done := len(first.all())
	require.Positive(t, done)
	newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { second.add(list...); return nil }, nil)
	if done < 10 {
		second.count(t, 10-done)
	}
	require.ElementsMatch(t, []string{"m-0", "m-1", "m-2", "m-3", "m-4", "m-5", "m-6", "m-7", "m-8", "m-9"}, append(texts(first.all()), texts(second.all())...))
}

// TestBroadcast has each of two consumers get all; one that comes back goes on where its file says.
func TestBroadcast(t *testing.T) {
	c := shared(t)
	topic, ctx, dir := topic(t, c, 2), within(t), t.TempDir()
	p := newProducer(t, c, nil)
	start := func(instance string) (*inbox, *consumer.Push) {
		box := newInbox()
		return box, newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error {
			box.add(list...)
			return errors.New("a broadcast does not come again")
		}, func(o *consumer.PushOptions) { o.Broadcasting, o.OffsetDir, o.Instance = true, dir, instance })
	}
	send := func(prefix string) {
		for i := range 6 {
			_, err := p.Send(ctx, &client.Message{Topic: topic, Body: text(prefix, i)})
			require.NoError(t, err)
		}
	}
	a, pushA := start("a")
	b, _ := start("b")
	send("one")
	a.count(t, 6)
	b.count(t, 6)
	require.NoError(t, pushA.Close(ctx))
	files, err := filepath.Glob(filepath.Join(dir, "*@a", name(t, "group"), "offsets.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	text, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.Contains(t, string(text), fmt.Sprintf(`{"brokerName":%q,"queueId":0,"topic":%q}`, c.Broker.Name(), topic))
	send("two")
	again, _ := start("a")
	for _, got := range [][]*client.MessageExt{again.count(t, 6), b.count(t, 12)[6:]} {
		for _, m := range got {
			require.Contains(t, string(m.Body), "two-")
		}
	}
	require.Len(t, a.all(), 6)
}

// TestPull polls a subscription and assigned queues, commits, seeks and pauses.
func TestPull(t *testing.T) {
	c := shared(t)
	topic, ctx := topic(t, c, 2), within(t)
	p := newProducer(t, c, nil)
	send := func(from, to int) {
		for i := from; i < to; i++ {
			_, err := p.SendToQueue(ctx, &client.Message{Topic: topic, Body: text("m", i)}, client.MessageQueue{Topic: topic, BrokerName: c.Broker.Name(), QueueID: int32(i % 2)})
			require.NoError(t, err)
		}
	}
	send(0, 20)
	o := consumer.PullOptions{Options: consumer.Options{Options: options(t, c), Group: name(t, "group"), From: consumer.FromFirst, Subscriptions: []consumer.Subscription{{Topic: topic}},
		RebalanceInterval: 2 * time.Second}, ManualCommit: true, MaxPoll: 4}
	poll := func(p *consumer.Pull, n int) []string {
		var got []string
		for len(got) < n {
			list, err := p.Poll(ctx)
			require.NoError(t, err)
			require.LessOrEqual(t, len(list), 4)
			got = append(got, texts(list)...)
		}
		return got
	}
	sub, err := consumer.NewPull(ctx, o)
	require.NoError(t, err)
	require.Len(t, poll(sub, 20), 20)
	q0 := client.MessageQueue{Topic: topic, BrokerName: c.Broker.Name(), QueueID: 0}
	require.Contains(t, sub.Assigned(), q0)
	require.NoError(t, sub.Commit(ctx))
	committed, err := sub.Committed(ctx, q0)
	require.NoError(t, err)
	require.EqualValues(t, 10, committed)
	require.NoError(t, sub.Seek(q0, 7))
	require.Equal(t, []string{"m-14", "m-16", "m-18"}, poll(sub, 3))
	require.NoError(t, sub.Close(ctx))
	_, err = sub.Poll(ctx)
	require.ErrorIs(t, err, consumer.ErrClosed)

	o.Subscriptions, o.ManualCommit = nil, false
	own, err := consumer.NewPull(ctx, o)
	require.NoError(t, err)
	require.NoError(t, own.Assign(ctx, q0))
	send(20, 24)
	require.Equal(t, []string{"m-20", "m-22"}, poll(own, 2), "it goes on where the group was")
	first, end, err := own.Bounds(ctx, q0)
	require.NoError(t, err)
	require.Equal(t, []int64{0, 12}, []int64{first, end})
	at, err := own.OffsetForTime(ctx, q0, time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Zero(t, at)
	own.Pause(q0)
	own.Resume(q0)
	send(24, 26)
	require.Equal(t, []string{"m-24"}, poll(own, 1))
	require.NoError(t, own.Close(ctx))
	a := newAdmin(t, c)
	stats, err := a.BrokerConsumeStats(ctx, c.Broker.Addr(), name(t, "group"), topic)
	require.NoError(t, err)
	require.EqualValues(t, 13, stats.OffsetTable[q0].ConsumerOffset)
}

// TestAdministratorsReachConsumers asks a consumer for its state, has it consume one message, and moves it.
func TestAdministratorsReachConsumers(t *testing.T) {
	c := shared(t)
	topic, ctx, box, a := topic(t, c, 2), within(t), newInbox(), newAdmin(t, c)
	p := newProducer(t, c, nil)
	var sent []*client.SendResult
	for i := range 6 {
		r, err := p.Send(ctx, &client.Message{Topic: topic, Body: text("m", i)})
		require.NoError(t, err)
		sent = append(sent, r)
	}
	group := name(t, "group")
	push := newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { box.add(list...); return nil }, nil)
	box.count(t, 6)
	connection, err := a.ConsumerConnection(ctx, group, c.Broker.Addr())
	require.NoError(t, err)
	require.Equal(t, push.ClientID(), connection.ConnectionSet[0].ClientID)
	require.Equal(t, body.ConsumePassively, connection.ConsumeType)
	info, err := a.RunningInfo(ctx, group, push.ClientID(), true)
	require.NoError(t, err)
	require.Contains(t, info.Jstack, "goroutine")
	require.GreaterOrEqual(t, len(info.MQTable), 2)
	require.Len(t, info.SubscriptionSet, 2)
	shown := cluster.MQAdmin(t, "consumerStatus", "-n", c.Addr(), "-g", group, "-i", push.ClientID())
	for _, part := range []string{"#Consumer Properties#", topic, "CONSUME_PASSIVELY", "#Consumer MQ Detail#"} {
		require.Contains(t, shown, part, "stock mqadmin reads it too")
	}
	direct, err := a.ConsumeDirectly(ctx, group, push.ClientID(), topic, sent[3].OffsetMsgID)
	require.NoError(t, err)
	require.Equal(t, body.DirectSuccess, direct.ConsumeResult)
	require.Equal(t, sent[3].MsgID, box.count(t, 7)[6].ID())
	eventually(t, func() bool {
		stats, err := a.BrokerConsumeStats(ctx, c.Broker.Addr(), group, topic)
		sum := int64(0)
		if err == nil {
			for _, q := range stats.OffsetTable {
				sum += q.ConsumerOffset
			}
		}
		return sum == 6
	}, "offsets are stored")
	eventually(t, func() bool {
		// Java's client too refuses a queue that is just being shared out; an operator tries again.
		table, err := a.ResetOffset(ctx, "", topic, group, time.Now().Add(-time.Hour).UnixMilli(), true)
		return err == nil && len(table) == 2
	}, "offsets are reset")
	again := box.count(t, 13)[7:]
	slices.SortFunc(again, func(a, b *client.MessageExt) int { return strings.Compare(string(a.Body), string(b.Body)) })
	require.Equal(t, []string{"m-0", "m-1", "m-2", "m-3", "m-4", "m-5"}, texts(again)[:6])
}

// TestBrokerComesBack restarts the broker: producer and consumers, one of them in order, go on.
func TestBrokerComesBack(t *testing.T) {
	t.Parallel()
	c := cluster.Standalone(t)
	topic, ctx, box, ordered := topic(t, c, 2), within(t), newInbox(), newInbox()
	p := newProducer(t, c, nil)
	newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { box.add(list...); return nil }, nil)
	newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { ordered.add(list...); return nil },
		func(o *consumer.PushOptions) { o.Group, o.Orderly = name(t, "ordered"), true })
	send := func(prefix string) {
		for i := range 5 {
			eventually(t, func() bool {
				_, err := p.Send(ctx, &client.Message{Topic: topic, Body: text(prefix, i)})
				return err == nil
			}, "the broker takes messages")
		}
	}
	send("before")
	box.count(t, 5)
	ordered.count(t, 5)
	c.Broker.Restart(t)
	send("after")
	all := func(list []*client.MessageExt) bool {
		seen := map[string]bool{}
		for _, m := range list {
			seen[string(m.Body)] = true
		}
		return len(seen) == 10
	}
	box.await(t, all)
	ordered.await(t, all)
}
