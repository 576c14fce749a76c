package inspect

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store"
)

// spread moves every second file of the log to another folder and returns the options of a check and of a start.
func spread(t *testing.T, root string) (Options, store.Options) {
	t.Helper()
	other := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.Mkdir(other, 0o755))
	for n := int64(1); ; n += 2 {
		from := logPath(root, n)
		if _, err := os.Stat(from); err != nil {
			require.Greater(t, n, int64(3))
			break
		}
		require.NoError(t, os.Rename(from, filepath.Join(other, filepath.Base(from))))
	}
	// The index may have begun a file of Java's size, which a check by the options of these tests would not take.
	require.NoError(t, os.RemoveAll(filepath.Join(root, "index")))
	s := storeOptions(root)
	s.StorePathCommitLog = filepath.Join(root, "commitlog") + "," + other
	o := sizes(root)
	o.CommitLog, _ = s.CommitLogDirs()
	return o, s
}

func TestSeveralFolders(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 40)
	o, so := spread(t, root)
	other := o.CommitLog[1]
	lines, sum := look(t, o)
	require.Empty(t, lines)
	require.EqualValues(t, 560, sum.Records)
	require.EqualValues(t, 560, sum.Units)
	var out bytes.Buffer
	require.NoError(t, DumpLog(context.Background(), o, LogQuery{}, &out))
	require.Equal(t, 560, strings.Count(out.String(), "\n"))

	less := o
	less.CommitLog = o.CommitLog[:1]
	lines, _ = look(t, less)
	require.Contains(t, strings.Join(lines, "\n"), "are missing")
	name := filepath.Base(logPath(root, 1))
	b, err := os.ReadFile(filepath.Join(other, name))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(logPath(root, 1), b, 0o644))
	lines, sum = look(t, o)
	require.Equal(t, []string{"DAMAGED " + filepath.Join(other, name) + "@0: the file is in commitlog too, a start is refused while both are there"}, lines)
	require.EqualValues(t, 560, sum.Records, "one of them is read")
	require.NoError(t, os.Remove(logPath(root, 1)))

	// Damage in the other folder, and files that belong nowhere in both.
	lost := 0
	for recs["A"][lost].PhysicalOffset < testLogFile {
		lost++
	}
	at := recs["A"][lost].PhysicalOffset - testLogFile
	flip(t, filepath.Join(other, name), at+90, 1)
	for _, dir := range o.CommitLog {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), []byte(dir), 0o644))
	}
	before := contentOf(t, filepath.Join(other, name))
	steps, lines, _ := mend(t, o, RepairOptions{Fill: true})
	require.Empty(t, lines, "%s", strings.Join(steps, "\n"))
	for path, want := range map[string]string{"commitlog/x": o.CommitLog[0], "elsewhere" + other + "/x": other, "elsewhere" + filepath.Join(other, name): before} {
		found, err := filepath.Glob(filepath.Join(root, "skylark", "moved-*", path))
		require.NoError(t, err)
		require.Len(t, found, 1, path)
		require.Equal(t, want, contentOf(t, found[0]), path)
	}
	s, err := store.Open(so)
	require.NoError(t, err)
	defer s.Close()
	require.Empty(t, s.Damaged())
	q := s.Find("A", 0)
	require.EqualValues(t, 280, q.Max())
	_, res, err := s.Get(nil, store.GetRequest{Queue: q, Offset: int64(lost), MaxMessages: 1})
	require.NoError(t, err)
	require.Equal(t, store.MessageWasRemoving, res.Status)
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}
