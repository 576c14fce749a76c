package segment

import (
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
)

// TestFirstFileIsRemovedUnderItsReaders: a read that has begun ends well, the next one finds no file, and the
// file is idle when the last reader has left.
func TestFirstFileIsRemovedUnderItsReaders(t *testing.T) {
	dir, trash := t.TempDir(), t.TempDir()
	row(t, dir, 3)
	fs := &counting{}
	s, err := Open(fs, []string{dir}, 100)
	require.NoError(t, err)
	reading := s.Find(50)
	require.True(t, reading.hold())
	f, err := s.RemoveFirst(filepath.Join(trash, "gone"))
	require.NoError(t, err)
	require.Equal(t, reading, f)
	require.EqualValues(t, 100, s.Min())
	require.Nil(t, s.Find(50))
	require.ErrorIs(t, s.ReadAt(make([]byte, 1), 50), io.EOF)
	require.FileExists(t, filepath.Join(trash, "gone"))
	require.NoFileExists(t, filepath.Join(dir, Name(0)))
	require.False(t, f.Idle())
	_, err = reading.ReadAt(make([]byte, 10), 50)
	require.NoError(t, err)
	require.NoError(t, reading.release())
	require.True(t, f.Idle())
	require.False(t, reading.hold(), "a closed file stays closed")

	_, err = s.RemoveFirst(filepath.Join(trash, "second"))
	require.NoError(t, err)
	_, err = s.RemoveFirst(filepath.Join(trash, "last"))
	require.ErrorContains(t, err, "BUG", "the last file stays")
	require.NoError(t, s.ReadAt(make([]byte, 100), 200))
	require.NoError(t, s.Close())
	require.Zero(t, fs.open.Load())
	require.Zero(t, fs.misuse.Load())
}

func TestRemovalThatFailsChangesNothing(t *testing.T) {
	dir := t.TempDir()
	row(t, dir, 2)
	s, err := Open(&dying{noRename: true}, []string{dir}, 100)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.RemoveFirst(filepath.Join(t.TempDir(), "gone"))
	require.ErrorIs(t, err, errDead)
	require.NoError(t, s.ReadAt(make([]byte, 100), 0))
}

// TestReadersNeverSeeAClosedFile has readers at the front of a row whose front is removed all the time.
func TestReadersNeverSeeAClosedFile(t *testing.T) {
	dir, trash := t.TempDir(), t.TempDir()
	row(t, dir, 60)
	fs := &counting{}
	s, err := Open(fs, []string{dir}, 100)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			b := make([]byte, 100)
			for s.Min() < 59*100 {
				if err := s.ReadAt(b, s.Min()); err != nil && !errors.Is(err, io.EOF) || err == nil && b[99] != 'x' {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 59 {
		f, err := s.RemoveFirst(filepath.Join(trash, Name(int64(i))))
		require.NoError(t, err)
		if f.Idle() {
			require.NoError(t, fsys.OS{}.Remove(filepath.Join(trash, Name(int64(i)))))
		}
	}
	wg.Wait()
	require.EqualValues(t, 1, fs.open.Load())
	require.Zero(t, fs.misuse.Load())
	require.NoError(t, s.Close())
}
