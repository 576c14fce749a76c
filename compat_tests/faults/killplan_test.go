package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// plan is what a round does.
type plan struct {
	name  string
	flush string        // flushDiskType
	load  time.Duration // until the kill
	pause time.Duration // of a sender between two messages
	// offsets is flushConsumerOffsetInterval.
	offsets time.Duration
	// units is flushIntervalConsumeQueue, how often the checkpoint moves; log is flushIntervalCommitLog.
	units, log time.Duration
	limit      int64 // skylarkMaxStoreBytes, 0: nothing is deleted
	burst      bool  // files are deleted only when the kill is near, many then
	recovery   bool  // kill again, while it recovers
}

// String names the round in the log.
func (p plan) String() string { return strings.TrimSuffix(p.name+" "+p.flush, "_FLUSH") }

// plan makes the plan of a round: five kinds take turns. A clean stop is in none of them: whatever the
// flush policy, what a process has acknowledged must be in the kernel's hands when it dies.
func (s *soak) plan(round int) plan {
	turn := round / 5
	p := plan{flush: []string{"ASYNC_FLUSH", "SYNC_FLUSH"}[(round%5+turn+turn/4)%2], load: s.between(150, 1100),
		offsets: s.between(100, 200), units: time.Second, log: 500 * time.Millisecond}
	switch round % 5 {
	case 0, 1:
		p.name = "load"
	case 2:
		p.name, p.recovery = "recovery", true
		p.load += s.between(200, 400)
		p.units, p.log = time.Hour, time.Hour // all that was sent is left to the recovery
	case 3:
		p.name, p.limit, p.burst = "retention", max(4*killFileSize, s.logSize()/2), turn/2%2 == 0
		p.load += s.between(200, 400)
		p.pause = 5 * time.Millisecond                            // most of what is deleted should have been audited
		p.units, p.log = 20*time.Millisecond, 20*time.Millisecond // only what is durable may go
	case 4:
		p.name, p.units, p.log = "checkpoint", 10*time.Millisecond, 10*time.Millisecond
		if turn%4 == 0 {
			// The file must have been written once, and again something must have come behind that.
			p.name, p.offsets, p.load, p.pause = "default offsets", 5*time.Second, s.between(6500, 9000), 20*time.Millisecond
		}
	}
	return p
}

// logSize returns the bytes of all commit log files.
func (s *soak) logSize() int64 {
	s.t.Helper()
	files, err := os.ReadDir(filepath.Join(s.store(), "commitlog"))
	require.NoError(s.t, err)
	return int64(len(files)) * killFileSize
}

func (s *soak) between(from, to int) time.Duration {
	return time.Duration(from+s.rng.IntN(to-from)) * time.Millisecond
}

// configure writes the configuration of the broker's next start.
func (s *soak) configure(p plan) {
	s.t.Helper()
	text := fmt.Appendf(s.conf[:len(s.conf):len(s.conf)], "flushDiskType=%s\nflushConsumerOffsetInterval=%d\nflushIntervalConsumeQueue=%d\nflushIntervalCommitLog=%d\nskylarkMaxStoreBytes=%d\n",
		p.flush, p.offsets.Milliseconds(), p.units.Milliseconds(), p.log.Milliseconds(), p.limit)
	require.NoError(s.t, os.WriteFile(s.b.ConfFile(), text, 0o644))
}

func (s *soak) start(p plan) {
	s.t.Helper()
	s.configure(p)
	s.b.Restart(s.t)
}

func (s *soak) store() string { return filepath.Join(s.b.Dir(), "store") }

// killInRecovery starts the broker two to five times and kills it at a random moment behind the one at
// which it has taken the store's lock. It returns how many of the kills came before it was ready.
func (s *soak) killInRecovery(next plan) (early int) {
	s.t.Helper()
	s.configure(next)
	build := s.rng.IntN(2) == 0
	if build {
		s.forgetQueues()
	}
	for range 2 + s.rng.IntN(4) {
		s.b.Spawn(s.t)
		s.awaitLock()
		time.Sleep(time.Duration(s.rng.Int64N(int64(s.aims[build])))) // the moment of the kill is the test
		s.b.Kill(s.t)
		s.kills++
		log := s.b.Log()
		if strings.Contains(log, "boot success") {
			s.aims[build] = max(s.aims[build]*3/4, 5*time.Millisecond)
			continue
		}
		s.aims[build] = s.aims[build] * 10 / 9
		early++
		if build {
			s.moved++
		}
		if !strings.Contains(log, "message store recovered") {
			s.inStore++
		}
	}
	s.early += early
	return early
}

// forgetQueues takes all consume queues away, as an operator does who wants them built anew.
func (s *soak) forgetQueues() {
	s.t.Helper()
	aside := filepath.Join(s.b.Dir(), "aside")
	require.NoError(s.t, os.RemoveAll(aside))
	require.NoError(s.t, os.Rename(filepath.Join(s.store(), "consumequeue"), aside))
}

// awaitLock waits until the broker that was just started has the store's lock, or has ended.
func (s *soak) awaitLock() {
	s.t.Helper()
	fds := fmt.Sprintf("/proc/%d/fd", s.b.PID())
	lock := filepath.Join(s.store(), "lock")
	for deadline := time.Now().Add(30 * time.Second); s.b.Running(); time.Sleep(100 * time.Microsecond) {
		open, _ := os.ReadDir(fds) // none when the process is just gone
		for _, fd := range open {
			if to, err := os.Readlink(filepath.Join(fds, fd.Name())); err == nil && to == lock {
				return
			}
		}
		require.True(s.t, time.Now().Before(deadline), "the broker does not open its store\n%s", s.b.Log())
	}
}

// countTrash counts kills that left a file half deleted.
func (s *soak) countTrash() {
	s.t.Helper()
	left, err := os.ReadDir(filepath.Join(s.store(), "skylark", "trash"))
	require.True(s.t, err == nil || errors.Is(err, os.ErrNotExist), "%v", err) // it is made for the first file that goes
	if len(left) > 0 {
		s.trash++
	}
}

// awaitDeletion waits until retention takes a file out of the log and some instants more. When there is nothing
// to be deleted it gives up soon.
func (s *soak) awaitDeletion() {
	s.t.Helper()
	trash := filepath.Join(s.store(), "skylark", "trash")
	for deadline := time.Now().Add(500 * time.Millisecond); time.Now().Before(deadline); time.Sleep(50 * time.Microsecond) {
		if left, err := os.ReadDir(trash); err == nil && len(left) > 0 {
			break
		}
	}
	time.Sleep(time.Duration(s.rng.Int64N(int64(20 * time.Millisecond)))) // the moment of the kill is the test
}

// watchDelay replaces a small file again and again, as the broker does with its offsets, until the function
// that it returns is called. That returns how late the broker's own may be: several times the slowest.
func watchDelay(t *testing.T) func() time.Duration {
	t.Helper()
	dir := t.TempDir()
	quit, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		slowest := time.Duration(0)
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-quit:
				tick.Stop()
				worst <- slowest
				return
			case due := <-tick.C:
				if err := replaceFile(filepath.Join(dir, "file")); err != nil {
					t.Error(err)
				}
				slowest = max(slowest, time.Since(due))
			}
		}
	}()
	return func() time.Duration {
		close(quit)
		return 200*time.Millisecond + 4*<-worst
	}
}

func replaceFile(path string) error {
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	for _, step := range []func() error{f.Sync, f.Close, func() error { return os.Rename(path+".tmp", path) }} {
		if err == nil {
			err = step()
		}
	}
	return err
}
