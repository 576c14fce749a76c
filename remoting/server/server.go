// Package server listens for remoting connections and gives their frames to a mux.
//
// Goroutines: gnet's event loops, which read, split frames, run mux sessions and write; and one sweeper,
// which closes idle connections. Replies come from any goroutine: Conn.Write queues them under the
// connection's own short mutex and asks the connection's loop, once for all that is queued, to write
// them out together.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/mux"
)

// Options of a server. Zero values take the defaults named.
type Options struct {
	Logger zerolog.Logger
	// Bind is the address to listen on, 0.0.0.0 by default (Java: bindAddress).
	Bind string
	// Ports to listen on, at least one; 0 is not allowed, pick a free one before.
	Ports []int
	// Mux gets the frames.
	Mux *mux.Mux
	// Loops is the number of event loops; 0: one for each CPU up to 4.
	Loops int
	// MaxIdle closes a connection without traffic in either direction; 0: 120 s
	// (Java: serverChannelMaxIdleTimeSeconds).
	MaxIdle time.Duration
	// MaxConnections are accepted at once; 0: half the process's limit on open files.
	MaxConnections int
	// MaxBacklog is how many bytes of replies may wait for one peer that does not read; 0: 64 MiB.
	MaxBacklog int
	// MaxBacklogTotal is how many bytes of replies may wait for all peers together; past it, peers with much
	// are closed and the others count as congested sooner. 0: 128 MiB.
	MaxBacklogTotal int64
	// MaxPartial is how many bytes of unfinished frames are kept over all connections; past it, those
	// that hold the most are closed. 0: 256 MiB.
	MaxPartial int64
}

func (o Options) withDefaults() (Options, error) {
	if len(o.Ports) == 0 || o.Mux == nil {
		return o, errors.New("BUG: server needs a port and a mux")
	}
	if o.Bind == "" {
		o.Bind = "0.0.0.0"
	}
	if o.MaxIdle == 0 {
		o.MaxIdle = 120 * time.Second
	}
	if o.MaxBacklog == 0 {
		o.MaxBacklog = 64 << 20
	}
	if o.MaxBacklogTotal == 0 {
		o.MaxBacklogTotal = 128 << 20
	}
	if o.MaxPartial == 0 {
		o.MaxPartial = 256 << 20
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = 65536
		if n := openFiles(); n > 0 {
			o.MaxConnections = max(16, int(min(n/2, 65536)))
		}
	}
	return o, nil
}

// Stats of a server.
type Stats struct {
	Connections int
	Accepted    uint64
	Malformed   uint64 // connections closed for a frame that is none
	SlowReaders uint64 // connections closed for their backlog
	Refused     uint64 // connections over MaxConnections
}

// Server is a set of listeners with one mux.
type Server struct {
	o       Options
	h       *handler
	eng     gnet.Engine
	stopped chan struct{} // closed when gnet has returned
	runErr  error
	sweepWG sync.WaitGroup
	stop    chan struct{}
	once    sync.Once
	listens []int // file descriptors of gnet's listeners, where they can be had
}

// Open listens on all ports and serves. It fails when a port is taken.
func Open(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	addrs := make([]string, len(o.Ports))
	for i, p := range o.Ports {
		addrs[i] = "tcp://" + net.JoinHostPort(o.Bind, strconv.Itoa(p))
	}
	s := &Server{o: o, stopped: make(chan struct{}), stop: make(chan struct{})}
	s.h = &handler{o: o, booted: make(chan gnet.Engine, 1), conns: map[*conn]struct{}{}}
	opts := []gnet.Option{gnet.WithReadBufferCap(readBuffer), gnet.WithReuseAddr(true), gnet.WithTCPNoDelay(gnet.TCPNoDelay), gnet.WithLogger(gnetLogger{o.Logger}), gnet.WithTicker(false)}
	if o.Loops > 0 {
		opts = append(opts, gnet.WithNumEventLoop(o.Loops))
	} else {
		opts = append(opts, gnet.WithNumEventLoop(defaultLoops()))
	}
	go func() {
		defer close(s.stopped)
		s.runErr = gnet.Rotate(s.h, addrs, opts...)
	}()
	select {
	case s.eng = <-s.h.booted:
	case <-s.stopped:
		return nil, fmt.Errorf("cannot listen on %v: %w", addrs, s.runErr)
	}
	for _, a := range addrs {
		if fd, err := listenerFD(s.eng, strings.TrimPrefix(a, "tcp://")); err == nil {
			s.listens = append(s.listens, fd)
		}
	}
	s.sweepWG.Go(s.sweep)
	return s, nil
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.h.mu.Lock()
	n := len(s.h.conns)
	s.h.mu.Unlock()
	return Stats{n, s.h.accepted.Load(), s.h.malformed.Load(), s.h.slow.Load(), s.h.refused.Load()}
}

// Drain waits until every reply queued so far is handed to the kernel or ctx ends.
func (s *Server) Drain(ctx context.Context) {
	s.h.mu.Lock()
	conns := make([]*conn, 0, len(s.h.conns))
	for c := range s.h.conns {
		conns = append(conns, c)
	}
	s.h.mu.Unlock()
	for _, c := range conns {
		passed := make(chan struct{})
		err := c.loop.Execute(ctx, gnet.RunnableFunc(func(context.Context) error {
			close(passed)
			return nil
		}))
		if err != nil {
			continue
		}
		select {
		case <-passed:
		case <-ctx.Done():
			return
		}
	}
}

// Refuse has connections refused from now on; those that are open stay. A client that is told to go on elsewhere
// first tries a new connection: refused, it fails at once, while on one that is accepted and closes soon it would wait
// for its whole timeout. Where a listener cannot be closed alone, it does nothing.
func (s *Server) Refuse() {
	for _, fd := range s.listens {
		if err := stopListening(fd); err != nil {
			s.o.Logger.Warn().Err(err).Msg("cannot close a listener ahead of its connections")
		}
	}
	s.listens = nil
}

// quietFor is how long nothing may come for connections to count as quiet, longer than the way there and back.
const quietFor = 20 * time.Millisecond

// Quiet waits until nothing has come or gone on any connection for a moment, or ctx ends.
func (s *Server) Quiet(ctx context.Context) {
	for {
		last := int64(0)
		s.h.mu.Lock()
		for c := range s.h.conns {
			last = max(last, c.active.Load())
		}
		s.h.mu.Unlock()
		left := quietFor - time.Since(time.Unix(0, last))
		if left <= 0 {
			return
		}
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return
		}
	}
}

// Close closes the listeners and all connections and waits for the loops to end. Closing twice is fine.
func (s *Server) Close() error {
	s.once.Do(func() {
		close(s.stop)
		s.sweepWG.Wait()
		// Stop polls every 500 ms for the end; Rotate's return is the same event, at once.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.eng.Stop(ctx)
		<-s.stopped
	})
	return s.runErr
}

func (s *Server) sweep() {
	every := min(s.o.MaxIdle/4, 5*time.Second)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-t.C:
			limit := now.Add(-s.o.MaxIdle).UnixNano()
			s.h.mu.Lock()
			var idle []*conn
			for c := range s.h.conns {
				if c.active.Load() < limit {
					idle = append(idle, c)
				}
			}
			s.h.mu.Unlock()
			for _, c := range idle {
				c.Close("idle")
			}
		}
	}
}

// handler is gnet's event handler.
type handler struct {
	gnet.BuiltinEventEngine
	o       Options
	booted  chan gnet.Engine
	ids     atomic.Uint64
	partial atomic.Int64 // bytes of unfinished frames
	backlog atomic.Int64 // bytes of replies not sent yet

	accepted, malformed, slow, refused atomic.Uint64

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// OnBoot tells Open that all listeners are there.
func (h *handler) OnBoot(eng gnet.Engine) gnet.Action {
	h.booted <- eng
	return gnet.None
}
