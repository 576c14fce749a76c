package fsys

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
)

// DiskOf returns the space of the volume that path lies on.
func DiskOf(path string) (Disk, error) {
	d, err := diskOf(path)
	if err != nil {
		return Disk{}, fmt.Errorf("cannot look at the disk of %s: %w", path, err)
	}
	return d, nil
}

func diskOf(path string) (Disk, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return Disk{}, err
	}
	var usable, total, free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &usable, &total, &free); err != nil {
		return Disk{}, err
	}
	// A folder can be opened only so.
	h, err := windows.CreateFile(name, 0, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return Disk{}, err
	}
	defer windows.CloseHandle(h)
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return Disk{}, err
	}
	return Disk{int64(total), int64(free), int64(usable), uint64(info.VolumeSerialNumber)}, nil
}

// IsFull recognises errors that space on the disk would cure.
func IsFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
