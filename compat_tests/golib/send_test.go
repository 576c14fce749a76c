package golib_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/consumer"
	"github.com/skylarkmq/skylark/client/producer"
	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// TestEveryWayToSend sends in each way and has each message arrive once, as it was sent.
func TestEveryWayToSend(t *testing.T) {
	c := shared(t)
	topic, ctx, box := topic(t, c, 4), within(t), newInbox()
	p := newProducer(t, c, nil)
	newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { box.add(list...); return nil }, nil)

	large := bytes.Repeat([]byte("lark "), 20000)
	r, err := p.Send(ctx, &client.Message{Topic: topic, Tag: "tag", Keys: []string{"k1", "k2"}, Flag: 7, Body: large, Properties: map[string]string{"colour": "red"}})
	require.NoError(t, err)
	require.Equal(t, client.SendOK, r.Status)
	require.Len(t, r.MsgID, 32)

	done := make(chan error, 32)
	for i := range 32 {
		require.NoError(t, p.SendAsync(ctx, &client.Message{Topic: topic, Body: text("async", i)}, func(_ *client.SendResult, err error) { done <- err }))
	}
	for range 32 {
		require.NoError(t, <-done)
	}
	require.NoError(t, p.SendOneway(ctx, &client.Message{Topic: topic, Body: []byte("oneway")}))
	var batch []*client.Message
	for i := range 10 {
		batch = append(batch, &client.Message{Topic: topic, Tag: "b", Body: text("batch", i)})
	}
	br, err := p.SendBatch(ctx, batch)
	require.NoError(t, err)
	require.Len(t, strings.Split(br.MsgID, ","), 10)
	require.Len(t, strings.Split(br.OffsetMsgID, ","), 10)
	queues, err := p.Queues(ctx, topic)
	require.NoError(t, err)
	require.Len(t, queues, 4)
	qr, err := p.SendToQueue(ctx, &client.Message{Topic: topic, Body: []byte("queue")}, queues[2])
	require.NoError(t, err)
	require.Equal(t, queues[2], qr.Queue)
	kr, err := p.SendOrdered(ctx, &client.Message{Topic: topic, Body: []byte("key")}, "customer-7")
	require.NoError(t, err)
	require.Equal(t, queues[abs(message.HashCode("customer-7"))%4], kr.Queue)

	list := box.count(t, 1+32+1+10+2)
	require.Len(t, list, 46)
	at := slices.IndexFunc(list, func(m *client.MessageExt) bool { return len(m.Body) == len(large) })
	m := list[at]
	require.Equal(t, large, m.Body)
	require.NotZero(t, m.SysFlag&message.SysFlagCompressed)
	require.Less(t, m.Size, len(large))
	require.Equal(t, []any{r.MsgID, r.OffsetMsgID, r.QueueOffset, "tag", []string{"k1", "k2"}, int32(7), "red"}, []any{m.ID(), m.OffsetID(), m.QueueOffset, m.Tag(), m.Keys(), m.Flag, m.Property("colour")})
	seen := map[string]bool{}
	for _, m := range list {
		require.False(t, seen[m.ID()], "twice")
		seen[m.ID()] = true
	}

	_, err = p.Send(ctx, &client.Message{Topic: topic})
	require.Equal(t, protocol.MessageIllegal, client.Code(err))
	_, err = p.Send(ctx, &client.Message{Topic: topic, Body: make([]byte, 4<<20+1)})
	require.Equal(t, protocol.MessageIllegal, client.Code(err))
	_, err = p.Send(ctx, &client.Message{Topic: "no such", Body: []byte("x")})
	require.Equal(t, protocol.MessageIllegal, client.Code(err))
}

func abs(n int32) int { return int(max(n, -n)) }

// TestTopicIsCreatedBySending sends to a topic that does not exist.
func TestTopicIsCreatedBySending(t *testing.T) {
	c := shared(t)
	r, err := newProducer(t, c, nil).Send(within(t), &client.Message{Topic: name(t, "new"), Body: []byte("x")})
	require.NoError(t, err)
	require.Equal(t, client.SendOK, r.Status)
}

// TestDelayedMessagesComeLaterAndCanBeRecalled sends with a level, a time, and takes one back.
func TestDelayedMessagesComeLaterAndCanBeRecalled(t *testing.T) {
	c := shared(t)
	topic, ctx, box := topic(t, c, 1), within(t), newInbox()
	p := newProducer(t, c, nil)
	newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { box.add(list...); return nil }, nil)
	recalled, err := p.Send(ctx, &client.Message{Topic: topic, Body: []byte("recalled"), Delay: 8 * time.Second})
	require.NoError(t, err)
	id, err := p.Recall(ctx, recalled.RecallHandle)
	require.NoError(t, err)
	require.Equal(t, recalled.MsgID, id)
	for _, m := range []*client.Message{{DelayLevel: 2, Body: []byte("level")}, {Delay: 3 * time.Second, Body: []byte("delay")},
		{DeliverAt: time.Now().Add(10 * time.Second), Body: []byte("at")}} {
		m.Topic = topic
		_, err := p.Send(ctx, m)
		require.NoError(t, err)
	}
	list := box.count(t, 3)
	for _, m := range list {
		require.GreaterOrEqual(t, m.StoreTimestamp-m.BornTimestamp, int64(1000), "%s was held", m.Body)
	}
	require.ElementsMatch(t, []string{"level", "delay", "at"}, texts(list), "the one that was due before the last never came")
	_, err = p.Recall(ctx, "no handle")
	require.Equal(t, protocol.IllegalOperation, client.Code(err))
}

// TestAnotherBrokerTakesOver kills one of two brokers: all sends succeed.
func TestAnotherBrokerTakesOver(t *testing.T) {
	t.Parallel()
	ns := cluster.StartNamesrv(t, cluster.Options{})
	var brokers []*cluster.Server
	for _, b := range []string{"broker-a", "broker-b"} {
		brokers = append(brokers, cluster.StartBroker(t, cluster.Options{Namesrv: []string{ns.Addr()}, Name: b}))
	}
	c := &cluster.Cluster{Namesrv: ns, Broker: brokers[0]}
	topic := topic(t, c, 2)
	brokers[1].CreateTopic(t, topic, 2)
	p := newProducer(t, c, nil)
	send := func(prefix string) map[string]int {
		out := map[string]int{}
		for i := range 8 {
			r, err := p.Send(within(t), &client.Message{Topic: topic, Body: text(prefix, i)})
			require.NoError(t, err)
			out[r.Queue.BrokerName]++
		}
		return out
	}
	require.Len(t, send("both"), 2)
	brokers[1].Kill(t)
	require.Equal(t, map[string]int{"broker-a": 8}, send("one"))
}

// TestTransactions commits, rolls back, and answers the broker that asks.
func TestTransactions(t *testing.T) {
	c := shared(t)
	topic, ctx, box := topic(t, c, 2), within(t), newInbox()
	asked := make(chan string, 16)
	p := newProducer(t, c, func(o *producer.Options) {
		o.Check = func(_ context.Context, m *client.MessageExt) producer.TransactionState {
			asked <- string(m.Body)
			if m.Property("fate") == "rollback" {
				return producer.Rollback
			}
			return producer.Commit
		}
	})
	newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { box.add(list...); return nil }, nil)
	send := func(body, fate string, state producer.TransactionState) {
		r, got, err := p.SendInTransaction(ctx, &client.Message{Topic: topic, Body: []byte(body), Properties: map[string]string{"fate": fate}},
			func(_ context.Context, r *client.SendResult) producer.TransactionState { return state })
		require.NoError(t, err)
		require.Equal(t, state, got)
		require.Equal(t, r.MsgID, r.TransactionID)
	}
	send("committed", "", producer.Commit)
	send("dropped", "", producer.Rollback)
	send("unknown, dropped", "rollback", producer.Unknown)
	send("unknown, committed", "commit", producer.Unknown)
	box.await(t, func(list []*client.MessageExt) bool { return slices.Contains(texts(list), "unknown, committed") })
	require.ElementsMatch(t, []string{"committed", "unknown, committed"}, texts(box.all()))
	require.Subset(t, []string{"unknown, dropped", "unknown, committed"}, []string{<-asked, <-asked})
	_, _, err := p.SendInTransaction(ctx, &client.Message{Topic: topic, Body: []byte("x"), DelayLevel: 1}, func(context.Context, *client.SendResult) producer.TransactionState { return producer.Commit })
	require.Equal(t, protocol.MessageIllegal, client.Code(err))
}

// TestRequestsAreRepliedTo asks a consumer of ours, which answers with a producer of its own.
func TestRequestsAreRepliedTo(t *testing.T) {
	c := shared(t)
	topic := topic(t, c, 2)
	answers := newProducer(t, c, func(o *producer.Options) { o.Group = name(t, "answers") })
	newPush(t, c, topic, func(ctx context.Context, list []*client.MessageExt) error {
		for _, m := range list {
			reply, err := producer.Reply(m, []byte("re:"+string(m.Body)))
			if err == nil {
				_, err = answers.Send(ctx, reply)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, nil)
	p := newProducer(t, c, nil)
	for i := range 4 {
		r, err := p.Request(within(t), &client.Message{Topic: topic, Body: text("q", i)})
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("re:q-%d", i), string(r.Body))
		require.NotEmpty(t, r.Property(message.PropertyPushReplyTime))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.Broker.CreateTopic(t, name(t, "deaf"), 1)
	_, err := p.Request(ctx, &client.Message{Topic: name(t, "deaf"), Body: []byte("anybody?")})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestTraceIsShown has producer and consumer write traces, which stock mqadmin shows.
func TestTraceIsShown(t *testing.T) {
	c := shared(t)
	topic, box := topic(t, c, 1), newInbox()
	traced := newProducer(t, c, func(o *producer.Options) { o.Trace = true })
	r, err := traced.Send(within(t), &client.Message{Topic: topic, Tag: "t", Keys: []string{"traced"}, Body: []byte("x")})
	require.NoError(t, err)
	push := newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { box.add(list...); return nil }, func(o *consumer.PushOptions) { o.Trace = true })
	box.count(t, 1)
	require.NoError(t, traced.Close(within(t)))
	require.NoError(t, push.Close(within(t)), "which sends the traces that wait")
	var out string
	eventually(t, func() bool {
		out = cluster.MQAdmin(t, "queryMsgTraceById", "-n", c.Addr(), "-i", r.MsgID)
		return strings.Contains(out, "Pub") && strings.Contains(out, "Sub")
	}, "mqadmin shows the trace")
	for _, part := range []string{name(t, "producers"), name(t, "group"), "success"} {
		require.Contains(t, out, part)
	}
}
