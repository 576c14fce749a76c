package filter

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/skylarkmq/skylark/broker/filter/sql92"
)

// Bounds of a cache's half. Java: SelectorParser.PARSE_CACHE keeps 100.
const (
	cacheEntries = 100
	cacheBytes   = 256 << 10
)

// cache keeps the outcome of the latest compilations: consumers that pull with their expression in the request send
// the same again and again. It has two halves; when the younger is full it becomes the older.
type cache struct {
	mu         sync.Mutex
	young, old map[string]*compiled
	bytes      int // of the texts in young
}

// compiled is an expression or why it is none.
type compiled struct {
	e    *sql92.Expression
	err  error
	told atomic.Bool // a failed evaluation was logged
}

func (c *cache) compile(text string) *compiled {
	c.mu.Lock()
	r, ok := c.young[text]
	if !ok {
		r, ok = c.old[text]
	}
	c.mu.Unlock()
	if ok {
		return r
	}
	r = &compiled{}
	r.e, r.err = sql92.Compile(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= cacheEntries || c.bytes+len(text) > cacheBytes || c.young == nil {
		c.young, c.old, c.bytes = map[string]*compiled{}, c.young, 0
	}
	c.young[strings.Clone(text)] = r
	c.bytes += len(text)
	return r
}
