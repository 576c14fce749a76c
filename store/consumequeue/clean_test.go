package consumequeue

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// reads counts the files opened and fails removals from the n-th on.
type reads struct {
	fsys.OS
	opened   int
	removals int
}

var errDead = errors.New("the process is dead")

func (r *reads) Open(path string, create bool) (fsys.File, error) {
	r.opened++
	return r.OS.Open(path, create)
}

func (r *reads) Remove(path string) error {
	if r.removals--; r.removals < 0 {
		return errDead
	}
	return r.OS.Remove(path)
}

func counted(t *testing.T, units int64) (*Config, *reads) {
	fs := &reads{removals: 1 << 30}
	c := &Config{FS: fs, Dir: filepath.Join(t.TempDir(), "consumequeue"), FileSize: units * UnitSize, Handles: segment.NewHandles(fs, 0)}
	t.Cleanup(c.Handles.Close)
	return c, fs
}

func names(t *testing.T, q *Queue) (out []string) {
	entries, err := os.ReadDir(q.dir())
	require.NoError(t, err)
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func load(t *testing.T, c *Config) *Queue {
	loaded, err := Load(c, func(*Queue, int64, Unit) (bool, error) { return true, nil })
	require.NoError(t, err)
	require.Len(t, loaded, 1)
	return loaded[0]
}

func TestFirstOffsetFollowsTheLog(t *testing.T) {
	c, _ := counted(t, 7)
	q := New(c, "T", 0)
	for i := range int64(20) {
		q.Append(unitOf(i))
	}
	flush(t, q)
	for i := int64(20); i < 25; i++ {
		q.Append(unitOf(i)) // these stand in memory
	}
	for _, x := range []struct{ minPhysical, want int64 }{{0, 0}, {-1, 0}, {1, 1}, {100, 1}, {1350, 14}, {100, 14}, {1401, 15}, {2200, 22}, {2499, 25}, {9999, 25}} {
		require.NoError(t, q.CorrectMin(x.minPhysical))
		require.Equal(t, x.want, q.Min(), x.minPhysical)
	}
	q.Append(Unit{20000, 100, 0})
	require.NoError(t, q.CorrectMin(20000))
	require.EqualValues(t, 25, q.Min())
	require.NoError(t, q.CorrectMin(20001))
	require.EqualValues(t, 26, q.Min())
}

// TestKnownQueuesCostNoRead: with many queues, a log file that goes must not have all of their files read.
func TestKnownQueuesCostNoRead(t *testing.T) {
	c, fs := counted(t, 7)
	q := New(c, "T", 0)
	for i := range int64(20) {
		q.Append(Unit{5000 + i*100, 100, 0})
	}
	flush(t, q)
	opened := fs.opened
	require.NoError(t, q.CorrectMin(4000))
	require.NoError(t, q.CorrectMin(5000))
	require.Equal(t, opened, fs.opened, "its first record was seen")
	require.NoError(t, q.CorrectMin(7001))
	require.Equal(t, opened, fs.opened, "all of it is gone")
	require.EqualValues(t, 20, q.Min())

	q = load(t, c)
	c.Handles.Close()
	opened = fs.opened
	require.NoError(t, q.CorrectMin(4000))
	require.Equal(t, opened+1, fs.opened, "one unit is enough")
	require.NoError(t, q.CorrectMin(4000))
	require.Equal(t, opened+1, fs.opened)
}

func TestFilesInFrontOfTheQueueGo(t *testing.T) {
	c, _ := counted(t, 5)
	q := New(c, "T", 0)
	for i := range int64(22) {
		q.Append(unitOf(i))
	}
	flush(t, q)
	require.False(t, q.Expired())
	for _, x := range []struct {
		minPhysical int64
		removed     int
	}{{450, 1}, {900, 0}, {1000, 1}, {2200, 2}, {9999, 0}} {
		require.NoError(t, q.CorrectMin(x.minPhysical))
		require.Equal(t, x.removed > 0, q.Expired(), x.minPhysical)
		n, err := q.RemoveExpired()
		require.NoError(t, err)
		require.Equal(t, x.removed, n, x.minPhysical)
		require.False(t, q.Expired())
	}
	require.Equal(t, []string{segment.Name(20 * UnitSize)}, names(t, q), "the last file stays")
	again := load(t, c)
	require.NoError(t, again.CorrectMin(9999))
	require.EqualValues(t, 22, again.Min())
	require.EqualValues(t, 22, again.Max())
	buf := make([]byte, UnitSize)
	n, err := q.Read(3, buf)
	require.NoError(t, err, "a read that comes too late finds nothing")
	require.Zero(t, n)
}

// TestRemovalMayBeKilledAnywhere: what is left can be loaded, and the rest goes the next time.
func TestRemovalMayBeKilledAnywhere(t *testing.T) {
	for done := range 4 {
		c, fs := counted(t, 5)
		q := New(c, "T", 0)
		for i := range int64(22) {
			q.Append(unitOf(i))
		}
		flush(t, q)
		require.NoError(t, q.CorrectMin(2100))
		fs.removals = done
		n, err := q.RemoveExpired()
		require.Equal(t, done, n)
		if done < 4 {
			require.ErrorIs(t, err, errDead)
		}
		require.True(t, q.Expired(), "it can be tried again")
		fs.removals = 1 << 30
		again := load(t, c)
		require.NoError(t, again.CorrectMin(2100))
		require.EqualValues(t, 21, again.Min())
		n, err = again.RemoveExpired()
		require.NoError(t, err)
		require.Equal(t, 4-done, n)
		check(t, again, 21, 22)
	}
}

func TestQueueThatBeginsInTheMiddleOfAFile(t *testing.T) {
	c, _ := counted(t, 5)
	q := New(c, "T", 0)
	q.Begin(13)
	for i := int64(13); i < 23; i++ {
		q.Append(unitOf(i))
	}
	flush(t, q)
	q = load(t, c)
	require.EqualValues(t, 13, q.Min())
	require.NoError(t, q.CorrectMin(1300))
	require.EqualValues(t, 13, q.Min())
	require.NoError(t, q.CorrectMin(1600))
	require.EqualValues(t, 16, q.Min())
	n, err := q.RemoveExpired()
	require.NoError(t, err)
	require.Equal(t, 1, n)
	check(t, load(t, c), 16, 23)
}
