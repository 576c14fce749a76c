package mux_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// TestRepliesCarryTheirOpaque: replies come from anywhere, in any order.
func TestRepliesCarryTheirOpaque(t *testing.T) {
	m, held := newMux(t, mux.Options{}), make(chan *mux.Request, 3)
	serve(m, mux.LaneOptions{Capacity: 3}, func(r *mux.Request) *protocol.Command { held <- r; return nil })
	c := newConn()
	s := m.Open(c)
	for i := range int32(3) {
		require.NoError(t, s.Frame(request(70+i)))
	}
	r := []*mux.Request{<-held, <-held, <-held}
	r[2].Reply(&protocol.Command{Opaque: 5}) // neither the opaque nor the flag is the handler's business
	answered(t, c, 72, protocol.Success)
	r[0].ReplyFrame(encoded(70), protocol.Success)
	answered(t, c, 70, protocol.Success)
	r[1].Reply(nil) // as good as Drop
	r[1].Reply(ok())
	r[0].ReplyFrame(encoded(70), protocol.Success)
	r[2].ReplyFrame(encoded(72), protocol.Success)
	require.Empty(t, c.sent)
}

func TestOneOfManyRepliesCounts(t *testing.T) {
	m, held := newMux(t, mux.Options{}), make(chan *mux.Request, 1)
	serve(m, mux.LaneOptions{Capacity: 1}, func(r *mux.Request) *protocol.Command { held <- r; return nil })
	c := newConn()
	s := m.Open(c)
	for i := range int32(50) {
		require.NoError(t, s.Frame(request(i)))
		r := <-held
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { r.Reply(ok()) })
			wg.Go(func() { r.ReplyFrame(encoded(i), protocol.Success) })
		}
		wg.Wait()
		require.Len(t, c.sent, 1)
		answered(t, c, i, protocol.Success)
	}
}

func TestPanicBehindTheReplyIsNotAnswered(t *testing.T) {
	m := newMux(t, mux.Options{})
	serve(m, mux.LaneOptions{Capacity: 1}, func(r *mux.Request) *protocol.Command { r.Reply(ok()); panic("oops") })
	c := newConn()
	require.NoError(t, m.Open(c).Frame(request(1)))
	answered(t, c, 1, protocol.Success)
	m.Close()
	require.Empty(t, c.sent)
	require.EqualValues(t, 1, m.Stats().Panics)
}

func TestHandlersErrors(t *testing.T) {
	for name, h := range map[string]mux.Handler{
		"header": mux.Handle(func(r *mux.Request, _ *struct{}) (*protocol.Command, error) { return outcome(r) }),
		"bare":   mux.HandleBare(outcome),
	} {
		t.Run(name, func(t *testing.T) {
			m := newMux(t, mux.Options{})
			serve(m, mux.LaneOptions{Capacity: 3}, h)
			c := newConn()
			for i := range int32(3) {
				require.NoError(t, m.Open(c).Frame(request(i)))
			}
			answered(t, c, 0, protocol.Success)
			require.Equal(t, "plain", answered(t, c, 1, protocol.SystemError).Remark)
			require.Equal(t, "no topic", answered(t, c, 2, protocol.TopicNotExist).Remark)
		})
	}
}

func outcome(r *mux.Request) (*protocol.Command, error) {
	switch r.Cmd.Opaque {
	case 0:
		r.Reply(ok())
		return nil, nil
	case 1:
		return ok(), fmt.Errorf("plain")
	}
	return nil, fmt.Errorf("wrapped: %w", protocol.Errorf(protocol.TopicNotExist, "no topic"))
}

// TestHeldMemoryIsGivenBackOnce: exactly one request of a connection fits, however earlier ones ended.
func TestHeldMemoryIsGivenBackOnce(t *testing.T) {
	one := int64(len(request(100)) + 512)
	for name, act := range map[string]mux.Handler{
		"returned": func(*mux.Request) *protocol.Command { return ok() },
		"reply":    func(r *mux.Request) *protocol.Command { r.Reply(ok()); r.Reply(ok()); return ok() },
		"frame":    func(r *mux.Request) *protocol.Command { r.ReplyFrame(encoded(1), protocol.Success); return ok() },
		"drop":     func(r *mux.Request) *protocol.Command { r.Drop(); r.Drop(); return ok() },
		"panic":    func(*mux.Request) *protocol.Command { panic("oops") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, held := newMux(t, mux.Options{MaxHeldBytes: 4*one + 400}), make(chan *mux.Request, 9)
				serve(m, mux.LaneOptions{Capacity: 9}, func(r *mux.Request) *protocol.Command {
					if r.Cmd.Opaque == 100 {
						held <- r
						return nil
					}
					return act(r)
				})
				c := newConn()
				s := m.Open(c)
				for range 10 {
					require.NoError(t, s.Frame(request(1)))
					synctest.Wait()
				}
				require.Zero(t, m.Stats().Overloaded)
				for range 3 {
					require.NoError(t, s.Frame(request(100)))
					synctest.Wait()
					require.NoError(t, s.Frame(request(100)))
					synctest.Wait()
					require.Len(t, held, 1)
					(<-held).Drop()
				}
				require.EqualValues(t, 3, m.Stats().Overloaded)
				for range 4 { // four connections share what there is
					require.NoError(t, m.Open(newConn()).Frame(request(100)))
				}
				fifth := newConn()
				require.NoError(t, m.Open(fifth).Frame(request(100)))
				answered(t, fifth, 100, protocol.SystemBusy)
			})
		})
	}
}

func TestFullLaneHoldsNothingOfTheRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, release := blocked(t, mux.Options{MaxHeldBytes: 16 << 10}, mux.LaneOptions{Capacity: 1})
		s := m.Open(c)
		for range 20 {
			require.NoError(t, s.Frame(request(1)))
		}
		release()
		synctest.Wait()
		require.Len(t, c.sent, 19+2)
		for range 21 {
			c.next(t)
		}
		big := func(opaque int32, n int) []byte {
			return frame.Append(nil, &protocol.Command{Code: code, Opaque: opaque, Body: make([]byte, n)})
		}
		require.NoError(t, s.Frame(big(2, 3<<10)))
		answered(t, c, 2, protocol.Success)
		require.NoError(t, s.Frame(big(3, 5<<10)))
		answered(t, c, 3, protocol.SystemBusy) // alone more than the connection's quarter
	})
}

func TestRequeueOnAFullLaneIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, gate, held := newMux(t, mux.Options{}), make(chan struct{}), make(chan *mux.Request, 2)
		l := serve(m, mux.LaneOptions{Capacity: 1}, func(r *mux.Request) *protocol.Command {
			if r.Cmd.Opaque != 0 {
				held <- r
				return nil
			}
			<-gate
			return ok()
		})
		c := newConn()
		s := m.Open(c)
		require.NoError(t, s.Frame(request(1)))
		r := <-held
		require.NoError(t, s.Frame(oneway(2)))
		silent := <-held
		require.NoError(t, s.Frame(request(0)))
		synctest.Wait()
		require.NoError(t, s.Frame(request(0)))
		silent.Again()
		require.Empty(t, c.sent)
		r.Requeue()
		require.Equal(t, "[OVERLOAD]system busy, start flow control for a while", answered(t, c, 1, protocol.SystemBusy).Remark)
		require.EqualValues(t, 2, m.Stats().Overloaded)
		n, _ := l.Waiting(time.Now())
		require.Equal(t, 1, n)
		close(gate)
		answered(t, c, 0, protocol.Success)
		answered(t, c, 0, protocol.Success)
	})
}

// grown returns by how much the heap has grown since before, in bytes.
func grown(before uint64) int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc) - int64(before)
}

// fieldsFrame returns a request with n ext fields of 7 bytes each.
func fieldsFrame(n int) []byte {
	h := fmt.Sprintf(`{"code":%d,"opaque":1,"extFields":{%s"b":""}}`, code, strings.Repeat(`"a":"",`, n))
	return frame.Finish(append(make([]byte, frame.PrefixLength, frame.PrefixLength+len(h)), h...), 0, len(h))
}

func TestHeldMemoryCountsTheFields(t *testing.T) {
	m, _, release := blocked(t, mux.Options{MaxHeldBytes: 16 << 20}, mux.LaneOptions{Capacity: 100})
	b := fieldsFrame(140_000) // 1 MB
	before := uint64(grown(0))
	c := newConn()
	s := m.Open(c)
	for len(c.sent) == 0 {
		require.NoError(t, s.Frame(append([]byte(nil), b...)))
	}
	require.Less(t, grown(before), int64(12<<20), "a connection holds far more than its 4 MiB")
	runtime.KeepAlive(s)
	release()
}

// TestSessionKeepsNothingOfAFrame: an idle connection must not pin the largest frame it ever sent.
func TestSessionKeepsNothingOfAFrame(t *testing.T) {
	m := newMux(t, mux.Options{})
	serve(m, mux.LaneOptions{Capacity: 4}, func(r *mux.Request) *protocol.Command { return ok() })
	c := newConn()
	s := m.Open(c)
	before := uint64(grown(0))
	last := func() weak.Pointer[byte] {
		b := fieldsFrame(200_000)
		require.NoError(t, s.Frame(b))
		s.Flush()
		answered(t, c, 1, protocol.Success)
		return weak.Make(&b[0])
	}()
	m.Close()
	require.Less(t, grown(before), int64(1<<20))
	require.Nil(t, last.Value(), "the frame is still referenced")
	runtime.KeepAlive(s)
}
