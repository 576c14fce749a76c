package consumer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/records"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// Java: DefaultMQPushConsumerImpl.
const (
	pullHold    = 15 * time.Second // BROKER_SUSPEND_MAX_TIME_MILLIS: a broker answers by then
	pullTimeout = 30 * time.Second // CONSUMER_TIMEOUT_MILLIS_WHEN_SUSPEND
	afterError  = 3 * time.Second  // pullTimeDelayMillsWhenException
	afterBusy   = 20 * time.Millisecond
)

// found is what one pull brings.
type found struct {
	code     int32
	next     int64
	messages []*client.MessageExt
}

// pull fills pq until it is dropped.
func (g *group) pull(pq *processQueue) {
	for next := pq.pulled.Load(); g.pullable(pq); {
		pq.lastPull.Store(time.Now().UnixMilli())
		f, err := g.pullOnce(pq, next)
		if pq.ctx.Err() != nil {
			return
		}
		if err != nil {
			if !g.pullFailed(pq, err) {
				return
			}
			continue
		}
		if f.code == protocol.PullOffsetMoved {
			g.moved(pq, f.next)
			return
		}
		next = f.next
		pq.pulled.Store(next)
		if len(f.messages) == 0 {
			pq.advance(next, func(offset int64) { g.offsets.update(pq.q, offset) })
			continue
		}
		g.stats.of(pq.q.Topic).pulled(len(f.messages), time.Since(time.UnixMilli(pq.lastPull.Load())))
		g.took(pq, pq.put(f.messages, next))
	}
}

// pullable waits until pq has room, is not paused, and is locked if it must be; false when it was dropped.
func (g *group) pullable(pq *processQueue) bool {
	for {
		g.mu.Lock()
		paused := g.paused[pq.q]
		g.mu.Unlock()
		switch {
		case pq.ctx.Err() != nil:
			return false
		case paused != nil:
			select {
			case <-paused:
			case <-pq.ctx.Done():
			}
		case pq.full(g.o, g.ordered):
			select {
			case <-pq.room:
			case <-pq.ctx.Done():
			}
		default:
			return true
		}
	}
}

// pullFailed waits before the next attempt; false when the queue was dropped meanwhile.
func (g *group) pullFailed(pq *processQueue, err error) bool {
	pause := afterError
	switch client.Code(err) {
	case protocol.SystemBusy, protocol.FlowControl:
		pause = afterBusy
	case protocol.SubscriptionNotExist, protocol.SubscriptionNotLatest, protocol.SubscriptionGroupNotExist, protocol.FilterDataNotExist, protocol.FilterDataNotLatest:
		g.inst.HeartbeatSoon() // the broker has forgotten this consumer, or was started anew
		pause = time.Second
	}
	if !errors.Is(err, context.DeadlineExceeded) && pause > afterBusy {
		g.log.Warn().Str("topic", pq.q.Topic).Str("broker", pq.q.BrokerName).Int32("queue", pq.q.QueueID).Err(err).Msg("cannot pull")
	}
	return wait(pq.ctx, pause)
}

// wait tells whether that time has passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// moved lets go of a queue whose offset is not within it, or was reset; it is taken again from there.
func (g *group) moved(pq *processQueue, next int64) {
	g.log.Warn().Str("topic", pq.q.Topic).Str("broker", pq.q.BrokerName).Int32("queue", pq.q.QueueID).Int64("from", pq.pulled.Load()).Int64("to", next).Msg("the offset was moved")
	if next == pq.pulled.Load() && !wait(pq.ctx, afterError) { // not again and again
		return
	}
	g.reset(pq, next)
}

// reset lets go of a queue and has it taken again from an offset.
func (g *group) reset(pq *processQueue, to int64) {
	pq.freeze()
	g.offsets.update(pq.q, to)
	if err := g.offsets.store(g.ctx, pq.q); err != nil && g.ctx.Err() == nil {
		g.log.Warn().Err(err).Msg("cannot store an offset that was moved")
	}
	g.drop(pq)
}

// pullOnce sends one pull and reads its answer.
func (g *group) pullOnce(pq *processQueue, next int64) (*found, error) {
	addr, master := g.inst.Readable(pq.q.BrokerName, pq.which)
	if addr == "" {
		if _, err := g.inst.Refresh(pq.ctx, pq.q.Topic); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("the broker[%s] not exist", pq.q.BrokerName)
	}
	code, h := g.pullRequest(pq, next, master)
	resp, err := g.inst.CallWithin(pq.ctx, pullTimeout, addr, code, h, nil)
	if resp == nil {
		return nil, err
	}
	if resp.Code == protocol.RequestCodeNotSupported && code == protocol.LitePullMessage {
		pq.noLite = true // a broker of 4.9
		return g.pullOnce(pq, next)
	}
	switch resp.Code {
	case protocol.Success, protocol.PullNotFound, protocol.PullRetryImmediately, protocol.PullOffsetMoved:
	default:
		return nil, err
	}
	var r header.PullMessageResponse
	if err := protocol.DecodeHeader(resp.Ext, &r); err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s to a pull: %w", addr, err)
	}
	pq.which = r.SuggestWhichBrokerID
	f := &found{code: resp.Code, next: r.NextBeginOffset}
	if resp.Code != protocol.Success {
		return f, nil
	}
	if f.messages, err = records.Decode(resp.Body, pq.q.BrokerName); err != nil {
		return nil, err
	}
	f.messages = g.wanted(pq.q.Topic, f.messages)
	return f, nil
}

func (g *group) pullRequest(pq *processQueue, next int64, master bool) (int32, header.PullMessageRequest) {
	code, flags := protocol.PullMessage, header.PullSuspend
	h := header.PullMessageRequest{ConsumerGroup: g.o.Group, Topic: pq.q.Topic, QueueID: pq.q.QueueID, QueueOffset: next, MaxMsgNums: int32(min(g.o.PullBatch, math.MaxInt32)),
		SuspendTimeoutMillis: pullHold.Milliseconds(), ExpressionType: "TAG", SubVersion: g.started.UnixMilli()}
	sub, subscribed := g.subs[pq.q.Topic]
	if subscribed {
		h.ExpressionType = sub.ExpressionType
	}
	if g.kind == body.ConsumeActively {
		// A consumer that was assigned its queues is not known by a subscription.
		flags |= header.PullSubscription
		if !pq.noLite {
			code, flags = protocol.LitePullMessage, flags|header.PullLitePull
		}
		h.Subscription = body.SubAll
		if subscribed {
			h.Subscription = sub.SubString
		}
	} else if committed := g.offsets.get(pq.q); committed > 0 && master && !g.o.Broadcasting {
		flags |= header.PullCommitOffset
		h.CommitOffset = committed
	}
	h.SysFlag = flags
	return code, h
}

// wanted leaves out messages whose tags only share a hash with those subscribed to, and gives what comes from a retry
// topic its own topic back.
func (g *group) wanted(topic string, list []*client.MessageExt) []*client.MessageExt {
	if tags := g.subs[topic].TagsSet; len(tags) > 0 {
		list = slices.DeleteFunc(list, func(m *client.MessageExt) bool { return !slices.Contains(tags, m.Tag()) })
	}
	if strings.HasPrefix(topic, client.RetryPrefix) {
		for _, m := range list {
			if own := m.Property(message.PropertyRetryTopic); own != "" {
				m.Topic = own
			}
		}
	}
	return list
}
