package pop

import (
	"container/heap"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/broker/pop/revivelog"
)

// bufferMargin is how long before a checkpoint has to be written the buffer takes nothing for it any more.
// Java: PopBufferMergeService.addCk and addAk, 1500 ms.
const bufferMargin = 1500

// buffer keeps checkpoints in memory while their messages may soon be acknowledged. A checkpoint of which all
// are is never written; one that is due, or has been here for popCkStayBufferTime, is written together with
// the acknowledgements there are. The group's offset does not move past a checkpoint that is neither written
// nor acknowledged, so that a crash makes messages come again and loses none. Java: PopBufferMergeService.
type buffer struct {
	p    *Popper
	wake chan struct{}
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	m       map[revivelog.Key]*kept
	ends    keptEnds
	flushed sync.WaitGroup // checkpoints and acknowledgements being written
}

// kept is a checkpoint in the buffer; its BitMap has the acknowledged messages.
type kept struct {
	ck            *revivelog.CheckPoint
	reviveQueueID int32
	queue         *queue
	popped        *popped
	end           int64 // ms, when it is to be written
	heap          int
}

func openBuffer(p *Popper) *buffer {
	b := &buffer{p: p, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), m: map[revivelog.Key]*kept{}}
	go b.run()
	return b
}

// add keeps a checkpoint and reports whether it did; if not it has to be written. The caller holds the
// queue's lock.
func (b *buffer) add(q *queue, ck *revivelog.CheckPoint, reviveQueueID int32, next int64) bool {
	o := &b.p.o
	now := time.Now().UnixMilli()
	if b.p.closed.Load() || ck.Due()-now < int64(o.PopCkStayBufferTimeOut)+bufferMargin {
		return false
	}
	x := &kept{ck: ck, reviveQueueID: reviveQueueID, queue: q, popped: &popped{next: next},
		end: min(ck.PopTime+int64(o.PopCkStayBufferTime), ck.Due()-int64(o.PopCkStayBufferTimeOut))}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ahead) >= int(o.PopCkOffsetMaxQueueSize) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := ck.Key()
	if _, ok := b.m[key]; ok || len(b.m) >= int(o.PopCkMaxBufferSize) {
		return false
	}
	b.m[key] = x
	heap.Push(&b.ends, x)
	q.ahead = append(q.ahead, x.popped)
	if x.heap == 0 {
		b.nudge()
	}
	return true
}

// ack notes an acknowledgement and reports whether it did; if not it has to be written.
func (b *buffer) ack(a *revivelog.Ack) bool {
	b.mu.Lock()
	x := b.m[a.Key()]
	if x == nil || x.end-bufferMargin < time.Now().UnixMilli() {
		b.mu.Unlock()
		return false
	}
	a.Each(func(offset int64) {
		if !x.ck.Ack(offset) {
			b.p.o.Logger.Warn().Str("topic", a.Topic).Int64("offset", offset).Msg("acknowledgement of a message that its checkpoint does not have")
		}
	})
	all := x.all()
	if all {
		heap.Remove(&b.ends, x.heap)
		delete(b.m, a.Key())
	}
	b.mu.Unlock()
	if all {
		b.p.finish(x.queue, x.popped)
	}
	return true
}

// all reports whether every message is acknowledged.
func (x *kept) all() bool {
	for i := range int(x.ck.Num) {
		if !x.ck.Acked(i) {
			return false
		}
	}
	return true
}

func (b *buffer) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *buffer) run() {
	defer close(b.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-b.wake:
		case <-timer.C:
		}
		for _, x := range b.due(time.Now().UnixMilli()) {
			b.write(x)
		}
		b.mu.Lock()
		wait := time.Hour
		if len(b.ends) > 0 {
			wait = time.Until(time.UnixMilli(b.ends[0].end))
		}
		b.mu.Unlock()
		timer.Reset(max(wait, time.Millisecond))
	}
}

// due takes the checkpoints that are to be written.
func (b *buffer) due(now int64) []*kept {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*kept
	for len(b.ends) > 0 && b.ends[0].end <= now {
		x := heap.Pop(&b.ends).(*kept)
		delete(b.m, x.ck.Key())
		out = append(out, x)
	}
	return out
}

// putBack is how long after a failure a checkpoint is written again, ms.
const putBack = 1000

// write writes a checkpoint, and behind it the acknowledgements there are. Then the group's offset may pass it.
func (b *buffer) write(x *kept) {
	b.flushed.Add(1)
	ck := *x.ck
	ck.BitMap = 0
	b.p.log.CheckPoint(&ck, x.reviveQueueID, func(err error) {
		defer b.flushed.Done()
		if err != nil {
			b.p.o.Logger.Error().Err(err).Str("topic", ck.Topic).Str("group", ck.Group).Msg("cannot write a POP checkpoint, trying again")
			b.keep(x)
			return
		}
		b.writeAcks(x)
		b.p.finish(x.queue, x.popped)
	})
}

// keep takes a checkpoint back that could not be written.
func (b *buffer) keep(x *kept) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x.end = time.Now().UnixMilli() + putBack
	b.m[x.ck.Key()] = x
	heap.Push(&b.ends, x)
	b.nudge()
}

func (b *buffer) writeAcks(x *kept) {
	var offsets []int64
	for i := range int(x.ck.Num) {
		if x.ck.Acked(i) {
			offsets = append(offsets, x.ck.Offset(i))
		}
	}
	if b.p.live.Load().EnablePopBatchAck && len(offsets) > 0 {
		b.writeAck(x, &revivelog.Ack{Offsets: offsets})
		return
	}
	for _, at := range offsets {
		b.writeAck(x, &revivelog.Ack{Offset: at})
	}
}

func (b *buffer) writeAck(x *kept, a *revivelog.Ack) {
	a.BrokerName, a.Group, a.PopTime, a.QueueID, a.StartOffset, a.Topic = x.ck.BrokerName, x.ck.Group, x.ck.PopTime, x.ck.QueueID, x.ck.StartOffset, x.ck.Topic
	b.flushed.Add(1)
	b.p.log.Ack(a, x.reviveQueueID, x.ck.Due(), func(err error) {
		if err != nil {
			b.p.o.Logger.Error().Err(err).Str("topic", a.Topic).Str("group", a.Group).Msg("cannot write a POP acknowledgement; the message will come again")
		}
		b.flushed.Done()
	})
}

// close writes everything. What cannot be written comes again, because the group's offset stays in front of it.
func (b *buffer) close() {
	close(b.stop)
	<-b.done
	b.flushed.Wait()
	for _, x := range b.due(1<<63 - 1) {
		b.write(x)
	}
	b.flushed.Wait()
}

// keptEnds orders checkpoints by the time at which they are to be written.
type keptEnds []*kept

func (e keptEnds) Len() int           { return len(e) }
func (e keptEnds) Less(i, j int) bool { return e[i].end < e[j].end }
func (e keptEnds) Swap(i, j int)      { e[i], e[j] = e[j], e[i]; e[i].heap, e[j].heap = i, j }

// Push implements heap.Interface.
func (e *keptEnds) Push(x any) {
	k := x.(*kept)
	k.heap = len(*e)
	*e = append(*e, k)
}

// Pop implements heap.Interface.
func (e *keptEnds) Pop() any {
	old := *e
	k := old[len(old)-1]
	old[len(old)-1] = nil
	*e = old[:len(old)-1]
	k.heap = -1
	return k
}
