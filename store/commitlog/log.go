// Package commitlog is the log that holds every message: records of package message, one behind the
// other, in a row of files (spec/store.md 1.2). A record never spans two files; a blank record closes a
// file, and at least 8 bytes are left behind every record for it.
//
// One goroutine appends (package store); any number read. What is written stands in the kernel's page
// cache until Sync makes it durable. The next file is prepared beside the row, in Options.PrepDir, so
// that an append never waits for the allocation of space and a full disk shows before a file is needed.
package commitlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// Options of a Log.
type Options struct {
	FS fsys.FS
	// Dirs are the folders that files are made in, clean paths, at least one. Java: storePathCommitLog.
	Dirs []string
	// ReadOnly are folders that hold files and get no new ones; they need not exist. None may be among Dirs.
	// Java: readOnlyCommitLogStorePaths.
	ReadOnly []string
	FileSize int64 // Java: mappedFileSizeCommitLog
	// CacheBytes bounds the memory of the read cache.
	CacheBytes int
	// VerifyPropertyCRC has Scanners look at the checksum over a whole record, where one is its last property.
	VerifyPropertyCRC bool
	// Memory is how many bytes at the log's end are taken for being in memory; 0: all. What is read in front of them
	// is not left in the page cache: a reader of a backlog that is larger than the memory would push out what the
	// others read, and have writers wait for memory.
	Memory int64
}

// Log is an open CommitLog.
type Log struct {
	o     Options
	files *segment.Files
	cache *cache

	end atomic.Int64 // offset behind the last record

	mu          sync.Mutex // guards the preparation of the next file
	prepared    spare
	prepErr     error
	prepDone    chan struct{}            // nil: none is running
	full        atomic.Pointer[[]string] // folders to be spared
	noReadAhead atomic.Bool
	namesMu     sync.Mutex  // held while names are made durable
	newNames    atomic.Bool // a file was added since the last Sync
}

// Open opens the files. The end of the log is not known until the owner has scanned it and calls SetEnd.
func Open(o Options) (*Log, error) {
	for _, d := range o.Dirs {
		if err := o.FS.MkdirAll(d); err != nil {
			return nil, fmt.Errorf("cannot make folder %s: %w", d, err)
		}
	}
	o.Dirs = slices.Sorted(slices.Values(o.Dirs))
	l := &Log{o: o, cache: newCache(o.CacheBytes, o.Memory)}
	if err := l.removePrepared(); err != nil {
		return nil, err
	}
	var err error
	if l.files, err = segment.Open(o.FS, l.dirs(), o.FileSize); err != nil {
		return nil, err
	}
	l.newNames.Store(true) // the last process may have died between adding a file and syncing the folder
	return l, nil
}

// Min returns the physical offset of the first byte there is.
func (l *Log) Min() int64 { return l.files.Min() }

// End returns the physical offset behind the last record.
func (l *Log) End() int64 { return l.end.Load() }

// FileSize returns the size of each file.
func (l *Log) FileSize() int64 { return l.o.FileSize }

// Left returns how many bytes the current file has left at offset.
func (l *Log) Left(offset int64) int64 { return l.o.FileSize - offset%l.o.FileSize }

// FilesEnd returns the offset behind the last file's last byte, 0 without files.
func (l *Log) FilesEnd() int64 { return l.files.End() }

// Where names the folders, for messages.
func (l *Log) Where() string { return l.files.Where() }

// FileStarts returns the offsets at which files begin.
func (l *Log) FileStarts() []int64 {
	var out []int64
	for _, f := range l.files.All() {
		out = append(out, f.Base)
	}
	return out
}

// Write writes pieces at the end of the log and moves the end by their length, which must fit the
// current file. After an error the end has not moved and nothing may be written any more.
func (l *Log) Write(pieces [][]byte) error {
	end, n := l.end.Load(), 0
	for _, p := range pieces {
		n += len(p)
	}
	f := l.files.Find(end)
	if f == nil {
		var err error
		if f, err = l.roll(end); err != nil {
			return err
		}
	}
	if int64(n) > f.Base+l.o.FileSize-end {
		return fmt.Errorf("BUG: %d bytes do not fit file %s at %d", n, f.Path(), end-f.Base)
	}
	if err := f.WriteVec(pieces, end-f.Base); err != nil {
		return fmt.Errorf("cannot append to the commit log at %d: %w", end, err)
	}
	l.end.Store(end + int64(n))
	if half := f.Base + l.o.FileSize/2; end < half && end+int64(n) >= half {
		l.prepare()
	}
	return nil
}

// Fill closes the current file with a blank record; the next write begins a new file.
func (l *Log) Fill() error {
	end := l.end.Load()
	left := l.Left(end)
	f := l.files.Find(end)
	if f == nil || left == l.o.FileSize {
		return nil
	}
	if _, err := f.WriteAt(message.AppendBlank(nil, int(left)), end-f.Base); err != nil {
		return fmt.Errorf("cannot close the commit log file %s: %w", f.Path(), err)
	}
	l.end.Store(end + left)
	return nil
}

// prepare starts making the next file, unless that is done or under way.
func (l *Log) prepare() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.prepDone != nil {
		return l.prepDone
	}
	done := make(chan struct{})
	l.prepDone = done
	base := l.files.End()
	go func() {
		defer close(done)
		next, err := l.makeNext(base)
		l.mu.Lock()
		l.prepared, l.prepErr = next, err
		l.mu.Unlock()
	}()
	return done
}

func allocate(fs fsys.FS, path string, size int64) error {
	// One left by a failed try is not taken: its length may never have reached the disk.
	if err := fs.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := fs.Open(path, true)
	if err != nil {
		return err
	}
	err = f.Allocate(size)
	if err == nil {
		err = f.Datasync()
	}
	return errors.Join(err, f.Close())
}

func (l *Log) roll(base int64) (*segment.File, error) {
	if err := l.Ready(); err != nil {
		return nil, err
	}
	if len(l.o.Dirs)+len(l.o.ReadOnly) > 1 {
		// One disk keeps the order of names, several do not: the last file must not be lost when this one is not.
		if err := l.syncNames(); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	next := l.prepared
	l.prepDone, l.prepared = nil, spare{}
	l.mu.Unlock()
	f, err := l.files.Add(next.path, next.dir, base)
	if err == nil {
		l.newNames.Store(true)
		if l.noReadAhead.Load() {
			_ = f.ReadAhead(false) // it is read as well without
		}
	}
	return f, err
}

// ReadAhead sets whether the kernel may read ahead in the files there are and those to come.
func (l *Log) ReadAhead(on bool) error {
	l.noReadAhead.Store(!on)
	for _, f := range l.files.All() {
		if err := f.ReadAhead(on); err != nil {
			return err
		}
	}
	return nil
}

// Covers reports whether a file holds offset.
func (l *Log) Covers(offset int64) bool { return l.files.Find(offset) != nil }

// Ready makes sure that the next file can be begun at once. On an error, usually that of a full disk,
// nothing has changed, and it may be called again.
func (l *Log) Ready() error {
	var err error
	for range 2 { // the first error was met up to half a file ago: the disk may have space again
		<-l.prepare()
		l.mu.Lock()
		if err = l.prepErr; err != nil {
			l.prepDone, l.prepErr = nil, nil
		}
		l.mu.Unlock()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("cannot make the next commit log file: %w", err)
}

// Clear zeroes what a failed write may have left behind the end, up to to.
func (l *Log) Clear(to int64) error {
	end := l.End()
	f := l.files.Find(end)
	if f == nil {
		return nil
	}
	if err := f.Zero(end-f.Base, min(to, f.Base+l.o.FileSize)-end); err != nil {
		return fmt.Errorf("cannot clear the commit log behind %d: %w", end, err)
	}
	return nil
}

// Sync makes [from, to) durable. An error is final: what is durable is unknown from then on.
func (l *Log) Sync(from, to int64) error {
	if err := l.syncNames(); err != nil {
		return err
	}
	for at := from; at < to; at += l.Left(at) {
		f := l.files.Find(at)
		if f == nil {
			return fmt.Errorf("BUG: cannot sync the commit log at %d: no file", at)
		}
		if err := f.Datasync(); err != nil {
			return fmt.Errorf("cannot sync the commit log: %w", err)
		}
	}
	return nil
}

// Rewrite writes what stands in [from, to) once more. After a failed sync Linux keeps pages that it will never
// write: they can be read, and a later sync succeeds without them.
func (l *Log) Rewrite(from, to int64) error {
	var buf []byte
	for from = max(from, l.Min()); from < to; {
		n := min(to-from, l.Left(from), rewritePiece)
		if int64(cap(buf)) < n {
			buf = make([]byte, n)
		}
		f := l.files.Find(from)
		if f == nil {
			return fmt.Errorf("BUG: cannot rewrite the commit log at %d: no file", from)
		}
		if err := l.files.ReadAt(buf[:n], from); err != nil {
			return fmt.Errorf("cannot rewrite the commit log at %d: %w", from, err)
		}
		if _, err := f.WriteAt(buf[:n], from-f.Base); err != nil {
			return fmt.Errorf("cannot rewrite the commit log at %d: %w", from, err)
		}
		from += n
	}
	return nil
}

const rewritePiece = 1 << 20

// ErrNoRecord means that there is no record at an offset: it is outside the log or nothing begins there.
var ErrNoRecord = errors.New("no message record at that offset")

// Read appends the size bytes at offset to dst, through the cache when dense says that neighbours are
// read too. The bytes must lie in one file and before the end.
func (l *Log) Read(dst []byte, offset int64, size int, dense bool) ([]byte, error) {
	end := l.End()
	if size <= 0 || offset < l.Min() || offset+int64(size) > end || int64(size) > l.Left(offset) {
		return dst, fmt.Errorf("%w: %d, %d bytes", ErrNoRecord, offset, size)
	}
	if dense {
		return l.cache.read(dst, offset, size, l.files, end)
	}
	at := len(dst)
	dst = grow(dst, size)
	if err := readAt(l.files, dst[at:], offset); err != nil {
		return dst[:at], fmt.Errorf("cannot read %d bytes of the commit log at %d: %w", size, offset, err)
	}
	return dst, nil
}

// readAt fills p from offset. Where no file is, not any more perhaps, there is no record.
func readAt(files *segment.Files, p []byte, offset int64) error {
	err := files.ReadAt(p, offset)
	if errors.Is(err, io.EOF) {
		return ErrNoRecord
	}
	return err
}

func grow(dst []byte, n int) []byte {
	if need := len(dst) + n; need > cap(dst) {
		bigger := make([]byte, len(dst), max(need, 2*cap(dst)))
		copy(bigger, dst)
		dst = bigger
	}
	return dst[:len(dst)+n]
}

// headBytes is enough of a record to know its size, its own offset and its store timestamp.
// The store timestamp ends at 76 when the born host is an IPv6 address.
const headBytes = 76

// Head returns size and store timestamp (ms) of the record at offset. Only its header is read.
func (l *Log) Head(offset int64) (size int, storeTimestamp int64, err error) {
	var b [headBytes]byte
	if offset < l.Min() || offset+message.MinRecord > l.End() || l.Left(offset) < message.MinRecord {
		return 0, 0, fmt.Errorf("%w: %d", ErrNoRecord, offset)
	}
	if err := readAt(l.files, b[:], offset); err != nil {
		return 0, 0, fmt.Errorf("cannot read the commit log at %d: %w", offset, err)
	}
	size = message.Size(b[:])
	if !message.Heads(b[:], offset) || offset+int64(size) > l.End() {
		return 0, 0, fmt.Errorf("%w: %d", ErrNoRecord, offset)
	}
	return size, message.StoreTimestamp(b[:]), nil
}

// Record appends the whole record at offset to dst and returns it parsed, its checksum verified.
func (l *Log) Record(dst []byte, offset int64) ([]byte, message.Record, error) {
	size, _, err := l.Head(offset)
	if err != nil {
		return dst, message.Record{}, err
	}
	at := len(dst)
	if dst, err = l.Read(dst, offset, size, false); err != nil {
		return dst, message.Record{}, err
	}
	r, err := message.Parse(dst[at:], true)
	if err != nil {
		return dst[:at], r, fmt.Errorf("cannot read the message at %d: %w", offset, err)
	}
	return dst, r, nil
}

// Trim gives back the memory of cached blocks that nobody used since the last Trim.
func (l *Log) Trim() { l.cache.trim() }

// Close waits for a file under preparation, removes it and closes all files.
func (l *Log) Close() error {
	l.mu.Lock()
	done := l.prepDone
	l.mu.Unlock()
	if done != nil {
		<-done
		_ = l.o.FS.Remove(l.prepared.path)
	}
	l.removeInside()
	return l.files.Close()
}
