//go:build !linux

package fsys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Joined implements FS: it tries.
func (OS) Joined(from, to string) (bool, error) {
	f, err := os.CreateTemp(from, ".skylark-joined-*")
	if err != nil {
		return false, err
	}
	there := filepath.Join(to, filepath.Base(f.Name()))
	err = errors.Join(f.Close(), os.Rename(f.Name(), there))
	if err != nil {
		return false, os.Remove(f.Name())
	}
	return true, os.Remove(there)
}

// SyncAll implements FS: there is no call for a whole file system, so every file and folder below dir is synced.
func (OS) SyncAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return SyncDir(path)
		case !d.Type().IsRegular():
			return nil
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	if err != nil {
		return fmt.Errorf("cannot sync all below %s: %w", dir, err)
	}
	return nil
}

// WriteVec implements File.
func (f *osFile) WriteVec(pieces [][]byte, off int64) error {
	for _, b := range pieces {
		n, err := f.WriteAt(b, off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// ReadAhead implements Advisor. There is nobody to advise.
func (f *osFile) ReadAhead(bool) error { return nil }

// Datasync implements File. On macOS it reaches the disk itself, not only its cache (F_FULLFSYNC).
func (f *osFile) Datasync() error { return f.Sync() }

// Allocate implements File: the file is made sparse where the file system can, as Java's is.
func (f *osFile) Allocate(size int64) error { return f.Truncate(size) }

// Forget implements File. There is nobody to tell.
func (f *osFile) Forget(int64, int64) {}

func (f *osFile) zeroRange(int64, int64) error { return errors.ErrUnsupported }
