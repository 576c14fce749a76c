package mux_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// serve adds h as the handler of code on a lane of its own.
func serve(m *mux.Mux, o mux.LaneOptions, h mux.Handler) *mux.Lane {
	l := m.NewLane(o)
	m.Add(mux.Route{Code: code, Lane: l, Handle: h})
	return l
}

func ok() *protocol.Command { return protocol.NewResponse(protocol.Success, "") }

// encoded returns the frame of a success response in a buffer.
func encoded(opaque int32) *mux.Buffer {
	b := mux.NewBuffer(256)
	b.B = frame.Append(b.B, &protocol.Command{Opaque: opaque, Flag: protocol.FlagResponse})
	return b
}

func TestOnewayIsNeverAnswered(t *testing.T) {
	for name, act := range map[string]mux.Handler{
		"returned": func(*mux.Request) *protocol.Command { return ok() },
		"reply":    func(r *mux.Request) *protocol.Command { r.Reply(ok()); return nil },
		"frame":    func(r *mux.Request) *protocol.Command { r.ReplyFrame(encoded(1), protocol.Success); return nil },
		"panic":    func(*mux.Request) *protocol.Command { panic("oops") },
		"header":   mux.Handle(func(*mux.Request, *header) (*protocol.Command, error) { return ok(), nil }),
	} {
		t.Run(name, func(t *testing.T) {
			m := newMux(t, mux.Options{})
			handled := 0
			serve(m, mux.LaneOptions{Capacity: 4}, func(r *mux.Request) *protocol.Command { handled++; return act(r) })
			c := newConn()
			require.NoError(t, m.Open(c).Frame(oneway(1)))
			m.Close()
			require.Equal(t, 1, handled)
			require.Empty(t, c.sent)
		})
	}
}

func TestRefusedOnewayIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, release := blocked(t, mux.Options{}, mux.LaneOptions{Capacity: 1, MaxWait: time.Second})
		s := m.Open(c)
		require.NoError(t, s.Frame(oneway(1)))
		require.NoError(t, s.Frame(oneway(2))) // the lane is full
		require.EqualValues(t, 1, m.Stats().Overloaded)
		time.Sleep(2 * time.Second)
		require.EqualValues(t, 1, m.Stats().TimedOut)
		require.Empty(t, c.sent)
		release()
		answered(t, c, 0, protocol.Success)
	})
}

// TestWaitingIsBoundedInTime: what waited MaxWait is refused, oldest first, what waited less is not.
func TestWaitingIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, gate := newMux(t, mux.Options{}), make(chan struct{})
		l := serve(m, mux.LaneOptions{Name: "send", Capacity: 7, MaxWait: 200 * time.Millisecond},
			func(*mux.Request) *protocol.Command { <-gate; return ok() })
		require.Equal(t, "send", l.Name())
		require.Equal(t, 7, l.Capacity())
		c := newConn()
		s := m.Open(c)
		require.NoError(t, s.Frame(request(0)))
		synctest.Wait()
		n, age := l.Waiting(time.Now())
		require.Zero(t, n)
		require.Zero(t, age)
		require.NoError(t, s.Frame(request(1)))
		require.NoError(t, s.Frame(request(2)))
		time.Sleep(110 * time.Millisecond)
		require.NoError(t, s.Frame(request(3)))
		time.Sleep(89 * time.Millisecond)
		require.Empty(t, c.sent)
		n, age = l.Waiting(time.Now())
		require.Equal(t, 3, n)
		require.Equal(t, 199*time.Millisecond, age)
		time.Sleep(2 * time.Millisecond)
		const busy = "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 200ms, size of queue: "
		require.Equal(t, busy+"2", answered(t, c, 1, protocol.SystemBusy).Remark)
		require.Equal(t, busy+"1", answered(t, c, 2, protocol.SystemBusy).Remark)
		require.Empty(t, c.sent)
		close(gate)
		answered(t, c, 0, protocol.Success)
		answered(t, c, 3, protocol.Success)
		require.EqualValues(t, 2, m.Stats().TimedOut)
	})
}

func TestWithoutMaxWaitRequestsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, release := blocked(t, mux.Options{}, mux.LaneOptions{Capacity: 1})
		require.NoError(t, m.Open(c).Frame(request(1)))
		time.Sleep(time.Minute)
		require.Empty(t, c.sent)
		release()
		answered(t, c, 0, protocol.Success)
		answered(t, c, 1, protocol.Success)
	})
}

func TestLaneHasItsWorkersOnly(t *testing.T) {
	for _, x := range []struct{ workers, capacity, wantWorkers, wantWaiting int }{{3, 2, 3, 2}, {0, 0, 1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			m, gate := newMux(t, mux.Options{}), make(chan struct{})
			var running atomic.Int32
			l := serve(m, mux.LaneOptions{Workers: x.workers, Capacity: x.capacity}, func(*mux.Request) *protocol.Command {
				running.Add(1)
				<-gate
				return ok()
			})
			c := newConn()
			s := m.Open(c)
			for range x.wantWorkers + x.wantWaiting {
				require.NoError(t, s.Frame(request(1)))
				synctest.Wait()
			}
			require.EqualValues(t, x.wantWorkers, running.Load())
			n, _ := l.Waiting(time.Now())
			require.Equal(t, x.wantWaiting, n)
			require.Empty(t, c.sent)
			require.NoError(t, s.Frame(request(2)))
			answered(t, c, 2, protocol.SystemBusy)
			close(gate)
			for range x.wantWorkers + x.wantWaiting {
				answered(t, c, 1, protocol.Success)
			}
		})
	}
}

// TestCloseWaitsForTheWorkers: Close comes while a handler runs and others wait; all are answered first.
func TestCloseWaitsForTheWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, release := blocked(t, mux.Options{}, mux.LaneOptions{Capacity: 10})
		s := m.Open(c)
		require.NoError(t, s.Frame(request(1)))
		require.NoError(t, s.Frame(request(2)))
		closed := make(chan struct{})
		go func() {
			m.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			require.Fail(t, "closed while a handler runs")
		default:
		}
		require.NoError(t, s.Frame(request(3)))
		answered(t, c, 3, protocol.ServiceNotAvailable)
		release()
		<-closed
		require.Len(t, c.sent, 3)
		for i := range int32(3) {
			answered(t, c, i, protocol.Success)
		}
	})
}

// TestRequestsOfOneReadDoNotMix: a session decodes all requests into the same command.
func TestRequestsOfOneReadDoNotMix(t *testing.T) {
	m, gate := newMux(t, mux.Options{}), make(chan struct{})
	serve(m, mux.LaneOptions{Capacity: 8}, func(r *mux.Request) *protocol.Command {
		<-gate
		return protocol.NewResponse(protocol.Success, r.Cmd.Ext[0].Value+string(r.Cmd.Body))
	})
	c := newConn()
	s := m.Open(c)
	for i := range int32(5) {
		require.NoError(t, s.Frame(frame.Append(nil, &protocol.Command{Code: code, Opaque: i,
			Ext: protocol.Ext{{Key: "n", Value: fmt.Sprint(i)}}, Body: fmt.Append(nil, " body ", i)})))
	}
	close(gate)
	for i := range int32(5) {
		require.Equal(t, fmt.Sprint(i, " body ", i), answered(t, c, i, protocol.Success).Remark)
	}
}

func TestRequeuedWaitsAnewBehindTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, gate, held := newMux(t, mux.Options{}), make(chan struct{}), make(chan *mux.Request, 2)
		l := serve(m, mux.LaneOptions{Capacity: 4, MaxWait: time.Second}, func(r *mux.Request) *protocol.Command {
			switch {
			case r.Cmd.Opaque == 0:
				<-gate
			case r.Cmd.Opaque%2 == 1 && r.Attempt == 0:
				held <- r
				return nil
			}
			return ok()
		})
		c := newConn()
		s := m.Open(c)
		require.NoError(t, s.Frame(request(1)))
		require.NoError(t, s.Frame(request(3)))
		r, first := <-held, <-held
		require.NoError(t, s.Frame(request(0)))
		synctest.Wait()
		time.Sleep(time.Minute) // a held request does not wait in the lane
		first.Requeue()
		time.Sleep(300 * time.Millisecond)
		require.NoError(t, s.Frame(request(2)))
		time.Sleep(300 * time.Millisecond)
		r.Requeue()
		require.Equal(t, 1, r.Attempt)
		time.Sleep(300 * time.Millisecond)
		require.Empty(t, c.sent)
		n, age := l.Waiting(time.Now())
		require.Equal(t, 3, n)
		require.Equal(t, 900*time.Millisecond, age)
		close(gate)
		for _, i := range []int32{0, 3, 2, 1} {
			answered(t, c, i, protocol.Success)
		}
		r.Reply(protocol.NewResponse(protocol.SystemError, "second"))
		synctest.Wait()
		require.Empty(t, c.sent)
	})
}

func TestInlinePartsBelongToTheirConnection(t *testing.T) {
	m, opened := newMux(t, mux.Options{FastPort: 10909}), map[mux.Conn]*loop{}
	in := &mux.InlineFactory{Open: func(c mux.Conn) mux.Inline {
		require.Nil(t, opened[c], "opened twice")
		opened[c] = &loop{}
		return opened[c]
	}}
	l := m.NewLane(mux.LaneOptions{Capacity: 4})
	h := func(*mux.Request) *protocol.Command { return ok() }
	m.Add(mux.Route{Code: code, Inline: in, Lane: l, Handle: h}, mux.Route{Code: code + 1, Inline: in, Lane: l, Handle: h, NoFastPort: true})
	a, b, fast := newConn(), newConn(), newConn()
	fast.port = 10909
	second := frame.Append(nil, &protocol.Command{Code: code + 1, Opaque: 4})
	for _, c := range []*conn{a, b, fast} {
		s := m.Open(c)
		require.NoError(t, s.Frame(request(2)))
		require.NoError(t, s.Frame(append([]byte(nil), second...)))
		s.Flush()
	}
	require.Equal(t, []string{"took 2", "took 4", "flush"}, opened[a].events)
	require.Equal(t, []string{"took 2", "took 4", "flush"}, opened[b].events)
	require.Equal(t, []string{"took 2", "flush"}, opened[fast].events)
	answered(t, fast, 4, protocol.RequestCodeNotSupported)
	require.Empty(t, a.sent)
}

func TestNoFastPortIsNoPort(t *testing.T) {
	m, c := newMux(t, mux.Options{}), newConn()
	c.port = 0 // a connection whose listener is unknown
	m.Add(mux.Route{Code: code, NoFastPort: true, Lane: m.NewLane(mux.LaneOptions{}), Handle: func(*mux.Request) *protocol.Command { return ok() }})
	require.NoError(t, m.Open(c).Frame(request(1)))
	answered(t, c, 1, protocol.Success)
}

// TestFlushFollowsWhatWasTaken pins Inline.Flush's own comment.
func TestFlushFollowsWhatWasTaken(t *testing.T) {
	m, l := newMux(t, mux.Options{}), &loop{}
	m.Add(mux.Route{Code: code, Lane: m.NewLane(mux.LaneOptions{Capacity: 4}), Inline: &mux.InlineFactory{Open: func(mux.Conn) mux.Inline { return l }},
		Handle: func(*mux.Request) *protocol.Command { return ok() }})
	s := m.Open(newConn())
	require.NoError(t, s.Frame(request(1)))
	s.Flush()
	require.Empty(t, l.events)
}

// TestBusyLaneRefusesWhatComes and, if it is to, what waits; requests that run already go on. What comes later is
// taken again. Inline parts of its routes are not asked meanwhile.
func TestBusyLaneRefusesWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, clean := range []bool{true, false} {
			m, gate := newMux(t, mux.Options{}), make(chan struct{})
			var isBusy atomic.Bool
			l, in := m.NewLane(mux.LaneOptions{Capacity: 4, Busy: isBusy.Load, CleanBusy: clean}), &loop{}
			h := func(*mux.Request) *protocol.Command { <-gate; return ok() }
			m.Add(mux.Route{Code: code, Lane: l, Handle: h},
				mux.Route{Code: code + 1, Lane: l, Handle: h, Inline: &mux.InlineFactory{Open: func(mux.Conn) mux.Inline { return in }}})
			inlined := func(opaque int32) []byte { return frame.Append(nil, &protocol.Command{Code: code + 1, Opaque: opaque}) }
			c := newConn()
			s := m.Open(c)
			require.NoError(t, s.Frame(request(1)))
			synctest.Wait()
			require.NoError(t, s.Frame(request(2)))
			require.NoError(t, s.Frame(request(3)))
			isBusy.Store(true)
			time.Sleep(60 * time.Millisecond)
			if clean {
				const busy = "[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 50ms, size of queue: "
				require.Equal(t, busy+"1", answered(t, c, 2, protocol.SystemBusy).Remark)
				require.Equal(t, busy+"0", answered(t, c, 3, protocol.SystemBusy).Remark)
			}
			require.NoError(t, s.Frame(request(4)))
			require.NoError(t, s.Frame(inlined(6)))
			const reject = "[REJECTREQUEST]system busy, start flow control for a while"
			require.Equal(t, reject, answered(t, c, 4, protocol.SystemBusy).Remark)
			require.Equal(t, reject, answered(t, c, 6, protocol.SystemBusy).Remark)
			require.NoError(t, s.Frame(oneway(5)))
			require.Empty(t, c.sent)
			require.Empty(t, in.events)
			require.EqualValues(t, 3, m.Stats().Overloaded)
			isBusy.Store(false)
			time.Sleep(60 * time.Millisecond)
			require.NoError(t, s.Frame(inlined(8)))
			require.Equal(t, []string{"took 8"}, in.events)
			close(gate)
			answered(t, c, 1, protocol.Success)
			if !clean {
				answered(t, c, 2, protocol.Success)
				answered(t, c, 3, protocol.Success)
			}
			m.Close()
		}
	})
}
