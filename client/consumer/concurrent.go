package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/instance"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// againAfter is when messages that could not be sent back are consumed again.
// Java: ConsumeMessageConcurrentlyService.submitConsumeRequestLater.
const againAfter = 5 * time.Second

// submit hands what was pulled to the workers, in pieces of a listener's size.
func (p *Push) submit(pq *processQueue, list []*entry) {
	pieces := make([]task, 0, (len(list)+p.o.Batch-1)/p.o.Batch)
	for piece := range slices.Chunk(list, p.o.Batch) {
		pieces = append(pieces, task{pq, piece})
	}
	p.tasks.put(pieces...)
}

func (p *Push) work() {
	for {
		t, ok := p.tasks.take(p.ctx)
		if !ok {
			return
		}
		p.concurrently(t)
	}
}

// concurrently consumes one task: what was consumed, or went back to the broker, is done with.
func (p *Push) concurrently(t task) {
	if !t.pq.begin(t.entries, time.Now()) {
		return
	}
	err := p.call(messagesOf(t.entries))
	done, failed := t.entries, []*entry(nil)
	var retry *Retry
	if err != nil {
		from := 0
		if errors.As(err, &retry) {
			from = min(max(retry.From, 0), len(t.entries))
		}
		done, failed = t.entries[:from:from], t.entries[from:]
	}
	if len(failed) > 0 && p.o.Broadcasting {
		p.log.Warn().Str("msgId", failed[0].m.ID()).Int("messages", len(failed)).Err(err).Msg("messages of a broadcast are dropped: the listener failed")
		done, failed = t.entries, nil
	}
	level := 0
	if retry != nil {
		level = retry.Level
	}
	var again []*entry
	for _, e := range failed {
		if e.isDone(t.pq) { // it took too long, and has been sent back
			continue
		}
		if err := p.sendBack(e.m, level); err != nil {
			p.log.Warn().Str("msgId", e.m.ID()).Err(err).Msg("cannot send a message back")
			e.m.ReconsumeTimes++
			again = append(again, e)
			continue
		}
		done = append(done, e)
	}
	t.pq.finish(done, func(offset int64) { p.offsets.update(t.pq.q, offset) })
	if len(again) > 0 {
		p.tryLater(task{t.pq, again}, againAfter)
	}
}

func (e *entry) isDone(pq *processQueue) bool {
	pq.mu.Lock()
	defer pq.mu.Unlock()
	return e.done
}

// sendBack has a message come again after a delay level, by its broker or, when that refuses, by a copy to the retry
// topic.
func (p *Push) sendBack(m *client.MessageExt, level int) error {
	// Not the consumer's context: what a listener has failed on is sent back while the consumer is being closed.
	ctx, cancel := context.WithTimeout(context.Background(), p.o.Timeout)
	defer cancel()
	addr := p.inst.Master(m.BrokerName)
	err := fmt.Errorf("the broker[%s] not exist", m.BrokerName)
	if addr != "" {
		most := int32(p.o.MaxReconsume)
		_, err = p.inst.Call(ctx, addr, protocol.ConsumerSendMsgBack, header.ConsumerSendMsgBackRequest{Offset: m.PhysicalOffset, Group: p.o.Group,
			DelayLevel: int32(level), OriginMsgID: m.ID(), OriginTopic: m.Topic, MaxReconsumeTimes: &most}, nil)
	}
	if err == nil {
		return nil
	}
	if copied := p.sendCopy(ctx, m, level); copied != nil {
		return errors.Join(err, copied)
	}
	return nil
}

// sendCopy sends a message to the retry topic of the group, from where it comes again or, when it has come often
// enough, goes to the dead letter queue. Java: DefaultMQPushConsumerImpl.sendMessageBackAsNormalMessage.
func (p *Push) sendCopy(ctx context.Context, m *client.MessageExt, level int) error {
	if level <= 0 {
		level = 3 + int(m.ReconsumeTimes)
	}
	properties := message.ParseProperties(m.Properties)
	if properties.Get(message.PropertyOriginMessageID) == "" {
		properties.Set(message.PropertyOriginMessageID, m.ID())
	}
	properties.Set(message.PropertyRetryTopic, m.Topic)
	properties.Set(message.PropertyDelay, strconv.Itoa(level))
	properties.Delete(message.PropertyTransactionPrepared)
	most := int32(p.o.MaxReconsume)
	out := &instance.Outgoing{Group: p.o.Group, Topic: client.RetryPrefix + p.o.Group, ID: m.ID(), Properties: properties.String(), Body: m.Body, Flag: m.Flag,
		ReconsumeTimes: m.ReconsumeTimes + 1, MaxReconsume: &most}
	if m.Err != nil { // the body is still compressed
		out.SysFlag = m.SysFlag & (message.SysFlagCompressed | message.SysFlagCompressionMax)
	}
	_, err := p.inst.Publish(ctx, out, 2, false)
	return err
}
