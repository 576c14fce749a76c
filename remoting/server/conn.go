package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
)

const (
	// readBuffer is what a loop reads at once; larger reads mean larger append rounds.
	readBuffer = 256 << 10
	// bigPartial is how much of an unfinished frame a connection may keep however full MaxPartial is.
	bigPartial = 256 << 10
	// coalesce is the largest reply that is copied behind the one before it instead of being sent as a
	// piece of its own.
	coalesce = 4 << 10
	// slowBacklog is from where on a connection is congested; smallBacklog while all together hold more than
	// Options.MaxBacklogTotal.
	slowBacklog  = 4 << 20
	smallBacklog = 128 << 10
	// bigBacklog is what a connection may hold whatever the others do.
	bigBacklog = 8 << 20
)

func defaultLoops() int { return min(runtime.NumCPU(), 4) }

// conn is one gnet connection. It implements mux.Conn.
type conn struct {
	id        uint64
	h         *handler
	g         gnet.Conn
	loop      gnet.EventLoop
	remote    netip.AddrPort
	localPort int
	session   *mux.Session
	calls     mux.Inflight
	active    atomic.Int64 // unix ns of the last traffic
	partial   int64        // loop only: bytes of an unfinished frame, counted in h.partial
	iov       [][]byte     // loop only
	gone      bool         // loop only: a write has failed, the peer takes no more

	mu        sync.Mutex
	out       []*mux.Buffer
	spare     []*mux.Buffer
	pending   int // bytes in out
	buffered  int // bytes gnet holds, as of the last write
	scheduled bool
	closed    bool
	reason    string
	onClose   []func()
}

// OnOpen makes the connection's session.
func (h *handler) OnOpen(g gnet.Conn) ([]byte, gnet.Action) {
	h.mu.Lock()
	full := len(h.conns) >= h.o.MaxConnections
	h.mu.Unlock()
	if full {
		if n := h.refused.Add(1); n&(n-1) == 0 {
			h.o.Logger.Warn().Int("limit", h.o.MaxConnections).Uint64("refused", n).Msg("connection refused, too many are open")
		}
		return nil, gnet.Close
	}
	c := &conn{id: h.ids.Add(1), h: h, g: g, loop: g.EventLoop()}
	if a, ok := g.RemoteAddr().(*net.TCPAddr); ok {
		c.remote = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
	}
	if a, ok := g.LocalAddr().(*net.TCPAddr); ok {
		c.localPort = a.Port
	}
	c.active.Store(time.Now().UnixNano())
	c.session = h.o.Mux.Open(c)
	g.SetContext(c)
	h.accepted.Add(1)
	h.mu.Lock()
	h.conns[c] = struct{}{}
	h.mu.Unlock()
	return nil, gnet.None
}

// OnClose ends the connection's life.
func (h *handler) OnClose(g gnet.Conn, err error) gnet.Action {
	c, ok := g.Context().(*conn)
	if !ok {
		return gnet.None
	}
	h.mu.Lock()
	delete(h.conns, c)
	h.mu.Unlock()
	h.partial.Add(-c.partial)
	c.partial, c.gone = 0, true
	c.mu.Lock()
	c.closed = true
	fns, out, reason := c.onClose, c.out, c.reason
	h.backlog.Add(-int64(c.pending + c.buffered))
	c.onClose, c.out, c.pending, c.buffered = nil, nil, 0, 0
	c.mu.Unlock()
	for _, b := range out {
		b.Release()
	}
	c.calls.Close()
	if reason != "" {
		h.o.Logger.Info().Stringer("remote", c.remote).Str("reason", reason).Msg("connection closed by us")
	}
	for _, fn := range fns {
		fn()
	}
	return gnet.None
}

// OnTraffic gives every whole frame that was read to the session.
func (h *handler) OnTraffic(g gnet.Conn) (action gnet.Action) {
	c := g.Context().(*conn)
	defer func() {
		// gnet does not recover: a panic here would end the process.
		if p := recover(); p != nil {
			h.o.Logger.Error().Stringer("remote", c.remote).Str("stack", string(debug.Stack())).Msgf("BUG: event loop panicked: %v", p)
			action = gnet.Close
		}
	}()
	c.active.Store(time.Now().UnixNano())
	err := c.frames()
	c.session.Flush()
	if err != nil {
		h.malformed.Add(1)
		h.o.Logger.Warn().Stringer("remote", c.remote).Err(err).Msg("connection closed, its peer does not speak the remoting protocol")
		return gnet.Close
	}
	return c.account()
}

func (c *conn) frames() error {
	for {
		have := c.g.InboundBuffered()
		if have < 4 {
			return nil
		}
		b, err := c.g.Peek(min(have, frame.PrefixLength))
		if err != nil {
			return err
		}
		n, err := frame.Length(b)
		if err != nil {
			return err
		}
		if n == 0 || n > have {
			return nil
		}
		if b, err = c.g.Peek(n); err != nil {
			return err
		}
		if err := c.session.Frame(b); err != nil {
			return err
		}
		if _, err := c.g.Discard(n); err != nil {
			return err
		}
	}
}

// account keeps the memory of unfinished frames within bounds.
func (c *conn) account() gnet.Action {
	left := int64(c.g.InboundBuffered())
	if left == c.partial {
		return gnet.None
	}
	total := c.h.partial.Add(left - c.partial)
	c.partial = left
	if total > c.h.o.MaxPartial && left > bigPartial {
		c.h.o.Logger.Warn().Stringer("remote", c.remote).Int64("bytes", left).Int64("total", total).Msg("connection closed, unfinished frames take too much memory")
		return gnet.Close
	}
	return gnet.None
}

// ID implements mux.Conn.
func (c *conn) ID() uint64 { return c.id }

// Remote implements mux.Conn.
func (c *conn) Remote() netip.AddrPort { return c.remote }

// LocalPort implements mux.Conn.
func (c *conn) LocalPort() int { return c.localPort }

// Calls implements mux.Conn.
func (c *conn) Calls() *mux.Inflight { return &c.calls }

// Close implements mux.Conn.
func (c *conn) Close(reason string) {
	c.mu.Lock()
	if c.closed || c.reason != "" {
		c.mu.Unlock()
		return
	}
	c.reason = reason
	c.mu.Unlock()
	_ = c.g.Close()
}

// OnClose implements mux.Conn.
func (c *conn) OnClose(fn func()) {
	c.mu.Lock()
	if !c.closed {
		c.onClose = append(c.onClose, fn)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	fn()
}

// Write implements mux.Conn.
func (c *conn) Write(b *mux.Buffer) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		b.Release()
		return
	}
	n := len(b.Bytes())
	if last := len(c.out) - 1; last >= 0 && n <= coalesce && cap(c.out[last].B)-len(c.out[last].B) >= n {
		c.out[last].B = append(c.out[last].B, b.Bytes()...)
		b.Release()
	} else {
		c.out = append(c.out, b)
	}
	c.pending += n
	total := c.h.backlog.Add(int64(n))
	have := c.pending + c.buffered
	slow := have > c.h.o.MaxBacklog || have > bigBacklog && total > c.h.o.MaxBacklogTotal
	schedule := !c.scheduled
	c.scheduled = true
	c.mu.Unlock()
	if slow {
		c.tooSlow(have)
		return
	}
	if schedule {
		c.schedule()
	}
}

// schedule asks the loop to call Run; the caller has set c.scheduled.
func (c *conn) schedule() {
	if c.loop.Execute(context.Background(), c) != nil {
		c.mu.Lock()
		c.scheduled = false // the engine is shutting down
		c.mu.Unlock()
	}
}

// Closed implements mux.Conn.
func (c *conn) Closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed || c.reason != ""
}

// Congested implements mux.Conn. gnet does not tell when it has sent what it holds, so a connection that
// looks congested is looked at again by its loop.
func (c *conn) Congested() bool {
	limit := slowBacklog
	if c.h.backlog.Load() > c.h.o.MaxBacklogTotal {
		limit = smallBacklog
	}
	c.mu.Lock()
	slow := !c.closed && c.pending+c.buffered > limit
	schedule := slow && !c.scheduled
	if schedule {
		c.scheduled = true
	}
	c.mu.Unlock()
	if schedule {
		c.schedule()
	}
	return slow
}

// Run implements gnet.Runnable: it writes out what is queued, on the loop.
func (c *conn) Run(context.Context) error {
	c.mu.Lock()
	out, taken := c.out, c.pending
	c.out, c.spare = c.spare[:0], nil
	c.pending, c.scheduled = 0, false
	closed := c.closed
	c.mu.Unlock()
	if !closed {
		c.write(out)
	}
	for i, b := range out {
		b.Release()
		out[i] = nil
	}
	c.mu.Lock()
	c.spare = out
	held := 0
	if !c.closed {
		held = c.g.OutboundBuffered()
		c.h.backlog.Add(int64(held - c.buffered - taken))
		c.buffered = held
	} else {
		c.h.backlog.Add(-int64(taken)) // closed by the write itself: OnClose did not see these
	}
	c.mu.Unlock()
	if held > c.h.o.MaxBacklog {
		c.tooSlow(held)
	}
	return nil
}

// write sends buffers in order. The connection is not closed when that fails: requests that the peer sent
// before it went may still wait in the socket, and reading them finds the end by itself.
func (c *conn) write(out []*mux.Buffer) {
	for len(out) > 0 && !c.gone {
		c.iov = c.iov[:0]
		for _, b := range out[:min(len(out), maxIovecs)] {
			c.iov = append(c.iov, b.Bytes())
		}
		out = out[len(c.iov):]
		rest := c.iov
		if c.g.OutboundBuffered() == 0 {
			rest = c.send(rest)
		}
		if len(rest) > 0 && !c.gone {
			_, _ = c.g.Writev(rest) // what the kernel did not take, gnet keeps and sends later
		}
		clear(c.iov)
	}
	c.active.Store(time.Now().UnixNano())
}

// maxIovecs is the most pieces one writev takes (Linux: UIO_MAXIOV).
const maxIovecs = 1024

func (c *conn) tooSlow(n int) {
	c.h.slow.Add(1)
	c.Close(fmt.Sprintf("the peer does not read its replies, %d bytes wait", n))
}

// gnetLogger takes gnet's own messages. Its errors are mostly peers that went away.
type gnetLogger struct{ l zerolog.Logger }

// Debugf implements gnet's logging.Logger.
func (g gnetLogger) Debugf(format string, args ...any) { g.l.Debug().Msgf(format, args...) }

// Infof implements gnet's logging.Logger.
func (g gnetLogger) Infof(format string, args ...any) { g.l.Debug().Msgf(format, args...) }

// Warnf implements gnet's logging.Logger.
func (g gnetLogger) Warnf(format string, args ...any) { g.l.Debug().Msgf(format, args...) }

// Errorf implements gnet's logging.Logger.
func (g gnetLogger) Errorf(format string, args ...any) { g.l.Warn().Msgf(format, args...) }

// Fatalf implements gnet's logging.Logger; it never ends the process.
func (g gnetLogger) Fatalf(format string, args ...any) { g.l.Error().Msgf(format, args...) }
