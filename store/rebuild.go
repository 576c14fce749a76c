package store

import (
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// stray is a message whose queue offset is not the one that is due. The next message of its queue tells
// which of the two is wrong: nothing in a record vouches for its queue offset.
type stray struct {
	queueOffset int64
	unit        consumequeue.BatchUnit
}

// rebuilder builds queues anew from all records of the log.
type rebuilder struct {
	s      *Store
	strays map[*consumequeue.Queue]stray
	added  int
}

// maxHoles bounds the offsets in a row that may be missing without damage that explains them.
const maxHoles = 1 << 20

func (s *Store) rebuild(queues map[*consumequeue.Queue]bool) (int, error) {
	for q := range queues {
		s.o.Logger.Warn().Str("topic", q.Topic).Int32("queueId", q.ID).Msg("consume queue does not fit the commit log, building it anew")
		if err := q.Reset(); err != nil {
			return 0, err
		}
	}
	s.o.Progress.begin(StepRebuild, s.log.Min(), s.log.End()-s.log.Min())
	b := rebuilder{s: s, strays: map[*consumequeue.Queue]stray{}}
	err := s.each(s.log.Min(), func(q *consumequeue.Queue, u consumequeue.BatchUnit) error {
		if !queues[q] {
			return nil
		}
		return b.place(q, u)
	})
	for q := range b.strays {
		b.leave(q)
	}
	return b.added, err
}

func (b *rebuilder) place(q *consumequeue.Queue, u consumequeue.BatchUnit) error {
	next, s := q.Max(), b.s
	last, waiting := b.strays[q]
	switch {
	case u.Base == next:
		b.leave(q)
	case u.Base == 0: // the topic was deleted and made again
		delete(b.strays, q)
		if err := q.Reset(); err != nil {
			return err
		}
	case u.Base > next && s.bridge(q, u.Base-next, u.PhysicalOffset):
		b.leave(q)
	case q.Min() == next && !waiting: // its first messages are gone
		q.Begin(u.Base)
	case waiting && u.Base == last.unit.End(): // the two agree
		if err := b.moveTo(q, last.queueOffset, last.unit.PhysicalOffset); err != nil {
			return err
		}
		if err := b.accept(q, last); err != nil {
			return err
		}
	case waiting && u.Base == next+int64(last.unit.Messages): // of the one in front only the number is wrong
		last.unit.Base = next
		if err := b.accept(q, last); err != nil {
			return err
		}
	default:
		b.leave(q)
		b.strays[q] = stray{u.Base, u}
		return nil
	}
	b.added++
	return s.restored(q, u)
}

// moveTo makes queueOffset the next one, by units that stand for what is missing; where that cannot be, the
// queue begins there.
func (b *rebuilder) moveTo(q *consumequeue.Queue, queueOffset, physicalOffset int64) error {
	n := queueOffset - q.Max()
	b.s.o.Logger.Error().Str("topic", q.Topic).Int32("queueId", q.ID).Int64("from", q.Max()).Int64("to", queueOffset).Msg("the commit log has no messages for these queue offsets")
	if q.Batch() {
		return b.moveBatch(q, queueOffset)
	}
	if n < 0 || n > maxHoles {
		if err := q.Reset(); err != nil {
			return err
		}
		q.Begin(queueOffset)
		return nil
	}
	b.s.addHoles(q, n, physicalOffset)
	return nil
}

func (b *rebuilder) accept(q *consumequeue.Queue, o stray) error {
	delete(b.strays, q)
	b.added++
	return b.s.restored(q, o.unit)
}

// leave gives up the message of q that waits, if there is one.
func (b *rebuilder) leave(q *consumequeue.Queue) {
	if o, ok := b.strays[q]; ok {
		delete(b.strays, q)
		b.s.o.Logger.Error().Str("topic", q.Topic).Int32("queueId", q.ID).Int64("physicalOffset", o.unit.PhysicalOffset).Int64("queueOffset", o.queueOffset).
			Int64("due", q.Max()).Msg("damaged: a message with a queue offset that cannot be is left out of its queue")
	}
}
