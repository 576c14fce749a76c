package simfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"

	"github.com/skylarkmq/skylark/store/fsys"
)

// Sector is the number of bytes that are durable together.
const Sector = 512

// ErrCrashed is what every call returns on a disk that a Fault or Stop has crashed.
var ErrCrashed = errors.New("simfs: the disk has crashed")

// Disk is a disk in memory. It is safe for concurrent use.
type Disk struct {
	mu      sync.Mutex
	live    map[string]*node // path -> what is there
	durable map[string]*node
	pending []nameOp // changes of live that durable does not have, in order
	locks   map[string]bool
	mounts  []string
	seq     int64 // grows by each change
	calls   int
	changes int
	crashed bool
	hook    func(*Op) Fault
}

// node is a file or a folder, without its name.
type node struct {
	dir     bool
	data    []byte // live
	durable []byte
	sectors map[int64][]version // what each sector was since the last sync
	lengths []length
}

type version struct {
	seq int64
	b   []byte
}

type length struct{ seq, n int64 }

// nameOp is a change of names: to is set by a rename, made by what puts a name, neither by a removal.
type nameOp struct {
	seq      int64
	path, to string
	made     *node
}

// New returns an empty disk.
func New() *Disk {
	return &Disk{live: map[string]*node{}, durable: map[string]*node{}, locks: map[string]bool{}}
}

// Op is a call of the file system, as a hook sees it.
type Op struct {
	// Kind is create, open, mkdir, rename, link, remove, syncdir, lock, list, write, read, sync, allocate, truncate or
	// zero. Of these create, mkdir, rename, link, remove, lock, write, allocate, truncate and zero change the disk.
	Kind string
	Path string // of a rename: the new one
	Call int    // number of the call, from 1
	// Change is the number of the step if the call changes the disk or makes something durable, from 1.
	Change int
	Len    int64
	// Of a write: what and where. The bytes are the caller's.
	Data []byte
	Off  int64
}

// Fault is what a hook wants done. The zero Fault lets the call pass.
type Fault struct {
	// Err is returned; of a write Short bytes are written before.
	Err   error
	Short int64
	// Drop, with Err on a sync, forgets the bytes that were not durable without undoing it in memory, as Linux does
	// after a failed write-back: a later sync succeeds and leaves it out.
	Drop bool
	// Lost makes a write succeed that never happens.
	Lost bool
	// Crash stops the disk behind the call, or instead of it when Err is set.
	Crash bool
}

// SetHook puts fn in front of every call; nil removes it. fn runs with the disk locked: it must not use the
// disk but by Image.
func (d *Disk) SetHook(fn func(*Op) Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hook = fn
}

// Stop crashes the disk: every later call fails.
func (d *Disk) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashed = true
}

// Changes returns how many steps have changed the disk or made something durable.
func (d *Disk) Changes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changes
}

func changes(kind string) bool {
	switch kind {
	case "open", "list", "read":
		return false
	}
	return true
}

// begin numbers a call and asks the hook; the caller holds d.mu. An error is the call's result, unless it
// may write a part before.
func (d *Disk) begin(kind, path string, n int64) (Fault, error) {
	return d.beginWrite(kind, path, n, nil, 0)
}

func (d *Disk) beginWrite(kind, path string, n int64, data []byte, off int64) (Fault, error) {
	if d.crashed {
		return Fault{}, &fs.PathError{Op: kind, Path: path, Err: ErrCrashed}
	}
	d.calls++
	op := Op{Kind: kind, Path: path, Call: d.calls, Len: n, Data: data, Off: off}
	if changes(kind) {
		d.changes++
		op.Change = d.changes
	}
	d.seq++
	var f Fault
	if d.hook != nil {
		f = d.hook(&op)
	}
	d.crashed = f.Crash
	if f.Err != nil {
		return f, &fs.PathError{Op: kind, Path: path, Err: f.Err}
	}
	return f, nil
}

func (d *Disk) parent(path string) error {
	up := filepath.Dir(path)
	if up == "/" || up == "." {
		return nil
	}
	if n := d.live[up]; n == nil || !n.dir {
		return &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return nil
}

func (d *Disk) name(path string, n *node) {
	d.live[path] = n
	d.pending = append(d.pending, nameOp{seq: d.seq, path: path, made: n})
}

func (d *Disk) unname(path string) {
	delete(d.live, path)
	d.pending = append(d.pending, nameOp{seq: d.seq, path: path})
}

// Open implements fsys.FS.
func (d *Disk) Open(path string, create bool) (fsys.File, error) {
	path = filepath.Clean(path)
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.live[path]
	kind := "open"
	if n == nil && create {
		kind = "create"
	}
	if _, err := d.begin(kind, path, 0); err != nil {
		return nil, err
	}
	switch {
	case n != nil && n.dir:
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("is a directory")}
	case n == nil && !create:
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	case n == nil:
		if err := d.parent(path); err != nil {
			return nil, err
		}
		n = &node{sectors: map[int64][]version{}}
		d.name(path, n)
	}
	return &file{d: d, n: n, path: path}, nil
}

// List implements fsys.FS.
func (d *Disk) List(dir string) ([]fsys.Entry, error) {
	dir = filepath.Clean(dir)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.begin("list", dir, 0); err != nil {
		return nil, err
	}
	if n := d.live[dir]; n != nil && !n.dir {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: errors.New("not a directory")}
	}
	var out []fsys.Entry
	for path, n := range d.live {
		if filepath.Dir(path) == dir {
			out = append(out, fsys.Entry{Name: filepath.Base(path), Dir: n.dir, Size: int64(len(n.data))})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// MkdirAll implements fsys.FS.
func (d *Disk) MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := 1; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		p := dir[:i]
		if n := d.live[p]; n != nil {
			if !n.dir {
				return &fs.PathError{Op: "mkdir", Path: p, Err: errors.New("not a directory")}
			}
			continue
		}
		if _, err := d.begin("mkdir", p, 0); err != nil {
			return err
		}
		d.name(p, &node{dir: true})
	}
	return nil
}

// Rename implements fsys.FS, for files.
func (d *Disk) Rename(from, to string) error {
	from, to = filepath.Clean(from), filepath.Clean(to)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.begin("rename", to, 0); err != nil {
		return err
	}
	n := d.live[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	if n.dir {
		return &fs.PathError{Op: "rename", Path: from, Err: errors.New("simfs does not rename folders")}
	}
	if err := d.parent(to); err != nil {
		return err
	}
	if d.live[to] == n {
		return nil // two names of one file stay as they are
	}
	if d.mount(from) != d.mount(to) {
		return &fs.PathError{Op: "rename", Path: from, Err: syscall.EXDEV}
	}
	delete(d.live, from)
	d.live[to] = n
	d.pending = append(d.pending, nameOp{seq: d.seq, path: from, to: to, made: n})
	return nil
}

// Link implements fsys.FS, for files.
func (d *Disk) Link(from, to string) error {
	from, to = filepath.Clean(from), filepath.Clean(to)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.begin("link", to, 0); err != nil {
		return err
	}
	n := d.live[from]
	switch {
	case n == nil:
		return &fs.PathError{Op: "link", Path: from, Err: fs.ErrNotExist}
	case n.dir:
		return &fs.PathError{Op: "link", Path: from, Err: fs.ErrPermission}
	case d.live[to] != nil:
		return &fs.PathError{Op: "link", Path: to, Err: fs.ErrExist}
	}
	if err := d.parent(to); err != nil {
		return err
	}
	d.name(to, n)
	return nil
}

// Mount makes the folders the roots of other file systems: no file moves in or out.
func (d *Disk) Mount(dirs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, dir := range dirs {
		d.mounts = append(d.mounts, filepath.Clean(dir))
	}
}

// mount returns the root of the file system that path lies in.
func (d *Disk) mount(path string) string {
	best := ""
	for _, m := range d.mounts {
		if (path == m || strings.HasPrefix(path, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

// Joined implements fsys.FS.
func (d *Disk) Joined(from, to string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mount(filepath.Clean(from)) == d.mount(filepath.Clean(to)), nil
}

// Remove implements fsys.FS.
func (d *Disk) Remove(path string) error {
	path = filepath.Clean(path)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.begin("remove", path, 0); err != nil {
		return err
	}
	n := d.live[path]
	if n == nil {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	}
	if n.dir && len(d.below(path)) > 0 {
		return &fs.PathError{Op: "remove", Path: path, Err: errors.New("directory not empty")}
	}
	d.unname(path)
	return nil
}

// below lists what is in a folder and its folders, the deepest first.
func (d *Disk) below(dir string) []string {
	var out []string
	for p := range d.live {
		if strings.HasPrefix(p, dir+"/") {
			out = append(out, p)
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(out)))
	return out
}

// RemoveAll implements fsys.FS. Each name is a step of its own.
func (d *Disk) RemoveAll(path string) error {
	path = filepath.Clean(path)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.live[path] == nil {
		return nil
	}
	for _, p := range append(d.below(path), path) {
		if _, err := d.begin("remove", p, 0); err != nil {
			return err
		}
		d.unname(p)
	}
	return nil
}

// SyncAll implements fsys.FS.
func (d *Disk) SyncAll(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.begin("syncall", filepath.Clean(dir), 0); err != nil {
		return err
	}
	for _, op := range d.pending {
		op.apply(d.durable)
	}
	d.pending = nil
	for _, n := range d.live {
		n.sync()
	}
	return nil
}

// SyncDir implements fsys.FS.
func (d *Disk) SyncDir(dir string) error {
	dir = filepath.Clean(dir)
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.live[dir]; dir != "/" && (n == nil || !n.dir) {
		return &fs.PathError{Op: "syncdir", Path: dir, Err: fs.ErrNotExist}
	}
	if _, err := d.begin("syncdir", dir, 0); err != nil {
		return err
	}
	in := func(path string) bool { return path != "" && filepath.Dir(path) == dir }
	// The past of a name that is renamed into the folder goes with it.
	sources := map[string]bool{}
	for _, op := range d.pending {
		if in(op.to) {
			sources[op.path] = true
		}
	}
	var rest []nameOp
	for _, op := range d.pending {
		if in(op.path) || in(op.to) || sources[op.path] {
			op.apply(d.durable)
		} else {
			rest = append(rest, op)
		}
	}
	d.pending = rest
	return nil
}

func (op nameOp) apply(names map[string]*node) {
	switch {
	case op.to != "":
		delete(names, op.path)
		names[op.to] = op.made
	case op.made != nil:
		names[op.path] = op.made
	default:
		delete(names, op.path)
	}
}

// Lock implements fsys.FS. A lock is gone when the process is: no image has it.
func (d *Disk) Lock(path string) (io.Closer, error) {
	path = filepath.Clean(path)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locks[path] {
		return nil, fmt.Errorf("cannot lock %s: %w", path, fsys.ErrLocked)
	}
	if _, err := d.begin("lock", path, 0); err != nil {
		return nil, err
	}
	if err := d.parent(path); err != nil {
		return nil, err
	}
	if d.live[path] == nil {
		d.name(path, &node{data: []byte("lock"), sectors: map[int64][]version{}})
	}
	d.locks[path] = true
	return unlock{d, path}, nil
}

type unlock struct {
	d    *Disk
	path string
}

// Close gives the lock up, also on a crashed disk: the process is gone.
func (u unlock) Close() error {
	u.d.mu.Lock()
	defer u.d.mu.Unlock()
	delete(u.d.locks, u.path)
	return nil
}
