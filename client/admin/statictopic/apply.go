package statictopic

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// blockSize is the step of logical offsets between the items of a queue: what the new leader begins with is a
// multiple, so far behind the old leader's last message that one it still takes has room.
// Java: TopicQueueMappingUtils.DEFAULT_BLOCK_SEQ_SIZE.
const blockSize = 10000

// Apply sends a plan to the masters of its brokers. With force they take it whatever they have; without, one that
// knows something newer refuses, and so may the second of two plans that are applied at once.
//
// Where queues move, their new leaders are told first and can be written to from then on; then the old leaders, which
// take no more messages; then the new leaders again, with the logical offsets that follow from what the old ones have
// got, without which nothing is read from them; and the other brokers at last.
func (c *Cluster) Apply(ctx context.Context, p *Plan, force bool) error {
	all := slices.Sorted(maps.Keys(p.BrokerConfigMap))
	masters, err := c.Masters(all)
	if err != nil {
		return err
	}
	send := func(brokers []string) error {
		for _, b := range brokers {
			if err := c.servers.CreateStaticTopic(ctx, masters[b], p.BrokerConfigMap[b], force); err != nil {
				return fmt.Errorf("broker %s: %w", b, err)
			}
		}
		return nil
	}
	if p.Type != Remapping {
		return send(all)
	}
	if err := send(p.BrokerToMapIn); err != nil {
		return err
	}
	if err := send(p.BrokerToMapOut); err != nil {
		return err
	}
	for _, b := range p.BrokerToMapOut {
		stats, err := c.servers.TopicStats(ctx, masters[b], p.Topic)
		if err == nil {
			err = p.decide(b, stats.OffsetTable)
		}
		if err != nil {
			return fmt.Errorf("cannot tell where the queues of broker %s end: %w", b, err)
		}
	}
	if err := send(p.BrokerToMapIn); err != nil {
		return err
	}
	return send(slices.DeleteFunc(all, func(b string) bool {
		return slices.Contains(p.BrokerToMapIn, b) || slices.Contains(p.BrokerToMapOut, b)
	}))
}

// decide sets the logical offset from which on the new leaders continue the queues that a broker has led, whose
// physical queues are in stats. An old list of a queue that has gone further since is left alone, which Java takes for
// one that is being moved.
func (p *Plan) decide(from string, stats body.QueueMap[body.TopicOffset]) error {
	hosted := p.BrokerConfigMap[from].MappingDetail.HostedQueues
	for _, id := range slices.Sorted(maps.Keys(hosted)) {
		items := hosted[id]
		n := len(items)
		if n < 2 || items[n-2].Bname != from {
			continue
		}
		last, next := &items[n-2], &items[n-1]
		leader := p.BrokerConfigMap[next.Bname].MappingDetail.HostedQueues
		now := leader[id]
		if len(now) == 0 || now[len(now)-1].Gen != next.Gen || now[len(now)-1].LogicOffset >= 0 {
			continue
		}
		end, ok := stats[body.MessageQueue{Topic: p.Topic, BrokerName: from, QueueID: last.QueueID}]
		switch {
		case !ok:
			return refuse("Cannot get the max offset for old leader %s queue %d", from, last.QueueID)
		case end.MaxOffset < last.StartOffset:
			return refuse("The max offset is smaller then the start offset of %s queue %d: %d", from, last.QueueID, end.MaxOffset)
		}
		next.LogicOffset = nextBlock(last.LogicOffset + end.MaxOffset - last.StartOffset)
		leader[id] = slices.Clone(items)
	}
	return nil
}

// nextBlock is the begin of the next block or, from the middle of one on, of that behind it.
// Java: TopicQueueMappingUtils.blockSeqRoundUp.
func nextBlock(offset int64) int64 {
	n := offset/blockSize + 1
	if offset%blockSize >= blockSize/2 {
		n++
	}
	return n * blockSize
}
