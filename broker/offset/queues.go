package offset

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/skylarkmq/skylark/broker/internal/strmap"
)

const (
	// chunkSize is how many queues share one allocation.
	chunkSize = 16
	// maxDense bounds the queue ids that live in chunks; ids outside, which only broken clients send, go
	// to a map.
	maxDense = 1 << 14
	// absent marks a queue without an offset. Clients do commit -1.
	absent = math.MinInt64
)

type chunk [chunkSize]atomic.Int64

func newChunk() *chunk {
	c := new(chunk)
	for i := range c {
		c[i].Store(absent)
	}
	return c
}

// queues are the offsets of one group in one topic. Reads and writes of queues that are there take no
// lock: growing copies the list of chunks, never a chunk.
type queues struct {
	chunks atomic.Pointer[[]*chunk]
	grow   sync.Mutex
	rare   sync.Map // int32 -> int64
}

func (q *queues) slot(id int32) *atomic.Int64 {
	if list := q.chunks.Load(); list != nil {
		if i := int(id / chunkSize); i < len(*list) {
			return &(*list)[i][id%chunkSize]
		}
	}
	return nil
}

func (q *queues) get(id int32) (int64, bool) {
	if id < 0 || id >= maxDense {
		v, ok := q.rare.Load(id)
		if !ok {
			return 0, false
		}
		return v.(int64), true
	}
	if s := q.slot(id); s != nil {
		v := s.Load()
		return v, v != absent
	}
	return 0, false
}

// set stores an offset and returns the one before, absent when there was none.
func (q *queues) set(id int32, offset int64) int64 {
	if id < 0 || id >= maxDense {
		if old, ok := q.rare.Swap(id, offset); ok {
			return old.(int64)
		}
		return absent
	}
	s := q.slot(id)
	if s == nil {
		q.extend(int(id/chunkSize) + 1)
		s = q.slot(id)
	}
	return s.Swap(offset)
}

func (q *queues) extend(n int) {
	q.grow.Lock()
	defer q.grow.Unlock()
	var list []*chunk
	if old := q.chunks.Load(); old != nil {
		list = *old
	}
	bigger := make([]*chunk, len(list), max(n, len(list)))
	copy(bigger, list)
	for len(bigger) < n {
		bigger = append(bigger, newChunk())
	}
	q.chunks.Store(&bigger)
}

// each calls fn for every queue that has an offset, in order of the ids that are in chunks.
func (q *queues) each(fn func(id int32, offset int64)) {
	if list := q.chunks.Load(); list != nil {
		for i, c := range *list {
			for j := range c {
				if v := c[j].Load(); v != absent {
					fn(int32(i*chunkSize+j), v)
				}
			}
		}
	}
	q.rare.Range(func(id, v any) bool {
		fn(id.(int32), v.(int64))
		return true
	})
}

func (q *queues) copyMap() map[int32]int64 {
	out := map[int32]int64{}
	q.each(func(id int32, offset int64) { out[id] = offset })
	return out
}

// groups maps group and topic to queues: no key has to be joined for a lookup.
type groups struct {
	m *strmap.Map[strmap.Map[queues]]
}

func newGroups() groups { return groups{strmap.New[strmap.Map[queues]](6)} }

func (g groups) find(group, topic string) *queues {
	topics := g.m.Load(group)
	if topics == nil {
		return nil
	}
	return topics.Load(topic)
}

func (g groups) at(group, topic string) *queues {
	topics := g.m.Load(group)
	if topics == nil {
		topics, _ = g.m.LoadOrCreate(group, func(string) *strmap.Map[queues] { return strmap.New[queues](0) })
	}
	if q := topics.Load(topic); q != nil {
		return q
	}
	q, _ := topics.LoadOrCreate(topic, func(string) *queues { return new(queues) })
	return q
}

// removeTopic removes a topic from every group and reports whether it was in any. Groups that become
// empty stay: taking one out could take a commit with it that runs at the same time.
func (g groups) removeTopic(topic string) bool {
	removed := false
	g.m.Range(func(_ string, topics *strmap.Map[queues]) bool {
		removed = topics.Delete(topic) != nil || removed
		return true
	})
	return removed
}

func (g groups) removeGroup(group string) bool { return g.m.Delete(group) != nil }

func (g groups) each(fn func(topic, group string, q *queues)) {
	g.m.Range(func(group string, topics *strmap.Map[queues]) bool {
		topics.Range(func(topic string, q *queues) bool {
			fn(topic, group, q)
			return true
		})
		return true
	})
}
