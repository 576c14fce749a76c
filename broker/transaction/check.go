package transaction

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/commitlog"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// check makes a round every CheckInterval until Close. Java: TransactionalMessageCheckService.
func (t *Transactions) check() {
	every := t.checkInterval()
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-t.retime:
			if now := t.checkInterval(); now != every {
				every = now
				timer.Reset(every)
			}
			continue
		case <-timer.C:
		}
		if err := t.round(); err != nil {
			t.o.Logger.Error().Err(err).Msg("cannot check transactions, trying again")
		}
		timer.Reset(every)
	}
}

func (t *Transactions) checkInterval() time.Duration {
	return max(t.live.Load().CheckInterval, 10*time.Millisecond)
}

// round is one way of the checker through the half queue, from the consumer offset to the first message that it
// is too early for, at most to the queue's end as of now. Java: TransactionalMessageServiceImpl.check.
type round struct {
	t     *Transactions
	o     *Settings
	start int64 // ms
	half  *consumequeue.Queue
	w     *window
	batch []*renewal
	wg    sync.WaitGroup
}

func (t *Transactions) round() error {
	r := &round{t: t, o: t.live.Load(), start: t.o.Now().UnixMilli(), half: t.queue(topic.TransHalf)}
	if r.half == nil {
		return nil
	}
	at, end, opFrom := t.correct(topic.TransHalf), r.half.Max(), t.correct(topic.TransOpHalf)
	if at < t.passed.Load() { // set back by an operator
		t.unsure.Store(r.start)
	}
	t.passed.Store(at)
	var err error
	for more := true; more && at < end; {
		r.w = newWindow(at, min(end, at+t.window), opFrom)
		if err = r.readOps(); err != nil {
			break
		}
		if at, more, err = r.walk(at); err != nil {
			t.unsure.Store(t.o.Now().UnixMilli()) // there may be copies of messages that are not passed
			break
		}
	}
	return errors.Join(err, r.passOps(opFrom))
}

// readOps takes the op messages in that are new. Their queue may have come into being during the round.
func (r *round) readOps() error {
	ops := r.t.queue(topic.TransOpHalf)
	if ops == nil {
		return nil
	}
	return r.w.read(r.t.o.Store, ops)
}

// passOps moves the consumer offset of the op queue over the messages that name nothing from t.passed on.
func (r *round) passOps(from int64) error {
	ops := r.t.queue(topic.TransOpHalf)
	if ops == nil || from >= ops.Max() {
		return nil
	}
	passed := r.t.passed.Load()
	to, err := eachOp(r.t.o.Store, ops, from, func(rec *message.Record) bool {
		done := true
		eachEnd(rec, func(offset int64) { done = done && offset < passed })
		return done
	})
	if to > from {
		r.t.commit(topic.TransOpHalf, to)
	}
	return err
}

// pass moves the consumer offset of the half queue.
func (r *round) pass(to int64) {
	if to > r.t.passed.Load() {
		r.t.passed.Store(to)
		r.t.commit(topic.TransHalf, to)
	}
}

// maxBatch is how many messages are stored again at a time.
const maxBatch = 32

// walk deals with the half messages of the window from at on. It returns where it has got to, and whether what
// follows the window is to be looked at.
func (r *round) walk(at int64) (next int64, more bool, err error) {
	for i := at; i < r.w.end; i++ {
		goOn, err := true, error(nil)
		if !r.w.has(i) {
			goOn, err = r.look(i)
		}
		if !goOn || err != nil {
			done, failed := r.flush(i)
			return done, false, errors.Join(err, failed)
		}
		if stop := r.t.stopping(); stop || len(r.batch) >= maxBatch {
			if done, err := r.flush(i + 1); err != nil || stop {
				return done, false, err
			}
		}
	}
	next, err = r.flush(r.w.end)
	return next, err == nil, err
}

func (t *Transactions) stopping() bool {
	select {
	case <-t.stop:
		return true
	default:
		return false
	}
}

// look decides what becomes of the half message at queue offset i, which no op message names, and begins it. It
// returns false when the round ends in front of it.
func (r *round) look(i int64) (bool, error) {
	m, err := r.read(i)
	if m == nil {
		return err == nil, err
	}
	times, asked := checkTimes(m.p)
	age := r.t.age(&m.Record)
	limit, immune := r.o.TimeOut, false
	if text := m.p.Get(message.PropertyCheckImmunityTime); text != "" {
		limit = immunity(text, limit)
		immune = age <= limit.Milliseconds()
	}
	discard := asked && times >= r.o.CheckMax || age > r.o.ReservedTime.Milliseconds()
	if m.StoreTimestamp >= r.start || !discard && !immune && age >= 0 && age <= limit.Milliseconds() {
		return false, nil
	}
	switch r.t.ledger.renew(i) {
	case ending:
		return false, nil
	case ended:
		return true, nil
	}
	// Only now: an op that is not in the ledger any more is in the queue.
	if err := r.readOps(); err != nil || r.w.has(i) {
		r.t.ledger.release(i)
		return err == nil, err
	}
	copied := asked || m.p.Get(message.PropertyPreparedQueueOffset) != ""
	if m.StoreTimestamp <= r.t.unsure.Load() || copied {
		if ready, known, err := r.known(m); !ready || known {
			return ready, err
		}
	}
	switch {
	case discard:
		err = r.discard(m)
	case immune:
		err = r.renew(m, false, times)
	default:
		err = r.renew(m, true, times+1)
	}
	return err == nil, err
}

// age returns how long ago, in ms, the producer made a message; its clock may be ahead.
func (t *Transactions) age(r *message.Record) int64 {
	return t.o.Now().UnixMilli() - max(r.BornTimestamp, 0)
}

// read returns the half message at queue offset i, nil when it is gone: removed by retention, or damaged.
func (r *round) read(i int64) (*half, error) {
	u, ok, err := r.half.At(i)
	if err != nil {
		return nil, fmt.Errorf("cannot read the half queue: %w", err)
	}
	if !ok {
		return nil, nil
	}
	rec, err := r.t.o.Store.Record(u.PhysicalOffset)
	if errors.Is(err, commitlog.ErrNoRecord) {
		r.t.o.Logger.Warn().Err(err).Int64("queueOffset", i).Msg("half message is lost, passing over it")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the half message at queue offset %d: %w", i, err)
	}
	r.t.o.Stats.Take(group.SysTrans, topic.TransHalf, 1, rec.Size)
	return halfOf(rec), nil
}

// checkTimes returns how often the transaction was asked for, and whether the property is there.
func checkTimes(p message.Properties) (times int, asked bool) {
	text := p.Get(message.PropertyCheckTimes)
	times, err := strconv.Atoi(text)
	if err != nil {
		times = 0
	}
	return times, text != ""
}

// indexPatience is how long the checker waits for the index before it does without.
const indexPatience = 10 * time.Minute

// known looks whether a message that the checker has taken is ended, or has a newer copy, without an op message
// saying so. Then it is let go of. ready is false when the index cannot tell yet.
func (r *round) known(m *half) (ready, known bool, err error) {
	t := r.t
	if !t.o.Store.Options().MessageIndexEnable {
		return true, false, nil
	}
	if !t.o.Store.Indexed() {
		now := t.o.Now()
		if t.indexSince.IsZero() {
			t.indexSince = now
			t.o.Logger.Info().Msg("the checks of transactions wait for the message index")
		}
		if now.Sub(t.indexSince) < indexPatience {
			t.ledger.release(m.QueueOffset)
			return false, true, nil
		}
	} else {
		t.indexSince = time.Time{}
	}
	k, err := t.kin(m)
	if err != nil || k.copy >= 0 {
		t.ledger.release(m.QueueOffset)
		return err == nil, true, err
	}
	if k.final {
		t.ledger.settle(m.QueueOffset, message.SysFlagCommit)
		t.ops.add(t, []int64{m.QueueOffset}, message.SysFlagCommit, nil)
	}
	return true, k.final, nil
}

// renewal is a half message that is being stored elsewhere: again at the queue's end, or among those given up.
type renewal struct {
	m    *half
	ask  bool
	lost bool // to be counted as not waiting any more
	rec  store.Rec
	err  error
}

// renew stores a half message again at the end of the queue. Java: TransactionalMessageBridge.renewHalfMessageInner,
// renewImmunityHalfMessageInner; unlike there, it keeps its flag, and the time of immunity counts no checks.
func (r *round) renew(m *half, ask bool, times int) error {
	m.p.Set(message.PropertyWait, "false")
	if ask {
		m.p.Set(message.PropertyCheckTimes, strconv.Itoa(times))
	} else if m.p.Get(message.PropertyPreparedQueueOffset) == "" {
		m.p.Set(message.PropertyPreparedQueueOffset, strconv.FormatInt(m.QueueOffset, 10))
	}
	return r.put(&renewal{m: m, ask: ask}, m.Message)
}

// discard gives a half message up. Java: DefaultTransactionalMessageCheckListener.resolveDiscardMsg.
func (r *round) discard(m *half) error {
	to := m.Message
	to.Topic, to.QueueID = topic.TransCheckMaxTime, 0
	if r.t.o.Topics.CreateInSendBack(to.Topic, 1, topic.PermRead|topic.PermWrite, 0) == nil {
		r.t.ledger.release(m.QueueOffset)
		return fmt.Errorf("cannot make the topic %s", to.Topic)
	}
	r.t.o.Logger.Warn().Str("topic", m.p.Get(message.PropertyRealTopic)).Str("group", m.p.Get(message.PropertyProducerGroup)).
		Str("msgId", m.p.Get(message.PropertyUniqKey)).Str("checks", m.p.Get(message.PropertyCheckTimes)).
		Msg("half message is given up, moved to " + to.Topic)
	return r.put(&renewal{m: m, lost: true}, to)
}

// put begins to store a message for a renewal; flush waits for it.
func (r *round) put(n *renewal, to message.Message) error {
	r.wg.Add(1)
	err := r.t.o.Put(&to, n.m.p.String(), store.Rec{TagsCode: message.TagsCode(n.m.p.Get(message.PropertyTags))}, func(err error, recs []store.Rec) {
		if n.err = err; err == nil {
			n.rec = recs[0]
		}
		r.wg.Done()
	})
	if err != nil {
		r.wg.Done()
		r.t.ledger.release(n.m.QueueOffset)
		return fmt.Errorf("cannot store a half message again: %w", err)
	}
	r.batch = append(r.batch, n)
	return nil
}

// flush waits for the renewals in front of queue offset end, moves the consumer offset behind what is dealt with,
// which it returns, and asks the producers.
func (r *round) flush(end int64) (int64, error) {
	r.wg.Wait()
	var failed error
	for _, n := range r.batch {
		if n.err != nil {
			end, failed = n.m.QueueOffset, fmt.Errorf("cannot store a half message again: %w", n.err)
			break
		}
	}
	r.pass(end) // before they are released: who waits for one looks for its copy then
	for _, n := range r.batch {
		r.t.ledger.release(n.m.QueueOffset)
		switch {
		case n.err != nil:
		case n.ask:
			r.t.ask(n.m, n.rec)
		case n.lost:
			r.t.counts.add(n.m.p.Get(message.PropertyRealTopic), -1)
		}
	}
	r.batch = r.batch[:0]
	return end, failed
}
