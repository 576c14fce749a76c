package inspect

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/compaction"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

func TestCompactionLogs(t *testing.T) {
	const logSize, cqSize = 46 * 10 * 20, 46 * 10
	fresh := func() (root, logDir, cqDir string) {
		root = t.TempDir()
		o := storeOptions(root)
		o.CompactionMappedFileSize, o.CompactionCqMappedFileSize = logSize-cqSize, cqSize
		o.DiskUsage = func(string) (fsys.Disk, error) { return fsys.Disk{Total: 1 << 40, Free: 1 << 40, Usable: 1 << 40}, nil }
		s, err := store.Open(o)
		require.NoError(t, err)
		s.Compact("A")
		put(t, s, "A", 0, 0, 40)
		put(t, s, "B", 0, 0, 7)
		require.NoError(t, s.Close())
		return root, filepath.Join(root, "compaction/compactionLog/A/0"), filepath.Join(root, "compaction/compactionCq/A/0")
	}
	root, _, _ := fresh()
	found, sum := look(t, sizes(root))
	require.Empty(t, found)
	require.Equal(t, []int64{5, 40}, []int64{sum.CompactionFiles, sum.CompactionRecords})
	for name, c := range map[string]struct {
		harm func(logDir, cqDir string) error
		want string
	}{
		"queue file gone": {func(_, cqDir string) error { return os.Remove(filepath.Join(cqDir, segment.Name(logSize))) }, "DAMAGED compaction/compactionLog/A/0/00000000000000009200@0: the log file has no queue file"},
		"log file gone":   {func(logDir, _ string) error { return os.Remove(filepath.Join(logDir, segment.Name(0))) }, "DAMAGED compaction/compactionCq/A/0/00000000000000000000@0: the queue file has no log file"},
		"record": {func(logDir, _ string) error {
			flip(t, filepath.Join(logDir, segment.Name(0)), 90, 1)
			return nil
		}, "@0: no record of queue offset 0"},
		"unit": {func(_, cqDir string) error {
			flip(t, filepath.Join(cqDir, segment.Name(0)), 46+7, 1)
			return nil
		}, "the unit of queue offset 1"},
		"interrupted by Java": {func(logDir, _ string) error {
			return os.Rename(filepath.Join(logDir, segment.Name(0)), filepath.Join(logDir, segment.Name(0)+compaction.DeleteSuffix))
		}, ".delete@0: a round of Java's broker was interrupted"},
		"interrupted by us": {func(logDir, _ string) error {
			return os.WriteFile(filepath.Join(logDir, compaction.SwitchName), []byte("replace\nend\n"), 0o644)
		}, "WARNING compaction/compactionLog/A/0/skylark-switch@0: files are being replaced"},
		"foreign": {func(logDir, _ string) error { return os.WriteFile(filepath.Join(logDir, "notes"), []byte("x"), 0o644) }, "notes@0: the file does not belong there"},
	} {
		root, logDir, cqDir := fresh()
		require.NoError(t, c.harm(logDir, cqDir))
		found, _ := look(t, sizes(root))
		require.NotEmpty(t, found, name)
		require.Contains(t, found[0], c.want, name)
	}
}
