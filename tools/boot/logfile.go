package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Bounds of what is kept of a log. Java: logback's configuration, 128 MiB and ten files for broker.log.
const (
	logFileBytes = 128 << 20
	logFiles     = 10
)

// logFile is a log in DIR/NAME.log, as Java's servers have them. When it is full it becomes otherdays/NAME.1.log,
// that before it NAME.2.log, and the oldest goes.
type logFile struct {
	dir, name string
	most      int64 // bytes

	mu   sync.Mutex
	file *os.File
	size int64
}

func openLogFile(dir, name string) (*logFile, error) {
	l := &logFile{dir: dir, name: name, most: logFileBytes}
	if err := os.MkdirAll(filepath.Join(dir, "otherdays"), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the folder of logs: %w", err)
	}
	return l, l.open()
}

func (l *logFile) path() string { return filepath.Join(l.dir, l.name+".log") }

func (l *logFile) old(n int) string {
	return filepath.Join(l.dir, "otherdays", fmt.Sprintf("%s.%d.log", l.name, n))
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("cannot open the log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("cannot open the log: %w", err), f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write implements io.Writer: whole lines. When the next file cannot be had, the present one grows on.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(line)) > l.most {
		l.rotate()
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	return n, err
}

func (l *logFile) rotate() {
	for n := logFiles - 1; n > 0; n-- {
		if err := os.Rename(l.old(n), l.old(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintln(os.Stderr, "cannot rotate the log:", err)
		}
	}
	full := l.file
	if err := os.Rename(l.path(), l.old(1)); err != nil {
		fmt.Fprintln(os.Stderr, "cannot rotate the log:", err)
		l.size = 0 // it is tried again when as much has come once more
		return
	}
	if err := l.open(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		l.size = 0
		return // the file is still open under its new name
	}
	_ = full.Close()
}
