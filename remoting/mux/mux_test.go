package mux_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

const code int32 = 9001

func newMux(t *testing.T, o mux.Options) *mux.Mux {
	o.Logger = zerolog.Nop()
	m := mux.New(o)
	t.Cleanup(m.Close)
	return m
}

func request(opaque int32, ext ...protocol.Field) []byte {
	return frame.Append(nil, &protocol.Command{Code: code, Opaque: opaque, Ext: ext})
}

func oneway(opaque int32) []byte {
	return frame.Append(nil, &protocol.Command{Code: code, Opaque: opaque, Flag: protocol.FlagOneway})
}

func answered(t *testing.T, c *conn, opaque, code int32) *protocol.Command {
	t.Helper()
	resp := c.next(t)
	require.Equal(t, opaque, resp.Opaque)
	require.Equal(t, code, resp.Code, resp.Remark)
	require.True(t, resp.IsResponse())
	return resp
}

func TestUnknownCodeIsNotSupported(t *testing.T) {
	m := newMux(t, mux.Options{})
	c := newConn()
	require.NoError(t, m.Open(c).Frame(request(7)))
	require.Equal(t, " request type 9001 not supported", answered(t, c, 7, protocol.RequestCodeNotSupported).Remark)
	require.NoError(t, m.Open(c).Frame(oneway(8)))
	require.Empty(t, c.sent, "a one-way request was answered")
	require.EqualValues(t, 2, m.Stats().Unknown)
}

func TestFastPortHidesRoutes(t *testing.T) {
	m := newMux(t, mux.Options{FastPort: 10909})
	l := m.NewLane(mux.LaneOptions{Capacity: 4})
	m.Add(mux.Route{Code: code, Lane: l, NoFastPort: true, Handle: func(*mux.Request) *protocol.Command { return protocol.NewResponse(0, "") }})
	slow, fast := newConn(), newConn()
	fast.port = 10909
	require.NoError(t, m.Open(slow).Frame(request(1)))
	answered(t, slow, 1, protocol.Success)
	require.NoError(t, m.Open(fast).Frame(request(2)))
	answered(t, fast, 2, protocol.RequestCodeNotSupported)
}

func TestMalformedFrameIsAnError(t *testing.T) {
	m := newMux(t, mux.Options{})
	c := newConn()
	b := request(1)
	require.Error(t, m.Open(c).Frame(b[:len(b)-1]))
	require.Empty(t, c.sent)
}

type header struct {
	Topic string `rmq:"topic,required"`
}

func TestMissingFieldIsNamed(t *testing.T) {
	m := newMux(t, mux.Options{})
	m.Add(mux.Route{Code: code, Lane: m.NewLane(mux.LaneOptions{Capacity: 4}), Handle: mux.Handle(func(_ *mux.Request, h *header) (*protocol.Command, error) {
		if h.Topic == "bad" {
			return nil, protocol.Errorf(protocol.TopicNotExist, "no %s", h.Topic)
		}
		return protocol.NewResponse(protocol.Success, h.Topic), nil
	})})
	c := newConn()
	s := m.Open(c)
	require.NoError(t, s.Frame(request(1)))
	require.Contains(t, answered(t, c, 1, protocol.SystemError).Remark, "topic")
	require.NoError(t, s.Frame(request(2, protocol.Field{Key: "topic", Value: "T"})))
	require.Equal(t, "T", answered(t, c, 2, protocol.Success).Remark)
	require.NoError(t, s.Frame(request(3, protocol.Field{Key: "topic", Value: "bad"})))
	require.Equal(t, "no bad", answered(t, c, 3, protocol.TopicNotExist).Remark)
}

// TestRequestOwnsItsBytes: the loop's buffer is used again as soon as Frame returns.
func TestRequestOwnsItsBytes(t *testing.T) {
	m := newMux(t, mux.Options{})
	gate := make(chan struct{})
	m.Add(mux.Route{Code: code, Lane: m.NewLane(mux.LaneOptions{Capacity: 4}), Handle: func(r *mux.Request) *protocol.Command {
		<-gate
		return protocol.NewResponse(protocol.Success, r.Cmd.Remark+r.Cmd.Ext[0].Key+r.Cmd.Ext[0].Value+string(r.Cmd.Body))
	}})
	c := newConn()
	b := frame.Append(nil, &protocol.Command{Code: code, Opaque: 5, Remark: "remark ", Ext: protocol.Ext{{Key: "key ", Value: "value "}}, Body: []byte("body")})
	require.NoError(t, m.Open(c).Frame(b))
	for i := range b {
		b[i] = 'x'
	}
	close(gate)
	require.Equal(t, "remark key value body", answered(t, c, 5, protocol.Success).Remark)
}

func TestPanicIsAnswered(t *testing.T) {
	m := newMux(t, mux.Options{})
	m.Add(mux.Route{Code: code, Lane: m.NewLane(mux.LaneOptions{Capacity: 4}), Handle: func(r *mux.Request) *protocol.Command {
		if r.Cmd.Opaque == 1 {
			panic("oops")
		}
		return protocol.NewResponse(protocol.Success, "")
	}})
	c := newConn()
	s := m.Open(c)
	require.NoError(t, s.Frame(request(1)))
	require.Contains(t, answered(t, c, 1, protocol.SystemError).Remark, "oops")
	require.NoError(t, s.Frame(request(2)))
	answered(t, c, 2, protocol.Success) // the worker lives
	require.EqualValues(t, 1, m.Stats().Panics)
}

// blocked is a mux whose one worker waits in a handler, with the request it has taken.
func blocked(t *testing.T, o mux.Options, l mux.LaneOptions) (m *mux.Mux, first *conn, release func()) {
	gate, taken := make(chan struct{}), make(chan struct{})
	m = newMux(t, o)
	m.Add(mux.Route{Code: code, Lane: m.NewLane(l), Handle: func(r *mux.Request) *protocol.Command {
		if r.Cmd.Opaque == 0 {
			close(taken)
			<-gate
		}
		return protocol.NewResponse(protocol.Success, "")
	}})
	first = newConn()
	require.NoError(t, m.Open(first).Frame(request(0)))
	<-taken
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	return m, first, release
}

func TestFullLaneRefuses(t *testing.T) {
	m, c, release := blocked(t, mux.Options{}, mux.LaneOptions{Workers: 1, Capacity: 100})
	s := m.Open(c)
	for i := range int32(100) {
		require.NoError(t, s.Frame(request(1+i)))
	}
	require.Empty(t, c.sent)
	require.NoError(t, s.Frame(request(101)))
	require.Equal(t, "[OVERLOAD]system busy, start flow control for a while", answered(t, c, 101, protocol.SystemBusy).Remark)
	require.EqualValues(t, 1, m.Stats().Overloaded)
	release()
	for i := range int32(101) {
		answered(t, c, i, protocol.Success) // one worker keeps the order
	}
}

func TestHeldMemoryIsBounded(t *testing.T) {
	m, first, release := blocked(t, mux.Options{MaxHeldBytes: 40 << 10}, mux.LaneOptions{Workers: 1, Capacity: 1000})
	greedy := newConn()
	s := m.Open(greedy)
	body := frame.Append(nil, &protocol.Command{Code: code, Opaque: 1, Body: make([]byte, 4<<10)})
	for len(greedy.sent) == 0 {
		require.NoError(t, s.Frame(body))
	}
	answered(t, greedy, 1, protocol.SystemBusy)
	// One connection has taken its quarter; the others are served.
	other := newConn()
	require.NoError(t, m.Open(other).Frame(request(3)))
	require.Empty(t, other.sent)
	release()
	answered(t, first, 0, protocol.Success)
	answered(t, other, 3, protocol.Success)
	answered(t, greedy, 1, protocol.Success)
	answered(t, greedy, 1, protocol.Success)
	// What was held is free again.
	require.NoError(t, s.Frame(body))
	answered(t, greedy, 1, protocol.Success)
}

func TestOldRequestsAreRefused(t *testing.T) {
	m, c, release := blocked(t, mux.Options{}, mux.LaneOptions{Workers: 1, Capacity: 10, MaxWait: time.Millisecond})
	require.NoError(t, m.Open(c).Frame(request(1)))
	require.Contains(t, answered(t, c, 1, protocol.SystemBusy).Remark, "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: ")
	require.EqualValues(t, 1, m.Stats().TimedOut)
	release()
	answered(t, c, 0, protocol.Success)
}

// TestRequestsOutliveTheirConnection: a client may send a one-way message and end at once.
func TestRequestsOutliveTheirConnection(t *testing.T) {
	m := newMux(t, mux.Options{})
	ran := make(chan int32, 10)
	gate := make(chan struct{})
	m.Add(mux.Route{Code: code, Lane: m.NewLane(mux.LaneOptions{Workers: 1, Capacity: 10}), Handle: func(r *mux.Request) *protocol.Command {
		<-gate
		ran <- r.Cmd.Opaque
		return nil
	}})
	c := newConn()
	s := m.Open(c)
	require.NoError(t, s.Frame(oneway(1)))
	require.NoError(t, s.Frame(oneway(2)))
	c.Close("test")
	close(gate)
	require.EqualValues(t, 1, <-ran)
	require.EqualValues(t, 2, <-ran)
}

func TestOnlyTheFirstReplyCounts(t *testing.T) {
	m := newMux(t, mux.Options{})
	m.Add(mux.Route{Code: code, Lane: m.NewLane(mux.LaneOptions{Capacity: 4}), Handle: func(r *mux.Request) *protocol.Command {
		if r.Cmd.Opaque == 2 {
			r.Drop()
		}
		r.Reply(protocol.NewResponse(protocol.Success, fmt.Sprint("first of ", r.Cmd.Opaque)))
		r.Reply(protocol.NewResponse(protocol.Success, "second"))
		r.ReplyFrame(mux.NewBuffer(1), protocol.Success)
		return protocol.NewResponse(protocol.Success, "third")
	}})
	c := newConn()
	s := m.Open(c)
	for i := range int32(4) {
		require.NoError(t, s.Frame(request(i)))
	}
	for _, i := range []int32{0, 1, 3} {
		require.Equal(t, fmt.Sprint("first of ", i), answered(t, c, i, protocol.Success).Remark)
	}
	m.Close()
	require.Empty(t, c.sent)
}

func TestRequeueRunsAgain(t *testing.T) {
	m := newMux(t, mux.Options{})
	held := make(chan *mux.Request, 1)
	m.Add(mux.Route{Code: code, Lane: m.NewLane(mux.LaneOptions{Capacity: 1}), Handle: func(r *mux.Request) *protocol.Command {
		if r.Attempt == 0 {
			held <- r
			return nil
		}
		return protocol.NewResponse(protocol.Success, fmt.Sprint("attempt ", r.Attempt))
	}})
	c := newConn()
	require.NoError(t, m.Open(c).Frame(request(1)))
	r := <-held
	r.Again() // not an attempt: runs the same way
	r = <-held
	r.Requeue()
	require.Equal(t, "attempt 1", answered(t, c, 1, protocol.Success).Remark)
	require.NoError(t, m.Open(c).Frame(request(2)))
	r = <-held
	m.Close()
	r.Requeue() // no lane is left to run it
	answered(t, c, 2, protocol.SystemBusy)
}

func TestCloseFinishesWhatWaits(t *testing.T) {
	m, c, release := blocked(t, mux.Options{}, mux.LaneOptions{Workers: 1, Capacity: 10})
	require.NoError(t, m.Open(c).Frame(request(1)))
	release()
	m.Close()
	answered(t, c, 0, protocol.Success)
	answered(t, c, 1, protocol.Success)
	require.NoError(t, m.Open(c).Frame(request(2)))
	answered(t, c, 2, protocol.ServiceNotAvailable)
}

// TestLeavingSaysGoAway: to those that know what it means and can be told, others are served to the last.
func TestLeavingSaysGoAway(t *testing.T) {
	m, l := newMux(t, mux.Options{}), &loop{}
	handled := make(chan int32, 10)
	lane := m.NewLane(mux.LaneOptions{Workers: 1, Capacity: 10})
	m.Add(mux.Route{Code: code, Lane: lane, Handle: func(r *mux.Request) *protocol.Command { handled <- r.Cmd.Opaque; return ok() }})
	m.Add(mux.Route{Code: code + 1, Lane: lane, Inline: &mux.InlineFactory{Open: func(mux.Conn) mux.Inline { return l }}, Handle: func(*mux.Request) *protocol.Command { return ok() }})
	c := newConn()
	s := m.Open(c)
	of := func(code, opaque, version, flag int32) []byte {
		return frame.Append(nil, &protocol.Command{Code: code, Opaque: opaque, Version: version, Flag: flag})
	}
	require.NoError(t, s.Frame(of(code, 1, protocol.Version, 0)))
	answered(t, c, 1, protocol.Success)
	m.Leave()
	require.NoError(t, s.Frame(of(code, 2, protocol.VersionV5_3_1+1, 0)))
	require.Equal(t, "please go away", answered(t, c, 2, protocol.GoAway).Remark)
	require.NoError(t, s.Frame(of(code+1, 3, protocol.Version, 0)))
	answered(t, c, 3, protocol.GoAway)
	require.Empty(t, l.events)
	require.NoError(t, s.Frame(of(code, 4, protocol.VersionV5_3_1, 0)))
	answered(t, c, 4, protocol.Success)
	require.NoError(t, s.Frame(of(code, 5, protocol.Version, protocol.FlagOneway)))
	m.Close()
	m.Leave()
	require.NoError(t, s.Frame(of(code, 6, protocol.Version, 0)))
	answered(t, c, 6, protocol.GoAway)
	require.NoError(t, s.Frame(of(code+1, 7, protocol.VersionV5_3_1, 0)))
	answered(t, c, 7, protocol.ServiceNotAvailable)
	require.NoError(t, s.Frame(of(code+1, 8, protocol.Version, protocol.FlagOneway)))
	close(handled)
	var got []int32
	for opaque := range handled {
		got = append(got, opaque)
	}
	require.Equal(t, []int32{1, 4, 5}, got)
	require.Empty(t, l.events)
	require.Empty(t, c.sent)
}

func TestBadRoutesPanic(t *testing.T) {
	m := newMux(t, mux.Options{})
	l := m.NewLane(mux.LaneOptions{})
	h := func(*mux.Request) *protocol.Command { return nil }
	require.Panics(t, func() { m.Add(mux.Route{Code: 1, Handle: h}) })
	require.Panics(t, func() { m.Add(mux.Route{Code: 1, Lane: l}) })
	m.Add(mux.Route{Code: 1, Lane: l, Handle: h})
	require.Panics(t, func() { m.Add(mux.Route{Code: 1, Lane: l, Handle: h}) })
	require.Equal(t, []int32{1}, m.Codes())
}

func TestCallIsAnsweredByOpaque(t *testing.T) {
	m := newMux(t, mux.Options{})
	c := newConn()
	s := m.Open(c)
	type result struct {
		resp *protocol.Command
		err  error
	}
	results := make([]chan result, 3)
	opaques := map[int]int32{}
	for i := range results {
		results[i] = make(chan result, 1)
		go func() {
			resp, err := mux.Call(context.Background(), c, &protocol.Command{Code: int32(40 + i)}, time.Minute)
			results[i] <- result{resp, err}
		}()
		req := c.next(t)
		require.False(t, req.IsResponse())
		opaques[int(req.Code)-40] = req.Opaque
	}
	answer := func(i int) []byte {
		return frame.Append(nil, &protocol.Command{Flag: protocol.FlagResponse, Opaque: opaques[i], Remark: fmt.Sprint("answer ", i)})
	}
	for _, i := range []int{2, 0} { // in any order
		require.NoError(t, s.Frame(answer(i)))
		r := <-results[i]
		require.NoError(t, r.err)
		require.Equal(t, fmt.Sprint("answer ", i), r.resp.Remark)
	}
	require.NoError(t, s.Frame(answer(0))) // late, and twice: nobody waits
	require.True(t, c.Calls().Waiting())
	c.Close("test")
	require.ErrorIs(t, (<-results[1]).err, mux.ErrClosed)
	require.False(t, c.Calls().Waiting())
	_, err := mux.Call(context.Background(), c, &protocol.Command{Code: 50}, time.Minute)
	require.ErrorIs(t, err, mux.ErrClosed)
}

func TestCallEndsWithItsTime(t *testing.T) {
	c := newConn()
	_, err := mux.Call(context.Background(), c, &protocol.Command{Code: 1}, time.Millisecond)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = mux.Call(ctx, c, &protocol.Command{Code: 1}, time.Minute)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, c.Calls().Waiting(), "a call was left behind")
}

func TestBuffersHaveRoom(t *testing.T) {
	for _, n := range []int{0, 1, 1 << 10, 1<<10 + 1, 70 << 10, 320 << 10, 10 << 20} {
		b := mux.NewBuffer(n)
		require.Empty(t, b.B)
		require.GreaterOrEqual(t, cap(b.B), n)
		b.B = append(b.B, "0123456789"...)
		b.Skip = 4
		require.Equal(t, "456789", string(b.Bytes()))
		b.Release()
		again := mux.NewBuffer(n)
		require.Empty(t, again.Bytes())
	}
}

// loop is an Inline part that takes even opaques.
type loop struct{ events []string }

func (l *loop) Offer(cmd *protocol.Command) bool {
	if cmd.Opaque%2 == 0 {
		l.events = append(l.events, fmt.Sprint("took ", cmd.Opaque))
		return true
	}
	return false
}

func (l *loop) Flush() { l.events = append(l.events, "flush") }

func TestInlineGetsRequestsFirst(t *testing.T) {
	m := newMux(t, mux.Options{})
	l := &loop{}
	opened := 0
	in := &mux.InlineFactory{Open: func(mux.Conn) mux.Inline { opened++; return l }}
	m.Add(mux.Route{Code: code, Inline: in, Lane: m.NewLane(mux.LaneOptions{Capacity: 4}), Handle: func(*mux.Request) *protocol.Command {
		return protocol.NewResponse(protocol.Success, "")
	}})
	c := newConn()
	s := m.Open(c)
	for i := range int32(4) {
		require.NoError(t, s.Frame(request(i)))
	}
	s.Flush()
	s.Flush() // nothing new
	require.NoError(t, s.Frame(request(4)))
	s.Flush()
	require.Equal(t, []string{"took 0", "took 2", "flush", "took 4", "flush"}, l.events)
	answered(t, c, 1, protocol.Success)
	answered(t, c, 3, protocol.Success)
	require.Equal(t, 1, opened)
}
