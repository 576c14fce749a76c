package transaction

import (
	"fmt"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// windowSize is how many half messages the checker knows the ends of at a time: 128 KiB of bits.
const windowSize = 1 << 20

// window knows which half messages with queue offsets from base to end are ended by op messages.
type window struct {
	base, end int64
	bits      []uint64
	next      int64 // queue offset of the first op message that is not read
}

func newWindow(base, end, opFrom int64) *window {
	return &window{base: base, end: end, bits: make([]uint64, (end-base+63)/64), next: opFrom}
}

func (w *window) set(offset int64) {
	if i := offset - w.base; i >= 0 && offset < w.end {
		w.bits[i/64] |= 1 << (i % 64)
	}
}

func (w *window) has(offset int64) bool {
	i := offset - w.base
	return w.bits[i/64]&(1<<(i%64)) != 0
}

// read takes in the op messages from w.next on.
func (w *window) read(s *store.Store, q *consumequeue.Queue) error {
	if w.next >= q.Max() {
		return nil
	}
	next, err := eachOp(s, q, w.next, func(r *message.Record) bool {
		eachEnd(r, w.set)
		return true
	})
	w.next = next
	return err
}

// opPull is how many op messages are read at a time. Java: OP_MSG_PULL_NUMS.
const opPull = 32

// eachOp calls fn with the op messages from queue offset at on until it returns false, and returns the queue
// offset of the first it was not called with or returned false for. What retention has removed is passed over.
func eachOp(s *store.Store, q *consumequeue.Queue, at int64, fn func(r *message.Record) bool) (int64, error) {
	var buf []byte
	for at < q.Max() {
		b, res, err := s.Get(buf[:0], store.GetRequest{Queue: q, Offset: at, MaxMessages: opPull})
		if err != nil {
			return at, fmt.Errorf("cannot read op messages of transactions: %w", err)
		}
		buf = b
		for len(b) > 0 {
			r, err := message.Parse(b, false)
			if err != nil {
				return at, fmt.Errorf("cannot read op messages of transactions: %w", err)
			}
			if !fn(&r) {
				return r.QueueOffset, nil
			}
			b = b[r.Size:]
		}
		if res.NextOffset <= at {
			return at, fmt.Errorf("cannot read op messages of transactions from %d on: %s", at, res.Status)
		}
		at = res.NextOffset
	}
	return at, nil
}
