package inspect

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// mendRest moves aside what the broker makes anew by itself and builds broken queues from the log.
func (m *repairer) mendRest(c *checker) error {
	for _, path := range c.stray {
		if c.inBroken(path) {
			continue // goes with its folder
		}
		if err := m.move(path, "it does not belong there, or a start makes it anew"); err != nil {
			return err
		}
	}
	if err := m.mendConfigs(c); err != nil {
		return err
	}
	set := map[queueKey]*build{}
	config := &consumequeue.Config{FS: fsys.OS{}, Dir: filepath.Join(c.v.root, "consumequeue"), FileSize: c.v.queueLen, Handles: segment.NewHandles(fsys.OS{}, c.v.o.QueueFileLimit)}
	defer config.Handles.Close()
	for _, q := range c.sorted() {
		switch {
		case !q.broken:
			continue
		case q.gap != "":
			m.cannot("build %s anew: %s", q.name(), q.gap)
			continue
		case q.holes && len(c.damaged) > 0 && (!m.r.DryRun || !m.r.Fill):
			m.cannot("build %s anew while the log is damaged, --fill comes first", q.name())
			continue
		}
		if q.exists {
			if err := m.move(q.dir, "its units are not those of the log"); err != nil {
				return err
			}
		}
		m.step("build %s anew from the log", q.name())
		set[q.queueKey] = &build{q: q, cq: consumequeue.New(config, q.topic, q.id), at: -1}
	}
	if err := m.mendBatches(c); err != nil {
		return err
	}
	if len(set) == 0 || m.r.DryRun {
		return nil
	}
	b := &builder{m: m, c: c, config: config, set: set, touched: map[string]struct{}{}}
	return b.run()
}

// inBroken reports whether path lies in the folder of a queue that moves as a whole.
func (c *checker) inBroken(path string) bool {
	for _, q := range c.queues {
		if q.broken && q.gap == "" && filepath.Dir(path) == q.dir {
			return true
		}
	}
	for _, q := range c.batches {
		if q.broken && filepath.Dir(path) == q.dir {
			return true
		}
	}
	return false
}

func (m *repairer) mendConfigs(c *checker) error {
	for _, f := range c.configs {
		if !f.bad {
			continue
		}
		other := f.path + fsys.BackupSuffix
		if strings.HasSuffix(f.path, fsys.BackupSuffix) {
			other = strings.TrimSuffix(f.path, fsys.BackupSuffix)
		}
		if !slices.Contains(c.configs, config{other, false}) {
			m.cannot("give back %s: there is no good %s", f.path, filepath.Base(other))
			continue
		}
		if err := m.move(f.path, "a start reads "+filepath.Base(other)); err != nil {
			return err
		}
	}
	return nil
}

// build is a queue that is built anew.
type build struct {
	q  *queue
	cq *consumequeue.Queue
	at int64 // where its newest record stands, -1: none yet
}

// builder builds queues in one walk through the log.
type builder struct {
	m       *repairer
	c       *checker
	config  *consumequeue.Config
	set     map[queueKey]*build
	waiting int // bytes of units in memory
	touched map[string]struct{}
}

// Bounds of the units kept in memory, of one queue and of all.
const (
	flushOne = 64 << 10
	flushAll = 32 << 20
)

func (b *builder) run() error {
	w := b.c.v.walk(0)
	defer b.c.v.close()
	for n := 0; ; n++ {
		if n%4096 == 0 && b.m.ctx.Err() != nil {
			return b.m.ctx.Err()
		}
		e, ok := w.next()
		if !ok {
			break
		}
		r := &e.rec
		if e.kind != anyRecord || store.IsFiller(r) {
			continue
		}
		if t := r.SysFlag & message.SysFlagTransaction; t == message.SysFlagPrepared || t == message.SysFlagRollback || r.SysFlag&message.SysFlagInnerBatch != 0 {
			continue
		}
		err := eachPlace(r, func(k queueKey, r *message.Record) error {
			if x := b.set[k]; x != nil && r.QueueOffset >= 0 {
				return b.record(x, r)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if w.err != nil {
		return w.err
	}
	for _, x := range b.set {
		if err := b.keepMax(x); err != nil {
			return err
		}
	}
	if err := b.flush(); err != nil {
		return err
	}
	return syncQueues(b.config, b.touched)
}

func (b *builder) record(x *build, r *message.Record) error {
	switch next := x.cq.Max(); {
	case x.at < 0:
		x.cq.Begin(r.QueueOffset)
	case r.QueueOffset == next:
	case r.QueueOffset == 0: // the topic was deleted and made again
		if err := x.cq.Reset(); err != nil {
			return err
		}
	case r.QueueOffset < next:
		return fmt.Errorf("BUG: %s goes from offset %d to %d", x.q.name(), next-1, r.QueueOffset)
	default:
		for n := next; n < r.QueueOffset; n++ {
			u, ok := b.c.hole(x, n, r.PhysicalOffset)
			if !ok {
				return fmt.Errorf("BUG: %s has no filler for offset %d", x.q.name(), n)
			}
			if err := b.add(x, u); err != nil {
				return err
			}
		}
	}
	x.at = r.PhysicalOffset
	return b.add(x, consumequeue.Unit{PhysicalOffset: r.PhysicalOffset, Size: int32(r.Size), TagsCode: store.TagsCode(r, b.c.v.levels)})
}

// hole returns the unit for an offset whose record the log lost between the queue's newest record and
// offset behind: the filler that stands for it, else the first there is.
func (c *checker) hole(x *build, n, behind int64) (consumequeue.Unit, bool) {
	var best *filler
	for i := range c.fillers {
		f := &c.fillers[i]
		if f.phys <= x.at || f.phys >= behind {
			continue
		}
		if best == nil || f.queueID == x.q.id && f.queueOffset == n {
			best = f
			if f.queueOffset == n && f.queueID == x.q.id {
				break
			}
		}
	}
	if best == nil {
		return consumequeue.Unit{}, false
	}
	return consumequeue.Unit{PhysicalOffset: best.phys, Size: best.size}, true
}

// keepMax gives a queue the maximum it had: it survives in the queue's files alone when the records are
// gone, and an offset must not be given twice.
func (b *builder) keepMax(x *build) error {
	q := x.q
	if q.max <= x.cq.Max() {
		return nil
	}
	if x.at < 0 {
		u := q.last
		if u.PhysicalOffset+int64(u.Size) > b.c.v.logMin() {
			u = consumequeue.Unit{Size: message.MinRecord} // in front of the log, as the others are
		}
		if h, ok := b.c.hole(x, q.max-1, b.c.sum.LogEnd); ok {
			u = h
		}
		x.cq.Begin(q.max - 1)
		return b.add(x, u)
	}
	if _, ok := b.c.hole(x, x.cq.Max(), b.c.sum.LogEnd); !ok {
		b.m.cannot("keep offsets %d to %d of %s, whose records the log has not: they will be given again", x.cq.Max(), q.max-1, q.name())
		return nil
	}
	for n := x.cq.Max(); n < q.max; n++ {
		u, _ := b.c.hole(x, n, b.c.sum.LogEnd)
		if err := b.add(x, u); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) add(x *build, u consumequeue.Unit) error {
	_, size := x.cq.Append(u)
	b.waiting += unitSize
	if size < flushOne && b.waiting < flushAll {
		return nil
	}
	if b.waiting >= flushAll {
		return b.flush()
	}
	return b.flushOne(x)
}

func (b *builder) flushOne(x *build) error {
	n, err := x.cq.Flush(func(path string, _ bool) { b.touched[path] = struct{}{} })
	b.waiting -= n
	return err
}

func (b *builder) flush() error {
	for _, x := range b.set {
		if err := b.flushOne(x); err != nil {
			return err
		}
	}
	return nil
}

// syncQueues makes new files and their names durable.
func syncQueues(config *consumequeue.Config, touched map[string]struct{}) error {
	dirs := map[string]struct{}{config.Dir: {}, filepath.Dir(config.Dir): {}}
	for path := range touched {
		if err := config.Handles.Use(path, false, 0, func(f fsys.File) error { return f.Datasync() }); err != nil {
			return fmt.Errorf("cannot sync %s: %w", path, err)
		}
		dirs[filepath.Dir(path)] = struct{}{}
		dirs[filepath.Dir(filepath.Dir(path))] = struct{}{}
	}
	for dir := range dirs {
		if err := fsys.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}
