// Package conftable is what the tables of topics and of subscription groups have in common: named,
// immutable configurations under one data version, kept in one JSON file.
//
// Reads take no lock. Changes hold one mutex, so that a configuration and the data version that tells of
// it change together; the file is written by a goroutine behind them (package writebehind).
// Lock order: the table's mutex, then those of strmap and writebehind. Functions given to Create and
// Update run under the table's mutex and must not call the table.
package conftable

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/internal/strmap"
	"github.com/skylarkmq/skylark/broker/internal/writebehind"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/fsys"
)

// writeDelay is how long a change that nobody waits for may stay in memory only.
const writeDelay = time.Second

// Options are what a Table needs. V is the configuration's type; values are never changed in place.
type Options[V any] struct {
	Path   string
	Logger zerolog.Logger
	// StateVersion is the state machine's version that goes into the data version; nil means 0.
	StateVersion func() int64
	// Defaults are there before the file is read; the file wins.
	Defaults map[string]*V
	// Decode returns what a file holds.
	Decode func(data []byte) (body.DataVersion, map[string]*V, error)
	// Encode returns the file for the table. It may call the table's reading methods.
	Encode func(v body.DataVersion, all []*V) ([]byte, error)
}

// Table maps names to configurations. All methods are safe for concurrent use.
type Table[V any] struct {
	o       Options[V]
	configs *strmap.Map[V]
	writer  *writebehind.Writer
	sorted  atomic.Pointer[sorted[V]]

	mu      sync.Mutex
	version body.DataVersion
	gen     uint64 // grows with every change
}

// sorted is the table in the order of its names as of a generation.
type sorted[V any] struct {
	gen uint64
	all []*V
}

// Open reads the file, if there is one, and starts the writer; Close ends it. A file that is there and
// cannot be used is an error.
func Open[V any](o Options[V]) (*Table[V], error) {
	t := &Table[V]{o: o, configs: strmap.New[V](6), version: body.DataVersion{Timestamp: time.Now().UnixMilli()}}
	var loaded map[string]*V
	_, err := fsys.ReadConfig(o.Path, o.Logger, func(data []byte) error {
		version, all, err := o.Decode(data)
		if err == nil {
			t.version, loaded = version, all
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot load %s: %w", o.Path, err)
	}
	for name, v := range loaded {
		t.configs.Store(name, v)
	}
	added := false
	for name, v := range o.Defaults {
		_, created := t.configs.LoadOrCreate(name, func(string) *V { return v })
		added = added || created
	}
	t.writer = writebehind.Open(writebehind.Options{Delay: writeDelay, Write: t.write, Failed: func(err error) {
		o.Logger.Error().Err(err).Msg("configuration not stored")
	}})
	if added {
		t.writer.Mark()
	}
	return t, nil
}

// Close stores what is not stored yet. Calling it again is harmless.
func (t *Table[V]) Close() error { return t.writer.Close() }

// Sync waits until all changes so far are stored.
func (t *Table[V]) Sync() error { return t.writer.Sync() }

func (t *Table[V]) write() error {
	version := t.DataVersion()
	data, err := t.o.Encode(version, t.All())
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", t.o.Path, err)
	}
	return fsys.WriteConfig(t.o.Path, data)
}

// Get returns the configuration of name, nil when there is none. It takes no lock and allocates nothing.
func (t *Table[V]) Get(name string) *V { return t.configs.Load(name) }

// Len returns the number of configurations.
func (t *Table[V]) Len() int { return t.configs.Len() }

// DataVersion returns the version that changes with every change.
func (t *Table[V]) DataVersion() body.DataVersion {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.version
}

// All returns the configurations in the order of their names. The slice is shared and must not be changed.
func (t *Table[V]) All() []*V {
	t.mu.Lock()
	gen := t.gen
	t.mu.Unlock()
	if s := t.sorted.Load(); s != nil && s.gen == gen {
		return s.all
	}
	type named struct {
		name string
		v    *V
	}
	list := make([]named, 0, t.configs.Len())
	t.configs.Range(func(name string, v *V) bool {
		list = append(list, named{name, v})
		return true
	})
	slices.SortFunc(list, func(a, b named) int {
		switch {
		case a.name < b.name:
			return -1
		case a.name > b.name:
			return 1
		}
		return 0
	})
	s := &sorted[V]{gen, make([]*V, len(list))}
	for i := range list {
		s.all[i] = list[i].v
	}
	t.sorted.Store(s)
	return s.all
}

// Page returns at most n configurations from index seq on, in the order of their names.
func (t *Table[V]) Page(seq, n int) []*V {
	all := t.All()
	seq = min(max(seq, 0), len(all))
	return all[seq : seq+min(max(n, 0), len(all)-seq)]
}

// Create returns the configuration of name; when there is none it stores what makeNew returns, which
// gets the table's own copy of the name.
func (t *Table[V]) Create(name string, makeNew func(name string) *V) (v *V, created bool) {
	if v := t.configs.Load(name); v != nil {
		return v, false
	}
	t.mu.Lock()
	v, created = t.configs.LoadOrCreate(name, makeNew)
	if created {
		t.changed()
	}
	t.mu.Unlock()
	return v, created
}

// Update replaces the configuration of name by what fn makes of the present one, which is nil when there
// is none. fn returns nil to leave it as it is.
func (t *Table[V]) Update(name string, fn func(current *V) (*V, error)) (changed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, err := fn(t.configs.Load(name))
	if err != nil || v == nil {
		return false, err
	}
	t.configs.Store(name, v)
	t.changed()
	return true, nil
}

// Delete removes the configuration of name and reports whether there was one.
func (t *Table[V]) Delete(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.configs.Delete(name) == nil {
		return false
	}
	t.changed()
	return true
}

// Touch notes a change beside the configurations.
func (t *Table[V]) Touch() {
	t.mu.Lock()
	t.changed()
	t.mu.Unlock()
}

// Replace makes the table equal to a master's: names that are not in all go.
func (t *Table[V]) Replace(version body.DataVersion, all map[string]*V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.configs.Range(func(name string, _ *V) bool {
		if all[name] == nil {
			t.configs.Delete(name)
		}
		return true
	})
	for name, v := range all {
		if v != nil { // a null in the master's JSON
			t.configs.Store(name, v)
		}
	}
	t.changed()
	t.version = version
}

// changed counts a change; the caller holds t.mu. Java: DataVersion.nextVersion.
func (t *Table[V]) changed() {
	t.gen++
	t.version.Counter++
	t.version.Timestamp = time.Now().UnixMilli()
	if t.o.StateVersion != nil {
		t.version.StateVersion = t.o.StateVersion()
	}
	t.writer.Mark()
}
