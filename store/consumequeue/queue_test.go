package consumequeue

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

func config(t testing.TB, units int64) *Config {
	c := &Config{FS: fsys.OS{}, Dir: filepath.Join(t.TempDir(), "consumequeue"), FileSize: units * UnitSize, Handles: segment.NewHandles(fsys.OS{}, 2)}
	t.Cleanup(c.Handles.Close)
	return c
}

func flush(t *testing.T, q *Queue) {
	t.Helper()
	_, err := q.Flush(func(string, bool) {})
	require.NoError(t, err)
	require.False(t, q.Dirty())
}

func unitOf(n int64) Unit { return Unit{n * 100, 100, -n} }

func check(t *testing.T, q *Queue, from, to int64) {
	t.Helper()
	require.Equal(t, to, q.Max())
	buf := make([]byte, (to-from+5)*UnitSize)
	n, err := q.Read(from, buf)
	require.NoError(t, err)
	require.Equal(t, int(to-from), n)
	for i := range int64(n) {
		require.Equal(t, unitOf(from+i), GetUnit(buf[i*UnitSize:]))
	}
}

func TestUnitsAreReadFromMemoryAndFilesAlike(t *testing.T) {
	c := config(t, 7)
	q := New(c, "T", 3)
	for i := range int64(40) {
		dirty, _ := q.Append(unitOf(i))
		require.Equal(t, i%9 == 0, dirty)
		check(t, q, 0, i+1)
		if i%9 == 8 {
			flush(t, q)
			check(t, q, i/2, i+1)
		}
	}
	flush(t, q)
	info, err := os.Stat(filepath.Join(c.Dir, "T", "3", segment.Name(5*7*UnitSize)))
	require.NoError(t, err)
	require.Equal(t, c.FileSize, info.Size())
	loaded, err := Load(c, func(*Queue, int64, Unit) (bool, error) { return true, nil })
	require.NoError(t, err)
	require.Len(t, loaded, 1)
	check(t, loaded[0], 0, 40)
	require.Equal(t, int64(4000), loaded[0].MaxPhysical())
	require.NoError(t, loaded[0].CorrectMin(1550))
	require.Equal(t, int64(16), loaded[0].Min())
}

func TestLoadCutsUnitsTheLogDoesNotHave(t *testing.T) {
	c := config(t, 7)
	q := New(c, "T", 0)
	for i := range int64(17) {
		q.Append(unitOf(i))
	}
	flush(t, q)
	for _, keep := range []int64{17, 15, 12, 3, 0} {
		loaded, err := Load(c, func(_ *Queue, _ int64, u Unit) (bool, error) { return u.PhysicalOffset < keep*100, nil })
		require.NoError(t, err)
		check(t, loaded[0], 0, keep)
		again, err := Load(c, func(*Queue, int64, Unit) (bool, error) { return true, nil })
		require.NoError(t, err)
		check(t, again[0], 0, keep)
	}
}

func TestQueueBegunInTheMiddleIsFilledAsJavaDoes(t *testing.T) {
	c := config(t, 7)
	q := New(c, "T", 0)
	q.Begin(10)
	q.Append(unitOf(10))
	flush(t, q)
	loaded, err := Load(c, func(*Queue, int64, Unit) (bool, error) { return true, nil })
	require.NoError(t, err)
	require.Equal(t, int64(10), loaded[0].Min())
	check(t, loaded[0], 10, 11)
	require.NoError(t, loaded[0].Delete())
	n, err := loaded[0].Read(10, make([]byte, 100))
	require.NoError(t, err)
	require.Zero(t, n)
}

func BenchmarkAppend(b *testing.B) {
	q := New(config(b, 300000), "T", 0)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		if _, n := q.Append(unitOf(i)); n >= 64<<10 {
			if _, err := q.Flush(func(string, bool) {}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// TestFileOfADeletedQueueLeftOpen: a reader that was under way while the queue was deleted has opened its file
// again; the units of the queue made anew must not go into that.
func TestFileOfADeletedQueueLeftOpen(t *testing.T) {
	c := config(t, 7)
	old := New(c, "T", 0)
	old.Append(unitOf(0))
	flush(t, old)
	path := old.pathOf(0)
	require.NoError(t, c.Handles.Use(path, false, 0, func(fsys.File) error {
		return os.Remove(path) // Delete, between its Forget and the reader's entry in the cache
	}))
	require.NoError(t, old.Delete())
	q := New(c, "T", 0)
	q.Append(unitOf(0))
	flush(t, q)
	require.FileExists(t, path)
	check(t, q, 0, 1)
}
