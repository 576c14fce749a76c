// Package strmap is the map under the broker's tables: string keys, pointer values, reads that take no
// lock and allocate nothing.
//
// A map is split into shards. Each shard is a chained hash table whose links are atomic pointers, so a
// reader walks it while a writer, which holds the shard's mutex, puts a node in or takes one out. A shard
// that grows is copied and the copy published; a reader on the old copy sees the values of the moment it
// came, as if it had read just before the next change. The mutex is a leaf, except that LoadOrCreate runs
// its function under it.
package strmap

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// Map maps strings to values of type *V. It keeps clones of its keys, so the strings it is called with
// may alias a network buffer. All methods are safe for concurrent use.
type Map[V any] struct {
	seed   maphash.Seed
	shift  uint
	shards []shard[V]
}

type shard[V any] struct {
	table atomic.Pointer[table[V]]
	mu    sync.Mutex
	n     atomic.Int64 // changed under mu only
	_     [64]byte     // keeps two shards' mutexes off one cache line
}

type table[V any] struct {
	mask    uint64
	buckets []atomic.Pointer[node[V]]
}

type node[V any] struct {
	hash  uint64
	key   string
	value atomic.Pointer[V]
	next  atomic.Pointer[node[V]]
}

// minBuckets is what a new shard starts with.
const minBuckets = 4

// New returns an empty map with 1<<bits shards. 6 bits suit a table that all connections use, 0 bits one
// of many small maps.
func New[V any](bits uint) *Map[V] {
	m := &Map[V]{seed: maphash.MakeSeed(), shift: 64 - bits, shards: make([]shard[V], 1<<bits)}
	for i := range m.shards {
		m.shards[i].table.Store(newTable[V](minBuckets))
	}
	return m
}

func newTable[V any](n int) *table[V] {
	return &table[V]{mask: uint64(n - 1), buckets: make([]atomic.Pointer[node[V]], n)}
}

func (t *table[V]) find(hash uint64, key string) *node[V] {
	for n := t.buckets[hash&t.mask].Load(); n != nil; n = n.next.Load() {
		if n.hash == hash && n.key == key {
			return n
		}
	}
	return nil
}

// at returns key's hash and shard. The shard is taken from the high bits, the bucket from the low ones.
func (m *Map[V]) at(key string) (uint64, *shard[V]) {
	hash := maphash.String(m.seed, key)
	return hash, &m.shards[hash>>m.shift] // a shift by 64 is 0 in Go
}

// Load returns the value of key, nil when there is none.
func (m *Map[V]) Load(key string) *V {
	hash, s := m.at(key)
	if n := s.table.Load().find(hash, key); n != nil {
		return n.value.Load()
	}
	return nil
}

// Store sets the value of key and returns the one it replaced, nil when there was none. v must not be nil.
func (m *Map[V]) Store(key string, v *V) *V {
	hash, s := m.at(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.table.Load().find(hash, key); n != nil {
		return n.value.Swap(v)
	}
	s.insert(hash, strings.Clone(key), v)
	return nil
}

// LoadOrCreate returns the value of key; when there is none it stores what create returns. create gets
// the map's own copy of the key and runs under the shard's mutex: it must not use the map.
func (m *Map[V]) LoadOrCreate(key string, create func(key string) *V) (v *V, created bool) {
	hash, s := m.at(key)
	if n := s.table.Load().find(hash, key); n != nil {
		return n.value.Load(), false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.table.Load().find(hash, key); n != nil {
		return n.value.Load(), false
	}
	key = strings.Clone(key)
	v = create(key)
	s.insert(hash, key, v)
	return v, true
}

// Delete removes key and returns its value, nil when there was none.
func (m *Map[V]) Delete(key string) *V {
	return m.remove(key, nil)
}

// CompareAndDelete removes key if its value is v, and reports whether it did.
func (m *Map[V]) CompareAndDelete(key string, v *V) bool {
	return m.remove(key, v) != nil
}

// remove takes key out if want is nil or its value.
func (m *Map[V]) remove(key string, want *V) *V {
	hash, s := m.at(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	link := &t.buckets[hash&t.mask]
	for n := link.Load(); n != nil; n = link.Load() {
		if n.hash == hash && n.key == key {
			v := n.value.Load()
			if want != nil && v != want {
				return nil
			}
			link.Store(n.next.Load()) // readers that stand on n go on through its next
			s.n.Add(-1)
			return v
		}
		link = &n.next
	}
	return nil
}

// Len returns the number of keys.
func (m *Map[V]) Len() int {
	var n int64
	for i := range m.shards {
		n += m.shards[i].n.Load()
	}
	return int(n)
}

// Range calls fn for every key until it returns false. Keys that come or go meanwhile may be missed or
// seen; no key is seen twice. fn may use the map.
func (m *Map[V]) Range(fn func(key string, v *V) bool) {
	for i := range m.shards {
		t := m.shards[i].table.Load()
		for b := range t.buckets {
			for n := t.buckets[b].Load(); n != nil; n = n.next.Load() {
				if !fn(n.key, n.value.Load()) {
					return
				}
			}
		}
	}
}

// insert adds a key that is not there; the caller holds s.mu.
func (s *shard[V]) insert(hash uint64, key string, v *V) {
	t := s.table.Load()
	if s.n.Load() >= int64(len(t.buckets)) {
		t = t.grow()
		s.table.Store(t)
	}
	t.push(hash, key, v)
	s.n.Add(1)
}

func (t *table[V]) push(hash uint64, key string, v *V) {
	n := &node[V]{hash: hash, key: key}
	n.value.Store(v)
	head := &t.buckets[hash&t.mask]
	n.next.Store(head.Load())
	head.Store(n)
}

func (t *table[V]) grow() *table[V] {
	bigger := newTable[V](2 * len(t.buckets))
	for i := range t.buckets {
		for n := t.buckets[i].Load(); n != nil; n = n.next.Load() {
			bigger.push(n.hash, n.key, n.value.Load())
		}
	}
	return bigger
}
