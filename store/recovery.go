package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/commitlog"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
)

// recover finds the end of the CommitLog, cuts what a crash tore, loads the ConsumeQueues and puts back the
// units they miss. It changes nothing that a second run would not do again, so it may be killed at any time.
func (s *Store) recover() error {
	begun := time.Now()
	root := s.o.StorePathRootDir
	there, err := s.o.FS.List(root)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", root, err)
	}
	s.cleanStop = !slices.ContainsFunc(there, func(e fsys.Entry) bool { return e.Name == abortName })
	if s.cp, err = readCheckpoint(s.o.FS, root); err != nil {
		return err
	}
	if latest := s.o.Now().Add(24 * time.Hour).UnixMilli(); !s.cp.plausible(latest) {
		s.o.Logger.Warn().Int64("physicMsgTimestamp", s.cp.physicMsgTimestamp).Int64("logicsMsgTimestamp", s.cp.logicsMsgTimestamp).Msg("the checkpoint holds times that cannot be, going on without it")
		s.cp = checkpoint{}
	}
	if s.wm, err = readWatermark(s.o.FS, root); err != nil {
		return err
	}
	if err := s.refuseForeign(root, there); err != nil {
		return err
	}
	start, end, err := s.findEnd()
	if err != nil {
		return err
	}
	if err := s.log.SetEnd(end, !s.cleanStop || s.dirtyBehind(end)); err != nil {
		return err
	}
	end = s.log.End()
	if err := s.loadQueues(); err != nil {
		return err
	}
	n, err := s.redispatch(s.queuesEnd(start))
	if err != nil {
		return err
	}
	s.flushed.Store(min(start, end))
	s.flushedStamp.Store(s.cp.physicMsgTimestamp)
	s.dispStamp.Store(s.lastStore.Load())
	s.dispatched.Store(end)
	min := s.log.Min()
	s.eachQueue(func(q *consumequeue.Queue) {
		if e := q.CorrectMin(min); e != nil && err == nil {
			err = e
		}
	})
	s.o.Logger.Info().Bool("clean", s.cleanStop).Int64("from", start).Int64("end", end).Int("unitsAdded", n).Dur("took", time.Since(begun)).Msg("message store recovered")
	return err
}

// refuseForeign stops at a folder whose data this store would not see: consume queues in RocksDB, DLedger
// logs. Java: storeType=defaultRocksDB, enableDLegerCommitLog.
func (s *Store) refuseForeign(root string, there []fsys.Entry) error {
	queues, err := s.o.FS.List(s.cq.Dir)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", s.cq.Dir, err)
	}
	if slices.ContainsFunc(queues, func(e fsys.Entry) bool { return e.Name == "CURRENT" }) {
		return fmt.Errorf("%s is a RocksDB (storeType=defaultRocksDB), which is not built; export it to files first", s.cq.Dir)
	}
	for _, e := range there {
		if strings.HasPrefix(e.Name, "dledger-") {
			return fmt.Errorf("%s holds a DLedger log, which is not built", filepath.Join(root, e.Name))
		}
	}
	return nil
}

// findEnd returns where units may be missing from and the end of the log.
func (s *Store) findEnd() (start, end int64, err error) {
	start = s.scanStart()
	s.verifiedFrom = start
	s.o.Progress.begin(StepScan, start, s.log.FilesEnd()-start)
	w := walker{s: s, sc: s.log.ScanAhead(start), end: -1}
	defer w.sc.Close()
	parts := s.log.Verify(start, s.o.Progress.ahead)
	defer parts.Close()
	for {
		if end, newest, ok := parts.Whole(w.sc.At()); ok {
			s.whole = append(s.whole, stretch{from: w.sc.At(), to: end, whole: true})
			w.newest = max(w.newest, newest)
			w.sc.Skip(end)
			continue
		}
		_, ok, err := w.next()
		if err != nil {
			return 0, 0, err
		}
		if !ok {
			break
		}
	}
	s.lastStore.Store(max(w.newest, s.cp.physicMsgTimestamp))
	return start, w.sc.At(), nil
}

func fileStart(l *commitlog.Log, offset int64) int64 { return offset - offset%l.FileSize() }

// queuesEnd returns where the log's last unit points behind, at most start: an operator may have removed
// queues to have them built anew. Java: DefaultMessageStore.recoverTopicQueueTable and dispatchFromPhyOffset.
func (s *Store) queuesEnd(start int64) int64 {
	last := s.log.Min()
	s.eachQueue(func(q *consumequeue.Queue) { last = max(last, q.MaxPhysical()) })
	return min(start, last)
}

// scanStart chooses the offset up to which the units are known to be durable. After a crash the whole
// file around it is looked at, and when the checkpoint is not the one this store left at its last stop:
// Java does not take its own back when it cuts a log.
func (s *Store) scanStart() int64 {
	starts := s.log.FileStarts()
	if len(starts) == 0 {
		return 0
	}
	first, end := starts[0], s.log.FilesEnd()
	if p := s.cp.logicsPhysicalOffset; p > 0 && p >= first && p <= end {
		if s.cleanStop && p == s.wm.offset {
			return p
		}
		return max(first, fileStart(s.log, min(p, end-1)))
	}
	// A checkpoint of Java before 5.4: the last file that begins with a record older than what is durable.
	limit := min(s.cp.physicMsgTimestamp, s.cp.logicsMsgTimestamp) - 3000
	for i := len(starts) - 1; i > 0; i-- {
		r, _, ok := s.log.Scan(starts[i]).Next()
		if ok && r.PhysicalOffset == starts[i] && r.StoreTimestamp <= limit {
			return starts[i]
		}
	}
	return first
}

// dirtyBehind reports whether anything but zeros follows the end, as Java leaves it behind after a cut.
func (s *Store) dirtyBehind(end int64) bool {
	if s.log.Left(end) < message.BlankSize {
		return false
	}
	_, _, ok := s.log.Scan(end).Next()
	if ok {
		return true
	}
	sc := s.log.Scan(end)
	sc.Next()
	return sc.Err() != nil
}

func (s *Store) loadQueues() error {
	s.cq.Torn, s.bcq.Torn = !s.cleanStop, !s.cleanStop
	if err := s.refuseLostEnd(); err != nil {
		return err
	}
	s.o.Progress.begin(StepQueues, 0, 0)
	s.cq.Loading = func(done, total int) {
		if done == 0 {
			s.o.Progress.begin(StepQueues, 0, int64(total))
		}
		s.o.Progress.at(int64(done))
	}
	queues, err := consumequeue.Load(&s.cq, s.matches)
	if err != nil {
		return err
	}
	batch, err := consumequeue.Load(&s.bcq, s.matches)
	if err != nil {
		return err
	}
	for _, q := range slices.Concat(queues, batch) {
		if err := s.checkForm(q); err != nil {
			return err
		}
		s.topic(q.Topic).put(q)
		s.countLight(q, 1)
	}
	return nil
}

// refuseLostEnd stops where the log's last file is missing: it may be in a folder we were not told of. The watermark
// tells after our own stop; of Java's there are its checkpoint and a unit that name a record no file holds, though
// it was stopped cleanly.
func (s *Store) refuseLostEnd() error {
	last, end := s.cp.logicsPhysicalOffset, s.log.FilesEnd()
	if !s.cleanStop || end == 0 || last < end {
		return nil
	}
	lost := false
	_, err := consumequeue.Load(&s.cq, func(_ *consumequeue.Queue, _ int64, u consumequeue.Unit) (bool, error) {
		lost = lost || u.PhysicalOffset == last
		return true, nil // nothing is cut
	})
	if err != nil || !lost { // Java does not take the checkpoint back when it cuts the log
		return err
	}
	return fmt.Errorf("the commit log ends at %d, but there was a message at %d at the last stop: messages are lost%s; nothing was changed; to go on without them, remove %s",
		end, last, s.missing(end), checkpointPath(s.o.StorePathRootDir))
}

// matches reports whether a queue's last unit may stay: it points to the record it should, or this store has
// stopped cleanly behind it. Then either of the two is damaged, the message counts all the same, and reading
// passes over it; its queue offset is never given to another one.
func (s *Store) matches(q *consumequeue.Queue, offset int64, u consumequeue.Unit) (bool, error) {
	if ok, err := s.points(q, offset, u); ok || err != nil {
		return ok, err
	}
	if !s.cleanStop || s.wm.offset == 0 || s.cp.logicsPhysicalOffset != s.wm.offset || s.log.End() != s.wm.offset {
		return false, nil
	}
	s.o.Logger.Error().Str("topic", q.Topic).Int32("queueId", q.ID).Int64("queueOffset", offset).Int64("physicalOffset", u.PhysicalOffset).
		Msg("damaged: the last unit of a consume queue and the commit log do not fit together, though both were stored whole; nothing was changed")
	return true, nil
}

// points reports whether a unit points to the record it should. Records in front of the log's first byte are
// gone and prove nothing. A record that cannot be read now proves nothing either, and is an error: without its
// unit it would be lost for good.
func (s *Store) points(q *consumequeue.Queue, offset int64, u consumequeue.Unit) (bool, error) {
	if u.PhysicalOffset < s.log.Min() {
		return true, nil
	}
	if u.PhysicalOffset+int64(u.Size) > s.log.End() {
		return false, nil
	}
	var b [message.MinRecord]byte
	head, err := s.log.Read(b[:0], u.PhysicalOffset, len(b), false)
	if errors.Is(err, commitlog.ErrNoRecord) {
		return false, nil
	}
	if err != nil || !message.Heads(head, u.PhysicalOffset) || message.Size(head) != int(u.Size) {
		return false, err
	}
	if message.IsLMQ(q.Topic) {
		return s.pointsLight(q, offset, u)
	}
	return int32(binary.BigEndian.Uint32(head[12:])) == q.ID && int64(binary.BigEndian.Uint64(head[20:])) == offset, nil
}

// redispatch adds the units of all records from start on that the queues do not have, and returns how many. A
// queue that misses units in front of start is built anew.
func (s *Store) redispatch(start int64) (added int, err error) {
	s.o.Progress.begin(StepDispatch, start, s.log.End()-start)
	gaps := map[*consumequeue.Queue]bool{}
	units := unitWindows{}
	err = s.each(start, func(q *consumequeue.Queue, u consumequeue.BatchUnit) error {
		if gaps[q] {
			return nil
		}
		done, gap, err := s.restore(q, u, units)
		if done {
			added++
		}
		if gap {
			gaps[q] = true
		}
		return err
	})
	if err != nil || len(gaps) == 0 {
		return added, err
	}
	n, err := s.rebuild(gaps)
	return added + n, err
}

// unitWindows are units of queues as they were read, several at a time: recovery asks for one after another.
type unitWindows map[*consumequeue.Queue]*unitWindow

type unitWindow struct {
	from, n int64
	units   [64 * consumequeue.UnitSize]byte
}

// maxWindows bounds their memory, 1.3 KB each.
const maxWindows = 4096

// at is Queue.At.
func (w unitWindows) at(q *consumequeue.Queue, n int64) (consumequeue.Unit, bool, error) {
	win := w[q]
	if win == nil {
		if len(w) >= maxWindows {
			clear(w)
		}
		win = &unitWindow{}
		w[q] = win
	}
	if n < win.from || n >= win.from+win.n {
		got, err := q.Read(n, win.units[:])
		win.from, win.n = n, int64(got)
		if err != nil || got == 0 {
			return consumequeue.Unit{}, false, err
		}
	}
	return consumequeue.GetUnit(win.units[(n-win.from)*consumequeue.UnitSize:]), true, nil
}

// restore adds the unit of one record unless it is there. gap reports that the queue does not fit the record.
func (s *Store) restore(q *consumequeue.Queue, u consumequeue.BatchUnit, units unitWindows) (added, gap bool, err error) {
	switch next := q.Max(); {
	case u.Base < next:
		there, ok, err := units.coverAt(q, u.Base)
		if err != nil || !ok || there.PhysicalOffset > u.PhysicalOffset || sameUnit(q, there, u) && u.PhysicalOffset < s.cp.logicsPhysicalOffset {
			return false, false, err // there, or of a topic deleted before this one
		}
		if there.PhysicalOffset == u.PhysicalOffset { // a crash tore it, or it is not known to be durable
			if q.Dirty() {
				if err := s.writeUnits(); err != nil {
					return false, false, err
				}
			}
			path, err := q.Cut(u.Base, u.PhysicalOffset)
			if err != nil {
				return false, false, err
			}
			s.touched[path] = true // the file's name may stand in the page cache alone
			break
		}
		if u.Base > 0 {
			return false, true, nil
		}
		// The topic was deleted and made again: what the queue holds is of its former life.
		if err := q.Reset(); err != nil {
			return false, false, err
		}
	case u.PhysicalOffset < q.MaxPhysical():
		return false, false, nil // of a former life of the topic
	case u.Base > next && !s.bridge(q, u.Base-next, u.PhysicalOffset):
		return false, true, nil
	}
	if len(units) > 0 {
		delete(units, q) // from here on it differs
	}
	return true, false, s.restored(q, u)
}

func (s *Store) restored(q *consumequeue.Queue, u consumequeue.BatchUnit) error {
	switch {
	case q.Batch():
		s.addBatch(q, u)
	case s.o.EnableConsumeQueueExt && !message.IsLMQ(q.Topic):
		s.addExt(q, u.Unit, u.StoreTimestamp, s.bitMap(u.PhysicalOffset))
	default:
		s.addUnit(q, u.Unit)
	}
	q.Next = q.Max()
	if s.dirtyUnits.Load() > maxDirtyUnits {
		return s.writeUnits()
	}
	return nil
}

func (s *Store) unit(r *message.Record) consumequeue.Unit {
	return consumequeue.Unit{PhysicalOffset: r.PhysicalOffset, Size: int32(r.Size), TagsCode: s.tagsCode(r)}
}

func (s *Store) eachQueue(fn func(q *consumequeue.Queue)) {
	s.topics.Range(func(_, v any) bool {
		v.(*topicQueues).each(fn)
		return true
	})
}
