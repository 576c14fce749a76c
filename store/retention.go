package store

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/retention"
	"github.com/skylarkmq/skylark/store/segment"
)

// ErrDiskFull: a disk is fuller than the options allow; the error of Submit says which and how full. Messages
// are taken again as soon as there is space.
var ErrDiskFull = errors.New("the disk is full")

// diskFull is an ErrDiskFull with its reason.
type diskFull struct{ why string }

func (e *diskFull) Error() string        { return e.why }
func (e *diskFull) Is(target error) bool { return target == ErrDiskFull }

// countRefused counts what is refused for want of space.
func (s *Store) countRefused(g *Group, why *diskFull) error {
	s.refused.Add(int64(len(g.Recs)))
	return why
}

// Times of the retention goroutine that are no options.
const (
	firstRound   = time.Minute          // Java: DefaultMessageStore.addScheduleTask
	manualRounds = 20                   // Java: MAX_MANUAL_DELETE_FILE_TIMES
	shrinkStep   = 64 << 20             // bytes: the kernel frees a large file in one go, and others wait for it
	shrinkPause  = 5 * time.Millisecond // lets them go ahead
	mostHours    = 1 << 21              // that a time.Duration can hold: more than 200 years
	queueBatch   = 256                  // queues whose files are removed at once when there is to be no pause
)

// keeper is the state of the retention goroutine.
type keeper struct {
	rules  retention.Rules
	clock  retention.Clock
	uptime func() time.Duration // never jumps
	manual atomic.Int32         // rounds left in which an operator wants expired files to go
	ask    chan func()
	wake   chan struct{}
	tuned  chan struct{} // the options have changed
	stop   chan struct{}
	done   chan struct{}

	removedFiles, removedBytes atomic.Int64

	// The rest is the goroutine's own.
	index   interface{ RemoveBefore(minPhysical int64) error } // nil: there is none
	cleaned int64                                              // the first physical offset that the queues were cleaned for
	queues  []*consumequeue.Queue                              // that have files to be removed
	trash   []removed                                          // moved out of the log
	pressed string                                             // the last warning
}

// removed is a file that is moved out of the log, perhaps with readers in it.
type removed struct {
	file *segment.File
	path string
}

func (s *Store) openRetention() {
	k, o := &s.keeper, &s.o
	k.rules = rulesOf(o)
	opened := time.Now()
	k.uptime = func() time.Duration { return time.Since(opened) }
	k.ask, k.wake, k.tuned = make(chan func()), make(chan struct{}, 1), make(chan struct{}, 1)
	k.stop, k.done = make(chan struct{}), make(chan struct{})
	s.disks() // the first file that is prepared should know which are full
}

// rulesOf returns what the options say of files that go.
func rulesOf(o *Options) retention.Rules {
	hours, err := retention.ParseHours(o.DeleteWhen)
	if err != nil {
		o.Logger.Error().Err(err).Ints("hours", hours).Msg("files are deleted at these hours only")
	}
	return retention.Rules{ReservedTime: time.Duration(min(o.FileReservedTime, mostHours)) * time.Hour, Hours: hours, MaxUsed: int(o.DiskMaxUsedSpaceRatio),
		CleanAbove: int(o.DiskSpaceCleanForciblyRatio), RefuseAbove: int(o.DiskSpaceWarningLevelRatio), Forcibly: o.CleanFileForciblyEnable,
		BatchMax: int(o.DeleteFileBatchMax), MaxBytes: o.MaxStoreBytes, MinFree: o.MinFreeBytes}.Clamped()
}

// retentionLoop removes files and watches the disks.
func (s *Store) retentionLoop() {
	k := &s.keeper
	defer close(k.done)
	s.refuseWrites(s.disks())
	s.sweepTrash()
	round := time.NewTimer(firstRound)
	defer round.Stop()
	// Space that somebody makes is seen in the first minute, too.
	every := s.live.Load().CleanResourceInterval
	look := time.NewTicker(time.Duration(every) * time.Millisecond)
	defer look.Stop()
	begun := false // the first round has been
	for {
		var queues <-chan time.Time
		if len(k.queues) > 0 {
			queues = time.After(time.Duration(s.live.Load().DeleteConsumeQueueFilesInterval) * time.Millisecond)
		}
		select {
		case <-k.stop:
			return
		case fn := <-k.ask:
			fn()
		case <-queues:
			s.cleanQueueFiles()
		case <-look.C:
			if s.refuse.Load() != nil {
				s.refuseWrites(s.disks())
			}
		case <-k.tuned:
			k.rules = rulesOf(s.live.Load())
			if retime(look, &every, s.live.Load().CleanResourceInterval) && begun {
				round.Reset(time.Duration(every) * time.Millisecond)
			}
			s.refuseWrites(s.disks())
		case <-k.wake:
			s.clean()
		case <-round.C:
			s.clean()
			begun = true
			round.Reset(time.Duration(every) * time.Millisecond)
		}
	}
}

// onKeeper runs fn on the retention goroutine and waits for it.
func (s *Store) onKeeper(fn func()) error {
	ran := make(chan struct{})
	select {
	case s.keeper.ask <- func() { fn(); close(ran) }:
		<-ran
		return nil
	case <-s.keeper.done:
		return ErrClosed
	}
}

// DeleteExpired has files that are past their age deleted now and in the next rounds, whatever the hour.
// It does not wait. Java: DefaultMessageStore.executeDeleteFilesManually.
func (s *Store) DeleteExpired() {
	s.keeper.manual.Store(manualRounds)
	s.roundNow()
}

// roundNow has the next round begin at once.
func (s *Store) roundNow() {
	select {
	case s.keeper.wake <- struct{}{}:
	default:
	}
}

// CleanQueues deletes the files of ConsumeQueues whose messages are all gone from the log, and waits for it.
// A queue's last file stays: where its offsets go on is written nowhere else.
func (s *Store) CleanQueues() error {
	var err error
	closed := s.onKeeper(func() {
		s.keeper.cleaned = 0
		err = s.cleanQueues()
		for err == nil && len(s.keeper.queues) > 0 {
			err = s.cleanQueueFiles()
		}
	})
	return errors.Join(closed, err)
}

// clean is one round.
func (s *Store) clean() {
	k := &s.keeper
	now := s.o.Now()
	log, queues := s.disks()
	doubtful, jumped := k.clock.Look(now, k.uptime())
	if jumped {
		s.o.Logger.Warn().Time("now", now).Msg("the clock has jumped ahead by more than a day; for an hour no file is deleted for its age")
	}
	state := retention.State{Now: now, Distrust: doubtful, Log: log, Queues: queues, Total: int64(len(s.log.FileStarts())) * s.log.FileSize()}
	if n := k.manual.Load(); n > 0 && !doubtful {
		state.Manual = true
		k.manual.CompareAndSwap(n, n-1)
	}
	plan := k.rules.Plan(state)
	if plan.Why != "" && s.removeFiles(plan, now) > 0 {
		log, queues = s.disks()
	}
	s.refuseWrites(log, queues)
	if err := s.cleanQueues(); err != nil {
		s.o.Logger.Error().Err(err).Msg("cannot clean the consume queues, trying again")
	}
	s.emptyTrash()
}

// disks looks at the disks that CommitLog files are made on and at that of the ConsumeQueues, and tells the log
// which of its folders are to be spared.
func (s *Store) disks() (log retention.Disks, queues retention.Disk) {
	look := func(dir string) retention.Disk {
		d, err := s.o.DiskUsage(dir)
		if err != nil {
			s.o.Logger.Warn().Err(err).Msg("cannot tell how full the disk is")
		}
		return retention.Disk{Path: dir, Disk: d}
	}
	var full []string
	dirs, _ := s.o.CommitLogDirs()
	for _, dir := range dirs {
		d := look(dir)
		log = append(log, d)
		if s.keeper.rules.Full(d) {
			full = append(full, dir)
		}
	}
	s.log.SetFull(full)
	return log, look(s.cq.Dir)
}

// refuseWrites makes Submit refuse messages, or take them again.
func (s *Store) refuseWrites(log retention.Disks, queues retention.Disk) {
	old := s.refuse.Load()
	why := s.keeper.rules.Refuse(log, queues, old != nil)
	switch {
	case why == "" && old != nil:
		s.refuse.Store(nil)
		s.o.Logger.Info().Msg("the disk has space again, messages are taken")
	case why != "" && (old == nil || old.why != why):
		s.refuse.Store(&diskFull{why})
		if old == nil {
			s.o.Logger.Error().Str("why", why).Msg("the disk is full, no message is taken until there is space")
		}
	}
}

// removeFiles removes what the plan allows from the front of the log and returns how many files that were.
// What recovery would have to read stays: records that are not durable, or that no durable unit points to.
func (s *Store) removeFiles(plan retention.Plan, now time.Time) int {
	k := &s.keeper
	files, err := s.logFiles()
	if err != nil {
		s.o.Logger.Error().Err(err).Msg("cannot look at the commit log's files, trying again")
		return 0
	}
	removals := k.rules.Choose(plan, now, min(s.durable.Load(), s.flushed.Load()), files)
	if len(removals) == 0 {
		if plan.Pressed && plan.Why != k.pressed {
			s.o.Logger.Warn().Str("why", plan.Why).Msg("files should be deleted, but none may be")
			k.pressed = plan.Why
		}
		return 0
	}
	k.pressed = ""
	for i, r := range removals {
		if i > 0 && !s.pause(time.Duration(s.live.Load().DeleteCommitLogFilesInterval)*time.Millisecond) {
			return i
		}
		name := segment.Name(r.Base)
		f, path, err := s.log.RemoveFirst()
		if f != nil {
			k.trash = append(k.trash, removed{f, path})
			k.removedFiles.Add(1)
			k.removedBytes.Add(r.Size)
			s.o.Logger.Info().Str("file", name).Time("modified", r.Modified).Str("reason", string(r.Reason)).Str("why", plan.Why).Msg("commit log file deleted")
		}
		if err != nil {
			s.o.Logger.Error().Err(err).Msg("cannot delete commit log files, trying again")
			return i
		}
		s.emptyTrash()
	}
	return len(removals)
}

// logFiles returns the files of the log, read-only ones too: what they hold has its time as well.
func (s *Store) logFiles() ([]retention.File, error) {
	entries, dirs, err := s.log.Entries()
	if err != nil {
		return nil, err
	}
	disks := map[string]uint64{}
	files := make([]retention.File, len(entries))
	for i, base := range s.log.FileStarts()[:len(entries)] {
		id, known := disks[dirs[i]]
		if !known {
			d, _ := s.o.DiskUsage(dirs[i]) // without it removing a file counts for no disk
			id, disks[dirs[i]] = d.ID, d.ID
		}
		files[i] = retention.File{Base: base, Size: s.log.FileSize(), Modified: entries[i].Modified, Disk: id}
	}
	return files, nil
}

// pause waits and reports whether the store still runs.
func (s *Store) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.keeper.stop:
		return false
	case <-t.C:
		return true
	}
}

// emptyTrash deletes removed files that nobody reads any more.
func (s *Store) emptyTrash() {
	var left []removed
	for _, r := range s.keeper.trash {
		if !r.file.Idle() {
			left = append(left, r)
			continue
		}
		if err := s.shred(r.path); err != nil {
			s.o.Logger.Error().Err(err).Msg("cannot delete a file in the trash, trying again")
			left = append(left, r)
		}
	}
	s.keeper.trash = left
}

// sweepTrash deletes what the last run left.
func (s *Store) sweepTrash() {
	left, err := s.log.Trash()
	for _, path := range left {
		err = errors.Join(err, s.shred(path))
	}
	if err != nil {
		s.o.Logger.Error().Err(err).Msg("cannot empty the trash")
	}
}

// shred deletes a file of the trash step by step; it gives up half-way when the store closes, and the next
// start goes on.
func (s *Store) shred(path string) error {
	f, err := s.o.FS.Open(path, false)
	if err != nil {
		return err
	}
	size, err := f.Size()
	for size > shrinkStep && err == nil {
		size -= shrinkStep
		if err = f.Truncate(size); err == nil && !s.pause(shrinkPause) {
			return f.Close()
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return s.o.FS.Remove(path)
}

// cleanQueues moves the first offsets of all queues behind what the log has lost since the last time, and
// notes which have files that may go. Java: ConsumeQueueStore.CleanConsumeQueueService.
func (s *Store) cleanQueues() error {
	k := &s.keeper
	first := s.log.Min()
	if first <= k.cleaned {
		return nil
	}
	var failed error
	k.queues = nil
	s.eachQueue(func(q *consumequeue.Queue) {
		if err := q.CorrectMin(first); err != nil && failed == nil {
			failed = err
		}
		if q.Expired() {
			k.queues = append(k.queues, q)
		}
	})
	if k.index != nil {
		failed = errors.Join(failed, k.index.RemoveBefore(first))
	}
	if failed == nil {
		k.cleaned = first
	}
	return failed
}

// cleanQueueFiles removes the files of the next queue, of several when the options ask for no pause.
func (s *Store) cleanQueueFiles() error {
	k := &s.keeper
	n := 1
	if s.live.Load().DeleteConsumeQueueFilesInterval <= 0 {
		n = min(queueBatch, len(k.queues))
	}
	var failed error
	for _, q := range k.queues[:n] {
		s.filesMu.Lock()
		_, err := q.RemoveExpired()
		s.filesMu.Unlock()
		if err != nil {
			s.o.Logger.Error().Err(err).Msg("cannot delete consume queue files")
			failed = errors.Join(failed, err)
		}
	}
	clear(k.queues[:n])
	k.queues = k.queues[n:]
	return failed
}
