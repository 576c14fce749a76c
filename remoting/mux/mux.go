// Package mux takes decoded requests to their handlers.
//
// An engine (package server) opens a Session for each connection and gives it whole frames from its
// event loop. The session decodes the header in place and looks the code up. A request then goes one of
// two ways:
//
//   - to the route's Inline part, which runs on the event loop itself. It may only compute: no disk, no
//     lock that is held around one, no waiting. Sending messages works so: the record is built from the
//     loop's read buffer, the one copy of its body, and handed to the store's append goroutine;
//   - to the route's lane, a bounded queue with a fixed number of workers, where it may block. What it
//     keeps is copied out of the loop's buffer once.
//
// Lock order: a lane's mutex and an Inflight's mutex are leaves; no code of another package runs under them.
package mux

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// ErrClosed means that a connection or a lane is closed.
var ErrClosed = errors.New("closed")

// Handler answers a request on a lane's worker. It returns the response, or nil when it has called, or
// will call, Request.Reply by itself. Whatever it returns for a one-way request is dropped.
type Handler func(r *Request) *protocol.Command

// Inline is the part of a route that runs on the event loop, one for each connection that uses it.
type Inline interface {
	// Offer takes a request, which is valid only during the call, and reports whether it did; if not, the
	// request goes to the lane.
	Offer(cmd *protocol.Command) bool
	// Flush is called behind the last whole frame of each read in which Offer took something.
	Flush()
}

// InlineFactory makes the Inline part of one connection. Routes that share a factory share its result.
type InlineFactory struct {
	Open func(c Conn) Inline
}

// Route is one row of a server's table.
type Route struct {
	Code       int32
	Lane       *Lane
	Handle     Handler
	Inline     *InlineFactory // nil: always by lane
	NoFastPort bool           // not served on Options.FastPort, as in Java

	latencies *latencies // set by Add
}

// Options are what a Mux needs.
type Options struct {
	Logger zerolog.Logger
	// FastPort is the local port on which routes with NoFastPort are unknown; 0: none.
	FastPort int
	// MaxHeldBytes bounds the memory of requests that wait in lanes or are held for a later answer, a
	// quarter of it those of one connection. 0: 128 MiB. Past it a request is refused with SYSTEM_BUSY.
	MaxHeldBytes int64
	// SlowRequest is from when on a request that keeps a worker for so long is logged; 0: never.
	SlowRequest time.Duration
}

// Stats are counters since start.
type Stats struct {
	Panics, Overloaded, TimedOut, Unknown uint64
	// Held is the memory of requests that wait or are held, MaxHeld what it may be: bytes, of now.
	Held, MaxHeld int64
}

// Mux is the table of a server. Routes are added before it is used.
type Mux struct {
	o       Options
	routes  map[int32]*Route
	lanesMu sync.Mutex
	lanes   []*Lane
	held    atomic.Int64
	stage   atomic.Int32 // serving, leaving or closed; read for every request
	stats   struct{ panics, overloaded, timedOut, unknown atomic.Uint64 }
	journal Journal
	strays  struct {
		mu sync.Mutex
		by map[int32]*latencies // of codes without a route
	}
	stop    chan struct{}
	done    chan struct{}
	closing sync.Once
}

// New returns a Mux without routes and starts its sweeper, which refuses requests that waited too long.
func New(o Options) *Mux {
	if o.MaxHeldBytes == 0 {
		o.MaxHeldBytes = 128 << 20
	}
	m := &Mux{o: o, routes: map[int32]*Route{}, stop: make(chan struct{}), done: make(chan struct{})}
	m.journal.l = o.Logger
	go m.sweep()
	return m
}

// Journal returns what logs refusals, for Inline parts, which answer by themselves.
func (m *Mux) Journal() *Journal { return &m.journal }

// Add adds routes. A code that is there twice is a mistake of the program.
func (m *Mux) Add(routes ...Route) {
	for i := range routes {
		r := &routes[i]
		if m.routes[r.Code] != nil || r.Handle == nil || r.Lane == nil {
			panic(fmt.Sprintf("BUG: bad or second route for code %d", r.Code))
		}
		r.latencies = &latencies{}
		m.routes[r.Code] = r
	}
}

// Codes returns the codes that have a route.
func (m *Mux) Codes() []int32 {
	out := make([]int32, 0, len(m.routes))
	for c := range m.routes {
		out = append(out, c)
	}
	return out
}

// Stats returns the counters.
func (m *Mux) Stats() Stats {
	return Stats{m.stats.panics.Load(), m.stats.overloaded.Load(), m.stats.timedOut.Load(), m.stats.unknown.Load(), m.held.Load(), m.o.MaxHeldBytes}
}

// The stages of a Mux.
const (
	serving int32 = iota
	leaving
	closed
)

// Leave tells peers that know GO_AWAY, 5.3.2 and later, to go on elsewhere: their requests are answered so, but for
// one-way requests, which could not be. Others are served until Close. Java: NettyRemotingAbstract.processRequestCommand
// with isShuttingDown.
func (m *Mux) Leave() { m.stage.CompareAndSwap(serving, leaving) }

// Close lets the lanes finish what they hold and ends their workers. Requests that come later are refused with
// GO_AWAY or, of older peers, with SERVICE_NOT_AVAILABLE, which every client takes for a reason to try elsewhere.
// Without an answer clients would wait for their whole timeout, though the connection closes.
func (m *Mux) Close() {
	m.closing.Do(func() {
		m.stage.Store(closed)
		close(m.stop)
		<-m.done
		for _, l := range m.allLanes() {
			l.close()
		}
	})
}

func (m *Mux) allLanes() []*Lane {
	m.lanesMu.Lock()
	defer m.lanesMu.Unlock()
	return m.lanes
}

// sweepEvery is how often lanes are looked at for requests that waited too long. Java's
// BrokerFastFailure looks every 10 ms; limits start at 200 ms, so 50 is fine enough and idles cheaper.
const sweepEvery = 50 * time.Millisecond

// idleSweeps is how many times as long it takes while no request waits and no lane is busy.
const idleSweeps = 4

func (m *Mux) sweep() {
	defer close(m.done)
	t := time.NewTimer(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-m.stop:
			return
		case now := <-t.C:
			wait := idleSweeps * sweepEvery
			for _, l := range m.allLanes() {
				if l.look(now) {
					wait = sweepEvery
				}
			}
			t.Reset(wait)
		}
	}
}

// Session is the receiving side of one connection. Its methods are called by the connection's event
// loop only.
type Session struct {
	m       *Mux
	conn    Conn
	held    *atomic.Int64
	fast    bool
	decoder frame.Decoder
	cmd     protocol.Command
	last    *Route
	inlines []opened
	dirty   []Inline
}

// Open returns the session of a new connection.
func (m *Mux) Open(c Conn) *Session {
	return &Session{m: m, conn: c, held: new(atomic.Int64), fast: m.o.FastPort != 0 && c.LocalPort() == m.o.FastPort}
}

// Frame handles one whole frame, whose bytes it may change and does not keep. An error means that the
// connection has to be closed.
func (s *Session) Frame(b []byte) error {
	if err := s.decoder.Decode(b, &s.cmd); err != nil {
		return err
	}
	c := &s.cmd
	if c.IsResponse() {
		if s.conn.Calls().Waiting() {
			s.conn.Calls().Answer(c.Clone())
		}
		return nil
	}
	if stage := s.m.stage.Load(); stage != serving && s.turnedAway(stage) {
		return nil
	}
	r := s.last // peers that send much send the same
	if r == nil || r.Code != c.Code {
		r = s.m.routes[c.Code]
		s.last = r
	}
	if r == nil || r.NoFastPort && s.fast {
		s.m.stats.unknown.Add(1)
		s.refuse(protocol.NewResponse(protocol.RequestCodeNotSupported, fmt.Sprintf(" request type %d not supported", c.Code)))
		return nil
	}
	if r.Lane.busy.Load() {
		s.overloaded("REJECTREQUEST")
		return nil
	}
	if r.Inline != nil {
		if in := s.inline(r.Inline); in.Offer(c) {
			s.took(in)
			return nil
		}
	}
	s.queue(r, len(b))
	return nil
}

// turnedAway answers a request that is not to be taken because the mux stops, and reports whether it is one.
func (s *Session) turnedAway(stage int32) bool {
	if stage == leaving && (s.cmd.Version <= protocol.VersionV5_3_1 || s.cmd.IsOneway()) {
		return false
	}
	resp := protocol.NewResponse(protocol.GoAway, "please go away")
	if s.cmd.Version <= protocol.VersionV5_3_1 {
		resp = protocol.NewResponse(protocol.ServiceNotAvailable, "the server is shutting down")
	}
	s.refuse(resp)
	return true
}

// keepFields is how many ext fields a session has room for between reads.
const keepFields = 64

// Flush is called when no whole frame is left in what was read. It lets go of the last frame.
func (s *Session) Flush() {
	for i, in := range s.dirty {
		in.Flush()
		s.dirty[i] = nil
	}
	s.dirty = s.dirty[:0]
	ext := s.cmd.Ext[:cap(s.cmd.Ext)]
	clear(ext)
	if len(ext) > keepFields {
		ext = nil
	}
	s.cmd = protocol.Command{Ext: ext[:0]}
}

// opened is an Inline of a session. There are few.
type opened struct {
	by *InlineFactory
	in Inline
}

func (s *Session) inline(f *InlineFactory) Inline {
	for i := range s.inlines {
		if s.inlines[i].by == f {
			return s.inlines[i].in
		}
	}
	in := f.Open(s.conn)
	s.inlines = append(s.inlines, opened{f, in})
	return in
}

func (s *Session) took(in Inline) {
	for _, d := range s.dirty {
		if d == in {
			return
		}
	}
	s.dirty = append(s.dirty, in)
}

func (s *Session) queue(r *Route, size int) {
	now := time.Now()
	req := &Request{Conn: s.conn, At: now, arrived: now, m: s.m, route: r, held: s.held,
		size: int64(size + requestOverhead + len(s.cmd.Ext)*int(unsafe.Sizeof(protocol.Field{})))}
	all, own := s.m.held.Add(req.size), s.held.Add(req.size)
	if all > s.m.o.MaxHeldBytes || own > s.m.o.MaxHeldBytes/4 {
		req.finish()
		s.overloaded("OVERLOAD")
		return
	}
	compact(&req.Cmd, &s.cmd)
	if !r.Lane.push(req) {
		req.finish()
		s.overloaded("OVERLOAD")
	}
}

func (s *Session) overloaded(why string) {
	s.m.stats.overloaded.Add(1)
	s.refuse(busy(why))
}

// busy is the answer to a request that is not taken. Java: NettyRemotingAbstract.processRequestCommand.
func busy(why string) *protocol.Command {
	return protocol.NewResponse(protocol.SystemBusy, "["+why+"]system busy, start flow control for a while")
}

func (s *Session) refuse(resp *protocol.Command) {
	s.m.journal.Refused(s.conn.Remote(), s.cmd.Code, s.cmd.Ext, resp)
	s.refused(resp.Code)
	if s.cmd.IsOneway() {
		return
	}
	resp.Opaque = s.cmd.Opaque
	Send(s.conn, resp)
}

// requestOverhead is what a waiting request costs beside its frame.
const requestOverhead = 512

// compact copies src to dst with all text and the body in one new allocation.
func compact(dst, src *protocol.Command) {
	n := len(src.Remark) + len(src.Body)
	for i := range src.Ext {
		n += len(src.Ext[i].Key) + len(src.Ext[i].Value)
	}
	buf := make([]byte, 0, n)
	str := func(s string) string {
		at := len(buf)
		buf = append(buf, s...)
		return unsafe.String(unsafe.SliceData(buf[at:]), len(s))
	}
	*dst = *src
	dst.Remark = str(src.Remark)
	dst.Ext = make(protocol.Ext, len(src.Ext))
	for i, f := range src.Ext {
		dst.Ext[i] = protocol.Field{Key: str(f.Key), Value: str(f.Value)}
	}
	if src.Body != nil {
		at := len(buf)
		buf = append(buf, src.Body...)
		dst.Body = buf[at:]
	}
}

// Request is a request on a lane. Its command stays valid as long as the request is reachable; strings
// that outlive it keep the whole frame alive and are better cloned.
type Request struct {
	Conn    Conn
	Cmd     protocol.Command
	At      time.Time // when it came, or was queued again
	arrived time.Time
	m       *Mux
	route   *Route
	size    int64
	held    *atomic.Int64 // by the connection
	replied atomic.Bool
	// Attempt counts how often the request was queued again, for handlers that hold requests.
	Attempt int
}

// Reply answers the request; the first call counts, later ones do nothing. It is safe from any goroutine.
func (r *Request) Reply(resp *protocol.Command) {
	if !r.finish() || resp == nil {
		return
	}
	r.m.journal.Refused(r.Conn.Remote(), r.Cmd.Code, r.Cmd.Ext, resp)
	r.observe(resp.Code)
	if r.Cmd.IsOneway() {
		return
	}
	resp.Opaque = r.Cmd.Opaque
	resp.Flag |= protocol.FlagResponse
	Send(r.Conn, resp)
}

// ReplyFrame answers with an encoded frame, whose code is told again.
func (r *Request) ReplyFrame(b *Buffer, code int32) {
	if !r.finish() {
		b.Release()
		return
	}
	r.observe(code)
	if r.Cmd.IsOneway() {
		b.Release()
		return
	}
	r.Conn.Write(b)
}

// Drop gives the request up without an answer, as for a peer that is gone.
func (r *Request) Drop() { r.finish() }

func (r *Request) finish() bool {
	if r.replied.Swap(true) {
		return false
	}
	r.m.held.Add(-r.size)
	r.held.Add(-r.size)
	return true
}

// Requeue puts a request that was held back on its lane and counts the attempt. When the lane is full it is
// answered SYSTEM_BUSY.
func (r *Request) Requeue() {
	r.Attempt++
	r.Again()
}

// Again is Requeue for a request that was put off before anything was tried.
func (r *Request) Again() {
	r.At = time.Now()
	if !r.route.Lane.push(r) {
		r.m.stats.overloaded.Add(1)
		r.Reply(busy("OVERLOAD"))
	}
}

func (r *Request) run() {
	defer func() {
		if p := recover(); p != nil {
			r.m.stats.panics.Add(1)
			r.m.o.Logger.Error().Int32("code", r.Cmd.Code).Stringer("remote", r.Conn.Remote()).Str("stack", string(debug.Stack())).Msgf("BUG: handler panicked: %v", p)
			r.Reply(protocol.NewResponse(protocol.SystemError, fmt.Sprintf("BUG: handler of request code %d panicked: %v", r.Cmd.Code, p)))
		}
	}()
	begun := time.Now()
	resp := r.route.Handle(r)
	if limit := r.m.o.SlowRequest; limit > 0 {
		if took := time.Since(begun); took > limit {
			r.m.journal.slow(r, took)
		}
	}
	if resp != nil {
		r.Reply(resp)
	}
}

// Send encodes cmd and writes it to c.
func Send(c Conn, cmd *protocol.Command) {
	n := 256 + len(cmd.Body) + len(cmd.Remark)
	for i := range cmd.Ext {
		n += len(cmd.Ext[i].Key) + len(cmd.Ext[i].Value) + 8
	}
	b := NewBuffer(n)
	b.B = frame.Append(b.B, cmd)
	c.Write(b)
}

// Handle makes a Handler from a function that takes a decoded header. An error becomes the response
// (protocol.ErrorResponse); a nil response without an error means the function answers by itself.
func Handle[H any](fn func(r *Request, h *H) (*protocol.Command, error)) Handler {
	return func(r *Request) *protocol.Command {
		h := new(H)
		if err := protocol.DecodeHeader(r.Cmd.Ext, h); err != nil {
			return protocol.ErrorResponse(err)
		}
		resp, err := fn(r, h)
		if err != nil {
			return protocol.ErrorResponse(err)
		}
		return resp
	}
}

// HandleBare is Handle for requests without ext fields.
func HandleBare(fn func(r *Request) (*protocol.Command, error)) Handler {
	return func(r *Request) *protocol.Command {
		resp, err := fn(r)
		if err != nil {
			return protocol.ErrorResponse(err)
		}
		return resp
	}
}
