package store

import (
	"sync"
	"sync/atomic"

	"github.com/skylarkmq/skylark/store/consumequeue"
)

// topicQueues are the queues of one topic. Reading takes no lock; topicsMu orders changes.
type topicQueues struct {
	row atomic.Pointer[[]*consumequeue.Queue] // by queue id; nil where none was used yet
	far sync.Map                              // int32 -> *consumequeue.Queue, ids of rowLength and more
}

// rowLength bounds a row. Nobody has that many queues, but a flipped bit in a record, or a topic that somebody
// makes, may name a queue id of two thousand million.
const rowLength = 1 << 16

func (t *topicQueues) find(id int32) *consumequeue.Queue {
	if id >= rowLength {
		if v, ok := t.far.Load(id); ok {
			return v.(*consumequeue.Queue)
		}
		return nil
	}
	if p := t.row.Load(); p != nil && id >= 0 && int(id) < len(*p) {
		return (*p)[id]
	}
	return nil
}

func (t *topicQueues) put(q *consumequeue.Queue) {
	if q.ID >= rowLength {
		t.far.Store(q.ID, q)
		return
	}
	var old []*consumequeue.Queue
	if p := t.row.Load(); p != nil {
		old = *p
	}
	row := make([]*consumequeue.Queue, max(len(old), int(q.ID)+1))
	copy(row, old)
	row[q.ID] = q
	t.row.Store(&row)
}

func (t *topicQueues) each(fn func(q *consumequeue.Queue)) {
	if p := t.row.Load(); p != nil {
		for _, q := range *p {
			if q != nil {
				fn(q)
			}
		}
	}
	t.far.Range(func(_, v any) bool {
		fn(v.(*consumequeue.Queue))
		return true
	})
}
