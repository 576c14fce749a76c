package disk

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"
)

const (
	loadQueues = 6
	// loadAtLeast is how many acknowledgements the broker gives before it is killed.
	loadAtLeast = 120
)

// lane is one sender under load; it has a queue for itself, so that its messages are in order there.
type lane struct {
	sent []*message
	acks []ack // of the first of sent; the last one sent may have none
	err  error
}

// killUnderLoad kills the server while it serves senders. What it acknowledged enters the ledger; the
// message of each queue whose acknowledgement did not come is settled by the next server.
func (w *world) killUnderLoad() {
	w.t.Helper()
	var senders sync.WaitGroup
	var acked atomic.Int64
	enough, failed := make(chan struct{}), make(chan struct{}, loadQueues)
	lanes := make([]lane, loadQueues)
	for queue := range lanes {
		// Composed before, because the ledger belongs to this goroutine.
		var stock []*message
		for i := range 300 {
			stock = append(stock, w.compose(loadTopic, []int{30, 700, 5000}[i%3]))
		}
		senders.Go(func() {
			lanes[queue].run(w.server.Addr(), queue, stock, func() {
				if acked.Add(1) == loadAtLeast {
					close(enough)
				}
			})
			failed <- struct{}{}
		})
	}
	select {
	case <-enough:
	case <-failed:
	}
	w.server.Kill(w.t)
	senders.Wait()
	w.ledger.killed[w.now] = true
	require.GreaterOrEqual(w.t, acked.Load(), int64(loadAtLeast), "%v", lanes[0].err)
	for queue, l := range lanes {
		require.False(w.t, errors.As(l.err, new(refusal)), "%v", l.err)
		for i, a := range l.acks {
			w.enter(queue, l.sent[i:i+1], []ack{a})
		}
		if len(l.sent) > len(l.acks) {
			w.unsure[queue] = l.sent[len(l.acks)]
		}
	}
	w.t.Logf("hop %d: %d messages were acknowledged under load until the kill", w.now+1, acked.Load())
}

// run sends one message after another until the broker is gone.
func (l *lane) run(addr string, queue int, stock []*message, acked func()) {
	for _, m := range stock {
		l.sent = append(l.sent, m)
		acks, err := trySend(addr, queue, m)
		if err != nil {
			l.err = err
			return
		}
		l.acks = append(l.acks, acks[0])
		acked()
	}
	l.err = errors.New("out of messages before the kill")
}

// settleLoad asks which of the messages without acknowledgement were stored before the kill. From now on
// these count as acknowledged.
func (w *world) settleLoad() {
	w.t.Helper()
	for queue, m := range w.unsure {
		end := int64(0)
		if ends := w.ledger.ends[loadTopic]; queue < len(ends) {
			end = ends[queue]
		}
		_, high := w.wire.bounds(loadTopic, queue)
		if high == end {
			continue
		}
		recs, _ := w.wire.pull(loadTopic, queue, high-1, "*")
		require.Len(w.t, recs, 1)
		require.Equal(w.t, m.id, recs[0].uniqueKey, "%s: queue %d of %s ends with a message that nobody sent last", w.server, queue, loadTopic)
		w.ledger.acked(w.now-1, queue, []*message{m}, []ack{{recs[0].offset, recs[0].physical}})
	}
	clear(w.unsure)
}
