// Package schedule delivers the messages of the delay levels: those in the queues of
// SCHEDULE_TOPIC_XXXX whose time has come are stored again under their real topic. How far each level is
// delivered is kept in delayOffset.json. Java: ScheduleMessageService.
//
// One goroutine serves all levels: in a level all messages wait equally long, so only the head of each
// queue matters. A delivery that a crash interrupts is done again: at least once.
package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
)

// Options of a Scheduler.
type Options struct {
	Logger zerolog.Logger
	Path   string // config/delayOffset.json
	Store  *store.Store
	// Put stores one message and calls done once, unless it returns an error.
	Put func(m *message.Message, properties string, rec store.Rec, done func(err error, recs []store.Rec)) error
	// Delivered is told of each message that is stored under its topic; nil: nobody is.
	Delivered func(topic string, bytes int)
	// PersistEvery is flushDelayOffsetInterval.
	PersistEvery time.Duration
	Now          func() time.Time // nil: time.Now
}

// Scheduler delivers delayed messages while it is open.
type Scheduler struct {
	o    Options
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	offsets map[int32]int64 // by level, from 1
	version body.DataVersion
	dirty   bool
}

// Open reads the offsets and starts delivering.
func Open(o Options) (*Scheduler, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Scheduler{o: o, offsets: map[int32]int64{}, stop: make(chan struct{}), done: make(chan struct{})}
	_, err := fsys.ReadConfig(o.Path, o.Logger, func(b []byte) error {
		var f body.DelayOffsetTable
		if err := body.Unmarshal(b, &f); err != nil {
			return err
		}
		if f.OffsetTable == nil {
			return errors.New("there is no offsetTable")
		}
		clear(s.offsets)
		for level, offset := range f.OffsetTable {
			s.offsets[int32(level)] = offset
		}
		s.version = f.DataVersion
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot load delay offsets: %w", err)
	}
	s.correct()
	go s.run()
	return s, nil
}

// correct brings offsets into the bounds of their queues, as Java does at a start.
func (s *Scheduler) correct() {
	for level, at := range s.offsets {
		q := s.o.Store.Find(store.ScheduleTopic, level-1)
		if q == nil {
			continue
		}
		if in := max(min(at, q.Max()), q.Min()); in != at {
			s.o.Logger.Warn().Int32("level", level).Int64("from", at).Int64("to", in).Msg("delay offset corrected")
			s.offsets[level] = in
			s.dirty = true
		}
	}
}

// Close stops delivering and writes the offsets.
func (s *Scheduler) Close() error {
	close(s.stop)
	<-s.done
	return s.Persist()
}

// Offsets returns the delivered and the newest queue offset of each level that has an offset.
func (s *Scheduler) Offsets() map[int32][2]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int32][2]int64{}
	for level, at := range s.offsets {
		out[level] = [2]int64{at, s.o.Store.MaxOffset(store.ScheduleTopic, level-1)}
	}
	return out
}

// Table returns what delayOffset.json holds.
func (s *Scheduler) Table() body.DelayOffsetTable {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := body.DelayOffsetTable{DataVersion: s.version, OffsetTable: body.IntMap[int64]{}}
	for level, at := range s.offsets {
		t.OffsetTable[int64(level)] = at
	}
	return t
}

// Persist writes the offsets if they changed.
func (s *Scheduler) Persist() error {
	s.mu.Lock()
	dirty := s.dirty
	if dirty {
		s.version.Next(s.o.Now())
	}
	s.dirty = false
	s.mu.Unlock()
	if !dirty {
		return nil
	}
	b, err := body.MarshalPretty(s.Table())
	if err == nil {
		err = fsys.WriteConfig(s.o.Path, b)
	}
	if err != nil {
		s.mu.Lock()
		s.dirty = true
		s.mu.Unlock()
		return fmt.Errorf("cannot write delay offsets: %w", err)
	}
	return nil
}

// lookEvery is how often queues are looked at for new messages. No delay is as short, so what is new is
// found before it is due. Java: DELAY_FOR_A_WHILE, 100 ms.
const lookEvery = 100 * time.Millisecond

func (s *Scheduler) run() {
	defer close(s.done)
	t := time.NewTimer(lookEvery)
	defer t.Stop()
	persist := s.o.Now().Add(s.o.PersistEvery)
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		wait := lookEvery
		for level := range s.o.Store.DelayLevels() {
			wait = min(wait, s.level(int32(level+1)))
		}
		if now := s.o.Now(); !now.Before(persist) {
			if err := s.Persist(); err != nil {
				s.o.Logger.Error().Err(err).Msg("cannot write delay offsets, trying again")
			}
			persist = now.Add(s.o.PersistEvery)
		}
		t.Reset(max(wait, time.Millisecond))
	}
}

// round bounds how many messages of a level are delivered before the next level has its turn.
const round = 256

// level delivers what is due and returns when to look again.
func (s *Scheduler) level(level int32) time.Duration {
	q := s.o.Store.Find(store.ScheduleTopic, level-1)
	s.mu.Lock()
	at := s.offsets[level]
	s.mu.Unlock()
	if q == nil || q.Max() <= at {
		return lookEvery
	}
	at = max(at, q.Min())
	var buf [round * consumequeue.UnitSize]byte
	n, err := q.Read(at, buf[:])
	if err != nil {
		s.o.Logger.Error().Err(err).Int32("level", level).Msg("cannot read delayed messages, trying again")
		return lookEvery
	}
	now := s.o.Now().UnixMilli()
	due := 0
	for ; due < n; due++ {
		if u := consumequeue.GetUnit(buf[due*consumequeue.UnitSize:]); s.dueAt(level, u, now) > now {
			break
		}
	}
	if due == 0 {
		u := consumequeue.GetUnit(buf[:])
		return time.Duration(s.dueAt(level, u, now)-now) * time.Millisecond
	}
	done := s.deliver(buf[:due*consumequeue.UnitSize])
	s.mu.Lock()
	s.offsets[level] = at + int64(done)
	s.dirty = true
	s.mu.Unlock()
	if done < due {
		return lookEvery
	}
	return 0
}

// dueAt returns when a message is due. A time further away than the level's delay means that the clock
// was set back or the level was shortened: then it is due now. Java: correctDeliverTimestamp.
func (s *Scheduler) dueAt(level int32, u consumequeue.Unit, now int64) int64 {
	if consumequeue.IsExtAddr(u.TagsCode) { // consumequeue_ext, where the time stood, is gone
		rec, err := s.o.Store.Record(u.PhysicalOffset)
		if err != nil {
			return now
		}
		u.TagsCode = rec.StoreTimestamp + s.o.Store.DelayLevels()[level-1].Milliseconds()
	}
	if u.TagsCode > now+s.o.Store.DelayLevels()[level-1].Milliseconds() {
		return now
	}
	return u.TagsCode
}

// deliver stores the messages of the units again and returns how many of them, from the first on, are done.
func (s *Scheduler) deliver(units []byte) int {
	n := len(units) / consumequeue.UnitSize
	failed := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		u := consumequeue.GetUnit(units[i*consumequeue.UnitSize:])
		rec, err := s.o.Store.Record(u.PhysicalOffset)
		if err != nil {
			s.o.Logger.Error().Err(err).Int64("offset", u.PhysicalOffset).Msg("delayed message is lost, passing over it")
			continue
		}
		topic, id := message.GetProperty(rec.Properties, message.PropertyRealTopic), message.GetProperty(rec.Properties, message.PropertyRealQueueID)
		queueID, err := strconv.ParseInt(id, 10, 32)
		if topic == "" || err != nil || queueID < 0 {
			s.o.Logger.Error().Str("topic", topic).Str("queueId", id).Int64("offset", u.PhysicalOffset).Msg("delayed message has no real topic and queue, passing over it")
			continue
		}
		m := rec.Message
		m.Topic, m.QueueID, m.PreparedTransactionOffset = topic, int32(queueID), 0
		wg.Add(1)
		tags := message.TagsCode(message.GetProperty(rec.Properties, message.PropertyTags))
		err = s.o.Put(&m, rec.Properties, store.Rec{TagsCode: tags}, func(err error, recs []store.Rec) {
			if failed[i] = err; err == nil && s.o.Delivered != nil {
				s.o.Delivered(m.Topic, int(recs[0].Size))
			}
			wg.Done()
		})
		if err != nil {
			failed[i] = err
			wg.Done()
		}
	}
	wg.Wait()
	for i, err := range failed {
		if err != nil {
			s.o.Logger.Warn().Err(err).Msg("cannot deliver delayed message, trying again")
			return i
		}
	}
	return n
}
