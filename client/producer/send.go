package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/instance"
	"github.com/skylarkmq/skylark/client/internal/records"
	"github.com/skylarkmq/skylark/client/internal/trace"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// Send sends a message to any queue of its topic and waits until it is stored, with retries (Options.Retries), for
// as long as ctx allows or, without a deadline, Options.Timeout. A refusal is a *client.Error; when all attempts
// have failed the last error is wrapped.
func (p *Producer) Send(ctx context.Context, m *client.Message) (*client.SendResult, error) {
	if err := p.begin(); err != nil {
		return nil, err
	}
	defer p.sends.Done()
	return p.send(ctx, m, nil)
}

// SendToQueue is Send to one queue, without retries.
func (p *Producer) SendToQueue(ctx context.Context, m *client.Message, q client.MessageQueue) (*client.SendResult, error) {
	if err := p.begin(); err != nil {
		return nil, err
	}
	defer p.sends.Done()
	if m != nil && m.Topic != q.Topic {
		return nil, protocol.Errorf(protocol.MessageIllegal, "message's topic not equal mq's topic")
	}
	return p.send(ctx, m, &q)
}

// SendOrdered is Send to the queue that belongs to key, without retries: messages with one key are consumed in the
// order in which they were sent while the number of queues stays. Java: SelectMessageQueueByHash.
func (p *Producer) SendOrdered(ctx context.Context, m *client.Message, key string) (*client.SendResult, error) {
	if m == nil {
		return nil, records.Check(m, 0)
	}
	queues, err := p.Queues(ctx, m.Topic)
	if err != nil {
		return nil, err
	}
	if len(queues) == 0 {
		return nil, fmt.Errorf("cannot find a queue of topic %s that can be written", m.Topic)
	}
	return p.SendToQueue(ctx, m, queues[queueOf(key, len(queues))])
}

// queueOf is the index of a key's queue among n. Java: SelectMessageQueueByHash.
func queueOf(key string, n int) int {
	v := int(message.HashCode(key)) % n
	return max(v, -v)
}

func (p *Producer) send(ctx context.Context, m *client.Message, q *client.MessageQueue) (*client.SendResult, error) {
	out, err := p.outgoing(m)
	if err != nil {
		return nil, err
	}
	kind := trace.KindNormal
	if out.SysFlag&message.SysFlagPrepared != 0 {
		kind = trace.KindHalf
	}
	if records.Delayed(m) {
		kind = trace.KindDelay
	}
	return p.deliver(ctx, out, q, traced{kind, m.Tag, m.Keys, len(m.Body)})
}

// traced is what a trace says of a message beside what is on the wire.
type traced struct {
	kind int
	tag  string
	keys []string
	size int
}

// deliver sends to a queue or, without one, to any.
func (p *Producer) deliver(ctx context.Context, out *instance.Outgoing, q *client.MessageQueue, t traced) (*client.SendResult, error) {
	ctx, cancel := p.limited(ctx)
	defer cancel()
	begin := time.Now()
	var s *instance.Sent
	var err error
	if q != nil {
		s, err = p.inst.SendTo(ctx, *q, out)
	} else {
		s, err = p.inst.Publish(ctx, out, p.o.Retries, p.o.RetryNotStored)
	}
	if err != nil {
		return nil, err
	}
	if s.TraceOn && !p.trace.Skips(out.Topic) {
		p.trace.Sent(&trace.Sending{Time: begin.UnixMilli(), Region: s.Region, Group: p.o.Group, Topic: out.Topic, MsgID: s.MsgID, Tag: t.tag, Keys: strings.Join(t.keys, " "),
			Broker: s.Addr, Size: t.size, Cost: time.Since(begin).Milliseconds(), Kind: t.kind, OffsetMsgID: s.OffsetMsgID, Success: s.Status == client.SendOK})
	}
	return &s.SendResult, nil
}

// SendOneway sends a message without an answer: no error means that it is on its way, not that it arrives. What is on
// its way when the producer is closed may be lost.
func (p *Producer) SendOneway(ctx context.Context, m *client.Message) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.sends.Done()
	out, err := p.outgoing(m)
	if err != nil {
		return err
	}
	ctx, cancel := p.limited(ctx)
	defer cancel()
	q, err := p.inst.NextQueue(ctx, m.Topic, "")
	if err != nil {
		return err
	}
	return p.inst.OnewayTo(ctx, q, out)
}

// job is an asynchronous send.
type job struct {
	ctx  context.Context
	m    *client.Message
	done func(*client.SendResult, error)
}

// SendAsync is Send on another goroutine, which calls done with what Send returns. It waits only while
// Options.AsyncSenders sends are under way; an error means that done is not called. The message must not be changed
// until done is called; done must not wait for long, nor call Close.
func (p *Producer) SendAsync(ctx context.Context, m *client.Message, done func(*client.SendResult, error)) error {
	if done == nil {
		return errors.New("cannot send without a function to call")
	}
	if err := p.begin(); err != nil {
		return err
	}
	j := job{ctx, m, done}
	select {
	case p.jobs <- j: // somebody is idle
		return nil
	default:
	}
	p.mu.Lock()
	if p.senders < p.o.AsyncSenders {
		p.senders++
		p.mu.Unlock()
		p.wg.Go(func() { p.sender(j) })
		return nil
	}
	p.mu.Unlock()
	select {
	case p.jobs <- j:
		return nil
	case <-ctx.Done():
		p.sends.Done()
		return ctx.Err()
	case <-p.ctx.Done():
		p.sends.Done()
		return ErrClosed
	}
}

// sender does its first job, and what comes then.
func (p *Producer) sender(j job) {
	for {
		j.done(p.send(j.ctx, j.m, nil))
		p.sends.Done()
		select {
		case j = <-p.jobs:
		case <-p.ctx.Done():
			return
		}
	}
}

// SendBatch sends messages of one topic, none of them delayed, as one request to one queue, where they are stored
// one behind the other, or none of them. Together they must not be larger than Options.MaxMessageSize.
func (p *Producer) SendBatch(ctx context.Context, messages []*client.Message) (*client.SendResult, error) {
	if err := p.begin(); err != nil {
		return nil, err
	}
	defer p.sends.Done()
	out, err := p.batch(messages)
	if err != nil {
		return nil, err
	}
	return p.deliver(ctx, out, nil, traced{kind: trace.KindNormal, size: len(out.Body)})
}

func (p *Producer) batch(messages []*client.Message) (*instance.Outgoing, error) {
	if len(messages) == 0 {
		return nil, protocol.Errorf(protocol.MessageIllegal, "the batch is empty")
	}
	out := &instance.Outgoing{Group: p.o.Group, Batch: true}
	ids := make([]string, 0, len(messages))
	for _, m := range messages {
		if err := records.Check(m, p.o.MaxMessageSize); err != nil {
			return nil, err
		}
		switch {
		case records.Delayed(m):
			return nil, protocol.Errorf(protocol.MessageIllegal, "Delayed messages are not supported for batching")
		case strings.HasPrefix(m.Topic, client.RetryPrefix):
			return nil, protocol.Errorf(protocol.MessageIllegal, "Retry Group is not supported for batching")
		case m.Topic != messages[0].Topic:
			return nil, protocol.Errorf(protocol.MessageIllegal, "The topic of the messages in one batch should be the same")
		case m.NoWait != messages[0].NoWait:
			return nil, protocol.Errorf(protocol.MessageIllegal, "The waitStoreMsgOK of the messages in one batch should the same")
		}
		id := p.inst.NewID()
		properties, err := records.Properties(m, id)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		out.Body = message.AppendBatchItem(out.Body, message.BatchItem{Flag: m.Flag, Body: m.Body, Properties: properties})
		if len(out.Body) > p.o.MaxMessageSize {
			return nil, protocol.Errorf(protocol.MessageIllegal, "the message body size over max value, MAX: %d", p.o.MaxMessageSize)
		}
	}
	out.Topic, out.ID = messages[0].Topic, strings.Join(ids, ",")
	return out, p.nameBatch(out, messages[0])
}

// nameBatch sets the properties of the request, which are not stored: they name all messages.
func (p *Producer) nameBatch(out *instance.Outgoing, first *client.Message) error {
	var err error
	out.Properties, err = records.Properties(&client.Message{Topic: first.Topic, NoWait: first.NoWait}, out.ID)
	if err != nil { // the ids of more than some 900 messages do not fit
		out.Properties, err = records.Properties(&client.Message{Topic: first.Topic, NoWait: first.NoWait}, slices.Collect(strings.SplitSeq(out.ID, ","))[0])
	}
	return err
}

// Recall takes back a message that is being held for its Delay or DeliverAt, by the RecallHandle of its result, and
// returns its unique id. Brokers since 5.3.2 do so where recallMessageEnable says so, and refuse a handle whose time
// has come. The handle names the topic and the broker.
func (p *Producer) Recall(ctx context.Context, handle string) (msgID string, err error) {
	if err := p.begin(); err != nil {
		return "", err
	}
	defer p.sends.Done()
	ctx, cancel := p.limited(ctx)
	defer cancel()
	return p.recall(ctx, handle)
}
