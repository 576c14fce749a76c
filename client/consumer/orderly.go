package consumer

import (
	"context"
	"errors"
	"time"
)

// orderly consumes one queue until it is dropped: what its listener fails on comes again before anything else.
func (p *Push) orderly(pq *processQueue) {
	for {
		list := pq.head(p.o.Batch)
		switch {
		case pq.ctx.Err() != nil:
			return
		case len(list) == 0:
			select {
			case <-pq.ready:
			case <-pq.ctx.Done():
			}
			continue
		case !p.locked(pq): // locks renews it, or drops the queue
			wait(pq.ctx, time.Second)
			continue
		}
		select {
		case p.workers <- struct{}{}:
		case <-pq.ctx.Done():
			return
		}
		again := p.inOrder(pq, list)
		<-p.workers
		if again > 0 {
			wait(pq.ctx, again)
		}
	}
}

// inOrder has the listener take messages and returns how long the queue is to rest.
func (p *Push) inOrder(pq *processQueue, list []*entry) (rest time.Duration) {
	if !pq.begin(list, time.Now()) {
		return 0
	}
	err := p.call(messagesOf(list))
	if err != nil && p.suspends(list) {
		var retry *Retry
		if errors.As(err, &retry) && retry.Suspend > 0 {
			return retry.Suspend
		}
		return p.o.Suspend
	}
	pq.finish(list, func(offset int64) { p.offsets.update(pq.q, offset) })
	return 0
}

// suspends tells whether messages that the listener has failed on are to come again, and not to the dead letter queue.
func (p *Push) suspends(list []*entry) bool {
	if p.o.Broadcasting { // there is none; Java goes on likewise
		for _, e := range list {
			e.m.ReconsumeTimes++
		}
		return list[0].m.ReconsumeTimes <= int32(min(p.o.MaxReconsume, 1<<30))
	}
	again := false
	for _, e := range list {
		if int(e.m.ReconsumeTimes) >= p.o.MaxReconsume {
			ctx, cancel := context.WithTimeout(context.Background(), p.o.Timeout)
			err := p.sendCopy(ctx, e.m, 0)
			cancel()
			if err == nil {
				continue
			}
			p.log.Warn().Str("msgId", e.m.ID()).Err(err).Msg("cannot send a message to the dead letter queue")
		}
		e.m.ReconsumeTimes++
		again = true
	}
	return again
}
