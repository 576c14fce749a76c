package offset

import (
	"strings"
	"sync"
	"sync/atomic"
)

type groupTopic struct{ group, topic string }

// resets are the offsets an administrator has set and the group's next pull of the queue is to take over.
type resets struct {
	pending atomic.Int64 // queues in m: while it is 0 nobody takes the mutex
	mu      sync.Mutex
	m       map[groupTopic]map[int32]int64
}

func (r *resets) get(group, topic string, queueID int32) (int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	offset, ok := r.m[groupTopic{group, topic}][queueID]
	return offset, ok
}

func (r *resets) set(group, topic string, queueID int32, offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	queues := r.m[groupTopic{group, topic}]
	if queues == nil {
		queues = map[int32]int64{}
		r.m[groupTopic{strings.Clone(group), strings.Clone(topic)}] = queues
	}
	if _, ok := queues[queueID]; !ok {
		r.pending.Add(1)
	}
	queues[queueID] = offset
}

func (r *resets) take(group, topic string, queueID int32) (int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := groupTopic{group, topic}
	queues := r.m[k]
	offset, ok := queues[queueID]
	if ok {
		delete(queues, queueID)
		r.pending.Add(-1)
		if len(queues) == 0 {
			delete(r.m, k)
		}
	}
	return offset, ok
}

func (r *resets) remove(which func(groupTopic) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, queues := range r.m {
		if which(k) {
			r.pending.Add(-int64(len(queues)))
			delete(r.m, k)
		}
	}
}

// AssignReset sets a group's offset of a queue from the broker's side: it becomes the committed offset,
// and commits for the queue are to be ignored (HasReset) until the group's next pull has taken it
// (TakeReset). It reports false for a negative queue or offset or an empty name, and does nothing then.
// Java: ConsumerOffsetManager.assignResetOffset.
func (t *Table) AssignReset(group, topic string, queueID int32, offset int64) bool {
	if group == "" || topic == "" || queueID < 0 || offset < 0 {
		return false
	}
	t.resets.set(group, topic, queueID, offset)
	t.committed.at(group, topic).set(queueID, offset)
	t.changes.Add(1)
	return true
}

// HasReset reports whether a reset of the queue waits for the group's next pull. It is cheap while no
// reset is pending at all. Java: ConsumerOffsetManager.hasOffsetReset.
func (t *Table) HasReset(group, topic string, queueID int32) bool {
	if !t.o.UseServerSideResetOffset || t.resets.pending.Load() == 0 {
		return false
	}
	_, ok := t.resets.get(group, topic, queueID)
	return ok
}

// TakeReset returns the reset that waits for the group's next pull of the queue and forgets it; false
// when there is none. It is cheap while no reset is pending at all.
// Java: ConsumerOffsetManager.queryThenEraseResetOffset.
func (t *Table) TakeReset(group, topic string, queueID int32) (int64, bool) {
	if !t.o.UseServerSideResetOffset || t.resets.pending.Load() == 0 {
		return 0, false
	}
	return t.resets.take(group, topic, queueID)
}
