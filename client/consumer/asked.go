package consumer

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/records"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// What brokers ask of a consumer. Java: ClientRemotingProcessor.

// onChange shares queues out anew: a consumer has come or gone.
func (g *group) onChange(_ string, cmd *protocol.Command) *protocol.Command {
	var h header.NotifyConsumerIdsChangedRequest
	if protocol.DecodeHeader(cmd.Ext, &h) == nil && h.ConsumerGroup == g.o.Group {
		signal(g.wake)
	}
	return nil
}

// onReset moves queues to offsets that an operator has chosen.
func (g *group) onReset(_ string, cmd *protocol.Command) *protocol.Command {
	var h header.ResetOffsetRequest
	var table body.ResetOffsetBody
	err := protocol.DecodeHeader(cmd.Ext, &h)
	if err == nil {
		err = body.Unmarshal(cmd.Body, &table)
	}
	if err != nil || h.Group != g.o.Group {
		g.log.Warn().Err(err).Msg("cannot read a request to reset offsets")
		return nil
	}
	for _, pq := range g.held() {
		if to, ok := table.OffsetTable[pq.q]; ok && pq.q.Topic == h.Topic {
			g.reset(pq, to)
		}
	}
	signal(g.wake)
	return nil
}

// onStatus says how far the consumer is in a topic.
func (g *group) onStatus(_ string, cmd *protocol.Command) *protocol.Command {
	var h header.GetConsumerStatusRequest
	if err := protocol.DecodeHeader(cmd.Ext, &h); err != nil {
		return protocol.ErrorResponse(err)
	}
	out := body.GetConsumerStatusBody{MessageQueueTable: body.QueueMap[int64]{}}
	for _, pq := range g.held() {
		if offset := g.offsets.get(pq.q); pq.q.Topic == h.Topic && offset >= 0 {
			out.MessageQueueTable[pq.q] = offset
		}
	}
	return answer(out)
}

func answer(v any) *protocol.Command {
	resp, err := body.Reply(nil, v)
	if err != nil {
		return protocol.ErrorResponse(err)
	}
	return resp
}

// onRunningInfo tells the state of the consumer.
func (g *group) onRunningInfo(_ string, cmd *protocol.Command) *protocol.Command {
	var h header.GetConsumerRunningInfoRequest
	if err := protocol.DecodeHeader(cmd.Ext, &h); err != nil {
		return protocol.ErrorResponse(err)
	}
	if h.ConsumerGroup != g.o.Group {
		return protocol.NewResponse(protocol.SystemError, fmt.Sprintf("The Consumer Group <%s> not exist in this consumer", h.ConsumerGroup))
	}
	info := body.ConsumerRunningInfo{MQTable: body.QueueMap[body.ProcessQueueInfo]{}, StatusTable: g.stats.status(), Properties: map[string]string{
		"PROP_NAMESERVER_ADDR": strings.Join(g.o.Namesrv, ";"), "PROP_CONSUME_TYPE": string(g.kind), "PROP_CONSUMEORDERLY": strconv.FormatBool(g.ordered),
		"PROP_CLIENT_VERSION": "V5_5_0", "PROP_CONSUMER_START_TIMESTAMP": strconv.FormatInt(g.started.UnixMilli(), 10), "PROP_THREADPOOL_CORE_SIZE": "-1",
		"consumerGroup": g.o.Group, "messageModel": string(g.data().MessageModel), "consumeFromWhere": string(g.o.From), "pullBatchSize": strconv.Itoa(g.o.PullBatch),
	}}
	info.SubscriptionSet = g.data().SubscriptionDataSet
	for _, pq := range g.held() {
		info.MQTable[pq.q] = g.infoOf(pq)
	}
	if h.JstackEnable {
		stacks := make([]byte, 1<<20)
		info.Jstack = string(stacks[:runtime.Stack(stacks, true)])
	}
	return answer(info)
}

func (g *group) infoOf(pq *processQueue) body.ProcessQueueInfo {
	out := body.ProcessQueueInfo{CommitOffset: g.offsets.get(pq.q), LastPullTimestamp: pq.lastPull.Load(), LastConsumeTimestamp: pq.lastConsume.Load()}
	if g.ordered {
		out.Locked, out.LastLockTimestamp = g.locked(pq), pq.lockedAt.Load()
	}
	pq.mu.Lock()
	defer pq.mu.Unlock()
	out.Droped = pq.dropped
	out.CachedMsgCount, out.CachedMsgSizeInMiB = int32(pq.count), int32(pq.size>>20)
	if n := len(pq.entries); n > 0 {
		out.CachedMsgMinOffset, out.CachedMsgMaxOffset = pq.entries[0].m.QueueOffset, pq.entries[n-1].m.QueueOffset
	}
	return out
}

// onDirect has the listener consume one message now, whatever becomes of it.
func (p *Push) onDirect(_ string, cmd *protocol.Command) *protocol.Command {
	var h header.ConsumeMessageDirectlyResultRequest
	if err := protocol.DecodeHeader(cmd.Ext, &h); err != nil {
		return protocol.ErrorResponse(err)
	}
	list, err := records.Decode(cmd.Body, h.BrokerName)
	if err != nil || len(list) != 1 || h.ConsumerGroup != p.o.Group {
		return protocol.NewResponse(protocol.SystemError, fmt.Sprintf("The Consumer Group <%s> not exist in this consumer", h.ConsumerGroup))
	}
	if own := list[0].Property(message.PropertyRetryTopic); own != "" && strings.HasPrefix(list[0].Topic, client.RetryPrefix) {
		list[0].Topic = own
	}
	begin := time.Now()
	out := body.ConsumeMessageDirectlyResult{Order: p.ordered, AutoCommit: true, ConsumeResult: body.DirectSuccess}
	// The goroutine is the connection's: a listener that takes longer than the broker waits must not hold it.
	ctx, cancel := context.WithTimeout(p.listen, directLimit)
	defer cancel()
	done := make(chan error, 1)
	if !p.begin(func() {
		done <- p.call(list)
	}) {
		return protocol.NewResponse(protocol.SystemError, "the consumer is being closed")
	}
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		out.ConsumeResult, out.Remark = body.DirectLater, err.Error()
	}
	out.SpentTimeMills = time.Since(begin).Milliseconds()
	return answer(out)
}

// directLimit is how long a broker waits for a message to be consumed directly. Java: Broker2Client.callClient.
const directLimit = 10 * time.Second
