package index

import (
	"encoding/binary"
	"slices"
)

// piece is how much of a file is read or written at once.
const piece = 1 << 20

// batchWriter writes a batch of entries to a file.
type batchWriter struct {
	f    *file
	head header // becomes what it is behind the batch
	base int32  // number of the batch's first entry

	// order holds slot<<32 | place in the batch, sorted: each chain is one run, in the order of its entries.
	order []uint64
	prev  []int32 // by place in the batch
	buf   []byte
}

// writeBatch adds the entries to f, which has room for them, and returns its header behind that. Killed at
// any point, or failed and called again, it leaves a file whose chains lead to all entries that the header
// counts.
func writeBatch(f *file, entries [][]entry) (header, error) {
	n := 0
	for _, p := range entries {
		n += len(p)
	}
	w := batchWriter{f: f, head: f.head, base: f.head.count, order: make([]uint64, 0, n), prev: make([]int32, n)}
	for _, p := range entries {
		for i := range p {
			w.order = append(w.order, uint64(f.slotOf(p[i].hash))<<32|uint64(len(w.order)))
		}
	}
	w.order = sortBySlot(w.order)
	w.buf = make([]byte, min(piece, n*pageSize))
	if err := w.runs(w.link); err != nil {
		return header{}, err
	}
	if err := w.entries(entries); err != nil {
		return header{}, err
	}
	f.tried = max(f.tried, w.head.count)
	if err := w.runs(w.point); err != nil {
		return header{}, err
	}
	return w.head, f.write(w.head.bytes(), 0)
}

// sortBySlot sorts by the upper half, keeping the order of equals: two passes over 12 bits each, which hold
// more slots than a file of Java's has.
func sortBySlot(order []uint64) []uint64 {
	const bits, passes = 12, 2
	if len(order) < 1<<bits || order[0]>>32 >= 1<<(bits*passes) {
		slices.Sort(order)
		return order
	}
	to := make([]uint64, len(order))
	for pass := range passes {
		shift := 32 + pass*bits
		var starts [1 << bits]int
		for _, o := range order {
			if o>>32 >= 1<<(bits*passes) {
				slices.Sort(order)
				return order
			}
			starts[o>>shift&(1<<bits-1)]++
		}
		sum := 0
		for i, n := range starts {
			starts[i] = sum
			sum += n
		}
		for _, o := range order {
			i := o >> shift & (1<<bits - 1)
			to[starts[i]] = o
			starts[i]++
		}
		order, to = to, order
	}
	return order
}

// runs calls fn for each run of neighbouring slot pages that the batch touches, at most a piece: the place
// of its slots in the file, the bytes there, and its part of order.
func (w *batchWriter) runs(fn func(at int64, slots []byte, part []uint64) error) error {
	page := func(i int) int64 { return w.f.slotAt(int32(w.order[i]>>32)) / pageSize }
	for i := 0; i < len(w.order); {
		first := page(i)
		last, j := first, i+1
		for ; j < len(w.order); j++ {
			p := page(j)
			if p > last+1 || (p-first+1)*pageSize > piece {
				break
			}
			last = p
		}
		at := max(first*pageSize, headerSize)
		b := w.buf[:min((last+1)*pageSize, w.f.slotAt(w.f.slots))-at]
		if err := w.f.read(b, at); err != nil {
			return err
		}
		if err := fn(at, b, w.order[i:j]); err != nil {
			return err
		}
		i = j
	}
	return nil
}

// link finds for each entry the one its chain goes on with.
func (w *batchWriter) link(at int64, slots []byte, part []uint64) error {
	for i, o := range part {
		slot, place := int32(o>>32), int32(uint32(o))
		if i > 0 && int32(part[i-1]>>32) == slot {
			w.prev[place] = w.base + int32(uint32(part[i-1]))
			continue
		}
		old := int32(binary.BigEndian.Uint32(slots[w.f.slotAt(slot)-at:]))
		settled, err := w.settled(old)
		if err != nil {
			return err
		}
		w.prev[place] = settled
		if settled == 0 {
			w.head.slots++
		}
	}
	return nil
}

// settled returns the newest entry of a chain that counts, going past what a write that failed has left.
func (w *batchWriter) settled(n int32) (int32, error) {
	for n >= w.base {
		if n >= w.f.tried {
			return 0, nil // not a number a write has put there: Java takes the slot for empty
		}
		e, err := w.f.entry(n)
		if err != nil {
			return 0, err
		}
		if e.prev >= n {
			return 0, nil
		}
		n = e.prev
	}
	return max(n, 0), nil
}

func (w *batchWriter) entries(entries [][]entry) error {
	b, at, place := w.buf[:0], w.f.entryAt(w.base), 0
	for _, p := range entries {
		for i := range p {
			if len(b)+entrySize > cap(b) {
				if err := w.f.write(b, at); err != nil {
					return err
				}
				at += int64(len(b))
				b = b[:0]
			}
			b = appendEntry(b, stored{p[i].hash, p[i].physical, w.head.diff(p[i].time), w.prev[place]})
			w.count(&p[i])
			place++
		}
	}
	return w.f.write(b, at)
}

// count brings the header behind e.
func (w *batchWriter) count(e *entry) {
	if w.head.count <= 1 {
		w.head.beginPhysical, w.head.beginTimestamp = e.physical, e.time
	}
	w.head.endPhysical, w.head.endTimestamp = e.physical, e.time
	w.head.count++
}

// point makes the slots name the newest entries.
func (w *batchWriter) point(at int64, slots []byte, part []uint64) error {
	for _, o := range part { // the last of a chain wins
		binary.BigEndian.PutUint32(slots[w.f.slotAt(int32(o>>32))-at:], uint32(w.base+int32(uint32(o))))
	}
	return w.f.write(slots, at)
}
