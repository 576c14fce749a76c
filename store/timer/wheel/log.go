package wheel

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// unitLog is the timer log: units, none over a file's end, in a row of files. New units wait in memory until
// flush. It is not safe for concurrent use.
type unitLog struct {
	fs       fsys.FS
	dir      string
	own      string // Skylark's folder, on the same file system
	size     int64  // of a file
	files    *segment.Files
	end      int64 // position behind the last unit
	pending  []piece
	synced   int64
	newNames bool

	window    []byte // what was read last
	windowPos int64
}

// piece is what waits to be written to one file.
type piece struct {
	pos int64
	b   []byte
}

// windowSize is how much is read at once where units are followed one by one.
const windowSize = 4 << 10

// open opens the files there are; without any the folder is not even made.
func (l *unitLog) open() (err error) {
	l.files, err = segment.Open(l.fs, []string{l.dir}, l.size)
	return err
}

// step returns where the unit that follows one that ends at pos stands.
func (l *unitLog) step(pos int64) int64 {
	if in := pos % l.size; in+UnitSize+blankSize > l.size {
		return pos - in + l.size
	}
	return pos
}

// append adds a unit and returns its position.
func (l *unitLog) append(u *Unit) int64 {
	pos := l.step(l.end)
	if pos != l.end && l.end%l.size != 0 {
		l.put(l.end, appendBlank(nil, pos-l.end))
	}
	n := len(l.pending)
	if n == 0 || l.pending[n-1].pos+int64(len(l.pending[n-1].b)) != pos || pos%l.size == 0 {
		l.pending = append(l.pending, piece{pos: pos})
		n++
	}
	p := &l.pending[n-1]
	p.b = appendUnit(p.b, u)
	l.end = pos + UnitSize
	return pos
}

func (l *unitLog) put(pos int64, b []byte) {
	if n := len(l.pending); n > 0 && l.pending[n-1].pos+int64(len(l.pending[n-1].b)) == pos {
		l.pending[n-1].b = append(l.pending[n-1].b, b...)
		return
	}
	l.pending = append(l.pending, piece{pos, b})
}

// flush writes what waits. After an error it waits on, and flush may be called again.
func (l *unitLog) flush() error {
	for len(l.pending) > 0 {
		p := l.pending[0]
		f, err := l.file(p.pos)
		if err == nil {
			_, err = f.WriteAt(p.b, p.pos-f.Base)
		}
		if err != nil {
			return fmt.Errorf("cannot write the timer log at %d: %w", p.pos, err)
		}
		l.window = l.window[:0]
		l.pending = l.pending[1:]
	}
	l.pending = nil
	return nil
}

// file returns the file that pos lies in, made when it is the next one. It takes no space before units do.
func (l *unitLog) file(pos int64) (*segment.File, error) {
	if f := l.files.Find(pos); f != nil {
		return f, nil
	}
	for _, d := range []string{l.dir, l.own} {
		if err := l.fs.MkdirAll(d); err != nil {
			return nil, err
		}
	}
	next := filepath.Join(l.own, "timerlog-next")
	if err := l.fs.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := l.fs.Open(next, true)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(l.size), f.Close()); err != nil {
		return nil, err
	}
	l.newNames = true
	return l.files.Add(next, l.dir, pos-pos%l.size)
}

// sync makes the log durable up to its end.
func (l *unitLog) sync() error {
	if err := l.flush(); err != nil {
		return err
	}
	for at := l.synced; at < l.end; at += l.size - at%l.size {
		if f := l.files.Find(at); f != nil {
			if err := f.Datasync(); err != nil {
				return fatalError{fmt.Errorf("cannot sync the timer log: %w", err)}
			}
		}
	}
	if l.newNames {
		for _, d := range []string{l.dir, filepath.Dir(l.dir)} {
			if err := l.fs.SyncDir(d); errors.Is(err, fs.ErrNotExist) && len(l.files.All()) == 0 {
				continue // no timer has made the folder yet; Java makes the wheel at once
			} else if err != nil {
				return fatalError{err}
			}
		}
		l.newNames = false
	}
	l.synced = l.end
	return nil
}

// fatalError is an error of a sync: nothing says what is durable from then on.
type fatalError struct{ error }

// Unwrap returns the cause.
func (e fatalError) Unwrap() error { return e.error }

// aligned reports whether a unit may stand at pos.
func (l *unitLog) aligned(pos int64) bool {
	in := pos % l.size
	return pos >= 0 && in%UnitSize == 0 && in+UnitSize+blankSize <= l.size
}

// read returns the unit at pos, ok false when there is none. What waits must have been written.
func (l *unitLog) read(pos int64) (u Unit, ok bool, err error) {
	if !l.aligned(pos) || pos < l.files.Min() || pos+UnitSize > l.end {
		return u, false, nil
	}
	if at := pos - l.windowPos; at < 0 || at+UnitSize > int64(len(l.window)) {
		base := pos - pos%l.size
		from := max(base, pos+UnitSize-windowSize)
		if cap(l.window) < windowSize {
			l.window = make([]byte, 0, windowSize)
		}
		l.window = l.window[:pos+UnitSize-from]
		if err := l.files.ReadAt(l.window, from); err != nil {
			l.window = l.window[:0]
			return u, false, fmt.Errorf("cannot read the timer log: %w", err)
		}
		l.windowPos = from
	}
	u, ok = parseUnit(l.window[pos-l.windowPos:])
	return u, ok, nil
}

// scan calls fn with the units from the file's begin from on, in order, until it returns false. It returns the
// position behind the last unit that fn took; the first that is none ends it as well.
func (l *unitLog) scan(from int64, fn func(pos int64, u *Unit) bool) (int64, error) {
	buf := make([]byte, 8192*UnitSize)
	end := from
	for _, f := range l.files.All() {
		if f.Base < from-from%l.size {
			continue
		}
		in := int64(0)
		for in+UnitSize+blankSize <= l.size {
			n := min(int64(len(buf)), (l.size-in)/UnitSize*UnitSize)
			if err := l.files.ReadAt(buf[:n], f.Base+in); err != nil {
				return end, fmt.Errorf("cannot read the timer log: %w", err)
			}
			for i := int64(0); i < n && in+UnitSize+blankSize <= l.size; i += UnitSize {
				u, ok := parseUnit(buf[i:])
				if !ok {
					return end, nil
				}
				if pos := f.Base + in; pos >= from {
					if !fn(pos, &u) {
						return end, nil
					}
					end = pos + UnitSize
				}
				in += UnitSize
			}
		}
	}
	return end, nil
}

// cut makes end the end of the log; what stands behind it is zeroed, so that nobody takes it for units.
func (l *unitLog) cut(end int64) error {
	l.end, l.window = end, l.window[:0]
	next := end
	if in := end % l.size; in != 0 {
		next = end - in + l.size
	}
	if err := l.files.RemoveFrom(next); err != nil {
		return err
	}
	f := l.files.Find(end)
	if f == nil {
		return nil
	}
	buf := make([]byte, 1<<20)
	zeros := make([]byte, len(buf))
	for at := end - f.Base; at < l.size; at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), l.size-at)]
		if err := l.files.ReadAt(b, f.Base+at); err != nil {
			return err
		}
		if string(b) == string(zeros[:len(b)]) {
			continue // it takes no space and stays so
		}
		if _, err := f.WriteAt(zeros[:len(b)], at); err != nil {
			return fmt.Errorf("cannot clear the timer log behind %d: %w", end, err)
		}
	}
	return nil
}

// rewrite writes what stands in [from, end) once more: after a failed sync Linux keeps pages that it will never
// write.
func (l *unitLog) rewrite(from int64) error {
	buf := make([]byte, 1<<20)
	for from = max(from, l.files.Min()); from < l.end; {
		n := min(int64(len(buf)), l.end-from, l.size-from%l.size)
		if err := l.files.ReadAt(buf[:n], from); err != nil {
			return fmt.Errorf("cannot rewrite the timer log at %d: %w", from, err)
		}
		f := l.files.Find(from)
		if _, err := f.WriteAt(buf[:n], from-f.Base); err != nil {
			return fmt.Errorf("cannot rewrite the timer log at %d: %w", from, err)
		}
		from += n
	}
	return nil
}

// removeBefore deletes files from the front whose last unit points in front of minPhysical: its messages are
// gone. Java: MappedFileQueue.deleteExpiredFileByOffsetForTimerLog.
func (l *unitLog) removeBefore(minPhysical int64) error {
	for len(l.files.All()) > 1 {
		base := l.files.Min()
		last := base + (l.size-blankSize)/UnitSize*UnitSize - UnitSize
		u, ok, err := l.read(last)
		if err != nil || !ok || u.PhysicalOffset >= minPhysical {
			return err
		}
		if err := l.fs.MkdirAll(l.own); err != nil {
			return err
		}
		trash := filepath.Join(l.own, "timerlog-gone")
		if _, err := l.files.RemoveFirst(trash); err != nil {
			return err
		}
		l.window = l.window[:0]
		if err := l.fs.Remove(trash); err != nil {
			return err
		}
	}
	return nil
}

func (l *unitLog) close() {
	if l.files != nil {
		_ = l.files.Close()
	}
}
