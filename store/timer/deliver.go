package timer

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/commitlog"
	"github.com/skylarkmq/skylark/store/timer/wheel"
)

// Bounds of what is delivered at once.
const (
	chunk      = 1024
	chunkBytes = 8 << 20
)

// deliverDue delivers slots in front of write, a few of them. more reports whether others are due.
func (t *Timer) deliverDue(write int64) (more bool, err error) {
	slots := 0
	for at := t.read.Load(); at < write; at = t.read.Load() {
		last, ok := t.w.Last(at)
		if ok {
			if slots++; slots > turnSlots {
				return true, nil
			}
			if err := t.slot(at, last); err != nil {
				if errors.Is(err, wheel.ErrDamaged) {
					return true, t.rebuild(err.Error())
				}
				return false, err
			}
			t.w.Clear(at)
			t.changed = true
		}
		t.read.Store(at + t.o.Precision)
	}
	return false, nil
}

// slot delivers the messages of a slot in the order in which they were entered. The units name the one in front
// of them, so a first pass notes where each chunk ends, and collects what is to be deleted.
func (t *Timer) slot(at, last int64) error {
	var ends []int64
	deleted := map[string]bool{}
	n := 0
	for pos := last; pos != -1; n++ {
		u, ok, err := t.w.Unit(at, pos)
		if err != nil {
			return err
		}
		if !ok {
			break // the messages of that age are gone
		}
		if n%chunk == 0 {
			ends = append(ends, pos)
		}
		if u.Deletes() {
			if err := t.collect(&u, deleted); err != nil {
				return err
			}
		}
		pos = u.Prev
	}
	units := make([]wheel.Unit, 0, min(n, chunk))
	for _, end := range slices.Backward(ends) {
		units = units[:0]
		for pos := end; pos != -1 && len(units) < chunk; {
			u, ok, err := t.w.Unit(at, pos)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			units = append(units, u)
			pos = u.Prev
		}
		slices.Reverse(units)
		if err := t.deliver(units, deleted); err != nil {
			return err
		}
	}
	return nil
}

// collect notes the key that a unit deletes.
func (t *Timer) collect(u *wheel.Unit, deleted map[string]bool) error {
	_, r, ok, err := t.waiting(nil, u)
	if err != nil || !ok {
		return err
	}
	p := message.ParseProperties(r.Properties)
	t.metrics.add(p.Get(message.PropertyRealTopic), 1, t.o.Now().UnixMilli())
	if key := p.Get(message.PropertyTimerDelUniqKey); key != "" {
		deleted[strings.Clone(key)] = true
	}
	return nil
}

// waiting appends the record of a unit's message to dst; ok is false when it is not there.
func (t *Timer) waiting(dst []byte, u *wheel.Unit) (buf []byte, r message.Record, ok bool, err error) {
	buf, r, err = t.o.Store.SizedRecord(dst, u.PhysicalOffset, u.Size)
	if err == nil && r.Topic == Topic {
		return buf, r, true, nil
	}
	if err == nil || errors.Is(err, commitlog.ErrNoRecord) || errors.Is(err, message.ErrRecord) {
		t.o.Logger.Error().Err(err).Int64("offset", u.PhysicalOffset).Msg("a message that waits for its time is lost, passing over it")
		return dst, r, false, nil
	}
	return dst, r, false, err
}

// copyOf is a message on its way to its real topic, or back to Topic.
type copyOf struct {
	m          message.Message
	properties string
	plain      string // without what the timer adds
	real       string // topic
	counted    int64  // in the metrics
	bytes      int
	err        error
}

// deliver stores the messages of the units again, but for those deleted, and waits until all are stored.
func (t *Timer) deliver(units []wheel.Unit, deleted map[string]bool) error {
	var list []*copyOf
	bytes := 0
	for i := range units {
		c, err := t.copy(&units[i], deleted)
		if err != nil {
			return err
		}
		if c != nil {
			list = append(list, c)
			bytes += int(units[i].Size)
		}
		if len(list) > 0 && (bytes >= chunkBytes || i == len(units)-1) {
			if err := t.put(list); err != nil {
				return err
			}
			list, bytes = list[:0], 0
		}
	}
	return nil
}

// copy makes what is stored for a unit; nil when that is nothing. Java: TimerMessageStore.convert.
func (t *Timer) copy(u *wheel.Unit, deleted map[string]bool) (*copyOf, error) {
	if u.Deletes() {
		return nil, nil
	}
	_, r, ok, err := t.waiting(nil, u)
	if err != nil || !ok {
		return nil, err
	}
	p := message.ParseProperties(r.Properties)
	real := p.Get(message.PropertyRealTopic)
	now := t.o.Now().UnixMilli()
	if key := p.Get(message.PropertyUniqKey); len(deleted) > 0 && deleted[DeleteKey(real, key, t.o.AppendTopicToKeys)] {
		t.metrics.add(real, -1, now)
		return nil, nil
	}
	c := &copyOf{m: r.Message, plain: r.Properties, real: real, bytes: r.Size}
	if u.WriteTime != never {
		c.counted = counted(u.Magic)
	}
	c.m.PreparedTransactionOffset = 0
	if u.Rolls() {
		times, _ := strconv.Atoi(p.Get(message.PropertyTimerRollTimes))
		p.Set(message.PropertyTimerRollTimes, strconv.Itoa(times+1))
	} else {
		queueID, err := strconv.ParseInt(p.Get(message.PropertyRealQueueID), 10, 32)
		if real == "" || err != nil || queueID < 0 {
			t.o.Logger.Error().Str("topic", real).Int64("offset", u.PhysicalOffset).Msg("a message that waited for its time has no real topic and queue, passing over it")
			return nil, nil
		}
		if p.Get(message.PropertyTimerDelUniqKey) != "" {
			return nil, nil // it came too late to delete anything
		}
		c.m.Topic, c.m.QueueID = real, int32(queueID)
	}
	p.Set(message.PropertyTimerEnqueueMs, strconv.FormatInt(u.WriteTime, 10))
	p.Set(message.PropertyTimerDequeueMs, strconv.FormatInt(now, 10))
	if c.properties = p.String(); len(c.properties) > message.MaxProperties {
		c.properties = c.plain // it had just room enough
	}
	return c, nil
}

// put stores the copies. What the store has no room for is tried until it has.
func (t *Timer) put(list []*copyOf) error {
	for {
		var wg sync.WaitGroup
		for _, c := range list {
			wg.Add(1)
			tags := message.TagsCode(message.GetProperty(c.properties, message.PropertyTags))
			err := t.o.Put(&c.m, c.properties, store.Rec{TagsCode: tags}, func(err error, _ []store.Rec) {
				c.err = err
				wg.Done()
			})
			if err != nil {
				c.err = err
				wg.Done()
			}
		}
		wg.Wait()
		now := t.o.Now()
		var again []*copyOf
		for _, c := range list {
			switch {
			case c.err == nil:
				t.stored(c, now)
			case passes(c.err):
				again = append(again, c)
			default:
				t.o.Logger.Error().Err(c.err).Str("topic", c.m.Topic).Msg("a message that waited for its time cannot be stored, passing over it")
			}
		}
		if len(again) == 0 {
			return nil
		}
		t.complain(again[0].err)
		list = again
		select {
		case <-t.stop:
			return errStopped
		case <-time.After(retryEvery):
		}
	}
}

// passes reports errors of the store that may go, with time or a new start.
func passes(err error) bool {
	for _, e := range []error{store.ErrBusy, store.ErrDiskFull, store.ErrNoSpace, store.ErrReadOnly, store.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// stored counts a copy that is stored.
func (t *Timer) stored(c *copyOf, now time.Time) {
	t.delivered.add(1)
	if c.counted != 0 {
		t.metrics.add(c.real, -c.counted, now.UnixMilli())
	}
	if t.o.Left != nil && c.real != "" {
		t.o.Left(c.real)
	}
	if t.o.Count != nil && c.m.Topic != Topic {
		t.o.Count(c.m.Topic, 1, c.bytes)
	}
}

// DeleteKey is what TIMER_DEL_UNIQKEY says of a message, by its real topic and UNIQ_KEY. Java:
// TimerMessageStore.buildDeleteKey.
func DeleteKey(topic, uniqKey string, withTopic bool) string {
	if withTopic {
		return topic + "+" + uniqKey
	}
	return uniqKey
}
