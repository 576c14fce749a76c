package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// load is what a produce call asks for.
type load struct {
	topic, mode, prefix string
	count, batch, size  int
	tags                []string
	keys, forever       bool
	delay               int
	queue, sharding     int
	rate                int
	props               map[string]string
}

func readLoad(a *args) load {
	l := load{
		topic:   a.str("topic", ""),
		mode:    a.str("mode", "sync"),
		prefix:  a.str("prefix", "m"),
		count:   a.num("count", 1),
		batch:   a.num("batch", 10),
		size:    a.num("size", 0),
		keys:    a.num("keys", 0) != 0,
		forever: a.num("forever", 0) != 0,
		delay:   a.num("delay", 0),
		queue:   a.num("queue", -1), sharding: a.num("sharding", 0),
		rate:  a.num("rate", 0),
		props: a.withPrefix("prop."),
	}
	if tags := a.str("tags", a.str("tag", "")); tags != "" {
		l.tags = strings.Split(tags, ",")
	}
	return l
}

// produce sends l.count messages and prints one line per acknowledgement.
func produce(ctx context.Context, a *args, out *events) error {
	l := readLoad(a)
	namesrv, group := a.str("namesrv", ""), a.str("group", "go_producer")
	retries, hold := a.num("retries", 2), a.num("hold", 0) != 0
	opts := []producer.Option{
		producer.WithNameServer(strings.Split(namesrv, ";")),
		producer.WithGroupName(group),
		producer.WithRetry(retries),
		producer.WithQueueSelector(newSelector(l)),
		producer.WithNamespace(a.str("namespace", "")),
	}
	if a.num("trace", 0) != 0 {
		opts = append(opts, producer.WithTrace(tracing(namesrv)))
	}
	if err := a.check("namesrv", "topic"); err != nil {
		return err
	}
	p, err := rocketmq.NewProducer(opts...)
	if err != nil {
		return fmt.Errorf("cannot create producer: %w", err)
	}
	if err := p.Start(); err != nil {
		return fmt.Errorf("cannot start producer: %w", err)
	}
	defer func() { _ = p.Shutdown() }()
	s := sending{load: l, p: p, out: out}
	if err := s.all(ctx); err != nil {
		return err
	}
	out.emit(event{"event": "done", "acked": s.acked.Load()})
	if hold {
		<-ctx.Done() // stdin ends
	}
	return nil
}

// tracing has a client write traces to the default trace topic.
func tracing(namesrv string) *primitive.TraceConfig {
	return &primitive.TraceConfig{TraceTopic: "RMQ_SYS_TRACE_TOPIC", Access: primitive.Local, NamesrvAddrs: strings.Split(namesrv, ";"),
		Resolver: primitive.NewPassthroughResolver(strings.Split(namesrv, ";"))}
}

// selector sends every message to one queue, to the queue of its sharding key, or round robin.
type selector struct {
	producer.QueueSelector
	queue    int
	sharding bool
}

func newSelector(l load) producer.QueueSelector {
	return selector{producer.NewRoundRobinQueueSelector(), l.queue, l.sharding > 0}
}

func (s selector) Select(msg *primitive.Message, mqs []*primitive.MessageQueue, last string) *primitive.MessageQueue {
	want := s.queue
	if s.sharding {
		k, err := strconv.Atoi(msg.GetShardingKey())
		if err != nil {
			return nil
		}
		want = k % len(mqs)
	}
	if want < 0 {
		return s.QueueSelector.Select(msg, mqs, last)
	}
	for _, mq := range mqs {
		if mq.QueueId == want {
			return mq
		}
	}
	return nil
}

// sending is one run of a load through a producer.
type sending struct {
	load
	p     rocketmq.Producer
	out   *events
	acked atomic.Int64
	open  sync.WaitGroup // asynchronous sends without an answer yet
}

func (s *sending) all(ctx context.Context) error {
	send := map[string]func(context.Context, []*primitive.Message){
		"sync": s.sync, "async": s.async, "oneway": s.oneway, "batch": s.sync,
	}[s.mode]
	if send == nil {
		return fmt.Errorf("%w: mode %q", errUsage, s.mode)
	}
	step := 1
	if s.mode == "batch" {
		step = s.batch
	}
	start := time.Now()
	for i := 0; s.forever || i < s.count; i += step {
		if !s.pace(ctx, start, i) {
			break
		}
		n := step
		if !s.forever {
			n = min(step, s.count-i)
		}
		msgs := make([]*primitive.Message, n)
		for j := range msgs {
			msgs[j] = s.message(i + j)
		}
		send(ctx, msgs)
	}
	s.open.Wait()
	return nil
}

// pace waits for message i's turn; it reports false when the run is over.
func (s *sending) pace(ctx context.Context, start time.Time, i int) bool {
	if s.rate <= 0 {
		return ctx.Err() == nil
	}
	due := start.Add(time.Duration(i) * time.Second / time.Duration(s.rate))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(due)):
		return true
	}
}

func (s *sending) message(i int) *primitive.Message {
	body := fmt.Sprintf("%s-%d", s.prefix, i)
	if len(body) < s.size {
		body += strings.Repeat(".", s.size-len(body))
	}
	m := primitive.NewMessage(s.topic, []byte(body))
	if len(s.tags) > 0 {
		m.WithTag(s.tags[i%len(s.tags)])
	}
	if s.keys {
		m.WithKeys([]string{fmt.Sprintf("%s-k%d", s.prefix, i)})
	}
	if s.delay > 0 {
		m.WithDelayTimeLevel(s.delay)
	}
	if s.sharding > 0 {
		m.WithShardingKey(strconv.Itoa(i % s.sharding))
	}
	for k, v := range s.props {
		m.WithProperty(k, v)
	}
	return m
}

func (s *sending) sync(_ context.Context, msgs []*primitive.Message) {
	// The run's context is not passed on: a send that began is answered even when the driver is told to stop.
	res, err := s.p.SendSync(context.Background(), msgs...)
	s.report(msgs, res, err)
}

func (s *sending) async(_ context.Context, msgs []*primitive.Message) {
	s.open.Add(1)
	// The client may call back twice for one failed send.
	var once sync.Once
	err := s.p.SendAsync(context.Background(), func(_ context.Context, res *primitive.SendResult, err error) {
		once.Do(func() {
			s.report(msgs, res, err)
			s.open.Done()
		})
	}, msgs...)
	if err != nil {
		once.Do(func() {
			s.report(msgs, nil, err)
			s.open.Done()
		})
	}
}

func (s *sending) oneway(_ context.Context, msgs []*primitive.Message) {
	err := s.p.SendOneWay(context.Background(), msgs...)
	if err != nil {
		s.report(msgs, nil, err)
		return
	}
	for _, m := range msgs {
		s.out.emit(event{"event": "sentOneway", "body": string(m.Body)})
	}
}

// report prints the result of one request, a line per message of it.
func (s *sending) report(msgs []*primitive.Message, res *primitive.SendResult, err error) {
	if err != nil || res == nil {
		for _, m := range msgs {
			s.out.emit(event{"event": "sendError", "body": string(m.Body), "error": fmt.Sprint(err)})
		}
		return
	}
	offsetIDs := strings.Split(res.OffsetMsgID, ",")
	for j, m := range msgs {
		id := res.OffsetMsgID
		if len(offsetIDs) == len(msgs) {
			id = offsetIDs[j]
		}
		uniq := m.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)
		s.out.emit(event{
			"event": "sent", "body": string(m.Body), "msgId": uniq, "offsetMsgId": id,
			"queueId": res.MessageQueue.QueueId, "queueOffset": res.QueueOffset + int64(j),
			"status": statusName(res.Status), "broker": res.MessageQueue.BrokerName,
		})
	}
	s.acked.Add(int64(len(msgs)))
}

// statusName spells a status as Java's SendStatus does.
func statusName(s primitive.SendStatus) string {
	switch s {
	case primitive.SendOK:
		return "SEND_OK"
	case primitive.SendFlushDiskTimeout:
		return "FLUSH_DISK_TIMEOUT"
	case primitive.SendFlushSlaveTimeout:
		return "FLUSH_SLAVE_TIMEOUT"
	case primitive.SendSlaveNotAvailable:
		return "SLAVE_NOT_AVAILABLE"
	}
	return fmt.Sprintf("UNKNOWN_%d", s)
}
