package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
)

// span is a range of the log.
type span struct {
	from, to int64
	stamp    int64 // ms, store timestamp of the record in front, 0: there is none
}

// lost is a unit whose record stood in a damaged range.
type lost struct {
	q      *queue
	offset int64
	phys   int64
	size   int32
}

// filler is a filler record of an earlier repair.
type filler struct {
	phys        int64
	size        int32
	queueID     int32
	queueOffset int64
}

// checker gathers what a check finds and what a repair needs to know.
type checker struct {
	ctx    context.Context
	v      *view
	report func(Finding)
	sum    Summary
	queues map[queueKey]*queue
	topics map[string]bool // of topics.json; nil: unknown

	batches     map[queueKey]*batchQueue
	batchTopics map[string]bool // of topics.json, those with queue.type=BatchCQ

	damaged  []span   // of the log
	missing  []span   // where a log file should be
	fillers  []filler // in order
	tail     *span    // bytes behind the end of the log
	lastLoss int64    // newest damage or filler the walk has met
	lossSize int64    // bytes of all of them
	newest   int64    // ms, greatest store timestamp
	oldest   int64    // ms, store timestamp of the first record
	before   int64    // ms, store timestamp of the record in front
	stray    []string // files to move aside; those of the log's folder are the view's
	configs  []config
	lost     []lost
}

// Check verifies the store and calls report with each finding. It writes nothing. The error says why the
// check could not be made or finished; damage is no error.
func Check(ctx context.Context, o Options, report func(Finding)) (Summary, error) {
	c, err := check(ctx, o, report)
	if c == nil {
		return Summary{}, err
	}
	return c.sum, err
}

func check(ctx context.Context, o Options, report func(Finding)) (*checker, error) {
	v, err := open(o)
	if err != nil {
		return nil, err
	}
	defer v.close()
	c := &checker{ctx: ctx, v: v, report: report, queues: map[queueKey]*queue{}, batches: map[queueKey]*batchQueue{}, lastLoss: -1}
	c.sum.Running, c.sum.Clean = v.running, !v.unclean()
	c.sum.LogFiles, c.sum.LogFrom = int64(len(v.log)), v.logMin()
	for _, f := range v.odd {
		c.add(f.Severity, f.File, f.Position, "%s", f.Text)
	}
	for i := 1; i < len(v.log); i++ {
		if behind := v.log[i-1].base + v.logLen; behind < v.log[i].base {
			c.missing = append(c.missing, span{from: behind, to: v.log[i].base})
		}
	}
	// Queues before the log: what is stored meanwhile beside a broker has its record in the log later.
	for _, step := range []func() error{c.readConfigs, c.readQueues, c.readBatchQueues, c.checkForms, c.readLog, c.readLost, c.endBatches, c.checkState, c.checkOffsets, c.readIndex, c.readCompaction} {
		if err := step(); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *checker) add(s Severity, file string, at int64, format string, args ...any) {
	if s == Damaged {
		c.sum.Damaged++
	} else {
		c.sum.Warnings++
	}
	c.report(Finding{s, file, at, fmt.Sprintf(format, args...)})
}

// stampLimit is how far a store timestamp may be ahead of this machine's clock.
const stampLimit = 24 * 60 * 60 * 1000

// readLog walks the log and looks for the unit of each record.
func (c *checker) readLog() error {
	w := c.v.walk(0)
	limit := c.v.o.Now().UnixMilli() + stampLimit
	for n := 0; ; n++ {
		if n%4096 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		e, ok := w.next()
		if !ok {
			break
		}
		if e.kind != anyRecord {
			c.damageOf(e)
			continue
		}
		r := &e.rec
		c.sum.Records++
		c.sum.Bytes += int64(r.Size)
		if r.StoreTimestamp < c.before || r.StoreTimestamp <= 0 || r.StoreTimestamp > limit {
			file, at := c.v.where(e.from)
			c.add(Warning, file, at, "the store timestamp is %d, that of the record in front %d", r.StoreTimestamp, c.before)
		}
		c.before = r.StoreTimestamp
		if c.sum.Records == 1 {
			c.oldest = c.before
		}
		c.newest = max(c.newest, r.StoreTimestamp)
		if err := c.dispatch(e.from, r); err != nil {
			return err
		}
	}
	c.sum.LogEnd = w.at
	for _, q := range c.sorted() {
		c.endWrong(q)
		c.endMissing(q)
	}
	return w.err
}

func (c *checker) damageOf(e event) {
	file, at := c.v.where(e.from)
	if e.kind == anyTail {
		c.tail = &span{from: e.from, to: e.to}
		if c.v.unclean() {
			c.add(Warning, file, at, "bytes up to %d stand behind the end of the log (%s); a start clears them", at+e.to-e.from, e.why)
		} else {
			c.add(Damaged, file, at, "bytes up to %d stand behind the end of the log, which was closed cleanly (%s)", at+e.to-e.from, e.why)
		}
		return
	}
	c.damaged = append(c.damaged, span{e.from, e.to, c.before})
	c.loss(e.from, e.to-e.from)
	c.add(Damaged, file, at, "damaged bytes [%d,%d) of the log, %d to %d of the file: %s", e.from, e.to, at, at+e.to-e.from, e.why)
}

func (c *checker) loss(at, size int64) {
	c.lastLoss = at
	c.lossSize += size
}

// dispatch gives a record to its queue. Java: CommitLogDispatcherBuildConsumeQueue.
func (c *checker) dispatch(at int64, r *message.Record) error {
	if store.IsFiller(r) {
		c.sum.Fillers++
		c.loss(at, int64(r.Size))
		c.fillers = append(c.fillers, filler{at, int32(r.Size), r.QueueID, r.QueueOffset})
		return nil
	}
	switch t := r.SysFlag & message.SysFlagTransaction; {
	case t == message.SysFlagPrepared, t == message.SysFlagRollback:
		return nil
	case r.QueueID < 0 || r.QueueOffset < 0:
		file, pos := c.v.where(at)
		c.add(Damaged, file, pos, "the record is of queue %d, offset %d", r.QueueID, r.QueueOffset)
		return nil
	}
	if q := c.batchOf(r); q != nil {
		return c.batchRecord(q, r)
	}
	if r.SysFlag&message.SysFlagInnerBatch != 0 {
		return nil // of a topic that was deleted
	}
	return eachPlace(r, func(k queueKey, r *message.Record) error { return c.record(c.queue(k), r) })
}

// eachPlace calls fn for each simple queue that a record is in, with the record as it is seen there: its own, and
// light ones. Java: ConsumeQueue.multiDispatchLmqQueue.
func eachPlace(r *message.Record, fn func(k queueKey, r *message.Record) error) error {
	err := fn(queueKey{r.Topic, r.QueueID}, r)
	r.EachLight(func(name string, offset int64) bool {
		if err == nil && (name != r.Topic || r.QueueID != 0) {
			seen := *r
			seen.QueueOffset = offset
			err = fn(queueKey{name, 0}, &seen)
		}
		return err == nil
	})
	return err
}

// sorted returns all queues by topic and id.
func (c *checker) sorted() []*queue {
	out := make([]*queue, 0, len(c.queues))
	for _, q := range c.queues {
		out = append(out, q)
		if q.exists {
			q.buf = nil
		}
	}
	slices.SortFunc(out, func(a, b *queue) int {
		return cmp.Or(strings.Compare(a.topic, b.topic), cmp.Compare(a.id, b.id))
	})
	return out
}

// readLost looks unit by unit at the queues that have other units than those the log has records for.
func (c *checker) readLost() error {
	for _, q := range c.sorted() {
		if q.exists {
			c.sum.Queues++
		}
		if q.live == q.met {
			continue
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
		run := strayUnits{c: c, q: q}
		for n := q.min; n < q.max; n++ {
			u, ok, err := c.unit(q, n)
			if err != nil {
				return err
			}
			if !ok || u.Size <= 0 || u.PhysicalOffset < c.v.logMin() {
				continue
			}
			what, err := c.pointsTo(q, n, lost{q, n, u.PhysicalOffset, u.Size})
			if err != nil {
				return err
			}
			run.add(n, u.PhysicalOffset, what)
		}
		run.end()
		q.buf = nil
	}
	return nil
}

// target is what a unit that no record agreed with points to.
type target int

const (
	itsRecord target = iota
	damagedLog
	behindLog
	otherRecord
)

// maxLost bounds the units remembered for laying out fillers.
const maxLost = 1 << 20

func (c *checker) pointsTo(q *queue, n int64, u lost) (target, error) {
	switch {
	case u.phys >= c.sum.LogEnd:
		return behindLog, nil
	case within(c.missing, u.phys):
		return damagedLog, nil
	case within(c.damaged, u.phys):
		if len(c.lost) < maxLost {
			c.lost = append(c.lost, u)
		}
		return damagedLog, nil
	}
	i := sort.Search(len(c.fillers), func(i int) bool { return c.fillers[i].phys >= u.phys })
	if i < len(c.fillers) && c.fillers[i].phys == u.phys && c.fillers[i].size == u.size {
		return itsRecord, nil
	}
	_, r, err := c.v.record(nil, u.phys)
	if err != nil {
		return itsRecord, err
	}
	if r != nil && r.Size == int(u.size) {
		_, light := r.LightOffset(q.topic)
		if r.Topic == q.topic && r.QueueID == q.id && r.QueueOffset == n || light && q.id == 0 {
			return itsRecord, nil // compared when the walk met it
		}
	}
	return otherRecord, nil
}

func within(row []span, at int64) bool {
	i := sort.Search(len(row), func(i int) bool { return row[i].to > at })
	return i < len(row) && row[i].from <= at
}

// strayUnits reports runs of units that point to nothing of theirs.
type strayUnits struct {
	c        *checker
	q        *queue
	from, to int64
	phys     int64
	what     target
}

func (s *strayUnits) add(n, phys int64, what target) {
	if _, told := s.q.told[n]; told && what != damagedLog {
		what = itsRecord // the walk told what is wrong with it
	}
	if s.to == n && s.what == what && s.to > s.from {
		s.to++
		return
	}
	s.end()
	if what == itsRecord || what == behindLog && s.c.v.running {
		return
	}
	s.from, s.to, s.phys, s.what = n, n+1, phys, what
}

func (s *strayUnits) end() {
	if s.from == s.to {
		return
	}
	c, q := s.c, s.q
	file, at := q.place(c.v, s.from)
	text := fmt.Sprintf("%s: the units of offsets %d to %d point to %d and on, ", q.name(), s.from, s.to-1, s.phys)
	switch {
	case s.what == damagedLog:
		c.add(Warning, file, at, "%sinto damaged bytes of the log", text)
	case s.what == behindLog && c.v.unclean():
		c.add(Warning, file, at, "%sbehind the end of the log at %d; a start cuts them", text, c.sum.LogEnd)
	case s.what == behindLog:
		c.damage(q, file, at, "%sbehind the end of the log at %d", text, c.sum.LogEnd)
	default:
		c.damage(q, file, at, "%swhere the log has no record of theirs", text)
	}
	s.from, s.to = 0, 0
}
