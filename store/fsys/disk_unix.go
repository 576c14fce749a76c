//go:build unix

package fsys

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// DiskOf returns the space of the file system that path lies on.
func DiskOf(path string) (Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Disk{}, fmt.Errorf("cannot look at the disk of %s: %w", path, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Disk{}, fmt.Errorf("cannot look at the disk of %s: %w", path, err)
	}
	unit := int64(s.Bsize)
	return Disk{int64(s.Blocks) * unit, int64(s.Bfree) * unit, int64(s.Bavail) * unit, uint64(st.Dev)}, nil
}

// IsFull recognises errors that space on the disk would cure.
func IsFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
