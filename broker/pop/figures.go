package pop

import (
	"errors"
	"time"

	"github.com/skylarkmq/skylark/broker/pop/revivelog"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store"
)

// written counts what went to the revive topic.
func (p *Popper) written(group, topic string, checkPoint bool, err error) {
	what := stats.Ack
	if checkPoint {
		what = stats.CheckPoint
	}
	p.o.Stats.Revive(group, topic, stats.ReviveIn{What: what, Status: status(err)})
}

// status names the outcome of a write as Java does. Java: PutMessageStatus.
func status(err error) stats.PutStatus {
	var pe *protocol.Error
	switch {
	case err == nil:
		return stats.PutOK
	case errors.Is(err, store.ErrBusy):
		return stats.OSPageCacheBusy
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrReadOnly), errors.Is(err, store.ErrDiskFull), errors.Is(err, store.ErrNoSpace):
		return stats.ServiceNotAvailable
	case errors.As(err, &pe) && pe.Code == protocol.MessageIllegal:
		return stats.MessageIllegal
	}
	return stats.UnknownError
}

// Figures are what a Popper holds.
type Figures struct {
	// CheckPoints are those that stand in memory, Offsets the pops whose end is not committed; both only with
	// enablePopBufferMerge. Java: PopBufferMergeService.getBufferedCKSize, getOffsetTotalSize.
	CheckPoints, Offsets int
	Revive               []ReviveFigures // by queue
}

// ReviveFigures are how far a queue of the revive topic is behind.
type ReviveFigures struct {
	QueueID int32
	// Behind is how many messages are not settled, Late since when the oldest of them waits, as Java counts them: from the
	// last message that is settled. Java: PopReviveService.getReviveBehindMessages, getReviveBehindMillis.
	Behind int64
	Late   time.Duration
}

// Figures returns those of now. It reads one record of each revive queue that is behind.
func (p *Popper) Figures(now time.Time) Figures {
	f := Figures{}
	if p.buffer != nil {
		p.buffer.mu.Lock()
		f.CheckPoints = len(p.buffer.m)
		p.buffer.mu.Unlock()
		p.queues.mu.RLock()
		for _, q := range p.queues.m {
			q.mu.Lock()
			f.Offsets += len(q.ahead)
			q.mu.Unlock()
		}
		p.queues.mu.RUnlock()
	}
	if p.reviver == nil {
		return f
	}
	for _, q := range p.reviver.queues {
		f.Revive = append(f.Revive, p.reviveFigures(q, now))
	}
	return f
}

func (p *Popper) reviveFigures(q *reviveQueue, now time.Time) ReviveFigures {
	r := ReviveFigures{QueueID: q.id}
	next := int64(0) // what is committed is the last that is settled
	if at, ok := p.o.Offsets.Query(revivelog.Group, p.log.Topic, q.id); ok {
		next = at + 1
	}
	next = max(next, q.q.Min())
	if r.Behind = max(q.q.Max()-next, 0); r.Behind == 0 {
		return r
	}
	if stored := p.o.Store.StoreTime(p.log.Topic, q.id, next); stored > 0 {
		r.Late = max(now.Sub(time.UnixMilli(stored)), 0)
	}
	return r
}

// Position returns where a group goes on in a queue that it pops, -1 when no pop is there that is not committed, and how
// many messages it has that are neither acknowledged nor revived.
func (p *Popper) Position(group, topic string, queueID int32) (next, inFlight int64) {
	q := p.queues.find(topic, group, queueID)
	if q == nil {
		return -1, 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	next = -1
	if n := len(q.ahead); n > 0 {
		next = q.ahead[n-1].next
	}
	return next, q.inFlight
}
