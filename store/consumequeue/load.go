package consumequeue

import (
	"fmt"
	"path/filepath"
	"sort"
	"strconv"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// Load finds all queues in the folder of c and sets their bounds from their files. match reports whether
// a unit points to the record of that queue offset, its (first) message's, in the CommitLog; units at the end
// that do not are cut (and zeroed, so that they cannot come back). An error of match is Load's, and the unit
// stays. Names that are no queue are passed over, as in Java.
func Load(c *Config, match func(q *Queue, offset int64, u Unit) (bool, error)) ([]*Queue, error) {
	topics, err := c.FS.List(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", c.Dir, err)
	}
	var out []*Queue
	for _, t := range topics {
		if !t.Dir {
			continue
		}
		ids, err := c.FS.List(filepath.Join(c.Dir, t.Name))
		if err != nil {
			return nil, fmt.Errorf("cannot list queues of %s: %w", t.Name, err)
		}
		for _, d := range ids {
			id, err := strconv.ParseInt(d.Name, 10, 32)
			if !d.Dir || err != nil || id < 0 {
				continue
			}
			out = append(out, New(c, t.Name, int32(id)))
		}
	}
	for i, q := range out {
		if c.Loading != nil {
			c.Loading(i, len(out))
		}
		if err := q.load(match); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (q *Queue) load(match func(*Queue, int64, Unit) (bool, error)) error {
	bases, err := q.bases()
	if err != nil || len(bases) == 0 {
		return err
	}
	for len(bases) > 0 {
		last := bases[len(bases)-1]
		n, err := q.unitsIn(last)
		if err != nil {
			return err
		}
		end, u, err := q.trim(last, n, match)
		if err != nil {
			return err
		}
		behind := last/q.c.unitSize() + end
		if end > 0 || len(bases) == 1 {
			q.firstFile = bases[0]
			if end > 0 { // else nobody knows whether it has a durable name
				q.hasFile = last
			}
			q.rows.end = behind
			if q.c.Batch {
				behind = u.Base + int64(u.Messages)
			}
			q.max.Store(behind)
			if end > 0 && u.Size != preBlankSize {
				q.maxPhys = u.PhysicalOffset + int64(u.Size)
			}
			break
		}
		// Nothing in the last file holds: it was begun and cut back. An older file decides.
		path, _ := q.path(last)
		q.c.Handles.Forget(path)
		if err := q.c.FS.Remove(path); err != nil {
			return fmt.Errorf("cannot remove %s: %w", path, err)
		}
		bases = bases[:len(bases)-1]
	}
	q.Next = q.Max()
	if err := q.loadMin(bases[0]); err != nil || q.c.ExtDir == "" || q.c.Batch {
		return err
	}
	return q.loadExt()
}

// bases lists the files of the queue; a wrong size or a hole is refused as Java refuses it.
func (q *Queue) bases() ([]int64, error) {
	entries, err := q.c.FS.List(q.dir())
	if err != nil {
		return nil, fmt.Errorf("cannot list queue %s-%d: %w", q.Topic, q.ID, err)
	}
	var bases []int64
	for i, e := range entries {
		if e.Dir {
			continue
		}
		path := filepath.Join(q.dir(), e.Name)
		base, err := strconv.ParseInt(e.Name, 10, 64)
		if err != nil || base < 0 || base%q.c.FileSize != 0 || len(e.Name) < segment.NameDigits {
			return nil, fmt.Errorf("cannot load queue %s-%d: the file %q does not belong there", q.Topic, q.ID, e.Name)
		}
		if e.Size != q.c.FileSize {
			if e.Size == 0 && q.c.Torn {
				return bases, q.removeFrom(entries[i:])
			}
			if i != len(entries)-1 {
				return nil, fmt.Errorf("cannot load %s: %d bytes long, files here have %d", path, e.Size, q.c.FileSize)
			}
			// The last file was being made when the process died: nothing in it was promised.
			if err := q.c.FS.Remove(path); err != nil {
				return nil, fmt.Errorf("cannot remove %s: %w", path, err)
			}
			continue
		}
		bases = append(bases, base)
	}
	sort.Slice(bases, func(i, j int) bool { return bases[i] < bases[j] })
	return bases, nil
}

// removeFrom removes the files at the end of the queue, the last first. A power cut took the length of the
// first of them, so no checkpoint has named any: recovery writes their units anew.
func (q *Queue) removeFrom(entries []fsys.Entry) error {
	for i := len(entries) - 1; i >= 0; i-- {
		path := filepath.Join(q.dir(), entries[i].Name)
		if err := q.c.FS.Remove(path); err != nil {
			return fmt.Errorf("cannot remove %s: %w", path, err)
		}
	}
	return nil
}

// headBytes is how much of the head of a file is read at once: most queues have no more.
const headBytes = 4096

// unitsIn returns how many units from the file's start are written. Units stand without gaps, so a binary
// search finds the first empty one.
func (q *Queue) unitsIn(base int64) (int64, error) {
	var buf [headBytes]byte
	size := q.c.unitSize()
	all := int(q.c.FileSize / size)
	head := min(int(headBytes/size), all)
	if err := q.readFiles(base, buf[:int64(head)*size]); err != nil {
		return 0, err
	}
	n := sort.Search(head, func(i int) bool { return !q.parse(buf[int64(i)*size:], 0).valid() })
	if n < head {
		return int64(n), nil
	}
	var failed error
	n = head + sort.Search(all-head, func(i int) bool {
		u, err := q.fileUnit(base/size + int64(head+i))
		if err != nil && failed == nil {
			failed = err
		}
		return !u.valid()
	})
	return int64(n), failed
}

// parse reads the unit of a row; one of a simple queue stands for the one message with that queue offset.
func (q *Queue) parse(b []byte, row int64) BatchUnit {
	if q.c.Batch {
		return GetBatchUnit(b)
	}
	return BatchUnit{Unit: GetUnit(b), Base: row, Messages: 1}
}

// fileUnit reads the unit of a row from its file.
func (q *Queue) fileUnit(row int64) (BatchUnit, error) {
	var b [BatchUnitSize]byte
	size := q.c.unitSize()
	if err := q.readFiles(row*size, b[:size]); err != nil {
		return BatchUnit{}, err
	}
	return q.parse(b[:], row), nil
}

// trim walks back from unit n of the file until one matches the CommitLog and returns how many are left
// with the last of them. What it passes over is zeroed.
func (q *Queue) trim(base, n int64, match func(*Queue, int64, Unit) (bool, error)) (int64, BatchUnit, error) {
	size := q.c.unitSize()
	first := base / size
	var u BatchUnit
	left := n
	for ; left > 0; left-- {
		var err error
		if u, err = q.fileUnit(first + left - 1); err != nil {
			return 0, u, err
		}
		ok := u.Size == preBlankSize
		if !ok {
			if ok, err = match(q, u.Base, u.Unit); err != nil {
				return 0, u, fmt.Errorf("cannot tell whether unit %d of %s-%d holds: %w", first+left-1, q.Topic, q.ID, err)
			}
		}
		if ok {
			break
		}
	}
	if left < n {
		path, _ := q.path(base)
		err := q.c.Handles.Use(path, false, 0, func(f fsys.File) error {
			if err := f.Zero(left*size, (n-left)*size); err != nil {
				return err
			}
			return f.Datasync()
		})
		if err != nil {
			return 0, u, fmt.Errorf("cannot cut %s: %w", path, err)
		}
	}
	if left == 0 {
		u = BatchUnit{}
	}
	return left, u, nil
}

// loadMin passes over the units in front of the first message that were never written.
func (q *Queue) loadMin(base int64) error {
	if q.c.Batch {
		return q.loadMinBatch(base)
	}
	first := base / UnitSize
	n := min(q.Max()-first, q.c.FileSize/UnitSize)
	if n > 0 {
		if u, err := q.fileUnit(first); err != nil || u.Size != preBlankSize {
			q.min.Store(first)
			return err
		}
	}
	var failed error
	skip := sort.Search(int(n), func(i int) bool {
		u, err := q.fileUnit(first + int64(i))
		if err != nil && failed == nil {
			failed = err
		}
		return u.Size != preBlankSize
	})
	q.min.Store(first + int64(skip))
	return failed
}

// Cut forgets the units from offset on, which has one; maxPhysical is where the record of the one before it ends.
// What the files hold there is written over by the units that follow. No unit may wait in memory. It returns the
// file that the next unit goes to.
func (q *Queue) Cut(offset, maxPhysical int64) (string, error) {
	row := offset
	if q.c.Batch {
		var err error
		if row, _, err = q.find(offset); err != nil {
			return "", err
		}
	}
	if err := q.cutExt(row); err != nil {
		return "", err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rows.end = row
	q.max.Store(offset)
	q.Next, q.maxPhys = offset, maxPhysical
	return q.pathOf(row), nil
}

// Reset forgets everything and removes the files: the queue is to be built anew from the CommitLog.
func (q *Queue) Reset() error {
	if err := q.Delete(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gone.Store(false)
	q.deleted, q.hasFile, q.firstFile, q.maxPhys, q.minPhys, q.tailBase = false, -1, 0, 0, 0, 0
	q.rows = batchRows{}
	q.min.Store(0)
	q.max.Store(0)
	q.Next = 0
	return nil
}
