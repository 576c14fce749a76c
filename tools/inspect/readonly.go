package inspect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/skylarkmq/skylark/store/fsys"
)

var errReadOnly = errors.New("BUG: a check tries to write")

// readOnly is the real file system without any way to change it.
type readOnly struct{}

func (readOnly) Open(path string, _ bool) (fsys.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return roFile{f}, nil
}

func (readOnly) List(dir string) ([]fsys.Entry, error) { return fsys.OS{}.List(dir) }
func (readOnly) MkdirAll(string) error                 { return errReadOnly }
func (readOnly) Rename(string, string) error           { return errReadOnly }
func (readOnly) Link(string, string) error             { return errReadOnly }
func (readOnly) Joined(string, string) (bool, error)   { return false, errReadOnly }
func (readOnly) Remove(string) error                   { return errReadOnly }
func (readOnly) RemoveAll(string) error                { return errReadOnly }
func (readOnly) SyncDir(string) error                  { return errReadOnly }
func (readOnly) SyncAll(string) error                  { return errReadOnly }
func (readOnly) Lock(string) (io.Closer, error)        { return nil, errReadOnly }

// roFile is a file opened with O_RDONLY; the kernel refuses what its writing methods would do.
type roFile struct{ *os.File }

func (roFile) WriteVec([][]byte, int64) error { return errReadOnly }
func (roFile) Datasync() error                { return errReadOnly }
func (roFile) Allocate(int64) error           { return errReadOnly }
func (roFile) Truncate(int64) error           { return errReadOnly }
func (roFile) Zero(int64, int64) error        { return errReadOnly }
func (roFile) Forget(int64, int64)            {}

func (f roFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// lockHeld reports whether a broker, ours or Java's, holds the store's lock. It asks only: taking the
// lock for a moment could make a broker that starts right then refuse.
func lockHeld(root string) (bool, error) {
	f, err := os.Open(filepath.Join(root, "lock"))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot look at the lock: %w", err)
	}
	defer f.Close()
	held, err := fsys.LockHeld(f)
	if err != nil {
		return false, fmt.Errorf("cannot look at the lock: %w", err)
	}
	return held, nil
}

// dataPiece is how much eachData reads at once.
const dataPiece = 1 << 20

// eachData calls fn with the bytes of [from, to) of f, in pieces that begin and end at multiples of align
// from the file's start, and leaves holes out: a queue's file is 6 MB long and mostly holes.
func eachData(f *os.File, from, to, align int64, fn func(off int64, b []byte) error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	to = min(to, info.Size())
	var buf []byte
	for at := from; at < to; {
		begin, end := dataAt(f, at, to)
		begin = max(begin/align*align, at)
		end = min((end+align-1)/align*align, to)
		if want := min(dataPiece/align*align, end-begin); int64(len(buf)) < want {
			buf = make([]byte, want) // mostly a few blocks: there may be a million of such files
		}
		for at = begin; at < end; {
			n, err := f.ReadAt(buf[:min(int64(len(buf)), end-at)], at)
			if n == 0 && err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			if err := fn(at, buf[:n]); err != nil {
				return err
			}
			at += int64(n)
		}
	}
	return nil
}

// nonZero returns where the first byte of [from, to) that is not zero stands and where the last one ends;
// both are to when there is none.
func nonZero(path string, from, to int64) (first, end int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	first, end = to, to
	err = eachData(f, from, to, 1, func(off int64, b []byte) error {
		if i := firstNonZero(b); i >= 0 {
			if first == to {
				first = off + int64(i)
			}
			for i = len(b) - 1; b[i] == 0; i-- {
			}
			end = off + int64(i) + 1
		}
		return nil
	})
	return first, end, err
}

func firstNonZero(b []byte) int {
	for i, c := range b {
		if c != 0 {
			return i
		}
	}
	return -1
}
