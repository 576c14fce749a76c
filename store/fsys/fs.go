package fsys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// FS is what the store does to folders. OS is the real one.
type FS interface {
	// Open opens the file at path for reading and writing; with create it is made when absent.
	Open(path string, create bool) (File, error)
	// List returns the names and sizes in a folder, sorted by name; a missing folder is empty.
	List(dir string) ([]Entry, error)
	MkdirAll(dir string) error
	Rename(from, to string) error
	// Link gives the file at from a second name, which must be free.
	Link(from, to string) error
	// Joined reports whether Rename can move files from one folder to the other: both lie on the same mount of
	// the same file system.
	Joined(from, to string) (bool, error)
	Remove(path string) error
	RemoveAll(path string) error
	// SyncDir makes a folder's names durable.
	SyncDir(dir string) error
	// SyncAll makes all files and names of the file system that dir lies in durable, in one go.
	SyncAll(dir string) error
	// Lock makes the file at path and holds it against all others until it is closed; ErrLocked when it is held.
	Lock(path string) (io.Closer, error)
}

// Entry is one name in a folder.
type Entry struct {
	Name string
	Dir  bool
	Size int64
	// Modified is when a file was written last.
	Modified time.Time
}

// File is an open file. Reads and writes name their offset and may run at the same time.
type File interface {
	io.ReaderAt
	io.WriterAt
	// WriteVec writes all pieces one behind the other at off. Whatever it wrote before an error is
	// unspecified.
	WriteVec(pieces [][]byte, off int64) error
	// Datasync makes what was written durable. After an error nothing written since the last success may
	// be taken for durable, even if a later call succeeds.
	Datasync() error
	// Allocate reserves space for the first size bytes and makes the file that long, all zero.
	Allocate(size int64) error
	// Truncate sets the length; new bytes are zero and take no space.
	Truncate(size int64) error
	// Zero overwrites n bytes from off by zeros without changing the length.
	Zero(off, n int64) error
	// Forget says that what stands in [off, off+n) will not be read again soon and need not stay in memory.
	Forget(off, n int64)
	Size() (int64, error)
	Close() error
}

// Advisor is a File that can tell the kernel how it is read.
type Advisor interface {
	// ReadAhead sets whether a read may bring more of the file into memory than is asked for; it does at first.
	ReadAhead(on bool) error
}

// OS is the real file system.
type OS struct{}

// Open implements FS.
func (OS) Open(path string, create bool) (File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

// Private is OS but that nobody but their owner may read or write the files it makes.
type Private struct{ OS }

// Open implements FS.
func (Private) Open(path string, create bool) (File, error) {
	if !create {
		return OS{}.Open(path, false)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil { // of a file that was there
		return nil, errors.Join(err, f.Close())
	}
	return &osFile{File: f}, nil
}

// List implements FS.
func (OS) List(dir string) ([]Entry, error) {
	des, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	out := make([]Entry, 0, len(des))
	for _, d := range des {
		e := Entry{Name: d.Name(), Dir: d.IsDir()}
		if !e.Dir {
			info, err := d.Info()
			if err != nil {
				return nil, err
			}
			e.Size, e.Modified = info.Size(), info.ModTime()
		}
		out = append(out, e)
	}
	return out, nil
}

// MkdirAll implements FS.
func (OS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Link implements FS.
func (OS) Link(from, to string) error { return os.Link(from, to) }

// Remove implements FS.
func (OS) Remove(path string) error { return os.Remove(path) }

// RemoveAll implements FS.
func (OS) RemoveAll(path string) error { return os.RemoveAll(path) }

// SyncDir implements FS.
func (OS) SyncDir(dir string) error { return SyncDir(dir) }

// Lock implements FS.
func (OS) Lock(path string) (io.Closer, error) {
	l, err := LockFile(path)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// SyncParents makes the name of dir, and those of the folders above it, durable: a store that is made durable
// in a folder whose own name is not is lost all the same. Folders that cannot be synced, being another's or
// of a kind that has no sync, are passed over; nobody made them just now.
func SyncParents(f FS, dir string) error {
	for {
		up := filepath.Dir(dir)
		err := f.SyncDir(up)
		if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EROFS) {
			return err
		}
		if up == dir || up == "." {
			return nil
		}
		dir = up
	}
}

type osFile struct{ *os.File }

// Zero implements File.
func (f *osFile) Zero(off, n int64) error {
	if n <= 0 {
		return nil
	}
	if f.zeroRange(off, n) == nil {
		return nil
	}
	block := make([]byte, min(n, 1<<20))
	for n > 0 {
		m := min(n, int64(len(block)))
		if _, err := f.WriteAt(block[:m], off); err != nil {
			return fmt.Errorf("cannot zero %s from %d: %w", f.Name(), off, err)
		}
		off += m
		n -= m
	}
	return nil
}

// Size implements File.
func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
