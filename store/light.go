package store

import (
	"errors"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/commitlog"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// Light is a light queue (LMQ) that a record is in beside its own one. Each is a simple queue with id 0 under a name
// that begins with message.LMQPrefix; its units are those of any queue. Which offsets a record has there stands in its
// properties, so that the CommitLog alone is the truth here too. Java: LmqDispatch, ConsumeQueue.multiDispatchLmqQueue.
type Light struct {
	Queue       *consumequeue.Queue
	QueueOffset int64 // set by the store before Owner.Appended
}

// lightID is the id of a light queue. Java: MixAll.LMQ_QUEUE_ID.
const lightID = 0

// LightQueue returns the light queue of a name, which is made when it is new.
func (s *Store) LightQueue(name string) *consumequeue.Queue { return s.Queue(name, lightID) }

// assignLights gives a record its offsets in its light queues and writes them into it.
func (s *Store) assignLights(r *Rec, rec []byte, lights []Light) {
	for i := range lights {
		l := &lights[i]
		if l.Queue.Deleted() {
			l.Queue = s.LightQueue(l.Queue.Topic)
		}
		l.QueueOffset = l.Queue.Next
		l.Queue.Next++
	}
	r.Size = int32(message.SetMultiOffsets(rec, func(i int) int64 { return lights[i].QueueOffset }, len(lights)))
}

// dispatchLights makes a record visible in its light queues. Their units have no address in consumequeue_ext, as by
// Java.
func (s *Store) dispatchLights(r *Rec, lights []Light) {
	u := consumequeue.Unit{PhysicalOffset: r.PhysicalOffset, Size: r.Size, TagsCode: r.TagsCode}
	for _, l := range lights {
		s.addUnit(l.Queue, u)
	}
}

// eachLight calls fn with the unit that a record of q has in each light queue it is in. Records of batch queues are in
// none: Java gives them offsets and does not dispatch them.
func (s *Store) eachLight(q *consumequeue.Queue, r *message.Record, fn func(light *consumequeue.Queue, u consumequeue.BatchUnit)) {
	if q.Batch() {
		return
	}
	r.EachLight(func(name string, offset int64) bool {
		if light := s.LightQueue(name); light != q && !light.Batch() {
			u := s.entry(light, r)
			u.Base = offset
			fn(light, u)
		}
		return true
	})
}

// pointsLight is the end of points for a queue of a topic that has a light queue's name, which may have messages of
// its own as well. A record that is damaged where only its checksum tells points all the same, as in any queue.
func (s *Store) pointsLight(q *consumequeue.Queue, offset int64, u consumequeue.Unit) (bool, error) {
	b, err := s.log.Read(nil, u.PhysicalOffset, int(u.Size), false)
	if errors.Is(err, commitlog.ErrNoRecord) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r, err := message.Parse(b, false)
	if err != nil {
		return false, nil //nolint:nilerr // it is no record
	}
	if r.Topic == q.Topic {
		return r.QueueID == q.ID && r.QueueOffset == offset, nil
	}
	at, ok := r.LightOffset(q.Topic)
	return ok && at == offset && q.ID == lightID, nil
}

// Lights returns how many light queues there are, also of messages that are gone.
func (s *Store) Lights() int { return int(s.lights.Load()) }

func (s *Store) countLight(q *consumequeue.Queue, n int64) {
	if q.ID == lightID && message.IsLMQ(q.Topic) {
		s.lights.Add(n)
	}
}
