package mux_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

func total(l mux.Latency) (n uint64) {
	for _, x := range l.Counts {
		n += x
	}
	return n
}

// TestLatencies tells requests apart by how they end, and counts the time from their header to their answer, also of those
// that were held and queued again.
func TestLatencies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, held := newMux(t, mux.Options{}), make(chan *mux.Request, 1)
		serve(m, mux.LaneOptions{Capacity: 8}, func(r *mux.Request) *protocol.Command {
			switch {
			case r.Cmd.Opaque == 1 && r.Attempt == 0:
				held <- r
				return nil
			case r.Cmd.Opaque == 2:
				return protocol.NewResponse(protocol.NoPermission, "")
			}
			return ok()
		})
		c := newConn()
		s := m.Open(c)
		require.NoError(t, s.Frame(request(1)))
		r := <-held
		time.Sleep(50 * time.Millisecond)
		r.Requeue()
		answered(t, c, 1, protocol.Success)
		require.NoError(t, s.Frame(request(2)))
		answered(t, c, 2, protocol.NoPermission)
		require.NoError(t, s.Frame(oneway(3)))
		for range 2 {
			require.NoError(t, s.Frame(frame.Append(nil, &protocol.Command{Code: code + 1, Opaque: 4})))
			answered(t, c, 4, protocol.RequestCodeNotSupported)
		}
		m.Observe(code, mux.Outcome{Result: mux.ResultSuccess}, 5, 4*time.Millisecond)
		m.Observe(code+1, mux.Outcome{}, 5, 0) // no such route: whoever calls it has none
		synctest.Wait()
		got := map[mux.Outcome]mux.Latency{}
		for _, l := range m.Latencies() {
			if l.Code == code+1 {
				require.Equal(t, mux.Outcome{Response: protocol.RequestCodeNotSupported, Result: mux.ResultSuccess}, l.Outcome)
				require.EqualValues(t, 2, total(l))
				continue
			}
			got[l.Outcome] = l
		}
		require.Len(t, got, 4)
		long := got[mux.Outcome{Held: true, Result: mux.ResultSuccess}]
		require.EqualValues(t, 1, long.Counts[5], "up to 100 ms")
		require.Equal(t, 50*time.Millisecond, long.Sum)
		require.EqualValues(t, 1, total(got[mux.Outcome{Response: protocol.NoPermission, Result: mux.ResultSuccess}]))
		require.EqualValues(t, 1, total(got[mux.Outcome{Result: mux.ResultOneway}]))
		many := got[mux.Outcome{Result: mux.ResultSuccess}]
		require.EqualValues(t, 5, many.Counts[2], "up to 5 ms")
		require.Equal(t, 20*time.Millisecond, many.Sum)
		m.Close()
	})
}

func TestObservingAllocatesNothing(t *testing.T) {
	m := newMux(t, mux.Options{})
	serve(m, mux.LaneOptions{}, func(*mux.Request) *protocol.Command { return ok() })
	of := mux.Outcome{Result: mux.ResultSuccess}
	m.Observe(code, of, 1, 0)
	require.Zero(t, testing.AllocsPerRun(100, func() { m.Observe(code, of, 3, time.Millisecond) }))
}
