// Package offset holds the consumer offsets: config/consumerOffset.json, the offsets of pulls that clients
// have not committed, and the resets that wait for a queue's next pull.
//
// Offsets are queue offsets. Commit and Query take no lock once a group's queue is known, and allocate
// nothing. An offset may go back: a client says what it wants, as with Java. The file is written by
// Persist, which the wiring calls every flushConsumerOffsetInterval; the package has no goroutine.
// Offsets of topics the broker does not know stay.
//
// Lock order: Persist's mutex, then the version's; the resets' mutex and those of queues are leaves.
package offset

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/internal/strmap"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Options are what a Table needs. The names are those of Java's BrokerConfig.
type Options struct {
	Path string // .../config/consumerOffset.json
	// Former is set with enableLmq: Path is then .../lmqConsumerOffset.json, which has the offsets of groups of light
	// queues in a table of its own, and Former the file read when there is no such file yet. Java, whose groups begin
	// anew then, forgets all offsets.
	Former string
	Logger zerolog.Logger
	// ConsumerOffsetUpdateVersionStep is after how many commits the data version changes; 0: 500.
	ConsumerOffsetUpdateVersionStep int64
	// UseServerSideResetOffset makes Query return a pending reset before the committed offset.
	UseServerSideResetOffset bool
	// StateVersion is the state machine's version for the data version; nil means 0.
	StateVersion func() int64
}

// Table holds the offsets. All methods are safe for concurrent use, and none keeps a string it is called
// with. Java: ConsumerOffsetManager.
type Table struct {
	o         Options
	committed groups
	pulled    groups
	resets    resets
	odd       map[string]map[int32]int64 // file entries whose key is no topic@group; they are only kept

	commits atomic.Int64
	changes atomic.Uint64 // of what the file holds

	persist struct {
		sync.Mutex
		stored uint64 // changes the file covers
	}
	version struct {
		sync.Mutex
		v body.DataVersion
	}
}

// Open loads the offsets. A file that is there and cannot be used is an error.
func Open(o Options) (*Table, error) {
	if o.ConsumerOffsetUpdateVersionStep <= 0 {
		o.ConsumerOffsetUpdateVersionStep = 500
	}
	t := &Table{o: o, committed: newGroups(), pulled: newGroups(), odd: map[string]map[int32]int64{}}
	t.resets.m = map[groupTopic]map[int32]int64{}
	t.version.v = body.DataVersion{Timestamp: time.Now().UnixMilli()}
	if err := t.load(); err != nil {
		return nil, err
	}
	return t, nil
}

// Close stores the offsets if they changed. Calling it again is harmless.
func (t *Table) Close() error { return t.Persist() }

// Commit stores the offset of a group's queue, whether it is larger than the present one or not. client
// is for the log. Java: ConsumerOffsetManager.commitOffset.
func (t *Table) Commit(client, group, topic string, queueID int32, offset int64) {
	if t.light(group) {
		queueID = 0
	}
	old := t.committed.at(group, topic).set(queueID, offset)
	if offset < old {
		t.o.Logger.Warn().Str("client", client).Str("group", group).Str("topic", topic).Int32("queueId", queueID).Int64("offset", offset).Int64("stored", old).
			Msg("[NOTIFYME]update consumer offset less than store")
	}
	t.changes.Add(1)
	if t.commits.Add(1)%t.o.ConsumerOffsetUpdateVersionStep == 0 {
		t.bump()
	}
}

// Query returns the offset from which a group is to go on with a queue: that of a pending reset, or the
// committed one. false means there is none; a negative offset counts as none.
// Java: ConsumerOffsetManager.queryOffset.
func (t *Table) Query(group, topic string, queueID int32) (int64, bool) {
	if t.light(group) {
		queueID = 0
	}
	if t.o.UseServerSideResetOffset && t.resets.pending.Load() > 0 {
		if offset, ok := t.resets.get(group, topic, queueID); ok {
			return offset, true
		}
	}
	if q := t.committed.find(group, topic); q != nil {
		if offset, ok := q.get(queueID); ok && offset >= 0 {
			return offset, true
		}
	}
	return -1, false
}

// light reports whether a group is one of light queues: it has one offset in a topic, whatever the queue.
// Java: LmqConsumerOffsetManager.
func (t *Table) light(group string) bool { return t.o.Former != "" && message.IsLMQ(group) }

// CommitPull notes from where a group pulled last. It is not stored.
func (t *Table) CommitPull(group, topic string, queueID int32, offset int64) {
	t.pulled.at(group, topic).set(queueID, offset)
}

// QueryPull returns from where a group pulled last, or else what Query returns.
func (t *Table) QueryPull(group, topic string, queueID int32) (int64, bool) {
	if q := t.pulled.find(group, topic); q != nil {
		if offset, ok := q.get(queueID); ok {
			return offset, offset >= 0
		}
	}
	return t.Query(group, topic, queueID)
}

// Queues returns a group's committed offsets in a topic by queue, in a new map; nil when there are none.
func (t *Table) Queues(group, topic string) map[int32]int64 {
	if q := t.committed.find(group, topic); q != nil {
		return q.copyMap()
	}
	return nil
}

// TopicsOf returns the topics in which a group has offsets, in order.
func (t *Table) TopicsOf(group string) []string {
	var out []string
	if topics := t.committed.m.Load(group); topics != nil {
		topics.Range(func(topic string, _ *queues) bool {
			out = append(out, topic)
			return true
		})
	}
	slices.Sort(out)
	return out
}

// GroupsOf returns the groups that have offsets in a topic, in order. It looks at every group.
func (t *Table) GroupsOf(topic string) []string {
	var out []string
	t.committed.m.Range(func(group string, topics *strmap.Map[queues]) bool {
		if topics.Load(topic) != nil {
			out = append(out, group)
		}
		return true
	})
	slices.Sort(out)
	return out
}

// RemoveTopic forgets all offsets in a topic. Java: ConsumerOffsetManager.cleanOffsetByTopic.
func (t *Table) RemoveTopic(topic string) {
	t.resets.remove(func(k groupTopic) bool { return k.topic == topic })
	t.pulled.removeTopic(topic)
	if t.committed.removeTopic(topic) {
		t.changes.Add(1)
	}
}

// RemoveGroup forgets all offsets of a group. Java: ConsumerOffsetManager.removeOffset.
func (t *Table) RemoveGroup(group string) {
	t.resets.remove(func(k groupTopic) bool { return k.group == group })
	t.pulled.removeGroup(group)
	if t.committed.removeGroup(group) {
		t.changes.Add(1)
	}
}

// Clone makes the offsets of group to in a topic those of group from.
// Java: ConsumerOffsetManager.cloneOffset.
func (t *Table) Clone(from, to, topic string) {
	source := t.committed.find(from, topic)
	if source == nil {
		return
	}
	fresh := new(queues)
	source.each(func(id int32, offset int64) { fresh.set(id, offset) })
	topics, _ := t.committed.m.LoadOrCreate(to, func(string) *strmap.Map[queues] { return strmap.New[queues](0) })
	topics.Store(topic, fresh)
	t.changes.Add(1)
}

// DataVersion returns the version that changes every ConsumerOffsetUpdateVersionStep commits.
func (t *Table) DataVersion() body.DataVersion {
	t.version.Lock()
	defer t.version.Unlock()
	return t.version.v
}

func (t *Table) bump() {
	t.version.Lock()
	defer t.version.Unlock()
	t.version.v.Counter++
	t.version.v.Timestamp = time.Now().UnixMilli()
	if t.o.StateVersion != nil {
		t.version.v.StateVersion = t.o.StateVersion()
	}
}

var errNoOffsetTable = errors.New("there is no offsetTable")
