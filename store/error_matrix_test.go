package store

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// The error matrix: the n-th call of one operation on one kind of file fails, once or until the disk is
// repaired, while the store runs, while it opens, while it closes. Always: nothing acknowledged is lost, nobody
// waits for ever, and the store either goes on or says by Err that it does not.

// fileKinds tells by its path what a file is.
var fileKinds = map[string]func(path string) bool{
	"commitlog":    func(p string) bool { return strings.Contains(p+"/", "/commitlog/") },
	"prep":         func(p string) bool { return strings.Contains(p, "/prep/") },
	"consumequeue": func(p string) bool { return strings.Contains(p+"/", "/consumequeue/") },
	"checkpoint":   func(p string) bool { return strings.HasSuffix(p, "/checkpoint") },
	"watermark":    func(p string) bool { return strings.HasSuffix(p, "/watermark") },
	"abort":        func(p string) bool { return strings.HasSuffix(p, "/abort") },
	"root":         func(p string) bool { return strings.HasSuffix(simRoot, p) },
}

var simOps = []string{"create", "mkdir", "rename", "remove", "syncdir", "write", "sync", "allocate", "truncate", "zero", "open", "read", "list"}

// outcomes of a fault while the store runs: it goes on, or is read only from then on.
const (
	goesOn   = "goes on"
	readOnly = "read only"
	either   = "either"
)

// expected says which outcome a fault must have: "file operation error duration", the error and the duration
// being left out when they make no difference. Not in the table: either.
var expected = map[string]string{
	"commitlog write EIO":    readOnly,
	"commitlog write ENOSPC": either, // a thin volume: read only when the group that spans two files is half written
	"commitlog sync":         readOnly,
	"commitlog syncdir":      readOnly,
	"commitlog rename":       either,
	"commitlog read":         goesOn,
	// Met half a file ahead and tried again when the file is needed.
	"prep create ENOSPC once":   goesOn,
	"prep allocate ENOSPC once": goesOn,
	"prep sync EIO once":        goesOn, // the file is made anew; its bytes were zeros
	"prep allocate ENOSPC long": goesOn,
	"consumequeue create":       goesOn,
	"consumequeue mkdir":        goesOn,
	"consumequeue truncate":     goesOn,
	"consumequeue write":        goesOn,
	"consumequeue read":         goesOn,
	"consumequeue sync":         readOnly,
	"consumequeue syncdir":      readOnly,
	"checkpoint write ENOSPC":   goesOn,
	"checkpoint write EIO":      readOnly,
	"checkpoint sync":           readOnly,
	"watermark write ENOSPC":    goesOn,
	"watermark write EIO":       readOnly,
}

func expectation(file, op, err, long string) string {
	for _, key := range []string{file + " " + op + " " + err + " " + long, file + " " + op + " " + err, file + " " + op} {
		if want, ok := expected[key]; ok {
			return want
		}
	}
	return either
}

// failing is a fault on a disk.
type failing struct {
	file, op string
	nth      int64
	long     bool
	err      error
	drop     bool
	hits     atomic.Int64
	seen     atomic.Int64
}

func (f *failing) String() string {
	long := "once"
	if f.long {
		long = "long"
	}
	return fmt.Sprintf("%s %s %s %s (call %d, drop %v)", f.file, f.op, errName(f.err), long, f.nth, f.drop)
}

func errName(err error) string {
	if errors.Is(err, syscall.ENOSPC) {
		return "ENOSPC"
	}
	return "EIO"
}

func (f *failing) hook(op *simfs.Op) simfs.Fault {
	if op.Kind != f.op || !fileKinds[f.file](op.Path) {
		return simfs.Fault{}
	}
	n := f.seen.Add(1)
	if n != f.nth && (n < f.nth || !f.long) {
		return simfs.Fault{}
	}
	f.hits.Add(1)
	return simfs.Fault{Err: f.err, Drop: f.drop, Short: op.Len / 2}
}

// faults calls fn with every fault of the matrix.
func faults(fn func(f *failing)) {
	n := 0
	for file := range fileKinds {
		for _, op := range simOps {
			depth := int64(2)
			if soak() || file+op == "commitlogread" { // a start looks at one record of each queue
				depth = 10
			}
			for nth := int64(1); nth <= depth; nth++ {
				for _, long := range []bool{false, true} {
					for _, err := range []error{syscall.ENOSPC, syscall.EIO} {
						if op == "read" && err == syscall.ENOSPC {
							continue
						}
						for _, drop := range []bool{false, true} {
							if n++; underRace && n%9 != 0 {
								continue
							}
							if !drop || op == "sync" {
								fn(&failing{file: file, op: op, nth: nth, long: long, err: err, drop: drop})
							}
						}
					}
				}
			}
		}
	}
}

// load is a store at work; every error is allowed but silence.
type load struct {
	t      *tally
	d      *simfs.Disk
	mode   string
	s      *Store
	failed int // groups
}

func startLoad(t *testing.T, mode string) *load {
	l := &load{t: newTally(), d: newSimDisk(t), mode: mode}
	s, err := Open(simOptions(mode, l.d))
	require.NoError(t, err)
	l.s = s
	require.NoError(t, l.work(4))
	require.Zero(t, l.failed)
	return l
}

// work submits groups, several at once, writes units and checkpoints. It returns an error when the store broke
// its word.
func (l *load) work(rounds int) error {
	for i := range rounds {
		var ks []*ticket
		for _, p := range [][]part{
			{{key: qa, sizes: []int{200, 300}, light: []string{lx, ly}}, {key: qc, sizes: []int{100, 100}, unit: true}},
			{{key: qb, sizes: []int{400}, light: []string{ly}}},
			{{key: queueKey{fmt.Sprint("T", i), 0}, sizes: []int{20}}},
		} {
			k, err := l.t.submit(l.s, p...)
			if err != nil {
				if !errors.Is(err, ErrReadOnly) || l.s.Err() == nil {
					return fmt.Errorf("refused at once with %w, Err is %w", err, l.s.Err())
				}
				l.failed++
				continue
			}
			ks = append(ks, k)
		}
		for _, k := range ks {
			select {
			case err := <-k.done:
				if err != nil {
					l.failed++
				}
			case <-time.After(30 * time.Second):
				return errors.New("a group is never answered")
			}
		}
		// As the tidy goroutine does it.
		step := l.s.checkpoint
		if i%2 == 0 {
			step = l.s.writeUnits
		}
		if err := step(); err != nil {
			l.s.unitsFailed(err)
		}
		_, _ = dump(l.s)
	}
	return nil
}

func (l *load) close() error {
	done := make(chan error, 1)
	go func() { done <- l.s.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(30 * time.Second):
		panic("Close does not return")
	}
}

// reopen starts on what each crash leaves, and checks it.
func (l *load) reopen() error {
	ps := []simfs.Policy{simfs.Kill, simfs.Synced}
	if soak() {
		ps = simfs.Policies()
	}
	for _, p := range ps {
		m := moment{img: l.d.Crash(1, p), tally: l.t.clone(), pol: p, seed: 1, mode: l.mode}
		if _, err := m.check(); err != nil {
			return fmt.Errorf("reopened after %v: %w", p, err)
		}
	}
	return nil
}

func TestErrorWhileRunning(t *testing.T) {
	var hit, cases atomic.Int64
	for _, mode := range []string{SyncFlush, AsyncFlush} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			faults(func(f *failing) {
				cases.Add(1)
				outcome, err := runWith(t, mode, f)
				if err != nil {
					t.Errorf("%v: %v", f, err)
				}
				if f.hits.Load() > 0 {
					hit.Add(1)
					seen[f.file+" "+f.op+" "+errName(f.err)+": "+outcome] = true
				}
			})
			for k := range seen {
				t.Log(k)
			}
		})
	}
	t.Cleanup(func() {
		t.Logf("SUMMARY errors while running: %d cases, the fault was met in %d", cases.Load(), hit.Load())
	})
}

func runWith(t *testing.T, mode string, f *failing) (string, error) {
	l := startLoad(t, mode)
	defer func() { _ = l.close() }()
	l.d.SetHook(f.hook)
	if err := l.work(6); err != nil {
		return "", err
	}
	l.d.SetHook(nil)
	if f.hits.Load() == 0 {
		return goesOn, nil
	}
	outcome := goesOn
	if l.s.Err() != nil {
		outcome = readOnly
	}
	long := "once"
	if f.long {
		long = "long"
	}
	if want := expectation(f.file, f.op, errName(f.err), long); want != either && outcome != want {
		return outcome, fmt.Errorf("it %s, should be: %s (%w)", outcome, want, l.s.Err())
	}
	// What was acknowledged is served whatever has happened.
	got, err := dump(l.s)
	if err == nil {
		err = l.t.verify(got, l.t.end())
	}
	if err != nil {
		return outcome, fmt.Errorf("before the stop: %w", err)
	}
	before := l.failed
	if err := l.work(4); err != nil {
		return outcome, fmt.Errorf("with the disk repaired: %w", err)
	}
	if outcome == goesOn && (l.failed > before || l.s.Err() != nil) {
		return outcome, fmt.Errorf("with the disk repaired, %d groups fail: %w", l.failed-before, l.s.Err())
	}
	if err := l.reopenKilledAndClosed(outcome); err != nil {
		return outcome, err
	}
	return outcome, nil
}

func (l *load) reopenKilledAndClosed(outcome string) error {
	if err := l.reopen(); err != nil {
		return fmt.Errorf("killed: %w", err)
	}
	err := l.close()
	if (err != nil) != (outcome == readOnly) {
		return fmt.Errorf("it %s, Close says %w", outcome, err)
	}
	if err := l.reopen(); err != nil {
		return fmt.Errorf("closed: %w", err)
	}
	return nil
}

// TestErrorWhileOpening: a start that fails changes nothing that matters; the next one finds everything.
func TestErrorWhileOpening(t *testing.T) {
	for _, mode := range []string{SyncFlush, AsyncFlush} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			l := startLoad(t, mode)
			killed := l.d.Crash(1, simfs.Kill)
			torn := l.d.Crash(1, simfs.Kill)
			f, err := torn.Open(simRoot+"/commitlog/00000000000000004096", false)
			require.NoError(t, err)
			_, err = f.WriteAt([]byte("torn"), l.s.log.End()%4096)
			require.NoError(t, err)
			tally := l.t.clone()
			require.NoError(t, l.close())
			hits, refused := 0, 0
			for _, img := range []*simfs.Disk{killed, torn, l.d} {
				faults(func(f *failing) {
					d := img.Crash(1, simfs.Kill)
					d.SetHook(f.hook)
					s, err := Open(simOptions(mode, d))
					d.SetHook(nil)
					if err != nil {
						refused++
					} else if err := s.Close(); err != nil {
						t.Errorf("%v: Open went through, Close says %v", f, err)
					}
					if f.hits.Load() == 0 {
						return
					}
					hits++
					m := moment{img: d, tally: tally, pol: simfs.Kill, seed: 1, mode: mode}
					if _, err := m.check(); err != nil {
						t.Errorf("%v: the next start: %v", f, err)
					}
				})
			}
			t.Logf("SUMMARY errors while opening, %s: %d faults met, %d starts refused", mode, hits, refused)
		})
	}
}

// TestErrorWhileClosing: a stop that could not do all of its work is not a clean one.
func TestErrorWhileClosing(t *testing.T) {
	for _, mode := range []string{SyncFlush, AsyncFlush} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			hits := 0
			faults(func(f *failing) {
				l := startLoad(t, mode)
				require.NoError(t, l.t.put(l.s, part{key: queueKey{"New", 0}, sizes: []int{100}}))
				l.d.SetHook(f.hook)
				err := l.close()
				l.d.SetHook(nil)
				if f.hits.Load() == 0 {
					return
				}
				hits++
				if _, gone := l.d.ReadFile(simRoot + "/abort"); err != nil && gone != nil && f.file != "root" {
					t.Errorf("%v: the stop failed (%v) and counts as clean", f, err)
				}
				if err := l.reopen(); err != nil {
					t.Errorf("%v: %v", f, err)
				}
			})
			t.Logf("SUMMARY errors while closing, %s: %d faults met", mode, hits)
		})
	}
}
