package session

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/skylarkmq/skylark/remoting/mux"
)

type producerGroup struct {
	name     string
	channels atomic.Pointer[[]*Channel] // never changed in place

	mu     sync.Mutex
	byConn map[uint64]*Channel
	dead   bool
}

// RegisterProducer notes a client of a producer group. Java: ProducerManager.registerProducer.
func (t *Table) RegisterProducer(c Client, group string) {
	for {
		g, _ := t.producers.LoadOrCreate(group, func(name string) *producerGroup {
			g := &producerGroup{name: name, byConn: map[uint64]*Channel{}}
			g.channels.Store(new([]*Channel))
			return g
		})
		g.mu.Lock()
		if g.dead {
			g.mu.Unlock()
			continue
		}
		was := g.byConn[c.Conn.ID()]
		if was != nil && was.ClientID == c.ID {
			was.seen.Store(t.o.Now().UnixNano())
			if t.clients.Load(c.ID) == nil { // its channel in another group was the last and left
				t.clients.Store(c.ID, was)
			}
			g.mu.Unlock()
			return
		}
		ch := t.channel(&c)
		g.byConn[c.Conn.ID()] = ch
		list := slices.DeleteFunc(slices.Clone(*g.channels.Load()), func(c *Channel) bool { return c == was })
		list = append(list, ch)
		g.channels.Store(&list)
		t.clients.Store(ch.ClientID, ch)
		g.mu.Unlock()
		t.o.Logger.Info().Str("group", g.name).Str("clientId", ch.ClientID).Stringer("remote", c.Conn.Remote()).Msg("producer connected")
		if !t.join(c.Conn, func(s *connState) { s.producers[g.name] = struct{}{} }) {
			t.leaveProducer(g.name, c.Conn.ID())
		}
		return
	}
}

// UnregisterProducer takes a connection out of a producer group. Java: ProducerManager.unregisterProducer.
func (t *Table) UnregisterProducer(group string, conn mux.Conn) {
	t.forget(conn.ID(), func(s *connState) { delete(s.producers, group) })
	t.leaveProducer(group, conn.ID())
}

func (t *Table) leaveProducer(group string, conn uint64) {
	g := t.producers.Load(group)
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	ch := g.byConn[conn]
	if ch == nil {
		return
	}
	delete(g.byConn, conn)
	list := slices.DeleteFunc(slices.Clone(*g.channels.Load()), func(c *Channel) bool { return c == ch })
	g.channels.Store(&list)
	t.clients.CompareAndDelete(ch.ClientID, ch)
	if len(g.byConn) == 0 {
		g.dead = true
		t.producers.CompareAndDelete(group, g)
	}
	t.o.Logger.Info().Str("group", g.name).Str("clientId", ch.ClientID).Stringer("remote", ch.Conn.Remote()).Msg("producer gone")
}

// PickProducer returns one of a producer group's channels, another one at each call, nil when there is
// none. It takes no lock and allocates nothing. Java: ProducerManager.getAvailableChannel.
func (t *Table) PickProducer(group string) *Channel {
	list := t.Producers(group)
	if len(list) == 0 {
		return nil
	}
	return list[int(t.next.Add(1)%uint32(len(list)))]
}

// Producers returns a producer group's channels, nil when there are none. The slice must not be changed.
func (t *Table) Producers(group string) []*Channel {
	if g := t.producers.Load(group); g != nil {
		return *g.channels.Load()
	}
	return nil
}

// FindProducer returns the channel on which a client last registered as a producer, nil when there is
// none. Java: ProducerManager.findChannel.
func (t *Table) FindProducer(clientID string) *Channel { return t.clients.Load(clientID) }

// EachProducer calls fn for every producer group that has live producers until it returns false.
func (t *Table) EachProducer(fn func(group string, channels []*Channel) bool) {
	t.producers.Range(func(_ string, g *producerGroup) bool {
		list := *g.channels.Load()
		return len(list) == 0 || fn(g.name, list)
	})
}
