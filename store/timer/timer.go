// Package timer delivers messages at arbitrary times. Java: TimerMessageStore.
//
// A message with a TIMER_DELAY_SEC, TIMER_DELAY_MS or TIMER_DELIVER_MS property is stored in queue 0 of Topic, with
// the tick of its delivery in TIMER_OUT_MS (package broker/send). The timer reads that queue, enters each message
// into the wheel (package store/timer/wheel) or, when its tick has passed, delivers it at once; when a tick is over,
// it stores the messages of its slot again under their real topic. What is due behind timerRollWindowSlot goes to a
// slot within, and from there to Topic once more. A message with TIMER_DEL_UNIQKEY, in the same slot as the one it
// names by its UNIQ_KEY, keeps that one from being delivered.
//
// # Goroutine
//
// One: it enters, delivers and writes the files. It waits for the store where the store has no room, never the
// other way round.
//
// # Crash rules
//
// Nothing acknowledged is lost and nothing is early: the messages in Topic are the truth, and each is stored under
// its real topic before the timer's checkpoint, written each timerFlushIntervalMs, passes over it. The checkpoint is
// written only when everything it passes over is durable in the CommitLog, in that order, so neither kill -9 nor
// a power cut takes a timer. In front of a crash that was not checkpointed may be delivered again, as with Java:
// the slots and the late messages of the last timerFlushIntervalMs, all of a slot whose delivery was interrupted.
// Beyond Java: a delivered slot is emptied, so that a clock that is set back does not deliver it again (within one
// run, or with a clean stop between); a delivery that fails is tried until it succeeds (Java gives a message up
// after three tries, unless timerEnableRetryUntilSuccess); wheel, log and checkpoint that are missing or damaged
// are built anew, the wheel from the log, both from Topic. Built from Topic, what was rolled in the last ten
// minutes may be delivered twice, and so may what was delivered late.
package timer

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/timer/wheel"
)

// Topic holds the messages that wait, all in queue 0. Java: TimerMessageStore.TIMER_TOPIC.
const Topic = "rmq_sys_wheel_timer"

// blankSlots is how much shorter than the wheel the farthest slot is. Java: TimerMessageStore.TIMER_BLANK_SLOTS.
const blankSlots = 60

// Options of a Timer. The keys are Java's, with Java's bounds.
type Options struct {
	Logger zerolog.Logger
	Store  *store.Store
	// Put stores one message as it is and calls done once, unless it returns an error.
	Put func(m *message.Message, properties string, rec store.Rec, done func(err error, recs []store.Rec)) error
	// Count is told of delivered messages: their number and size. nil: nobody.
	Count func(topic string, messages, bytes int)
	// Entered is told of each message of a topic that is taken from Topic, and how long after it was made it is to be
	// delivered; Left of each that is stored again. Either may be nil.
	Entered func(topic string, delay time.Duration)
	Left    func(topic string)

	Precision         int64 // ms (timerPrecisionMs), see Precision
	RollWindow        int64 // ticks (timerRollWindowSlot)
	LogFileSize       int64 // bytes (mappedFileSizeTimerLog)
	FlushInterval     time.Duration
	StopEnqueue       bool
	MetricsPath       string           // config/timermetrics; "": they are not kept
	AppendTopicToKeys bool             // appendTopicForTimerDeleteKey: a deleted message is named by its topic too
	Slots             int64            // 0: wheel.Slots; tests have fewer
	Now               func() time.Time // nil: time.Now
}

// Precision returns the length of a tick, ms, that a setting of timerPrecisionMs means. Java:
// MessageStoreConfig.setTimerPrecisionMs.
func Precision(set int64) int64 {
	for _, p := range []int64{1000, 500, 200} {
		if set >= p {
			return p
		}
	}
	return 100
}

// Timer delivers messages while it is open.
type Timer struct {
	o       Options
	w       *wheel.Wheel
	metrics metrics
	stop    chan struct{}
	done    chan struct{}

	stopEnqueue atomic.Bool

	read   atomic.Int64 // ms, the first slot that is not delivered
	offset atomic.Int64 // queue offset in Topic of the first message that is not entered

	changed   bool // since the last checkpoint
	synced    time.Time
	persisted time.Time
	rated     time.Time
	failed    error
	quiet     time.Time // errors are logged again from then on

	enqueued, delivered rate

	// entered is when the last message was taken from Topic, enteredStored when that one was stored there, ms.
	entered, enteredStored atomic.Int64
}

// Open recovers the wheel and starts to deliver.
func Open(o Options) (*Timer, error) {
	t, err := load(o)
	if err != nil {
		return nil, err
	}
	go t.run()
	return t, nil
}

func load(o Options) (*Timer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Slots == 0 {
		o.Slots = wheel.Slots
	}
	if most := o.Slots - blankSlots; o.RollWindow > most || o.RollWindow < 2 {
		o.RollWindow = most
	}
	t := &Timer{o: o, stop: make(chan struct{}), done: make(chan struct{})}
	t.SetStopEnqueue(o.StopEnqueue)
	so := o.Store.Options()
	if err := t.metrics.load(o.MetricsPath, o.Logger); err != nil {
		return nil, err
	}
	begun := time.Now()
	w, err := wheel.Open(wheel.Options{FS: so.FS, Root: so.StorePathRootDir, LogFileSize: o.LogFileSize, Precision: o.Precision, Slots: o.Slots,
		Clean: o.Store.WasClean(), Logger: o.Logger, Now: o.Now, Locate: t.locate})
	if err != nil {
		return nil, err
	}
	t.w = w
	if err := t.takeUp(); err != nil {
		w.Close()
		return nil, fmt.Errorf("cannot recover the timer: %w", err)
	}
	t.synced, t.persisted = o.Now(), o.Now()
	if n := w.All(); n > 0 {
		o.Logger.Info().Int64("pending", n).Int64("readTime", t.read.Load()).Int64("queueOffset", t.offset.Load()).Dur("took", time.Since(begun)).Msg("timer recovered")
	}
	return t, nil
}

// takeUp brings the checkpoint into the bounds of queue and clock, and builds anew what is damaged.
func (t *Timer) takeUp() error {
	cp := t.w.Checkpoint()
	now := t.floor(t.o.Now().UnixMilli())
	read := t.floor(cp.ReadTime)
	if cp == (wheel.Checkpoint{}) || read > now { // nothing was entered, or the clock was set back
		read = now
	}
	if t.w.Damage() != "" && cp.ReadTime == 0 { // nobody knows what was delivered; Java delivers all of it too
		read = now - (t.o.Slots-blankSlots)*t.o.Precision
	}
	at := cp.QueueOffset
	if q := t.queue(); q == nil {
		at = 0
	} else if in := max(min(at, q.Max()), q.Min()); in != at {
		t.o.Logger.Warn().Int64("from", at).Int64("to", in).Msg("the timer's queue offset is corrected")
		at = in
	}
	t.read.Store(read)
	t.offset.Store(at)
	if why := t.w.Damage(); why != "" {
		return t.rebuild(why)
	}
	return nil
}

// locate tells the wheel where in Topic the message of a unit stands.
func (t *Timer) locate(physicalOffset int64, size int32) (queueOffset int64, ok, gone bool) {
	_, r, err := t.o.Store.SizedRecord(nil, physicalOffset, size)
	st := t.o.Store.Stats()
	return r.QueueOffset, err == nil && r.Topic == Topic, physicalOffset < st.MinPhysical
}

// SetStopEnqueue changes Options.StopEnqueue (timerStopEnqueue).
func (t *Timer) SetStopEnqueue(stop bool) { t.stopEnqueue.Store(stop) }

func (t *Timer) queue() *consumequeue.Queue { return t.o.Store.Find(Topic, 0) }

func (t *Timer) floor(ms int64) int64 { return ms - ms%t.o.Precision }

// Close delivers the slot that it is at to the end, makes everything durable and closes the files.
func (t *Timer) Close() error {
	close(t.stop)
	<-t.done
	err := t.failed
	if err == nil && (t.changed || t.w.Checkpoint() != (wheel.Checkpoint{})) {
		err = t.sync()
	}
	if err == nil {
		err = t.metrics.persist()
	}
	t.w.Close()
	if err != nil {
		return fmt.Errorf("cannot close the timer cleanly: %w", err)
	}
	return nil
}

// lookEvery is how often the queue and the clock are looked at. Java: 100 ms for a precision of a second.
const lookEvery = 100 * time.Millisecond

// retryEvery is how long the timer waits behind an error.
const retryEvery = 500 * time.Millisecond

func (t *Timer) run() {
	defer close(t.done)
	wake := time.NewTimer(lookEvery)
	defer wake.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-wake.C:
		}
		wait, err := t.turn()
		if err != nil {
			t.complain(err)
			wait = retryEvery
		}
		if t.failed != nil {
			<-t.stop
			return
		}
		wake.Reset(wait)
	}
}

// errStopped ends a delivery that waits for the store.
var errStopped = errors.New("the timer stops")

func (t *Timer) complain(err error) {
	if now := t.o.Now(); !errors.Is(err, errStopped) && now.After(t.quiet) {
		t.quiet = now.Add(10 * time.Second)
		t.o.Logger.Error().Err(err).Msg("the timer cannot go on, trying again")
	}
}

// Bounds of one turn, so that neither entering nor delivering keeps the other waiting.
const (
	turnBatches = 16
	turnSlots   = 4
)

// turn enters and delivers what there is and returns how long there will be nothing to do.
func (t *Timer) turn() (wait time.Duration, err error) {
	now := t.o.Now()
	write := t.floor(now.UnixMilli())
	if t.read.Load() > write { // the clock was set back: messages may come for slots that were passed
		t.read.Store(write)
	}
	more := false
	// Behind a long stop old slots come first: new ones would be written over them.
	if !t.stopEnqueue.Load() && write-t.read.Load() < (t.o.Slots-blankSlots)*t.o.Precision {
		for range turnBatches {
			if more, err = t.enqueue(write); err != nil || !more {
				break
			}
		}
	}
	if err != nil {
		return 0, err
	}
	due, err := t.deliverDue(write)
	if err != nil {
		return 0, err
	}
	if err := t.flush(); err != nil {
		return 0, err
	}
	if more || due {
		return 0, nil
	}
	next := time.Duration(write+t.o.Precision-now.UnixMilli()) * time.Millisecond
	return max(min(next, lookEvery), time.Millisecond), nil
}

// idleSync is how often the time that passes without any message is noted.
const idleSync = time.Minute

// metricsEvery is how often the metrics are written. They are no more exact behind a crash.
const metricsEvery = 10 * time.Second

func (t *Timer) flush() error {
	now := t.o.Now()
	if d := now.Sub(t.rated); d >= time.Second || d < 0 {
		t.rated = now
		t.enqueued.measure(now)
		t.delivered.measure(now)
	}
	since := now.Sub(t.synced)
	if since < 0 {
		t.synced = now
	}
	if since < t.o.FlushInterval || !t.changed && (since < idleSync || t.w.Checkpoint() == (wheel.Checkpoint{})) {
		return nil
	}
	t.synced = now
	if err := t.sync(); err != nil {
		return err
	}
	if now.Sub(t.persisted) >= metricsEvery {
		t.persisted = now
		if err := t.metrics.persist(); err != nil {
			return err
		}
	}
	return t.w.Clean(t.o.Store.Stats().MinPhysical)
}

// sync writes the checkpoint behind everything it stands for.
func (t *Timer) sync() error {
	read, offset := t.read.Load(), t.offset.Load()
	if err := t.o.Store.Sync(); err != nil {
		return err
	}
	fatal, err := t.w.Sync(read, offset)
	if fatal {
		t.failed = err
		t.o.Logger.Error().Err(err).Msg("FATAL: the timer stops, messages that wait for their time are delivered when the broker has been started again")
	}
	if err != nil {
		return err
	}
	t.changed = false
	return nil
}
