package pull

import (
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/internal/conntest"
	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// requests returns n requests of c that a handler has taken and not answered.
func requests(t *testing.T, c *conntest.Conn, n int) []*mux.Request {
	m := mux.New(mux.Options{Logger: zerolog.Nop()})
	t.Cleanup(m.Close)
	taken := make(chan *mux.Request)
	m.Add(mux.Route{Code: 1, Lane: m.NewLane(mux.LaneOptions{Capacity: n}), Handle: func(r *mux.Request) *protocol.Command {
		if r.Attempt > 0 {
			return protocol.NewResponse(protocol.PullNotFound, "")
		}
		taken <- r
		return nil
	}})
	s := m.Open(c)
	var out []*mux.Request
	for i := range n {
		require.NoError(t, s.Frame(frame.Append(nil, &protocol.Command{Code: 1, Opaque: int32(i)})))
		out = append(out, <-taken)
	}
	return out
}

func TestPullsOfClosedConnectionsAreGivenUp(t *testing.T) {
	h := newHold()
	defer h.close()
	open, gone := conntest.New(1), conntest.New(2)
	q := consumequeue.New(&consumequeue.Config{}, "T", 0)
	for _, c := range []*conntest.Conn{open, gone} {
		rs := requests(t, c, 10)
		for _, r := range rs[:9] {
			h.add(q, 0, every, r, time.Hour)
		}
		h.mu.Lock()
		h.schedule(&held{r: rs[9]}, time.Hour)
		h.mu.Unlock()
	}
	gone.Close("test")
	h.dropGone()
	h.mu.Lock()
	defer h.mu.Unlock()
	left := 0
	for _, slot := range h.slots {
		for i, x := range slot {
			require.Equal(t, i, x.at)
			require.Equal(t, mux.Conn(open), x.r.Conn)
			left++
		}
	}
	require.Equal(t, 10, left)
	require.Len(t, h.waiting[q], 9)
	require.EqualValues(t, 9, q.Waiters.Load())
}

func TestWokenPullsLeaveNothingBehind(t *testing.T) {
	h := newHold()
	defer h.close()
	c := conntest.New(1)
	q := consumequeue.New(&consumequeue.Config{}, "T", 0)
	odd := &Filter{Codes: []int32{7}}
	for i, r := range requests(t, c, 10) {
		f := every
		if i%2 == 1 {
			f = odd
		}
		h.add(q, int64(i/5), f, r, time.Hour)
	}
	h.arrived(q, 0, arrival{tagsCode: 3}) // those at offset 0 that want every tag
	woken := map[int32]bool{}
	for range 3 {
		woken[(<-c.Sent).Opaque] = true
	}
	require.Equal(t, map[int32]bool{0: true, 2: true, 4: true}, woken)
	h.arrived(q, 1, arrival{tagsCode: 7})
	for range 7 {
		<-c.Sent
	}
	require.Empty(t, h.slots)
	require.Empty(t, h.waiting)
	require.Zero(t, q.Waiters.Load())
}
