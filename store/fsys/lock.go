package fsys

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another process, ours or Java's, holds the lock.
var ErrLocked = errors.New("another process holds the lock")

// Lock holds a data folder.
type Lock struct{ f *os.File }

// LockFile takes the lock that Java's broker takes: an exclusive record lock on the first byte of the
// file, which then holds the word "lock" (DefaultMessageStore.start). An open-file-description lock
// conflicts with Java's lock and, unlike it, also with a second one of the same process.
func LockFile(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open lock file %s: %w", path, err)
	}
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: 0, Start: 0, Len: 1}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &l); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, fmt.Errorf("cannot lock %s: %w", path, ErrLocked)
		}
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	if _, err := f.WriteAt([]byte("lock"), 0); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("cannot write lock file %s: %w", path, err)
	}
	return &Lock{f}, nil
}

// Release gives the lock up; the file stays, as Java's does.
func (l *Lock) Release() error { return l.f.Close() }

// Close is Release.
func (l *Lock) Close() error { return l.Release() }
