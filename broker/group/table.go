// Package group holds the broker's subscription group configurations: config/subscriptionGroup.json, the
// groups that are there from the start, the making of groups on first use, and which topics a group may
// not read.
//
// A *body.SubscriptionGroupConfig that the table has given out never changes. Get and Forbidden take no
// lock and allocate nothing. Administrative changes are on disk when they return, groups made on first
// use within a second and at Close. The package owns one goroutine, the file's writer.
package group

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/internal/conftable"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Options are what a Table needs. The names are those of Java's BrokerConfig.
type Options struct {
	Path                        string // .../config/subscriptionGroup.json
	Logger                      zerolog.Logger
	AutoCreateSubscriptionGroup bool
	// EnableCreateSysGroup lets groups whose name begins with CID_RMQ_SYS_ be made on first use even
	// where AutoCreateSubscriptionGroup does not.
	EnableCreateSysGroup bool
	// EnableLmq makes every name that begins with %LMQ% a group with default settings. None of them is kept.
	EnableLmq bool
	// StateVersion is the state machine's version for the data version; nil means 0.
	StateVersion func() int64
}

// Table holds the group configurations. All methods are safe for concurrent use, and none keeps a string
// it is called with. Java: SubscriptionGroupManager.
type Table struct {
	o          Options
	t          *conftable.Table[body.SubscriptionGroupConfig]
	autoCreate atomic.Bool

	// forbidden is group -> topic -> bits. It is replaced as a whole: it is nearly always empty.
	forbidden   atomic.Pointer[map[string]map[string]int32]
	forbiddenMu sync.Mutex
}

// Open loads the table and starts its writer; Close ends it.
func Open(o Options) (*Table, error) {
	t := &Table{o: o}
	t.autoCreate.Store(o.AutoCreateSubscriptionGroup)
	t.forbidden.Store(&map[string]map[string]int32{})
	var err error
	t.t, err = conftable.Open(conftable.Options[body.SubscriptionGroupConfig]{Path: o.Path, Logger: o.Logger, StateVersion: o.StateVersion,
		Defaults: defaults(), Decode: t.decode, Encode: t.encode})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Close stores what is not stored yet. Calling it again is harmless.
func (t *Table) Close() error { return t.t.Close() }

// Sync waits until every change so far is on disk.
func (t *Table) Sync() error { return t.t.Sync() }

// Get returns a group's configuration, and makes one with Java's defaults when there is none and the
// options and the name allow it; else nil. It must not be changed.
// Java: SubscriptionGroupManager.findSubscriptionGroupConfig.
func (t *Table) Get(group string) *body.SubscriptionGroupConfig {
	if c := t.Peek(group); c != nil {
		return c
	}
	if !t.autoCreate.Load() && !(t.o.EnableCreateSysGroup && IsSystem(group)) {
		return nil
	}
	if ValidateName(group) != "" {
		return nil
	}
	c, created := t.t.Create(group, newConfig)
	if created {
		t.o.Logger.Info().Str("group", c.GroupName).Msg("subscription group made")
	}
	return c
}

// Peek returns a group's configuration, nil when there is none. It must not be changed.
func (t *Table) Peek(group string) *body.SubscriptionGroupConfig {
	if t.light(group) {
		return newConfig(strings.Clone(group))
	}
	return t.t.Get(group)
}

// light reports whether a group is one of light queues. Java: LmqSubscriptionGroupManager.
func (t *Table) light(group string) bool { return t.o.EnableLmq && message.IsLMQ(group) }

// Contains reports whether there is such a group.
func (t *Table) Contains(group string) bool { return t.light(group) || t.t.Get(group) != nil }

// Len returns the number of groups.
func (t *Table) Len() int { return t.t.Len() }

// All returns every configuration in the order of their names. Neither the slice nor what is in it may
// be changed.
func (t *Table) All() []*body.SubscriptionGroupConfig { return t.t.All() }

// Page returns at most n configurations from index seq on, in the order of their names.
func (t *Table) Page(seq, n int) []*body.SubscriptionGroupConfig { return t.t.Page(seq, n) }

// DataVersion returns the version that changes with every change of the table.
func (t *Table) DataVersion() body.DataVersion { return t.t.DataVersion() }

// SetAutoCreate changes autoCreateSubscriptionGroup at run time.
func (t *Table) SetAutoCreate(enable bool) { t.autoCreate.Store(enable) }

// Forbidden returns the bits that are set against a group in a topic: bit 2 forbids reading
// (Java: PermName.INDEX_PERM_READ).
func (t *Table) Forbidden(group, topic string) int32 {
	return (*t.forbidden.Load())[group][topic]
}

// ForbidRead is the bit of Forbidden that pulls ask for.
const ForbidRead int32 = 1 << 2

// ForbiddenTable returns all bits by group and topic. It must not be changed.
func (t *Table) ForbiddenTable() map[string]map[string]int32 { return *t.forbidden.Load() }

// SetForbidden sets or clears bits against a group in a topic. The change is on disk when it returns.
//
// Java's SubscriptionGroupManager.updateForbiddenValue drops the bits of all of the group's topics when
// one topic's become zero, and stores that only with the next change. This clears what it is asked to.
func (t *Table) SetForbidden(group, topic string, bits int32, set bool) error {
	t.forbiddenMu.Lock()
	old := *t.forbidden.Load()
	now := old[group][topic] &^ bits
	if set {
		now = old[group][topic] | bits
	}
	changed := now != old[group][topic]
	if changed {
		next := maps.Clone(old)
		topics := maps.Clone(old[group])
		if topics == nil {
			topics = map[string]int32{}
		}
		topics[strings.Clone(topic)] = now
		maps.DeleteFunc(topics, func(_ string, bits int32) bool { return bits == 0 })
		next[strings.Clone(group)] = topics
		maps.DeleteFunc(next, func(_ string, topics map[string]int32) bool { return len(topics) == 0 })
		t.forbidden.Store(&next)
	}
	t.forbiddenMu.Unlock()
	if !changed {
		return nil
	}
	t.t.Touch()
	return t.t.Sync()
}

func (t *Table) dropForbidden(group string) bool {
	t.forbiddenMu.Lock()
	defer t.forbiddenMu.Unlock()
	old := *t.forbidden.Load()
	if old[group] == nil {
		return false
	}
	next := maps.Clone(old)
	delete(next, group)
	t.forbidden.Store(&next)
	return true
}
