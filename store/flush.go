package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/store/fsys"
)

// flusher is the state of the flush goroutine.
type flusher struct {
	mu      sync.Mutex
	groups  []*Group     // SYNC_FLUSH: written, not durable yet
	syncing []*Group     // those that the running sync covers
	late    *time.Timer  // runs out when the oldest of them has waited for too long
	bytes   atomic.Int64 // of the groups that are written and not acknowledged yet
	hidden  atomic.Int64 // groups that were handed over and are not published yet
	wake    chan struct{}
	stop    chan struct{}
	done    chan struct{}
}

func (s *Store) flushLater(groups []*Group) {
	f := &s.fl
	f.bytes.Add(sizeOf(groups))
	f.hidden.Add(int64(len(groups)))
	now := time.Now()
	for _, g := range groups {
		g.at = now
	}
	f.mu.Lock()
	if len(f.groups)+len(f.syncing) == 0 {
		f.late.Reset(s.flushLimit())
	}
	f.groups = append(f.groups, groups...)
	f.mu.Unlock()
	s.flushNow()
}

// flushNow has the flush goroutine begin, or go on when it is through with what it has.
func (s *Store) flushNow() {
	select {
	case s.fl.wake <- struct{}{}:
	default:
	}
}

func (s *Store) flushLimit() time.Duration {
	return time.Duration(s.live.Load().SyncFlushTimeout) * time.Millisecond
}

func sizeOf(groups []*Group) (n int64) {
	for _, g := range groups {
		n += int64(len(g.Buf))
	}
	return n
}

func (s *Store) flushLoop() {
	f := &s.fl
	defer close(f.done)
	every := s.live.Load().FlushIntervalCommitLog
	t := time.NewTicker(time.Duration(every) * time.Millisecond)
	defer t.Stop()
	defer f.late.Stop()
	var groups []*Group
	for stopping := false; ; {
		select {
		case <-f.wake:
		case <-t.C:
		case <-f.stop:
			stopping = true
		}
		retime(t, &every, s.live.Load().FlushIntervalCommitLog)
		f.mu.Lock()
		f.syncing, f.groups = f.groups, groups[:0]
		f.mu.Unlock()
		err := s.syncLog()
		f.mu.Lock()
		groups, f.syncing = f.syncing, nil
		if len(f.groups) > 0 {
			f.late.Reset(s.flushLimit() - time.Since(f.groups[0].at))
		} else {
			f.late.Stop()
		}
		f.mu.Unlock()
		f.bytes.Add(-sizeOf(groups)) // the groups belong to others as soon as they are finished
		if err != nil {
			s.finish(groups, ErrReadOnly)
		} else {
			s.publish(groups)
			s.finish(groups, nil)
		}
		f.hidden.Add(-int64(len(groups)))
		clear(groups)
		if stopping {
			return
		}
	}
}

// nobody owns groups whose owner has been told already.
type nobody struct{}

// Appended implements Owner.
func (nobody) Appended(*Group, error) {}

// flushLate tells the owners of groups that wait for too long, once. A stand-in keeps each group's place:
// its records become visible when they are durable.
func (s *Store) flushLate() {
	f := &s.fl
	limit := s.flushLimit()
	var late []*Group
	next := time.Duration(-1)
	f.mu.Lock()
	for _, list := range [][]*Group{f.syncing, f.groups} {
		for i, g := range list {
			if _, told := g.Owner.(nobody); told {
				continue
			}
			if left := limit - time.Since(g.at); left > 0 {
				next = left
				break
			}
			late = append(late, g)
			f.bytes.Add(-int64(len(g.Buf)))
			list[i] = &Group{Recs: slices.Clone(g.Recs), Keys: slices.Clone(g.Keys), Lights: slices.Clone(g.Lights), Owner: nobody{}, at: g.at}
		}
		if next >= 0 {
			f.late.Reset(next)
			break
		}
	}
	f.mu.Unlock()
	for _, g := range late {
		g.Owner.Appended(g, ErrFlushTimeout)
	}
	if len(late) > 0 {
		s.o.Logger.Warn().Int("groups", len(late)).Dur("limit", limit).Msg(ErrFlushTimeout.Error())
	}
}

// syncLog makes the CommitLog durable as far as it is written now. After the first error it always fails.
func (s *Store) syncLog() error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if s.failed.Load() {
		return ErrReadOnly
	}
	stamp := s.lastStore.Load()
	from, to := s.flushed.Load(), s.log.End()
	if from == to {
		return nil
	}
	begun := time.Now()
	if err := s.log.Sync(from, to); err != nil {
		s.fail(err)
		return ErrReadOnly
	}
	s.took(&s.syncTimes, "sync", begun)
	s.flushed.Store(to)
	s.flushedStamp.Store(stamp)
	return nil
}

// Sync makes the CommitLog durable as far as it is written now.
func (s *Store) Sync() error {
	if err := s.syncLog(); err != nil {
		return errors.Join(err, s.Err())
	}
	return nil
}

// tidyLoop writes units to files and checkpoints.
func (s *Store) tidyLoop() {
	defer close(s.tidyDone)
	every := s.live.Load().FlushIntervalConsumeQueue
	t := time.NewTicker(time.Duration(every) * time.Millisecond)
	defer t.Stop()
	trim := 0
	for {
		select {
		case <-s.tidyStop:
			return
		case <-s.tidyNow:
			if err := s.writeUnits(); err != nil {
				s.unitsFailed(err)
			}
			retime(t, &every, s.live.Load().FlushIntervalConsumeQueue)
		case <-t.C:
			if err := s.checkpoint(); err != nil {
				s.unitsFailed(err)
			}
			if trim++; trim%5 == 0 {
				s.log.Trim()
			}
		}
	}
}

// unitsFailed reports units that could not be written. They stay in memory, where readers find them, and
// are tried again, unless what failed is a sync: then nothing says what of the files is durable.
func (s *Store) unitsFailed(err error) {
	if s.failed.Load() {
		return
	}
	if fsys.IsFull(err) {
		s.setFull(&s.unitsFull, fmt.Errorf("%w: %w", ErrNoSpace, err))
		return
	}
	s.o.Logger.Error().Err(err).Msg("cannot write the consume queues, trying again")
}

// writeUnits writes the units of all dirty queues to their files.
func (s *Store) writeUnits() error {
	s.dirtyMu.Lock()
	queues := s.dirtyQueues
	s.dirtyQueues = nil
	s.dirtyMu.Unlock()
	var first error
	for _, q := range queues {
		s.filesMu.Lock()
		wrote, err := q.Flush(func(path string, created bool) { s.touched[path] = s.touched[path] || created })
		s.filesMu.Unlock()
		s.dirtyUnits.Add(-int64(wrote))
		if err != nil || q.Dirty() {
			s.dirtyMu.Lock()
			s.dirtyQueues = append(s.dirtyQueues, q)
			s.dirtyMu.Unlock()
		}
		if err != nil && first == nil {
			first = err
		}
	}
	if first == nil {
		s.setFull(&s.unitsFull, nil)
	}
	s.dirtyMu.Lock()
	s.dirtyCond.Broadcast()
	s.dirtyMu.Unlock()
	return first
}

// checkpoint makes everything published so far durable, in the order the crash rules demand, and writes
// the checkpoint. Without news it does nothing.
func (s *Store) checkpoint() error {
	stamp, logic := s.copiedFirst(s.dispStamp.Load(), s.dispatched.Load())
	if logic == s.cp.logicsPhysicalOffset && s.flushed.Load() == s.log.End() && len(s.touched) == 0 && s.dirtyUnits.Load() == 0 {
		return nil
	}
	if err := s.syncLog(); err != nil {
		return err
	}
	if err := s.writeUnits(); err != nil {
		return err
	}
	if err := s.syncTouched(); err != nil {
		return err
	}
	clear(s.touched)
	s.cp.physicMsgTimestamp = s.flushedStamp.Load()
	s.cp.logicsMsgTimestamp = stamp
	s.cp.logicsPhysicalOffset = logic
	if err := s.writeCheckpoint(); err != nil {
		return err
	}
	s.durable.Store(logic)
	return s.failUnlessFull(s.wm.write(s.wmFile, s.flushed.Load()))
}

// manyFiles is how many touched files are made durable by one sync of the whole file system: file by file
// 100,000 queues take a minute.
const manyFiles = 1000

// syncTouched makes the touched files of queues durable, and the names of new ones.
func (s *Store) syncTouched() error {
	if len(s.touched) > s.o.syncAllAbove {
		if err := s.o.FS.SyncAll(s.cq.Dir); err != nil {
			s.fail(err)
			return err
		}
		return nil
	}
	folders := map[string]struct{}{}
	for path, created := range s.touched {
		top := s.cq.Dir
		if filepath.Dir(filepath.Dir(filepath.Dir(path))) != s.cq.Dir {
			top = filepath.Dir(s.cq.Dir) // the folders of other forms are made with the first file
		}
		for d := filepath.Dir(path); created && len(d) >= len(top); d = filepath.Dir(d) {
			folders[d] = struct{}{}
		}
		if err := s.cq.Handles.Use(path, false, 0, fsys.File.Datasync); err != nil {
			if s.gone(path) {
				continue // the topic was deleted meanwhile
			}
			err = fmt.Errorf("cannot sync %s: %w", path, err)
			s.fail(err)
			return err
		}
	}
	for d := range folders {
		if err := s.o.FS.SyncDir(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.fail(err)
			return err
		}
	}
	return nil
}

func (s *Store) writeCheckpoint() error {
	if err := s.failUnlessFull(s.cp.write(s.cpFile)); err != nil {
		return err
	}
	if err := s.cpFile.Datasync(); err != nil {
		err = fmt.Errorf("cannot sync the checkpoint: %w", err)
		s.fail(err)
		return err
	}
	return nil
}

// failUnlessFull stops the store at a write error that space will not cure.
func (s *Store) failUnlessFull(err error) error {
	if err != nil && !fsys.IsFull(err) {
		s.fail(err)
	}
	return err
}

// gone reports whether a file of a queue does not exist any more. One that cannot be opened, for lack of file
// handles, still does.
func (s *Store) gone(path string) bool {
	f, err := s.o.FS.Open(path, false)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	_ = f.Close()
	return false
}
