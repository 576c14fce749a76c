package compaction

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// Log is what is kept of one queue.
type Log struct {
	Name
	place
	s        *Store
	stageDir string // the log's own folder below skylark/compaction/
	stage    place  // where a round makes its files

	// switching is held by readers, and alone while files take the places of others.
	switching sync.RWMutex
	pairs     atomic.Pointer[[]pair] // in order, never changed in place
	followed  atomic.Int64           // see Next
	deleted   atomic.Bool
	w         writer // of new records
}

func (l *Log) publish(pairs []pair) {
	pairs = slices.Clone(pairs)
	l.pairs.Store(&pairs)
}

// Next returns the queue offset behind all messages that are in the log or passed it by.
func (l *Log) Next() int64 { return l.followed.Load() }

// Empty reports whether there is no message.
func (l *Log) Empty() bool { return l.Min() < 0 }

// Min returns the queue offset of the first message, -1 without any.
func (l *Log) Min() int64 {
	for _, x := range *l.pairs.Load() {
		if x.units > 0 {
			return x.first
		}
	}
	return -1
}

// end returns the queue offset behind the last message, 0 without any.
func end(pairs []pair) int64 {
	for i := len(pairs) - 1; i >= 0; i-- {
		if pairs[i].units > 0 {
			return pairs[i].last + 1
		}
	}
	return 0
}

// Message is one to be added.
type Message struct {
	Record         []byte // as it stands in the CommitLog; not kept
	QueueOffset    int64
	TagsCode       int64
	StoreTimestamp int64 // ms
}

// Append adds messages behind all others and has the log stand at the queue offset next. They are durable when it
// returns. Those that are there already are passed over, and those too large for a file, as by Java. Behind an error
// nothing has changed, and it may be called again, but see ErrSync.
func (l *Log) Append(messages []Message, next int64) error {
	if l.deleted.Load() {
		return nil
	}
	l.w.pairs = slices.Clone(*l.pairs.Load())
	last := end(l.w.pairs)
	err := func() error {
		for _, m := range messages {
			if m.QueueOffset < last {
				continue
			}
			if int64(len(m.Record)+message.BlankSize) > l.o.LogFileSize {
				l.o.Logger.Error().Str("topic", l.Topic).Int32("queueId", l.ID).Int64("queueOffset", m.QueueOffset).Int("bytes", len(m.Record)).
					Msg("a message is larger than compactionMappedFileSize, the compaction log goes without it")
				continue
			}
			u := consumequeue.BatchUnit{Unit: consumequeue.Unit{TagsCode: m.TagsCode}, StoreTimestamp: m.StoreTimestamp, Base: m.QueueOffset}
			if err := l.w.add(m.Record, u); err != nil {
				return err
			}
		}
		return l.w.flush()
	}()
	if err != nil {
		l.w.forget()
	}
	l.publish(l.w.pairs) // behind an error, too: what is there was made durable
	if err == nil {
		l.followed.Store(next)
	}
	return err
}

// Each calls fn with the messages from queue offset from on, in order, until it returns false. read appends the record
// to dst; it may be called within fn only.
func (l *Log) Each(from int64, fn func(u consumequeue.BatchUnit, read func(dst []byte) ([]byte, error)) (more bool, err error)) error {
	l.switching.RLock()
	defer l.switching.RUnlock()
	for _, x := range *l.pairs.Load() {
		if x.units == 0 || x.last < from {
			continue
		}
		i, err := l.search(x, from)
		if err != nil {
			return err
		}
		stopped := false
		err = l.eachUnit(x, i, func(u consumequeue.BatchUnit) (bool, error) {
			if !l.within(x, u) {
				l.o.Logger.Error().Str("file", l.cqPath(x.base)).Int64("queueOffset", u.Base).Msg("damaged: a unit does not point into its log file, passing over the message")
				return true, nil
			}
			more, err := fn(u, func(dst []byte) ([]byte, error) { return l.record(dst, x, u) })
			stopped = !more
			return more, err
		})
		if err != nil || stopped {
			return err
		}
	}
	return nil
}

// scan calls fn with the messages of a pair and their records, reading large pieces. The record is fn's until it returns.
func (p place) scan(x pair, buf *[]byte, fn func(u consumequeue.BatchUnit, record []byte) (bool, error)) error {
	var units []consumequeue.BatchUnit
	bytes := 0
	piece := func() (bool, error) {
		if len(units) == 0 {
			return true, nil
		}
		from := units[0].PhysicalOffset
		whole := consumequeue.BatchUnit{Unit: consumequeue.Unit{PhysicalOffset: from, Size: int32(bytes)}}
		var err error
		if *buf, err = p.record((*buf)[:0], x, whole); err != nil {
			return false, err
		}
		for _, u := range units {
			at := u.PhysicalOffset - from
			if more, err := fn(u, (*buf)[at:at+int64(u.Size)]); !more || err != nil {
				return false, err
			}
		}
		units, bytes = units[:0], 0
		return true, nil
	}
	more := true
	err := p.eachUnit(x, 0, func(u consumequeue.BatchUnit) (_ bool, err error) {
		if !p.within(x, u) {
			return false, fmt.Errorf("%s is damaged: the unit of queue offset %d does not point into the log file", p.cqPath(x.base), u.Base)
		}
		if n := len(units); n > 0 && (bytes >= flushSize || u.PhysicalOffset != units[n-1].PhysicalOffset+int64(units[n-1].Size)) {
			if more, err = piece(); !more || err != nil {
				return false, err
			}
		}
		units = append(units, u)
		bytes += int(u.Size)
		return true, nil
	})
	if err == nil && more {
		_, err = piece()
	}
	return err
}
