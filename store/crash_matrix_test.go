package store

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/segment"
	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// The crash matrix: a script runs once on a simulated disk. In front of each step that changes the disk the
// world stands still and one image per policy is made of what a crash would leave now. Each image is opened,
// held against the tally of that moment, written on, crashed again, opened again.

const simRoot = "/data/store"

// soak makes the long versions of these tests.
func soak() bool { return os.Getenv("SKYLARK_SOAK") != "" }

// soakPart reports whether a long version does case i, of which it does one in n: all would take hours. The
// number in SKYLARK_SOAK says which; make takes the day's.
func soakPart(i, n uint64) bool {
	part, err := strconv.ParseUint(os.Getenv("SKYLARK_SOAK"), 10, 64)
	return err == nil && i%n == part%n
}

func simOptions(mode string, d *simfs.Disk) Options {
	o := DefaultOptions()
	o.StorePathRootDir, o.FS, o.FlushDiskType = simRoot, d, mode
	o.MappedFileSizeCommitLog, o.MappedFileSizeConsumeQueue = 4<<10, 20*10
	o.FlushIntervalCommitLog, o.FlushIntervalConsumeQueue = 1<<30, 1<<30 // the script says when
	o.SyncFlushTimeout = 1 << 30                                         // a step takes as long as the images of it
	o.MapperFileSizeBatchConsumeQueue, o.BatchTopic = 46*10, batchTopic
	o.CacheBytes = 1 << 16
	o.MaxHashSlotNum, o.MaxIndexNum = 20, 60
	var ticks atomic.Int64
	o.Now = func() time.Time { return time.UnixMilli(1_700_000_000_000 + ticks.Add(1)) }
	if joined, _ := d.Joined(simRoot, otherMount); !joined {
		o.StorePathCommitLog = simRoot + "/commitlog," + otherMount
	}
	return o
}

// otherMount is a folder of the CommitLog where a script has a second disk.
const otherMount = "/other"

func newSimDisk(t testing.TB) *simfs.Disk {
	d := simfs.New()
	require.NoError(t, d.MkdirAll(filepath.Dir(simRoot)))
	require.NoError(t, d.SyncDir("/"))
	return d
}

// moment is a point of the script at which the world may end.
type moment struct {
	label string
	img   *simfs.Disk
	tally *tally
	pol   simfs.Policy
	seed  uint64
	mode  string
	// flushed is what the running store knew to be durable.
	flushed int64
	deep    bool // crash in each step of the recovery too
}

// recorder makes moments of what happens on a disk.
type recorder struct {
	tally   *tally
	mode    string
	live    atomic.Pointer[Store]
	out     chan moment
	steps   int
	seed    uint64
	scatter int
}

func (r *recorder) hook(d *simfs.Disk) func(*simfs.Op) simfs.Fault {
	return func(op *simfs.Op) simfs.Fault {
		if op.Change == 0 {
			return simfs.Fault{}
		}
		r.steps++
		var flushed int64
		if s := r.live.Load(); s != nil {
			flushed = s.flushed.Load()
		}
		acked := r.tally.clone()
		for _, p := range simfs.Policies() {
			n := 1
			if p == simfs.Scatter || p == simfs.Prefix {
				n = r.scatter
			}
			for range n {
				r.emit(op, d, p, acked, flushed, nil)
			}
		}
		if op.Kind == "write" && len(op.Data) > 1 {
			// Killed in the middle of the write.
			for _, cut := range []int{1, len(op.Data) / 2, len(op.Data) - 1} {
				r.emit(op, d, simfs.Kill, acked, flushed, op.Data[:cut])
			}
		}
		return simfs.Fault{}
	}
}

func (r *recorder) emit(op *simfs.Op, d *simfs.Disk, p simfs.Policy, acked *tally, flushed int64, part []byte) {
	r.seed++
	if underRace && !soak() && r.seed%11 != 0 {
		return
	}
	m := moment{
		label: fmt.Sprintf("%s step %d (%s %s), %v", r.mode, r.steps, op.Kind, filepath.Base(filepath.Dir(op.Path))+"/"+filepath.Base(op.Path), p),
		img:   d.Image(r.seed, p), pol: p, seed: r.seed, mode: r.mode, flushed: flushed, deep: r.seed%31 == 0 || soakPart(r.seed, 8),
	}
	if part != nil {
		m.label += fmt.Sprintf(", %d bytes written", len(part))
		if f, err := m.img.Open(op.Path, false); err == nil {
			_, _ = f.WriteAt(part, op.Off)
			_ = f.Close()
		}
	}
	m.tally = r.tally.clone()
	m.tally.onlyAcked(acked)
	r.out <- m
}

func TestCrashMatrix(t *testing.T) { crashMatrix(t, (*recorder).script) }

func crashMatrix(t *testing.T, script func(r *recorder, t *testing.T)) {
	for _, mode := range []string{SyncFlush, AsyncFlush} {
		t.Run(mode, func(t *testing.T) {
			begun := time.Now()
			r := &recorder{tally: newTally(), mode: mode, out: make(chan moment, 16), scatter: 2}
			if soak() {
				r.scatter = 20
			}
			var failures failureList
			var reopened atomic.Int64
			var wg sync.WaitGroup
			for range max(2, runtime.GOMAXPROCS(0)) {
				wg.Go(func() {
					for m := range r.out {
						n, err := m.check()
						reopened.Add(int64(n))
						if err != nil {
							failures.add(fmt.Sprintf("%s (seed %d): %v", m.label, m.seed, err))
						}
					}
				})
			}
			script(r, t)
			close(r.out)
			wg.Wait()
			t.Logf("SUMMARY crash matrix, %s: %d steps, %d crash images, %d starts, %d failed, %v", mode, r.steps, r.seed, reopened.Load(), len(failures.all), time.Since(begun).Round(time.Millisecond))
			failures.report(t)
		})
	}
}

// failureList keeps what went wrong, a few words for each.
type failureList struct {
	mu  sync.Mutex
	all []string
}

func (f *failureList) add(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, s)
}

func (f *failureList) report(t *testing.T) {
	slices.Sort(f.all)
	for i, s := range f.all {
		if i == 12 {
			t.Errorf("and %d more", len(f.all)-i)
			break
		}
		t.Error(s)
	}
}

var (
	qa, qb, qc = queueKey{"A", 0}, queueKey{"A", 2}, queueKey{"B", 1}
	qd, qs     = queueKey{"Deleted", 0}, queueKey{ScheduleTopic, 1}
	qe         = queueKey{"Batch", 0} // of the form BatchCQ
	lx, ly     = "%LMQ%x", "%LMQ%y"   // light queues
)

// script is the life of a store: queues, batches, delays, rolls of both kinds of file, checkpoints, a topic
// that is deleted and made again, a clean stop, and a kill.
func (r *recorder) script(t *testing.T) {
	d := newSimDisk(t)
	d.SetHook(r.hook(d))
	open := func(from *simfs.Disk) *Store { return r.open(t, from) }
	s := open(d)
	send := func(parts ...part) { require.NoError(t, r.tally.put(s, parts...)) }
	mixed := func(i int) { r.mixed(t, s, i) }
	mixed(0)
	send(part{key: qd, sizes: []int{50, 50, 50}})
	require.NoError(t, s.syncLog())
	mixed(1)
	require.NoError(t, s.checkpoint())
	for i := range 4 {
		mixed(2 + i)
	}
	require.NoError(t, s.writeUnits())
	mixed(6)
	require.NoError(t, r.tally.deleteTopic(s, qd.topic))
	require.NoError(t, r.tally.deleteTopic(s, lx))
	mixed(7)
	send(part{key: qd, sizes: []int{80}})
	require.NoError(t, s.checkpoint())
	mixed(8)
	require.NoError(t, s.Close())
	s = open(d)
	mixed(9)
	send(part{key: qd, sizes: []int{80, 20}})
	require.NoError(t, s.syncLog())
	mixed(10)
	// The process dies, the system does not: what was not durable still is not.
	old := s
	k := d.Crash(0, simfs.Kill)
	k.SetHook(r.hook(k))
	r.live.Store(nil)
	d.SetHook(nil)
	d.Stop()
	_ = old.Close()
	s = open(k)
	require.NoError(t, s.checkpoint())
	mixed(11)
	require.NoError(t, r.tally.deleteTopic(s, qd.topic))
	mixed(12)
	require.NoError(t, s.Close())
}

func (r *recorder) open(t *testing.T, from *simfs.Disk) *Store {
	s, err := Open(simOptions(r.mode, from))
	require.NoError(t, err)
	r.live.Store(s)
	return s
}

// mixed sends messages of each kind, more than half a CommitLog file.
func (r *recorder) mixed(t *testing.T, s *Store, i int) {
	send := func(parts ...part) { require.NoError(t, r.tally.put(s, parts...)) }
	send(part{key: qa, sizes: []int{30 + i*17%200}})
	send(part{key: qa, sizes: []int{60, 700}, light: []string{lx, ly}}, part{key: qb, sizes: []int{40 + i}, light: []string{ly}}, part{key: qe, sizes: []int{20 + i}})
	send(part{key: qc, sizes: []int{20, 300, 20}, unit: true}, part{key: qs, sizes: []int{25}, delay: 1 + i%3})
}

// check opens the image and all that follows from it; it returns how often a store was started.
func (m *moment) check() (starts int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	img := m.img.Crash(0, simfs.Kill)
	s, err := Open(simOptions(m.mode, img))
	starts++
	if err != nil {
		return starts, err
	}
	defer func() { _ = s.Close() }()
	got, err := dump(s)
	if err != nil {
		return starts, err
	}
	if err := m.hold(m.tally, got, s.log.End()); err != nil {
		return starts, err
	}
	if err := strictLog(s, img); err != nil {
		return starts, err
	}
	if m.mode == SyncFlush {
		// What a consumer has seen stays, even if the power goes now.
		if err := same("a power cut behind the recovery", img.Crash(m.seed, simfs.Synced), m.mode, got, m.tally.deleted()); err != nil {
			return starts + 1, err
		}
		starts++
	}
	if m.deep {
		if err := indexed(s); err != nil {
			return starts, err
		}
		n, err := m.crashRecovery(got)
		if starts += n; err != nil {
			return starts, err
		}
	}
	n, err := m.goOn(s, img, got)
	return starts + n, err
}

// hold is verify with what this kind of crash may take.
func (m *moment) hold(t *tally, got map[queueKey][]item, end int64) error {
	upTo := t.end()
	if m.mode == AsyncFlush && m.pol != simfs.Kill {
		upTo = end
		if end < m.flushed {
			return fmt.Errorf("the log ends at %d, it was durable up to %d", end, m.flushed)
		}
	}
	return t.verify(got, upTo)
}

// goOn writes to the store, as long as what was lost, and crashes it again: nothing old comes back.
func (m *moment) goOn(s *Store, img *simfs.Disk, got map[queueKey][]item) (starts int, err error) {
	t := m.tally.clone()
	for _, k := range []queueKey{qa, qc, qd, qe} {
		var light []string
		if k == qc {
			light = []string{ly}
		}
		if err := t.put(s, part{key: k, sizes: []int{60, 700}, unit: k == qc, light: light}); err != nil {
			return starts, fmt.Errorf("writing on: %w", err)
		}
	}
	want, err := dump(s)
	if err != nil {
		return starts, fmt.Errorf("writing on: %w", err)
	}
	for k, items := range got {
		if len(want[k]) < len(items) || !slices.Equal(want[k][:len(items)], items) {
			return starts, fmt.Errorf("writing on: %v lost what it had", k)
		}
	}
	again := []simfs.Policy{simfs.Kill}
	if m.mode == SyncFlush {
		again = append(again, simfs.Synced, simfs.Scatter)
	}
	for _, p := range again {
		starts++
		if err := same(fmt.Sprintf("writing on, then %v", p), img.Crash(m.seed, p), m.mode, want, nil); err != nil {
			return starts, err
		}
	}
	if err := s.Close(); err != nil {
		return starts, err
	}
	starts++
	return starts, same("writing on, then a stop and a power cut", img.Crash(m.seed, simfs.Synced), m.mode, want, nil)
}

// same opens an image and finds exactly want; queues in loose may have changed.
func same(what string, img *simfs.Disk, mode string, want map[queueKey][]item, loose map[queueKey]bool) error {
	s, err := Open(simOptions(mode, img))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = s.Close() }()
	got, err := dump(s)
	want = maps.Clone(want)
	for k := range loose {
		delete(want, k)
		delete(got, k)
	}
	if err == nil && !maps.EqualFunc(want, got, slices.Equal[[]item]) {
		err = fmt.Errorf("other messages: %s", difference(want, got))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func difference(want, got map[queueKey][]item) string {
	var out []string
	for _, m := range []map[queueKey][]item{want, got} {
		for k := range m {
			if !reflect.DeepEqual(want[k], got[k]) {
				out = append(out, fmt.Sprintf("%v has %d, had %d", k, len(got[k]), len(want[k])))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "; ")
}

// crashRecovery crashes in front of every step of the recovery of the image.
func (m *moment) crashRecovery(want map[queueKey][]item) (starts int, err error) {
	d := m.img.Crash(0, simfs.Kill)
	var images []*simfs.Disk
	var pols []simfs.Policy
	d.SetHook(func(op *simfs.Op) simfs.Fault {
		for _, p := range []simfs.Policy{simfs.Kill, simfs.Synced, simfs.Scatter} {
			if op.Change > 0 && (p == simfs.Kill || m.pol != simfs.Kill) {
				images, pols = append(images, d.Image(m.seed, p)), append(pols, p)
			}
		}
		return simfs.Fault{}
	})
	s, err := Open(simOptions(m.mode, d))
	if err != nil {
		return 1, err
	}
	defer func() { _ = s.Close() }()
	d.SetHook(nil)
	for i, img := range images {
		if err := same(fmt.Sprintf("step %d of the recovery, %v", i, pols[i]), img, m.mode, want, m.tally.deleted()); err != nil {
			return i, err
		}
	}
	return len(images) + 1, nil
}

// strictLog checks the files of an open store: sizes, names, every record, and zeros behind the last.
func strictLog(s *Store, d *simfs.Disk) error {
	sc := s.log.Scan(s.log.Min())
	for {
		if _, _, ok := sc.Next(); !ok {
			break
		}
	}
	end := s.log.End()
	if sc.At() != end {
		return fmt.Errorf("the log ends at %d, a strict scan stops at %d: %w", end, sc.At(), sc.Err())
	}
	size := s.log.FileSize()
	for _, p := range d.Paths() {
		b, err := d.ReadFile(p)
		if err != nil {
			return err
		}
		var base int64
		switch rest, _ := strings.CutPrefix(p, simRoot+"/"); {
		case strings.HasPrefix(rest, "commitlog/"), filepath.Dir(p) == otherMount:
			if _, err := fmt.Sscanf(filepath.Base(p), "%d", &base); err != nil || filepath.Base(p) != segment.Name(base) || int64(len(b)) != size {
				return fmt.Errorf("%s, %d bytes, does not belong there", p, len(b))
			}
			for i, c := range b {
				if base+int64(i) >= end && c != 0 {
					return fmt.Errorf("%s holds something at %d, behind the end %d", p, base+int64(i), end)
				}
			}
		case strings.HasPrefix(rest, "consumequeue/"):
			if int64(len(b)) != s.o.MappedFileSizeConsumeQueue {
				return fmt.Errorf("%s is %d bytes long", p, len(b))
			}
		case strings.HasPrefix(rest, "batchconsumequeue/"):
			if int64(len(b)) != s.o.MapperFileSizeBatchConsumeQueue {
				return fmt.Errorf("%s is %d bytes long", p, len(b))
			}
		}
	}
	return nil
}
