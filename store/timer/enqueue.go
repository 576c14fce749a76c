package timer

import (
	"errors"
	"strconv"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/commitlog"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/timer/wheel"
)

// batch is how many messages are entered at once.
const batch = 256

// arrival is a message of Topic as far as entering it needs.
type arrival struct {
	out    int64 // ms (TIMER_OUT_MS)
	delete bool
	topic  string // the real one
	stored int64  // ms
	born   int64  // ms
}

// enqueue enters the next messages of Topic, or delivers them when their slot is in front of write. more reports
// whether there may be further ones.
func (t *Timer) enqueue(write int64) (more bool, err error) {
	q := t.queue()
	if q == nil {
		return false, nil
	}
	at := t.offset.Load()
	if first := q.Min(); at < first {
		t.o.Logger.Warn().Int64("from", at).Int64("to", first).Msg("messages that wait for their time were removed with the commit log")
		at = first
	}
	var buf [batch * consumequeue.UnitSize]byte
	n, err := q.Read(at, buf[:])
	if err != nil || n == 0 {
		return false, err
	}
	var entries []wheel.Entry
	var late []wheel.Unit
	var topics []string
	var arrived []arrival
	for i := range n {
		u := consumequeue.GetUnit(buf[i*consumequeue.UnitSize:])
		a, ok, err := t.arrival(u)
		if ok {
			arrived = append(arrived, a)
		}
		switch {
		case err != nil:
			return false, err
		case !ok:
		case a.out < write:
			late = append(late, wheel.Unit{Magic: wheel.MagicDefault, WriteTime: never, PhysicalOffset: u.PhysicalOffset, Size: u.Size})
		default:
			entries = append(entries, t.entry(u, &a, write))
			topics = append(topics, a.topic)
		}
	}
	// What is late goes out when nothing but that can fail any more: then the batch is read again.
	if err := t.w.Ready(); err != nil {
		return false, err
	}
	if err := t.deliver(late, nil); err != nil {
		return false, err
	}
	t.w.Add(entries)
	now := t.o.Now().UnixMilli()
	for i := range entries {
		t.metrics.add(topics[i], counted(entries[i].Magic), now)
	}
	t.enqueued.add(n)
	t.tell(arrived, now)
	t.offset.Store(at + int64(n))
	t.changed = true
	return n == batch, nil
}

// tell tells of what was taken from Topic.
func (t *Timer) tell(arrived []arrival, now int64) {
	for i := range arrived {
		a := &arrived[i]
		t.entered.Store(now)
		t.enteredStored.Store(a.stored)
		if t.o.Entered != nil && a.topic != "" {
			t.o.Entered(a.topic, time.Duration(a.out-a.born)*time.Millisecond)
		}
	}
}

// never is the enqueue time of a message that was late. Java: Long.MAX_VALUE.
const never = 1<<63 - 1

func counted(magic int32) int64 {
	if magic&wheel.MagicDelete != 0 {
		return -1
	}
	return 1
}

// arrival reads what a unit of Topic's queue points to; ok is false when that cannot be delivered ever.
func (t *Timer) arrival(u consumequeue.Unit) (a arrival, ok bool, err error) {
	_, r, err := t.o.Store.SizedRecord(nil, u.PhysicalOffset, u.Size)
	if errors.Is(err, commitlog.ErrNoRecord) || errors.Is(err, message.ErrRecord) {
		t.o.Logger.Error().Err(err).Int64("offset", u.PhysicalOffset).Msg("a message that waits for its time is lost, passing over it")
		return a, false, nil
	}
	if err != nil {
		return a, false, err
	}
	out := ""
	message.EachProperty(r.Properties, func(name, value string) bool {
		switch name {
		case message.PropertyTimerOutMs:
			out = value
		case message.PropertyTimerDelUniqKey:
			a.delete = true
		case message.PropertyRealTopic:
			a.topic = value
		}
		return true
	})
	a.stored, a.born = r.StoreTimestamp, r.BornTimestamp
	if a.out, err = strconv.ParseInt(out, 10, 64); err != nil {
		t.o.Logger.Error().Str("TIMER_OUT_MS", out).Int64("offset", u.PhysicalOffset).Msg("a message of the timer's topic has no time, passing over it")
		return a, false, nil
	}
	return a, true, nil
}

// entry chooses the slot of a message that is entered in the tick write. Java: TimerMessageStore.doEnqueue.
func (t *Timer) entry(u consumequeue.Unit, a *arrival, write int64) wheel.Entry {
	e := wheel.Entry{Slot: t.floor(a.out), WriteTime: write, Magic: wheel.MagicDefault, PhysicalOffset: u.PhysicalOffset, Size: u.Size, TopicHash: message.HashCode(a.topic)}
	window := t.o.RollWindow * t.o.Precision
	if ahead := a.out - write; ahead >= window {
		e.Magic |= wheel.MagicRoll
		if ahead-window < t.o.RollWindow/3*t.o.Precision {
			e.Slot = write + t.o.RollWindow/2*t.o.Precision // so that the last roll is well ahead of the delivery
		} else {
			e.Slot = write + window
		}
	}
	if a.delete {
		e.Magic |= wheel.MagicDelete
	}
	return e
}

// rollDoubt is how long a message may have waited in Topic before it was entered, ms, for rebuild to see that it
// has been rolled.
const rollDoubt = 10 * 60 * 1000

// rebuild makes log and wheel anew from the messages in Topic that were entered and are not delivered.
func (t *Timer) rebuild(why string) error {
	read, end := t.read.Load(), t.offset.Load()
	t.o.Logger.Error().Str("why", why).Int64("upTo", end).Msg("the timer files cannot be used, building them anew from the timer's topic")
	if err := t.w.Reset(read, end); err != nil {
		return err
	}
	t.changed = true
	q := t.queue()
	if q == nil {
		return nil
	}
	var buf [batch * consumequeue.UnitSize]byte
	for at := q.Min(); at < end; {
		n, err := q.Read(at, buf[:])
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		n = min(n, int(end-at))
		var entries []wheel.Entry
		for i := range n {
			u := consumequeue.GetUnit(buf[i*consumequeue.UnitSize:])
			a, ok, err := t.arrival(u)
			if err != nil {
				return err
			}
			write := t.floor(a.stored)
			if !ok || a.out < read || a.out < write {
				continue
			}
			e := t.entry(u, &a, write)
			if e.Slot < read {
				if e.Magic&wheel.MagicRoll == 0 || e.Slot+rollDoubt < read {
					continue // rolled: it stands in Topic once more
				}
				e.Slot = read
			}
			entries = append(entries, e)
		}
		if err := t.w.Ready(); err != nil {
			return err
		}
		t.w.Add(entries)
		at += int64(n)
	}
	t.o.Logger.Warn().Int64("pending", t.w.All()).Msg("the timer files are built anew")
	return nil
}
