package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/segment"
)

// TestKilledWhileWriting copies the folder while producers run, each part in front of what it is derived
// from: whatever was acknowledged when a copy began is in it, without a gap.
func TestKilledWhileWriting(t *testing.T) {
	o := testOptions(t.TempDir())
	o.FlushIntervalCommitLog, o.FlushIntervalConsumeQueue = 10, 10
	s := open(t, o)
	fill(t, s, 1, 0)
	require.NoError(t, s.Close()) // leaves a watermark
	s = open(t, o)
	var acked [4]atomic.Int64
	for range 5 {
		stop, warm := make(chan struct{}), make(chan struct{}, len(acked))
		var wg sync.WaitGroup
		for id := range acked {
			wg.Go(func() { produce(t, s, int32(id), &acked[id], warm, stop) })
		}
		for range acked {
			<-warm
		}
		var promised [4]int64
		for id := range promised {
			promised[id] = acked[id].Load()
		}
		k := o
		k.StorePathRootDir = filepath.Join(t.TempDir(), "copy")
		for _, part := range []string{"skylark/watermark", "checkpoint", "abort", "consumequeue"} {
			copyPart(t, o.StorePathRootDir, k.StorePathRootDir, part)
		}
		// A listing of a folder that changes may miss a file; the log's are known by name.
		for base := int64(0); ; base += o.MappedFileSizeCommitLog {
			name := filepath.Join("commitlog", segment.Name(base))
			if _, err := os.Stat(filepath.Join(o.StorePathRootDir, name)); err != nil {
				break
			}
			copyPart(t, o.StorePathRootDir, k.StorePathRootDir, name)
		}
		close(stop)
		wg.Wait()
		r := open(t, k)
		for id, n := range promised {
			got := r.MaxOffset("W", int32(id))
			require.GreaterOrEqual(t, got, n, "an acknowledged message is lost")
			verify(t, r, "W", int32(id), int(got))
		}
		require.NoError(t, r.Close())
	}
}

// produce sends to queue id until stop is closed; it says once that it has got going.
func produce(t *testing.T, s *Store, id int32, acked *atomic.Int64, warm, stop chan struct{}) {
	k := &sink{}
	for i, n := 0, int(acked.Load()); ; i, n = i+1, n+3 {
		if i == 10 {
			warm <- struct{}{}
		}
		select {
		case <-stop:
			return
		default:
		}
		k.wg.Add(1)
		if err := s.Submit(group(s, k, "W", id, n, 3, id%2 == 0)); err != nil {
			t.Error(err)
			warm <- struct{}{}
			return
		}
		k.wg.Wait()
		acked.Store(int64(n + 3))
	}
}

func copyPart(t *testing.T, from, to, part string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(filepath.Join(from, part), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dst := filepath.Join(to, path[len(from):])
		if d.IsDir() {
			return os.MkdirAll(dst, 0o755)
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(dst), 0o755))
		return os.WriteFile(dst, b, 0o644)
	}))
}
