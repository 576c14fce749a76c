package simfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// file is an open file; it stays good when its name goes.
type file struct {
	d      *Disk
	n      *node
	path   string
	closed bool
}

func (f *file) begin(kind string, n int64) (Fault, error) {
	return f.beginWrite(kind, n, nil, 0)
}

func (f *file) beginWrite(kind string, n int64, data []byte, off int64) (Fault, error) {
	if f.closed {
		return Fault{}, &fs.PathError{Op: kind, Path: f.path, Err: os.ErrClosed}
	}
	return f.d.beginWrite(kind, f.path, n, data, off)
}

// ReadAt implements fsys.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if _, err := f.begin("read", int64(len(p))); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, &fs.PathError{Op: "read", Path: f.path, Err: errors.New("negative offset")}
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements fsys.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	n, err := f.write("write", p, off)
	return int(n), err
}

// WriteVec implements fsys.File: one write of all pieces.
func (f *file) WriteVec(pieces [][]byte, off int64) error {
	var all []byte
	for _, p := range pieces {
		all = append(all, p...)
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	_, err := f.write("write", all, off)
	return err
}

func (f *file) write(kind string, p []byte, off int64) (int64, error) {
	fault, err := f.beginWrite(kind, int64(len(p)), p, off)
	if off < 0 {
		return 0, &fs.PathError{Op: kind, Path: f.path, Err: errors.New("negative offset")}
	}
	if err != nil {
		p = p[:max(0, min(fault.Short, int64(len(p))))]
	}
	if !fault.Lost && len(p) > 0 {
		f.n.put(f.d.seq, p, off)
	}
	return int64(len(p)), err
}

// put changes the live bytes and notes the new versions of the sectors and of the length.
func (n *node) put(seq int64, p []byte, off int64) {
	end := off + int64(len(p))
	if end > int64(len(n.data)) {
		n.resize(seq, end)
	}
	copy(n.data[off:], p)
	n.note(seq, off, end)
}

func (n *node) note(seq, from, to int64) {
	for s := from / Sector; s*Sector < to; s++ {
		b := make([]byte, Sector)
		copy(b, n.data[s*Sector:])
		n.sectors[s] = append(n.sectors[s], version{seq, b})
	}
}

func (n *node) resize(seq, size int64) {
	old := int64(len(n.data))
	switch {
	case size > old:
		n.data = append(n.data, make([]byte, size-old)...)
	case size < old:
		clear(n.data[size:])
		n.note(seq, size, old)
		n.data = n.data[:size]
	default:
		return
	}
	n.lengths = append(n.lengths, length{seq, size})
}

// Datasync implements fsys.File.
func (f *file) Datasync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	fault, err := f.begin("sync", 0)
	if err != nil {
		if fault.Drop {
			clear(f.n.sectors) // lengths go by the journal, not by write-back
		}
		return err
	}
	f.n.sync()
	return nil
}

// sync makes what was written durable.
func (n *node) sync() {
	last := int64(1<<63 - 1)
	n.durable = n.at(func(int64, int) int64 { return last }, last)
	clear(n.sectors)
	n.lengths = nil
}

// at returns what the file is when each sector has its last version not younger than upTo says, and the
// length that of size.
func (n *node) at(upTo func(sector int64, versions int) int64, size int64) []byte {
	length := int64(len(n.durable))
	for _, l := range n.lengths {
		if l.seq <= size {
			length = l.n
		}
	}
	out := make([]byte, length)
	copy(out, n.durable)
	for s, vs := range n.sectors {
		limit := upTo(s, len(vs))
		for i := len(vs) - 1; i >= 0; i-- {
			if vs[i].seq <= limit {
				if s*Sector < length {
					copy(out[s*Sector:], vs[i].b)
				}
				break
			}
		}
	}
	return out
}

// Allocate implements fsys.File. It never makes a file shorter, as fallocate does not.
func (f *file) Allocate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if _, err := f.begin("allocate", size); err != nil {
		return err
	}
	if size > int64(len(f.n.data)) {
		f.n.resize(f.d.seq, size)
	}
	return nil
}

// Truncate implements fsys.File.
func (f *file) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if _, err := f.begin("truncate", size); err != nil {
		return err
	}
	f.n.resize(f.d.seq, size)
	return nil
}

// Forget implements fsys.File.
func (f *file) Forget(int64, int64) {}

// Zero implements fsys.File.
func (f *file) Zero(off, n int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	_, err := f.begin("zero", n)
	if err != nil {
		return err
	}
	if end := min(off+n, int64(len(f.n.data))); end > off {
		f.n.put(f.d.seq, make([]byte, end-off), off)
	}
	return nil
}

// Size implements fsys.File.
func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.n.data)), nil
}

// Close implements fsys.File. It succeeds on a crashed disk: the process is gone.
func (f *file) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.closed {
		return os.ErrClosed
	}
	f.closed = true
	return nil
}
