package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// answerLimit is how long who asks waits for the answer.
const answerLimit = 30 * time.Second

// request sends count requests, which a consumer of the same process replies to, and prints the answers.
func request(ctx context.Context, a *args, out *events) error {
	topic, group, count := a.str("topic", ""), a.str("group", ""), a.num("count", 1)
	servers := strings.Split(a.str("namesrv", ""), ";")
	if err := a.check("namesrv", "topic", "group"); err != nil {
		return err
	}
	asker, err := startProducer(servers, group+"_asker")
	if err != nil {
		return err
	}
	replier, err := startProducer(servers, group+"_replier")
	if err != nil {
		return err
	}
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer(servers), consumer.WithGroupName(group),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		return fmt.Errorf("cannot create consumer: %w", err)
	}
	err = c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "*"},
		func(ctx context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range msgs {
				if err := reply(ctx, replier, m); err != nil {
					out.emit(event{"event": "replyError", "body": string(m.Body), "error": err.Error()})
				}
			}
			return consumer.ConsumeSuccess, nil
		})
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return fmt.Errorf("cannot start consumer: %w", err)
	}
	for i := 0; i < count && ctx.Err() == nil; i++ {
		answer, err := asker.Request(ctx, answerLimit, primitive.NewMessage(topic, []byte(fmt.Sprintf("q-%d", i))))
		if err != nil {
			return fmt.Errorf("no answer to q-%d: %w", i, err)
		}
		out.emit(event{"event": "answer", "body": string(answer.Body), "props": answer.GetProperties()})
	}
	for _, end := range []func() error{c.Shutdown, replier.Shutdown, asker.Shutdown} {
		if err := end(); err != nil {
			return err
		}
	}
	out.emit(event{"event": "done"})
	return nil
}

func startProducer(servers []string, group string) (rocketmq.Producer, error) {
	p, err := rocketmq.NewProducer(producer.WithNameServer(servers), producer.WithGroupName(group), producer.WithInstanceName(group))
	if err != nil {
		return nil, fmt.Errorf("cannot create producer: %w", err)
	}
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("cannot start producer: %w", err)
	}
	return p, nil
}

// reply answers a request. The client may not yet have told the broker of who asks; the broker refuses the reply then,
// and it is sent again.
func reply(ctx context.Context, p rocketmq.Producer, m *primitive.MessageExt) error {
	answer, err := consumer.CreateReplyMessage(m, nil) // which takes a body for properties
	if err != nil {
		return err
	}
	answer.Body = []byte("re:" + string(m.Body))
	for begin := time.Now(); ; {
		if _, err = p.SendSync(ctx, answer); err == nil || time.Since(begin) > answerLimit {
			return err
		}
		time.Sleep(100 * time.Millisecond) // the client says nothing when it has
	}
}
