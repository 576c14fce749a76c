package namesrv

import (
	"maps"
	"sync"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// departure is a broker that is to leave the tables. With conn set it is every broker that registered on
// that connection last; with silent set only one that has still not been heard of.
type departure struct {
	addr   brokerAddr
	name   string
	id     int64
	conn   uint64
	silent bool
	done   chan struct{} // closed when the broker is gone; nil: nobody waits
}

// remover takes brokers out of the tables, all that wait at once: each round walks over every topic.
// Java: BatchUnregistrationService.
type remover struct {
	t        *topology
	capacity int
	notify   func(changes []minIDChange)
	wake     chan struct{}
	ended    chan struct{}

	mu      sync.Mutex
	waiting []departure
	watched map[uint64]struct{} // connections whose end is noticed
	closed  bool
}

func newRemover(t *topology, capacity int, notify func(changes []minIDChange)) *remover {
	r := &remover{
		t: t, capacity: capacity, notify: notify, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		watched: map[uint64]struct{}{},
	}
	go r.run()
	return r
}

// add queues a departure and returns what is closed when it has been carried out, or nil when too many
// wait already.
func (r *remover) add(d departure) <-chan struct{} {
	d.done = make(chan struct{})
	r.mu.Lock()
	if r.closed || len(r.waiting) >= r.capacity {
		r.mu.Unlock()
		return nil
	}
	r.waiting = append(r.waiting, d)
	r.mu.Unlock()
	r.signal()
	return d.done
}

// watch makes the end of the connection the end of the brokers that registered on it. It is called after
// the registration, so that an end in between is noticed as well.
func (r *remover) watch(c mux.Conn) {
	id := c.ID()
	r.mu.Lock()
	_, known := r.watched[id]
	if !known && !r.closed {
		r.watched[id] = struct{}{}
	}
	r.mu.Unlock()
	if known {
		return
	}
	c.OnClose(func() {
		r.mu.Lock()
		delete(r.watched, id)
		if !r.closed {
			// Not bounded by capacity: there are no more of these than connections.
			r.waiting = append(r.waiting, departure{conn: id})
		}
		r.mu.Unlock()
		r.signal()
	})
}

func (r *remover) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *remover) run() {
	defer close(r.ended)
	for range r.wake {
		r.mu.Lock()
		round, closed := r.waiting, r.closed
		r.waiting = nil
		r.mu.Unlock()
		if len(round) > 0 {
			r.notify(r.t.remove(round))
		}
		for _, d := range round {
			if d.done != nil {
				close(d.done)
			}
		}
		if closed {
			return
		}
	}
}

// close carries out what waits and ends the goroutine.
func (r *remover) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.signal()
	<-r.ended
}

// remove carries departures out. Java: RouteInfoManager.unRegisterBroker.
func (t *topology) remove(round []departure) (changes []minIDChange) {
	t.mu.Lock()
	defer t.unlock()
	gone, fewer := map[string]bool{}, map[string]bool{}
	for _, d := range round {
		for _, d := range t.resolve(d) {
			if c, changed := t.leave(d, gone, fewer); changed {
				changes = append(changes, c)
			}
		}
	}
	t.routes.clear()
	for name := range fewer {
		// Without its master a group that has a stand-in is not written to.
		if g := t.groups[name]; g == nil || !g.actingMaster || g.addrs[masterID] != "" {
			delete(fewer, name)
		}
	}
	if len(gone)+len(fewer) == 0 {
		return changes
	}
	for topic, queues := range t.topics {
		maps.DeleteFunc(queues, func(name string, _ body.QueueData) bool { return gone[name] })
		if len(queues) == 0 {
			t.forget(topic)
		}
		for name := range fewer {
			if q, ok := queues[name]; ok {
				q.Perm &^= permWrite
				queues[name] = q
			}
		}
	}
	return changes
}

// resolve returns the departures that name a broker for one that may name a connection. Between the end
// of a connection, or a silence, and now the broker may have come back; then there are none.
func (t *topology) resolve(d departure) []departure {
	if d.conn == 0 && !d.silent {
		return []departure{d}
	}
	var out []departure
	for a, l := range t.live {
		if d.conn != 0 && l.conn.ID() != d.conn || d.silent && (a != d.addr || !t.silent(l)) {
			continue
		}
		delete(t.live, a) // even if no group has the address any more
		delete(t.filters, a)
		for name, g := range t.groups {
			for id, addr := range g.addrs {
				if g.cluster == a.cluster && addr == a.addr {
					out = append(out, departure{addr: a, name: name, id: id})
				}
			}
		}
		t.say(func() {
			t.log.Info().Str("cluster", a.cluster).Str("addr", a.addr).Bool("silent", d.silent).Msg("broker lost")
		})
	}
	return out
}

// leave takes one broker out of all tables but topics, and notes in gone or fewer what became of its
// group. changed tells that the group has another smallest id.
func (t *topology) leave(d departure, gone, fewer map[string]bool) (c minIDChange, changed bool) {
	delete(t.live, d.addr)
	delete(t.filters, d.addr)
	g := t.groups[d.name]
	if g == nil {
		return c, false
	}
	before := len(g.addrs)
	wasMin := before > 0 && d.id == g.minID()
	maps.DeleteFunc(g.addrs, func(_ int64, addr string) bool { return addr == d.addr.addr })
	if len(g.addrs) < before {
		t.say(func() {
			t.log.Info().Str("broker", d.name).Int64("id", d.id).Str("addr", d.addr.addr).Msg("broker left")
		})
	}
	if len(g.addrs) > 0 {
		fewer[d.name] = true
		if !wasMin || len(g.addrs) == before || !g.actingMaster {
			return c, false
		}
		return minIDChange{addrs: maps.Clone(g.addrs), offline: d.addr.addr}, true
	}
	gone[d.name] = true
	delete(t.groups, d.name)
	for _, cluster := range []string{d.addr.cluster, g.cluster} {
		delete(t.clusters[cluster], d.name)
		if len(t.clusters[cluster]) == 0 {
			delete(t.clusters, cluster)
		}
	}
	return c, false
}
