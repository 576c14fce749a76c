package index

// chunk is a piece of the batch, filled from the front. It is never used again, so that who holds a copy of
// the batch needs no lock to read it.
type chunk [1024]entry

// batch is what is not in a file yet, in order. A copy, taken under the lock of its owner, stays as it was.
type batch struct {
	chunks []*chunk
	skip   int // entries of chunks[0] that are in a file
	last   int // entries of the last chunk
	n      int
}

func (b *batch) add(e entry) {
	if k := len(b.chunks); k == 0 || b.last == len(chunk{}) {
		b.chunks = append(b.chunks, &chunk{})
		b.last = 0
	}
	b.chunks[len(b.chunks)-1][b.last] = e
	b.last++
	b.n++
}

// piece returns the entries of chunk i.
func (b *batch) piece(i int) []entry {
	from, to := 0, len(chunk{})
	if i == 0 {
		from = b.skip
	}
	if i == len(b.chunks)-1 {
		to = b.last
	}
	return b.chunks[i][from:to]
}

// first returns up to n entries from the front.
func (b *batch) first(n int) [][]entry {
	var out [][]entry
	for i := 0; i < len(b.chunks) && n > 0; i++ {
		p := b.piece(i)
		p = p[:min(n, len(p))]
		n -= len(p)
		out = append(out, p)
	}
	return out
}

// drop takes n entries from the front.
func (b *batch) drop(n int) {
	b.n -= n
	if b.n == 0 {
		*b = batch{}
		return
	}
	b.skip += n
	for b.skip >= len(chunk{}) {
		b.skip -= len(chunk{})
		b.chunks = b.chunks[1:]
	}
}

// find looks through the batch, newest first.
func (b *batch) find(q *query) {
	for i := len(b.chunks) - 1; i >= 0; i-- {
		p := b.piece(i)
		for j := len(p) - 1; j >= 0; j-- {
			if p[j].hash == q.hash {
				if q.done() {
					return
				}
				q.add(p[j].hash, p[j].physical, p[j].time)
			}
		}
	}
}
