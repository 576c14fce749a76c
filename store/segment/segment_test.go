package segment

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
)

func write(t *testing.T, dir, name string, size int) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("x", size)), 0o644))
}

func TestNamesAreJavas(t *testing.T) {
	require.Equal(t, "00000000001073741824", Name(1<<30))
	require.Equal(t, "09223372036854775807", Name(1<<63-1))
}

func TestRowIsFoundByOffset(t *testing.T) {
	dir := t.TempDir()
	for _, base := range []int64{300, 200, 400} {
		write(t, dir, Name(base), 100)
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	s, err := Open(fsys.OS{}, []string{dir}, 100)
	require.NoError(t, err)
	defer s.Close()
	require.EqualValues(t, 200, s.Min())
	require.EqualValues(t, 500, s.End())
	for offset, base := range map[int64]int64{199: -1, 200: 200, 299: 200, 300: 300, 499: 400, 500: -1, -1: -1, 0: -1} {
		f := s.Find(offset)
		if base < 0 {
			require.Nil(t, f, offset)
		} else {
			require.Equal(t, base, f.Base, offset)
		}
	}
	require.NoError(t, s.ReadAt(make([]byte, 100), 300))
	require.ErrorIs(t, s.ReadAt(make([]byte, 2), 299), io.EOF, "a read over a file's end")
	require.ErrorIs(t, s.ReadAt(make([]byte, 1), 500), io.EOF)

	prepared := filepath.Join(t.TempDir(), "next")
	write(t, filepath.Dir(prepared), "next", 100)
	f, err := s.Add(prepared, dir, 500)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, Name(500)), f.Path())
	require.Equal(t, f, s.Find(500))

	require.NoError(t, s.RemoveFrom(350)) // inside a file: that stays
	require.EqualValues(t, 400, s.End())
	_, err = os.Stat(filepath.Join(dir, Name(400)))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, s.RemoveFrom(0))
	require.Empty(t, s.All())
	require.Zero(t, s.End())
}

func TestForeignFilesAreRefused(t *testing.T) {
	for name, x := range map[string]struct {
		file string
		size int
		why  string
	}{
		"wrong size":  {Name(100), 99, "99 bytes long, files here have 100"},
		"no offset":   {"notes.txt", 100, `the file "notes.txt" does not belong there`},
		"odd offset":  {Name(150), 100, "does not belong there"},
		"short name":  {"100", 100, "does not belong there"},
		"a gap":       {Name(300), 100, "are missing"},
		"empty first": {"!", 0, "does not belong there"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, Name(0), 100)
			write(t, dir, x.file, x.size)
			_, err := Open(fsys.OS{}, []string{dir}, 100)
			require.ErrorContains(t, err, x.why)
		})
	}
}

func TestEmptyLastFileIsRemoved(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, Name(0), 100)
	write(t, dir, Name(100), 0)
	s, err := Open(fsys.OS{}, []string{dir}, 100)
	require.NoError(t, err)
	defer s.Close()
	require.Len(t, s.All(), 1)
	_, err = os.Stat(filepath.Join(dir, Name(100)))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// counting counts open files and notes any use after Close.
type counting struct {
	fsys.OS
	open, most atomic.Int32
	misuse     atomic.Int32
}

type counted struct {
	fsys.File
	fs     *counting
	closed atomic.Bool
}

func (c *counting) Open(path string, create bool) (fsys.File, error) {
	f, err := c.OS.Open(path, create)
	if err != nil {
		return nil, err
	}
	c.most.Store(max(c.most.Load(), c.open.Add(1)))
	return &counted{File: f, fs: c}, nil
}

func (f *counted) ReadAt(p []byte, off int64) (int, error) {
	if f.closed.Load() {
		f.fs.misuse.Add(1)
	}
	return f.File.ReadAt(p, off)
}

func (f *counted) Close() error {
	if f.closed.Swap(true) {
		f.fs.misuse.Add(1)
	}
	f.fs.open.Add(-1)
	return f.File.Close()
}

func TestHandlesKeepFewFilesAndNoneInUseIsClosed(t *testing.T) {
	dir := t.TempDir()
	fs := &counting{}
	h := NewHandles(fs, 3)
	path := func(i int) string { return filepath.Join(dir, Name(int64(i))) }
	for i := range 20 {
		require.NoError(t, h.Use(path(i), true, 8, func(f fsys.File) error {
			_, err := f.WriteAt([]byte{byte(i)}, 0)
			return err
		}))
	}
	require.EqualValues(t, 3, fs.open.Load())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 400 {
				no := (i*7 + w) % 20
				err := h.Use(path(no), false, 0, func(f fsys.File) error {
					var b [1]byte
					_, err := f.ReadAt(b[:], 0)
					if b[0] != byte(no) {
						t.Errorf("file %d holds %d", no, b[0])
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if i%50 == 0 {
					h.Forget(path(no))
				}
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, fs.most.Load(), int32(3+2*4), "the limit, and for each user one open and one more being opened")
	h.Close()
	require.Zero(t, fs.open.Load())
	require.Zero(t, fs.misuse.Load(), "a file was read or closed after it was closed")
}

func TestHandlesMakeAndMissFiles(t *testing.T) {
	h := NewHandles(fsys.OS{}, 3)
	defer h.Close()
	path := filepath.Join(t.TempDir(), "f")
	require.ErrorIs(t, h.Use(path, false, 0, func(fsys.File) error { return nil }), os.ErrNotExist)
	require.NoError(t, h.Use(path, true, 40, func(f fsys.File) error {
		n, err := f.Size()
		require.EqualValues(t, 40, n)
		return err
	}))
	require.ErrorIs(t, h.Use(path, false, 0, func(fsys.File) error { return io.ErrUnexpectedEOF }), io.ErrUnexpectedEOF)
}
