// Package conntest is a mux.Conn without a socket, for tests of the broker's packages.
package conntest

import (
	"net/netip"
	"sync"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// Conn collects what is written to it.
type Conn struct {
	id uint64
	// Sent gets every command that is written while the connection is open. It holds 1024.
	Sent  chan *protocol.Command
	calls mux.Inflight

	mu      sync.Mutex
	closed  bool
	reason  string
	onClose []func()
}

// New returns an open connection from 127.0.0.1:<40000 + id>.
func New(id uint64) *Conn { return &Conn{id: id, Sent: make(chan *protocol.Command, 1024)} }

// ID implements mux.Conn.
func (c *Conn) ID() uint64 { return c.id }

// Remote implements mux.Conn.
func (c *Conn) Remote() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(40000+c.id))
}

// LocalPort implements mux.Conn.
func (c *Conn) LocalPort() int { return 10911 }

// Write implements mux.Conn. A frame that does not decode is a mistake of the sender and panics.
func (c *Conn) Write(b *mux.Buffer) {
	cmd := new(protocol.Command)
	if err := frame.Decode(b.B, cmd); err != nil {
		panic(err)
	}
	cmd = cmd.Clone()
	b.Release()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.Sent <- cmd
	}
}

// Close implements mux.Conn.
func (c *Conn) Close(reason string) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed, c.reason = true, reason
	fns := c.onClose
	c.mu.Unlock()
	c.calls.Close()
	for _, fn := range fns {
		fn()
	}
}

// OnClose implements mux.Conn.
func (c *Conn) OnClose(fn func()) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.onClose = append(c.onClose, fn)
	}
	c.mu.Unlock()
	if closed {
		fn()
	}
}

// Calls implements mux.Conn.
func (c *Conn) Calls() *mux.Inflight { return &c.calls }

// Closed implements mux.Conn.
func (c *Conn) Closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Congested implements mux.Conn.
func (c *Conn) Congested() bool { return false }

// Reason returns why the connection was closed, "" while it is open.
func (c *Conn) Reason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}
