package consumequeue

import (
	"errors"
	"fmt"
	"io/fs"
	"sort"
)

// CorrectMin moves the first offset to the first unit whose record begins at or behind minPhysical.
// A queue that is known to begin there costs no disk access. Only one goroutine at a time may call it.
// Java: ConsumeQueue.correctMinOffset.
func (q *Queue) CorrectMin(minPhysical int64) error {
	q.mu.Lock()
	lo, hi := q.bounds()
	known, gone := q.minPhys >= minPhysical, q.maxPhys > 0 && q.maxPhys <= minPhysical
	q.mu.Unlock()
	if known || lo == hi {
		return nil
	}
	if gone { // all of it
		q.begin(hi, q.Max(), minPhysical)
		return nil
	}
	var failed error
	var first BatchUnit // the last one found to be behind
	behind := func(row int64) bool {
		u, err := q.row(row)
		if err != nil && failed == nil {
			failed = err
		}
		if u.Size == preBlankSize || u.PhysicalOffset < minPhysical {
			return false
		}
		first = u
		return true
	}
	n := 0
	if !behind(lo) {
		n = sort.Search(int(hi-lo), func(i int) bool { return behind(lo + int64(i)) })
	}
	if failed != nil {
		return failed
	}
	if lo+int64(n) == hi {
		first.Base = q.Max()
	}
	q.begin(lo+int64(n), first.Base, minPhysical)
	return q.correctExt()
}

// begin moves the first row and offset forward; the record of that row does not begin in front of minPhysical.
func (q *Queue) begin(row, offset, minPhysical int64) {
	q.mu.Lock()
	q.SetMin(offset)
	q.rows.first = max(q.rows.first, row)
	q.minPhys = max(q.minPhys, minPhysical)
	q.mu.Unlock()
}

// row reads the unit of a row, from memory or its file.
func (q *Queue) row(row int64) (BatchUnit, error) {
	var b [BatchUnitSize]byte
	n, err := q.readRows(row, b[:q.c.unitSize()])
	if err != nil || n == 0 {
		return BatchUnit{}, err
	}
	return q.parse(b[:], row), nil
}

// Expired reports whether the queue has files in front of its first unit, not counting its last file: that
// is all that tells after a restart where the queue's offsets go on.
func (q *Queue) Expired() bool {
	from, to := q.expired()
	q.mu.Lock()
	defer q.mu.Unlock()
	extFrom, extTo := q.expiredExt()
	return from < to || extFrom < extTo
}

// expired returns the bases of the first file that may go and of the first that stays.
func (q *Queue) expired() (from, to int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted || q.hasFile < 0 {
		return 0, 0
	}
	first, _ := q.bounds()
	_, begin := q.path(first * q.c.unitSize())
	return q.firstFile, min(begin, q.hasFile)
}

// RemoveExpired removes the files in front of the queue's first unit and returns how many there were. It
// never removes the last file. No Flush or Delete of the queue may run. Removing them in order leaves a row
// without a hole whenever the process dies.
func (q *Queue) RemoveExpired() (int, error) {
	removed, err := q.removeExpiredExt()
	if err != nil {
		return removed, err
	}
	from, to := q.expired()
	for ; from < to; from += q.c.FileSize {
		path, _ := q.path(from)
		if err := q.c.FS.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("cannot remove %s: %w", path, err)
		}
		q.c.Handles.Forget(path)
		q.mu.Lock()
		q.firstFile = from + q.c.FileSize
		q.mu.Unlock()
		if removed++; from+q.c.FileSize < to {
			if err := q.c.FS.SyncDir(q.dir()); err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// removeExpiredExt is RemoveExpired for the queue's part of consumequeue_ext.
func (q *Queue) removeExpiredExt() (removed int, err error) {
	q.mu.Lock()
	from, to := q.expiredExt()
	q.mu.Unlock()
	for ; from < to; from += q.c.ExtFileSize {
		path, _ := q.extPath(from)
		if err := q.c.FS.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("cannot remove %s: %w", path, err)
		}
		q.c.Handles.Forget(path)
		q.mu.Lock()
		q.ext.first = from + q.c.ExtFileSize
		q.mu.Unlock()
		removed++
	}
	if removed == 0 {
		return 0, nil
	}
	return removed, q.c.FS.SyncDir(q.extDir())
}
