package segment

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
)

// dying is the real file system of a process that dies in front of its n-th removal of a file.
type dying struct {
	counting
	removals int
	noRename bool
}

var errDead = errors.New("the process is dead")

func (d *dying) Remove(path string) error {
	if d.removals--; d.removals < 0 {
		return errDead
	}
	return d.counting.Remove(path)
}

func (d *dying) Rename(from, to string) error {
	if d.noRename {
		return errDead
	}
	return d.counting.Rename(from, to)
}

func row(t *testing.T, dir string, n int) {
	t.Helper()
	for i := range n {
		write(t, dir, Name(int64(i)*100), 100)
	}
}

// TestRemovalMayBeKilledAnywhere: whatever was removed when the process died, the rest is a row without a
// hole, which the next start opens and cuts again.
func TestRemovalMayBeKilledAnywhere(t *testing.T) {
	for done := range 4 {
		dir := t.TempDir()
		row(t, dir, 5)
		s, err := Open(&dying{removals: done}, []string{dir}, 100)
		require.NoError(t, err)
		require.ErrorIs(t, s.RemoveFrom(100), errDead)
		_ = s.Close()
		s, err = Open(fsys.OS{}, []string{dir}, 100)
		require.NoError(t, err, "killed after %d removals", done)
		require.EqualValues(t, 500-100*done, s.End())
		require.NoError(t, s.RemoveFrom(100))
		require.EqualValues(t, 100, s.End())
		require.NoError(t, s.Close())
	}
}

func TestRefusedFolderLeavesNoFileOpen(t *testing.T) {
	dir := t.TempDir()
	row(t, dir, 3)
	write(t, dir, Name(400), 100)
	fs := &counting{}
	_, err := Open(fs, []string{dir}, 100)
	require.ErrorContains(t, err, "are missing")
	require.Zero(t, fs.open.Load())
}

func TestAddThatFailsChangesNothing(t *testing.T) {
	dir, prep := t.TempDir(), t.TempDir()
	row(t, dir, 2)
	write(t, prep, "next", 100)
	s, err := Open(&dying{noRename: true}, []string{dir}, 100)
	require.NoError(t, err)
	defer s.Close()
	before := s.All()
	_, err = s.Add(filepath.Join(prep, "next"), dir, 200)
	require.ErrorIs(t, err, errDead)
	require.Equal(t, before, s.All())
	require.Nil(t, s.Find(200))
}

// TestReadersKeepTheirRow: a reader that holds the row sees the same files while others come and go.
func TestReadersKeepTheirRow(t *testing.T) {
	dir, prep := t.TempDir(), t.TempDir()
	row(t, dir, 3)
	s, err := Open(fsys.OS{}, []string{dir}, 100)
	require.NoError(t, err)
	defer s.Close()
	held := s.All()
	write(t, prep, "next", 100)
	_, err = s.Add(filepath.Join(prep, "next"), dir, 300)
	require.NoError(t, err)
	require.NoError(t, s.RemoveFrom(100))
	require.Len(t, held, 3)
	for i, f := range held {
		require.EqualValues(t, i*100, f.Base)
	}
	require.Len(t, s.All(), 1)
	_, err = held[2].ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, os.ErrClosed, "a removed file is closed")
}

func TestShortenedFileIsAnErrorNotZeros(t *testing.T) {
	dir := t.TempDir()
	row(t, dir, 2)
	s, err := Open(fsys.OS{}, []string{dir}, 100)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, os.Truncate(filepath.Join(dir, Name(100)), 50))
	require.NoError(t, s.ReadAt(make([]byte, 50), 100))
	err = s.ReadAt(make([]byte, 51), 100)
	require.ErrorIs(t, err, io.EOF)
	require.ErrorContains(t, err, Name(100), "a read that the row promises must say which file is short")
}

func TestMissingFolderIsAnEmptyRow(t *testing.T) {
	s, err := Open(fsys.OS{}, []string{filepath.Join(t.TempDir(), "none")}, 100)
	require.NoError(t, err)
	require.Empty(t, s.All())
	require.Zero(t, s.Min())
	require.Nil(t, s.Find(0))
	require.ErrorIs(t, s.ReadAt(make([]byte, 1), 0), io.EOF)
	require.NoError(t, s.RemoveFrom(0))
}

// TestFoldersAreSkippedAsJavaDoes: a folder whose name is an offset is no file, and an empty file counts as
// the last one only when nothing at all stands behind it (MappedFileQueue.doLoad).
func TestFoldersAreSkippedAsJavaDoes(t *testing.T) {
	dir := t.TempDir()
	row(t, dir, 2)
	require.NoError(t, os.Mkdir(filepath.Join(dir, Name(200)), 0o755))
	s, err := Open(fsys.OS{}, []string{dir}, 100)
	require.NoError(t, err)
	require.Len(t, s.All(), 2)
	require.NoError(t, s.Close())
	require.NoError(t, os.Truncate(filepath.Join(dir, Name(100)), 0))
	_, err = Open(fsys.OS{}, []string{dir}, 100)
	require.ErrorContains(t, err, "0 bytes long, files here have 100")
	require.FileExists(t, filepath.Join(dir, Name(100)))
}

// TestHandlesBoundOpenFiles holds more files in use than the limit: none of them is closed, and once they
// are given back the next one opened brings their number down again.
func TestHandlesBoundOpenFiles(t *testing.T) {
	dir := t.TempDir()
	fs := &counting{}
	h := NewHandles(fs, 2)
	defer h.Close()
	path := func(i int) string { return filepath.Join(dir, Name(int64(i))) }
	var hold func(i int) error
	hold = func(i int) error {
		if i == 6 {
			require.EqualValues(t, 6, fs.open.Load(), "a file in use was closed")
			return nil
		}
		return h.Use(path(i), true, 8, func(f fsys.File) error {
			err := hold(i + 1)
			_, readErr := f.ReadAt(make([]byte, 1), 0)
			require.NoError(t, readErr)
			return err
		})
	}
	require.NoError(t, hold(0))
	require.NoError(t, h.Use(path(9), true, 8, func(fsys.File) error { return nil }))
	require.EqualValues(t, 2, fs.open.Load())
	require.Zero(t, fs.misuse.Load())
}

// TestHandlesForgetWaitsForTheUser: the file that is forgotten while somebody reads it is closed by that
// reader, and the next Use opens what is at the path by then.
func TestHandlesForgetWaitsForTheUser(t *testing.T) {
	fs := &counting{}
	h := NewHandles(fs, 2)
	defer h.Close()
	path := filepath.Join(t.TempDir(), "f")
	first := func(f fsys.File) byte {
		var b [1]byte
		_, err := f.ReadAt(b[:], 0)
		require.NoError(t, err)
		return b[0]
	}
	require.NoError(t, h.Use(path, true, 8, func(f fsys.File) error {
		_, err := f.WriteAt([]byte{1}, 0)
		require.NoError(t, err)
		h.Forget(path)
		require.NoError(t, os.Remove(path))
		require.NoError(t, h.Use(path, true, 8, func(again fsys.File) error {
			require.EqualValues(t, 2, fs.open.Load())
			require.Zero(t, first(again), "a new file, not the one removed")
			return nil
		}))
		require.EqualValues(t, 1, first(f))
		return nil
	}))
	require.EqualValues(t, 1, fs.open.Load())
	require.Zero(t, fs.misuse.Load())
	h.Forget(path)
	h.Forget(path)
	require.Zero(t, fs.open.Load())
}

// TestHandlesKeepTheFilesUsedLast fails when the cache drops another file than the one used least recently.
func TestHandlesKeepTheFilesUsedLast(t *testing.T) {
	dir := t.TempDir()
	fs := &opens{}
	h := NewHandles(fs, 2)
	defer h.Close()
	use := func(name string) {
		require.NoError(t, h.Use(filepath.Join(dir, name), true, 8, func(fsys.File) error { return nil }))
	}
	for _, name := range []string{"a", "b", "a", "c", "a", "b"} {
		use(name)
	}
	require.Equal(t, []string{"a", "b", "c", "b"}, fs.names)
}

type opens struct {
	fsys.OS
	names []string
}

func (o *opens) Open(path string, create bool) (fsys.File, error) {
	o.names = append(o.names, filepath.Base(path))
	return o.OS.Open(path, create)
}
