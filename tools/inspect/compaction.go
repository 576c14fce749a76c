package inspect

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/compaction"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// readCompaction checks the compaction logs: that each log file has a queue file, and that units and records fit.
func (c *checker) readCompaction() error {
	root := filepath.Join(c.v.root, compaction.Dir, compaction.LogDir)
	topics, err := fsys.OS{}.List(root)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", root, err)
	}
	for _, t := range topics {
		ids, err := fsys.OS{}.List(filepath.Join(root, t.Name))
		if !t.Dir || err != nil {
			continue
		}
		for _, e := range ids {
			if id, err := strconv.ParseInt(e.Name, 10, 32); e.Dir && err == nil {
				x := compactionCheck{c: c, topic: t.Name, id: int32(id), logDir: filepath.Join(root, t.Name, e.Name),
					cqDir: filepath.Join(c.v.root, compaction.Dir, compaction.CqDir, t.Name, e.Name), before: -1}
				if err := x.queue(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// compactionCheck is the check of one queue.
type compactionCheck struct {
	c             *checker
	topic         string
	id            int32
	logDir, cqDir string
	before        int64 // the queue offset in front
}

// bad reports damage, which is none where a start goes on with what was interrupted, or a broker is at it.
func (x *compactionCheck) bad(path string, at int64, format string, args ...any) {
	s := Damaged
	if x.c.v.unclean() {
		s = Warning
	}
	x.c.add(s, path, at, format, args...)
}

func (x *compactionCheck) queue() error {
	logs, whole, err := x.names(x.logDir)
	if err != nil || !whole {
		return err
	}
	cqs, whole, err := x.names(x.cqDir)
	if err != nil || !whole {
		return err
	}
	for name, size := range logs {
		if cqs[name] == 0 {
			x.bad(filepath.Join(x.logDir, name), 0, "the log file has no queue file in %s", x.cqDir)
		} else if cqs[name]%consumequeue.BatchUnitSize != 0 || size%cqs[name] != 0 {
			x.bad(filepath.Join(x.cqDir, name), 0, "%d bytes long, with a log file of %d: not as Java sizes them", cqs[name], size)
		}
	}
	for name := range cqs {
		if logs[name] == 0 {
			x.bad(filepath.Join(x.cqDir, name), 0, "the queue file has no log file in %s", x.logDir)
		}
	}
	for _, name := range sortedKeys(logs) {
		if cqs[name] > 0 && x.c.ctx.Err() == nil {
			x.c.sum.CompactionFiles++
			if err := x.pair(name, logs[name]); err != nil && !os.IsNotExist(err) { // a round beside us replaces files
				return err
			}
		}
	}
	return x.c.ctx.Err()
}

// names returns the files of a folder and their sizes; whole is false when a round was interrupted.
func (x *compactionCheck) names(dir string) (names map[string]int64, whole bool, err error) {
	entries, err := fsys.OS{}.List(dir)
	if err != nil {
		return nil, false, err
	}
	names = map[string]int64{}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name)
		base, err := strconv.ParseInt(strings.TrimSuffix(e.Name, compaction.DeleteSuffix), 10, 64)
		switch {
		case e.Name == compaction.SwitchName:
			x.c.add(Warning, path, 0, "files are being replaced; the next start goes on with it, Java does without the queue until then")
			return nil, false, nil
		case e.Dir:
			x.c.add(Warning, path, 0, "what a round of Java's broker has left")
		case err != nil || !strings.HasPrefix(e.Name, segment.Name(base)):
			x.bad(path, 0, "the file does not belong there, Java's broker does not start with it")
		case strings.HasSuffix(e.Name, compaction.DeleteSuffix):
			x.bad(path, 0, "a round of Java's broker was interrupted, which does not start with it; Skylark puts the files together again")
			return nil, false, nil
		case e.Size > 0:
			names[e.Name] = e.Size
		}
	}
	return names, true, nil
}

func (x *compactionCheck) pair(name string, logSize int64) error {
	cq, err := os.ReadFile(filepath.Join(x.cqDir, name))
	if err != nil {
		return err
	}
	path := filepath.Join(x.logDir, name)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	base, _ := strconv.ParseInt(name, 10, 64)
	at := base
	for ; len(cq) >= consumequeue.BatchUnitSize; cq = cq[consumequeue.BatchUnitSize:] {
		u := consumequeue.GetBatchUnit(cq)
		if u.PhysicalOffset < 0 || u.Size <= 0 || u.Messages <= 0 {
			return nil
		}
		if u.PhysicalOffset != at || at+int64(u.Size) > base+logSize || u.Base <= x.before {
			x.bad(filepath.Join(x.cqDir, name), 0, "the unit of queue offset %d, behind %d, points to %d, where %d was expected", u.Base, x.before, u.PhysicalOffset, at)
			return nil
		}
		b := make([]byte, u.Size)
		if _, err := f.ReadAt(b, at-base); err != nil {
			return err
		}
		r, err := message.Parse(b, true)
		if err != nil || r.QueueOffset != u.Base || r.PhysicalOffset != at || r.Topic != x.topic || r.QueueID != x.id {
			x.bad(path, at-base, "no record of queue offset %d stands here: %v", u.Base, err)
		}
		x.c.sum.CompactionRecords++
		x.before, at = u.Base, at+int64(u.Size)
	}
	return nil
}
