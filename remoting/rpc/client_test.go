package rpc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/server"
)

const wait = 10 * time.Second

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	c := New(o)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	t.Cleanup(cancel)
	return ctx
}

// echo starts a real server whose code 10 answers with the request's body and one-way requests go to got.
func echo(t *testing.T) (addr string, got chan *protocol.Command) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := free.Addr().(*net.TCPAddr).Port
	require.NoError(t, free.Close())
	got = make(chan *protocol.Command, 4096)
	m := mux.New(mux.Options{Logger: zerolog.Nop()})
	lane := m.NewLane(mux.LaneOptions{Name: "test", Workers: 4, Capacity: 10000})
	m.Add(mux.Route{Code: 10, Lane: lane, Handle: func(r *mux.Request) *protocol.Command {
		if r.Cmd.IsOneway() {
			got <- r.Cmd.Clone()
		}
		return protocol.Reply(nil, r.Cmd.Body)
	}})
	s, err := server.Open(server.Options{Logger: zerolog.Nop(), Bind: "127.0.0.1", Ports: []int{port}, Mux: m})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()); m.Close() })
	return fmt.Sprintf("127.0.0.1:%d", port), got
}

// listen runs serve for every connection and waits for all of them at the test's end.
func listen(t *testing.T, serve func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func readCommand(c net.Conn) (*protocol.Command, error) {
	prefix := make([]byte, frame.PrefixLength)
	if _, err := io.ReadFull(c, prefix); err != nil {
		return nil, err
	}
	n, err := frame.Length(prefix)
	if err != nil {
		return nil, err
	}
	b := append(prefix, make([]byte, n-len(prefix))...)
	if _, err := io.ReadFull(c, b[frame.PrefixLength:]); err != nil {
		return nil, err
	}
	cmd := new(protocol.Command)
	return cmd, frame.Decode(b, cmd)
}

func TestInvokeManyAtOnceOverOneConnection(t *testing.T) {
	t.Parallel()
	addr, _ := echo(t)
	c := newClient(t, Options{})
	ctx := within(t)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for j := range 20 {
				body := bytes.Repeat([]byte{byte(i), byte(j)}, 1+i*j*100)
				resp, err := c.Invoke(ctx, addr, &protocol.Command{Code: 10, Body: body})
				if err != nil || resp.Code != protocol.Success || !bytes.Equal(resp.Body, body) {
					t.Errorf("call %d/%d: %v %v", i, j, resp, err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, c.peers, 1)
}

func TestOneCommandToSeveralPeersStaysAsItIs(t *testing.T) {
	t.Parallel()
	a, _ := echo(t)
	b, _ := echo(t)
	c := newClient(t, Options{})
	cmd := &protocol.Command{Code: 10, Opaque: 77, Body: []byte("x")}
	ctx := within(t)
	var wg sync.WaitGroup
	for _, addr := range []string{a, b, a, b} {
		wg.Go(func() {
			resp, err := c.Invoke(ctx, addr, cmd)
			if err != nil || string(resp.Body) != "x" {
				t.Errorf("%v %v", resp, err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, &protocol.Command{Code: 10, Opaque: 77, Body: []byte("x")}, cmd)
	require.Len(t, c.peers, 2)
}

func TestOneway(t *testing.T) {
	t.Parallel()
	addr, got := echo(t)
	c := newClient(t, Options{})
	for range 100 {
		require.NoError(t, c.Oneway(addr, protocol.NewRequest(10, nil)))
	}
	for range 100 {
		select {
		case cmd := <-got:
			require.True(t, cmd.IsOneway())
		case <-time.After(wait):
			t.Fatal("one-way request did not arrive")
		}
	}
}

func TestErrorsNameAddressAndCode(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := gone.Addr().String()
	require.NoError(t, gone.Close())
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	hangsUp := listen(t, func(c net.Conn) { _, _ = readCommand(c) })
	garbage := listen(t, func(c net.Conn) {
		_, _ = readCommand(c)
		_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		_, _ = io.Copy(io.Discard, c)
	})
	client := newClient(t, Options{})
	for _, tc := range []struct {
		name, addr, text string
		is               error
	}{
		{"nobody listens", addr, "refused", nil},
		{"no answer", silent, "deadline", context.DeadlineExceeded},
		{"hangs up", hangsUp, "closed", ErrClosed},
		{"no remoting", garbage, "malformed", frame.ErrMalformed},
		{"bad address", "nowhere", "missing port", nil},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		_, err := client.Invoke(ctx, tc.addr, protocol.NewRequest(103, nil))
		cancel()
		require.Error(t, err, tc.name)
		require.Contains(t, err.Error(), tc.addr, tc.name)
		require.Contains(t, err.Error(), "request 103", tc.name)
		require.Contains(t, err.Error(), tc.text, tc.name)
		if tc.is != nil {
			require.ErrorIs(t, err, tc.is, tc.name)
		}
	}
	err = client.Oneway(addr, protocol.NewRequest(905, nil))
	require.ErrorContains(t, err, "cannot send one-way request 905 to "+addr)
}

func TestBrokenConnectionIsDialledAgain(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	addr := listen(t, func(c net.Conn) {
		conns.Add(1)
		cmd, err := readCommand(c)
		if err != nil {
			return
		}
		resp := protocol.NewResponse(protocol.Success, "")
		resp.Opaque = cmd.Opaque
		_, _ = c.Write(frame.Append(nil, resp))
		// and hangs up
	})
	c := newClient(t, Options{})
	for range 3 {
		require.Eventually(t, func() bool {
			_, err := c.Invoke(within(t), addr, protocol.NewRequest(1, nil))
			return err == nil
		}, wait, time.Millisecond)
	}
	require.GreaterOrEqual(t, conns.Load(), int32(3))
}

func TestDisconnectFailsWaitingCallsAndNextCallDials(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 8)
	addr := listen(t, func(c net.Conn) {
		for {
			if _, err := readCommand(c); err != nil {
				return
			}
			arrived <- struct{}{}
		}
	})
	c := newClient(t, Options{})
	c.Disconnect(addr) // none there
	for range 2 {
		failed := make(chan error, 1)
		go func() {
			_, err := c.Invoke(context.Background(), addr, protocol.NewRequest(1, nil))
			failed <- err
		}()
		<-arrived
		c.Disconnect(addr)
		require.ErrorIs(t, <-failed, ErrClosed)
	}
}

func TestRequestsOfThePeer(t *testing.T) {
	t.Parallel()
	answers := make(chan *protocol.Command, 8)
	addr := listen(t, func(c net.Conn) {
		for i, code := range []int32{39, 40, 41, 1} {
			req := protocol.NewRequest(code, nil)
			req.Opaque = int32(100 + i)
			if code == 40 {
				req.Flag |= protocol.FlagOneway
			}
			_, _ = c.Write(frame.Append(nil, req))
		}
		for {
			cmd, err := readCommand(c)
			if err != nil {
				return
			}
			if cmd.IsResponse() {
				answers <- cmd
				continue
			}
			resp := protocol.NewResponse(protocol.Success, "")
			resp.Opaque = cmd.Opaque
			_, _ = c.Write(frame.Append(nil, resp))
		}
	})
	var c *Client
	var mu sync.Mutex
	var order []int32
	c = newClient(t, Options{Logger: zerolog.Nop(), Handle: func(_ string, cmd *protocol.Command) *protocol.Command {
		mu.Lock()
		order = append(order, cmd.Code)
		mu.Unlock()
		switch cmd.Code {
		case 39: // a handler may call on the connection it serves
			if _, err := c.Invoke(context.Background(), addr, protocol.NewRequest(7, nil)); err != nil {
				return protocol.ErrorResponse(err)
			}
			return protocol.NewResponse(protocol.Success, "asked back")
		case 41:
			panic("oops")
		}
		return protocol.NewResponse(protocol.Success, "")
	}})
	_, err := c.Invoke(within(t), addr, protocol.NewRequest(7, nil))
	require.NoError(t, err)
	for _, want := range []struct {
		opaque, code int32
		remark       string
	}{{100, 0, "asked back"}, {102, 1, "cannot handle request 41: oops"}, {103, 0, ""}} {
		got := <-answers
		require.Equal(t, want.opaque, got.Opaque)
		require.Equal(t, want.code, got.Code)
		require.Equal(t, want.remark, got.Remark)
	}
	mu.Lock()
	require.Equal(t, []int32{39, 40, 41, 1}, order)
	mu.Unlock()

	plain := newClient(t, Options{})
	_, err = plain.Invoke(within(t), addr, protocol.NewRequest(7, nil))
	require.NoError(t, err)
	got := <-answers
	require.Equal(t, protocol.RequestCodeNotSupported, got.Code)
	require.Equal(t, " request type 39 not supported", got.Remark)
}

func TestTooManyRequestsOfThePeerAreRefused(t *testing.T) {
	t.Parallel()
	busy := make(chan int32, 64)
	addr := listen(t, func(c net.Conn) {
		for i := range 8 {
			req := protocol.NewRequest(39, nil)
			req.Opaque = int32(i)
			_, _ = c.Write(frame.Append(nil, req))
		}
		for {
			cmd, err := readCommand(c)
			if err != nil {
				return
			}
			if cmd.IsResponse() {
				busy <- cmd.Code
			}
		}
	})
	release := make(chan struct{})
	c := newClient(t, Options{MaxRequests: 1, Handle: func(string, *protocol.Command) *protocol.Command {
		<-release
		return protocol.NewResponse(protocol.Success, "")
	}})
	require.NoError(t, c.Oneway(addr, protocol.NewRequest(1, nil)))
	require.Equal(t, protocol.SystemBusy, <-busy)
	close(release)
}

func TestBacklogIsLimited(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	addr := listen(t, func(net.Conn) { <-done }) // never reads
	c := newClient(t, Options{MaxBacklog: 1 << 20})
	cmd := &protocol.Command{Code: 10, Body: make([]byte, 1<<20)}
	var err error
	for range 200 { // the kernel takes some
		if err = c.Oneway(addr, cmd); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, ErrBacklog)
	close(done)
}

func TestCloseEndsWaitingCalls(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 64)
	addr := listen(t, func(c net.Conn) {
		for {
			if _, err := readCommand(c); err != nil {
				return
			}
			arrived <- struct{}{}
		}
	})
	c := New(Options{})
	errs := make(chan error, 8)
	for range 8 {
		go func() {
			_, err := c.Invoke(context.Background(), addr, protocol.NewRequest(1, nil))
			errs <- err
		}()
	}
	for range 8 {
		<-arrived
	}
	require.NoError(t, c.Close())
	for range 8 {
		require.ErrorIs(t, <-errs, ErrClosed)
	}
	_, err := c.Invoke(context.Background(), addr, protocol.NewRequest(1, nil))
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, c.Oneway(addr, protocol.NewRequest(1, nil)), ErrClosed)
	require.NoError(t, c.Close())
}

func TestCloseEndsDialling(t *testing.T) {
	t.Parallel()
	// A listener whose queue is full leaves further connections without an answer; where the kernel
	// accepts more than asked, the calls end with the connection instead.
	c := New(Options{DialTimeout: time.Hour})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	failed := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		close(started)
		_, err := c.Invoke(context.Background(), l.Addr().String(), protocol.NewRequest(1, nil))
		failed <- err
	}()
	<-started
	require.NoError(t, c.Close())
	require.ErrorIs(t, <-failed, ErrClosed)
}

func TestContextEndsTheWaitForADial(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := c.Invoke(ctx, "127.0.0.1:1", protocol.NewRequest(1, nil))
	require.Error(t, err) // the context's, or that nobody listens, whichever comes first
}

func BenchmarkInvoke(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			cmd, err := readCommand(conn)
			if err != nil {
				return
			}
			resp := protocol.NewResponse(protocol.Success, "")
			resp.Opaque = cmd.Opaque
			if _, err := conn.Write(frame.Append(nil, resp)); err != nil {
				return
			}
		}
	})
	c := New(Options{})
	addr := l.Addr().String()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Invoke(context.Background(), addr, protocol.NewRequest(1, nil)); err != nil {
				b.Error(err)
			}
		}
	})
	require.NoError(b, c.Close())
	require.NoError(b, l.Close())
	wg.Wait()
}
