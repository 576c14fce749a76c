// Package segment is a row of files of one fixed size, each named by the offset of its first byte, as
// Java's MappedFileQueue lays them out: 20 decimal digits, offsets a multiple of the size.
//
// Files are read and written at offsets (pread, pwrite), never mapped: a page fault on a mapping stops
// the Go scheduler's whole slot, and a full disk would be a signal instead of an error.
package segment

import (
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/skylarkmq/skylark/store/fsys"
)

// NameDigits is the least number of digits of a file's name. Java: UtilAll.offset2FileName.
const NameDigits = 20

// Name returns the name of the file that begins at offset base.
func Name(base int64) string { return fmt.Sprintf("%0*d", NameDigits, base) }

// Files is a row of files. Readers need no lock; one owner at a time adds and removes.
type Files struct {
	fs   fsys.FS
	dir  string
	size int64
	mu   sync.Mutex
	row  atomic.Pointer[[]*File]
}

// File is one file of the row.
type File struct {
	fsys.File
	Base int64 // offset of its first byte
	path string
	refs atomic.Int64 // the row's and one for each read that runs; without any the file is closed
}

func newFile(f fsys.File, base int64, path string) *File {
	nf := &File{File: f, Base: base, path: path}
	nf.refs.Store(1)
	return nf
}

// Path returns where the file was opened.
func (f *File) Path() string { return f.path }

// hold keeps the file open until release, unless it is closed already.
func (f *File) hold() bool {
	for {
		n := f.refs.Load()
		if n == 0 {
			return false
		}
		if f.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (f *File) release() error {
	if f.refs.Add(-1) == 0 {
		return f.Close()
	}
	return nil
}

// Idle reports whether a file that was removed from its row is closed: no reader is left in it.
func (f *File) Idle() bool { return f.refs.Load() == 0 }

// Open reads the folder and opens its files. Like Java it refuses a file whose size is wrong or whose
// name is no offset, because nothing behind it could be trusted; an empty last file is removed, it was
// being made when the process died. Sub-folders are not looked at.
func Open(fs fsys.FS, dir string, size int64) (*Files, error) {
	s := &Files{fs: fs, dir: dir, size: size}
	entries, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", dir, err)
	}
	row := []*File{}
	s.row.Store(&row)
	opened := false
	defer func() {
		if !opened {
			_ = s.Close()
		}
	}()
	for i, e := range entries {
		if e.Dir {
			continue
		}
		path := filepath.Join(dir, e.Name)
		if e.Size == 0 && i == len(entries)-1 {
			if err := fs.Remove(path); err != nil {
				return nil, fmt.Errorf("cannot remove empty file %s: %w", path, err)
			}
			continue
		}
		base, err := strconv.ParseInt(e.Name, 10, 64)
		if err != nil || base < 0 || base%size != 0 || len(e.Name) < NameDigits {
			return nil, fmt.Errorf("cannot open %s: the file %q does not belong there", dir, e.Name)
		}
		if e.Size != size {
			return nil, fmt.Errorf("cannot open %s: %d bytes long, files here have %d", path, e.Size, size)
		}
		f, err := fs.Open(path, false)
		if err != nil {
			return nil, fmt.Errorf("cannot open %s: %w", path, err)
		}
		row = append(row, newFile(f, base, path))
	}
	sort.Slice(row, func(i, j int) bool { return row[i].Base < row[j].Base })
	for i := 1; i < len(row); i++ {
		if row[i].Base != row[i-1].Base+size {
			return nil, fmt.Errorf("cannot open %s: the files between %s and %s are missing", dir, Name(row[i-1].Base), Name(row[i].Base))
		}
	}
	opened = true
	return s, nil
}

// Dir returns the folder.
func (s *Files) Dir() string { return s.dir }

// FileSize returns the size of each file.
func (s *Files) FileSize() int64 { return s.size }

// All returns the files in order; the slice must not be changed.
func (s *Files) All() []*File { return *s.row.Load() }

// Min returns the offset of the first byte there is, 0 without files.
func (s *Files) Min() int64 {
	if row := s.All(); len(row) > 0 {
		return row[0].Base
	}
	return 0
}

// End returns the offset behind the last file's last byte, 0 without files.
func (s *Files) End() int64 {
	if row := s.All(); len(row) > 0 {
		return row[len(row)-1].Base + s.size
	}
	return 0
}

// Find returns the file that holds offset, nil when there is none.
func (s *Files) Find(offset int64) *File {
	row := s.All()
	if len(row) == 0 || offset < row[0].Base {
		return nil
	}
	if i := (offset - row[0].Base) / s.size; i < int64(len(row)) {
		return row[i]
	}
	return nil
}

// ReadAt fills p from offset; p must not reach over a file's end. It fails with io.EOF where no file is. A
// file that is removed meanwhile stays open, and whole, until the read is done.
func (s *Files) ReadAt(p []byte, offset int64) error {
	f := s.Find(offset)
	if f == nil || offset+int64(len(p)) > f.Base+s.size || !f.hold() {
		return io.EOF
	}
	defer f.release()
	n, err := f.ReadAt(p, offset-f.Base)
	if n == len(p) {
		return nil
	}
	return fmt.Errorf("cannot read %d bytes at %d of %s: %w", len(p), offset-f.Base, f.path, err)
}

// Add puts the prepared file at path, which has the right size, to the end of the row. It renames it into
// the folder; SyncDir makes that durable.
func (s *Files) Add(path string, base int64) (*File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := filepath.Join(s.dir, Name(base))
	if err := s.fs.Rename(path, to); err != nil {
		return nil, fmt.Errorf("cannot add %s: %w", to, err)
	}
	f, err := s.fs.Open(to, false)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", to, err)
	}
	nf := newFile(f, base, to)
	row := append(append([]*File(nil), s.All()...), nf)
	s.row.Store(&row)
	return nf, nil
}

// RemoveFrom deletes the files that begin at or behind base, the last first: whenever the process dies,
// what is left is a row without a hole.
func (s *Files) RemoveFrom(base int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.All()
	keep := sort.Search(len(row), func(i int) bool { return row[i].Base >= base })
	for n := len(row) - 1; n >= keep; n-- {
		if err := s.fs.Remove(row[n].path); err != nil {
			return fmt.Errorf("cannot remove %s: %w", row[n].path, err)
		}
		kept := append([]*File(nil), row[:n]...)
		s.row.Store(&kept)
		_ = row[n].release()
	}
	if keep < len(row) {
		return s.SyncDir()
	}
	return nil
}

// RemoveFirst moves the first file of several to the path trash, durably, and returns it. Readers that are
// in it finish; the caller deletes it when it is idle. Removing from the front, one by one, leaves a row
// without a hole whenever the process dies.
func (s *Files) RemoveFirst(trash string) (*File, error) {
	f, err := s.dropFirst(trash)
	if err != nil {
		return nil, err
	}
	// Not under the lock: an append that needs the next file must not wait for this.
	return f, s.SyncDir()
}

func (s *Files) dropFirst(trash string) (*File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.All()
	if len(row) < 2 {
		return nil, fmt.Errorf("BUG: the last file of %s is not to be removed", s.dir)
	}
	f := row[0]
	if err := s.fs.Rename(f.path, trash); err != nil {
		return nil, fmt.Errorf("cannot remove %s: %w", f.path, err)
	}
	kept := append([]*File(nil), row[1:]...)
	s.row.Store(&kept)
	_ = f.release()
	return f, nil
}

// SyncDir makes the names in the folder durable.
func (s *Files) SyncDir() error { return s.fs.SyncDir(s.dir) }

// Close closes all files.
func (s *Files) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first error
	for _, f := range s.All() {
		if err := f.release(); err != nil && first == nil {
			first = err
		}
	}
	empty := []*File{}
	s.row.Store(&empty)
	return first
}
