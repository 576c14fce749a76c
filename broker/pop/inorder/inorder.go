// Package inorder remembers, for each queue that a group pops in order, which messages were popped last, which
// of them are acknowledged, and until when the others keep the queue blocked: config/consumerOrderInfo.json.
// Java: QueueLevelConsumerManager, QueueLevelConsumerOrderInfoLockManager.
//
// The callers hold the queue's lock; Table.mu guards the table against the writer of the file, which is one
// goroutine behind it. Each blocked queue has a timer that tells when it is free.
package inorder

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/internal/writebehind"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/fsys"
)

// Options of a Table.
type Options struct {
	Path   string // .../config/consumerOrderInfo.json
	Logger zerolog.Logger
	// PersistEvery is how long a change may wait to be written. Java: flushConsumerOffsetInterval.
	PersistEvery time.Duration
	// Free is told that a queue is no longer blocked, on a goroutine of its own; nil: nobody.
	// Java: enableNotifyAfterPopOrderLockRelease.
	Free func(topic, group string, queueID int32)
	// Alive reports whether an entry is worth being kept: topic, queue and group are still there.
	Alive func(topic, group string, queueID int32) bool
}

// keepFor is how long an entry is kept after its last pop. Java: CLEAN_SPAN_FROM_LAST, 24 h.
const keepFor = 24 * time.Hour

// maxMessages is how many messages the bits of an entry can tell apart.
const maxMessages = 64

// info is one queue. Java: OrderInfo; fields in the order of its JSON.
type info struct {
	AttemptID     string             `json:"a,omitempty"`
	Committed     int64              `json:"cm"` // a bit for each message of Offsets
	InvisibleTime int64              `json:"i"`  // ms
	Last          int64              `json:"l"`  // ms, of the last pop
	Offsets       []int64            `json:"o"`  // the first queue offset, then distances from it
	Counts        body.IntMap[int32] `json:"oc,omitempty"`
	NextVisible   body.IntMap[int64] `json:"ot,omitempty"` // ms, by queue offset
	PopTime       int64              `json:"popTime"`      // ms
}

func (x *info) offset(i int) int64 {
	if i == 0 {
		return x.Offsets[0]
	}
	return x.Offsets[0] + x.Offsets[i]
}

func (x *info) acked(i int) bool { return x.Committed>>i&1 != 0 }

// visible returns when message i is delivered again unless it is acknowledged.
func (x *info) visible(i int) int64 {
	if at, ok := x.NextVisible[x.offset(i)]; ok {
		return at
	}
	return x.PopTime + x.InvisibleTime
}

// freeAt returns when no message blocks the queue any more, 0 when none does at now.
func (x *info) freeAt(now int64) int64 {
	var free int64
	for i := range x.Offsets {
		if at := x.visible(i); !x.acked(i) && now < at {
			free = max(free, at)
		}
	}
	return free
}

// next returns the offset that the group has consumed up to.
func (x *info) next() int64 {
	for i := range x.Offsets {
		if !x.acked(i) {
			return x.offset(i)
		}
	}
	return x.offset(len(x.Offsets)-1) + 1
}

type queueKey struct {
	topic, group string
	id           int32
}

// Table holds the entries. All methods are safe for concurrent use.
type Table struct {
	o      Options
	writer *writebehind.Writer

	mu     sync.Mutex
	table  map[string]body.IntMap[*info] // by topic@group
	timers map[queueKey]*alarm
	closed bool
	firing sync.WaitGroup
}

type file struct {
	OrderInfoCount          int                           `json:"orderInfoCount"`
	OrderedConsumptionLevel string                        `json:"orderedConsumptionLevel"`
	Table                   map[string]body.IntMap[*info] `json:"table"`
}

// Open reads the file.
func Open(o Options) (*Table, error) {
	t := &Table{o: o, table: map[string]body.IntMap[*info]{}, timers: map[queueKey]*alarm{}}
	_, err := fsys.ReadConfig(o.Path, o.Logger, func(b []byte) error {
		var f file
		if err := body.Unmarshal(b, &f); err != nil {
			return err
		}
		t.table = map[string]body.IntMap[*info]{}
		for key, queues := range f.Table {
			kept := body.IntMap[*info]{}
			for id, x := range queues {
				if x != nil && len(x.Offsets) > 0 && len(x.Offsets) <= maxMessages && id >= 0 && id <= 1<<31-1 {
					kept[id] = x
				}
			}
			t.table[key] = kept
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot load the order of POP consumers: %w", err)
	}
	t.writer = writebehind.Open(writebehind.Options{Delay: o.PersistEvery, Write: t.write,
		Failed: func(err error) {
			o.Logger.Error().Err(err).Msg("cannot write the order of POP consumers, trying again")
		}})
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, queues := range t.table {
		if topic, group, ok := strings.Cut(key, "@"); ok {
			for id, x := range queues {
				t.arm(queueKey{topic, group, int32(id)}, x)
			}
		}
	}
	return t, nil
}

// Close writes the file and ends the timers.
func (t *Table) Close() error {
	t.mu.Lock()
	t.closed = true
	for _, a := range t.timers {
		a.timer.Stop()
	}
	t.mu.Unlock()
	t.firing.Wait()
	return t.writer.Close()
}

func (t *Table) write() error {
	t.mu.Lock()
	t.clean(time.Now())
	b, err := body.MarshalPretty(file{OrderInfoCount: len(t.table), OrderedConsumptionLevel: "QUEUE", Table: t.table})
	t.mu.Unlock()
	if err != nil {
		return err
	}
	return fsys.WriteConfig(t.o.Path, b)
}

// clean forgets entries nobody needs; the caller holds t.mu. Java: autoClean.
func (t *Table) clean(now time.Time) {
	for key, queues := range t.table {
		topic, group, ok := strings.Cut(key, "@")
		for id, x := range queues {
			if !ok || now.Sub(time.UnixMilli(x.Last)) > keepFor || t.o.Alive != nil && !t.o.Alive(topic, group, int32(id)) {
				delete(queues, id)
			}
		}
		if len(queues) == 0 {
			delete(t.table, key)
		}
	}
}

func (t *Table) find(topic, group string, queueID int32) *info {
	return t.table[topic+"@"+group][int64(queueID)]
}

// Popped is one pop of a queue.
type Popped struct {
	Topic, Group, AttemptID string
	QueueID                 int32
	PopTime, InvisibleTime  int64   // ms
	Offsets                 []int64 // queue offsets, ascending, at least one and at most 64
}

// Counter is told how often a message was delivered before, and how often all messages of the queue were at
// least.
type Counter interface {
	AddOffsetCount(topic string, queueID int32, offset int64, count int32)
	AddQueueCount(topic string, queueID int32, count int32)
}

// Update notes a pop, which replaces what was known of the queue.
func (t *Table) Update(p Popped, counts Counter) {
	x := &info{AttemptID: strings.Clone(p.AttemptID), InvisibleTime: p.InvisibleTime, Last: time.Now().UnixMilli(), PopTime: p.PopTime}
	x.Offsets = append(x.Offsets, p.Offsets[0])
	for _, at := range p.Offsets[1:] {
		x.Offsets = append(x.Offsets, at-p.Offsets[0])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := p.Topic + "@" + p.Group
	queues := t.table[key]
	if queues == nil {
		queues = body.IntMap[*info]{}
		t.table[key] = queues
	}
	if old := queues[int64(p.QueueID)]; old != nil {
		x.Counts = old.countsBefore(x.AttemptID, p.Offsets)
	}
	queues[int64(p.QueueID)] = x
	least, known := int32(0), 0
	for _, at := range p.Offsets {
		if n, ok := x.Counts[at]; ok {
			counts.AddOffsetCount(p.Topic, p.QueueID, at, n)
			if known == 0 || n < least {
				least = n
			}
			known++
		}
	}
	if known != len(p.Offsets) {
		least = 0
	}
	counts.AddQueueCount(p.Topic, p.QueueID, least)
	t.arm(queueKey{p.Topic, p.Group, p.QueueID}, x)
	t.writer.Mark()
}

// countsBefore returns how often messages that are popped again were delivered before, x being the pop before.
// One that has the same attempt id is the same delivery, repeated by a client that did not see the answer.
// Java: mergeOffsetConsumedCount.
func (x *info) countsBefore(attemptID string, offsets []int64) body.IntMap[int32] {
	if x.AttemptID != "" && x.AttemptID == attemptID {
		return x.Counts
	}
	counts := body.IntMap[int32]{}
	for i := range x.Offsets {
		if at := x.offset(i); slices.Contains(offsets, at) {
			counts[at] = x.Counts[at] + 1
		}
	}
	return counts
}

// Blocked reports whether messages of the queue that are not acknowledged keep others from being popped. An
// attempt id that is that of the last pop gets the same messages again. invisibleTime, ms, is taken for an
// entry that has none. Java: checkBlock.
func (t *Table) Blocked(attemptID, topic, group string, queueID int32, invisibleTime int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.find(topic, group, queueID)
	if x == nil || x.AttemptID != "" && x.AttemptID == attemptID {
		return false
	}
	if x.InvisibleTime <= 0 {
		x.InvisibleTime = invisibleTime
	}
	return x.freeAt(time.Now().UnixMilli()) > 0
}

// Outcome says what Ack made of an acknowledgement.
type Outcome int

// The outcomes of Ack.
const (
	Commit  Outcome = iota // the group's offset is to be committed
	Ignored                // it belongs to an earlier pop
	Illegal                // there is no such message
)

// Ack notes that a message is consumed. next is the offset to commit. Java: commitAndNext.
func (t *Table) Ack(topic, group string, queueID int32, offset, popTime int64) (next int64, outcome Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.find(topic, group, queueID)
	if x == nil {
		return offset + 1, Commit
	}
	if popTime != x.PopTime {
		return 0, Ignored
	}
	for i := range x.Offsets {
		if x.offset(i) == offset {
			x.Committed |= 1 << i
			t.arm(queueKey{topic, group, queueID}, x)
			t.writer.Mark()
			return x.next(), Commit
		}
	}
	return 0, Illegal
}

// SetVisible changes when a message that is not acknowledged is delivered again, at in ms.
// Java: updateNextVisibleTime.
func (t *Table) SetVisible(topic, group string, queueID int32, offset, popTime, at int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.find(topic, group, queueID)
	if x == nil || popTime != x.PopTime {
		return
	}
	for i := range x.Offsets {
		if x.offset(i) != offset {
			continue
		}
		if x.NextVisible == nil {
			x.NextVisible = body.IntMap[int64]{}
		}
		x.NextVisible[offset] = at
		t.arm(queueKey{topic, group, queueID}, x)
		t.writer.Mark()
		return
	}
}

// Clear forgets a queue. Java: clearBlock.
func (t *Table) Clear(topic, group string, queueID int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if queues := t.table[topic+"@"+group]; queues != nil {
		delete(queues, int64(queueID))
		t.writer.Mark()
	}
}

// alarm is the timer of one queue.
type alarm struct{ timer *time.Timer }

// arm sets the timer that tells when the queue is free; the caller holds t.mu.
func (t *Table) arm(k queueKey, x *info) {
	if t.o.Free == nil || t.closed {
		return
	}
	now := time.Now().UnixMilli()
	wait := time.Duration(max(x.freeAt(now)-now, 0)) * time.Millisecond
	if old := t.timers[k]; old != nil {
		old.timer.Stop()
	}
	k.topic, k.group = strings.Clone(k.topic), strings.Clone(k.group)
	a := &alarm{}
	a.timer = time.AfterFunc(wait, func() { t.fire(k, a) })
	t.timers[k] = a
}

func (t *Table) fire(k queueKey, a *alarm) {
	t.mu.Lock()
	current := t.timers[k] == a && !t.closed
	if current {
		delete(t.timers, k)
		t.firing.Add(1)
	}
	t.mu.Unlock()
	if current {
		t.o.Free(k.topic, k.group, k.id)
		t.firing.Done()
	}
}
