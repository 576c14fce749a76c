package segment

import (
	"container/list"
	"sync"

	"github.com/skylarkmq/skylark/store/fsys"
)

// Handles keeps a bounded number of files open, those used last. It is safe for concurrent use.
type Handles struct {
	fs    fsys.FS
	limit int
	mu    sync.Mutex
	open  map[string]*list.Element
	lru   list.List // of *handle, most recent first
}

type handle struct {
	path string
	f    fsys.File
	refs int
	gone bool // closed when the last reference goes
}

// NewHandles returns an empty cache that keeps up to limit files open beyond those in use.
func NewHandles(fs fsys.FS, limit int) *Handles {
	return &Handles{fs: fs, limit: limit, open: map[string]*list.Element{}}
}

// Use calls fn with the file at path, which stays open during the call. With create the file is made,
// size bytes long and without taking space, when it is absent; otherwise its absence is the error.
func (h *Handles) Use(path string, create bool, size int64, fn func(f fsys.File) error) error {
	x, err := h.get(path, create, size)
	if err != nil {
		return err
	}
	err = fn(x.f)
	h.put(x)
	return err
}

func (h *Handles) get(path string, create bool, size int64) (*handle, error) {
	h.mu.Lock()
	if e := h.open[path]; e != nil {
		h.lru.MoveToFront(e)
		x := e.Value.(*handle)
		x.refs++
		h.mu.Unlock()
		return x, nil
	}
	h.mu.Unlock()
	f, err := h.fs.Open(path, create)
	if err != nil {
		return nil, err
	}
	if create {
		if n, err := f.Size(); err != nil || n != size {
			if err == nil {
				err = f.Truncate(size)
			}
			if err != nil {
				_ = f.Close()
				return nil, err
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.open[path]; e != nil { // another goroutine was faster
		_ = f.Close()
		x := e.Value.(*handle)
		x.refs++
		return x, nil
	}
	x := &handle{path: path, f: f, refs: 1}
	h.open[path] = h.lru.PushFront(x)
	h.shrink()
	return x, nil
}

// shrink closes the files used least recently; the caller holds h.mu.
func (h *Handles) shrink() {
	for e := h.lru.Back(); e != nil && h.lru.Len() > h.limit; {
		prev := e.Prev()
		if x := e.Value.(*handle); x.refs == 0 {
			h.drop(e, x)
		}
		e = prev
	}
}

func (h *Handles) drop(e *list.Element, x *handle) {
	h.lru.Remove(e)
	delete(h.open, x.path)
	if x.refs == 0 {
		_ = x.f.Close()
	} else {
		x.gone = true
	}
}

func (h *Handles) put(x *handle) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if x.refs--; x.refs == 0 && x.gone {
		_ = x.f.Close()
	}
}

// Forget closes the file at path, if it is open, as soon as nobody uses it.
func (h *Handles) Forget(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.open[path]; e != nil {
		h.drop(e, e.Value.(*handle))
	}
}

// Close closes all files.
func (h *Handles) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for e := h.lru.Front(); e != nil; {
		next := e.Next()
		h.drop(e, e.Value.(*handle))
		e = next
	}
}
