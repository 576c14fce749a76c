package fsys

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Disk is the space of a file system, in bytes.
type Disk struct {
	Total, Free int64
	// Usable is the part of Free that is not kept for root.
	Usable int64
	// ID tells disks apart: the device number.
	ID uint64
}

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
	return Disk{int64(s.Blocks) * unit, int64(s.Bfree) * unit, int64(s.Bavail) * unit, st.Dev}, nil
}

// IsFull recognises errors that space on the disk would cure.
func IsFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// UsedPercent returns how much of what we may use is used, in whole percents rounded up, and -1 when
// nothing is known. Java: UtilAll.getDiskPartitionSpaceUsedPercent.
func (d Disk) UsedPercent() int {
	used := d.Total - d.Free
	all := used + d.Usable
	if d.Total <= 0 || all <= 0 {
		return -1
	}
	return int((used*100 + all - 1) / all)
}
