package consumequeue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// ExtUnit is what the tags code of a unit stands for when it is an address in consumequeue_ext (spec/store.md 1.4):
//
//	0 size 2   2 tags code 8   10 store timestamp 8   18 size of the bit map 2   20 bit map
//
// Units stand back to back; a file ends with a size of -1 where the next one does not fit. Java: ConsumeQueueExt.
type ExtUnit struct {
	TagsCode       int64
	StoreTimestamp int64  // ms
	BitMap         []byte // of the filters that match; may be empty
}

const (
	extHead  = 20
	extBlank = 4 // bytes that a unit must leave in its file. Java: ConsumeQueueExt.END_BLANK_DATA_LENGTH
	// MaxExtBitMap is the largest bit map. Java: CqExtUnit.MAX_EXT_UNIT_SIZE.
	MaxExtBitMap = math.MaxInt16 - extHead
	maxExtAddr   = math.MinInt32 - 1
	maxExtReal   = maxExtAddr - math.MinInt64
)

// IsExtAddr tells an address from a tags code, which has 32 bits. Java: ConsumeQueueExt.isExtAddr.
func IsExtAddr(tagsCode int64) bool { return tagsCode <= maxExtAddr }

// extState is a queue's part of consumequeue_ext. Places are bytes from the beginning of its first file ever.
type extState struct {
	end            int64 // behind the last unit
	tail, flushing []byte
	hasFile        int64 // base of the last file known to exist
	known          bool  // there is one
	first          int64 // base of the first file
	min            int64 // no unit in front of it is needed
}

// memory returns where the units begin that are not in files yet.
func (x *extState) memory() int64 { return x.end - int64(len(x.tail)+len(x.flushing)) }

func (q *Queue) extDir() string {
	return filepath.Join(q.c.ExtDir, q.Topic, strconv.Itoa(int(q.ID)))
}

func (q *Queue) extPath(pos int64) (string, int64) {
	base := pos - pos%q.c.ExtFileSize
	return filepath.Join(q.extDir(), segment.Name(base)), base
}

// AppendExt is Append with an address in consumequeue_ext for the tags code, which is e's; when there is no room
// for e, as in Java, with the tags code itself.
func (q *Queue) AppendExt(u Unit, e ExtUnit) (dirty bool, size int) {
	q.mu.Lock()
	if !q.deleted {
		if at, ok := q.putExt(e); ok {
			u.TagsCode = at + math.MinInt64
		}
	}
	q.mu.Unlock()
	return q.Append(u)
}

func (q *Queue) putExt(e ExtUnit) (at int64, ok bool) {
	x := &q.ext
	n := int64(extHead + len(e.BitMap))
	left := q.c.ExtFileSize - x.end%q.c.ExtFileSize
	if n+extBlank > q.c.ExtFileSize || len(e.BitMap) > MaxExtBitMap || x.end+left+n > maxExtReal {
		return 0, false
	}
	if n+extBlank > left {
		end := make([]byte, left)
		copy(end, "\xff\xff")
		x.tail = append(x.tail, end...)
		x.end += left
	}
	at = x.end
	x.tail = binary.BigEndian.AppendUint16(x.tail, uint16(n))
	x.tail = binary.BigEndian.AppendUint64(x.tail, uint64(e.TagsCode))
	x.tail = binary.BigEndian.AppendUint64(x.tail, uint64(e.StoreTimestamp))
	x.tail = binary.BigEndian.AppendUint16(x.tail, uint16(len(e.BitMap)))
	x.tail = append(x.tail, e.BitMap...)
	x.end += n
	return at, true
}

// parseExt reads the unit at the head of b.
func parseExt(b []byte) (e ExtUnit, size int64, ok bool) {
	if len(b) < extHead {
		return e, 0, false
	}
	size = int64(int16(binary.BigEndian.Uint16(b)))
	e = ExtUnit{TagsCode: int64(binary.BigEndian.Uint64(b[2:])), StoreTimestamp: int64(binary.BigEndian.Uint64(b[10:]))}
	if n := int64(binary.BigEndian.Uint16(b[18:])); size != extHead+n || size > int64(len(b)) {
		return e, size, false
	}
	e.BitMap = b[extHead:size:size]
	return e, size, true
}

// extReader keeps a piece of a file: the units of neighbouring messages are neighbours.
type extReader struct {
	at  int64
	buf []byte
}

// extPiece is how much of a file is read at once.
const extPiece = 4096

// readExt returns the unit at a place; ok is false when there is none. e aliases r.
func (q *Queue) readExt(at int64, r *extReader) (e ExtUnit, size int64, ok bool, err error) {
	q.mu.Lock()
	if at < 0 || at >= q.ext.end {
		q.mu.Unlock()
		return e, 0, false, nil
	}
	if memory := q.ext.memory(); at >= memory {
		src, from := q.ext.flushing, at-memory
		if from >= int64(len(src)) {
			src, from = q.ext.tail, from-int64(len(src))
		}
		e, size, ok = parseExt(src[from:])
		e.BitMap = append([]byte(nil), e.BitMap...)
		q.mu.Unlock()
		return e, size, ok, nil
	}
	q.mu.Unlock()
	if from := at - r.at; from >= 0 && from < int64(len(r.buf)) {
		if e, size, ok = parseExt(r.buf[from:]); ok {
			return e, size, true, nil
		}
	}
	path, base := q.extPath(at)
	for most := int64(extPiece); ; most = extHead + MaxExtBitMap {
		n := min(most, base+q.c.ExtFileSize-at)
		r.at, r.buf = at, make([]byte, n)
		err = q.c.Handles.Use(path, false, 0, func(f fsys.File) error {
			_, err := f.ReadAt(r.buf, at-base)
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			return e, 0, false, nil
		}
		if err != nil {
			return e, 0, false, fmt.Errorf("cannot read %s at %d: %w", path, at-base, err)
		}
		if e, size, ok = parseExt(r.buf); ok || size <= n || n < most || most > extPiece {
			return e, size, ok, nil
		}
	}
}

// resolve replaces the addresses in units by the tags codes they stand for. What cannot be found stays an address.
func (q *Queue) resolve(units []byte) error {
	var r extReader
	for ; len(units) >= UnitSize; units = units[UnitSize:] {
		u := GetUnit(units)
		if !IsExtAddr(u.TagsCode) {
			continue
		}
		e, _, ok, err := q.readExt(u.TagsCode-math.MinInt64, &r)
		if err != nil {
			return err
		}
		if ok {
			u.TagsCode = e.TagsCode
			PutUnit(units, u)
		}
	}
	return nil
}

// ExtAt returns what consumequeue_ext has for the message with queue offset n; ok is false when it has nothing.
func (q *Queue) ExtAt(n int64) (e ExtUnit, ok bool, err error) {
	if q.c.Batch || q.c.ExtDir == "" || n < 0 {
		return e, false, nil
	}
	u, err := q.row(n)
	if err != nil || !IsExtAddr(u.TagsCode) {
		return e, false, err
	}
	e, _, ok, err = q.readExt(u.TagsCode-math.MinInt64, &extReader{})
	return e, ok, err
}

// writeExt writes the units taken by Flush. They must be in the files before the units that point to them.
func (q *Queue) writeExt(touched func(string, bool)) error {
	q.mu.Lock()
	buf, pos, known, last := q.ext.flushing, q.ext.memory(), q.ext.known, q.ext.hasFile
	q.mu.Unlock()
	if len(buf) == 0 {
		return nil
	}
	if !known { // what stands there is of a queue that was removed
		if err := q.removeExt(); err != nil {
			return err
		}
		if err := q.c.FS.MkdirAll(q.extDir()); err != nil {
			return fmt.Errorf("cannot make folder %s: %w", q.extDir(), err)
		}
	}
	for len(buf) > 0 {
		path, base := q.extPath(pos)
		n := min(int64(len(buf)), base+q.c.ExtFileSize-pos)
		created := !known || last != base
		if err := q.c.writePiece(path, q.c.ExtFileSize, pos-base, buf[:n], created, touched); err != nil {
			return err
		}
		q.mu.Lock()
		if !q.ext.known {
			q.ext.first = base
		}
		q.ext.known, q.ext.hasFile = true, base
		q.mu.Unlock()
		known, last = true, base
		buf, pos = buf[n:], pos+n
	}
	return nil
}

// removeExt removes the queue's part of consumequeue_ext.
func (q *Queue) removeExt() error {
	entries, err := q.c.FS.List(q.extDir())
	if err == nil {
		for _, e := range entries {
			q.c.Handles.Forget(filepath.Join(q.extDir(), e.Name))
		}
		err = q.c.FS.RemoveAll(q.extDir())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot delete %s: %w", q.extDir(), err)
	}
	return nil
}

// loadExt finds the end of the queue's part of consumequeue_ext: behind the unit that the queue's last unit points
// to. Files behind it are removed, as by Java (ConsumeQueueExt.truncateByMaxAddress).
func (q *Queue) loadExt() error {
	bases, err := q.extBases()
	if err != nil || len(bases) == 0 {
		return err
	}
	x, last := &q.ext, bases[len(bases)-1]
	x.first, x.end = bases[0], last+q.c.ExtFileSize // while it is looked for
	var u BatchUnit
	if q.Max() > q.Min() {
		if u, err = q.row(q.Max() - 1); err != nil {
			return err
		}
	}
	end := u.TagsCode - math.MinInt64
	if !IsExtAddr(u.TagsCode) { // written while enableConsumeQueueExt was off
		end = last
	}
	for r := (extReader{}); end < x.end; {
		_, size, ok, err := q.readExt(end, &r)
		if err != nil {
			return err
		}
		if size == -1 {
			end = last + q.c.ExtFileSize
		}
		if !ok {
			break
		}
		if end += size; IsExtAddr(u.TagsCode) {
			break
		}
	}
	x.end = min(end, x.end)
	for i := len(bases) - 1; i > 0 && bases[i] >= x.end; i-- {
		path, _ := q.extPath(bases[i])
		q.c.Handles.Forget(path)
		if err := q.c.FS.Remove(path); err != nil {
			return fmt.Errorf("cannot remove %s: %w", path, err)
		}
		bases = bases[:i]
	}
	x.hasFile, x.known = bases[len(bases)-1], true
	return q.correctExt()
}

// extBases lists the files; those at the end that were being made when the process died are removed.
func (q *Queue) extBases() (bases []int64, err error) {
	entries, err := q.c.FS.List(q.extDir())
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", q.extDir(), err)
	}
	for i, e := range entries {
		path := filepath.Join(q.extDir(), e.Name)
		base, err := strconv.ParseInt(e.Name, 10, 64)
		switch {
		case e.Dir:
			continue
		case err != nil || base < 0 || base%q.c.ExtFileSize != 0 || len(e.Name) < segment.NameDigits:
			return nil, fmt.Errorf("cannot load queue %s-%d: the file %s does not belong there", q.Topic, q.ID, path)
		case e.Size == q.c.ExtFileSize:
			bases = append(bases, base)
			continue
		case i < len(entries)-1 && !q.c.Torn:
			return nil, fmt.Errorf("cannot load %s: %d bytes long, files here have %d", path, e.Size, q.c.ExtFileSize)
		}
		for j := len(entries) - 1; j >= i; j-- {
			if err := q.c.FS.Remove(filepath.Join(q.extDir(), entries[j].Name)); err != nil {
				return nil, fmt.Errorf("cannot remove %s: %w", path, err)
			}
		}
		break
	}
	return bases, nil
}

// correctExt notes what of consumequeue_ext the queue's first message needs.
func (q *Queue) correctExt() error {
	if q.c.ExtDir == "" || q.c.Batch || q.Min() == q.Max() {
		return nil
	}
	u, err := q.row(q.Min())
	if err == nil && IsExtAddr(u.TagsCode) {
		q.mu.Lock()
		q.ext.min = max(q.ext.min, u.TagsCode-math.MinInt64)
		q.mu.Unlock()
	}
	return err
}

// expiredExt returns the bases of the first file that may go and of the first that stays. The caller holds mu.
func (q *Queue) expiredExt() (from, to int64) {
	if !q.ext.known || q.deleted {
		return 0, 0
	}
	return q.ext.first, min(q.ext.min-q.ext.min%q.c.ExtFileSize, q.ext.hasFile)
}

// cutExt forgets the units from that of queue offset n on, whose units are forgotten as well.
func (q *Queue) cutExt(n int64) error {
	if q.c.ExtDir == "" || q.c.Batch {
		return nil
	}
	u, err := q.row(n)
	if at := u.TagsCode - math.MinInt64; err == nil && IsExtAddr(u.TagsCode) {
		q.mu.Lock()
		if at < q.ext.end && len(q.ext.tail) == 0 && at >= q.ext.first {
			q.ext.end = at
		}
		q.mu.Unlock()
	}
	return err
}
