package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// lastResult is the time left to the client between the last listener's return and shutdown.
const lastResult = 300 * time.Millisecond

// reading is what a consume call asks for, and how far it has come.
type reading struct {
	out       *events
	topic     string
	orderly   bool
	expect    int
	failFirst int32
	delay     time.Duration

	mu       sync.Mutex
	received int
	enough   chan struct{} // closed when expect messages were consumed
}

// consume runs a push consumer until it has expect messages or is told to stop.
func consume(ctx context.Context, a *args, out *events) error {
	r := &reading{
		out: out, topic: a.str("topic", ""),
		expect: a.num("expect", 0), failFirst: int32(a.num("failFirst", 0)),
		delay: a.duration("delayMs", 0), enough: make(chan struct{}),
	}
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: a.str("tag", "*")}
	if sql := a.str("sql", ""); sql != "" {
		selector = consumer.MessageSelector{Type: consumer.SQL92, Expression: sql}
	}
	opts, err := r.options(a)
	if err != nil {
		return err
	}
	if err := a.check("namesrv", "topic", "group"); err != nil {
		return err
	}
	c, err := rocketmq.NewPushConsumer(opts...)
	if err != nil {
		return fmt.Errorf("cannot create consumer: %w", err)
	}
	if err := c.Subscribe(r.topic, selector, r.handle); err != nil {
		return fmt.Errorf("cannot subscribe to %s: %w", r.topic, err)
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("cannot start consumer: %w", err)
	}
	out.emit(event{"event": "started"})
	select {
	case <-ctx.Done():
	case <-r.enough:
		// The client commits or sends back the last message after its listener has returned.
		time.Sleep(lastResult)
	}
	err = c.Shutdown()
	r.mu.Lock()
	defer r.mu.Unlock()
	out.emit(event{"event": "done", "received": r.received})
	return err
}

func (r *reading) options(a *args) ([]consumer.Option, error) {
	opts := []consumer.Option{
		consumer.WithNameServer(strings.Split(a.str("namesrv", ""), ";")),
		consumer.WithGroupName(a.str("group", "")),
		consumer.WithConsumeMessageBatchMaxSize(a.num("batchSize", 1)),
		consumer.WithMaxReconsumeTimes(int32(a.num("maxReconsume", -1))),
		// The client locks its queues 1 s after start and then at this interval (its default: 20 s);
		// a rebalance that is later than 1 s must wait for the next turn.
		consumer.WithRebalanceLockInterval(time.Second),
		consumer.WithNamespace(a.str("namespace", "")),
	}
	if a.num("trace", 0) != 0 {
		opts = append(opts, consumer.WithTrace(tracing(a.str("namesrv", ""))))
	}
	switch from := a.str("from", "first"); from {
	case "first":
		opts = append(opts, consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	case "last":
		opts = append(opts, consumer.WithConsumeFromWhere(consumer.ConsumeFromLastOffset))
	case "timestamp":
		opts = append(opts, consumer.WithConsumeFromWhere(consumer.ConsumeFromTimestamp),
			consumer.WithConsumeTimestamp(a.str("timestamp", "")))
	default:
		return nil, fmt.Errorf("%w: from %q", errUsage, from)
	}
	switch mode := a.str("mode", "concurrent"); mode {
	case "concurrent":
	case "orderly":
		r.orderly = true
		opts = append(opts, consumer.WithConsumerOrder(true))
	case "broadcast":
		opts = append(opts, consumer.WithConsumerModel(consumer.BroadCasting))
	default:
		return nil, fmt.Errorf("%w: mode %q", errUsage, mode)
	}
	if name := a.str("instance", ""); name != "" {
		opts = append(opts, consumer.WithInstance(name))
	}
	return opts, nil
}

// handle is the message listener.
func (r *reading) handle(ctx context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	if r.delay > 0 {
		time.Sleep(r.delay)
	}
	fail := false
	for _, m := range msgs {
		r.out.emit(r.line(ctx, m))
		fail = fail || m.ReconsumeTimes < r.failFirst
	}
	r.count(len(msgs))
	switch {
	case !fail:
		return consumer.ConsumeSuccess, nil
	case r.orderly:
		return consumer.SuspendCurrentQueueAMoment, nil
	}
	return consumer.ConsumeRetryLater, nil
}

func (r *reading) line(ctx context.Context, m *primitive.MessageExt) event {
	queue, broker := m.Queue.QueueId, ""
	if c, ok := primitive.GetConsumerCtx(ctx); ok {
		broker = c.MQ.BrokerName
	}
	return event{
		"event": "msg", "body": string(m.Body), "topic": m.Topic, "tag": m.GetTags(), "keys": m.GetKeys(),
		"queueId": queue, "queueOffset": m.QueueOffset, "msgId": m.MsgId, "offsetMsgId": m.OffsetMsgId,
		"reconsumeTimes": m.ReconsumeTimes, "bornTimestamp": m.BornTimestamp, "storeTimestamp": m.StoreTimestamp,
		"recvTimestamp": time.Now().UnixMilli(), "props": m.GetProperties(), "broker": broker,
	}
}

func (r *reading) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.received
	r.received += n
	if r.expect > 0 && before < r.expect && r.received >= r.expect {
		close(r.enough)
	}
}
