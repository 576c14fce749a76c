package offset

import (
	"fmt"
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/fsys"
)

// separator joins topic and group in the file. Java: ConsumerOffsetManager.TOPIC_GROUP_SEPARATOR.
const separator = "@"

func (t *Table) load() error {
	read := func(data []byte) error {
		var f body.ConsumerOffsetTable
		if err := body.Unmarshal(data, &f); err != nil {
			return err
		}
		if f.OffsetTable == nil {
			return errNoOffsetTable
		}
		t.put(&f)
		return nil
	}
	there, err := fsys.ReadConfig(t.o.Path, t.o.Logger, read)
	if err == nil && !there && t.o.Former != "" {
		if there, err = fsys.ReadConfig(t.o.Former, t.o.Logger, read); there && err == nil {
			t.o.Logger.Info().Str("file", t.o.Former).Msg("with enableLmq the offsets are in lmqConsumerOffset.json from now on; those of this file are taken over")
			t.changes.Add(1)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot load consumer offsets: %w", err)
	}
	return nil
}

// put adds the offsets of f to the table and takes over its version.
func (t *Table) put(f *body.ConsumerOffsetTable) {
	for key, offsets := range f.OffsetTable {
		topic, group, ok := strings.Cut(key, separator)
		if !ok {
			odd := make(map[int32]int64, len(offsets))
			for id, offset := range offsets {
				odd[int32(id)] = offset
			}
			t.odd[strings.Clone(key)] = odd
			continue
		}
		q := t.committed.at(group, topic)
		for id, offset := range offsets {
			q.set(int32(id), offset)
		}
	}
	for key, offset := range f.LmqOffsetTable {
		if topic, group, ok := strings.Cut(key, separator); ok {
			t.committed.at(group, topic).set(0, offset)
		}
	}
	t.version.Lock()
	t.version.v = f.DataVersion
	t.version.Unlock()
}

// Persist writes the offsets if they changed since the last time. After an error the next call tries
// again.
func (t *Table) Persist() error {
	t.persist.Lock()
	defer t.persist.Unlock()
	changes := t.changes.Load()
	if changes == t.persist.stored {
		return nil
	}
	data, err := body.MarshalPretty(t.Wire())
	if err == nil {
		err = fsys.WriteConfig(t.o.Path, data)
	}
	if err != nil {
		return fmt.Errorf("cannot store consumer offsets: %w", err)
	}
	t.persist.stored = changes
	return nil
}

// Wire is what Java 5.5.0 writes to consumerOffset.json, or lmqConsumerOffset.json, and answers to GET_ALL_CONSUMER_OFFSET (43). Only
// the data version and OffsetTable, "topic@group" to queue to offset, are ever read back.
type Wire struct {
	DataVersion     body.DataVersion              `json:"dataVersion"`
	GroupTopicMap   map[string][]string           `json:"groupTopicMap"`
	LmqOffsetTable  *map[string]int64             `json:"lmqOffsetTable,omitempty"` // topic@group; with enableLmq
	OffsetTable     map[string]body.IntMap[int64] `json:"offsetTable"`
	PullOffsetTable map[string]body.IntMap[int64] `json:"pullOffsetTable"`
}

// Wire returns the table in new maps.
func (t *Table) Wire() *Wire {
	f := &Wire{DataVersion: t.DataVersion(), OffsetTable: map[string]body.IntMap[int64]{},
		PullOffsetTable: map[string]body.IntMap[int64]{}, GroupTopicMap: map[string][]string{}}
	light := map[string]int64{}
	if t.o.Former != "" {
		f.LmqOffsetTable = &light
	}
	t.committed.each(func(topic, group string, q *queues) {
		if t.light(group) {
			if offset, ok := q.get(0); ok {
				light[topic+separator+group] = offset
			}
			return
		}
		f.OffsetTable[topic+separator+group] = wireQueues(q)
		f.GroupTopicMap[group] = append(f.GroupTopicMap[group], topic)
	})
	t.pulled.each(func(topic, group string, q *queues) { f.PullOffsetTable[topic+separator+group] = wireQueues(q) })
	for key, offsets := range t.odd {
		m := body.IntMap[int64]{}
		for id, offset := range offsets {
			m[int64(id)] = offset
		}
		f.OffsetTable[key] = m
	}
	return f
}

func wireQueues(q *queues) body.IntMap[int64] {
	m := body.IntMap[int64]{}
	q.each(func(id int32, offset int64) { m[int64(id)] = offset })
	return m
}

// JSON returns the body of the reply to GET_ALL_CONSUMER_OFFSET (43).
func (t *Table) JSON() ([]byte, error) { return body.Marshal(t.Wire()) }

// Replace takes over a master's offsets. Those that the master does not have stay, as with Java
// (SlaveSynchronize.syncConsumerOffset).
func (t *Table) Replace(f *body.ConsumerOffsetTable) error {
	t.persist.Lock() // t.odd is read under it, too
	t.put(f)
	t.persist.Unlock()
	t.changes.Add(1)
	return t.Persist()
}
