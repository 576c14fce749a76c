package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/index"
)

// Layout of an index file (spec/store.md 1.6). Java: IndexFile, IndexHeader.
const (
	indexHeaderSize = 40
	indexEntrySize  = 20
	indexNameDigits = 17 // yyyyMMddHHmmssSSS
)

// indexHeader is the head of an index file.
type indexHeader struct {
	BeginTimestamp int64 `json:"beginTimestamp"`
	EndTimestamp   int64 `json:"endTimestamp"`
	BeginPhyOffset int64 `json:"beginPhyOffset"`
	EndPhyOffset   int64 `json:"endPhyOffset"`
	UsedSlots      int32 `json:"usedSlots"`
	Count          int32 `json:"indexCount"` // one more than there are entries
}

func parseIndexHeader(b []byte) indexHeader {
	long := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	return indexHeader{long(0), long(8), long(16), long(24), int32(binary.BigEndian.Uint32(b[32:])), int32(binary.BigEndian.Uint32(b[36:]))}
}

// indexEntry is one entry.
type indexEntry struct {
	hash int32
	phys int64
	prev int32
}

func parseIndexEntry(b []byte) indexEntry {
	return indexEntry{int32(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint64(b[4:])), int32(binary.BigEndian.Uint32(b[16:]))}
}

// hasKey reports whether a key of r has this hash.
func hasKey(r *message.Record, hash int32) bool {
	return slices.Contains(index.AppendRecordHashes(nil, r), hash)
}

// readIndex checks the index files. After a crash or beside a broker their pages are written in any order,
// and a start drops what it does not trust: all is a warning then.
func (c *checker) readIndex() error {
	dir := filepath.Join(c.v.root, "index")
	entries, err := fsys.OS{}.List(dir)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.Dir {
			continue
		}
		path := filepath.Join(dir, e.Name)
		c.sum.IndexFiles++
		x := indexCheck{c: c, path: path}
		if !isIndexName(e.Name) {
			x.bad(0, "the file does not belong into the index folder")
		} else if err := x.file(e.Size); err != nil {
			return fmt.Errorf("cannot read %s: %w", path, err)
		}
		if x.broken && !c.v.unclean() {
			c.stray = append(c.stray, path)
		}
	}
	return nil
}

func isIndexName(name string) bool {
	return len(name) == indexNameDigits && strings.Trim(name, "0123456789") == ""
}

// indexCheck is the check of one index file.
type indexCheck struct {
	c      *checker
	path   string
	broken bool
	count  int
	slots  []int32 // what the slots should hold, from the entries read so far
	used   int32
}

// maxIndexFindings bounds the lines about one file, which is made anew as a whole.
const maxIndexFindings = 5

func (x *indexCheck) bad(at int64, format string, args ...any) {
	x.broken = true
	if x.count++; x.count > maxIndexFindings {
		return
	}
	s := Damaged
	if x.c.v.unclean() {
		s = Warning
	}
	x.c.add(s, x.path, at, format, args...)
}

func (x *indexCheck) file(size int64) error {
	o := x.c.v.o
	if want := indexHeaderSize + 4*o.HashSlots + indexEntrySize*o.IndexEntries; size != want {
		x.bad(min(size, want), "%d bytes long, index files of %d slots and %d entries have %d", size, o.HashSlots, o.IndexEntries, want)
		return nil
	}
	f, err := os.Open(x.path)
	if err != nil {
		return err
	}
	defer f.Close()
	var head [indexHeaderSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return err
	}
	h := parseIndexHeader(head[:])
	if int64(h.Count) > o.IndexEntries || h.Count < 0 || h.UsedSlots < 0 || int64(h.UsedSlots) > o.HashSlots {
		x.bad(32, "the header counts %d entries in %d slots", h.Count, h.UsedSlots)
		return nil
	}
	if h.BeginTimestamp < 0 || h.EndTimestamp < h.BeginTimestamp || h.BeginPhyOffset < 0 || h.EndPhyOffset < h.BeginPhyOffset || h.EndPhyOffset > x.c.sum.LogEnd {
		x.bad(0, "the header tells of times %d to %d and of log offsets %d to %d, the log ends at %d", h.BeginTimestamp, h.EndTimestamp, h.BeginPhyOffset, h.EndPhyOffset, x.c.sum.LogEnd)
	}
	x.slots = make([]int32, o.HashSlots)
	if err := x.entries(f, int64(h.Count)); err != nil {
		return err
	}
	return x.compareSlots(f, h)
}

// indexSamples is of how many entries of a file the record is looked at.
const indexSamples = 10000

// entries goes over the entries in their order. Each names the one that was newest in its slot before it,
// so that the chains are known without following them, and must end.
func (x *indexCheck) entries(f *os.File, count int64) error {
	o := x.c.v.o
	base := indexHeaderSize + 4*o.HashSlots
	b := make([]byte, indexEntrySize*4096)
	every := max(1, count/indexSamples)
	for n := int64(1); n < count; {
		got, err := f.ReadAt(b[:min(int64(len(b)), (count-n)*indexEntrySize)], base+n*indexEntrySize)
		if err != nil && !errors.Is(err, io.EOF) || got < indexEntrySize {
			return errors.Join(err, x.c.ctx.Err())
		}
		if x.c.ctx.Err() != nil {
			return x.c.ctx.Err()
		}
		for p := b[:got]; len(p) >= indexEntrySize; p = p[indexEntrySize:] {
			if err := x.entry(n, base+n*indexEntrySize, parseIndexEntry(p), n%every == 0); err != nil {
				return err
			}
			n++
		}
	}
	return nil
}

func (x *indexCheck) entry(n, at int64, e indexEntry, sample bool) error {
	x.c.sum.IndexEntries++
	if e.hash < 0 || e.phys < 0 || e.phys >= x.c.sum.LogEnd {
		x.bad(at, "entry %d has key hash %d and log offset %d, the log ends at %d", n, e.hash, e.phys, x.c.sum.LogEnd)
		return nil
	}
	slot := int64(e.hash) % int64(len(x.slots))
	if x.slots[slot] == 0 {
		x.used++
	}
	if max(e.prev, 0) != x.slots[slot] {
		x.bad(at+16, "entry %d continues with entry %d, the one before it in slot %d is %d", n, e.prev, slot, x.slots[slot])
	}
	x.slots[slot] = int32(n)
	if !sample || e.phys < x.c.v.logMin() || within(x.c.damaged, e.phys) || within(x.c.missing, e.phys) {
		return nil
	}
	_, r, err := x.c.v.record(nil, e.phys)
	if err != nil {
		return err
	}
	if r == nil {
		x.bad(at, "entry %d points to %d, where the log has no record", n, e.phys)
	} else if !store.IsFiller(r) && !hasKey(r, e.hash) {
		x.bad(at, "entry %d points to %d, whose record has no key with hash %d", n, e.phys, e.hash)
	}
	return nil
}

func (x *indexCheck) compareSlots(f *os.File, h indexHeader) error {
	slot := 0
	err := eachWhole(f, indexHeaderSize, indexHeaderSize+4*int64(len(x.slots)), func(b []byte) {
		for ; len(b) >= 4 && slot < len(x.slots); b = b[4:] {
			got := int32(binary.BigEndian.Uint32(b))
			if got < 0 || got >= h.Count {
				got = 0 // empty for a reader
			}
			if got != x.slots[slot] {
				x.bad(int64(indexHeaderSize+4*slot), "slot %d holds entry %d, its newest is %d", slot, got, x.slots[slot])
			}
			slot++
		}
	})
	if x.used != h.UsedSlots {
		x.bad(32, "the header counts %d used slots, there are %d", h.UsedSlots, x.used)
	}
	return err
}

// eachWhole calls fn with the bytes of [from, to), in pieces of a multiple of 4 bytes.
func eachWhole(f *os.File, from, to int64, fn func(b []byte)) error {
	b := make([]byte, min(to-from, dataPiece))
	for from < to {
		n, err := f.ReadAt(b[:min(int64(len(b)), to-from)], from)
		if err != nil && (n == 0 || !errors.Is(err, io.EOF)) {
			return err
		}
		fn(b[:n])
		from += int64(n)
	}
	return nil
}

// record reads the record at a log offset into buf, which grows; nil when there is none.
func (v *view) record(buf []byte, at int64) ([]byte, *message.Record, error) {
	var head [bodyLengthEnd]byte
	n, err := v.readLog(head[:], at)
	if err != nil || n < message.MinRecord {
		return buf, nil, err
	}
	size := message.Size(head[:])
	if size < message.MinRecord || int64(size) > v.logLen || message.PhysicalOffset(head[:]) != at || !plausible(head[:n], int64(size)) {
		return buf, nil, nil
	}
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	if n, err = v.readLog(buf[:size], at); err != nil {
		return buf, nil, err
	}
	r, err := message.Parse(buf[:n], false)
	if err != nil {
		return buf, nil, nil
	}
	return buf, &r, nil
}
