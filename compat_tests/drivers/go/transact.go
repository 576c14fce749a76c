package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// states are the words for what a transaction comes to.
var states = map[string]primitive.LocalTransactionState{
	"commit": primitive.CommitMessageState, "rollback": primitive.RollbackMessageState, "unknown": primitive.UnknowState,
}

// transactions is the listener of a transact call.
type transactions struct {
	out    *events
	answer primitive.LocalTransactionState

	mu   sync.Mutex
	ends map[string]primitive.LocalTransactionState // by body
}

func (t *transactions) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ends[string(m.Body)]
}

func (t *transactions) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	t.out.emit(event{"event": "check", "body": string(m.Body), "topic": m.Topic, "msgId": m.MsgId, "transactionId": m.TransactionId,
		"flag": m.Flag, "props": m.GetProperties()})
	return t.answer
}

// transact sends count messages in transactions. Message i ends as the i-th of end= says; the broker's questions
// are answered with answer=. It stays to be asked until it is told to stop.
func transact(ctx context.Context, a *args, out *events) error {
	topic, prefix, count := a.str("topic", ""), a.str("prefix", "m"), a.num("count", 0)
	namesrv, group := a.str("namesrv", ""), a.str("group", "")
	end, answer := strings.Split(a.str("end", "commit"), ","), a.str("answer", "unknown")
	if err := a.check("namesrv", "topic", "group"); err != nil {
		return err
	}
	l := &transactions{out: out, answer: states[answer], ends: map[string]primitive.LocalTransactionState{}}
	p, err := rocketmq.NewTransactionProducer(l, producer.WithNameServer(strings.Split(namesrv, ";")), producer.WithGroupName(group))
	if err != nil {
		return fmt.Errorf("cannot make a producer: %w", err)
	}
	if err := p.Start(); err != nil {
		return fmt.Errorf("cannot start the producer: %w", err)
	}
	out.emit(event{"event": "started"})
	for i := 0; i < count && ctx.Err() == nil; i++ {
		body := fmt.Sprintf("%s-%d", prefix, i)
		l.mu.Lock()
		l.ends[body] = states[end[i%len(end)]]
		l.mu.Unlock()
		m := primitive.NewMessage(topic, []byte(body)).WithTag("tagA").WithKeys([]string{fmt.Sprintf("%s-k%d", prefix, i)})
		m.WithProperty("user", fmt.Sprint("u", i))
		m.Flag = 7
		r, err := p.SendMessageInTransaction(context.Background(), m)
		if err != nil {
			return fmt.Errorf("cannot send %s: %w", body, err)
		}
		out.emit(event{"event": "sent", "body": body, "msgId": r.MsgID, "transactionId": r.TransactionID, "queueId": r.MessageQueue.QueueId,
			"queueOffset": r.QueueOffset, "status": statusName(r.Status), "state": int(r.State)})
	}
	<-ctx.Done()
	if err := p.Shutdown(); err != nil {
		return fmt.Errorf("cannot stop the producer: %w", err)
	}
	out.emit(event{"event": "done"})
	return nil
}
