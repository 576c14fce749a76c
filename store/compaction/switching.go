package compaction

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// SwitchName is the switch file, in the log folder of a queue. It is there while its files do not pair up, or are about
// to be replaced or removed. As its length is not that of a log file, Java's MappedFileQueue.load refuses the folder,
// for which CompactionStore does without the queue; without it Java's broker would not start. The name comes behind
// those of log files: Java removes an empty last one, which this is none of.
const SwitchName = "skylark-switch"

// What a switch file stands for: its first word.
const (
	switchCreate  = "create"  // the first pair is being made
	switchReplace = "replace" // the files that follow are to be removed, those in the stage to come
	switchDelete  = "delete"  // the queue is being deleted
)

// change is what a switch file of kind replace says. The last line of the file tells that it is whole.
type change struct {
	old   []string // paths below the folders, "log/..." or "cq/..."
	bases []int64  // of the pairs that come
}

const switchEnd = "end"

func (c *change) text() string {
	lines := []string{switchReplace}
	for _, path := range c.old {
		lines = append(lines, "old "+path)
	}
	for _, base := range c.bases {
		lines = append(lines, "new "+segment.Name(base))
	}
	return strings.Join(append(lines, switchEnd, ""), "\n")
}

func parseChange(text string) (*change, error) {
	var c change
	lines := strings.Split(text, "\n")
	if n := len(lines); n < 3 || lines[n-1] != "" || lines[n-2] != switchEnd {
		return nil, errors.New("it is not whole")
	}
	for _, line := range lines[1 : len(lines)-2] {
		word, what, _ := strings.Cut(line, " ")
		base, isBase := parseName(what)
		switch {
		case word == "new" && isBase:
			c.bases = append(c.bases, base)
		case word == "old" && filepath.IsLocal(what) && (strings.HasPrefix(what, "log/") || strings.HasPrefix(what, "cq/")):
			c.old = append(c.old, what)
		default:
			return nil, fmt.Errorf("it has the line %q", line)
		}
	}
	return &c, nil
}

func (l *Log) switchPath() string { return filepath.Join(l.logDir, SwitchName) }

// maxSwitch bounds the switch file.
const maxSwitch = 64 << 20

// readSwitch returns the text of the switch file, "" without one.
func (l *Log) readSwitch() (string, error) {
	b, err := readAll(l.o.FS, l.switchPath(), maxSwitch)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}

// putSwitch puts the switch file into place, whole and durable.
func (l *Log) putSwitch(text string) error {
	for _, dir := range []string{l.stageDir, l.logDir} {
		if err := l.o.FS.MkdirAll(dir); err != nil {
			return err
		}
		if err := syncUp(l.o.FS, dir, l.o.Root); err != nil {
			return err
		}
	}
	made := filepath.Join(l.stageDir, SwitchName)
	f, err := l.o.FS.Open(made, true)
	if err != nil {
		return err
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(text), 0)
	}
	if err == nil {
		if err = f.Datasync(); err != nil {
			err = syncError(made, err)
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := l.o.FS.Rename(made, l.switchPath()); err != nil {
		return err
	}
	return l.syncDirs(l.logDir)
}

func (l *Log) syncDirs(dirs ...string) error {
	for _, dir := range dirs {
		if err := l.o.FS.SyncDir(dir); err != nil {
			return syncError(dir, err)
		}
	}
	return nil
}

func (l *Log) removeSwitch() error {
	if err := l.o.FS.Remove(l.switchPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return l.syncDirs(l.logDir)
}

// guarded runs fn with a switch file of kind create in place.
func (l *Log) guarded(fn func() error) error {
	if err := l.putSwitch(switchCreate + "\n"); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err // the file stays: the next try, or the next start, removes it
	}
	return l.removeSwitch()
}

// replace has the pairs in the stage, which are durable, take the places of the files named by old.
func (l *Log) replace(old []string, staged []pair) error {
	c := change{old: old}
	for _, x := range staged {
		c.bases = append(c.bases, x.base)
	}
	if err := l.o.FS.MkdirAll(l.cqDir); err != nil {
		return err
	}
	for _, base := range c.bases { // from here on the old files are as good as gone
		if !l.stage.has(base) {
			return fmt.Errorf("a round has lost the files it made at %d", base)
		}
	}
	if err := l.putSwitch(c.text()); err != nil {
		return err
	}
	if err := l.apply(&c); err != nil { // some files are in place and others not: the next start goes on
		return fmt.Errorf("%w: %w", ErrSync, err)
	}
	return nil
}

// apply does what a switch file of kind replace says, again and again if need be.
func (l *Log) apply(c *change) error {
	coming := map[string]bool{}
	for _, base := range c.bases {
		for _, move := range [][2]string{{l.stage.logPath(base), l.logPath(base)}, {l.stage.cqPath(base), l.cqPath(base)}} {
			coming[move[1]] = true
			l.o.Handles.Forget(move[0])
			err := l.o.FS.Rename(move[0], move[1])
			if err != nil && !(errors.Is(err, fs.ErrNotExist) && l.has(base)) { // a crash came behind that rename
				return err
			}
			l.o.Handles.Forget(move[1])
		}
	}
	folders := []string{l.logDir, l.cqDir}
	for _, name := range c.old {
		path := l.pathOf(name)
		if coming[path] {
			continue
		}
		if err := l.o.FS.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l.o.Handles.Forget(path)
		if dir := filepath.Dir(path); !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	for _, dir := range folders {
		if err := l.o.FS.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return syncError(dir, err)
		}
	}
	return l.removeSwitch()
}

// pathOf returns where a path of a change lies.
func (l *Log) pathOf(name string) string {
	if in, ok := strings.CutPrefix(name, "log/"); ok {
		return filepath.Join(l.logDir, in)
	}
	return filepath.Join(l.cqDir, strings.TrimPrefix(name, "cq/"))
}

// Delete removes the queue's files. Readers find nothing afterwards.
func (l *Log) Delete() error {
	l.deleted.Store(true)
	l.switching.Lock()
	defer l.switching.Unlock()
	l.publish(nil)
	if err := l.putSwitch(switchDelete + "\n"); err != nil {
		return err
	}
	if _, err := l.finishDelete(); err != nil {
		return err
	}
	return l.s.positions.remove(l.Name)
}

// finishDelete removes what is left of a queue whose switch file says that it is being deleted. The switch file goes
// last: Java does not look at a queue that has no folder in compactionLog/.
func (l *Log) finishDelete() (bool, error) {
	text, err := l.readSwitch()
	if err != nil || text != switchDelete+"\n" {
		return false, err
	}
	entries, err := l.o.FS.List(l.logDir)
	if err != nil {
		return true, err
	}
	if err := l.clearStage(); err != nil {
		return true, err
	}
	for _, e := range l.list(l.cqDir) {
		l.o.Handles.Forget(filepath.Join(l.cqDir, e.Name))
	}
	if err := l.o.FS.RemoveAll(l.cqDir); err != nil {
		return true, err
	}
	for _, e := range entries {
		path := filepath.Join(l.logDir, e.Name)
		if e.Name == SwitchName {
			continue
		}
		l.o.Handles.Forget(path)
		if err := l.o.FS.RemoveAll(path); err != nil {
			return true, err
		}
	}
	up := filepath.Dir(l.cqDir)
	if err := l.o.FS.SyncDir(up); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true, syncError(up, err)
	}
	if err := l.removeSwitch(); err != nil {
		return true, err
	}
	if err := l.o.FS.Remove(l.logDir); err != nil {
		return true, err
	}
	for _, dir := range []string{filepath.Dir(l.logDir), up} { // of the topic, when this was its last queue
		if len(l.list(dir)) == 0 {
			if err := l.o.FS.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return true, err
			}
		}
	}
	return true, nil
}

// has reports whether both files of a pair are there.
func (p place) has(base int64) bool {
	for path, size := range map[string]int64{p.logPath(base): p.o.LogFileSize, p.cqPath(base): p.o.CqFileSize} {
		f, err := p.o.FS.Open(path, false)
		if err != nil {
			return false
		}
		n, err := f.Size()
		_ = f.Close()
		if err != nil || n != size {
			return false
		}
	}
	return true
}

// clearStage removes what a round has made. No handle may stay: the next round makes files of the same names.
func (l *Log) clearStage() error {
	for _, dir := range []string{l.stage.logDir, l.stage.cqDir} {
		for _, e := range l.list(dir) {
			l.o.Handles.Forget(filepath.Join(dir, e.Name))
		}
	}
	return l.o.FS.RemoveAll(l.stageDir)
}

func (l *Log) list(dir string) []fsys.Entry {
	entries, _ := l.o.FS.List(dir)
	return entries
}
