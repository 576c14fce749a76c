package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/commitlog"
	"github.com/skylarkmq/skylark/store/compaction"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// compactor copies the messages of topics with cleanup.policy=COMPACTION from the CommitLog to their compaction logs,
// which it follows their ConsumeQueues for, and has the rounds done there. Consumers read what is copied from the
// compaction log and the rest, of the last second mostly, from the CommitLog, so nobody waits for it. Only what is
// durable in the CommitLog is copied: queue offsets that a crash takes back are given to other messages.
type compactor struct {
	files  *compaction.Store // nil: enableCompaction is false
	mu     sync.Mutex        // held by who writes logs
	any    atomic.Bool       // there are topics
	topics sync.Map          // string -> struct{}
	logs   sync.Map          // *consumequeue.Queue -> *compaction.Log
	quiet  time.Time         // errors are logged again from then on
	copied atomic.Pointer[copied]
	wake   chan struct{}
	stop   chan struct{}
	done   chan struct{}
}

// copied says up to where the CommitLog has been copied: what a checkpoint may name, so that Java's broker, behind a
// kill, dispatches the rest again to the compaction logs.
type copied struct {
	stamp, logic int64
	at           time.Time
}

// copiedLate is how long a checkpoint waits for what cannot be copied. The retention waits with it.
const copiedLate = time.Minute

// copiedFirst returns stamp and logic, or those up to which the compaction logs have come.
func (s *Store) copiedFirst(stamp, logic int64) (int64, int64) {
	c := s.compactor.copied.Load()
	if c == nil || c.logic >= logic || time.Since(c.at) > copiedLate {
		return stamp, logic
	}
	return max(c.stamp, s.cp.logicsMsgTimestamp), max(c.logic, s.cp.logicsPhysicalOffset)
}

// compactionFiles bounds the files of compaction logs kept open.
const compactionFiles = 256

// openCompaction opens the compaction logs there are, behind a finished recovery.
func (s *Store) openCompaction() error {
	c := &s.compactor
	c.wake, c.stop, c.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	if !s.o.EnableCompaction {
		return nil
	}
	var err error
	c.files, err = compaction.Open(compaction.Options{FS: s.o.FS, Root: s.o.StorePathRootDir, Handles: segment.NewHandles(s.o.FS, compactionFiles),
		LogFileSize: int64(s.o.CompactionMappedFileSize), CqFileSize: int64(s.o.CompactionCqMappedFileSize), MapSize: int64(s.o.MaxOffsetMapSize), Logger: s.o.Logger})
	if err != nil {
		return err
	}
	names, err := c.files.Queues()
	if err != nil {
		return fmt.Errorf("cannot read the folders of compaction logs: %w", err)
	}
	told := ""
	for _, n := range names {
		if s.o.CompactedTopic == nil || !s.o.CompactedTopic(n.Topic) {
			if told != n.Topic {
				s.o.Logger.Warn().Str("topic", n.Topic).Msg("compaction/ has a folder of a topic that is not there or has not cleanup.policy=COMPACTION, it is left alone")
			}
			told = n.Topic
			continue
		}
		c.topics.Store(n.Topic, struct{}{})
		c.any.Store(true)
		c.copied.Store(&copied{s.cp.logicsMsgTimestamp, s.cp.logicsPhysicalOffset, time.Now()})
		if err := s.openCompacted(s.Queue(n.Topic, n.ID), true); err != nil {
			return err
		}
	}
	return nil
}

// openCompacted opens the compaction log of a queue and makes the two fit together.
func (s *Store) openCompacted(q *consumequeue.Queue, starting bool) error {
	c := &s.compactor
	name := compaction.Name{Topic: q.Topic, ID: q.ID}
	l, err := c.files.Log(name)
	if err != nil {
		return err
	}
	e := s.o.Logger.Warn().Str("topic", q.Topic).Int32("queueId", q.ID).Int64("queue", q.Max()).Int64("compactionLog", l.Next())
	switch {
	case q.Max() >= l.Next():
		e.Discard()
	case !starting: // a crash has interrupted the deletion of a former topic of that name
		e.Msg("the compaction log of a deleted topic is removed")
		if err := l.Delete(); err != nil {
			return err
		}
		if l, err = c.files.Log(name); err != nil {
			return err
		}
	case q.Max() == 0:
		e.Msg("a queue has lost all, its offsets go on behind its compaction log")
		q.Begin(l.Next())
		q.Next = l.Next()
	default:
		e.Msg("a compaction log has messages that the commit log has lost in a crash, they are cut off")
		if err := l.Cut(q.Max()); err != nil {
			return err
		}
	}
	c.logs.Store(q, l)
	return nil
}

// Compact says that a topic has cleanup.policy=COMPACTION. Saying it again costs nothing, and without enableCompaction
// it changes nothing. It holds until DeleteTopic.
func (s *Store) Compact(topic string) {
	c := &s.compactor
	if c.files == nil {
		return
	}
	if _, known := c.topics.LoadOrStore(strings.Clone(topic), struct{}{}); known {
		return
	}
	c.copied.CompareAndSwap(nil, &copied{s.dispStamp.Load(), s.dispatched.Load(), time.Now()})
	c.any.Store(true)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// compacted returns the compaction log of a queue, nil when there is none, or none yet.
func (s *Store) compacted(q *consumequeue.Queue) *compaction.Log {
	if !s.compactor.any.Load() {
		return nil
	}
	v, ok := s.compactor.logs.Load(q)
	if !ok {
		return nil
	}
	return v.(*compaction.Log)
}

// deleteCompacted removes the compaction logs of a topic.
func (s *Store) deleteCompacted(topic string) error {
	c := &s.compactor
	if c.files == nil {
		return nil
	}
	if _, known := c.topics.LoadAndDelete(topic); !known {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	c.logs.Range(func(k, v any) bool {
		if k.(*consumequeue.Queue).Topic == topic {
			c.logs.Delete(k)
			errs = append(errs, v.(*compaction.Log).Delete())
		}
		return true
	})
	return errors.Join(errs...)
}

// compactLoop follows the queues and does a round each compactionScheduleInternal. Without topics it sleeps.
func (s *Store) compactLoop() {
	c := &s.compactor
	defer close(c.done)
	if c.files == nil {
		<-c.stop
		return
	}
	t := time.NewTimer(0)
	defer t.Stop()
	every := time.Duration(max(s.o.CompactionScheduleInternal, leastInterval)) * time.Millisecond
	due := time.Now().Add(every)
	for {
		select {
		case <-c.stop:
			return
		case <-c.wake:
		case <-t.C:
		}
		c.mu.Lock()
		s.followCompacted()
		if !time.Now().Before(due) {
			s.compactRound()
			due = time.Now().Add(every)
		}
		c.mu.Unlock()
		if c.any.Load() {
			t.Reset(min(s.followEvery(), max(time.Until(due), 0)))
		}
	}
}

func (s *Store) followEvery() time.Duration {
	return time.Duration(s.live.Load().FlushIntervalConsumeQueue) * time.Millisecond
}

// errStopping ends a round when the store is closed.
var errStopping = errors.New("the message store is being closed")

// compactRound compacts all logs; the caller holds compactor.mu.
func (s *Store) compactRound() {
	c := &s.compactor
	followed := time.Now()
	pause := func() error {
		select {
		case <-c.stop:
			return errStopping
		default:
		}
		c.mu.Unlock() // who deletes a topic need not wait for all
		c.mu.Lock()
		if time.Since(followed) >= s.followEvery() {
			s.followCompacted()
			followed = time.Now()
		}
		return nil
	}
	c.logs.Range(func(_, v any) bool {
		l := v.(*compaction.Log)
		err := pause()
		if err == nil {
			err = l.Compact(pause)
		}
		if errors.Is(err, errStopping) {
			return false
		}
		if err != nil && !errors.Is(err, compaction.ErrDeleted) {
			s.compactionFailed(fmt.Errorf("cannot compact queue %d of topic %s: %w", l.ID, l.Topic, err))
		}
		return !s.failed.Load()
	})
}

// followCompacted copies all there is to copy; the caller holds compactor.mu.
func (s *Store) followCompacted() {
	c := &s.compactor
	to := &copied{s.dispStamp.Load(), min(s.dispatched.Load(), s.flushed.Load()), time.Now()}
	all := c.any.Load()
	c.topics.Range(func(k, _ any) bool {
		v, ok := s.topics.Load(k)
		if !ok {
			return true
		}
		v.(*topicQueues).each(func(q *consumequeue.Queue) {
			if err := s.followQueue(q); err != nil {
				all = false
				s.compactionFailed(fmt.Errorf("cannot copy queue %d of topic %s to its compaction log: %w", q.ID, q.Topic, err))
			}
		})
		return !s.failed.Load()
	})
	if all {
		c.copied.Store(to)
	}
}

func (s *Store) followQueue(q *consumequeue.Queue) error {
	l := s.compacted(q)
	if l == nil {
		if q.Max() == 0 || q.Deleted() {
			return nil
		}
		if err := s.openCompacted(q, false); err != nil {
			return err
		}
		l = s.compacted(q)
	}
	for at := int64(-1); l.Next() > at && l.Next() < q.Max(); {
		at = l.Next()
		if err := s.copyCompacted(q, l); err != nil {
			return err
		}
	}
	return nil
}

// copyBytes and copyUnits bound what is copied at once.
const (
	copyBytes = 1 << 20
	copyUnits = 512
)

// copyCompacted copies the next messages of a queue that are durable, if there are any.
func (s *Store) copyCompacted(q *consumequeue.Queue, l *compaction.Log) error {
	durable, next := s.flushed.Load(), l.Next()
	if first := q.Min(); first > next {
		s.o.Logger.Error().Str("topic", q.Topic).Int32("queueId", q.ID).Int64("from", next).Int64("to", first).Msg("messages were removed from the commit log before they were in the compaction log")
		next = first
	}
	units, err := s.unitsFrom(q, next)
	if err != nil {
		return err
	}
	var buf []byte
	var messages []compaction.Message
	for _, u := range units {
		if u.PhysicalOffset+int64(u.Size) > durable || len(buf) >= copyBytes {
			break
		}
		next = u.End()
		at := len(buf)
		buf, err = s.record(buf, u.Unit, false)
		if errors.Is(err, commitlog.ErrNoRecord) {
			continue
		}
		if err != nil {
			return err
		}
		r, err := message.Parse(buf[at:], false)
		if err != nil || compaction.Key(r.Properties) == "" { // Java: CompactionLog.asyncPutMessage
			buf = buf[:at]
			continue
		}
		messages = append(messages, compaction.Message{Record: buf[at:], QueueOffset: u.Base, TagsCode: u.TagsCode, StoreTimestamp: r.StoreTimestamp})
	}
	if next == l.Next() {
		return nil
	}
	return l.Append(messages, next)
}

// unitsFrom returns units of a queue of either form.
func (s *Store) unitsFrom(q *consumequeue.Queue, offset int64) ([]consumequeue.BatchUnit, error) {
	var out []consumequeue.BatchUnit
	if q.Batch() {
		b := make([]byte, copyUnits*consumequeue.BatchUnitSize)
		n, err := q.ReadBatch(offset, b)
		for i := range n {
			out = append(out, consumequeue.GetBatchUnit(b[i*consumequeue.BatchUnitSize:]))
		}
		return out, err
	}
	b := make([]byte, copyUnits*consumequeue.UnitSize)
	n, err := q.Read(offset, b)
	for i := range n {
		out = append(out, consumequeue.BatchUnit{Unit: consumequeue.GetUnit(b[i*consumequeue.UnitSize:]), Base: offset + int64(i), Messages: 1})
	}
	return out, err
}

// compactionFailed reports what is tried again, unless nothing says any more what is durable.
func (s *Store) compactionFailed(err error) {
	c := &s.compactor
	if errors.Is(err, compaction.ErrSync) {
		s.fail(err)
		return
	}
	if now := s.o.Now(); now.After(c.quiet) {
		c.quiet = now.Add(10 * time.Second)
		s.o.Logger.Error().Err(err).Bool("full", fsys.IsFull(err)).Msg("compaction cannot go on, trying again")
	}
}

// closeCompaction copies what is left, when nothing is published any more: Java would not look for it.
func (s *Store) closeCompaction() error {
	c := &s.compactor
	if c.stop == nil {
		return nil
	}
	close(c.stop)
	<-c.done
	c.copied.Store(nil)
	if c.files == nil || s.failed.Load() {
		return nil
	}
	var errs []error
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics.Range(func(k, _ any) bool {
		if v, ok := s.topics.Load(k); ok {
			v.(*topicQueues).each(func(q *consumequeue.Queue) { errs = append(errs, s.followQueue(q)) })
		}
		return true
	})
	return errors.Join(errs...)
}

// getCompacted is Get for a queue with a compaction log. Java: CompactionLog.getMessage; it knows no filter.
func (s *Store) getCompacted(dst []byte, r GetRequest, l *compaction.Log) ([]byte, GetResult, error) {
	copied := l.Next()
	res := GetResult{MinOffset: l.Min(), MaxOffset: r.Queue.Max()}
	if res.MinOffset < 0 {
		res.MinOffset = r.Queue.Min()
	}
	switch {
	case res.MaxOffset == 0:
		res.Status, res.NextOffset = NoMessageInQueue, 0
		return dst, res, nil
	case r.Offset == res.MaxOffset:
		res.Status, res.NextOffset = OffsetOverflowOne, r.Offset
		return dst, res, nil
	case r.Offset > res.MaxOffset:
		if res.Status, res.NextOffset = OffsetOverflowBadly, res.MaxOffset; res.MinOffset == 0 {
			res.NextOffset = 0
		}
		return dst, res, nil
	}
	if r.Offset < copied {
		c := collection{s: s, r: r, dst: dst, start: len(dst), res: res}
		c.res.Status, c.res.NextOffset = NoMatchedMessage, r.Offset
		if through, err := c.compacted(l); err != nil || !through || c.res.Messages > 0 {
			return c.dst, c.res, err
		}
		dst = c.dst
	}
	return s.getUncopied(dst, r, res, max(r.Offset, copied, r.Queue.Min()))
}

// getUncopied reads what is not in the compaction log yet.
func (s *Store) getUncopied(dst []byte, r GetRequest, res GetResult, from int64) ([]byte, GetResult, error) {
	if from >= res.MaxOffset {
		res.Status, res.NextOffset = NoMatchedMessage, res.MaxOffset
		return dst, res, nil
	}
	match := r.MatchRecord
	r.Offset, r.MatchRecord = from, func(record []byte) bool {
		m, err := message.Parse(record, false)
		return err == nil && compaction.Key(m.Properties) != "" && (match == nil || match(record))
	}
	return s.collect(dst, r, res)
}

// compacted reads the records of a compaction log that match; through says that there are no more.
func (c *collection) compacted(l *compaction.Log) (through bool, err error) {
	reach := max(c.r.MaxMessages, int(c.s.live.Load().MaxFilterMessageSize)/consumequeue.BatchUnitSize)
	through = true
	err = l.Each(c.r.Offset, func(u consumequeue.BatchUnit, read func([]byte) ([]byte, error)) (bool, error) {
		through = false
		if c.res.Messages > 0 && c.s.full(c.res.Messages, c.r.MaxMessages, len(c.dst)-c.start, int(u.Size), 0) || reach == 0 {
			return false, nil
		}
		reach--
		more, err := c.takeCompacted(u, read)
		through = more
		return more, err
	})
	return through, err
}

func (c *collection) takeCompacted(u consumequeue.BatchUnit, read func([]byte) ([]byte, error)) (more bool, err error) {
	at := len(c.dst)
	pass := func() (bool, error) {
		c.dst, c.res.NextOffset = c.dst[:at], u.End()
		return c.passed <= maxScan, nil
	}
	if c.r.Match != nil && !c.r.Match(u.TagsCode) && !consumequeue.IsExtAddr(u.TagsCode) {
		return pass()
	}
	if c.dst, err = read(c.dst); err != nil {
		c.dst = c.dst[:at]
		if c.res.Messages > 0 {
			return false, nil // the next pull, which begins here, is told
		}
		return false, err
	}
	if !message.Consumable(c.dst[at:], u.PhysicalOffset) {
		c.s.o.Logger.Error().Int64("queueOffset", u.Base).Int64("physicalOffset", u.PhysicalOffset).Msg("damaged: a unit and the record of a compaction log do not fit together, passing over the message")
		return pass()
	}
	if c.r.MatchRecord != nil && !c.r.MatchRecord(c.dst[at:]) {
		c.passed += int(u.Size)
		return pass()
	}
	c.res.Messages++
	c.res.Status, c.res.NextOffset = Found, u.End()
	return true, nil
}
