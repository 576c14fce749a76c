package revivelog

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
)

// Interval is how long before its messages become visible again a checkpoint arrives in the revive topic.
// Java: PopAckConstants.ackTimeInterval, ms.
const Interval = 1000

// Writer writes checkpoints and acknowledgements. Its methods are safe for concurrent use.
type Writer struct {
	Topic     string // the revive topic
	StoreHost message.Host
	// Put stores a message, which waits for its TIMER_DELIVER_MS if that is ahead. done is called once, on a
	// goroutine of the store, unless Put returns an error.
	Put func(m *message.Message, p message.Properties, done func(err error, recs []store.Rec)) error
	// Written is told the outcome of each checkpoint or acknowledgement of a group's pops of a topic; nil: nobody is. It
	// must not block.
	Written func(group, topic string, checkPoint bool, err error)
}

// CheckPoint writes a checkpoint to a queue of the revive topic. done is called once with the outcome,
// perhaps before CheckPoint returns; it must not block.
func (w *Writer) CheckPoint(c *CheckPoint, reviveQueueID int32, done func(error)) {
	b, err := c.Encode()
	if err != nil {
		done(err)
		return
	}
	w.put(b, CheckPointTag, c.UniqKey(), reviveQueueID, c.Due()-Interval, w.telling(c.Group, c.Topic, true, done))
}

// Ack writes an acknowledgement of messages that would become visible again at due, ms. done is as with
// CheckPoint.
func (w *Writer) Ack(a *Ack, reviveQueueID int32, due int64, done func(error)) {
	b, err := a.Encode()
	if err != nil {
		done(err)
		return
	}
	w.put(b, a.Tag(), a.UniqKey(), reviveQueueID, due, w.telling(a.Group, a.Topic, false, done))
}

// telling returns a done that first tells Written.
func (w *Writer) telling(group, topic string, checkPoint bool, done func(error)) func(error) {
	if w.Written == nil {
		return done
	}
	return func(err error) {
		w.Written(group, topic, checkPoint, err)
		done(err)
	}
}

func (w *Writer) put(body []byte, tag, key string, queueID int32, deliver int64, done func(error)) {
	now := time.Now().UnixMilli()
	m := &message.Message{Topic: w.Topic, QueueID: queueID, BornTimestamp: now, BornHost: w.StoreHost, StoreHost: w.StoreHost, Body: body}
	var p message.Properties
	p.Set(message.PropertyTags, tag)
	p.Set(message.PropertyTimerDeliverMs, strconv.FormatInt(deliver, 10))
	p.Set(message.PropertyUniqKey, key)
	err := w.Put(m, p, func(err error, _ []store.Rec) {
		if errors.Is(err, store.ErrFlushTimeout) {
			err = nil // it is stored
		}
		done(err)
	})
	if err != nil {
		done(fmt.Errorf("cannot write to revive topic %s: %w", w.Topic, err))
	}
}
