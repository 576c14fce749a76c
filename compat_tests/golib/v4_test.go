package golib_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/consumer"
	"github.com/skylarkmq/skylark/client/producer"
	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// TestBrokerOfVersion4 sends, retries, consumes in order, polls and ends a transaction at Java's broker of 4.9.
func TestBrokerOfVersion4(t *testing.T) {
	t.Parallel()
	ns := cluster.StartNamesrv(t, cluster.Options{})
	b := cluster.StartJavaBroker(t, cluster.Options{Version: cluster.ServerV4, Namesrv: []string{ns.Addr()}, ExtraConf: []string{"messageDelayLevel=1s 2s 1s 1s 1s 1s", "enablePropertyFilter=true"}})
	c := &cluster.Cluster{Namesrv: ns, Broker: b}
	topic, ctx, box, ordered := topic(t, c, 2), within(t), newInbox(), newInbox()
	p := newProducer(t, c, nil)
	newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error {
		if string(list[0].Body) == "again" && list[0].ReconsumeTimes == 0 {
			return errors.New("not now")
		}
		box.add(list...)
		return nil
	}, func(o *consumer.PushOptions) {
		o.Subscriptions[0] = consumer.Subscription{Topic: topic, Expression: "TAGS = 'a'", SQL: true}
	})
	newPush(t, c, topic, func(_ context.Context, list []*client.MessageExt) error { ordered.add(list...); return nil },
		func(o *consumer.PushOptions) { o.Group, o.Orderly = name(t, "ordered"), true })
	for _, m := range []*client.Message{{Body: []byte("again")}, {Body: bytes.Repeat([]byte("lark "), 2000)}, {Body: []byte("later"), DelayLevel: 1}} {
		m.Topic, m.Tag = topic, "a"
		_, err := p.Send(ctx, m)
		require.NoError(t, err)
	}
	_, err := p.SendBatch(ctx, []*client.Message{{Topic: topic, Tag: "a", Body: []byte("b1")}, {Topic: topic, Tag: "b", Body: []byte("b2")}})
	require.NoError(t, err)
	_, _, err = p.SendInTransaction(ctx, &client.Message{Topic: topic, Tag: "a", Body: []byte("transaction")},
		func(context.Context, *client.SendResult) producer.TransactionState { return producer.Commit })
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"again", "lark lark lark lark lark lark lark lark ", "later", "b1", "transaction"}, texts(box.count(t, 5)))
	ordered.count(t, 6)
	pull, err := consumer.NewPull(ctx, consumer.PullOptions{Options: consumer.Options{Options: options(t, c), Group: name(t, "pull"), From: consumer.FromFirst, Subscriptions: []consumer.Subscription{{Topic: topic, Expression: "b"}}}})
	require.NoError(t, err)
	defer pull.Close(context.Background())
	list, err := pull.Poll(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"b2"}, texts(list))
}
