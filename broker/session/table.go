// Package session holds which clients are connected: the producers and consumers of each group, what
// consumers subscribe to, and who is told when a group's consumers change. All of it comes from
// heartbeats and goes when a client says so, its connection closes, or no heartbeat came for
// channelExpiredTimeout.
//
// Find and PickProducer take no lock and allocate nothing. The package owns two goroutines: one sends
// NOTIFY_CONSUMER_IDS_CHANGED, one looks for clients that fell silent.
//
// Lock order: a connection's mutex, a group's mutex, then leaves (strmap, the notifier's mutex). Nothing
// of another package runs under them but the functions in Options and the logger.
package session

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/internal/strmap"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// scanEvery is how often silent clients are looked for. Java: ClientHousekeepingService.
const scanEvery = 10 * time.Second

// Options are what a Table needs.
type Options struct {
	Logger zerolog.Logger
	// ChannelExpiredTimeout is after what time without a heartbeat a client is dropped; 0: 120 s.
	ChannelExpiredTimeout time.Duration
	// NotifyEnabled is notifyConsumerIdsChangedEnable of the broker; nil means always.
	NotifyEnabled func() bool
	// Compile makes of a subscription what Subscription.Filter is to hold; nil: nothing.
	Compile func(data *body.SubscriptionData) any
	// Subscribed is told of all that one consumer of a group subscribes to, with each heartbeat that says so; Left
	// of a group whose last consumer is gone. Calls for one group come in order. Either may be nil, neither may
	// block, call the table, or keep what it is given.
	Subscribed func(group string, subs []body.SubscriptionData)
	Left       func(group string)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Channel is one connection's membership in one group.
type Channel struct {
	Conn     mux.Conn
	ClientID string
	Language protocol.Language
	Version  int32
	seen     atomic.Int64 // UnixNano of the last heartbeat
}

// LastSeen returns when the last heartbeat came.
func (c *Channel) LastSeen() time.Time { return time.Unix(0, c.seen.Load()) }

// Connection returns the wire form of the channel.
func (c *Channel) Connection() body.Connection {
	return body.Connection{ClientID: c.ClientID, ClientAddr: c.Conn.Remote().String(), Language: c.Language.String(), Version: c.Version}
}

// Table holds the clients. All methods are safe for concurrent use, and none keeps a string or a body it
// is called with. Java: ConsumerManager and ProducerManager.
type Table struct {
	o         Options
	consumers *strmap.Map[consumerGroup]
	producers *strmap.Map[producerGroup]
	clients   *strmap.Map[Channel] // producers by client id
	next      atomic.Uint32        // of PickProducer
	expired   atomic.Int64         // ns of silence until a client is dropped
	conns     struct {
		sync.Mutex
		m map[uint64]*connState
	}
	notify notifier
	stop   chan struct{}
	once   sync.Once
	wg     sync.WaitGroup
}

// connState is what a connection is a member of, so that its end costs no search.
type connState struct {
	mu        sync.Mutex
	closed    bool
	consumers map[string]struct{}
	producers map[string]struct{}
}

// Open returns an empty table and starts its goroutines; Close ends them.
func Open(o Options) *Table {
	if o.ChannelExpiredTimeout <= 0 {
		o.ChannelExpiredTimeout = 120 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	t := &Table{o: o, consumers: strmap.New[consumerGroup](6), producers: strmap.New[producerGroup](6), clients: strmap.New[Channel](6), stop: make(chan struct{})}
	t.conns.m = map[uint64]*connState{}
	t.SetChannelExpiredTimeout(o.ChannelExpiredTimeout)
	t.notify.wake = make(chan struct{}, 1)
	t.wg.Go(t.scan)
	t.wg.Go(t.send)
	return t
}

// Close ends the goroutines; connections are left alone. Calling it again is harmless.
func (t *Table) Close() {
	t.once.Do(func() { close(t.stop) })
	t.wg.Wait()
}

func (t *Table) scan() {
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
			t.Expire()
		}
	}
}

// SetChannelExpiredTimeout changes Options.ChannelExpiredTimeout.
func (t *Table) SetChannelExpiredTimeout(d time.Duration) { t.expired.Store(int64(d)) }

// Expire drops the clients that fell silent, closes their connections and tells the rest of their groups.
func (t *Table) Expire() {
	silence := time.Duration(t.expired.Load())
	limit := t.o.Now().Add(-silence).UnixNano()
	var silent []*Channel
	look := func(list []*Channel) {
		for _, c := range list {
			if c.seen.Load() < limit {
				silent = append(silent, c)
			}
		}
	}
	t.consumers.Range(func(_ string, g *consumerGroup) bool {
		look(g.view.Load().Channels)
		return true
	})
	t.producers.Range(func(_ string, g *producerGroup) bool {
		look(*g.channels.Load())
		return true
	})
	for _, c := range silent {
		t.o.Logger.Warn().Str("clientId", c.ClientID).Stringer("remote", c.Conn.Remote()).Msg("no heartbeat: client dropped")
		t.closed(c.Conn) // a connection that does not close is gone from the table all the same
		c.Conn.Close("no heartbeat for " + silence.String())
	}
}

// join notes that a connection became a member of a group, and reports false when it is closed already.
func (t *Table) join(c mux.Conn, note func(s *connState)) bool {
	t.conns.Lock()
	s, known := t.conns.m[c.ID()]
	if !known {
		s = &connState{consumers: map[string]struct{}{}, producers: map[string]struct{}{}}
		t.conns.m[c.ID()] = s
	}
	t.conns.Unlock()
	s.mu.Lock()
	closed := s.closed
	if !closed {
		note(s)
	}
	s.mu.Unlock()
	if !known {
		// On a connection that is closed by now this runs at once, and undoes what was noted.
		c.OnClose(func() { t.closed(c) })
	}
	return !closed
}

// closed takes a connection out of its groups. It does not wait for anything but short mutexes.
func (t *Table) closed(c mux.Conn) {
	t.conns.Lock()
	s := t.conns.m[c.ID()]
	delete(t.conns.m, c.ID())
	t.conns.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	s.closed = true
	consumers, producers := s.consumers, s.producers
	s.mu.Unlock()
	for group := range consumers {
		t.leaveConsumer(group, c.ID(), true)
	}
	for group := range producers {
		t.leaveProducer(group, c.ID())
	}
}

// forget notes that a connection is no longer a member of a group.
func (t *Table) forget(conn uint64, note func(s *connState)) {
	t.conns.Lock()
	s := t.conns.m[conn]
	t.conns.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed { // closed reads the sets of a closed connection without the mutex
		note(s)
	}
}
