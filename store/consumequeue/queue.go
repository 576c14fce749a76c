// Package consumequeue holds the index of one topic queue: a row of 20-byte units, unit n for the message
// with queue offset n, in Java's files (spec/store.md 1.3):
//
//	0 physical offset in the CommitLog 8   8 size of the record 4   12 tags code 8
//
// New units stand in memory, where readers see them at once, and are written to the files in large
// pieces by the store's flusher. A ConsumeQueue is derived from the CommitLog: what a crash takes from it
// recovery puts back. An idle queue holds no buffer and no open file.
//
// Lock order: Queue.mu is taken last, and never held during a disk access.
//
// # Batch queues
//
// The queues of a topic with queue.type=BatchCQ (Config.Batch) have other units, in another folder: one of 46
// bytes for each record, which may hold several messages (batch.go, spec/store.md 1.5). There the place of a
// unit, its row, and the queue offset of its first message are two numbers. What deals with files and memory
// goes by rows and is the same for both forms; in a simple queue the row of a unit is its queue offset. A batch
// queue finds the row of an offset by a search through the units. Offsets that no unit covers are no damage
// there: Java gives one to every message but a unit only to batches.
//
// # Addresses in place of tags codes
//
// With Java's enableConsumeQueueExt the tags code of a unit of a simple queue is an address in consumequeue_ext/,
// where the tags code, the store timestamp and a bit map of filters stand (ext.go, spec/store.md 1.4). Read and At
// give the tags code itself, so that nobody else needs to know; ExtAt gives the rest. An address whose unit is gone
// stays an address, of which nobody can tell what it matches. Both kinds of unit may stand in one queue.
package consumequeue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// UnitSize is the size of a unit. Java: ConsumeQueue.CQ_STORE_UNIT_SIZE.
const UnitSize = 20

// preBlankSize is the record size in units that stand for offsets that never existed, in front of a
// queue whose first file was begun in its middle. Java: ConsumeQueue.fillPreBlank.
const preBlankSize = 0x7fffffff

// Unit is one entry.
type Unit struct {
	PhysicalOffset int64
	Size           int32
	TagsCode       int64
}

// valid tells a written unit from the zeros behind the last one.
func (u Unit) valid() bool { return u.PhysicalOffset >= 0 && u.Size > 0 }

// PutUnit writes u to the first UnitSize bytes of b.
func PutUnit(b []byte, u Unit) {
	binary.BigEndian.PutUint64(b, uint64(u.PhysicalOffset))
	binary.BigEndian.PutUint32(b[8:], uint32(u.Size))
	binary.BigEndian.PutUint64(b[12:], uint64(u.TagsCode))
}

// GetUnit reads the unit at the head of b.
func GetUnit(b []byte) Unit {
	return Unit{int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:])), int64(binary.BigEndian.Uint64(b[12:]))}
}

// Config is what the queues of a store share.
type Config struct {
	FS       fsys.FS
	Dir      string // <root>/consumequeue or <root>/batchconsumequeue
	FileSize int64  // bytes, a multiple of the unit's size
	Batch    bool   // the queues are of the form BatchCQ
	// ExtDir is <root>/consumequeue_ext, empty where there is none and none is to be; ExtFileSize its files' size.
	ExtDir      string
	ExtFileSize int64
	Handles     *segment.Handles
	// Torn says to Load that the last stop was a crash: a file without any length may stand before the last one.
	Torn bool
	// Loading is told by Load how many of how many queues it has loaded, first of 0; nil: nobody asks.
	Loading func(done, total int)
}

// unitSize returns the bytes of a unit.
func (c *Config) unitSize() int64 {
	if c.Batch {
		return BatchUnitSize
	}
	return UnitSize
}

// Queue is one topic queue.
type Queue struct {
	c     *Config
	Topic string
	ID    int32

	// Next is the queue offset of the next message. Only the store's append goroutine uses it.
	Next int64
	// Waiters counts the pulls held for the next message; the append goroutine looks at it.
	Waiters atomic.Int32

	min, max atomic.Int64 // readers see [min, max)
	gone     atomic.Bool  // deleted, for those without mu

	mu        sync.Mutex
	maxPhys   int64 // end of the record of the last unit
	tail      []byte
	tailBase  int64 // row of the first unit in tail
	flushing  []byte
	spare     []byte
	hasFile   int64 // base in bytes of the last file known to exist, -1: none
	firstFile int64 // base in bytes of the first file, when there is one
	minPhys   int64 // no unit from min on points in front of it; it may be too low
	deleted   bool
	dropped   int // bytes of units that waited when the queue was deleted
	rows      batchRows
	ext       extState
}

// New returns an empty queue that no file belongs to.
func New(c *Config, topic string, id int32) *Queue {
	return &Queue{c: c, Topic: topic, ID: id, hasFile: -1}
}

// Min returns the queue offset of the first message there is.
func (q *Queue) Min() int64 { return q.min.Load() }

// Max returns the queue offset that the next visible message will have.
func (q *Queue) Max() int64 { return q.max.Load() }

// MaxPhysical returns the physical offset behind the record of the last unit, 0 for an empty queue.
func (q *Queue) MaxPhysical() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.maxPhys
}

// SetMin moves the first offset forward when the CommitLog has lost its beginning.
func (q *Queue) SetMin(n int64) {
	if n > q.min.Load() {
		q.min.Store(min(n, q.Max()))
	}
}

// Append adds the unit of the message with queue offset Max and makes it visible. dirty reports whether
// these are the first bytes that wait to be written; size is how many wait now, 0 on a deleted queue.
func (q *Queue) Append(u Unit) (dirty bool, size int) {
	q.mu.Lock()
	if q.deleted {
		q.mu.Unlock()
		return false, 0
	}
	n := len(q.tail)
	if n == 0 {
		if q.tail == nil {
			q.tail, q.spare = q.spare, nil // may be nil again; append makes one
		}
		q.tailBase = q.max.Load()
	}
	q.tail = append(q.tail, make([]byte, UnitSize)...)
	PutUnit(q.tail[n:], u)
	q.maxPhys = u.PhysicalOffset + int64(u.Size)
	if q.max.Load() == q.min.Load() {
		q.minPhys = u.PhysicalOffset
	}
	q.max.Add(1)
	dirty = n == 0 && len(q.flushing) == 0
	size = len(q.tail)
	q.mu.Unlock()
	return dirty, size
}

// At returns the unit of queue offset n, of a batch queue the one that covers it; ok is false when there is none.
func (q *Queue) At(n int64) (u Unit, ok bool, err error) {
	if q.c.Batch {
		b, ok, err := q.AtBatch(n)
		return b.Unit, ok && b.valid() && b.Base <= n, err
	}
	var b [UnitSize]byte
	got, err := q.Read(n, b[:])
	if err != nil || got == 0 {
		return Unit{}, false, err
	}
	return GetUnit(b[:]), true, nil
}

// Begin sets the offset at which an empty queue starts, for a queue whose first messages are gone.
func (q *Queue) Begin(offset int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.min.Store(offset)
	q.max.Store(offset)
	q.rows.first = q.rows.end
	q.Next = offset
}

// path returns the file that byte pos of the queue lies in, and the file's base.
func (q *Queue) path(pos int64) (string, int64) {
	base := pos - pos%q.c.FileSize
	return filepath.Join(q.dir(), segment.Name(base)), base
}

// pathOf returns the file that a row lies in.
func (q *Queue) pathOf(row int64) string {
	path, _ := q.path(row * q.c.unitSize())
	return path
}

func (q *Queue) dir() string {
	return filepath.Join(q.c.Dir, q.Topic, strconv.Itoa(int(q.ID)))
}

// bounds returns the first row there is and the one behind the last; the caller holds mu.
func (q *Queue) bounds() (first, end int64) {
	if q.c.Batch {
		return q.rows.first, q.rows.end
	}
	return q.min.Load(), q.max.Load()
}

// Read fills dst with whole units from queue offset on and returns how many it read. It stops at the last
// visible unit; 0 means that there is none at offset. It is for simple queues; batch queues have ReadBatch.
func (q *Queue) Read(offset int64, dst []byte) (int, error) {
	if offset < 0 {
		return 0, nil
	}
	n, err := q.readRows(offset, dst)
	if err == nil && q.c.ExtDir != "" {
		err = q.resolve(dst[:n*UnitSize])
	}
	return n, err
}

func (q *Queue) readRows(row int64, dst []byte) (int, error) {
	size := q.c.unitSize()
	want := int64(len(dst)) / size
	q.mu.Lock()
	_, end := q.bounds()
	want = min(want, end-row)
	if want <= 0 || q.deleted {
		q.mu.Unlock()
		return 0, nil
	}
	// What is in memory first: [fileEnd, end) stands in flushing and tail.
	fileEnd := end - int64(len(q.flushing)+len(q.tail))/size
	at := max(row, fileEnd)
	for n := at - row; n < want; {
		src := q.flushing
		from := (at - fileEnd) * size
		if from >= int64(len(src)) {
			from -= int64(len(src))
			src = q.tail
		}
		m := int64(copy(dst[n*size:want*size], src[from:])) / size
		n += m
		at += m
	}
	q.mu.Unlock()
	if fromFile := min(fileEnd-row, want); fromFile > 0 {
		if err := q.readFiles(row*size, dst[:fromFile*size]); err != nil {
			if errors.Is(err, fs.ErrNotExist) && row < q.firstRow() {
				return 0, nil // cleaned meanwhile
			}
			return 0, err
		}
	}
	return int(want), nil
}

func (q *Queue) firstRow() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	first, _ := q.bounds()
	return first
}

func (q *Queue) readFiles(pos int64, dst []byte) error {
	for len(dst) > 0 {
		path, base := q.path(pos)
		n := min(int64(len(dst)), base+q.c.FileSize-pos)
		err := q.c.Handles.Use(path, false, 0, func(f fsys.File) error {
			_, err := f.ReadAt(dst[:n], pos-base)
			return err
		})
		if err != nil {
			return fmt.Errorf("cannot read %s at %d: %w", path, pos-base, err)
		}
		dst = dst[n:]
		pos += n
	}
	return nil
}

// Dirty reports whether units wait in memory to be written.
func (q *Queue) Dirty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.tail) > 0
}

// Flush writes the units that stand in memory to the files, calls touched with each file written, created
// saying that it was made, and returns how many bytes need not be kept in memory any more. Only one Flush of a queue runs at a time.
func (q *Queue) Flush(touched func(path string, created bool)) (int, error) {
	q.mu.Lock()
	if len(q.tail) == 0 || q.deleted {
		n := q.dropped
		q.dropped = 0
		q.mu.Unlock()
		return n, nil
	}
	buf, pos, begin := q.tail, q.tailBase*q.c.unitSize(), q.hasFile < 0
	q.flushing, q.tail = buf, nil
	q.ext.flushing, q.ext.tail = q.ext.tail, nil
	q.mu.Unlock()
	err := q.writeExt(touched)
	if err == nil {
		err = q.write(buf, pos, begin, touched)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.ext.tail = append(q.ext.flushing, q.ext.tail...)
	}
	q.ext.flushing = nil
	if err != nil {
		// The units stay in memory, where readers find them, until a later Flush succeeds.
		q.tail = append(buf, q.tail...)
		q.tailBase = pos / q.c.unitSize()
		q.flushing = nil
		return 0, err
	}
	q.flushing = nil
	n := len(buf)
	// A busy queue keeps its buffer; one that wrote little lets it go.
	if len(buf) >= keepSpare && cap(buf) <= maxSpare && q.spare == nil {
		q.spare = buf[:0]
	}
	return n, nil
}

// Bounds of the buffer a queue keeps for its next units.
const (
	keepSpare = 2 << 10
	maxSpare  = 256 << 10
)

func (q *Queue) write(buf []byte, pos int64, begin bool, touched func(string, bool)) error {
	if begin {
		if err := q.c.FS.MkdirAll(q.dir()); err != nil {
			return fmt.Errorf("cannot make folder of queue %s-%d: %w", q.Topic, q.ID, err)
		}
		if err := q.preBlank(pos, touched); err != nil {
			return err
		}
	}
	for len(buf) > 0 {
		path, base := q.path(pos)
		n := min(int64(len(buf)), base+q.c.FileSize-pos)
		q.mu.Lock()
		created := q.hasFile != base
		q.mu.Unlock()
		if err := q.c.writePiece(path, q.c.FileSize, pos-base, buf[:n], created, touched); err != nil {
			return err
		}
		q.mu.Lock()
		if q.hasFile < 0 {
			q.firstFile = base
		}
		q.hasFile = base
		q.mu.Unlock()
		buf = buf[n:]
		pos += n
	}
	return nil
}

// writePiece writes b at a position of a file of size bytes, which is made where it is not there; created says that it
// is not known.
func (c *Config) writePiece(path string, size, at int64, b []byte, created bool, touched func(string, bool)) error {
	if created { // a reader of a deleted topic of that name may have left its file open
		c.Handles.Forget(path)
	}
	err := c.Handles.Use(path, true, size, func(f fsys.File) error {
		_, err := f.WriteAt(b, at)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot write %s at %d: %w", path, at, err)
	}
	touched(path, created)
	return nil
}

// preBlank fills the slots of the first file that lie in front of a queue's first unit as Java does, so
// that Java does not take the zeros for the queue's end.
func (q *Queue) preBlank(pos int64, touched func(string, bool)) error {
	path, base := q.path(pos)
	if pos == base { // so does a batch queue always
		return nil
	}
	blank := make([]byte, pos-base)
	for i := 0; i < len(blank); i += UnitSize {
		PutUnit(blank[i:], Unit{0, preBlankSize, 0})
	}
	return q.c.writePiece(path, q.c.FileSize, 0, blank, true, touched)
}

// Deleted reports whether the queue was deleted: it takes no more units.
func (q *Queue) Deleted() bool { return q.gone.Load() }

// Delete removes the queue's files. Readers find nothing afterwards and appends are dropped.
func (q *Queue) Delete() error {
	q.mu.Lock()
	q.dropped += len(q.tail)
	q.deleted, q.tail, q.flushing = true, nil, nil
	q.ext = extState{}
	q.gone.Store(true)
	q.min.Store(q.max.Load())
	q.mu.Unlock()
	entries, err := q.c.FS.List(q.dir())
	if err != nil {
		return fmt.Errorf("cannot list queue %s-%d: %w", q.Topic, q.ID, err)
	}
	for _, e := range entries {
		q.c.Handles.Forget(filepath.Join(q.dir(), e.Name))
	}
	if err := q.c.FS.RemoveAll(q.dir()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot delete queue %s-%d: %w", q.Topic, q.ID, err)
	}
	if q.c.ExtDir != "" {
		return q.removeExt()
	}
	return nil
}
