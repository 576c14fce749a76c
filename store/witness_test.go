package store

import (
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// witness is the real file system; it knows how far the CommitLog is durable, bytes and names.
type witness struct {
	faulty
	dirHook atomic.Pointer[func(dir string) error]
	mu      sync.Mutex
	written map[string]int64 // path -> end of the last write
	durable map[string]int64 // path -> end of what a sync has covered
	named   map[string]bool  // path -> its name is durable
}

type witnessed struct {
	fsys.File
	w    *witness
	path string
}

func newWitness() *witness {
	return &witness{written: map[string]int64{}, durable: map[string]int64{}, named: map[string]bool{}}
}

func (w *witness) Open(path string, create bool) (fsys.File, error) {
	f, err := w.faulty.Open(path, create)
	if err != nil {
		return nil, err
	}
	return &witnessed{f, w, path}, nil
}

func (w *witness) Rename(from, to string) error {
	err := w.faulty.Rename(from, to)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written[to] = 0
	return err
}

func (w *witness) SyncDir(dir string) error {
	if hook := w.dirHook.Load(); hook != nil {
		if err := (*hook)(dir); err != nil {
			return err
		}
	}
	w.mu.Lock()
	var names []string
	for path := range w.written {
		if filepath.Dir(path) == dir {
			names = append(names, path)
		}
	}
	w.mu.Unlock()
	if err := w.faulty.SyncDir(dir); err != nil {
		return err
	}
	w.mu.Lock()
	for _, path := range names {
		w.named[path] = true
	}
	w.mu.Unlock()
	return nil
}

func (f *witnessed) WriteVec(p [][]byte, off int64) error {
	err := f.File.WriteVec(p, off)
	for _, b := range p {
		off += int64(len(b))
	}
	f.w.mu.Lock()
	f.w.written[f.path] = off
	f.w.mu.Unlock()
	return err
}

func (f *witnessed) Datasync() error {
	f.w.mu.Lock()
	end := f.w.written[f.path]
	f.w.mu.Unlock()
	err := f.File.Datasync()
	if err == nil {
		f.w.mu.Lock()
		f.w.durable[f.path] = max(f.w.durable[f.path], end)
		f.w.mu.Unlock()
	}
	return err
}

// judge is an owner that asks the witness whether what is acknowledged is durable.
type judge struct {
	sink
	w    *witness
	dir  string
	size int64
	bad  atomic.Int32
}

func (j *judge) Appended(g *Group, err error) {
	r := g.Recs[len(g.Recs)-1]
	path := filepath.Join(j.dir, segment.Name(r.PhysicalOffset-r.PhysicalOffset%j.size))
	end := r.PhysicalOffset%j.size + int64(r.Size)
	j.w.mu.Lock()
	if !j.w.named[path] || j.w.durable[path] < end {
		j.bad.Add(1)
	}
	j.w.mu.Unlock()
	j.sink.Appended(g, err)
}
