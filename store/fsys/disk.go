package fsys

// Disk is the space of a file system, in bytes.
type Disk struct {
	Total, Free int64
	// Usable is the part of Free that is not kept for root.
	Usable int64
	// ID tells disks apart: the device number, on Windows that of the volume.
	ID uint64
}

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
