package compaction

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"sort"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

const unitSize = consumequeue.BatchUnitSize

// pair is a log file and its queue file, both named by base.
type pair struct {
	base  int64
	units int   // that stand in the queue file
	end   int64 // behind the last record in the log file
	// first and last are the queue offsets of the first and the last unit, 0 and -1 without units.
	first, last int64
}

// place is where pairs lie: the folders of a queue, or those in which a round makes its files.
type place struct {
	o             *Options
	logDir, cqDir string
}

func (p place) logPath(base int64) string { return filepath.Join(p.logDir, segment.Name(base)) }
func (p place) cqPath(base int64) string  { return filepath.Join(p.cqDir, segment.Name(base)) }

func (p place) use(path string, fn func(f fsys.File) error) error {
	return p.o.Handles.Use(path, false, 0, fn)
}

// valid tells a written unit from one that ends a file and from zeros.
func valid(u consumequeue.BatchUnit) bool {
	return u.PhysicalOffset >= 0 && u.Size > 0 && u.Base >= 0 && u.Messages > 0
}

// unit reads unit i of a pair.
func (p place) unit(x pair, i int) (u consumequeue.BatchUnit, err error) {
	var b [unitSize]byte
	err = p.use(p.cqPath(x.base), func(f fsys.File) error {
		_, err := f.ReadAt(b[:], int64(i)*unitSize)
		return err
	})
	return consumequeue.GetBatchUnit(b[:]), err
}

// search returns the first unit of a pair whose queue offset is not in front of from.
func (p place) search(x pair, from int64) (int, error) {
	var failed error
	n := sort.Search(x.units, func(i int) bool {
		u, err := p.unit(x, i)
		failed = firstOf(failed, err)
		return u.Base >= from
	})
	return n, failed
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// manyUnits is how many units are read at once.
const manyUnits = 64

// eachUnit calls fn with the units of a pair from the i-th on until it returns false.
func (p place) eachUnit(x pair, i int, fn func(u consumequeue.BatchUnit) (bool, error)) error {
	var b [manyUnits * unitSize]byte
	for i < x.units {
		n := min(manyUnits, x.units-i)
		err := p.use(p.cqPath(x.base), func(f fsys.File) error {
			_, err := f.ReadAt(b[:n*unitSize], int64(i)*unitSize)
			return err
		})
		if err != nil {
			return err
		}
		for j := range n {
			if more, err := fn(consumequeue.GetBatchUnit(b[j*unitSize:])); !more || err != nil {
				return err
			}
		}
		i += n
	}
	return nil
}

// within reports whether a unit points into the log file of its pair; another one is damaged.
func (p place) within(x pair, u consumequeue.BatchUnit) bool {
	return valid(u) && u.PhysicalOffset >= x.base && u.PhysicalOffset+int64(u.Size) <= x.base+p.o.LogFileSize
}

// record appends the record of a unit to dst.
func (p place) record(dst []byte, x pair, u consumequeue.BatchUnit) ([]byte, error) {
	at := len(dst)
	dst = slices.Grow(dst, int(u.Size))[:at+int(u.Size)]
	err := p.use(p.logPath(x.base), func(f fsys.File) error {
		_, err := f.ReadAt(dst[at:], u.PhysicalOffset-x.base)
		return err
	})
	return dst, err
}

// sync makes a file durable.
func (p place) sync(path string) error {
	return p.use(path, func(f fsys.File) error {
		if err := f.Datasync(); err != nil {
			return syncError(path, err)
		}
		return nil
	})
}

// writer adds records to the last of its pairs, and pairs.
type writer struct {
	place
	pairs []pair
	// What waits to be written behind the last pair's end.
	log, cq     []byte
	first, last int64
	// guard, when set, is called around the creation of a first pair.
	guard func(create func() error) error
}

// flushSize is how many bytes of records are written at once.
const flushSize = 1 << 20

func (w *writer) fits(size int) bool {
	x := w.pairs[len(w.pairs)-1]
	// Java: CompactionAppendMessageCallback.doAppend. The last unit is for the end of the file.
	return (x.units+1)*unitSize+len(w.cq) < int(w.o.CqFileSize) && x.end+int64(len(w.log)+size+message.BlankSize) <= w.o.LogFileSize
}

// add adds a record, which fits a file, with the tags code and the times of u. It is durable behind flush.
func (w *writer) add(record []byte, u consumequeue.BatchUnit) error {
	if len(w.pairs) == 0 || !w.fits(len(record)) {
		if err := w.roll(); err != nil {
			return err
		}
	}
	x := &w.pairs[len(w.pairs)-1]
	u.PhysicalOffset = x.base + x.end + int64(len(w.log))
	u.Size, u.Messages = int32(len(record)), 1
	at := len(w.log)
	w.log = append(w.log, record...)
	binary.BigEndian.PutUint64(w.log[at+28:], uint64(u.PhysicalOffset))
	if len(w.cq) == 0 {
		w.first = u.Base
	}
	w.last = u.Base
	w.cq = append(w.cq, make([]byte, unitSize)...)
	consumequeue.PutBatchUnit(w.cq[len(w.cq)-unitSize:], u)
	if len(w.log) >= flushSize {
		return w.flush()
	}
	return nil
}

// forget drops what waits, behind an error.
func (w *writer) forget() { w.log, w.cq = w.log[:0], w.cq[:0] }

// flush makes what was added durable: records, then units.
func (w *writer) flush() error {
	if len(w.cq) == 0 {
		return nil
	}
	x := &w.pairs[len(w.pairs)-1]
	if err := w.write(w.logPath(x.base), w.log, x.end); err != nil {
		return err
	}
	if err := w.write(w.cqPath(x.base), w.cq, int64(x.units)*unitSize); err != nil {
		return err
	}
	if x.units == 0 {
		x.first = w.first
	}
	x.units, x.end, x.last = x.units+len(w.cq)/unitSize, x.end+int64(len(w.log)), w.last
	w.forget()
	return nil
}

func (w *writer) write(path string, b []byte, at int64) error {
	err := w.use(path, func(f fsys.File) error {
		_, err := f.WriteAt(b, at)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return w.sync(path)
}

// seal closes the last pair: nothing is added to it any more. Java: SparseConsumeQueue.putEndPositionInfo.
func (w *writer) seal() error {
	if err := w.flush(); err != nil || len(w.pairs) == 0 {
		return err
	}
	x := w.pairs[len(w.pairs)-1]
	if err := w.write(w.logPath(x.base), message.AppendBlank(nil, int(w.o.LogFileSize-x.end)), x.end); err != nil {
		return err
	}
	end := make([]byte, unitSize)
	consumequeue.PutBatchUnit(end, consumequeue.BatchUnit{Unit: consumequeue.Unit{PhysicalOffset: -1}})
	return w.write(w.cqPath(x.base), end, int64(x.units)*unitSize)
}

// roll begins a new pair.
func (w *writer) roll() error {
	if len(w.pairs) == 0 {
		create := func() error { return w.create(0) }
		if w.guard != nil {
			return w.guard(create)
		}
		return create()
	}
	if err := w.seal(); err != nil {
		return err
	}
	return w.create(w.pairs[len(w.pairs)-1].base + w.o.LogFileSize)
}

// create makes an empty pair: the log file first, because one at the end that has no queue file is taken away by Java.
// Java: CompactionLog.TopicPartitionLog.roll and recover.
func (w *writer) create(base int64) error {
	for _, f := range []struct {
		path string
		size int64
	}{{w.logPath(base), w.o.LogFileSize}, {w.cqPath(base), w.o.CqFileSize}} {
		if err := w.o.FS.MkdirAll(filepath.Dir(f.path)); err != nil {
			return err
		}
		if err := w.o.Handles.Use(f.path, true, f.size, func(fsys.File) error { return nil }); err != nil {
			return fmt.Errorf("cannot make %s: %w", f.path, err)
		}
		if err := w.sync(f.path); err != nil {
			return err
		}
		if err := syncUp(w.o.FS, filepath.Dir(f.path), w.o.Root); err != nil {
			return err
		}
	}
	w.pairs = append(w.pairs, pair{base: base, last: -1})
	return nil
}

// syncUp makes the names in dir and in the folders above it durable, up to those in root.
func syncUp(fs fsys.FS, dir, root string) error {
	for {
		if err := fs.SyncDir(dir); err != nil {
			return syncError(dir, err)
		}
		if len(dir) <= len(root) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}
