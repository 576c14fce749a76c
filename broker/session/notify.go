package session

import (
	"sync"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// notifier holds the groups whose consumers are to be told. A group that changes again before it was its
// turn is told once, so a thousand connections that end together cost one round and not a thousand.
type notifier struct {
	wake chan struct{}

	mu      sync.Mutex
	pending []*consumerGroup
}

// changed asks for the group's consumers to be told, unless they consume by broadcasting: those share no
// queues. It does not wait.
func (t *Table) changed(g *consumerGroup) {
	if g.view.Load().broadcasting() || t.o.NotifyEnabled != nil && !t.o.NotifyEnabled() {
		return
	}
	n := &t.notify
	n.mu.Lock()
	if !g.notified {
		g.notified = true
		n.pending = append(n.pending, g)
	}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// send tells groups until the table is closed. Java: DefaultConsumerIdsChangeListener, Broker2Client.
func (t *Table) send() {
	n := &t.notify
	var opaque int32
	for {
		select {
		case <-t.stop:
			return
		case <-n.wake:
		}
		n.mu.Lock()
		groups := n.pending
		n.pending = nil
		for _, g := range groups {
			g.notified = false // what changes from here on is told again
		}
		n.mu.Unlock()
		for _, g := range groups {
			v := g.view.Load()
			if len(v.Channels) == 0 {
				continue
			}
			req := protocol.NewRequest(protocol.NotifyConsumerIdsChanged, &header.NotifyConsumerIdsChangedRequest{ConsumerGroup: v.Name})
			req.Flag |= protocol.FlagOneway
			for _, c := range v.Channels {
				opaque++
				req.Opaque = opaque
				mux.Send(c.Conn, req)
			}
		}
	}
}
