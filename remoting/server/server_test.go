package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

type fixture struct {
	s       *Server
	m       *mux.Mux
	port    int
	release chan struct{}
	conns   chan mux.Conn
}

// start runs a server with an echo route (1), one that waits (2), one that panics (3) and one that keeps
// the connection for calls (4).
func start(t *testing.T, change func(*Options)) *fixture {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &fixture{port: l.Addr().(*net.TCPAddr).Port, release: make(chan struct{}), conns: make(chan mux.Conn, 8)}
	require.NoError(t, l.Close())
	f.m = mux.New(mux.Options{Logger: zerolog.Nop()})
	lane := f.m.NewLane(mux.LaneOptions{Name: "test", Workers: 2, Capacity: 4})
	f.m.Add(
		mux.Route{Code: 1, Lane: lane, Handle: func(r *mux.Request) *protocol.Command { return protocol.Reply(nil, r.Cmd.Body) }},
		mux.Route{Code: 2, Lane: lane, Handle: func(*mux.Request) *protocol.Command { <-f.release; return protocol.Reply(nil, nil) }},
		mux.Route{Code: 3, Lane: lane, Handle: func(*mux.Request) *protocol.Command { panic("on purpose") }},
		mux.Route{Code: 4, Lane: lane, Handle: func(r *mux.Request) *protocol.Command { f.conns <- r.Conn; return protocol.Reply(nil, nil) }},
	)
	o := Options{Logger: zerolog.Nop(), Bind: "127.0.0.1", Ports: []int{f.port}, Mux: f.m, Loops: 1}
	if change != nil {
		change(&o)
	}
	f.s, err = Open(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		f.m.Close()
		require.NoError(t, f.s.Close())
	})
	return f
}

type peer struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (f *fixture) dial(t *testing.T) *peer {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return &peer{t, c, bufio.NewReader(c)}
}

func (p *peer) send(code, opaque, flag int32, body []byte) {
	p.t.Helper()
	_, err := p.Write(frame.Append(nil, &protocol.Command{Code: code, Opaque: opaque, Flag: flag, Body: body}))
	require.NoError(p.t, err)
}

func (p *peer) read() protocol.Command {
	p.t.Helper()
	pre, err := p.r.Peek(4)
	require.NoError(p.t, err)
	b := make([]byte, 4+binary.BigEndian.Uint32(pre))
	_, err = io.ReadFull(p.r, b)
	require.NoError(p.t, err)
	var c protocol.Command
	require.NoError(p.t, frame.Decode(b, &c))
	return c
}

func (p *peer) closed() {
	p.t.Helper()
	_, err := p.r.ReadByte()
	require.ErrorIs(p.t, err, io.EOF)
}

func TestPipelinedRequestsAreAnswered(t *testing.T) {
	f := start(t, nil)
	p := f.dial(t)
	big := make([]byte, 8<<20)
	for i := range big {
		big[i] = byte(i)
	}
	go p.send(1, 7, 0, big)
	c := p.read()
	require.Equal(t, int32(7), c.Opaque)
	require.Equal(t, big, c.Body)
	p.send(1, 8, protocol.FlagOneway, []byte("x"))
	p.send(99, 9, 0, nil)
	c = p.read()
	require.Equal(t, int32(9), c.Opaque, "a one-way request has no answer")
	require.Equal(t, protocol.RequestCodeNotSupported, c.Code)
	require.Equal(t, " request type 99 not supported", c.Remark)
	p.send(3, 10, 0, nil)
	c = p.read()
	require.Equal(t, protocol.SystemError, c.Code)
	require.Contains(t, c.Remark, "on purpose")
}

func TestSlowRequestDoesNotHoldUpOthers(t *testing.T) {
	f := start(t, nil)
	p := f.dial(t)
	p.send(2, 1, 0, nil)
	p.send(1, 2, 0, nil)
	require.Equal(t, int32(2), p.read().Opaque)
	// One worker waits; fill the other and the queue, then the next is refused.
	for i := range int32(12) {
		p.send(2, 10+i, 0, nil)
	}
	c := p.read()
	require.Equal(t, protocol.SystemBusy, c.Code)
	require.Contains(t, c.Remark, "[OVERLOAD]")
	close(f.release)
	for range 12 {
		p.read()
	}
}

func TestGarbageClosesOnlyItsConnection(t *testing.T) {
	f := start(t, nil)
	good := f.dial(t)
	for _, junk := range [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n"), {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0}, {0, 0, 0, 9, 7, 0, 0, 1},
		{0, 0, 0, 6, 0, 0, 0, 2, '{', '{'}} {
		bad := f.dial(t)
		_, err := bad.Write(junk)
		require.NoError(t, err)
		bad.closed()
	}
	good.send(1, 1, 0, nil)
	require.Equal(t, int32(1), good.read().Opaque)
	require.Equal(t, uint64(5), f.s.Stats().Malformed)
}

func TestPeerThatDoesNotReadIsClosed(t *testing.T) {
	f := start(t, func(o *Options) { o.MaxBacklog = 1 << 20 })
	p := f.dial(t)
	body := make([]byte, 256<<10)
	for i := range int32(2000) {
		if _, err := p.Write(frame.Append(nil, &protocol.Command{Code: 1, Opaque: i, Body: body})); err != nil {
			break
		}
	}
	require.Eventually(t, func() bool { return f.s.Stats().Connections == 0 }, 10*time.Second, time.Millisecond)
	require.Positive(t, f.s.Stats().SlowReaders)
}

func TestUnfinishedFramesAreBounded(t *testing.T) {
	f := start(t, func(o *Options) { o.MaxPartial = 4 << 20 })
	half := append([]byte{0, 0xf0, 0, 0, 0, 0, 0, 2}, make([]byte, 3<<20)...)
	first, second := f.dial(t), f.dial(t)
	_, err := first.Write(half)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return f.s.h.partial.Load() > 3<<20 }, 10*time.Second, time.Millisecond)
	_, _ = second.Write(half)
	require.Eventually(t, func() bool { return f.s.Stats().Connections == 1 && f.s.h.partial.Load() == int64(len(half)) }, 10*time.Second, time.Millisecond)
	_ = first.Close()
	require.Eventually(t, func() bool { return f.s.h.partial.Load() == 0 }, 10*time.Second, time.Millisecond)
}

func TestIdleConnectionIsClosed(t *testing.T) {
	f := start(t, func(o *Options) { o.MaxIdle = 100 * time.Millisecond })
	f.dial(t).closed()
}

func TestServerCallsItsPeer(t *testing.T) {
	f := start(t, nil)
	p := f.dial(t)
	p.send(4, 1, 0, nil)
	p.read()
	c := <-f.conns
	got := make(chan *protocol.Command, 1)
	go func() {
		resp, err := mux.Call(t.Context(), c, protocol.NewRequest(307, nil), 10*time.Second)
		if err == nil {
			got <- resp
		}
		close(got)
	}()
	req := p.read()
	require.Equal(t, int32(307), req.Code)
	p.send(0, req.Opaque+1000, protocol.FlagResponse, nil) // nobody waits for this one
	p.send(0, req.Opaque, protocol.FlagResponse, []byte("here"))
	require.Equal(t, "here", string((<-got).Body))
	closed := make(chan struct{})
	c.OnClose(func() { close(closed) })
	_ = p.Close()
	<-closed
	_, err := mux.Call(t.Context(), c, protocol.NewRequest(307, nil), 10*time.Second)
	require.ErrorIs(t, err, mux.ErrClosed)
}

// TestReplyToAPeerThatIsGoneLosesNoRequest: a client sends one-way messages and ends, with a reply on its way
// that it will not read. That the reply cannot be written says nothing of what came before.
func TestReplyToAPeerThatIsGoneLosesNoRequest(t *testing.T) {
	f := start(t, nil)
	p := f.dial(t)
	p.send(4, 1, 0, nil)
	c := (<-f.conns).(*conn)
	p.read()
	blocked, goOn := make(chan struct{}), make(chan struct{})
	require.NoError(t, c.loop.Execute(t.Context(), gnet.RunnableFunc(func(context.Context) error {
		close(blocked)
		<-goOn
		return nil
	})))
	<-blocked
	const n = 3
	for i := range int32(n) {
		p.send(4, 2+i, protocol.FlagOneway, nil)
	}
	require.NoError(t, p.Conn.(*net.TCPConn).SetLinger(0)) // a reset, as when a reply meets a closed socket
	require.NoError(t, p.Close())
	mux.Send(c, protocol.NewResponse(protocol.Success, "too late"))
	closed := make(chan struct{})
	c.OnClose(func() { close(closed) })
	close(goOn)
	for range n {
		select {
		case <-f.conns:
		case <-time.After(10 * time.Second):
			require.Fail(t, "a request was lost")
		}
	}
	<-closed
}

func TestTakenPortIsAnError(t *testing.T) {
	f := start(t, nil)
	m := mux.New(mux.Options{})
	defer m.Close()
	_, err := Open(Options{Logger: zerolog.Nop(), Bind: "127.0.0.1", Ports: []int{f.port}, Mux: m})
	require.ErrorContains(t, err, "cannot listen")
}

func TestConnectionsAreLimited(t *testing.T) {
	f := start(t, func(o *Options) { o.MaxConnections = 2 })
	a, b := f.dial(t), f.dial(t)
	a.send(1, 1, 0, nil)
	a.read()
	b.send(1, 1, 0, nil)
	b.read()
	f.dial(t).closed()
}

// TestRefuseClosesTheListenersOnly: connections that are open go on, others are refused, and Close ends all.
func TestRefuseClosesTheListenersOnly(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("listeners are closed with their connections here")
	}
	f := start(t, nil)
	p := f.dial(t)
	p.send(1, 1, 0, []byte("before"))
	require.Equal(t, "before", string(p.read().Body))
	f.s.Refuse()
	f.s.Refuse()
	_, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port)))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	p.send(1, 2, 0, []byte("behind"))
	require.Equal(t, "behind", string(p.read().Body))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	f.s.Quiet(ctx)
	require.NoError(t, ctx.Err())
	again, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port)))
	require.NoError(t, err, "the port is not free")
	require.NoError(t, again.Close())
	require.NoError(t, f.s.Close())
	_, err = p.r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}
