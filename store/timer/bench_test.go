package timer

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/timer/wheel"
)

// BenchmarkMillion: a million messages of 200 bytes that wait, spread over an hour. It reports the rates of entering and
// delivering, and the heap with all of them waiting, beyond that of the empty store.
func BenchmarkMillion(b *testing.B) {
	const messages, spread, group = 1_000_000, 3600, 500
	for range b.N {
		r := newRig(b, nil, begin, func(o *Options) {
			o.RollWindow, o.LogFileSize, o.Slots = 2*24*3600, 100<<20, wheel.Slots
			o.Logger = zerolog.Nop()
		})
		so := store.DefaultOptions()
		so.StorePathRootDir, so.Now = b.TempDir(), r.o.Now
		var err error
		r.store, err = store.Open(so)
		require.NoError(b, err)
		o := r.o
		o.Store = r.store
		r.timer, err = load(o)
		require.NoError(b, err)
		close(r.timer.done)
		idle := heap()

		body := make([]byte, 200)
		q := r.store.Queue(Topic, 0)
		var wg sync.WaitGroup
		for at := 0; at < messages; at += group {
			g := &store.Group{}
			for i := at; i < at+group; i++ {
				out := begin + int64(10+i%spread)*1000
				properties := "UNIQ_KEY\x01" + fmt.Sprintf("%032d", i) + "\x02TIMER_OUT_MS\x01" + strconv.FormatInt(out, 10) + "\x02REAL_TOPIC\x01" + realTopic + "\x02REAL_QID\x01" + strconv.Itoa(i%8) + "\x02"
				n := len(g.Buf)
				g.Buf, err = message.AppendRecord(g.Buf, &message.Message{Topic: Topic, Body: body}, properties)
				require.NoError(b, err)
				g.Recs = append(g.Recs, store.Rec{Queue: q, Size: int32(len(g.Buf) - n)})
			}
			wg.Add(1)
			g.Owner = owner{func(error, []store.Rec) { wg.Done() }}
			require.NoError(b, r.store.Submit(g))
			wg.Wait()
		}
		begun := time.Now()
		require.NoError(b, r.turns())
		b.ReportMetric(messages/time.Since(begun).Seconds(), "entered/s")
		require.Equal(b, int64(messages), r.timer.Stats().Pending)
		b.ReportMetric(float64(heap()-idle)/(1<<20), "waiting-MiB")

		begun = time.Now()
		require.NoError(b, r.close())
		b.ReportMetric(time.Since(begun).Seconds()*1000, "stop-ms")
		r.store, err = store.Open(so)
		require.NoError(b, err)
		begun = time.Now()
		o.Store = r.store
		r.timer, err = load(o)
		require.NoError(b, err)
		close(r.timer.done)
		b.ReportMetric(time.Since(begun).Seconds()*1000, "start-ms")
		require.Equal(b, int64(messages), r.timer.Stats().Pending)

		r.now.Store(begin + (spread+20)*1000)
		begun = time.Now()
		require.NoError(b, r.turns())
		b.ReportMetric(messages/time.Since(begun).Seconds(), "delivered/s")
		require.Zero(b, r.timer.Stats().Pending)
		b.ReportMetric(float64(heap()-idle)/(1<<20), "delivered-MiB")
		require.NoError(b, r.close())
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
