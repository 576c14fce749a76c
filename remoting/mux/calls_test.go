package mux_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

func response(opaque int32, remark string) []byte {
	return frame.Append(nil, &protocol.Command{Code: code, Flag: protocol.FlagResponse, Opaque: opaque, Remark: remark})
}

type result struct {
	resp *protocol.Command
	err  error
}

// call starts a call and returns where its outcome comes.
func call(ctx context.Context, c mux.Conn, timeout time.Duration) <-chan result {
	out := make(chan result, 1)
	go func() {
		resp, err := mux.Call(ctx, c, &protocol.Command{Code: 40}, timeout)
		out <- result{resp, err}
	}()
	return out
}

func TestCallTimesOutAndTheLateAnswerIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMux(t, mux.Options{}), newConn()
		s := m.Open(c)
		start := time.Now()
		done := call(t.Context(), c, 3*time.Second)
		first := c.next(t).Opaque
		require.ErrorIs(t, (<-done).err, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.False(t, c.Calls().Waiting())

		done = call(t.Context(), c, time.Minute)
		second := c.next(t).Opaque
		require.NotEqual(t, first, second)
		require.NoError(t, s.Frame(response(first, "late")))
		require.NoError(t, s.Frame(response(12345, "unknown")))
		synctest.Wait()
		require.Empty(t, done, "an answer went to another call")
		require.NoError(t, s.Frame(response(second, "right")))
		r := <-done
		require.NoError(t, r.err)
		require.Equal(t, "right", r.resp.Remark)
		require.False(t, c.Calls().Waiting())
		require.Empty(t, c.sent, "a response was answered")
	})
}

func TestCallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConn()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, (<-call(ctx, c, time.Hour)).err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		require.False(t, c.Calls().Waiting())
	})
}

func TestCallFailsWhenTheConnectionCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConn()
		calls := []<-chan result{call(t.Context(), c, time.Hour), call(t.Context(), c, time.Hour)}
		synctest.Wait()
		require.True(t, c.Calls().Waiting())
		start := time.Now()
		c.Close("test")
		for _, done := range calls {
			require.ErrorIs(t, (<-done).err, mux.ErrClosed)
		}
		require.ErrorIs(t, (<-call(t.Context(), c, time.Hour)).err, mux.ErrClosed)
		require.Zero(t, time.Since(start), "a call waited for its time instead")
		require.False(t, c.Calls().Waiting())
	})
}

// TestAnswerOwnsItsBytes: the loop's buffer is used again before the caller looks.
func TestAnswerOwnsItsBytes(t *testing.T) {
	m, c := newMux(t, mux.Options{}), newConn()
	s := m.Open(c)
	done := call(t.Context(), c, time.Minute)
	b := frame.Append(nil, &protocol.Command{Flag: protocol.FlagResponse, Opaque: c.next(t).Opaque, Remark: "remark ",
		Ext: protocol.Ext{{Key: "key ", Value: "value "}}, Body: []byte("body")})
	require.NoError(t, s.Frame(b))
	clear(b)
	require.NoError(t, s.Frame(request(1))) // the session's command is another one now
	r := <-done
	require.NoError(t, r.err)
	require.Equal(t, "remark key value body", r.resp.Remark+r.resp.Ext[0].Key+r.resp.Ext[0].Value+string(r.resp.Body))
}

// TestResponsesAreNoRequests: a response that nobody waits for does not reach a route, even with its code.
func TestResponsesAreNoRequests(t *testing.T) {
	m, l := newMux(t, mux.Options{}), &loop{}
	var handled atomic.Int32
	m.Add(mux.Route{Code: code, Lane: m.NewLane(mux.LaneOptions{Capacity: 4}), Inline: &mux.InlineFactory{Open: func(mux.Conn) mux.Inline { return l }},
		Handle: func(*mux.Request) *protocol.Command { handled.Add(1); return ok() }})
	c := newConn()
	s := m.Open(c)
	require.NoError(t, s.Frame(response(1, "")))
	require.NoError(t, s.Frame(response(2, "")))
	require.NoError(t, s.Frame(frame.Append(nil, &protocol.Command{Code: 1 + code, Flag: protocol.FlagResponse})))
	s.Flush()
	m.Close()
	require.Zero(t, handled.Load())
	require.Empty(t, l.events)
	require.Empty(t, c.sent)
	require.Zero(t, m.Stats().Unknown)
}

func TestInflightGivesAnAnswerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f mux.Inflight
		require.False(t, f.Waiting())
		require.False(t, f.Answer(&protocol.Command{Opaque: 1}))
		opaque, answer := f.Begin()
		other, ended := f.Begin()
		require.NotEqual(t, opaque, other)
		require.True(t, f.Answer(&protocol.Command{Opaque: opaque, Remark: "first"}))
		require.False(t, f.Answer(&protocol.Command{Opaque: opaque, Remark: "second"}))
		f.End(other)
		require.False(t, f.Answer(&protocol.Command{Opaque: other}))
		require.False(t, f.Waiting())
		f.Close()
		f.Close()
		require.Equal(t, "first", (<-answer).Remark, "an answer that came before the end of the connection counts")
		require.Empty(t, ended)
		f.End(opaque)
		_, after := f.Begin()
		resp, open := <-after
		require.True(t, resp == nil && !open)
		require.False(t, f.Waiting())
	})
}

func TestInflightOfManyAtOnce(t *testing.T) {
	var f mux.Inflight
	begun := make(chan int32, 400)
	var seen sync.Map
	var answered, closed atomic.Int32
	var callers, engine sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 100 {
				opaque, answer := f.Begin()
				if _, twice := seen.LoadOrStore(opaque, true); twice {
					t.Error("an opaque was given twice")
				}
				begun <- opaque
				if resp, ok := <-answer; !ok {
					closed.Add(1)
				} else if answered.Add(1); resp.Opaque != opaque {
					t.Error("the answer of another call")
				}
				f.End(opaque)
			}
		})
	}
	engine.Go(func() {
		n := 0
		for opaque := range begun {
			f.Answer(&protocol.Command{Opaque: opaque})
			if n++; n == 200 {
				f.Close()
			}
		}
	})
	callers.Wait()
	close(begun)
	engine.Wait()
	require.EqualValues(t, 200, answered.Load())
	require.EqualValues(t, 200, closed.Load())
	require.False(t, f.Waiting())
}

// keeper owns the buffers that are written to it, as an engine does until they are sent.
type keeper struct {
	*conn
	kept []*mux.Buffer
}

func (k *keeper) Write(b *mux.Buffer) { k.kept = append(k.kept, b) }

func TestWrittenBuffersBelongToTheConnection(t *testing.T) {
	m, k := newMux(t, mux.Options{}), &keeper{conn: newConn()}
	serve(m, mux.LaneOptions{Capacity: 100}, func(r *mux.Request) *protocol.Command {
		if r.Cmd.Opaque%2 == 0 {
			r.ReplyFrame(encoded(r.Cmd.Opaque), protocol.Success)
			r.ReplyFrame(encoded(-1), protocol.Success) // recycled at once
			return nil
		}
		return ok()
	})
	s := m.Open(k)
	for i := range int32(100) {
		require.NoError(t, s.Frame(request(i)))
	}
	m.Close()
	require.Len(t, k.kept, 100)
	for i, b := range k.kept {
		var cmd protocol.Command
		require.NoError(t, frame.Decode(b.Bytes(), &cmd))
		require.EqualValues(t, i, cmd.Opaque)
	}
	seen := map[*mux.Buffer]bool{}
	for _, b := range k.kept {
		b.Release()
	}
	for range 300 {
		b := mux.NewBuffer(256)
		require.False(t, seen[b], "a buffer was handed out twice")
		seen[b] = true
	}
}

func TestRefusedFrameIsRecycledOnce(t *testing.T) {
	m, held, c := newMux(t, mux.Options{}), make(chan *mux.Request, 1), newConn()
	serve(m, mux.LaneOptions{Capacity: 1}, func(r *mux.Request) *protocol.Command { held <- r; return nil })
	require.NoError(t, m.Open(c).Frame(request(1)))
	r := <-held
	r.Drop()
	recycled := 0
	for range 200 { // under the race detector a pool drops some on purpose
		b := encoded(1)
		r.ReplyFrame(b, protocol.Success)
		x, y := mux.NewBuffer(256), mux.NewBuffer(256)
		require.NotSame(t, x, y)
		if x == b || y == b {
			recycled++
		}
		x.Release()
		y.Release()
	}
	require.NotZero(t, recycled)
	require.Empty(t, c.sent)
}

// TestBuffersOfAnySizeKeepTheirPromise: buffers grow in use, and what is not pooled goes.
func TestBuffersOfAnySizeKeepTheirPromise(t *testing.T) {
	for _, size := range []int{10, 2 << 10, 100 << 10, 400 << 10, 2 << 20} {
		for range 10 {
			(&mux.Buffer{B: make([]byte, size), Skip: 5}).Release()
			for _, n := range []int{1, 1 << 10, 8 << 10, 64 << 10, 320 << 10} {
				b := mux.NewBuffer(n)
				require.Empty(t, b.B)
				require.Zero(t, b.Skip)
				require.GreaterOrEqual(t, cap(b.B), n, fmt.Sprint("after a release of ", size))
				require.LessOrEqual(t, cap(b.B), 640<<10, "a huge buffer was kept")
			}
		}
	}
}
