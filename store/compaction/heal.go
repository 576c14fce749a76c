package compaction

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// Names that Java's broker uses in a queue's folders. Java: CompactionLog.
const (
	compactingDir  = "compacting"  // where a round makes its files
	replicatingDir = "replicating" // where a slave keeps what it fetches
)

// DeleteSuffix is behind the name of a file that others are taking the place of. Java: DefaultMappedFile.renameToDelete.
const DeleteSuffix = ".delete"

// parseName returns the offset that is the name of a file.
func parseName(name string) (int64, bool) {
	base, err := strconv.ParseInt(name, 10, 64)
	return base, err == nil && base >= 0 && segment.Name(base) == name
}

// folder is what a queue's folder of one kind holds.
type folder struct {
	bases      []int64
	deleted    []string // .delete
	compacting []string // below compacting/
	hasWork    bool     // there is a compacting/
}

// look reads a folder. Empty files are removed, as Java does with a last one: they were being made.
func (l *Log) look(dir string, size int64) (folder, error) {
	var f folder
	entries, err := l.o.FS.List(dir)
	if err != nil {
		return f, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name)
		base, isBase := parseName(strings.TrimSuffix(e.Name, DeleteSuffix))
		switch {
		case e.Name == SwitchName:
		case e.Dir && e.Name == compactingDir:
			f.hasWork = true
			for _, w := range l.list(path) {
				f.compacting = append(f.compacting, w.Name)
			}
		case e.Dir || !isBase:
			l.o.Logger.Warn().Str("path", path).Msg("not a file of a compaction log, it is left alone; Java's broker stops at a file of another name")
		case e.Size == 0:
			if err := l.o.FS.Remove(path); err != nil {
				return f, err
			}
		case e.Size != size:
			return f, fmt.Errorf("%s is %d bytes long, files here have %d by compactionMappedFileSize and compactionCqMappedFileSize", path, e.Size, size)
		case base%l.o.LogFileSize != 0:
			return f, fmt.Errorf("%s begins at no multiple of %d, by compactionMappedFileSize and compactionCqMappedFileSize", path, l.o.LogFileSize)
		case strings.HasSuffix(e.Name, DeleteSuffix):
			f.deleted = append(f.deleted, e.Name)
		default:
			f.bases = append(f.bases, base)
		}
	}
	slices.Sort(f.bases)
	return f, nil
}

// load finishes what a crash has interrupted and reads the bounds of the pairs.
func (l *Log) load() error {
	l.w = writer{place: l.place, guard: l.guarded}
	if _, err := l.finishDelete(); err != nil {
		return err
	}
	text, err := l.readSwitch()
	if err != nil {
		return err
	}
	if strings.HasPrefix(text, switchReplace+"\n") {
		c, err := parseChange(text)
		if err != nil {
			return fmt.Errorf("%s: %w", l.switchPath(), err)
		}
		if err := l.apply(c); err != nil {
			return err
		}
	}
	if err := l.clearStage(); err != nil {
		return err
	}
	log, err := l.look(l.logDir, l.o.LogFileSize)
	if err != nil {
		return err
	}
	cq, err := l.look(l.cqDir, l.o.CqFileSize)
	if err != nil {
		return err
	}
	if why := interrupted(&log, &cq); why != "" {
		l.o.Logger.Warn().Str("topic", l.Topic).Int32("queueId", l.ID).Str("why", why).Msg("the compaction log is put together anew from all files there are")
		if err := l.salvage(&log, &cq); err != nil {
			return err
		}
		if log, err = l.look(l.logDir, l.o.LogFileSize); err != nil {
			return err
		}
		cq = log
	}
	if err := l.removeRest(&log, &cq); err != nil {
		return err
	}
	pairs, err := l.bounds(log.bases)
	if err != nil {
		return err
	}
	if text != "" { // of kind create
		if err := l.removeSwitch(); err != nil {
			return err
		}
	}
	l.publish(pairs)
	l.followed.Store(max(end(pairs), l.s.positions.get(l.Name)+1))
	return nil
}

// interrupted returns why the files cannot be taken as they stand: a round of Java's broker did not come to its end
// (CompactionLog.replaceFiles), or pairs are not whole in front of others.
func interrupted(log, cq *folder) string {
	switch {
	case len(log.deleted)+len(cq.deleted) > 0:
		return "a round was interrupted"
	case !slices.Equal(log.compacting, cq.compacting) && len(cq.compacting) > len(log.compacting):
		return "a round was interrupted, of which the queue files are left"
	}
	n := min(len(log.bases), len(cq.bases))
	if !slices.Equal(log.bases[:n], cq.bases[:n]) {
		return "log files and queue files do not pair up"
	}
	return ""
}

// removeRest removes what stands for nothing: a file at the end whose other one was not made yet, and the files of a
// round that had not come to take any places. Java would write over the latter and leave of them what is longer.
func (l *Log) removeRest(log, cq *folder) error {
	n := min(len(log.bases), len(cq.bases))
	for len(log.bases) > n {
		if err := l.o.FS.Remove(l.logPath(log.bases[len(log.bases)-1])); err != nil {
			return err
		}
		log.bases = log.bases[:len(log.bases)-1]
	}
	for len(cq.bases) > n {
		if err := l.o.FS.Remove(l.cqPath(cq.bases[len(cq.bases)-1])); err != nil {
			return err
		}
		cq.bases = cq.bases[:len(cq.bases)-1]
	}
	for dir, f := range map[string]*folder{l.logDir: log, l.cqDir: cq} {
		if f.hasWork {
			if err := l.o.FS.RemoveAll(filepath.Join(dir, compactingDir)); err != nil {
				return err
			}
		}
	}
	return nil
}

// bounds reads how far the pairs are written.
func (l *Log) bounds(bases []int64) ([]pair, error) {
	pairs := make([]pair, 0, len(bases))
	for i, base := range bases {
		x, err := l.bound(pair{base: base, last: -1}, i == len(bases)-1)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, x)
	}
	return pairs, nil
}

func (l *Log) bound(x pair, last bool) (pair, error) {
	count := int(l.o.CqFileSize / unitSize)
	var failed error
	if last {
		behind, offset := base(x), int64(-1)
		all := x
		all.units = count
		failed = l.eachUnit(all, 0, func(u consumequeue.BatchUnit) (bool, error) {
			if !l.within(x, u) || u.PhysicalOffset != behind || u.Base <= offset {
				return false, nil
			}
			behind, offset = u.PhysicalOffset+int64(u.Size), u.Base
			x.units++
			return true, nil
		})
	} else {
		x.units = sort.Search(count, func(i int) bool {
			u, err := l.unit(x, i)
			failed = firstOf(failed, err)
			return !l.within(x, u)
		})
	}
	if failed != nil {
		return x, failed
	}
	for ; x.units > 0; x.units-- {
		u, err := l.unit(x, x.units-1)
		if err != nil {
			return x, err
		}
		whole := true
		if last {
			if whole, err = l.whole(x, u); err != nil {
				return x, err
			}
		}
		if whole {
			first, err := l.unit(x, 0)
			x.first, x.last, x.end = first.Base, u.Base, u.PhysicalOffset+int64(u.Size)-x.base
			return x, err
		}
		l.o.Logger.Warn().Str("file", l.logPath(x.base)).Int64("queueOffset", u.Base).Msg("the last record of a compaction log is not whole, it is taken from the commit log again")
	}
	return x, nil
}

func base(x pair) int64 { return x.base }

// whole reports whether the record of a unit is what the unit says.
func (l *Log) whole(x pair, u consumequeue.BatchUnit) (bool, error) {
	b, err := l.record(nil, x, u)
	if err != nil {
		return false, err
	}
	r, err := message.Parse(b, true)
	return err == nil && r.Size == int(u.Size) && r.QueueOffset == u.Base && r.PhysicalOffset == u.PhysicalOffset, nil
}

// source reads the records of one file, in order, up to the first that is none.
type source struct {
	f      fsys.File
	r      *bufio.Reader
	l      *Log
	record []byte
	head   message.Record
	ok     bool
}

func (s *source) next() error {
	before := s.head.QueueOffset
	first := !s.ok
	s.ok = false
	head, err := s.r.Peek(8)
	if err != nil {
		return ignoreEOF(err)
	}
	size := int64(binary.BigEndian.Uint32(head))
	if magic := message.Magic(head); magic != message.MagicV1 && magic != message.MagicV2 || size < message.MinRecord || size > s.l.o.LogFileSize {
		return nil
	}
	s.record = slices.Grow(s.record[:0], int(size))[:size]
	if _, err := io.ReadFull(s.r, s.record); err != nil {
		return ignoreEOF(err)
	}
	r, err := message.Parse(s.record, true)
	if err == nil && r.Topic == s.l.Topic && r.QueueID == s.l.ID && (first || r.QueueOffset > before) {
		s.head, s.ok = r, true
	}
	return nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// salvage writes all records that are in any log file, each once, to new pairs, which take the place of all files.
// What a round had left out is back, until the next one.
func (l *Log) salvage(log, cq *folder) error {
	var old []string
	var paths []string
	add := func(kind string, f *folder) {
		for _, base := range f.bases {
			old = append(old, kind+segment.Name(base))
		}
		for _, name := range f.deleted {
			old = append(old, kind+name)
		}
		for _, name := range f.compacting {
			old = append(old, kind+compactingDir+"/"+name)
		}
	}
	add("log/", log)
	for _, name := range old {
		paths = append(paths, l.pathOf(name))
	}
	add("cq/", cq)
	w := writer{place: l.stage}
	if err := l.merge(paths, &w); err != nil {
		return err
	}
	if len(w.pairs) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	// Values come back that no new key will tell to be out of date.
	if err := l.s.positions.remove(l.Name); err != nil {
		return err
	}
	return l.replace(old, w.pairs)
}

// merge adds the records of files to w, by their queue offsets.
func (l *Log) merge(paths []string, w *writer) error {
	var sources []*source
	defer func() {
		for _, s := range sources {
			_ = s.f.Close()
		}
	}()
	for _, path := range paths {
		f, err := l.o.FS.Open(path, false)
		if err != nil {
			return err
		}
		s := &source{f: f, l: l, r: bufio.NewReaderSize(io.NewSectionReader(f, 0, l.o.LogFileSize), 256<<10)}
		sources = append(sources, s)
		if err := s.next(); err != nil {
			return err
		}
	}
	for {
		var least *source
		for _, s := range sources {
			if s.ok && (least == nil || s.head.QueueOffset < least.head.QueueOffset) {
				least = s
			}
		}
		if least == nil {
			return nil
		}
		r, offset := &least.head, least.head.QueueOffset
		u := consumequeue.BatchUnit{Unit: consumequeue.Unit{TagsCode: message.TagsCode(message.GetProperty(r.Properties, message.PropertyTags))},
			StoreTimestamp: r.StoreTimestamp, Base: offset}
		if err := w.add(least.record, u); err != nil {
			return err
		}
		for _, s := range sources {
			for s.ok && s.head.QueueOffset <= offset {
				if err := s.next(); err != nil {
					return err
				}
			}
		}
	}
}

// Cut forgets the messages from queue offset from on: the CommitLog does not have them any more, and their offsets are
// given to others.
func (l *Log) Cut(from int64) error {
	pairs := slices.Clone(*l.pairs.Load())
	l.followed.Store(min(l.followed.Load(), from))
	if end(pairs) <= from {
		return nil
	}
	err := l.guarded(func() error {
		for len(pairs) > 0 {
			x := &pairs[len(pairs)-1]
			if x.units > 0 && x.first < from {
				return l.cut(x, from)
			}
			for _, path := range []string{l.cqPath(x.base), l.logPath(x.base)} {
				l.o.Handles.Forget(path)
				if err := l.o.FS.Remove(path); err != nil {
					return err
				}
				if err := l.syncDirs(filepath.Dir(path)); err != nil {
					return err
				}
			}
			pairs = pairs[:len(pairs)-1]
		}
		return nil
	})
	l.publish(pairs)
	return err
}

// cut takes the units from queue offset from on out of a pair, which has one in front of it.
func (l *Log) cut(x *pair, from int64) error {
	n, err := l.search(*x, from)
	if err != nil {
		return err
	}
	at := int64(n) * unitSize
	if err := l.use(l.cqPath(x.base), func(f fsys.File) error { return f.Zero(at, l.o.CqFileSize-at) }); err != nil {
		return err
	}
	if err := l.sync(l.cqPath(x.base)); err != nil {
		return err
	}
	u, err := l.unit(*x, n-1)
	x.units, x.last, x.end = n, u.Base, u.PhysicalOffset+int64(u.Size)-x.base
	return err
}
