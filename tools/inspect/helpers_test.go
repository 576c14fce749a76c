package inspect

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/segment"
)

const (
	testLogFile   = 16 << 10
	testQueueFile = unitSize * 50
)

func storeOptions(root string) store.Options {
	o := store.DefaultOptions()
	o.StorePathRootDir = root
	o.MappedFileSizeCommitLog, o.MappedFileSizeConsumeQueue = testLogFile, testQueueFile
	o.MaxHashSlotNum, o.MaxIndexNum = 16, 64 // as in sizes
	o.Logger = zerolog.Nop()
	return o
}

// sizes are the options of a check that needs not guess them from damaged files.
func sizes(root string) Options {
	return Options{Root: root, LogFileSize: testLogFile, QueueFileSize: testQueueFile, HashSlots: 16, IndexEntries: 64}
}

// sink waits for groups.
type sink struct {
	wg  sync.WaitGroup
	err error
}

func (k *sink) Appended(_ *store.Group, err error) {
	k.err = err
	k.wg.Done()
}

// put stores n messages in a queue, from number from on.
func put(t testing.TB, s *store.Store, topic string, id int32, from, n int) []store.Rec {
	t.Helper()
	k := &sink{}
	g := &store.Group{Owner: k}
	for i := from; i < from+n; i++ {
		at := len(g.Buf)
		m := message.Message{Topic: topic, QueueID: id, BornTimestamp: 1_700_000_000_000, Body: fmt.Appendf(nil, "%s-%d-%d", topic, id, i)}
		g.Buf, _ = message.AppendRecord(g.Buf, &m, fmt.Sprintf("TAGS\x01a\x02KEYS\x01k%d\x02", i))
		g.Recs = append(g.Recs, store.Rec{Queue: s.Queue(topic, id), Size: int32(len(g.Buf) - at), TagsCode: 97})
	}
	k.wg.Add(1)
	require.NoError(t, s.Submit(g))
	k.wg.Wait()
	require.NoError(t, k.err)
	return g.Recs
}

// fill stores rounds of messages and returns where they went, by queue.
func fill(t testing.TB, root string, rounds int) map[string][]store.Rec {
	t.Helper()
	s, err := store.Open(storeOptions(root))
	require.NoError(t, err)
	out := map[string][]store.Rec{}
	for i := range rounds {
		out["A"] = append(out["A"], put(t, s, "A", 0, i*7, 7)...)
		out["B"] = append(out["B"], put(t, s, "B", 3, i*7, 7)...)
	}
	require.NoError(t, s.Close())
	return out
}

// look runs a check and returns its findings as lines, paths relative to the root.
func look(t testing.TB, o Options) ([]string, Summary) {
	t.Helper()
	var lines []string
	s, err := Check(context.Background(), o, func(f Finding) {
		lines = append(lines, strings.ReplaceAll(f.String(), o.Root+"/", ""))
	})
	require.NoError(t, err)
	return lines, s
}

// mend runs a repair and returns its steps.
func mend(t testing.TB, o Options, r RepairOptions) ([]string, []string, Summary) {
	t.Helper()
	var steps, lines []string
	r.Step = func(s string) { steps = append(steps, strings.ReplaceAll(s, o.Root+"/", "")) }
	r.Finding = func(f Finding) { lines = append(lines, strings.ReplaceAll(f.String(), o.Root+"/", "")) }
	s, err := Repair(context.Background(), o, r)
	require.NoError(t, err)
	return steps, lines, s
}

func logPath(root string, n int64) string {
	return filepath.Join(root, "commitlog", segment.Name(n*testLogFile))
}

func queuePath(root, topic string, id int, file int64) string {
	return filepath.Join(root, "consumequeue", topic, fmt.Sprint(id), segment.Name(file*testQueueFile))
}

// edit changes a file.
func edit(t testing.TB, path string, fn func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, fn(b), 0o644))
}

func flip(t testing.TB, path string, at int64, mask byte) {
	t.Helper()
	edit(t, path, func(b []byte) []byte { b[at] ^= mask; return b })
}

// verify opens the store and reads every message of a queue, but those whose numbers are lost.
func verify(t testing.TB, root, topic string, id int32, n int, lost ...int) {
	t.Helper()
	s, err := store.Open(storeOptions(root))
	require.NoError(t, err)
	defer s.Close()
	q := s.Find(topic, id)
	require.NotNil(t, q)
	require.EqualValues(t, n, q.Max())
	gone := map[int64]bool{}
	for _, i := range lost {
		gone[int64(i)] = true
	}
	for at := q.Min(); at < int64(n); at++ {
		b, res, err := s.Get(nil, store.GetRequest{Queue: q, Offset: at, MaxMessages: 1})
		require.NoError(t, err)
		require.Equal(t, at+1, res.NextOffset)
		if gone[at] {
			require.Equal(t, store.MessageWasRemoving, res.Status, "offset %d", at)
			continue
		}
		require.Equal(t, store.Found, res.Status, "offset %d", at)
		r, err := message.Parse(b, true)
		require.NoError(t, err)
		require.Equal(t, at, r.QueueOffset)
		require.Equal(t, fmt.Sprintf("%s-%d-%d", topic, id, at), string(r.Body))
	}
}

// tree returns size, time and content of everything below dir.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out[path] = fmt.Sprint(info.Mode(), info.ModTime().UnixNano())
		if !d.IsDir() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			out[path] += string(b)
		}
		return nil
	}))
	return out
}

// copyTree copies a store.
func copyTree(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	return to
}
