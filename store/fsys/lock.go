package fsys

import (
	"errors"
	"fmt"
	"os"
)

// ErrLocked means that another process, ours or Java's, holds the lock.
var ErrLocked = errors.New("another process holds the lock")

// Lock holds a data folder.
type Lock struct{ f *os.File }

// LockFile takes the lock that Java's broker takes: an exclusive record lock on the first byte of the
// file, which then holds the word "lock" (DefaultMessageStore.start).
func LockFile(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open lock file %s: %w", path, err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock %s: %w", path, err), f.Close())
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

// LockHeld reports whether anybody holds the lock of an open file. It only asks, but on Windows, where it takes the
// lock for a moment.
func LockHeld(f *os.File) (bool, error) { return lockHeld(f) }
