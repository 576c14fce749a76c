package consumer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/instance"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Java: ProcessQueue.REBALANCE_LOCK_MAX_LIVE_TIME and REBALANCE_LOCK_INTERVAL. A broker keeps a lock for 60 s.
const (
	lockLife     = 30 * time.Second
	lockInterval = 20 * time.Second
)

// lock locks queues at their brokers for this consumer and returns those that no other one has.
func (g *group) lock(ctx context.Context, queues []client.MessageQueue) ([]client.MessageQueue, error) {
	var out []client.MessageQueue
	var errs []error
	for broker, list := range byBroker(queues) {
		addr := g.inst.Master(broker)
		if addr == "" {
			errs = append(errs, errors.New("the broker["+broker+"] not exist"))
			continue
		}
		r, err := instance.Get[body.LockBatchResponseBody](ctx, g.inst, addr, protocol.LockBatchMQ, nil, g.lockBody(list))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, q := range r.LockOKMQSet {
			if slices.Contains(list, q) {
				out = append(out, q)
			}
		}
	}
	return out, errors.Join(errs...)
}

func (g *group) unlock(ctx context.Context, queues []client.MessageQueue) {
	for broker, list := range byBroker(queues) {
		addr := g.inst.Master(broker)
		if addr == "" {
			continue // the lock ends by itself
		}
		if _, err := g.inst.Call(ctx, addr, protocol.UnlockBatchMQ, nil, g.lockBody(list)); err != nil {
			g.log.Warn().Str("broker", broker).Err(err).Msg("cannot unlock queues")
		}
	}
}

func (g *group) lockBody(list []client.MessageQueue) body.LockBatchRequestBody {
	return body.LockBatchRequestBody{ClientID: g.inst.ClientID(), ConsumerGroup: g.o.Group, MQSet: list}
}

func byBroker(queues []client.MessageQueue) map[string][]client.MessageQueue {
	out := map[string][]client.MessageQueue{}
	for _, q := range queues {
		out[q.BrokerName] = append(out[q.BrokerName], q)
	}
	return out
}

// locks renews the locks of all queues. One that another consumer has now is dropped.
func (g *group) locks() {
	tick := time.NewTicker(lockInterval)
	defer tick.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-tick.C:
		}
		held := g.held()
		var queues []client.MessageQueue
		for _, pq := range held {
			queues = append(queues, pq.q)
		}
		locked, err := g.lock(g.ctx, queues)
		if g.ctx.Err() != nil {
			return
		}
		if err != nil { // those locks may live on
			g.log.Warn().Err(err).Msg("cannot renew locks")
		}
		now := time.Now().UnixMilli()
		for _, pq := range held {
			if slices.Contains(locked, pq.q) {
				pq.lockedAt.Store(now)
			} else if err == nil {
				g.log.Warn().Str("topic", pq.q.Topic).Str("broker", pq.q.BrokerName).Int32("queue", pq.q.QueueID).Msg("the lock of a queue is lost")
				g.drop(pq)
			}
		}
		signal(g.wake)
	}
}

// locked tells whether a queue's lock holds for sure.
func (g *group) locked(pq *processQueue) bool {
	return g.o.Broadcasting || time.Since(time.UnixMilli(pq.lockedAt.Load())) < lockLife
}
