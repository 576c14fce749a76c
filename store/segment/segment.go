// Package segment is a row of files of one fixed size, each named by the offset of its first byte, as
// Java's MappedFileQueue lays them out: 20 decimal digits, offsets a multiple of the size. The files of one row
// may lie in several folders (Java: MultiPathMappedFileQueue).
//
// Files are read and written at offsets (pread, pwrite), never mapped: a page fault on a mapping stops
// the Go scheduler's whole slot, and a full disk would be a signal instead of an error.
package segment

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
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
	dirs []string
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

// ReadAhead is fsys.Advisor's, for a file that is one; others and closed ones take no advice.
func (f *File) ReadAhead(on bool) error {
	a, ok := f.File.(fsys.Advisor)
	if !ok || !f.hold() {
		return nil
	}
	err := a.ReadAhead(on)
	return errors.Join(err, f.release())
}

// Idle reports whether a file that was removed from its row is closed: no reader is left in it.
func (f *File) Idle() bool { return f.refs.Load() == 0 }

// Open reads the folders and opens their files as one row. Like Java it refuses a file whose size is wrong or
// whose name is no offset, because nothing behind it could be trusted; an empty last file is removed, it was
// being made when the process died. Sub-folders are not looked at, and a folder that does not exist is empty.
// Unlike Java it refuses a row with a hole, and a file that is there twice.
func Open(fs fsys.FS, dirs []string, size int64) (*Files, error) {
	s := &Files{fs: fs, dirs: dirs, size: size}
	row := []*File{}
	s.row.Store(&row)
	found, err := s.list()
	if err == nil {
		err = s.open(found)
	}
	if err == nil {
		err = s.whole()
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// found is what a folder holds.
type found struct {
	fsys.Entry
	dir string
}

// list returns what all folders hold, by name.
func (s *Files) list() ([]found, error) {
	var out []found
	for _, dir := range s.dirs {
		entries, err := s.fs.List(dir)
		if err != nil {
			return nil, fmt.Errorf("cannot list %s: %w", dir, err)
		}
		for _, e := range entries {
			out = append(out, found{e, dir})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

func (s *Files) open(files []found) error {
	var row []*File
	defer func() { s.row.Store(&row) }()
	for i, e := range files {
		if e.Dir {
			continue
		}
		path := filepath.Join(e.dir, e.Name)
		if e.Size == 0 && i == len(files)-1 {
			if err := s.fs.Remove(path); err != nil {
				return fmt.Errorf("cannot remove empty file %s: %w", path, err)
			}
			continue
		}
		base, err := strconv.ParseInt(e.Name, 10, 64)
		if err != nil || base < 0 || base%s.size != 0 || len(e.Name) < NameDigits {
			return fmt.Errorf("cannot open %s: the file %q does not belong there", e.dir, e.Name)
		}
		if e.Size != s.size {
			return fmt.Errorf("cannot open %s: %d bytes long, files here have %d", path, e.Size, s.size)
		}
		f, err := s.fs.Open(path, false)
		if err != nil {
			return fmt.Errorf("cannot open %s: %w", path, err)
		}
		row = append(row, newFile(f, base, path))
	}
	sort.SliceStable(row, func(i, j int) bool { return row[i].Base < row[j].Base })
	return nil
}

// whole checks that the row has each file once.
func (s *Files) whole() error {
	row := s.All()
	for i := 1; i < len(row); i++ {
		before, f := row[i-1], row[i]
		switch {
		case f.Base == before.Base:
			return fmt.Errorf("cannot open the files at offset %d: both %s and %s are there, only one can belong", f.Base, before.path, f.path)
		case f.Base != before.Base+s.size:
			return fmt.Errorf("cannot open %s: the files between %s and %s are missing, the first is %s (offset %d); looked for in %s",
				f.path, Name(before.Base), Name(f.Base), Name(before.Base+s.size), before.Base+s.size, s.Where())
		}
	}
	return nil
}

// Where names the folders, for messages.
func (s *Files) Where() string { return strings.Join(s.dirs, " and ") }

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

// Forget says that [offset, offset+n), which lies in one file, need not stay in memory.
func (s *Files) Forget(offset, n int64) {
	if f := s.Find(offset); f != nil && f.hold() {
		f.Forget(offset-f.Base, n)
		_ = f.release()
	}
}

// Add puts the prepared file at path, which has the right size, to the end of the row. It renames it into
// the folder dir, whose names the owner makes durable.
func (s *Files) Add(path, dir string, base int64) (*File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := filepath.Join(dir, Name(base))
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

// RemoveFrom deletes the files that begin at or behind base, the last first, and those of one folder durably
// before one of another: whenever the process or the power goes, what is left is a row without a hole.
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
		if dir := filepath.Dir(row[n].path); n == keep || filepath.Dir(row[n-1].path) != dir {
			if err := s.fs.SyncDir(dir); err != nil {
				return err
			}
		}
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
	return f, s.fs.SyncDir(filepath.Dir(f.path))
}

func (s *Files) dropFirst(trash string) (*File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.All()
	if len(row) < 2 {
		return nil, fmt.Errorf("BUG: the last file of %s is not to be removed", s.Where())
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
