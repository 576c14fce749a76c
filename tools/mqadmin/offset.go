package mqadmin

import (
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func offsetCommands() []command {
	return []command{
		{name: "resetOffsetByTime", usage: "Reset consumer offset by timestamp(without client restart).", change: true, run: resetOffsetByTime,
			options: "g/group=* t/topic=* s/timestamp=* f/force= c/cluster= b/broker= q/queue=# o/offset=#"},
		{name: "skipAccumulatedMessage", usage: "Skip all messages that are accumulated (not consumed) currently.", change: true, run: skipAccumulated, options: "g/group=* t/topic=* f/force= c/cluster="},
		{name: "cloneGroupOffset", usage: "Clone offset from other group.", change: true, run: cloneGroupOffset, options: "s/srcGroup=* d/destGroup=* t/topic=* o/offline="},
	}
}

func resetOffsetByTime(k *call) error {
	group, topic, text := k.str("g"), k.str("t"), k.str("s")
	timestamp := time.Now().UnixMilli()
	if text != "now" {
		var err error
		if timestamp, err = parseTime(text); err != nil {
			return err
		}
	}
	if k.has("b") && k.num("q", -1) >= 0 {
		return resetQueue(k, group, topic, text, timestamp)
	}
	force := k.boolean("f", true)
	offsets, err := k.ResetOffset(k.ctx, k.str("c"), topic, group, timestamp, force)
	if admin.Code(err) == protocol.ConsumerNotOnline { // brokers before 4.9 reset only through the consumers
		k.printf("reset consumer offset by specified consumerGroup[%s], topic[%s], force[%t], timestamp(string)[%s], timestamp(long)[%d]\n", group, topic, force, text, timestamp)
		return resetOld(k, group, topic, timestamp, force, "#resetOffset")
	}
	if err != nil {
		return err
	}
	k.printf("start reset consumer offset by specified, group[%s], topic[%s], force[%t], timestamp(string)[%s], timestamp(long)[%d]\n", group, topic, force, text, timestamp)
	printOffsets(k, offsets)
	return nil
}

func resetQueue(k *call, group, topic, text string, timestamp int64) error {
	broker, queue := k.str("b"), int32(k.num("q", 0))
	k.printf("start reset consumer offset by specified, group[%s], topic[%s], queueId[%d], broker[%s], timestamp(string)[%s], timestamp(long)[%d]\n", group, topic, queue, broker, text, timestamp)
	offset := k.num("o", -1)
	if !k.has("o") {
		var err error
		if offset, err = k.OffsetByTime(k.ctx, broker, body.MessageQueue{Topic: topic, QueueID: queue}, timestamp); err != nil {
			return err
		}
	}
	k.printf("reset consumer offset to %d\n", offset)
	return k.ResetQueueOffset(k.ctx, broker, group, topic, queue, offset)
}

func printOffsets(k *call, offsets body.QueueMap[int64]) {
	k.printf("%-40s  %-40s  %-40s\n", "#brokerName", "#queueId", "#offset")
	for _, q := range sortedQueues(offsets) {
		k.printf("%-40s  %-40d  %-40d\n", front(q.BrokerName, 32), q.QueueID, offsets[q])
	}
}

func skipAccumulated(k *call) error {
	const end = -1
	offsets, err := k.ResetOffset(k.ctx, k.str("c"), k.str("t"), k.str("g"), end, k.boolean("f", true))
	if admin.Code(err) == protocol.ConsumerNotOnline {
		return resetOld(k, k.str("g"), k.str("t"), end, k.boolean("f", true), "#rollbackOffset")
	}
	if err == nil {
		printOffsets(k, offsets)
	}
	return err
}

// resetOld sets the offsets of a group one by one, which its consumers see when they start.
// Java: DefaultMQAdminExtImpl.resetOffsetByTimestampOld.
func resetOld(k *call, group, topic string, timestamp int64, force bool, last string) error {
	stats, err := k.ConsumeStats(k.ctx, group, topic, topic)
	if err != nil {
		return err
	}
	queues, addrs, err := k.Queues(k.ctx, topic, false)
	if err != nil {
		return err
	}
	k.printf("%-20s  %-20s  %-20s  %-20s  %-20s  %-20s\n", "#brokerName", "#queueId", "#brokerOffset", "#consumerOffset", "#timestampOffset", last)
	for _, q := range sortedQueues(stats.OffsetTable) {
		o, addr := stats.OffsetTable[q], addrs[leaderOf(q, queues)]
		target := o.BrokerOffset
		if timestamp >= 0 {
			if target, err = k.OffsetByTime(k.ctx, addr, q, timestamp); err != nil {
				return err
			}
		}
		reset := o.ConsumerOffset
		if force || target <= o.ConsumerOffset {
			reset = target
			if err := k.UpdateOffset(k.ctx, addr, group, q, reset); err != nil {
				return err
			}
		}
		k.printf("%-20s  %-20d  %-20d  %-20d  %-20d  %-20d\n", front(q.BrokerName, 32), q.QueueID, o.BrokerOffset, o.ConsumerOffset, target, reset)
	}
	return nil
}

func cloneGroupOffset(k *call) error {
	source, dest, topic := k.str("s"), k.str("d"), k.str("t")
	stats, err := k.ConsumeStats(k.ctx, source, "", "")
	if err != nil {
		return err
	}
	queues, addrs, err := k.Queues(k.ctx, topic, false)
	if err != nil {
		return err
	}
	for _, q := range sortedQueues(stats.OffsetTable) {
		addr := addrs[leaderOf(q, queues)]
		if q.Topic != topic || addr == "" { // Java copies those of the retry topic too, which is of no use
			continue
		}
		if err := k.UpdateOffset(k.ctx, addr, dest, q, stats.OffsetTable[q].ConsumerOffset); err != nil {
			return err
		}
	}
	k.printf("clone group offset success. srcGroup[%s], destGroup=[%s], topic[%s]", source, dest, topic)
	return nil
}
