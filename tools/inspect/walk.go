package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
)

// event is what the walk through the log meets.
type event struct {
	kind     eventKind
	rec      message.Record // valid until the next call
	from, to int64
	why      string
}

type eventKind int

const (
	anyRecord eventKind = iota // a whole record
	anyDamage                  // [from, to) is no record; whole ones, or durable bytes, follow
	anyTail                    // [from, to) stands behind the end of the log and is not zero
)

// walker goes through the log in order and past damage.
type walker struct {
	v      *view
	i      int // file
	at     int64
	buf    []byte
	base   int64
	n      int // bytes of buf that were read
	window []byte
	done   bool
	err    error
}

// walkPiece is how much the walker reads at once.
const walkPiece = 4 << 20

// walk returns a walker that begins at the first file that reaches behind offset. offset must be where a
// record begins, or in front of the log.
func (v *view) walk(offset int64) *walker {
	w := &walker{v: v, at: offset}
	for w.i < v.live && v.log[w.i].base+v.logLen <= offset {
		w.i++
	}
	if w.i < v.live {
		w.at = max(offset, v.log[w.i].base)
	} else if v.live > 0 {
		w.at = v.log[v.live-1].base + v.logLen
	}
	return w
}

// next returns the next event, false at the end of the log, which at then names, or after an error.
func (w *walker) next() (event, bool) {
	for w.err == nil && !w.done && w.i < w.v.live {
		f := w.v.log[w.i]
		end := f.base + w.v.logLen
		c, r, why := w.look(w.at, end)
		switch {
		case w.err != nil:
		case c == whole:
			from := w.at
			w.at += int64(r.Size)
			return event{kind: anyRecord, rec: r, from: from, to: w.at}, true
		case c == blank:
			w.roll(end)
		default:
			if e, ok := w.pass(f, end, why); ok {
				return e, true
			}
		}
	}
	return event{}, false
}

func (w *walker) roll(end int64) {
	w.at = end
	if w.i++; w.i < w.v.live {
		w.at = w.v.log[w.i].base
	}
}

// pass goes past what is no record.
func (w *walker) pass(f logFile, end int64, why string) (event, bool) {
	from := w.at
	last := w.i == w.v.live-1
	next, found := w.search(f, from+1, end)
	if found && w.v.running {
		// The broker may have written on between our looks at the two places. It writes in order.
		w.buf = nil
		if c, _, _ := w.look(from, end); c != broken {
			return event{}, false
		}
	}
	switch {
	case w.err != nil:
		return event{}, false
	case found:
		w.at = next
	case !last:
		next = end
		w.roll(end)
	case w.v.watermark > from:
		next = min(w.v.watermark, end)
		why += fmt.Sprintf("; the log was durable up to %d", w.v.watermark)
		if w.at = next; next == end {
			w.roll(end)
		}
	default:
		w.done = true
		first, behind, err := nonZero(f.path, from-f.base, w.v.logLen)
		if w.err = err; err != nil || first == w.v.logLen {
			return event{}, false
		}
		return event{kind: anyTail, from: from, to: f.base + behind, why: why}, true
	}
	return event{kind: anyDamage, from: from, to: next, why: why}, true
}

// class is what stands at an offset.
type class int

const (
	broken class = iota
	whole
	blank
)

// look tells what stands at offset of the file that ends at end, and why it is no record.
func (w *walker) look(at, end int64) (class, message.Record, string) {
	var none message.Record
	left := end - at
	if left < message.BlankSize {
		return broken, none, fmt.Sprintf("no record fits the %d bytes left", left)
	}
	head := w.peek(at, message.BlankSize)
	if len(head) < message.BlankSize {
		return broken, none, "the file ends here"
	}
	size, magic := int64(message.Size(head)), message.Magic(head)
	switch {
	case magic == message.MagicBlank && size == left:
		return blank, none, ""
	case size == 0 && magic == 0:
		return broken, none, "no record"
	case magic != message.MagicV1 && magic != message.MagicV2:
		return broken, none, fmt.Sprintf("magic 0x%08x", magic)
	case size < message.MinRecord || size+message.BlankSize > left:
		return broken, none, fmt.Sprintf("a record of %d bytes, the file has %d left", size, left)
	}
	if b := w.peek(at, message.MinRecord); len(b) == message.MinRecord && message.PhysicalOffset(b) != at {
		// Before the checksum: a search must not sum up megabytes for each magic code it meets.
		return broken, none, fmt.Sprintf("the record says it is at %d", message.PhysicalOffset(b))
	}
	if b := w.peek(at, bodyLengthEnd); !plausible(b, size) {
		return broken, none, fmt.Sprintf("lengths do not add up to size %d", size)
	}
	b := w.peek(at, size)
	if int64(len(b)) < size {
		return broken, none, "the file ends in the record"
	}
	r, why := wholeRecord(b)
	if why != "" {
		return broken, r, why
	}
	if r.Torn() {
		// Looking further moves the buffer, so that the record is taken again.
		if next := at + size; !message.GoesOn(w.peek(next, min(end-next, message.MinRecord)), next, end-next) {
			return broken, none, "the record was not written to its end"
		}
		r, _ = wholeRecord(w.peek(at, size))
	}
	return whole, r, ""
}

// bodyLengthEnd is where the length of the body ends in a record whose hosts are IPv6 addresses.
const bodyLengthEnd = 88 + 2*12

// plausible reports whether the record whose head is b can have that size, by the length of its body: one
// wrong bit must not make us read a gigabyte into memory.
func plausible(b []byte, size int64) bool {
	if len(b) < bodyLengthEnd {
		return true // the end of the file is near
	}
	at := 84
	for _, bit := range []byte{message.SysFlagBornHostV6, message.SysFlagStoreHostV6} {
		if b[39]&bit != 0 {
			at += 12
		}
	}
	rest := size - int64(at) - 4 - int64(int32(binary.BigEndian.Uint32(b[at:])))
	return rest >= 3 && rest <= 2*(2+math.MaxInt16)
}

// wholeRecord parses the record that is b and tells what is wrong with it.
func wholeRecord(b []byte) (message.Record, string) {
	r, err := message.Parse(b, true)
	if err != nil {
		return r, strings.TrimPrefix(err.Error(), message.ErrRecord.Error()+": ")
	}
	if want, got, ok := message.PropertyCRC(b, r.Properties); ok && want != got {
		return r, fmt.Sprintf("record checksum 0x%08x, stored 0x%08x", got, want)
	}
	return r, ""
}

// peek returns n bytes at offset, fewer where the file ends.
func (w *walker) peek(at, n int64) []byte {
	from := at - w.base
	if w.buf == nil || from < 0 || from+n > int64(w.n) {
		if int64(len(w.buf)) < max(n, walkPiece) {
			w.buf = make([]byte, max(n, min(walkPiece, w.v.logLen)))
		}
		w.base, from = at, 0
		w.n, w.err = w.v.readLog(w.buf, at)
	}
	return w.buf[from:min(from+n, int64(w.n))]
}

var (
	recordMagic = binary.BigEndian.AppendUint32(nil, message.MagicV1)[:3] // V2 differs in the last byte
	blankMagic  = binary.BigEndian.AppendUint32(nil, message.MagicBlank)
)

// search looks for the next whole record or end of file at or behind offset. A record must say that it
// stands where it was found, so that what a body holds is not taken for one.
func (w *walker) search(f logFile, from, end int64) (int64, bool) {
	const overlap = 8
	if w.window == nil {
		w.window = make([]byte, min(walkPiece, max(w.v.logLen, overlap)))
	}
	for at := from; at < end; {
		n, err := w.v.readLog(w.window, at)
		if w.err = err; err != nil {
			return 0, false
		}
		m := magics{b: w.window[:n]}
		for i := m.next(4); i >= 0; i = m.next(i + 1) {
			if c, _, _ := w.look(at+int64(i)-4, end); c != broken || w.err != nil {
				return at + int64(i) - 4, w.err == nil
			}
		}
		if n < len(w.window) || n <= overlap {
			break
		}
		at += int64(n - overlap + 1)
	}
	return 0, false
}

// magics finds magic codes in b. It remembers what it found ahead, so that a body full of one code costs
// one pass.
type magics struct {
	b    []byte
	seen [2]int // where the next of each code stands, from 1; 0: not looked yet
}

// next returns where the first magic code at or behind from begins, -1 when none does.
func (m *magics) next(from int) int {
	best := len(m.b)
	for k, code := range [2][]byte{recordMagic, blankMagic} {
		if m.seen[k] <= from && from <= len(m.b) {
			m.seen[k] = len(m.b) + 1
			if i := bytes.Index(m.b[from:], code); i >= 0 {
				m.seen[k] = from + i + 1
			}
		}
		best = min(best, m.seen[k]-1)
	}
	if best >= len(m.b) {
		return -1
	}
	return best
}
