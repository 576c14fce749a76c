package commitlog

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// TestWhichFolderIsNext: what Java 5.5.0 would choose comes first (MultiPathMappedFileQueue.tryCreateMappedFile).
func TestWhichFolderIsNext(t *testing.T) {
	a, b, c := "/a", "/b", "/c"
	l := &Log{o: Options{Dirs: []string{a, b, c}, FileSize: 100}}
	for _, x := range []struct {
		base int64
		full []string
		want []string
	}{
		{0, nil, []string{a, b, c}},
		{100, nil, []string{b, c, a}},
		{500, nil, []string{c, a, b}},
		{100, []string{b}, []string{c, a, b}},
		{200, []string{b}, []string{a, c, b}},
		{100, []string{a, b, c}, []string{b, c, a}},
		{0, []string{a, c}, []string{b, a, c}},
		{100, []string{a, c, "/elsewhere"}, []string{b, c, a}},
	} {
		l.SetFull(x.full)
		require.Equal(t, x.want, l.candidates(x.base), "%+v", x)
	}
}

// TestFolderThatIsAMount: nothing moves into it from beside, so the next file is made inside, out of Java's sight,
// and a stop leaves nothing. Without a second file system here there is nothing to see.
func TestFolderThatIsAMount(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "skylark")
	if err != nil {
		t.Skip("no /dev/shm")
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	link := filepath.Join(t.TempDir(), "commitlog")
	require.NoError(t, os.Symlink(dir, link)) // as good as a mount
	if joined, err := (fsys.OS{}).Joined(filepath.Dir(link), link); joined || err != nil {
		t.Skip("one file system, ", err)
	}
	// What a killed process left is found wherever it is, and an old place too.
	for _, left := range asides(link, prep) {
		require.NoError(t, os.MkdirAll(left, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(left, "next"), nil, 0o644))
	}
	l := open(t, filepath.Dir(link), fileSize)
	for range 10 {
		write(t, l, 1000)
	}
	require.NoError(t, l.Sync(0, l.End()))
	require.DirExists(t, filepath.Join(dir, ".skylark", "prep"))
	f, path, err := l.RemoveFirst()
	require.NoError(t, err)
	require.True(t, f.Idle())
	require.Equal(t, filepath.Join(link, ".skylark", "trash", segment.Name(0)), path)
	left, err := l.Trash()
	require.NoError(t, err)
	require.Equal(t, []string{path}, left)
	require.NoError(t, os.Remove(path))
	require.NoError(t, l.Close())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		require.False(t, e.IsDir(), e.Name())
	}
	beside, err := os.ReadDir(asides(link, prep)[0])
	require.NoError(t, err)
	require.Empty(t, beside)
}
