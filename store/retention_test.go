package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// earth is the clock and the disk of a store.
type earth struct {
	now  atomic.Int64 // ms
	used atomic.Int64 // thousandths of a disk of 1 GiB
}

func newEarth() *earth {
	w := &earth{}
	y, m, d := time.Now().Date()
	w.now.Store(time.Date(y, m, d, 12, 0, 0, 0, time.Local).UnixMilli()) // files get their times from the real clock
	return w
}

func (w *earth) time() time.Time { return time.UnixMilli(w.now.Load()) }

func (w *earth) options(dir string) Options {
	o := testOptions(dir)
	o.Now = w.time
	o.DiskUsage = func(string) (fsys.Disk, error) {
		free := int64(1<<30) / 1000 * (1000 - w.used.Load())
		return fsys.Disk{Total: 1 << 30 / 1000 * 1000, Free: free, Usable: free}, nil
	}
	o.DeleteCommitLogFilesInterval, o.DeleteConsumeQueueFilesInterval = 0, 0
	return o
}

// open opens a store whose uptime is the world's.
func (w *earth) open(t *testing.T, o Options) *Store {
	s := open(t, o)
	require.NoError(t, s.onKeeper(func() {
		s.keeper.uptime = func() time.Duration { return time.Duration(w.now.Load()) * time.Millisecond }
	}))
	return s
}

// step runs a round of the retention goroutine to its end.
func step(t testing.TB, s *Store) {
	t.Helper()
	require.NoError(t, s.onKeeper(func() {
		s.clean()
		for len(s.keeper.queues) > 0 {
			_ = s.cleanQueueFiles()
		}
		s.emptyTrash()
	}))
}

// reopened has units made durable by a stop: what is not durable is never removed.
func (w *earth) reopened(t *testing.T, s *Store, o Options) *Store {
	require.NoError(t, s.Close())
	return w.open(t, o)
}

// setAges makes the log's files so many hours old, the first first; those left over stay as they are.
func (w *earth) setAges(t *testing.T, o Options, hours ...int) {
	for i, h := range hours {
		at := w.time().Add(-time.Duration(h) * time.Hour)
		require.NoError(t, os.Chtimes(logFile(o, i), at, at))
	}
}

func logFile(o Options, i int) string {
	return filepath.Join(o.StorePathRootDir, "commitlog", segment.Name(int64(i)*o.MappedFileSizeCommitLog))
}

func logFiles(t testing.TB, o Options) int {
	names, err := filepath.Glob(filepath.Join(o.StorePathRootDir, "commitlog", "*"))
	require.NoError(t, err)
	return len(names)
}

func queueFiles(t testing.TB, o Options, topic string, id int) []string {
	names, err := filepath.Glob(filepath.Join(o.StorePathRootDir, "consumequeue", topic, fmt.Sprint(id), "*"))
	require.NoError(t, err)
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	return names
}

// verifyFrom reads a queue from its first offset to n, which must be its end, and returns the first.
func verifyFrom(t testing.TB, s *Store, topic string, id int32, n int) int64 {
	t.Helper()
	q := s.Find(topic, id)
	require.NotNil(t, q)
	require.EqualValues(t, n, q.Max())
	first := q.Min()
	for at := first; at < int64(n); {
		b, res, err := s.Get(nil, GetRequest{Queue: q, Offset: at, MaxMessages: 32})
		require.NoError(t, err)
		require.Equal(t, Found, res.Status, at)
		for range res.Messages {
			at = checkRecord(t, &b, topic, id, at)
		}
	}
	if first > 0 {
		_, res, err := s.Get(nil, GetRequest{Queue: q, Offset: first - 1, MaxMessages: 32})
		require.NoError(t, err)
		require.Equal(t, OffsetTooSmall, res.Status)
		require.Equal(t, first, res.NextOffset)
		require.Equal(t, first, res.MinOffset)
	}
	return first
}

func checkRecord(t testing.TB, b *[]byte, topic string, id int32, at int64) int64 {
	r, err := message.Parse(*b, true)
	require.NoError(t, err)
	require.Equal(t, at, r.QueueOffset)
	require.Equal(t, fmt.Sprintf("%s-%d-%d", topic, id, at), string(r.Body))
	*b = (*b)[r.Size:]
	return at + 1
}

// requireTight checks that a queue begins with the first of its records that is in the log, and has no file
// in front of that.
func requireTight(t testing.TB, s *Store, topic string, id int32) {
	t.Helper()
	q := s.Find(topic, id)
	u, ok, err := q.At(q.Min())
	require.NoError(t, err)
	require.True(t, ok)
	require.GreaterOrEqual(t, u.PhysicalOffset, s.log.Min())
	if q.Min() > 0 {
		base := q.Min() * consumequeue.UnitSize / s.o.MappedFileSizeConsumeQueue * s.o.MappedFileSizeConsumeQueue
		require.Equal(t, segment.Name(base), queueFiles(t, s.o, topic, int(id))[0])
	}
	require.False(t, q.Expired())
}

func TestExpiredFilesGo(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	s := w.open(t, o)
	n := fill(t, s, 120, 0)
	s = w.reopened(t, s, o)
	files := logFiles(t, o)
	require.Greater(t, files, 8)
	w.setAges(t, o, 100, 80, 72, 71)
	step(t, s)
	require.Equal(t, files, logFiles(t, o), "it is noon")
	w.now.Add((16 * time.Hour).Milliseconds()) // 04:00: the fourth is old enough by now, the others are not
	step(t, s)
	require.Equal(t, files-4, logFiles(t, o))
	require.NoFileExists(t, filepath.Join(o.StorePathRootDir, "skylark", "trash", segment.Name(0)))
	require.Equal(t, 4*o.MappedFileSizeCommitLog, s.Stats().MinPhysical)
	require.EqualValues(t, 4, s.Stats().RemovedFiles)
	require.Equal(t, 4*o.MappedFileSizeCommitLog, s.Stats().RemovedBytes)
	require.Greater(t, s.EarliestTime(), int64(0))
	firsts := map[string]int64{}
	for range 3 {
		for topic, id := range map[string]int32{"A": 0, "B": 3} {
			first := verifyFrom(t, s, topic, id, n)
			require.Greater(t, first, int64(50), "the test needs a queue file to go")
			if was, ok := firsts[topic]; ok {
				require.Equal(t, was, first, "a restart finds the same")
			}
			firsts[topic] = first
			requireTight(t, s, topic, id)
		}
		s = w.reopened(t, s, o)
		n = fill(t, s, 2, n)
	}
	w.now.Add((10 * 24 * time.Hour).Milliseconds())
	for range 5 {
		step(t, s)
	}
	require.Equal(t, 1, logFiles(t, o), "the last file stays")
	verifyFrom(t, s, "A", 0, n)
	fill(t, s, 5, n)
}

// TestLastQueueFileKeepsTheOffsets: a queue whose messages are all gone goes on where it was.
func TestLastQueueFileKeepsTheOffsets(t *testing.T) {
	for _, n := range []int{60, 100} { // inside a file, at the end of one
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newEarth()
			o := w.options(t.TempDir())
			o.MaxStoreBytes = 2 * o.MappedFileSizeCommitLog
			s := w.open(t, o)
			k := &sink{}
			put(t, s, group(s, k, "Q", 1, 0, n, false))
			fill(t, s, 100, 0)
			s = w.reopened(t, s, o)
			step(t, s)
			require.Equal(t, 2, logFiles(t, o))
			for range 2 {
				q := s.Find("Q", 1)
				require.EqualValues(t, n, q.Min())
				require.EqualValues(t, n, q.Max())
				require.Equal(t, []string{segment.Name(int64(n-1) / 50 * 50 * 20)}, queueFiles(t, o, "Q", 1))
				_, res, err := s.Get(nil, GetRequest{Queue: q, Offset: 3, MaxMessages: 1})
				require.NoError(t, err)
				require.Equal(t, OffsetTooSmall, res.Status)
				require.EqualValues(t, n, res.NextOffset)
				s = w.reopened(t, s, o)
			}
			put(t, s, group(s, k, "Q", 1, n, 5, false))
			require.EqualValues(t, n, verifyFrom(t, s, "Q", 1, n+5))
			require.NoError(t, s.CleanQueues())
			s = w.reopened(t, s, o)
			require.EqualValues(t, n, verifyFrom(t, s, "Q", 1, n+5))
		})
	}
}

func TestSizeAndFreeSpaceAreLimits(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	s := w.open(t, o)
	n := fill(t, s, 120, 0)
	o.MaxStoreBytes, o.DeleteFileBatchMax = 5*o.MappedFileSizeCommitLog+1, 2
	s = w.reopened(t, s, o)
	for files := logFiles(t, o); files > 5; files = max(files-2, 5) {
		require.Equal(t, files, logFiles(t, o))
		step(t, s)
	}
	step(t, s)
	require.Equal(t, 5, logFiles(t, o))
	verifyFrom(t, s, "A", 0, n)

	o.MaxStoreBytes, o.MinFreeBytes = 0, 1<<29+o.MappedFileSizeCommitLog*3/2
	s = w.reopened(t, s, o)
	w.used.Store(500)
	step(t, s)
	require.Equal(t, 3, logFiles(t, o), "half a gigabyte is free, a file and a half more must be")
	require.Contains(t, s.Stats().Refusal, "skylarkMinFreeBytes", "this disk did not notice")
	w.used.Store(100)
	step(t, s)
	require.Empty(t, s.Stats().Refusal)
	require.Equal(t, 3, logFiles(t, o))
}

// TestFullDiskRefusesAndRecovers has Java's levels: above 90 % nothing is taken, at 85 % it is again.
func TestFullDiskRefusesAndRecovers(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	s := w.open(t, o)
	n := fill(t, s, 1, 0)
	for _, x := range []struct {
		used int64
		why  string
	}{
		{900, ""}, {901, "91 % full (diskSpaceWarningLevelRatio 90)"}, {990, "99 % full"}, {870, "still 87 % full"}, {850, ""}, {870, ""}, {1000, "100 % full"},
	} {
		w.used.Store(x.used)
		step(t, s)
		before := s.Stats().Failed
		done := make(outcome, 1)
		err := s.Submit(group(s, done, "A", 0, n, 2, false))
		if x.why == "" {
			require.NoError(t, err, x)
			require.NoError(t, <-done)
			n += 2
			require.True(t, s.Stats().Writable)
			continue
		}
		require.ErrorIs(t, err, ErrDiskFull)
		require.ErrorContains(t, err, "the disk of "+o.StorePathRootDir+"/commitlog is ")
		require.ErrorContains(t, err, x.why)
		require.Equal(t, err.Error(), s.Stats().Refusal)
		require.False(t, s.Stats().Writable)
		require.Equal(t, before+2, s.Stats().Failed)
		verify(t, s, "A", 0, n)
	}
	require.NoError(t, s.Err(), "a full disk is no failure")
	require.NoError(t, s.Close())
	again := open(t, o)
	require.NoError(t, again.onKeeper(func() {}))
	require.ErrorIs(t, again.Submit(group(again, nil, "A", 0, n, 1, false)), ErrDiskFull, "a start looks at the disk")
}

func TestForcedCleanTakesYoungFiles(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	o.CleanFileForciblyEnable = false
	s := w.open(t, o)
	n := fill(t, s, 120, 0)
	s = w.reopened(t, s, o)
	files := logFiles(t, o)
	w.used.Store(999)
	step(t, s)
	require.Equal(t, files, logFiles(t, o))
	o.CleanFileForciblyEnable, o.DeleteFileBatchMax = true, 3
	s = w.reopened(t, s, o)
	step(t, s)
	require.Equal(t, files-3, logFiles(t, o))
	verifyFrom(t, s, "A", 0, n)
}

// TestWhatRecoveryNeedsStays: a file goes only when its records and the units that point to them are durable.
func TestWhatRecoveryNeedsStays(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	o.MaxStoreBytes, o.FlushIntervalConsumeQueue, o.FlushIntervalCommitLog = 1, 1<<30, 1<<30
	s := w.open(t, o)
	n := fill(t, s, 60, 0)
	files := logFiles(t, o)
	step(t, s)
	require.Equal(t, files, logFiles(t, o))
	s = w.reopened(t, s, o)
	step(t, s)
	require.Equal(t, 1, logFiles(t, o))
	verifyFrom(t, s, "A", 0, n)
}

func TestAClockThatJumpsDeletesNothing(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	s := w.open(t, o)
	fill(t, s, 60, 0)
	s = w.reopened(t, s, o)
	up := atomic.Int64{}
	require.NoError(t, s.onKeeper(func() { s.keeper.uptime = func() time.Duration { return time.Duration(up.Load()) } }))
	files := logFiles(t, o)
	step(t, s)
	w.now.Add((365*24*time.Hour + 16*time.Hour).Milliseconds())
	step(t, s)
	step(t, s)
	s.DeleteExpired()
	step(t, s)
	require.Equal(t, files, logFiles(t, o))
	w.used.Store(800)
	step(t, s)
	require.Less(t, logFiles(t, o), files, "a disk that fills does not wait")
}

func TestOperatorMayDeleteExpiredFilesAtAnyHour(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	s := w.open(t, o)
	fill(t, s, 60, 0)
	s = w.reopened(t, s, o)
	w.setAges(t, o, 100, 100)
	files := logFiles(t, o)
	s.DeleteExpired()
	step(t, s)
	require.Equal(t, files-2, logFiles(t, o))
	for range manualRounds {
		step(t, s)
	}
	require.Zero(t, s.keeper.manual.Load())
}

// shrinking notes the lengths that files of the trash are cut to.
type shrinking struct {
	fsys.OS
	mu      sync.Mutex
	lengths []int64
	hook    func()
}

type shrinkingFile struct {
	fsys.File
	fs *shrinking
}

func (f *shrinking) Open(path string, create bool) (fsys.File, error) {
	file, err := f.OS.Open(path, create)
	if err != nil || filepath.Base(filepath.Dir(path)) != "trash" {
		return file, err
	}
	return &shrinkingFile{file, f}, nil
}

func (f *shrinkingFile) Truncate(n int64) error {
	f.fs.mu.Lock()
	f.fs.lengths = append(f.fs.lengths, n)
	f.fs.mu.Unlock()
	if f.fs.hook != nil {
		f.fs.hook()
	}
	return f.File.Truncate(n)
}

// TestTrashOfTheLastRunGoesInSteps: a gigabyte is not freed in one go, and a stop does not wait for it.
func TestTrashOfTheLastRunGoesInSteps(t *testing.T) {
	fs := &shrinking{}
	o := testOptions(t.TempDir())
	o.FS = fs
	trash := filepath.Join(o.StorePathRootDir, "skylark", "trash")
	require.NoError(t, os.MkdirAll(trash, 0o755))
	path := filepath.Join(trash, segment.Name(0))
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o644))
	require.NoError(t, os.Truncate(path, 4*shrinkStep))
	second, goOn := make(chan struct{}), make(chan struct{})
	fs.hook = func() {
		if len(fs.lengths) == 2 {
			close(second)
			<-goOn
		}
	}
	s := open(t, o)
	<-second
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	<-s.keeper.stop
	close(goOn)
	require.NoError(t, <-closed)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 2*shrinkStep, info.Size(), "the rest is left to the next start")
	fs.hook = nil
	s = open(t, o)
	require.NoError(t, s.onKeeper(func() {}))
	require.NoFileExists(t, path)
	require.Equal(t, []int64{3 * shrinkStep, 2 * shrinkStep, shrinkStep}, fs.lengths)
}

func TestForeverIsAReservedTime(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	o.FileReservedTime, o.DeleteWhen = 1<<31-1, "04;x;12"
	s := w.open(t, o)
	require.Greater(t, s.keeper.rules.ReservedTime, 200*365*24*time.Hour)
	require.Equal(t, []int{4, 12}, s.keeper.rules.Hours, "what can be read counts")
}

// dyingFS is the real file system of a process that dies in front of its n-th change of names.
type dyingFS struct {
	fsys.OS
	left atomic.Int64
}

var errDead = errors.New("the process is dead")

func (d *dyingFS) step() error {
	if d.left.Add(-1) < 0 {
		return errDead
	}
	return nil
}

func (d *dyingFS) Rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.OS.Rename(from, to)
}

func (d *dyingFS) Remove(path string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.OS.Remove(path)
}

func (d *dyingFS) SyncDir(dir string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.OS.SyncDir(dir)
}

// TestKilledWhileRemoving: whatever was removed when the process died, the next start finds a store without a
// hole and removes the rest.
func TestKilledWhileRemoving(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	o.FlushIntervalConsumeQueue = 10
	s := w.open(t, o)
	n := fill(t, s, 60, 0)
	require.NoError(t, s.Close())
	o.MaxStoreBytes = 2 * o.MappedFileSizeCommitLog
	for done := int64(0); ; done++ {
		fs := &dyingFS{}
		fs.left.Store(1 << 40)
		k := o
		k.FS, k.StorePathRootDir = fs, filepath.Join(t.TempDir(), "killed")
		copyPart(t, o.StorePathRootDir, k.StorePathRootDir, "")
		s := w.open(t, k)
		fs.left.Store(done)
		step(t, s)
		finished := fs.left.Load() >= 0
		c := o
		c.StorePathRootDir = filepath.Join(t.TempDir(), "copy")
		copyPart(t, k.StorePathRootDir, c.StorePathRootDir, "")
		fs.left.Store(1 << 40)
		require.NoError(t, s.Close())

		r := w.open(t, c)
		for topic, id := range map[string]int32{"A": 0, "B": 3} {
			verifyFrom(t, r, topic, id, n)
		}
		// Nothing goes before the units of what recovery found are durable.
		require.Eventually(t, func() bool { return r.durable.Load() == r.log.End() }, 10*time.Second, time.Millisecond)
		step(t, r)
		require.Equal(t, 2, logFiles(t, c))
		for topic, id := range map[string]int32{"A": 0, "B": 3} {
			verifyFrom(t, r, topic, id, n)
			requireTight(t, r, topic, id)
		}
		left, err := r.log.Trash()
		require.NoError(t, err)
		require.Empty(t, left, "the trash is emptied")
		fill(t, r, 3, n)
		require.NoError(t, r.Close())
		if finished {
			require.Greater(t, done, int64(10))
			return
		}
	}
}

// TestReadersKeepWhatTheyRead: readers run all the while files are removed; each gets right bytes or learns
// that they are gone.
func TestReadersKeepWhatTheyRead(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	o.MaxStoreBytes, o.FlushIntervalConsumeQueue, o.FlushIntervalCommitLog = 2*o.MappedFileSizeCommitLog, 10, 10
	o.CacheBytes = 1
	s := w.open(t, o)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var gone, found atomic.Int64
	for range 3 {
		wg.Go(func() {
			q := s.Queue("A", 0)
			for at := int64(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				b, res, err := s.Get(nil, GetRequest{Queue: q, Offset: at, MaxMessages: 8})
				if err != nil {
					t.Error(err)
					return
				}
				switch res.Status {
				case Found:
					r, err := message.Parse(b, true)
					if err != nil || string(r.Body) != fmt.Sprintf("A-0-%d", r.QueueOffset) || r.QueueOffset < at {
						t.Errorf("at %d: %v %q", at, err, r.Body)
						return
					}
					found.Add(1)
				case OffsetTooSmall, MessageWasRemoving:
					gone.Add(1)
				case OffsetOverflowOne, NoMessageInQueue:
				default:
					t.Errorf("%v at %d of %d to %d", res.Status, at, res.MinOffset, res.MaxOffset)
					return
				}
				at = max(res.NextOffset-20, 0) // stays where files are being removed
				_ = s.EarliestTime()
				_ = s.OffsetByTime("A", 0, 1, false)
			}
		})
	}
	n := 0
	for i := 0; i < 40 || i < 1000 && (gone.Load() == 0 || found.Load() == 0); i++ {
		n = fill(t, s, 12, n)
		step(t, s)
	}
	close(stop)
	wg.Wait()
	require.NotZero(t, s.Stats().RemovedFiles)
	require.NotZero(t, gone.Load())
	require.NotZero(t, found.Load())
	verifyFrom(t, s, "A", 0, n)
}

// TestNoRoomToWriteSetsARoundOff: when the kernel says that the disk is full, retention does not wait for
// its time, and messages are taken again by what it deletes.
func TestNoRoomToWriteSetsARoundOff(t *testing.T) {
	w := newEarth()
	o := w.options(t.TempDir())
	s := w.open(t, o)
	n := fill(t, s, 60, 0)
	require.NoError(t, s.Close())
	files := logFiles(t, o)
	full := fullDisk(&o, "write", "/commitlog/")
	s = w.open(t, o)
	w.used.Store(880)
	full.Store(true)
	require.ErrorIs(t, sendOne(t, s, 1), ErrNoSpace)
	require.Eventually(t, func() bool { return logFiles(t, o) < files }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.onKeeper(func() {})) // that round is over
	full.Store(false)
	require.NoError(t, sendOne(t, s, 1))
	require.Empty(t, s.Stats().Refusal)
	verifyFrom(t, s, "A", 0, n+1)
}
