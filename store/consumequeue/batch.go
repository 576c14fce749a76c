package consumequeue

import (
	"encoding/binary"
	"sort"
)

// BatchUnitSize is the size of a unit of a batch queue. Java: BatchConsumeQueue.CQ_STORE_UNIT_SIZE.
const BatchUnitSize = 46

// MaxBatch is how many messages a record can hold: the unit has 2 bytes for them, signed.
const MaxBatch = 1<<15 - 1

// BatchUnit is one entry of a batch queue (spec/store.md 1.5):
//
//	0 physical offset 8   8 size of the record 4   12 tags code 8   20 store timestamp 8
//	28 base 8   36 messages 2   38 -1 for what Java's compaction keeps there 4   42 reserved 4
type BatchUnit struct {
	Unit
	StoreTimestamp int64 // ms
	Base           int64 // queue offset of the first message
	Messages       int16 // how many the record holds
}

// End returns the queue offset behind the last message of the unit.
func (u BatchUnit) End() int64 { return u.Base + int64(u.Messages) }

// valid tells a written unit from the zeros behind the last one.
func (u BatchUnit) valid() bool { return u.Unit.valid() && u.Base >= 0 && u.Messages > 0 }

// PutBatchUnit writes u to the first BatchUnitSize bytes of b.
func PutBatchUnit(b []byte, u BatchUnit) {
	PutUnit(b, u.Unit)
	binary.BigEndian.PutUint64(b[20:], uint64(u.StoreTimestamp))
	binary.BigEndian.PutUint64(b[28:], uint64(u.Base))
	binary.BigEndian.PutUint16(b[36:], uint16(u.Messages))
	binary.BigEndian.PutUint32(b[38:], ^uint32(0)) // Java: BatchConsumeQueue.INVALID_POS
	binary.BigEndian.PutUint32(b[42:], 0)
}

// GetBatchUnit reads the unit at the head of b.
func GetBatchUnit(b []byte) BatchUnit {
	return BatchUnit{GetUnit(b), int64(binary.BigEndian.Uint64(b[20:])), int64(binary.BigEndian.Uint64(b[28:])), int16(binary.BigEndian.Uint16(b[36:]))}
}

// batchRows are the rows of a batch queue: [first, end) can be read.
type batchRows struct{ first, end int64 }

// Batch reports whether this is a batch queue.
func (q *Queue) Batch() bool { return q.c.Batch }

// AppendBatch adds a unit to a batch queue and makes it visible. Its base is not in front of Max, and behind it
// when offsets in between have no unit. The results are those of Append.
func (q *Queue) AppendBatch(u BatchUnit) (dirty bool, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted {
		return false, 0
	}
	n := len(q.tail)
	if n == 0 {
		if q.tail == nil {
			q.tail, q.spare = q.spare, nil
		}
		q.tailBase = q.rows.end
	}
	q.tail = append(q.tail, make([]byte, BatchUnitSize)...)
	PutBatchUnit(q.tail[n:], u)
	q.maxPhys = u.PhysicalOffset + int64(u.Size)
	if q.rows.first == q.rows.end {
		q.minPhys = u.PhysicalOffset
		q.min.Store(u.Base)
	}
	q.rows.end++
	q.max.Store(u.End())
	return n == 0 && len(q.flushing) == 0, len(q.tail)
}

// AtBatch returns the unit of a batch queue that covers a queue offset or, when none does, the next one; ok is
// false behind the last. Where what stands in front of the next one is no unit, which is damage, it returns that.
func (q *Queue) AtBatch(offset int64) (u BatchUnit, ok bool, err error) {
	row, u, err := q.find(offset)
	if err == nil && u.Base > offset && row > q.firstRow() {
		if front, err := q.row(row - 1); err != nil || !front.valid() {
			return front, true, err
		}
	}
	return u, u.Messages > 0, err
}

// ReadBatch fills dst with whole units of a batch queue, the first of them the one that covers offset or the
// next one, and returns how many it read.
func (q *Queue) ReadBatch(offset int64, dst []byte) (int, error) {
	row, _, err := q.find(offset)
	if err != nil {
		return 0, err
	}
	return q.readRows(row, dst)
}

// find returns the first row whose unit ends behind offset; behind the last row there is none, and u is empty.
func (q *Queue) find(offset int64) (row int64, u BatchUnit, err error) {
	q.mu.Lock()
	first, end := q.bounds()
	from, to := q.Min(), q.Max()
	q.mu.Unlock()
	if offset >= to {
		return end, u, nil
	}
	offset = max(offset, from)
	lo, hi := min(max(first, end-(to-offset)), end), min(end, first+(offset-from)+1) // each unit covers at least one offset
	var failed error
	n := sort.Search(int(max(hi-lo, 0)), func(i int) bool {
		at, err := q.row(lo + int64(i))
		if err != nil && failed == nil {
			failed = err
		}
		return at.End() > offset
	})
	if failed != nil {
		return 0, u, failed
	}
	if row = lo + int64(n); row < end {
		u, err = q.row(row)
	}
	return row, u, err
}

// SearchTime returns the first offset of the first unit stored at or after timestamp (ms); when several were
// stored in that very millisecond and upper is set, of the last of these. Behind the newest unit it is that
// unit's: a batch queue has no answer behind it. Java: BatchConsumeQueue.getOffsetInQueueByTime.
func (q *Queue) SearchTime(timestamp int64, upper bool) (int64, error) {
	q.mu.Lock()
	first, end := q.bounds()
	q.mu.Unlock()
	var failed error
	search := func(behind int64) int64 {
		return first + int64(sort.Search(int(end-first), func(i int) bool {
			u, err := q.row(first + int64(i))
			if err != nil && failed == nil {
				failed = err
			}
			return u.StoreTimestamp >= behind
		}))
	}
	row := search(timestamp)
	if next := search(timestamp + 1); upper && next > row {
		row = next - 1
	}
	if row = min(row, end-1); row < first || failed != nil {
		return q.Max(), failed
	}
	u, err := q.row(row)
	return u.Base, err
}

// loadMinBatch takes the first offset from the unit at the head of the first file. Where there is none, which is
// damage, it may be any: recovery is to see what is missing.
func (q *Queue) loadMinBatch(base int64) error {
	if q.rows.first = base / BatchUnitSize; q.rows.first >= q.rows.end {
		q.rows.first = q.rows.end
		q.min.Store(q.Max())
		return nil
	}
	u, err := q.fileUnit(q.rows.first)
	if u.valid() {
		q.min.Store(u.Base)
	}
	return err
}
