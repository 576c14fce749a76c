package pop

import (
	"sync"
	"time"

	"github.com/skylarkmq/skylark/broker/pop/revivelog"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// grace is how long after its invisible time a message is delivered again, so that acknowledgements that came
// at the last moment are there, ms. Java: PopReviveService.mergeAndRevive, ackTimeInterval + SECOND.
const grace = 2000

// Bounds of what the reviver has in memory of one queue and does at once.
const (
	maxPending = 100_000
	maxRound   = 512
)

// reviver reads the revive topic and stores what was popped and not acknowledged again. Java: PopReviveService,
// one thread for each queue. Here one goroutine serves all; it sleeps until a message comes or a checkpoint is
// due, and works at most once every reviveInterval.
//
// The offset of the group CID_RMQ_SYS_REVIVE_GROUP is, as Java has it, that of the last message of a queue that
// is not needed any more. Behind it a start reads everything again.
type reviver struct {
	p      *Popper
	queues []*reviveQueue
	wake   chan struct{}
	stop   chan struct{}
	done   chan struct{}
}

// reviveQueue is one queue of the revive topic; only the reviver's goroutine uses it.
type reviveQueue struct {
	id      int32
	q       *consumequeue.Queue
	next    int64                   // queue offset to read next
	stored  int64                   // committed
	pending []*revivelog.CheckPoint // that are not settled, as they came
	byKey   map[revivelog.Key]*revivelog.CheckPoint
	latest  int64 // newest time of delivery that was read, ms
}

func openReviver(p *Popper) *reviver {
	v := &reviver{p: p, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	n := p.o.ReviveQueueNum
	if t := p.o.Topics.Get(p.log.Topic); t != nil {
		n = max(n, t.ReadQueueNums) // of a time when reviveQueueNum was larger
	}
	for id := range n {
		q := &reviveQueue{id: id, q: p.o.Store.Queue(p.log.Topic, id), stored: -1, byKey: map[revivelog.Key]*revivelog.CheckPoint{}}
		if at, ok := p.o.Offsets.Query(revivelog.Group, p.log.Topic, id); ok {
			q.stored, q.next = at, at+1
		}
		q.q.Waiters.Add(1)
		v.queues = append(v.queues, q)
	}
	go v.run()
	v.nudge()
	return v
}

// nudge tells that a message has come.
func (v *reviver) nudge() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *reviver) close() {
	close(v.stop)
	<-v.done
	for _, q := range v.queues {
		q.q.Waiters.Add(-1)
	}
}

func (v *reviver) run() {
	defer close(v.done)
	interval := time.Duration(max(v.p.o.ReviveInterval, 10)) * time.Millisecond
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-v.stop:
			return
		case <-v.wake:
		case <-timer.C:
		}
		wait := v.round()
		if wait > 0 && wait < interval {
			wait = interval
		}
		if wait <= 0 {
			wait = time.Hour
		}
		// What comes within the interval is looked at together.
		select {
		case <-v.stop:
			return
		case <-time.After(interval):
		}
		timer.Reset(max(wait-interval, 0))
	}
}

// round settles what is due and returns when the next checkpoint is, 0 when there is none.
func (v *reviver) round() (next time.Duration) {
	// What had arrived by then is in the queues when they are read to their ends.
	arrived := v.p.o.DeliveredUpTo()
	for _, q := range v.queues {
		if len(q.pending) == 0 && q.next >= q.q.Max() {
			continue
		}
		wait := v.serve(q, arrived)
		if next == 0 || wait > 0 && wait < next {
			next = wait
		}
	}
	return next
}

// serve reads what is new in a queue and settles its checkpoints. It returns when to look again, 0: at news.
func (v *reviver) serve(q *reviveQueue, arrived int64) time.Duration {
	end, err := v.read(q)
	if err != nil {
		v.p.o.Logger.Error().Err(err).Int32("queueId", q.id).Msg("cannot read the revive topic, trying again")
		return time.Second
	}
	upTo := arrived
	if !end {
		upTo = min(upTo, q.latest)
	}
	n, ok := v.settle(q, upTo)
	for ok && n == maxRound && !v.stopping() {
		n, ok = v.settle(q, upTo)
	}
	v.commit(q)
	switch {
	case !ok:
		return time.Second
	case len(q.pending) == 0 && end:
		return 0
	case !end:
		return time.Millisecond
	}
	return max(time.Until(time.UnixMilli(q.pending[0].Due()+grace+1)), time.Millisecond)
}

// read takes in what is new; end says that nothing is left.
func (v *reviver) read(q *reviveQueue) (end bool, err error) {
	if first := q.q.Min(); q.next < first {
		q.next = first
	}
	if q.q.Max() < q.next {
		q.next = q.q.Max() // the offset is of another store
	}
	var buf [64 * consumequeue.UnitSize]byte
	for q.next < q.q.Max() {
		if len(q.pending) >= maxPending {
			return false, nil
		}
		n, err := q.q.Read(q.next, buf[:])
		if err != nil || n == 0 {
			return n == 0, err
		}
		for i := range n {
			u := consumequeue.GetUnit(buf[i*consumequeue.UnitSize:])
			rec, err := v.p.o.Store.Record(u.PhysicalOffset)
			if err != nil {
				v.p.o.Logger.Error().Err(err).Int32("queueId", q.id).Int64("queueOffset", q.next).Msg("a message of the revive topic is lost")
			} else {
				v.p.o.Stats.Take(revivelog.Group, v.p.log.Topic, 1, rec.Size)
				v.note(q, &rec)
			}
			q.next++
		}
		if v.stopping() {
			return false, nil
		}
	}
	return true, nil
}

func (v *reviver) stopping() bool {
	select {
	case <-v.stop:
		return true
	default:
		return false
	}
}

// note takes in one message of the revive topic.
func (v *reviver) note(q *reviveQueue, rec *message.Record) {
	p := message.ParseProperties(rec.Properties)
	q.latest = max(q.latest, deliverTime(p))
	switch p.Get(message.PropertyTags) {
	case revivelog.CheckPointTag:
		ck, err := revivelog.DecodeCheckPoint(rec.Body)
		if err != nil {
			v.p.o.Logger.Warn().Err(err).Int32("queueId", q.id).Int64("queueOffset", q.next).Msg("passing over a checkpoint")
			return
		}
		v.p.o.Stats.Revive(ck.Group, ck.Topic, stats.ReviveOut{What: stats.CheckPoint, QueueID: q.id})
		ck.ReviveOffset, ck.BitMap = q.next, 0
		if ck.BrokerName == "" {
			ck.BrokerName = v.p.o.BrokerName
		}
		// Behind a crash the timer may deliver one again. The acknowledgements that follow are of both.
		if k := ck.Key(); q.byKey[k] == nil {
			q.byKey[k] = ck
			q.pending = append(q.pending, ck)
		}
	case revivelog.AckTag, revivelog.BatchAckTag:
		a, err := revivelog.DecodeAck(rec.Body)
		if err != nil {
			v.p.o.Logger.Warn().Err(err).Int32("queueId", q.id).Int64("queueOffset", q.next).Msg("passing over an acknowledgement")
			return
		}
		v.p.o.Stats.Revive(a.Group, a.Topic, stats.ReviveOut{What: stats.Ack, QueueID: q.id})
		if a.BrokerName == "" {
			a.BrokerName = v.p.o.BrokerName
		}
		if ck := q.byKey[a.Key()]; ck != nil {
			a.Each(func(offset int64) { ck.Ack(offset) })
		}
	}
}

// settle revives the messages of the checkpoints that are due, as they came, up to maxRound of them, and
// returns how many checkpoints it settled. It reports false when something could not be stored.
func (v *reviver) settle(q *reviveQueue, upTo int64) (n int, ok bool) {
	var wg sync.WaitGroup
	var failed failures
	for n < len(q.pending) && n < maxRound && upTo-q.pending[n].Due() > grace {
		v.revive(q.pending[n], &wg, &failed)
		n++
	}
	wg.Wait()
	for _, x := range failed.list {
		if err := v.putOff(q.id, x); err != nil {
			v.p.o.Logger.Error().Err(err).Str("topic", x.ck.Topic).Str("group", x.ck.Group).Msg("cannot revive messages, trying again")
			return 0, false // all of them again, since none is committed
		}
	}
	for _, ck := range q.pending[:n] {
		delete(q.byKey, ck.Key())
	}
	clear(q.pending[:n])
	q.pending = q.pending[n:]
	return n, true
}

// commit notes how far the queue is not needed any more.
func (v *reviver) commit(q *reviveQueue) {
	at := q.next - 1
	if len(q.pending) > 0 {
		at = q.pending[0].ReviveOffset - 1
	}
	if at > q.stored {
		q.stored = at
		v.p.o.Offsets.Commit("revive", revivelog.Group, v.p.log.Topic, q.id, at)
	}
}
