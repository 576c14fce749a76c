package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// TestProgressIsSeenWhileTheStoreRecovers: the disk looks at the progress at each of its calls, as a probe
// would while they take long.
func TestProgressIsSeenWhileTheStoreRecovers(t *testing.T) {
	disk := newSimDisk(t)
	o := simOptions(AsyncFlush, disk)
	s := open(t, o)
	for i := range 40 {
		require.NoError(t, sendOne(t, s, 5), i)
	}
	end := s.Stats().MaxPhysical
	require.Greater(t, end, 3*o.MappedFileSizeCommitLog)
	img := disk.Crash(1, simfs.Kill)
	for _, path := range img.Paths() {
		if rel, err := filepath.Rel(filepath.Join(simRoot, "consumequeue"), path); err == nil && rel[0] != '.' {
			require.NoError(t, img.Remove(path)) // so that there is something to dispatch
		}
	}
	require.NoError(t, img.Remove(filepath.Join(simRoot, "checkpoint")))

	p := &Progress{}
	require.Equal(t, ProgressNow{}, p.Now())
	var mu sync.Mutex
	seen := map[string][]ProgressNow{}
	img.SetHook(func(*simfs.Op) simfs.Fault {
		mu.Lock()
		defer mu.Unlock()
		n := p.Now()
		seen[n.Step] = append(seen[n.Step], n)
		return simfs.Fault{}
	})
	o.FS, o.Progress = img, p
	again := open(t, o)
	img.SetHook(nil)
	mu.Lock()
	defer mu.Unlock()
	for _, step := range []string{StepScan, StepDispatch} {
		require.NotEmpty(t, seen[step], step)
		last := ProgressNow{Total: -1}
		for _, n := range seen[step] {
			require.LessOrEqual(t, n.Done, n.Total, step)
			require.GreaterOrEqual(t, n.Done, last.Done, "%s goes back", step)
			last = n
		}
		require.Greater(t, last.Done, last.Total/2, step)
	}
	require.Equal(t, end, seen[StepDispatch][0].Total)
	require.NotEmpty(t, seen[StepSync])
	now := p.Now()
	require.Empty(t, now.Step)
	require.Positive(t, now.Took)
	require.Equal(t, now.Took, again.Meters().Recovery)
	verify(t, again, "A", 0, 200)
}

func TestProgressCountsQueues(t *testing.T) {
	disk := newSimDisk(t)
	o := simOptions(AsyncFlush, disk)
	s := open(t, o)
	for i := range 10 {
		done := make(outcome, 1)
		require.NoError(t, s.Submit(group(s, done, fmt.Sprint("T", i), 3, 0, 1, false)))
		require.NoError(t, <-done)
	}
	require.NoError(t, s.Close())
	o.Progress = &Progress{}
	var done []int64
	disk.SetHook(func(*simfs.Op) simfs.Fault {
		if n := o.Progress.Now(); n.Step == StepQueues && n.Total == 10 && (len(done) == 0 || done[len(done)-1] != n.Done) {
			done = append(done, n.Done)
		}
		return simfs.Fault{}
	})
	s = open(t, o)
	disk.SetHook(nil)
	require.Equal(t, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, done)
	require.NoError(t, s.Close())
}

func TestProgressIsLoggedEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &Store{o: Options{Logger: zerolog.New(&log), Progress: &Progress{}}}
		s.o.Progress.begin(StepScan, 1000, 400)
		stop := s.logProgress()
		s.o.Progress.at(1100)
		time.Sleep(2500 * time.Millisecond)
		s.o.Progress.begin(StepSync, 0, 0)
		time.Sleep(time.Second)
		stop()
		time.Sleep(time.Minute)
		require.Equal(t, `{"level":"info","step":"scan","done":100,"total":400,"percent":25,"left":"3s","running":"1s","message":"the message store is recovering"}
{"level":"info","step":"scan","done":100,"total":400,"percent":25,"left":"6s","running":"2s","message":"the message store is recovering"}
{"level":"info","step":"sync","running":"3s","message":"the message store is recovering"}
`, log.String())
	})
}

func TestFailedOpenEndsItsProgress(t *testing.T) {
	o := testOptions(t.TempDir())
	require.NoError(t, open(t, o).Close())
	require.NoError(t, os.WriteFile(filepath.Join(o.StorePathRootDir, "consumequeue", "CURRENT"), []byte("x"), 0o644))
	o.Progress = &Progress{}
	_, err := Open(o)
	require.ErrorContains(t, err, "RocksDB")
	require.Empty(t, o.Progress.Now().Step)
}

func TestMetersCountWritesSyncsAndReads(t *testing.T) {
	o := testOptions(t.TempDir())
	o.FlushDiskType = SyncFlush
	s := open(t, o)
	for range 5 {
		require.NoError(t, sendOne(t, s, 3))
	}
	st := s.Meters()
	sum := func(counts []int64) (n int64) {
		for _, c := range counts {
			n += c
		}
		return n
	}
	require.EqualValues(t, 5, sum(st.Appends.Counts[:]))
	require.GreaterOrEqual(t, sum(st.Syncs.Counts[:]), int64(5))
	require.Positive(t, st.Syncs.Sum)
	require.Zero(t, st.LongestGet)
	_, _, err := s.Get(nil, GetRequest{Queue: s.Queue("A", 0), MaxMessages: 1})
	require.NoError(t, err)
	require.Positive(t, s.Meters().LongestGet)
}
