// Package order holds which client of a consumer group may consume which queue in order: the locks of
// LOCK_BATCH_MQ and UNLOCK_BATCH_MQ. A lock that its client does not renew ends by itself. Locks live in
// memory only. Java: RebalanceLockManager.
package order

import (
	"strings"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/broker/internal/strmap"
	"github.com/skylarkmq/skylark/remoting/message"
)

// MaxLiveTime is how long a lock holds after it was taken or renewed.
// Java: rocketmq.broker.rebalance.lockMaxLiveTime, 60000 ms.
const MaxLiveTime = 60 * time.Second

// Locks maps group and queue to the client that holds the lock. All methods are safe for concurrent use,
// and none keeps a string it is called with.
type Locks struct {
	now    func() time.Time
	groups *strmap.Map[group]
}

type group struct {
	mu   sync.Mutex
	held map[message.MessageQueue]lock
	dead bool // out of the table
}

type lock struct {
	client string
	at     time.Time // taken or renewed
}

func (l *lock) expired(now time.Time) bool { return now.Sub(l.at) > MaxLiveTime }

// New returns an empty table; now is its clock, nil means time.Now.
func New(now func() time.Time) *Locks {
	if now == nil {
		now = time.Now
	}
	return &Locks{now: now, groups: strmap.New[group](4)}
}

// LockBatch takes or renews the locks of queues for a client and returns those it holds now, in their
// order. Queues that another client holds are left out.
func (l *Locks) LockBatch(groupName string, queues []message.MessageQueue, client string) []message.MessageQueue {
	ok := make([]message.MessageQueue, 0, len(queues))
	if len(queues) == 0 {
		return ok
	}
	g := l.locked(groupName)
	defer g.mu.Unlock()
	now := l.now()
	owned := "" // one copy of the client's id for all its locks
	for _, q := range queues {
		h, held := g.held[q]
		if held && h.client != client && !h.expired(now) {
			continue
		}
		if h.client != client {
			if owned == "" {
				owned = strings.Clone(client)
			}
			h.client = owned
		}
		h.at = now
		if !held {
			q.Topic, q.BrokerName = strings.Clone(q.Topic), strings.Clone(q.BrokerName)
		}
		g.held[q] = h
		ok = append(ok, q)
	}
	return ok
}

// locked returns a group with its mutex taken.
func (l *Locks) locked(name string) *group {
	for {
		g, _ := l.groups.LoadOrCreate(name, func(string) *group { return &group{held: map[message.MessageQueue]lock{}} })
		g.mu.Lock()
		if !g.dead {
			return g
		}
		g.mu.Unlock()
	}
}

// UnlockBatch gives up those of the queues' locks that the client holds.
func (l *Locks) UnlockBatch(groupName string, queues []message.MessageQueue, client string) {
	g := l.groups.Load(groupName)
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, q := range queues {
		if h, held := g.held[q]; held && h.client == client {
			delete(g.held, q)
		}
	}
}

// HasUnexpired reports whether a client of the group holds any lock; its retries then go to the dead
// letters at once. Java: RebalanceLockManager.isLockAllExpired, negated.
func (l *Locks) HasUnexpired(groupName string) bool {
	g := l.groups.Load(groupName)
	if g == nil {
		return false
	}
	now := l.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.held {
		if !h.expired(now) {
			return true
		}
	}
	return false
}

// Expire forgets locks that ended by themselves, and groups without locks. Without it they would stay
// until their queue is locked again.
func (l *Locks) Expire() {
	now := l.now()
	l.groups.Range(func(name string, g *group) bool {
		g.mu.Lock()
		for q, h := range g.held {
			if h.expired(now) {
				delete(g.held, q)
			}
		}
		if len(g.held) == 0 {
			g.dead = true
			l.groups.CompareAndDelete(name, g)
		}
		g.mu.Unlock()
		return true
	})
}
