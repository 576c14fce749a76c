package commitlog

import (
	"fmt"
	"sync"

	"github.com/skylarkmq/skylark/store/segment"
)

// blockSize is the unit of the cache. Consumers of neighbouring queues find their messages in the same
// blocks, so one read of the page cache serves many pulls.
const blockSize = 128 << 10

// cache holds whole blocks of the log. Only blocks that lie entirely before the log's end are taken in:
// they never change any more.
type cache struct {
	limit  int
	memory int64 // Options.Memory
	mu     sync.Mutex
	at     map[int64]*block
	// ring of blocks for the clock that chooses which to drop.
	ring []*block
	hand int
}

type block struct {
	no    int64
	refs  int
	used  bool // since the clock passed
	kept  bool // since the last trim
	ready chan struct{}
	err   error
	b     []byte
}

func newCache(bytes int, memory int64) *cache {
	return &cache{limit: max(bytes/blockSize, 2), memory: memory, at: map[int64]*block{}}
}

func (c *cache) read(dst []byte, offset int64, size int, files *segment.Files, end int64) ([]byte, error) {
	for size > 0 {
		no := offset / blockSize
		from := offset - no*blockSize
		n := min(int64(size), blockSize-from)
		file := files.Find(offset)
		if file == nil {
			return dst, fmt.Errorf("%w: %d", ErrNoRecord, offset)
		}
		// A block that the log or a file does not fill is read directly.
		if (no+1)*blockSize > end || no*blockSize < file.Base || (no+1)*blockSize > file.Base+files.FileSize() {
			at := len(dst)
			dst = grow(dst, int(n))
			if err := readAt(files, dst[at:], offset); err != nil {
				return dst[:at], fmt.Errorf("cannot read the commit log at %d: %w", offset, err)
			}
		} else {
			b, err := c.get(no, files, c.memory > 0 && end-offset > c.memory)
			if err != nil {
				return dst, fmt.Errorf("cannot read the commit log at %d: %w", no*blockSize, err)
			}
			dst = append(dst, b.b[from:from+n]...)
			c.put(b)
		}
		offset += n
		size -= int(n)
	}
	return dst, nil
}

// get returns block no with a reference; it is read by the first who asks. A cold block stays in the cache only, not
// in the page cache.
func (c *cache) get(no int64, files *segment.Files, cold bool) (*block, error) {
	c.mu.Lock()
	if b := c.at[no]; b != nil {
		b.refs++
		b.used, b.kept = true, true
		c.mu.Unlock()
		<-b.ready
		if b.err != nil {
			c.put(b)
			return nil, b.err
		}
		return b, nil
	}
	b := &block{no: no, refs: 1, used: true, kept: true, ready: make(chan struct{}), b: c.free()}
	c.at[no] = b
	c.ring = append(c.ring, b)
	c.mu.Unlock()
	if b.b == nil {
		b.b = make([]byte, blockSize)
	}
	b.err = readAt(files, b.b, no*blockSize)
	close(b.ready)
	if b.err != nil {
		c.mu.Lock()
		c.remove(b)
		c.mu.Unlock()
		return nil, b.err
	}
	if cold {
		files.Forget(no*blockSize, blockSize)
	}
	return b, nil
}

func (c *cache) put(b *block) {
	c.mu.Lock()
	b.refs--
	c.mu.Unlock()
}

// free drops a block when the cache is full and returns its memory, nil when there is none to give. The
// caller holds c.mu. Blocks in use may push the cache over its limit, by one for each reader.
func (c *cache) free() []byte {
	if len(c.ring) < c.limit {
		return nil
	}
	for range 2 * len(c.ring) {
		c.hand %= len(c.ring)
		b := c.ring[c.hand]
		if b.refs == 0 && !b.used {
			c.remove(b)
			return b.b
		}
		b.used = false
		c.hand++
	}
	return nil
}

func (c *cache) remove(b *block) {
	if c.at[b.no] == b {
		delete(c.at, b.no)
	}
	for i, x := range c.ring {
		if x == b {
			last := len(c.ring) - 1
			c.ring[i] = c.ring[last]
			c.ring[last] = nil
			c.ring = c.ring[:last]
			return
		}
	}
}

func (c *cache) trim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.ring) - 1; i >= 0; i-- {
		b := c.ring[i]
		if b.refs == 0 && !b.kept {
			c.remove(b)
			continue
		}
		b.kept = false
	}
}
