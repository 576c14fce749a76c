package fsys

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Joined implements FS. Devices alone do not tell: a container mounts folders of one disk one by one.
func (OS) Joined(from, to string) (bool, error) {
	var a, b unix.Stat_t
	for path, st := range map[string]*unix.Stat_t{from: &a, to: &b} {
		if err := unix.Stat(path, st); err != nil {
			return false, &os.PathError{Op: "stat", Path: path, Err: err}
		}
	}
	// Linux compares the mounts before it looks at the names, the last of which no rename takes: EBUSY.
	return a.Dev == b.Dev && unix.Rename(from+"/skylark", to+"/.") != unix.EXDEV, nil
}

// SyncAll implements FS.
func (OS) SyncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot sync the file system of %s: %w", dir, err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("cannot sync the file system of %s: %w", dir, err)
	}
	return nil
}

// maxIovecs is the most pieces the kernel takes at once (UIO_MAXIOV).
const maxIovecs = 1024

// WriteVec implements File.
func (f *osFile) WriteVec(pieces [][]byte, off int64) error {
	if len(pieces) == 1 {
		_, err := f.WriteAt(pieces[0], off)
		return err
	}
	fd := int(f.Fd())
	for len(pieces) > 0 {
		n, err := unix.Pwritev(fd, pieces[:min(len(pieces), maxIovecs)], off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "pwritev", Path: f.Name(), Err: err}
		}
		if n == 0 {
			return &os.PathError{Op: "pwritev", Path: f.Name(), Err: io.ErrShortWrite}
		}
		off += int64(n)
		for len(pieces) > 0 && n >= len(pieces[0]) {
			n -= len(pieces[0])
			pieces = pieces[1:]
		}
		if n > 0 { // a short write: the rest of this piece goes by itself, the caller's slice stays whole
			m, err := f.WriteAt(pieces[0][n:], off)
			if err != nil {
				return err
			}
			off += int64(m)
			pieces = pieces[1:]
		}
	}
	return nil
}

// ReadAhead implements Advisor.
func (f *osFile) ReadAhead(on bool) error {
	advice := unix.FADV_RANDOM
	if on {
		advice = unix.FADV_NORMAL
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, advice); err != nil {
		return &os.PathError{Op: "fadvise", Path: f.Name(), Err: err}
	}
	return nil
}

// Datasync implements File.
func (f *osFile) Datasync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
		return nil
	}
}

// Allocate implements File. Where the file system cannot reserve, the file is made sparse, as Java's is.
func (f *osFile) Allocate(size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EOPNOTSUPP:
			return f.Truncate(size)
		case err != nil:
			return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
		}
		return nil
	}
}

// Forget implements File.
func (f *osFile) Forget(off, n int64) {
	_ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_DONTNEED) // advice: nothing depends on it
}

// zeroRange has the file system zero a range without writing it.
func (f *osFile) zeroRange(off, n int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}
