package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// Files are made, and removed ones shortened, where they are not the log's yet or any more: Java starts with
// no other file in the folder than whole ones. As a rename brings them in and out, that is beside the folder,
// in skylark/, which for the default folder is the state folder of the store. A folder that is a mount of its
// own has nothing beside it; there it is .skylark/ inside, which Java 5 passes over like any folder (Java 4.9
// does not, so a stop removes it) and whose name sorts before the files, because Java lets only the last name be
// that of an empty file.
const (
	beside = "skylark"
	inside = ".skylark"

	prep  = "prep"  // the next file
	trash = "trash" // removed files
)

// asides returns both places where the files of dir may be prepared or removed.
func asides(dir, kind string) [2]string {
	return [2]string{filepath.Join(filepath.Dir(dir), beside, kind), filepath.Join(dir, inside, kind)}
}

// makeAside makes the one of both that a rename reaches, and returns it.
func (l *Log) makeAside(dir, kind string) (string, error) {
	at := asides(dir, kind)
	joined, err := l.o.FS.Joined(filepath.Dir(dir), dir)
	if err != nil {
		return "", fmt.Errorf("cannot look at folder %s: %w", dir, err)
	}
	if joined {
		err = l.o.FS.MkdirAll(at[0])
		if err == nil || !errors.Is(err, fs.ErrPermission) {
			return at[0], err
		}
	}
	return at[1], l.o.FS.MkdirAll(at[1])
}

// dirs returns all folders.
func (l *Log) dirs() []string { return slices.Concat(l.o.Dirs, l.o.ReadOnly) }

// removePrepared removes files that were being prepared when the last process ended: they are of no use,
// nobody knows how far they got.
func (l *Log) removePrepared() error {
	for _, dir := range l.dirs() {
		for _, at := range asides(dir, prep) {
			left, err := l.o.FS.List(at)
			if err != nil && !errors.Is(err, fs.ErrPermission) { // what we may not look at is not ours
				return fmt.Errorf("cannot list %s: %w", at, err)
			}
			for _, e := range left {
				if err := l.o.FS.Remove(filepath.Join(at, e.Name)); err != nil {
					return fmt.Errorf("cannot remove unfinished file: %w", err)
				}
			}
		}
	}
	return nil
}

// Trash returns the paths of removed files that were not deleted yet.
func (l *Log) Trash() ([]string, error) {
	var out []string
	var failed error
	for _, dir := range l.dirs() {
		for _, at := range asides(dir, trash) {
			left, err := l.o.FS.List(at)
			if err != nil && !errors.Is(err, fs.ErrPermission) {
				failed = errors.Join(failed, fmt.Errorf("cannot list %s: %w", at, err))
			}
			for _, e := range left {
				if path := filepath.Join(at, e.Name); !slices.Contains(out, path) {
					out = append(out, path)
				}
			}
		}
	}
	return out, failed
}

// removeInside removes the empty folders inside those of the log.
func (l *Log) removeInside() {
	for _, dir := range l.dirs() {
		made, _ := l.o.FS.List(filepath.Join(dir, inside))
		for _, e := range made {
			_ = l.o.FS.Remove(filepath.Join(dir, inside, e.Name))
		}
		if len(made) > 0 {
			_ = l.o.FS.Remove(filepath.Join(dir, inside))
		}
	}
}

// SetFull says which folders are to get no new file as long as another has room.
func (l *Log) SetFull(dirs []string) { l.full.Store(&dirs) }

// candidates returns the folders for the file at base, the best first: the files go in turn to the folders that
// are not full, by file number and in the order of the folders' names, as in Java
// (MultiPathMappedFileQueue.tryCreateMappedFile). Java gives up when that one has no space left.
func (l *Log) candidates(base int64) []string {
	var full, free []string
	for _, dir := range l.o.Dirs {
		if known := l.full.Load(); known != nil && slices.Contains(*known, dir) {
			full = append(full, dir)
		} else {
			free = append(free, dir)
		}
	}
	turn := func(dirs []string) []string {
		if len(dirs) == 0 {
			return nil
		}
		first := base / l.o.FileSize % int64(len(dirs))
		return slices.Concat(dirs[first:], dirs[:first])
	}
	return slices.Concat(turn(free), turn(full))
}

// spare is a file that was prepared for a folder.
type spare struct{ path, dir string }

// makeNext prepares the file at base in the first folder whose disk has space for it.
func (l *Log) makeNext(base int64) (s spare, err error) {
	for _, dir := range l.candidates(base) {
		at, err2 := l.makeAside(dir, prep)
		if err = err2; err == nil {
			s = spare{filepath.Join(at, "next"), dir}
			if err = allocate(l.o.FS, s.path, l.o.FileSize); err != nil {
				_ = l.o.FS.Remove(s.path) // what it got of the space is needed
			}
		}
		if !fsys.IsFull(err) {
			return s, err
		}
	}
	return s, err
}

// syncNames makes the names of new files durable.
func (l *Log) syncNames() error {
	l.namesMu.Lock()
	defer l.namesMu.Unlock()
	if !l.newNames.Swap(false) {
		return nil
	}
	for _, dir := range l.dirs() {
		err := l.o.FS.SyncDir(dir)
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && slices.Contains(l.o.ReadOnly, dir)) {
			return err
		}
	}
	return nil
}

// closeReadOnly ends the log's last file by a blank record when it lies in a folder that is read only by now:
// nothing else would let the log go on in the next file. Java writes such a file to its end.
func (l *Log) closeReadOnly() error {
	f := l.files.Find(l.End())
	if f == nil || !slices.Contains(l.o.ReadOnly, filepath.Dir(f.Path())) {
		return nil
	}
	return l.Fill()
}

// RemoveFirst moves the first file of several out of the log, durably, and its records are gone. The caller
// deletes what is at path when no reader is in it any more.
func (l *Log) RemoveFirst() (f *segment.File, path string, err error) {
	row := l.files.All()
	if len(row) == 0 {
		return nil, "", errors.New("BUG: there is no file to remove")
	}
	at, err := l.makeAside(filepath.Dir(row[0].Path()), trash)
	if err != nil {
		return nil, "", err
	}
	path = filepath.Join(at, segment.Name(row[0].Base))
	f, err = l.files.RemoveFirst(path)
	return f, path, err
}

// Entries returns the files of the log with their times, in order, and the folder of each.
func (l *Log) Entries() (entries []fsys.Entry, dirs []string, err error) {
	known := map[string]fsys.Entry{}
	for _, dir := range l.dirs() {
		all, err := l.o.FS.List(dir)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot list %s: %w", dir, err)
		}
		for _, e := range all {
			known[filepath.Join(dir, e.Name)] = e
		}
	}
	for _, f := range l.files.All() {
		e, ok := known[f.Path()]
		if !ok {
			break
		}
		entries, dirs = append(entries, e), append(dirs, filepath.Dir(f.Path()))
	}
	return entries, dirs, nil
}
