// Package mapping holds the static topics of the broker: config/topicQueueMapping.json, which physical queues each
// logical queue is made of, the rules by which that may change, and the way between logical and physical offsets.
// Java: TopicQueueMappingManager, TopicQueueMappingUtils.
//
// A *body.TopicQueueMappingDetail that the table has given out never changes; an update puts a new one in its place.
// Get costs one load while there is no static topic, and takes no lock with some. Changes are on disk when they
// return. The package owns one goroutine, the file's writer.
package mapping

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/internal/conftable"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Item is one physical queue of a logical one.
type Item = body.LogicQueueMappingItem

// Detail is a static topic as the broker knows it.
type Detail = body.TopicQueueMappingDetail

// Options are what a Table needs.
type Options struct {
	Path       string // .../config/topicQueueMapping.json
	Logger     zerolog.Logger
	BrokerName string
	// OnChange is told of a topic whose queues have changed, when the table shows it; it may be nil.
	OnChange func(topic string)
}

// Table holds the static topics. All methods are safe for concurrent use, and none keeps a string it is called with.
type Table struct {
	o    Options
	t    *conftable.Table[Detail]
	any  atomic.Bool // there are static topics
	edit sync.Mutex  // held by changes, so that any follows the table
}

// Open loads the table and starts its writer; Close ends it.
func Open(o Options) (*Table, error) {
	t := &Table{o: o}
	var err error
	t.t, err = conftable.Open(conftable.Options[Detail]{Path: o.Path, Logger: o.Logger, Decode: t.decode, Encode: encode})
	if err != nil {
		return nil, err
	}
	t.any.Store(t.t.Len() > 0)
	return t, nil
}

// Close stores what is not stored yet. Calling it again is harmless.
func (t *Table) Close() error { return t.t.Close() }

// Get returns a static topic, nil for any other. It must not be changed. A nil table has none.
func (t *Table) Get(topic string) *Detail {
	if !t.Any() {
		return nil
	}
	return t.t.Get(topic)
}

// Any reports whether there are static topics.
func (t *Table) Any() bool { return t != nil && t.any.Load() }

// All returns the static topics in the order of their names. Neither the slice nor what is in it may be changed.
func (t *Table) All() []*Detail { return t.t.All() }

// DataVersion returns the version that changes with every change of the table.
func (t *Table) DataVersion() body.DataVersion { return t.t.DataVersion() }

// Infos returns what a registration tells the name servers, by topic.
func (t *Table) Infos() (map[string]body.Raw, error) {
	all := t.All()
	out := make(map[string]body.Raw, len(all))
	for _, d := range all {
		b, err := body.Marshal(d.Info())
		if err != nil {
			return nil, err
		}
		out[d.Topic] = b
	}
	return out, nil
}

// Update makes a topic static or changes its queues. Logical queues that d does not have stay as they are. With force
// it takes the place of whatever there is; else it must continue that: no older epoch, the items there are, and another
// leader only under a newer epoch. The error says what is wrong, in Java's words where Java has them; d is not kept.
// Java: TopicQueueMappingManager.updateTopicQueueMapping.
func (t *Table) Update(d *Detail, force bool) error {
	_, err := t.change(d.Topic, func(old *Detail) (*Detail, error) {
		if err := t.check(d); err != nil {
			return nil, err
		}
		next := clone(d)
		if old == nil {
			return next, nil
		}
		if !force {
			if err := continues(old, next); err != nil {
				return nil, err
			}
		}
		for id, items := range old.HostedQueues {
			if len(next.HostedQueues[id]) == 0 {
				next.HostedQueues[id] = items
			}
		}
		return next, nil
	})
	return err
}

// Clean replaces the items of logical queues of a topic, which must still be those of old; no items take the queue
// away. It reports whether it did. It is for items that hold no messages any more.
func (t *Table) Clean(old *Detail, queues map[int64][]Item) (bool, error) {
	return t.change(old.Topic, func(current *Detail) (*Detail, error) {
		if current != old || len(queues) == 0 {
			return nil, nil // changed meanwhile: the next round looks again
		}
		next := clone(old)
		for id, items := range queues {
			if len(items) == 0 {
				delete(next.HostedQueues, id)
			} else {
				next.HostedQueues[id] = items
			}
		}
		return next, nil
	})
}

// Delete makes a topic no longer static and reports whether it was.
func (t *Table) Delete(topic string) (bool, error) {
	t.edit.Lock()
	had := t.t.Delete(topic)
	t.any.Store(t.t.Len() > 0)
	t.edit.Unlock()
	if !had {
		return false, nil
	}
	t.o.Logger.Info().Str("topic", topic).Msg("topic is no longer static")
	return true, t.t.Sync()
}

func (t *Table) change(topic string, fn func(old *Detail) (*Detail, error)) (bool, error) {
	t.edit.Lock()
	changed, err := t.t.Update(topic, fn)
	t.any.Store(t.t.Len() > 0)
	t.edit.Unlock()
	if err != nil || !changed {
		return false, err
	}
	if d := t.t.Get(topic); d != nil {
		t.o.Logger.Info().Str("topic", d.Topic).Int64("epoch", d.Epoch).Int32("totalQueues", d.TotalQueues).Int("hosted", len(d.HostedQueues)).Msg("static topic changed")
	}
	if t.o.OnChange != nil {
		t.o.OnChange(topic)
	}
	if err := t.t.Sync(); err != nil {
		return true, fmt.Errorf("cannot store the queue mapping of %s: %w", topic, err)
	}
	return true, nil
}

// clone copies what an update may change, and cuts the strings off the request.
func clone(d *Detail) *Detail {
	c := *d
	c.Topic, c.Bname, c.Scope = strings.Clone(d.Topic), strings.Clone(d.Bname), strings.Clone(d.Scope)
	c.CurrIDMap = nil
	c.HostedQueues = make(body.IntMap[[]Item], len(d.HostedQueues))
	for id, items := range d.HostedQueues {
		if len(items) == 0 {
			continue
		}
		own := append([]Item(nil), items...)
		for i := range own {
			own[i].Bname = strings.Clone(own[i].Bname)
		}
		c.HostedQueues[id] = own
	}
	return &c
}

// decode reads topicQueueMapping.json. What breaks a rule stops the start, as later updates build on it.
func (t *Table) decode(data []byte) (body.DataVersion, map[string]*Detail, error) {
	var w body.TopicQueueMappingSerializeWrapper
	if err := body.Unmarshal(data, &w); err != nil {
		return body.DataVersion{}, nil, err
	}
	for name, d := range w.TopicQueueMappingInfoMap {
		if d == nil {
			delete(w.TopicQueueMappingInfoMap, name)
			continue
		}
		d.Topic = name // the key is what Java looks up
		if err := t.check(d); err != nil {
			return body.DataVersion{}, nil, fmt.Errorf("topic %s: %w", name, err)
		}
		w.TopicQueueMappingInfoMap[name] = clone(d)
	}
	return w.DataVersion, w.TopicQueueMappingInfoMap, nil
}

// encode writes topicQueueMapping.json.
func encode(version body.DataVersion, all []*Detail) ([]byte, error) {
	w := body.TopicQueueMappingSerializeWrapper{DataVersion: version, TopicQueueMappingInfoMap: make(map[string]*Detail, len(all))}
	for _, d := range all {
		w.TopicQueueMappingInfoMap[d.Topic] = d
	}
	return body.MarshalPretty(w)
}
