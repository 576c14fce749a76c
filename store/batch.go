package store

import (
	"fmt"
	"strconv"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// form returns what a new queue of topic is made from.
func (s *Store) form(topic string) *consumequeue.Config {
	if s.o.BatchTopic != nil {
		if batch, _ := s.o.BatchTopic(topic); batch {
			return &s.bcq
		}
	}
	return &s.cq
}

// checkForm refuses a loaded queue of another form than its topic has: Java does, too, and nothing could be made
// of its offsets. Java: ConsumeQueueStore.queueTypeShouldBe.
func (s *Store) checkForm(q *consumequeue.Queue) error {
	names := map[bool]string{false: "SimpleCQ", true: "BatchCQ"}
	if s.Find(q.Topic, q.ID) != nil {
		return fmt.Errorf("queue %d of topic %s is in both %s and %s", q.ID, q.Topic, s.cq.Dir, s.bcq.Dir)
	}
	batch, known := q.Batch(), false
	if s.o.BatchTopic != nil {
		batch, known = s.o.BatchTopic(q.Topic)
	}
	switch {
	case known && batch != q.Batch():
		dir := s.cq.Dir
		if q.Batch() {
			dir = s.bcq.Dir
		}
		return fmt.Errorf("the queue type of topic: %s should be %s, but is %s: its queue %d is in %s", q.Topic, names[q.Batch()], names[batch], q.ID, dir)
	case !known && q.Batch():
		s.o.Logger.Warn().Str("topic", q.Topic).Int32("queueId", q.ID).Str("dir", s.bcq.Dir).Msg("a batch consume queue of no topic; Java's broker does not start with it, deleting the topic once more removes it")
	}
	return nil
}

// flushBatch is flushUnits for batch queues.
const flushBatch = (64 << 10) / consumequeue.BatchUnitSize * consumequeue.BatchUnitSize

func (s *Store) addBatch(q *consumequeue.Queue, u consumequeue.BatchUnit) {
	dirty, size := q.AppendBatch(u)
	s.added(q, dirty, size, consumequeue.BatchUnitSize, flushBatch)
}

// entry returns the unit that a record has in q; in a simple queue its Unit.
func (s *Store) entry(q *consumequeue.Queue, r *message.Record) consumequeue.BatchUnit {
	u := consumequeue.BatchUnit{Unit: s.unit(r), StoreTimestamp: r.StoreTimestamp, Base: r.QueueOffset, Messages: 1}
	if q.Batch() {
		u.Messages = InnerMessages(r)
	}
	return u
}

// sameUnit reports whether there, as coverAt returns it, is the unit of a record, as entry returns it.
func sameUnit(q *consumequeue.Queue, there, u consumequeue.BatchUnit) bool {
	if q.Batch() {
		return there == u
	}
	return there.Unit == u.Unit
}

// InnerMessages returns how many messages a record of a batch queue holds. Java: CommitLog.getMessageNum.
func InnerMessages(r *message.Record) int16 {
	if r.SysFlag&message.SysFlagInnerBatch != 0 {
		if n, err := strconv.ParseInt(message.GetProperty(r.Properties, message.PropertyInnerNum), 10, 16); err == nil && n > 1 {
			return int16(n)
		}
	}
	return 1
}

// coverAt returns the unit that covers a queue offset, as entry makes it; ok is false when there is none. In a
// batch queue it may be the next one.
func (w unitWindows) coverAt(q *consumequeue.Queue, offset int64) (u consumequeue.BatchUnit, ok bool, err error) {
	if q.Batch() {
		return q.AtBatch(offset)
	}
	u.Base, u.Messages = offset, 1
	u.Unit, ok, err = w.at(q, offset)
	return u, ok, err
}

// moveBatch makes queueOffset the next one of a batch queue: further on without more ado, further back by cutting
// off what stands there. Java gives plain messages offsets but no units, and gives these offsets again after a
// restart.
func (b *rebuilder) moveBatch(q *consumequeue.Queue, queueOffset int64) error {
	if queueOffset >= q.Max() {
		return nil
	}
	if err := b.s.writeUnits(); err != nil {
		return err
	}
	u, ok, err := q.AtBatch(queueOffset)
	if err != nil || !ok {
		return err
	}
	_, err = q.Cut(queueOffset, u.PhysicalOffset)
	return err
}

// batches is messages for a batch queue: it gives whole records, the first of them the one that holds the offset asked
// for, counts the messages in them, and ends in front of queue offset limit.
func (c *collection) batches(units []byte, limit int64) error {
	match := c.r.Match
	for more := true; more && len(units) > 0; units = units[consumequeue.BatchUnitSize:] {
		u := consumequeue.GetBatchUnit(units)
		messages := int(u.Messages)
		if c.full(u.Unit) || u.Base >= limit && c.res.NextOffset > c.r.Offset || c.res.Messages > 0 && c.res.Messages+messages > c.r.MaxMessages {
			break
		}
		// A batch that a client did not make by tag has none; which of its messages match only the client can tell.
		if match != nil && u.TagsCode != 0 && !match(u.TagsCode) {
			c.res.NextOffset = u.End()
			continue
		}
		var err error
		if more, err = c.take(u.Unit, false, messages, u.End()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) searchBatch(q *consumequeue.Queue, timestamp int64, upper bool) int64 {
	at, err := q.SearchTime(timestamp, upper)
	if err != nil {
		s.o.Logger.Error().Err(err).Str("topic", q.Topic).Int32("queueId", q.ID).Msg("cannot search a batch consume queue by time")
	}
	return min(max(at, q.Min()), q.Max())
}
