// Package rpc is the calling side of remoting: what a server uses to send requests to other servers, a
// broker to its name servers and to other brokers.
//
// A Client keeps at most one connection for each address. A connection has one goroutine that reads and
// one that writes; the writer sends what has gathered since its last write at once, so that many small
// requests cost one system call. A third goroutine handles the requests that the peer sends, one after
// the other in the order they came, once the first one has come. Dialling happens in a goroutine of its
// own; calls to the same address wait for its result together. Close ends all of them and waits.
//
// Nothing is ever sent twice: when a connection breaks, the calls on it fail, and the next call dials.
//
// Lock order: Client.mu before link.mu. No I/O happens under either.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// ErrClosed means that the connection broke before the answer came, or that the client is closed.
var ErrClosed = mux.ErrClosed

// ErrBacklog means that the peer does not read: more than Options.MaxBacklog bytes wait for it.
var ErrBacklog = errors.New("the peer does not read its requests")

// Handler answers a request that came in on the connection this side opened to addr. It may keep the command, and
// may call Invoke, not Close. It returns the response, or nil to send none; that of a one-way request is dropped.
type Handler func(addr string, cmd *protocol.Command) *protocol.Command

// Options of a client. Zero values take the defaults named.
type Options struct {
	Logger zerolog.Logger
	// DialTimeout bounds the time to connect; 0: 3 s (Java: NettyClientConfig.connectTimeoutMillis).
	DialTimeout time.Duration
	// Silence is how long a peer's machine may leave what was sent to it unacknowledged before the
	// connection is given up; a peer that is slow but alive keeps it. 0: 30 s.
	Silence time.Duration
	// MaxBacklog is how many bytes may wait for one peer; 0: 64 MiB.
	MaxBacklog int
	// Handle answers requests of peers; nil: all are refused with REQUEST_CODE_NOT_SUPPORTED.
	Handle Handler
	// MaxRequests is how many requests of one peer may wait for Handle; 0: 1024. What comes on top is
	// refused with SYSTEM_BUSY.
	MaxRequests int
}

func (o Options) withDefaults() Options {
	if o.DialTimeout <= 0 {
		o.DialTimeout = 3 * time.Second
	}
	if o.Silence <= 0 {
		o.Silence = 30 * time.Second
	}
	if o.MaxBacklog <= 0 {
		o.MaxBacklog = 64 << 20
	}
	if o.MaxRequests <= 0 {
		o.MaxRequests = 1024
	}
	return o
}

// Client sends requests to any number of addresses. All methods are safe from any goroutine.
type Client struct {
	o      Options
	ctx    context.Context // ends when the client is closed
	cancel context.CancelFunc
	wg     sync.WaitGroup // dialling goroutines and those of all connections

	mu     sync.Mutex
	peers  map[string]*peer
	closed bool
}

// peer is one address that is connected or being dialled. Its fields are set before ready is closed and
// never again.
type peer struct {
	ready chan struct{}
	link  *link
	err   error
}

// broken tells whether the peer's connection ended, which its reader may not have noticed yet.
func (p *peer) broken() bool {
	select {
	case <-p.ready:
		return p.link == nil || p.link.broken()
	default:
		return false
	}
}

// New returns a client without connections.
func New(o Options) *Client {
	c := &Client{o: o.withDefaults(), peers: map[string]*peer{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Invoke sends cmd to addr, "host:port", and waits for the answer, whatever its code, until ctx ends.
// It leaves cmd as it is, so one command may go to several addresses at the same time. Errors name the
// address and the code, and wrap ctx's error, ErrClosed, ErrBacklog or that of the dialler.
func (c *Client) Invoke(ctx context.Context, addr string, cmd *protocol.Command) (*protocol.Command, error) {
	resp, err := c.invoke(ctx, addr, cmd)
	if err != nil {
		return nil, fmt.Errorf("cannot get an answer from %s to request %d: %w", addr, cmd.Code, err)
	}
	return resp, nil
}

func (c *Client) invoke(ctx context.Context, addr string, cmd *protocol.Command) (*protocol.Command, error) {
	l, err := c.link(ctx, addr)
	if err != nil {
		return nil, err
	}
	opaque, answer := l.calls.Begin()
	defer l.calls.End(opaque)
	req := *cmd
	req.Opaque = opaque
	req.Flag &^= protocol.FlagResponse | protocol.FlagOneway
	if err := l.send(&req); err != nil {
		return nil, err
	}
	select {
	case resp, ok := <-answer:
		if !ok {
			return nil, l.reason()
		}
		return resp, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Oneway queues cmd, marked as one-way, for addr; it waits only while the connection is being dialled.
// No error means that the request was queued, not that it has arrived.
func (c *Client) Oneway(addr string, cmd *protocol.Command) error {
	l, err := c.link(c.ctx, addr)
	if err == nil {
		req := *cmd
		req.Opaque, _ = l.calls.Begin()
		l.calls.End(req.Opaque)
		req.Flag = req.Flag&^protocol.FlagResponse | protocol.FlagOneway
		err = l.send(&req)
	}
	if err != nil {
		return fmt.Errorf("cannot send one-way request %d to %s: %w", cmd.Code, addr, err)
	}
	return nil
}

// Disconnect closes the connection to addr, if there is one. Calls waiting on it fail.
func (c *Client) Disconnect(addr string) {
	c.mu.Lock()
	p := c.peers[addr]
	c.mu.Unlock()
	if p == nil {
		return
	}
	select {
	case <-p.ready:
		if p.link != nil {
			p.link.close(ErrClosed)
		}
	default: // being dialled: nobody uses it yet
	}
}

// Close closes all connections and waits until every goroutine has ended, handlers included. Calls that
// wait, and later ones, fail with ErrClosed. Closing twice is fine.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	peers := make([]*peer, 0, len(c.peers))
	for _, p := range c.peers {
		peers = append(peers, p)
	}
	c.mu.Unlock()
	c.cancel() // ends dialling
	for _, p := range peers {
		<-p.ready
		if p.link != nil {
			p.link.close(ErrClosed)
		}
	}
	c.wg.Wait()
	return nil
}

// link returns the connection to addr, dialling it if need be.
func (c *Client) link(ctx context.Context, addr string) (*link, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	p := c.peers[addr]
	if p == nil || p.broken() {
		p = &peer{ready: make(chan struct{})}
		c.peers[addr] = p
		c.wg.Go(func() { c.dial(addr, p) })
	}
	c.mu.Unlock()
	select {
	case <-p.ready:
		return p.link, p.err
	case <-ctx.Done():
		if c.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return nil, ctx.Err()
	}
}

// dial connects to addr on behalf of every call that waits for p.
func (c *Client) dial(addr string, p *peer) {
	d := net.Dialer{
		Timeout: c.o.DialTimeout,
		Control: limitSilence(c.o.Silence),
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: c.o.Silence / 2, Interval: c.o.Silence / 6, Count: 3,
		},
	}
	conn, err := d.DialContext(c.ctx, "tcp", addr)
	if err != nil {
		c.forget(addr, p)
		if c.ctx.Err() != nil {
			err = ErrClosed
		}
		p.err = err
		close(p.ready)
		return
	}
	l := newLink(c, addr, conn)
	p.link = l
	c.wg.Go(l.write)
	c.wg.Go(func() {
		l.read()
		c.forget(addr, p)
		l.finish()
	})
	close(p.ready)
}

// forget makes the next call to addr dial again.
func (c *Client) forget(addr string, p *peer) {
	c.mu.Lock()
	if c.peers[addr] == p {
		delete(c.peers, addr)
	}
	c.mu.Unlock()
}
