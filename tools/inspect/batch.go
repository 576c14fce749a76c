package inspect

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

const (
	batchFolder   = "batchconsumequeue"
	batchUnitSize = consumequeue.BatchUnitSize
)

// batchQueue is what a check knows of one batch queue. Its units stand in the order of their records, so the walk
// through the log meets them one by one.
type batchQueue struct {
	queueKey
	dir    string
	exists bool
	broken bool // to be built anew

	// From its files.
	first, end int64 // rows: of the first unit, and behind the last
	min, max   int64 // queue offsets of the first unit and behind the last
	firstPhys  int64
	last       consumequeue.BatchUnit

	// From the walk through the log.
	at    int64 // the next row to be met
	plain int64 // plain messages without units
	miss  int64 // other records without units
	where string
	buf   []byte // units read ahead, from row bufAt on
	bufAt int64
}

func (q *batchQueue) name() string { return fmt.Sprintf("batch queue %s-%d", q.topic, q.id) }

func (q *batchQueue) place(v *view, row int64) (string, int64) {
	pos := row * batchUnitSize
	return filepath.Join(q.dir, segment.Name(pos-pos%v.batchLen)), pos % v.batchLen
}

// batch returns the entry of a batch queue, which is made when it is new.
func (c *checker) batch(k queueKey) *batchQueue {
	q := c.batches[k]
	if q == nil {
		k.topic = strings.Clone(k.topic)
		q = &batchQueue{queueKey: k, dir: filepath.Join(c.v.root, batchFolder, k.topic, strconv.Itoa(int(k.id)))}
		c.batches[k] = q
	}
	return q
}

// batchOf returns the batch queue that a record belongs to, nil when it is of a simple one. A topic that is not
// there any more has the form that its folders have.
func (c *checker) batchOf(r *message.Record) *batchQueue {
	k := queueKey{r.Topic, r.QueueID}
	if c.batches[k] != nil || c.batchTopics[r.Topic] {
		return c.batch(k)
	}
	return nil
}

func (c *checker) readBatchQueues() error {
	return c.v.eachQueueDir(batchFolder, func(topic string, id int32, dir string) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		q := c.batch(queueKey{topic, id})
		if q.dir != dir {
			c.add(Warning, dir, 0, "the queue id is not written as Java and Skylark write it")
			return nil
		}
		q.exists = true
		if c.topics != nil && !c.batchTopics[topic] {
			c.add(Damaged, dir, 0, "topics.json has no topic %s with queue.type=BatchCQ, Java refuses to start", topic)
		}
		return c.readBatchQueue(q)
	})
}

// checkForms finds simple queues of topics that are to have batch queues.
func (c *checker) checkForms() error {
	for _, q := range c.sorted() {
		if q.exists && c.batchTopics[q.topic] {
			c.add(Damaged, q.dir, 0, "topic %s has queue.type=BatchCQ, Java refuses to start", q.topic)
		}
	}
	return nil
}

func (c *checker) batchDamage(q *batchQueue, row int64, format string, args ...any) {
	q.broken = true
	file, at := q.place(c.v, row)
	c.add(Damaged, file, at, "%s: %s", q.name(), fmt.Sprintf(format, args...))
}

func (c *checker) readBatchQueue(q *batchQueue) error {
	files, stray, err := segments(q.dir)
	if err != nil {
		return err
	}
	for _, path := range stray {
		c.stray = append(c.stray, path)
		c.add(Damaged, path, 0, "the file does not belong into a queue's folder, Java refuses to start")
	}
	row, hole := int64(0), int64(-1) // hole: the first row without a unit behind the last one, -1: none
	for i, f := range files {
		switch {
		case f.base%c.v.batchLen != 0 || f.size > c.v.batchLen || f.size < c.v.batchLen && (i < len(files)-1 || !c.v.unclean()):
			q.broken = true
			c.add(Damaged, f.path, min(f.size, c.v.batchLen), "%d bytes long, files here have %d", f.size, c.v.batchLen)
			continue
		case f.size < c.v.batchLen:
			c.add(Warning, f.path, f.size, "%d bytes long, files here have %d; it was being made, a start removes it", f.size, c.v.batchLen)
			continue
		case i > 0 && row != f.base/batchUnitSize:
			c.batchDamage(q, row, "files are missing in front of %s", segment.Name(f.base))
		}
		if row = f.base / batchUnitSize; q.end == 0 {
			q.first, q.end = row, row
		}
		x, err := os.Open(f.path)
		if err != nil {
			return err
		}
		err = eachData(x, 0, f.size, batchUnitSize, func(off int64, b []byte) error {
			for row = (f.base + off) / batchUnitSize; len(b) >= batchUnitSize; b, row = b[batchUnitSize:], row+1 {
				hole = c.batchUnit(q, row, hole, b[:batchUnitSize])
			}
			return nil
		})
		_ = x.Close()
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", f.path, err)
		}
		row = (f.base + f.size) / batchUnitSize
	}
	q.at = q.first
	c.sum.Units += q.end - q.first
	return nil
}

// batchUnit looks at the unit of a row and returns the first row without a unit behind the last one.
func (c *checker) batchUnit(q *batchQueue, row, hole int64, b []byte) int64 {
	u := consumequeue.GetBatchUnit(b)
	switch {
	case firstNonZero(b) < 0 || row > q.end && hole < 0:
		if hole < 0 {
			hole = q.end
		}
		if firstNonZero(b) < 0 {
			return hole
		}
	case u.PhysicalOffset < 0 || u.Size <= 0 || u.Base < 0 || u.Messages <= 0:
		if !c.v.unclean() || hole < 0 {
			c.batchDamage(q, row, "no unit")
		}
		return row
	}
	switch {
	case hole >= 0:
		c.batchDamage(q, hole, "no units from here on, and units again in row %d", row)
	case row > q.first && (u.Base < q.max || u.PhysicalOffset <= q.last.PhysicalOffset):
		c.batchDamage(q, row, "the unit of offset %d, pointing to %d, stands behind that of offset %d, pointing to %d", u.Base, u.PhysicalOffset, q.last.Base, q.last.PhysicalOffset)
	}
	if row == q.first {
		q.min, q.firstPhys = u.Base, u.PhysicalOffset
	}
	q.end, q.max, q.last = row+1, u.End(), u
	return -1
}

// batchUnitAt reads the unit of a row; u is empty when there is none.
func (c *checker) batchUnitAt(q *batchQueue, row int64) (u consumequeue.BatchUnit, err error) {
	if row >= q.end {
		return u, nil
	}
	if i := row - q.bufAt; i < 0 || (i+1)*batchUnitSize > int64(len(q.buf)) {
		file, at := q.place(c.v, row)
		q.buf, q.bufAt = make([]byte, min(mostAhead*batchUnitSize, c.v.batchLen-at)), row
		err := c.v.files.Use(file, false, 0, func(f fsys.File) error {
			n, err := f.ReadAt(q.buf, at)
			q.buf = q.buf[:n/batchUnitSize*batchUnitSize]
			return err
		})
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrNotExist) || len(q.buf) == 0 {
			return u, err
		}
	}
	return consumequeue.GetBatchUnit(q.buf[(row-q.bufAt)*batchUnitSize:]), nil
}

// entryOf returns the unit that a record is to have.
func (c *checker) entryOf(r *message.Record) consumequeue.BatchUnit {
	return consumequeue.BatchUnit{Unit: consumequeue.Unit{PhysicalOffset: r.PhysicalOffset, Size: int32(r.Size), TagsCode: store.TagsCode(r, c.v.levels)},
		StoreTimestamp: r.StoreTimestamp, Base: r.QueueOffset, Messages: store.InnerMessages(r)}
}

// batchRecord compares a record with its unit.
func (c *checker) batchRecord(q *batchQueue, r *message.Record) error {
	if q.end > q.first && r.PhysicalOffset < q.firstPhys && r.QueueOffset >= q.min {
		return nil // of a former life of the topic, which was deleted and made again since
	}
	for {
		u, err := c.batchUnitAt(q, q.at)
		switch {
		case err != nil:
			return err
		case q.at >= q.end || u.PhysicalOffset > r.PhysicalOffset:
			c.noUnit(q, r)
			return nil
		case u.PhysicalOffset == r.PhysicalOffset:
			if want := c.entryOf(r); u != want {
				c.batchDamage(q, q.at, "the unit %+v is not that of its record, %+v", u, want)
			}
			q.at++
			return nil
		}
		c.noRecord(q, u)
		q.at++
	}
}

// noUnit notes a record without a unit. Java's broker leaves plain messages out, so that no consumer gets them.
func (c *checker) noUnit(q *batchQueue, r *message.Record) {
	if r.SysFlag&message.SysFlagInnerBatch == 0 {
		q.plain++
		return
	}
	if q.miss++; q.miss == 1 {
		q.where = fmt.Sprintf("no unit for the record at %d, of offset %d", r.PhysicalOffset, r.QueueOffset)
		if !c.v.unclean() || r.PhysicalOffset < c.v.cp[5] {
			q.broken = true
		}
	}
}

// noRecord notes the unit of row q.at, whose record the walk did not meet.
func (c *checker) noRecord(q *batchQueue, u consumequeue.BatchUnit) {
	switch {
	case u.PhysicalOffset < c.v.logMin():
	case within(c.damaged, u.PhysicalOffset) || within(c.missing, u.PhysicalOffset):
		file, at := q.place(c.v, q.at)
		c.add(Warning, file, at, "%s: the unit of offset %d points to %d, into damaged bytes of the log", q.name(), u.Base, u.PhysicalOffset)
	default:
		c.batchDamage(q, q.at, "the unit of offset %d points to %d, where the log has no record of its", u.Base, u.PhysicalOffset)
	}
}

// endBatches reports what the walk has left of all batch queues.
func (c *checker) endBatches() error {
	for _, q := range c.sortedBatches() {
		if q.exists {
			c.sum.Queues++
		}
		for ; q.at < q.end; q.at++ {
			u, err := c.batchUnitAt(q, q.at)
			if err != nil {
				return err
			}
			if file, at := q.place(c.v, q.at); u.PhysicalOffset >= c.sum.LogEnd && c.v.unclean() {
				c.add(Warning, file, at, "%s: units from offset %d on point behind the end of the log; a start cuts them", q.name(), u.Base)
				break
			}
			c.noRecord(q, u)
		}
		switch {
		case q.miss > 0 && q.broken:
			c.add(Damaged, q.dir, 0, "%s: %s; there are %d like it", q.name(), q.where, q.miss)
		case q.miss > 0:
			c.add(Warning, q.dir, 0, "%s: %s; there are %d like it, a start adds them", q.name(), q.where, q.miss)
		}
		if q.plain > 0 {
			c.add(Warning, q.dir, 0, "%s: %d plain messages have no unit, as Java's broker leaves them; no consumer gets them", q.name(), q.plain)
		}
		q.buf = nil
	}
	return nil
}

func (c *checker) sortedBatches() []*batchQueue {
	return slices.SortedFunc(maps.Values(c.batches), func(a, b *batchQueue) int { return strings.Compare(a.name(), b.name()) })
}

// mendBatches builds broken batch queues anew from the log.
func (m *repairer) mendBatches(c *checker) error {
	set := map[queueKey]*consumequeue.Queue{}
	config := &consumequeue.Config{FS: fsys.OS{}, Dir: filepath.Join(c.v.root, batchFolder), FileSize: c.v.batchLen, Batch: true,
		Handles: segment.NewHandles(fsys.OS{}, c.v.o.QueueFileLimit)}
	defer config.Handles.Close()
	for _, q := range c.sortedBatches() {
		if !q.broken {
			continue
		}
		if q.exists {
			if err := m.move(q.dir, "its units are not those of the log"); err != nil {
				return err
			}
		}
		m.step("build %s anew from the log", q.name())
		set[q.queueKey] = consumequeue.New(config, q.topic, q.id)
	}
	if len(set) == 0 || m.r.DryRun {
		return nil
	}
	touched := map[string]struct{}{}
	flush := func(cq *consumequeue.Queue) error {
		_, err := cq.Flush(func(path string, _ bool) { touched[path] = struct{}{} })
		return err
	}
	w := c.v.walk(0)
	defer c.v.close()
	for {
		e, ok := w.next()
		if !ok || m.ctx.Err() != nil {
			break
		}
		if t := e.rec.SysFlag & message.SysFlagTransaction; e.kind != anyRecord || t == message.SysFlagPrepared || t == message.SysFlagRollback {
			continue
		}
		if cq := set[queueKey{e.rec.Topic, e.rec.QueueID}]; cq != nil {
			if err := c.buildBatch(cq, &e.rec, flush); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(w.err, m.ctx.Err()); err != nil {
		return err
	}
	for k, cq := range set {
		if q := c.batches[k]; q.max > cq.Max() && cq.Max() == 0 { // its messages are gone; an offset must not be given twice
			cq.AppendBatch(consumequeue.BatchUnit{Unit: consumequeue.Unit{Size: message.MinRecord}, StoreTimestamp: q.last.StoreTimestamp, Base: q.max - 1, Messages: 1})
		}
		if err := flush(cq); err != nil {
			return err
		}
	}
	return syncQueues(config, touched)
}

// buildBatch adds the unit of a record. Offsets that go back were given twice: by Java, to plain messages, or in
// two lives of the topic.
func (c *checker) buildBatch(cq *consumequeue.Queue, r *message.Record, flush func(*consumequeue.Queue) error) error {
	u := c.entryOf(r)
	if u.Base < cq.Max() {
		if u.Base == 0 {
			if err := cq.Reset(); err != nil {
				return err
			}
		} else if err := flush(cq); err != nil {
			return err
		} else if _, err := cq.Cut(u.Base, u.PhysicalOffset); err != nil {
			return err
		}
	}
	if _, size := cq.AppendBatch(u); size >= flushOne {
		return flush(cq)
	}
	return nil
}
