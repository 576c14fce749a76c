package timer

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// moment is a point of the script at which the world may end.
type moment struct {
	label string
	img   *simfs.Disk
	tally *tally
	now   int64
	again bool // crash once more before the end
}

// TestCrashMatrix runs the script on a simulated disk. In front of each step that changes the disk, images are
// made of what a crash would leave; in each of them store and timer start, deliver what is left, and everything
// acknowledged must have come, nothing before its time.
func TestCrashMatrix(t *testing.T) {
	d := newDisk(t)
	r := newRig(t, d, begin, nil)
	acked := newTally()
	out := make(chan moment, 8)
	var seed uint64
	var images, copies atomic.Int64
	d.SetHook(func(op *simfs.Op) simfs.Fault {
		if op.Change == 0 {
			return simfs.Fault{}
		}
		for _, p := range simfs.Policies() {
			if seed++; seed%step != 0 {
				continue
			}
			out <- moment{label: fmt.Sprintf("step %d (%s %s), %v", op.Change, op.Kind, filepath.Base(op.Path), p), img: d.Image(seed, p), tally: acked.clone(),
				now: r.now.Load(), again: seed%5 == 0}
		}
		return simfs.Fault{}
	})
	var mu sync.Mutex
	var failures []string
	var wg sync.WaitGroup
	for range max(2, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for m := range out {
				images.Add(1)
				n, err := m.check(t)
				copies.Add(int64(n))
				if err != nil {
					mu.Lock()
					failures = append(failures, m.label+": "+err.Error())
					mu.Unlock()
				}
			}
		})
	}
	require.NoError(t, r.open())
	require.NoError(t, r.script(acked))
	require.NoError(t, r.pass(last))
	require.NoError(t, r.close())
	close(out)
	wg.Wait()
	t.Logf("%d images, %d messages delivered twice", images.Load(), copies.Load())
	require.Empty(t, strings.Join(failures[:min(len(failures), 10)], "\n"))
	require.Greater(t, images.Load(), int64(2000/step))
}

// check starts what the crash left, perhaps crashes once more, and goes on to the end. It returns how many
// messages were delivered more than once.
func (m *moment) check(t testing.TB) (copies int, err error) {
	r := newRig(t, m.img, m.now, nil)
	if err := r.open(); err != nil {
		return 0, fmt.Errorf("cannot open: %w", err)
	}
	if m.again {
		if err := r.pass(m.now + 3000); err != nil {
			return 0, err
		}
		img := m.img.Crash(uint64(m.now), simfs.Synced)
		_ = r.close()
		now := r.now.Load()
		if r = newRig(t, img, now, nil); r.open() != nil {
			return 0, errors.New("cannot open again")
		}
	}
	if err := r.pass(last); err != nil {
		return 0, err
	}
	recs, err := r.delivered()
	if err != nil {
		return 0, err
	}
	if err := m.tally.check(recs, r.now.Load(), 3); err != nil {
		return 0, err
	}
	seen := map[string]bool{}
	for _, rec := range recs {
		if seen[string(rec.Body)] {
			copies++
		}
		seen[string(rec.Body)] = true
	}
	if n := r.timer.Stats().Pending; n != 0 {
		return copies, fmt.Errorf("%d messages wait for ever", n)
	}
	return copies, r.close()
}
