//go:build unix

package fsys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes a record lock as Java's broker does.
func lock(f *os.File) error {
	l := firstByte()
	err := unix.FcntlFlock(f.Fd(), setLock, &l)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return ErrLocked
	}
	return err
}

func lockHeld(f *os.File) (bool, error) {
	l := firstByte()
	if err := unix.FcntlFlock(f.Fd(), getLock, &l); err != nil {
		return false, err
	}
	return l.Type != unix.F_UNLCK, nil
}

func firstByte() unix.Flock_t { return unix.Flock_t{Type: unix.F_WRLCK, Whence: 0, Start: 0, Len: 1} }
