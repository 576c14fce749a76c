package rpc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

const (
	readBuffer = 64 << 10
	// keptBuffer is the largest write buffer that is kept for the next round.
	keptBuffer = 1 << 20
)

// link is one connection.
type link struct {
	c     *Client
	addr  string
	conn  net.Conn
	calls mux.Inflight
	wake  chan struct{} // holds one token when out has something or the link is closed
	// requests takes what the peer asks to the handler's goroutine, which starts with the first; only
	// the reader touches it.
	requests chan *protocol.Command

	mu     sync.Mutex
	out    []byte
	err    error // why the link is closed; nil while it is open
	closed bool
}

func newLink(c *Client, addr string, conn net.Conn) *link {
	return &link{c: c, addr: addr, conn: conn, wake: make(chan struct{}, 1)}
}

// send queues cmd.
func (l *link) send(cmd *protocol.Command) error {
	l.mu.Lock()
	switch {
	case l.closed:
		err := l.err
		l.mu.Unlock()
		return err
	case len(l.out) > l.c.o.MaxBacklog:
		l.mu.Unlock()
		return ErrBacklog
	}
	l.out = frame.Append(l.out, cmd)
	l.mu.Unlock()
	l.signal()
	return nil
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close closes the connection for the reason err; the first reason stays.
func (l *link) close(err error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed, l.err = true, err
	l.mu.Unlock()
	l.signal()
	_ = l.conn.Close()
}

func (l *link) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// reason returns why the link is closed.
func (l *link) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		return ErrClosed
	}
	return l.err
}

// write sends what send has queued until the link is closed.
func (l *link) write() {
	var spare []byte
	for range l.wake {
		l.mu.Lock()
		out, closed := l.out, l.closed
		l.out = spare[:0]
		l.mu.Unlock()
		if closed {
			return
		}
		if _, err := l.conn.Write(out); err != nil {
			l.close(fmt.Errorf("%w: %w", ErrClosed, err))
			return
		}
		if spare = out; cap(spare) > keptBuffer {
			spare = nil
		}
	}
}

// read takes frames until the connection ends.
func (l *link) read() {
	err := l.frames()
	if errors.Is(err, io.EOF) {
		err = errors.New("the peer closed the connection")
	}
	l.close(fmt.Errorf("%w: %w", ErrClosed, err))
}

func (l *link) frames() error {
	r := bufio.NewReaderSize(l.conn, readBuffer)
	for {
		prefix, err := r.Peek(frame.PrefixLength)
		if err != nil {
			return err
		}
		n, err := frame.Length(prefix)
		if err != nil {
			return err
		}
		// Whoever gets the command owns the frame, so each has its own memory. It grows as the bytes
		// come: a peer that announces 16 MiB has to send them.
		b, err := readFrame(r, n)
		if err != nil {
			return err
		}
		cmd := new(protocol.Command)
		if err := frame.Decode(b, cmd); err != nil {
			return err
		}
		if cmd.IsResponse() {
			l.calls.Answer(cmd)
		} else {
			l.request(cmd)
		}
	}
}

func readFrame(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, min(n, readBuffer))
	for at := 0; ; {
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, err
		}
		if at = len(b); at == n {
			return b, nil
		}
		bigger := make([]byte, min(n, 4*len(b)))
		copy(bigger, b)
		b = bigger
	}
}

// request takes one request of the peer. It runs on the reader and must not wait.
func (l *link) request(cmd *protocol.Command) {
	if l.c.o.Handle == nil {
		l.answer(cmd, protocol.NewResponse(protocol.RequestCodeNotSupported, fmt.Sprintf(" request type %d not supported", cmd.Code)))
		return
	}
	if l.requests == nil {
		l.requests = make(chan *protocol.Command, l.c.o.MaxRequests)
		l.c.wg.Go(func() {
			for cmd := range l.requests {
				if l.c.ctx.Err() == nil {
					l.answer(cmd, l.handle(cmd))
				}
			}
		})
	}
	select {
	case l.requests <- cmd:
	default:
		l.answer(cmd, protocol.NewResponse(protocol.SystemBusy, "[OVERLOAD]system busy, start flow control for a while"))
	}
}

// handle runs the handler; a panic in it is a bug that must not take the process down.
func (l *link) handle(cmd *protocol.Command) (resp *protocol.Command) {
	defer func() {
		if p := recover(); p != nil {
			l.c.o.Logger.Error().Str("peer", l.addr).Int32("code", cmd.Code).Str("stack", string(debug.Stack())).Msgf("BUG: handler panicked: %v", p)
			resp = protocol.NewResponse(protocol.SystemError, fmt.Sprintf("cannot handle request %d: %v", cmd.Code, p))
		}
	}()
	return l.c.o.Handle(l.addr, cmd)
}

func (l *link) answer(req, resp *protocol.Command) {
	if resp == nil || req.IsOneway() {
		return
	}
	resp.Opaque = req.Opaque
	resp.Flag |= protocol.FlagResponse
	if err := l.send(resp); err != nil && !errors.Is(err, ErrClosed) {
		// A peer that asks without reading its answers is of no use to anybody.
		l.close(err)
	}
}

// finish is the end of the reader: nothing comes any more.
func (l *link) finish() {
	l.c.o.Logger.Debug().Str("peer", l.addr).Err(l.reason()).Msg("connection to peer ended")
	if l.requests != nil {
		close(l.requests)
	}
	l.calls.Close()
}

// silenceMillis is the form the socket option takes.
func silenceMillis(d time.Duration) int { return max(1, int(d.Milliseconds())) }
