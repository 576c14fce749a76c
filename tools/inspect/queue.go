package inspect

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

const unitSize = consumequeue.UnitSize

// preBlank is the record size of units in front of a queue's first message. Java: ConsumeQueue.fillPreBlank.
const preBlank = math.MaxInt32

type queueKey struct {
	topic string
	id    int32
}

// queue is what a check knows of one queue.
type queue struct {
	queueKey
	dir    string
	exists bool
	broken bool // to be built anew

	// From its files.
	base      int64 // of the first file
	end       int64 // behind the last file
	min, max  int64 // queue offsets of the first unit and behind the last
	firstPhys int64 // the least offset a unit points to
	last      consumequeue.Unit
	live      int64 // units that point into the log

	// From the walk through the log.
	met      int64 // units that a record agreed with
	records  int64
	next     int64 // queue offset that the next record should have
	lastPhys int64
	holes    bool   // some of them the log has lost
	gap      string // why it cannot be built from the log
	missFrom int64  // [missFrom, missTo) have a record and no unit
	missTo   int64
	missPhys int64
	wrong    wrongRun
	told     map[int64]struct{} // offsets whose unit was reported

	buf   []byte // units read ahead
	bufAt int64
}

// wrongRun are neighbouring units that point elsewhere than to their records.
type wrongRun struct {
	from, to   int64 // queue offsets
	unit, want consumequeue.Unit
}

func (q *queue) name() string { return fmt.Sprintf("queue %s-%d", q.topic, q.id) }

// place returns file and position of the unit of a queue offset.
func (q *queue) place(v *view, offset int64) (string, int64) {
	pos := offset * unitSize
	base := pos - pos%v.queueLen
	return filepath.Join(q.dir, segment.Name(base)), pos - base
}

// maxTold bounds how many offsets of one queue are remembered as reported.
const maxTold = 1024

func (q *queue) tell(offset int64) bool {
	if _, ok := q.told[offset]; ok {
		return false
	}
	if q.told == nil {
		q.told = map[int64]struct{}{}
	}
	if len(q.told) < maxTold {
		q.told[offset] = struct{}{}
	}
	return true
}

// readQueues looks at the files of all queues.
func (c *checker) readQueues() error {
	return c.v.eachQueueDir("consumequeue", func(topic string, id int32, dir string) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if strconv.Itoa(int(id)) != filepath.Base(dir) {
			c.add(Warning, dir, 0, "the queue id is not written as Java and Skylark write it")
			return nil
		}
		q := c.queue(queueKey{topic, id})
		q.exists = true
		return c.readQueue(q)
	})
}

// queue returns the entry of a queue, which is made when it is new.
func (c *checker) queue(k queueKey) *queue {
	q := c.queues[k]
	if q == nil {
		k.topic = strings.Clone(k.topic) // it may alias the walker's buffer
		q = &queue{queueKey: k, dir: filepath.Join(c.v.root, "consumequeue", k.topic, strconv.Itoa(int(k.id)))}
		c.queues[k] = q
	}
	return q
}

// damage reports a queue that must be built anew.
func (c *checker) damage(q *queue, file string, at int64, format string, args ...any) {
	q.broken = true
	c.add(Damaged, file, at, format, args...)
}

func (c *checker) readQueue(q *queue) error {
	row, stray, err := segments(q.dir)
	if err != nil {
		return err
	}
	if c.v.running {
		row = settle(row, c.v.queueLen)
	}
	for _, path := range stray {
		c.stray = append(c.stray, path)
		c.add(Damaged, path, 0, "the file does not belong into a queue's folder, Java refuses to start")
	}
	s := unitScan{c: c, q: q, zeroFrom: -1, junkFrom: -1}
	for i, f := range row {
		if f.base%c.v.queueLen != 0 {
			c.damage(q, f.path, 0, "the name is no multiple of the file size %d", c.v.queueLen)
			continue
		}
		if i > 0 && q.end != f.base {
			c.damage(q, q.dir, 0, "the files between %s and %s are missing", segment.Name(q.end-c.v.queueLen), segment.Name(f.base))
			s.n = f.base / unitSize
			s.zeroFrom = -1
		}
		if f.size != c.v.queueLen {
			if i == len(row)-1 && c.v.unclean() {
				c.add(Warning, f.path, min(f.size, c.v.queueLen), "%d bytes long, files here have %d; it was being made, a start removes it", f.size, c.v.queueLen)
				break
			}
			c.damage(q, f.path, min(f.size, c.v.queueLen), "%d bytes long, files here have %d", f.size, c.v.queueLen)
		}
		if q.end == 0 && s.n == 0 {
			q.base = f.base
			s.n = f.base / unitSize
			q.min, q.max = s.n, s.n
		}
		q.end = f.base + c.v.queueLen
		if err := s.file(f); err != nil {
			return fmt.Errorf("cannot read %s: %w", f.path, err)
		}
	}
	s.finish()
	c.sum.Units += q.max - q.min
	return nil
}

// unitScan goes over the units of a queue's files: pre-blank ones, then whole ones, then zeros.
type unitScan struct {
	c        *checker
	q        *queue
	n        int64 // queue offset of the next unit
	valid    bool  // one was seen
	zeroFrom int64 // zeros began here, -1: they did not
	junkFrom int64 // no units began here, -1: they did not
	junkTo   int64
}

func (s *unitScan) file(f logFile) error {
	x, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer x.Close()
	err = eachData(x, 0, min(f.size, s.c.v.queueLen), unitSize, func(off int64, b []byte) error {
		s.upTo(f.base/unitSize + off/unitSize)
		for ; len(b) >= unitSize; b = b[unitSize:] {
			s.unit(b[:unitSize])
		}
		return nil
	})
	s.upTo((f.base + s.c.v.queueLen) / unitSize)
	return err
}

// upTo passes over a hole in the file, which is zeros.
func (s *unitScan) upTo(n int64) {
	if n > s.n {
		if s.zeroFrom < 0 {
			s.zeroFrom = s.n
		}
		s.n = n
	}
}

func (s *unitScan) unit(b []byte) {
	n := s.n
	s.n++
	if firstNonZero(b) < 0 {
		if s.zeroFrom < 0 {
			s.zeroFrom = n
		}
		return
	}
	u := consumequeue.GetUnit(b)
	switch {
	case u.Size == preBlank && u.PhysicalOffset == 0 && !s.valid && s.zeroFrom < 0:
		s.q.min, s.q.max = n+1, n+1
		return
	case u.PhysicalOffset < 0 || u.Size <= 0:
		if s.junkFrom < 0 {
			s.junkFrom = n
		}
		s.junkTo = n + 1
		return
	}
	s.good(n, u)
}

func (s *unitScan) good(n int64, u consumequeue.Unit) {
	q, c := s.q, s.c
	if s.zeroFrom >= 0 && s.zeroFrom < n {
		file, at := q.place(c.v, s.zeroFrom)
		c.damage(q, file, at, "%s: no units from offset %d on, and units again at %d", q.name(), s.zeroFrom, n)
	}
	if s.junkFrom >= 0 {
		file, at := q.place(c.v, s.junkFrom)
		c.damage(q, file, at, "%s: offsets %d to %d hold no units", q.name(), s.junkFrom, s.junkTo-1)
		for i := s.junkFrom; i < min(s.junkTo, s.junkFrom+maxTold); i++ {
			q.tell(i)
		}
	}
	s.zeroFrom, s.junkFrom = -1, -1
	if !s.valid {
		s.valid = true
		q.min, q.firstPhys = n, u.PhysicalOffset
	}
	q.firstPhys = min(q.firstPhys, u.PhysicalOffset)
	if u.PhysicalOffset >= c.v.logMin() {
		q.live++
	} else if q.last.PhysicalOffset >= c.v.logMin() && q.last.Size > 0 && q.tell(n) {
		file, at := q.place(c.v, n)
		c.damage(q, file, at, "%s: the unit of offset %d points to %d, in front of the log", q.name(), n, u.PhysicalOffset)
	}
	q.last, q.max = u, n+1
}

func (s *unitScan) finish() {
	q, c := s.q, s.c
	if s.junkFrom < 0 {
		return
	}
	file, at := q.place(c.v, s.junkFrom)
	if c.v.unclean() {
		c.add(Warning, file, at, "%s: bytes behind the last unit, of offset %d, are not zero; a start clears them", q.name(), q.max-1)
		return
	}
	c.damage(q, file, at, "%s: bytes behind the last unit, of offset %d, are not zero", q.name(), q.max-1)
}

// Bounds of the units read at once: of one queue, and in bytes of all together.
const (
	mostAhead, leastAhead = 64, 4
	aheadMemory           = 64 << 20
)

// unit reads the unit of a queue offset as the walk through the log asks for it; ok is false where no file is.
func (c *checker) unit(q *queue, offset int64) (u consumequeue.Unit, ok bool, err error) {
	if !q.exists || offset < q.base/unitSize || offset >= q.end/unitSize {
		return u, false, nil
	}
	if i := offset - q.bufAt; i >= 0 && (i+1)*unitSize <= int64(len(q.buf)) {
		return consumequeue.GetUnit(q.buf[i*unitSize:]), true, nil
	}
	n := max(leastAhead, min(mostAhead, aheadMemory/unitSize/max(len(c.queues), 1)))
	if cap(q.buf) < n*unitSize {
		q.buf = make([]byte, n*unitSize)
	}
	file, at := q.place(c.v, offset)
	b := q.buf[:min(int64(n*unitSize), c.v.queueLen-at)]
	got := 0
	err = c.v.files.Use(file, false, 0, func(f fsys.File) error {
		var err error
		got, err = f.ReadAt(b, at)
		return err
	})
	q.buf, q.bufAt = b[:got/unitSize*unitSize], offset
	if err != nil && !errors.Is(err, io.EOF) {
		if errors.Is(err, os.ErrNotExist) {
			return u, false, nil
		}
		return u, false, fmt.Errorf("cannot read %s: %w", file, err)
	}
	if got < unitSize {
		return u, false, nil
	}
	return consumequeue.GetUnit(q.buf), true, nil
}

// record compares a record with its unit.
func (c *checker) record(q *queue, r *message.Record) error {
	c.follow(q, r)
	if q.max > q.min && r.PhysicalOffset < q.firstPhys && r.QueueOffset >= q.min {
		return nil // of a former life of the topic, which was deleted and made again since
	}
	u, ok, err := c.unit(q, r.QueueOffset)
	if err != nil {
		return err
	}
	if _, told := q.told[r.QueueOffset]; told || ok && u == (consumequeue.Unit{}) && r.QueueOffset < q.max {
		return nil // the queue's files alone told
	}
	want := consumequeue.Unit{PhysicalOffset: r.PhysicalOffset, Size: int32(r.Size), TagsCode: store.TagsCode(r, c.v.levels)}
	if !ok || u.PhysicalOffset < 0 || u.Size <= 0 || u.Size == preBlank {
		c.endWrong(q)
		if q.missTo != r.QueueOffset || q.missTo == q.missFrom {
			c.endMissing(q)
			q.missFrom, q.missPhys = r.QueueOffset, r.PhysicalOffset
		}
		q.missTo = r.QueueOffset + 1
		return nil
	}
	c.endMissing(q)
	if u == want {
		c.endWrong(q)
		q.met++
		return nil
	}
	c.differs(q, r, u, want)
	return nil
}

// extended is the largest tagsCode that is an address in consumequeue_ext. Java: ConsumeQueueExt.MAX_ADDR.
const extended = math.MinInt32 - 1

// differs reports a unit that is not what its record asks for.
func (c *checker) differs(q *queue, r *message.Record, u, want consumequeue.Unit) {
	file, at := q.place(c.v, r.QueueOffset)
	same := u.PhysicalOffset == want.PhysicalOffset && u.Size == want.Size
	if same {
		q.met++
	}
	switch {
	case same && u.TagsCode <= extended:
		return
	case !q.tell(r.QueueOffset):
	case same && r.Topic == store.ScheduleTopic:
		c.add(Warning, file, at, "%s: offset %d is to be delivered at %d, by its level at %d; was messageDelayLevel changed?", q.name(), r.QueueOffset, u.TagsCode, want.TagsCode)
	case same:
		c.damage(q, file, at, "%s: the unit of offset %d has the tags code %d, its record %d", q.name(), r.QueueOffset, u.TagsCode, want.TagsCode)
	case q.wrong.to == r.QueueOffset && q.wrong.to > q.wrong.from:
		q.wrong.to++
	default:
		c.endWrong(q)
		q.wrong = wrongRun{r.QueueOffset, r.QueueOffset + 1, u, want}
	}
}

// endWrong reports the run of units that ends here: one that was shifted has all behind it wrong.
func (c *checker) endWrong(q *queue) {
	w := q.wrong
	q.wrong = wrongRun{}
	if w.from == w.to {
		return
	}
	file, at := q.place(c.v, w.from)
	more := ""
	if w.to > w.from+1 {
		more = fmt.Sprintf("; the units up to offset %d are wrong, too", w.to-1)
	}
	c.damage(q, file, at, "%s: the unit of offset %d points to %d (%d bytes), its record is at %d (%d bytes)%s",
		q.name(), w.from, w.unit.PhysicalOffset, w.unit.Size, w.want.PhysicalOffset, w.want.Size, more)
}

// follow keeps watch whether the queue could be built from the log: its offsets must go on one by one but
// where the log lost something.
func (c *checker) follow(q *queue, r *message.Record) {
	switch {
	case q.records == 0 || r.QueueOffset == q.next:
	case r.QueueOffset == 0:
		q.gap, q.holes = "", false // the topic was deleted and made again
	case r.QueueOffset > q.next && c.lastLoss > q.lastPhys && r.QueueOffset-q.next <= c.lossSize/message.MinRecord:
		q.holes = true
	case q.gap == "":
		q.gap = fmt.Sprintf("behind offset %d its next record in the log, at %d, has offset %d", q.next-1, r.PhysicalOffset, r.QueueOffset)
	}
	q.records++
	q.next, q.lastPhys = r.QueueOffset+1, r.PhysicalOffset
}

// endMissing reports the run of records without units that ends here.
func (c *checker) endMissing(q *queue) {
	if q.missTo == q.missFrom {
		return
	}
	from, to, phys := q.missFrom, q.missTo, q.missPhys
	q.missFrom, q.missTo = 0, 0
	file, at := q.place(c.v, from)
	if !q.exists {
		file, at = q.dir, 0
	}
	text := fmt.Sprintf("%s: no units for offsets %d to %d, whose records are in the log from %d on", q.name(), from, to-1, phys)
	switch {
	case !q.exists && c.topics != nil && !c.topics[q.topic]:
		c.add(Warning, file, at, "%s; the topic is not in topics.json, it was deleted", text)
	case c.v.unclean() && phys >= c.v.cp[5]:
		c.add(Warning, file, at, "%s; a start adds them", text)
	default:
		c.damage(q, file, at, "%s", text)
	}
}
