package index

import (
	"encoding/binary"
	"fmt"

	"github.com/skylarkmq/skylark/store/fsys"
)

// file is one index file.
type file struct {
	fsys.File
	geometry
	path string

	// tried is behind the highest entry a write of this process may have put into a slot; the builder's.
	tried int32

	// Under Index.mu; the builder alone changes head and may read it without.
	head header
	refs int  // readers
	gone bool // to be closed by the last reader
}

func (f *file) full() bool { return f.head.count >= f.entries }

func (f *file) slotOf(hash int32) int32 { return hash % f.slots }

// read fills p from off.
func (f *file) read(p []byte, off int64) error {
	if n, err := f.ReadAt(p, off); n < len(p) {
		return fmt.Errorf("cannot read %d bytes at %d of %s: %w", len(p), off, f.path, err)
	}
	return nil
}

func (f *file) write(p []byte, off int64) error {
	if _, err := f.WriteAt(p, off); err != nil {
		return fmt.Errorf("cannot write %d bytes at %d of %s: %w", len(p), off, f.path, err)
	}
	return nil
}

func (f *file) sync() error {
	if err := f.Datasync(); err != nil {
		return fmt.Errorf("cannot sync %s: %w", f.path, err)
	}
	return nil
}

func (f *file) slot(slot int32) (int32, error) {
	var b [slotSize]byte
	err := f.read(b[:], f.slotAt(slot))
	return int32(binary.BigEndian.Uint32(b[:])), err
}

func (f *file) entry(n int32) (stored, error) {
	var b [entrySize]byte
	err := f.read(b[:], f.entryAt(n))
	return parseEntry(b[:]), err
}

// pageSize is the unit in which slots are read and written.
const pageSize = 4096

// window holds the page an entry stands in: the chain of a frequent key has its older entries there, too.
type window struct {
	f   *file
	at  int64
	n   int
	buf [pageSize + entrySize]byte
}

func (w *window) entry(n int32) (stored, error) {
	at := w.f.entryAt(n)
	if at < w.at || at+entrySize > w.at+int64(w.n) {
		from := max(at&^(pageSize-1), w.f.entryAt(0))
		size := int(at + entrySize - from)
		w.n = 0
		if err := w.f.read(w.buf[:size], from); err != nil {
			return stored{}, err
		}
		w.at, w.n = from, size
	}
	return parseEntry(w.buf[at-w.at:]), nil
}

// query is what is looked for and what was found.
type query struct {
	hash       int32
	max        int
	begin, end int64 // ms
	before     int64
	out        []int64
}

func (q *query) done() bool { return len(q.out) >= q.max }

// add takes an entry that comes next, going back in time. A message that has a key twice is found once.
func (q *query) add(hash int32, physical, time int64) {
	if hash != q.hash || time < q.begin || time > q.end || q.before > 0 && physical >= q.before {
		return
	}
	if n := len(q.out); n > 0 && q.out[n-1] == physical {
		return
	}
	q.out = append(q.out, physical)
}

// matches reports whether the file's times meet those of q. Java: IndexFile.isTimeMatched.
func (q *query) matches(h *header) bool {
	return q.begin < h.beginTimestamp && q.end > h.endTimestamp ||
		q.begin >= h.beginTimestamp && q.begin <= h.endTimestamp ||
		q.end >= h.beginTimestamp && q.end <= h.endTimestamp
}

// tornReads bounds how often a slot is read again that the builder may have been writing.
const tornReads = 3

// find walks the chain of q among the entries that head counts. Others that the builder has put in front of
// them meanwhile are passed over. Each step must lead to a lower number, so that a damaged chain ends.
// Java: IndexFile.selectPhyOffset.
func (f *file) find(head *header, q *query, w *window) error {
	if head.count <= 1 {
		return nil
	}
	slot := f.slotOf(q.hash)
	w.f = f
	n, e, err := f.first(slot, w)
	for err == nil && n > 0 && !q.done() {
		if e.hash < 0 || f.slotOf(e.hash) != slot || e.diff < 0 {
			return nil
		}
		if n < head.count {
			t := head.time(n, &e)
			q.add(e.hash, e.physical, t)
			if t < q.begin {
				return nil
			}
		}
		if e.prev <= 0 || e.prev >= n {
			return nil
		}
		n = e.prev
		e, err = w.entry(n)
	}
	return err
}

// first returns the newest entry of a slot's chain, 0 when it is empty.
func (f *file) first(slot int32, w *window) (int32, stored, error) {
	for range tornReads {
		n, err := f.slot(slot)
		if err != nil || n <= 0 {
			return 0, stored{}, err
		}
		if n >= f.entries {
			continue
		}
		w.n = 0
		e, err := w.entry(n)
		if err != nil || e.hash >= 0 && f.slotOf(e.hash) == slot {
			return n, e, err
		}
	}
	return 0, stored{}, nil
}
