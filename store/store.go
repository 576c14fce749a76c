package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/store/commitlog"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/index"
	"github.com/skylarkmq/skylark/store/latency"
	"github.com/skylarkmq/skylark/store/segment"
)

// openFiles bounds the consume queue files kept open.
const openFiles = 1024

// Store is an open message store.
type Store struct {
	o      Options                 // as of Open: what Tune changes must be read from live
	live   atomic.Pointer[Options] // as of now, never changed in place
	delays []time.Duration
	total  int64        // bytes of RAM, see totalMemory
	hot    int64        // bytes at the end of the log that are not cold; huge without coldDataFlowControlEnable
	memory atomic.Int64 // bytes of RAM that count as "in memory" (accessMessageInMemoryMaxRatio)

	lock io.Closer
	log  *commitlog.Log
	cq   consumequeue.Config
	bcq  consumequeue.Config // of the queues of the form BatchCQ
	// index is nil when messages are not indexed.
	index *index.Index

	topics   sync.Map   // string -> *topicQueues
	topicsMu sync.Mutex // makes and removes entries
	lights   atomic.Int64

	in         inbox
	pieces     [][]byte // append goroutine only
	tails      []byte   // the same: ends of records that are in pieces
	appendDone chan struct{}
	lastStore  atomic.Int64 // ms, newest store timestamp
	roundSince atomic.Int64 // ms, since when the append goroutine is at its round; 0: at none
	dispatched atomic.Int64 // physical offset up to which units are visible
	dispStamp  atomic.Int64 // ms, store timestamp up to which they are

	fl           flusher
	syncMu       sync.Mutex
	flushed      atomic.Int64 // physical offset up to which the log is durable
	flushedStamp atomic.Int64 // ms, store timestamp up to which it is

	dirtyMu     sync.Mutex
	dirtyCond   sync.Cond
	dirtyQueues []*consumequeue.Queue
	dirtyUnits  atomic.Int64 // bytes of units in memory
	closing     bool         // guarded by dirtyMu
	filesMu     sync.Mutex   // one queue's files are written or deleted at a time
	tidyNow     chan struct{}
	tidyStop    chan struct{}
	tidyDone    chan struct{}
	touched     map[string]bool // tidy goroutine only: files written since their last sync; true: their names too
	cp          checkpoint
	wm          watermark
	cleanStop   bool // the last stop was clean
	// verifiedFrom is from where on the start has looked at all records with their checksums.
	verifiedFrom int64
	whole        []stretch // of the log in which the start has found whole records only, in order
	damageMu     sync.Mutex
	damaged      []Damage // written by recovery only
	fillers      []Damage // what stands where damage was repaired
	cpFile       fsys.File
	wmFile       fsys.File

	// Why the disk is full for the CommitLog, and for the files of queues; nil when it is not.
	logFull, unitsFull atomic.Pointer[error]
	fullAtWrite        bool // append goroutine only: the last write found no space

	durable atomic.Int64             // physical offset up to which units are durable
	refuse  atomic.Pointer[diskFull] // why no message is taken, nil: they are
	keeper  keeper

	compactor compactor

	appendTimes, syncTimes, dispatchTimes latency.Histogram
	longestGet                            latency.Longest
	slowLogged                            atomic.Int64 // when, unix ns

	tuning sync.Mutex // Tune

	failed    atomic.Bool
	refused   atomic.Int64
	errMu     sync.Mutex
	err       error
	closeOnce sync.Once
	closeErr  error
}

// Open locks the folder, recovers what is in it and starts the store's goroutines.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("cannot open the message store: %w", err)
	}
	delays, err := ParseDelayLevels(o.MessageDelayLevel)
	if err != nil {
		return nil, fmt.Errorf("cannot open the message store: %w", err)
	}
	total := totalMemory("/proc", "/sys/fs/cgroup")
	s := &Store{
		o: o, delays: delays, total: total, hot: hotBytes(&o, total),
		appendDone: make(chan struct{}), tidyNow: make(chan struct{}, 1), tidyStop: make(chan struct{}), tidyDone: make(chan struct{}),
		touched: map[string]bool{},
	}
	s.tune(o)
	s.in.wake.L = &s.in.mu
	s.dirtyCond.L = &s.dirtyMu
	s.fl.wake, s.fl.stop, s.fl.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	s.fl.late = time.AfterFunc(s.flushLimit(), s.flushLate)
	s.fl.late.Stop()
	stop := s.logProgress()
	err = s.open()
	stop()
	o.Progress.end()
	if err != nil {
		s.release()
		return nil, fmt.Errorf("cannot open the message store in %s: %w", o.StorePathRootDir, err)
	}
	if s.index != nil {
		s.index.Start()
	}
	go s.appendLoop()
	go s.flushLoop()
	go s.tidyLoop()
	go s.retentionLoop()
	go s.compactLoop()
	return s, nil
}

func (s *Store) open() error {
	root := s.o.StorePathRootDir
	for _, d := range []string{root, filepath.Join(root, "skylark"), filepath.Join(root, "config"), filepath.Join(root, "consumequeue")} {
		if err := s.o.FS.MkdirAll(d); err != nil {
			return err
		}
	}
	var err error
	if s.lock, err = s.o.FS.Lock(filepath.Join(root, "lock")); err != nil {
		return err
	}
	if s.o.Locked != nil {
		if err := s.o.Locked(); err != nil {
			return err
		}
	}
	s.cq = consumequeue.Config{FS: s.o.FS, Dir: filepath.Join(root, "consumequeue"), FileSize: s.o.MappedFileSizeConsumeQueue,
		Handles: segment.NewHandles(s.o.FS, openFiles)}
	if err := s.openExt(); err != nil {
		return err
	}
	s.bcq = s.cq
	s.bcq.Dir, s.bcq.FileSize, s.bcq.Batch = filepath.Join(root, "batchconsumequeue"), s.o.MapperFileSizeBatchConsumeQueue, true
	dirs, readOnly := s.o.CommitLogDirs()
	if len(readOnly) > 0 && !strings.Contains(s.o.StorePathCommitLog, s.o.splitter()) {
		s.o.Logger.Warn().Str("storePathCommitLog", s.o.StorePathCommitLog).Msg("Java would not look at readOnlyCommitLogStorePaths, because storePathCommitLog names one folder only")
	}
	s.log, err = commitlog.Open(commitlog.Options{FS: s.o.FS, Dirs: dirs, ReadOnly: readOnly,
		FileSize: s.o.MappedFileSizeCommitLog, CacheBytes: s.o.CacheBytes, Memory: s.memory.Load(), VerifyPropertyCRC: s.o.ForceVerifyPropCRC})
	if err != nil {
		return err
	}
	if !s.o.DataReadAheadEnable {
		if err := s.log.ReadAhead(false); err != nil {
			s.o.Logger.Warn().Err(err).Msg("cannot keep the kernel from reading ahead in the commit log (dataReadAheadEnable)")
		}
	}
	s.openRetention()
	for _, d := range append(dirs, root) {
		if err := fsys.SyncParents(s.o.FS, d); err != nil {
			return err
		}
	}
	if err := s.recover(); err != nil {
		return err
	}
	if s.dirtyUnits.Load() == 0 && len(s.touched) == 0 { // otherwise a checkpoint follows
		s.durable.Store(min(s.cp.logicsPhysicalOffset, s.log.End()))
	}
	if err := s.openState(checkpointPath(root), checkpointSize, &s.cpFile); err != nil {
		return err
	}
	if err := s.openState(watermarkPath(root), 2*watermarkSlot, &s.wmFile); err != nil {
		return err
	}
	s.o.Progress.begin(StepSync, 0, 0)
	if err := s.vouch(); err != nil {
		return err
	}
	s.o.Progress.begin(StepIndex, 0, 0)
	if err := s.openIndex(); err != nil {
		return err
	}
	if err := s.openCompaction(); err != nil {
		return err
	}
	return s.markRunning()
}

// vouch makes durable what recovery found, part of which a killed process may have left in the page cache:
// consumers will see it; a clean stop left nothing there. Then it notes how far that is, so that the next
// start knows a torn end from damage.
func (s *Store) vouch() error {
	if from := max(s.flushed.Load(), s.wm.offset); s.wm.sequence > 0 && !s.cleanStop {
		if err := s.log.Rewrite(from, s.log.End()); err != nil {
			return err
		}
		s.flushed.Store(min(s.flushed.Load(), from))
	}
	if err := s.syncLog(); err != nil {
		return s.Err()
	}
	if err := s.wm.write(s.wmFile, s.flushed.Load()); err != nil {
		return err
	}
	if err := s.wmFile.Datasync(); err != nil {
		return fmt.Errorf("cannot sync the watermark: %w", err)
	}
	return s.o.FS.SyncDir(filepath.Dir(watermarkPath(s.o.StorePathRootDir)))
}

func (s *Store) openState(path string, size int64, dst *fsys.File) error {
	f, err := s.o.FS.Open(path, true)
	if err != nil {
		return err
	}
	*dst = f
	n, err := f.Size()
	if err != nil || n >= size {
		return err
	}
	_, err = f.WriteAt(make([]byte, size-n), n) // not by Truncate: writes must find their space later
	return err
}

const abortName = "abort"

func (s *Store) abortPath() string { return filepath.Join(s.o.StorePathRootDir, abortName) }

// markRunning writes the abort file, whose presence at a start says that the last stop was not clean.
// Java: DefaultMessageStore.createTempFile.
func (s *Store) markRunning() error {
	f, err := s.o.FS.Open(s.abortPath(), true)
	if err != nil {
		return err
	}
	if err = f.Truncate(0); err == nil { // what is there may be a longer number
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	if err = errors.Join(err, f.Datasync(), f.Close()); err != nil {
		return fmt.Errorf("cannot write the abort file: %w", err)
	}
	return s.o.FS.SyncDir(s.o.StorePathRootDir)
}

// Close stores what is queued, makes everything durable and, when all of that succeeded, marks the stop as
// clean. Closing twice is fine.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	close(s.keeper.stop)
	<-s.keeper.done
	s.in.mu.Lock()
	s.in.closed = true
	s.in.mu.Unlock()
	s.in.wake.Signal()
	s.dirtyMu.Lock()
	s.closing = true
	s.dirtyCond.Broadcast()
	s.dirtyMu.Unlock()
	<-s.appendDone
	close(s.fl.stop)
	<-s.fl.done
	close(s.tidyStop)
	<-s.tidyDone
	err := s.Err()
	if compactErr := s.closeCompaction(); err == nil {
		err = compactErr
	}
	indexErr := s.closeIndex()
	if err == nil {
		err = s.checkpoint()
	}
	if err == nil {
		err = indexErr
	}
	if err == nil {
		err = s.writeCheckpoint() // also without news, so that a first start leaves one
	}
	if err == nil {
		err = s.wm.write(s.wmFile, s.flushed.Load())
	}
	if err == nil {
		err = s.wmFile.Datasync()
	}
	if err == nil {
		if err = s.o.FS.Remove(s.abortPath()); err == nil {
			err = s.o.FS.SyncDir(s.o.StorePathRootDir)
		}
	}
	s.release()
	if err != nil {
		return fmt.Errorf("cannot close the message store cleanly: %w", err)
	}
	return nil
}

func (s *Store) release() {
	for _, f := range []fsys.File{s.cpFile, s.wmFile} {
		if f != nil {
			_ = f.Close()
		}
	}
	if s.index != nil {
		_ = s.index.Close()
	}
	if s.log != nil {
		_ = s.log.Close()
	}
	if s.cq.Handles != nil {
		s.cq.Handles.Close()
	}
	if s.compactor.files != nil {
		s.compactor.files.Close()
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

// Queue returns the queue of topic and id, which is made when it is new; its file appears with its first
// message. topic is cloned if it is kept. id must not be negative.
func (s *Store) Queue(topic string, id int32) *consumequeue.Queue {
	if q := s.Find(topic, id); q != nil {
		return q
	}
	s.topicsMu.Lock()
	defer s.topicsMu.Unlock()
	t := s.topic(topic)
	if q := t.find(id); q != nil {
		return q
	}
	q := consumequeue.New(s.form(topic), strings.Clone(topic), id)
	t.put(q)
	s.countLight(q, 1)
	return q
}

// topic returns the entry of a topic; the caller holds topicsMu.
func (s *Store) topic(name string) *topicQueues {
	if v, ok := s.topics.Load(name); ok {
		return v.(*topicQueues)
	}
	t := &topicQueues{}
	s.topics.Store(strings.Clone(name), t)
	return t
}

// Find returns the queue of topic and id, nil when it was never used.
func (s *Store) Find(topic string, id int32) *consumequeue.Queue {
	v, ok := s.topics.Load(topic)
	if !ok {
		return nil
	}
	return v.(*topicQueues).find(id)
}

// Topics returns the topics that have queues, sorted.
func (s *Store) Topics() []string {
	var out []string
	s.topics.Range(func(k, _ any) bool {
		out = append(out, k.(string))
		return true
	})
	sort.Strings(out)
	return out
}

// DeleteTopic removes the queues of a topic. Its records stay in the log until the log is cleaned.
func (s *Store) DeleteTopic(topic string) error {
	s.topicsMu.Lock()
	v, ok := s.topics.LoadAndDelete(topic)
	s.topicsMu.Unlock()
	if !ok {
		return nil
	}
	errs := []error{s.deleteCompacted(topic)}
	s.filesMu.Lock()
	defer s.filesMu.Unlock()
	v.(*topicQueues).each(func(q *consumequeue.Queue) {
		s.countLight(q, -1)
		errs = append(errs, q.Delete())
	})
	errs = append(errs, s.o.FS.RemoveAll(filepath.Join(s.cq.Dir, topic)), s.o.FS.RemoveAll(filepath.Join(s.bcq.Dir, topic)))
	if s.cq.ExtDir != "" {
		errs = append(errs, s.o.FS.RemoveAll(filepath.Join(s.cq.ExtDir, topic)))
	}
	return errors.Join(errs...)
}

// Stats are figures of a store at one moment.
type Stats struct {
	MinPhysical, MaxPhysical, Flushed, Dispatched int64
	QueuedGroups                                  int
	Failed                                        int64 // records refused since start
	Writable                                      bool
	// Refusal says which disk is too full for messages to be taken, "" when none is.
	Refusal string
	// RemovedFiles and RemovedBytes are CommitLog files that retention has removed since start.
	RemovedFiles, RemovedBytes int64
	// Damaged is the number of ranges of the log that the start has found damaged.
	Damaged int
}

// Stats returns the figures of now.
func (s *Store) Stats() Stats {
	s.in.mu.Lock()
	n := len(s.in.groups)
	s.in.mu.Unlock()
	st := Stats{
		MinPhysical: s.log.Min(), MaxPhysical: s.log.End(), Flushed: s.flushed.Load(), Dispatched: s.dispatched.Load(),
		QueuedGroups: n, Failed: s.refused.Load(), Writable: !s.failed.Load(),
		RemovedFiles: s.keeper.removedFiles.Load(), RemovedBytes: s.keeper.removedBytes.Load(),
		Damaged: len(s.damaged),
	}
	for _, full := range []*atomic.Pointer[error]{&s.logFull, &s.unitsFull} {
		if err := full.Load(); err != nil {
			st.Refusal = (*err).Error()
		}
	}
	if why := s.refuse.Load(); why != nil {
		st.Writable, st.Refusal = false, why.why
	}
	return st
}

// WasClean reports whether the stop before this start was clean.
func (s *Store) WasClean() bool { return s.cleanStop }

// Options returns the options in use, defaults filled in.
func (s *Store) Options() Options { return *s.live.Load() }
