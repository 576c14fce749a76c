// Package ops is the HTTP listener for operators: is the process alive (/healthz), may it be sent to
// (/readyz), how is it (/metrics, for Prometheus), of a name server where name servers are (/rocketmq/nsaddr) and, on loopback only, what is it doing (/debug/pprof/).
// It is opened before the store recovers, so that a long recovery can be told from a hang.
//
// It serves strangers: each request and each connection has little time and room, and there are not many of
// them at once. It has no authentication; by default it is off, and it belongs on loopback or a network of
// the operators' own.
//
// Goroutines, all ended and waited for by Close: the acceptor, and those of net/http for each connection.
package ops

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/namesrv"
	"github.com/skylarkmq/skylark/store"
)

// Bounds of what a client may take.
const (
	headerTime  = 5 * time.Second  // until the header of a request is there
	requestTime = 10 * time.Second // for the rest of it, and for writing the answer
	idleTime    = 30 * time.Second // between two requests of a connection
	headerBytes = 8 << 10
	maxConns    = 128
	maxScrapes  = 4 // of /metrics at once
	drainTime   = time.Second / 2
)

// Options are what a Server needs.
type Options struct {
	Listen  string // host:port; port 0: a free one
	Logger  zerolog.Logger
	Version string
	Commit  string // that the binary was built from
	// Progress is that of the store which is being opened; nil: there is none.
	Progress *store.Progress
}

// Server is a listener that answers. Its methods are safe for concurrent use; those of a nil Server do
// nothing, so that callers need not know whether there is one.
type Server struct {
	o        Options
	listener *limited
	http     *http.Server
	cancel   context.CancelFunc // of all requests
	served   sync.WaitGroup
	closing  sync.Once

	mu      sync.Mutex
	idle    sync.Cond // nothing is running
	running int       // requests
	closed  bool      // no more of them

	broker   atomic.Pointer[broker.Broker]
	namesrv  atomic.Pointer[namesrv.Server]
	serving  atomic.Bool
	stopping atomic.Bool
}

// Open listens and answers from then on; with an empty address it returns nil. A port that is taken is an
// error: else a probe would ask whoever has it.
func Open(o Options) (*Server, error) {
	if o.Listen == "" {
		return nil, nil
	}
	if o.Progress == nil {
		o.Progress = &store.Progress{}
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for HTTP at skylarkHttpListen=%s: %w", o.Listen, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{o: o, listener: &limited{Listener: l}, cancel: cancel}
	s.idle.L = &s.mu
	s.http = &http.Server{
		Handler: s.bounded(s.routes()), ReadHeaderTimeout: headerTime, ReadTimeout: requestTime, WriteTimeout: requestTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headerBytes, BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog: stdlog.New(debugLog{o.Logger}, "", 0),
	}
	s.served.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error().Err(err).Msg("the HTTP listener for operators has ended")
		}
	})
	o.Logger.Info().Stringer("address", l.Addr()).Bool("pprof", s.loopback()).Msg("HTTP for operators")
	return s, nil
}

// Addr returns the address the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// SetBroker has the broker's figures in the answers from now on.
func (s *Server) SetBroker(b *broker.Broker) {
	if s != nil {
		s.broker.Store(b)
	}
}

// SetNamesrv has the name server's figures in the answers from now on.
func (s *Server) SetNamesrv(n *namesrv.Server) {
	if s != nil {
		s.namesrv.Store(n)
	}
}

// Serving says that all that is to serve does.
func (s *Server) Serving() {
	if s != nil {
		s.serving.Store(true)
	}
}

// Stopping says that clients should go elsewhere; answers still come.
func (s *Server) Stopping() {
	if s != nil {
		s.stopping.Store(true)
	}
}

// Close ends all connections and waits for what serves them, not long. Closing twice is fine.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	var err error
	s.closing.Do(func() {
		s.Stopping()
		s.cancel() // a profile that runs ends now
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			err = s.http.Close()
		}
		s.served.Wait()
		s.mu.Lock()
		s.closed = true
		for s.running > 0 {
			s.idle.Wait()
		}
		s.mu.Unlock()
	})
	if err != nil {
		return fmt.Errorf("cannot close the HTTP listener for operators: %w", err)
	}
	return nil
}

func (s *Server) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("/healthz", s.health)
	m.HandleFunc("/readyz", s.ready)
	m.Handle("/metrics", s.metrics())
	m.HandleFunc("/rocketmq/{group}", s.nameServers)
	if s.loopback() {
		m.HandleFunc("/debug/pprof/", pprof.Index)
		m.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		m.HandleFunc("/debug/pprof/profile", pprof.Profile)
		m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return m
}

// loopback reports whether only this machine can connect.
func (s *Server) loopback() bool {
	a, ok := s.listener.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// bounded keeps account of what runs and refuses what nothing here wants: bodies above all. A page in somebody's browser must not reach
// a listener on loopback by a name of its own that resolves to it: there the host must be an address or
// localhost.
func (s *Server) bounded(next http.Handler) http.Handler {
	loopback := s.loopback()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			return
		}
		defer s.leave()
		if loopback && !local(r.Host) {
			http.Error(w, "the Host of a request must be an address or localhost", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "only GET and HEAD are answered", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	s.idle.Broadcast()
}

func local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "" || strings.EqualFold(host, "localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// debugLog takes what net/http has to say of its clients.
type debugLog struct{ log zerolog.Logger }

// Write implements io.Writer.
func (d debugLog) Write(b []byte) (int, error) {
	d.log.Debug().Msg(strings.TrimSpace(string(b)))
	return len(b), nil
}

// limited is a listener that closes connections past maxConns at once: waiting ones would keep probes out.
type limited struct {
	net.Listener
	open atomic.Int64
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= maxConns {
			return &limitedConn{Conn: c, l: l}, nil
		}
		l.open.Add(-1)
		_ = c.Close()
	}
}

type limitedConn struct {
	net.Conn
	l    *limited
	once sync.Once
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.once.Do(func() { c.l.open.Add(-1) })
	return c.Conn.Close()
}
