package index

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/skylarkmq/skylark/store/fsys"
)

// loader opens the files of a folder and decides what of them can be trusted.
type loader struct {
	x       *Index
	clean   bool
	durable int64 // checkpoint.indexMsgTimestamp
	max     int64 // end of the CommitLog
	files   []*file
}

// errDamaged is why a file cannot be used, in contrast to a disk that cannot be read.
var errDamaged = errors.New("damaged")

func (l *loader) load() error {
	bad, err := l.open()
	if err != nil {
		return err
	}
	if err := l.remove(bad); err != nil {
		return err
	}
	if err := l.sort(); err != nil {
		return err
	}
	for i := 0; i < len(l.files); i++ {
		f := l.files[i]
		ok, err := l.trusted(f)
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		if i, err = l.mend(i); err != nil {
			return err
		}
	}
	return l.start()
}

// mend is repair. A file that a full disk has no room to repair goes, so that the store can start; it is built
// anew when there is space.
func (l *loader) mend(i int) (int, error) {
	path := l.files[i].path
	done, err := l.repair(i)
	if !fsys.IsFull(err) {
		return done, err
	}
	l.x.o.Logger.Warn().Err(err).Str("path", path).Msg("no space to repair an index file, removing it and those behind it; they are built anew from the commit log")
	return max(i-2, -1), l.removeFrom(i) // the file before is the last one now
}

// open opens the files up to the first that is damaged, and returns the paths of that one and those behind
// it: what they lack could not be put in front of them.
func (l *loader) open() (bad []string, err error) {
	x := l.x
	entries, err := x.o.FS.List(x.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", x.o.Dir, err)
	}
	for i, e := range entries {
		path := filepath.Join(x.o.Dir, e.Name)
		if e.Dir || !isName(e.Name) {
			x.o.Logger.Warn().Str("path", path).Msg("this is no index file, leaving it alone")
			continue
		}
		if len(bad) > 0 {
			bad = append(bad, path)
			continue
		}
		f, err := l.openFile(e, path)
		switch {
		case errors.Is(err, errDamaged):
			x.o.Logger.Warn().Err(err).Msg("removing an index file and those behind it, they are built anew from the commit log")
			bad = append(bad, path)
		case err != nil:
			return nil, err
		case f.head.count <= 1 && (l.clean || i == len(entries)-1):
			// Nothing was put into it, or its first batch did not come to the header.
			_ = f.Close()
			if err := x.o.FS.Remove(path); err != nil {
				return nil, fmt.Errorf("cannot remove %s: %w", path, err)
			}
		default:
			l.files = append(l.files, f)
		}
	}
	return bad, nil
}

// sort puts the files in the order of what they cover: Java's names repeat an hour when clocks are set back.
func (l *loader) sort() error {
	slices.SortStableFunc(l.files, func(a, b *file) int { return cmp.Compare(a.head.beginPhysical, b.head.beginPhysical) })
	for i := 1; i < len(l.files); i++ {
		if begin, end := l.files[i].head.beginPhysical, l.files[i-1].head.endPhysical; begin < end {
			l.x.o.Logger.Warn().Str("path", l.files[i].path).Int64("begin", begin).Int64("previousEnd", end).
				Msg("removing an index file that overlaps the one before and those behind it, they are built anew from the commit log")
			return l.removeFrom(i)
		}
	}
	return nil
}

func (l *loader) openFile(e fsys.Entry, path string) (*file, error) {
	x := l.x
	// A repair that was killed leaves a file without its end.
	short := !l.clean && e.Size < x.g.size() && e.Size >= x.g.entryAt(1)
	if e.Size != x.g.size() && !short {
		return nil, fmt.Errorf("%s: %w: it has %d bytes, files here have %d", path, errDamaged, e.Size, x.g.size())
	}
	h, err := x.o.FS.Open(path, false)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	f := &file{File: h, geometry: x.g, path: path}
	if short {
		if err = h.Truncate(x.g.size()); err != nil {
			err = fmt.Errorf("cannot extend %s: %w", path, err)
		}
	}
	if err == nil {
		err = l.readHeader(f)
	}
	if err != nil {
		_ = h.Close()
		return nil, err
	}
	return f, nil
}

func (l *loader) readHeader(f *file) error {
	var b [headerSize]byte
	if err := f.read(b[:], 0); err != nil {
		return err
	}
	f.head = parseHeader(b[:])
	if err := f.head.check(f.geometry); err != nil {
		return fmt.Errorf("%s: %w: %w", f.path, errDamaged, err)
	}
	return nil
}

// remove removes files, the last first: whenever the process dies, what is left has no hole.
func (l *loader) remove(paths []string) error {
	for i := len(paths) - 1; i >= 0; i-- {
		if err := l.x.o.FS.Remove(paths[i]); err != nil {
			return fmt.Errorf("cannot remove %s: %w", paths[i], err)
		}
	}
	if len(paths) > 0 {
		return l.x.o.FS.SyncDir(l.x.o.Dir)
	}
	return nil
}

// removeFrom removes the files from i on.
func (l *loader) removeFrom(i int) error {
	var paths []string
	for _, f := range l.files[i:] {
		_ = f.Close()
		paths = append(paths, f.path)
	}
	l.files = l.files[:i]
	return l.remove(paths)
}

// trusted reports whether header, slots and entries of a file agree: it was durable before the crash, if there
// was one, and nothing in it points behind the CommitLog's end.
func (l *loader) trusted(f *file) (bool, error) {
	h := &f.head
	if !l.clean && (!f.full() || h.endTimestamp > l.durable) || h.endPhysical >= l.max || h.count <= 1 {
		return false, nil
	}
	first, err := f.entry(1)
	if err != nil || first.physical != h.beginPhysical {
		return false, err
	}
	last, err := f.entry(h.count - 1)
	return err == nil && last.physical == h.endPhysical, err
}

// start sets where the index goes on.
func (l *loader) start() error {
	x := l.x
	x.files = l.files
	x.told = l.max
	x.next = x.o.Min()
	n := len(l.files)
	if n == 0 {
		x.sure = true
		return nil
	}
	last := l.files[n-1]
	x.next = last.head.endPhysical
	x.lastStamp, x.lastOffset = last.head.endTimestamp, last.head.endPhysical
	x.durable = min(l.durable, last.head.endTimestamp)
	for _, f := range l.files {
		if f.full() {
			x.durable = max(x.durable, f.head.endTimestamp)
		}
	}
	x.skipOffset, x.skipHashes = last.head.endPhysical, allHashes
	if !last.full() {
		return nil
	}
	// The next file may be gone, with more keys of the last message.
	var err error
	x.skipHashes, err = last.trailing(last.head.count)
	return err
}
