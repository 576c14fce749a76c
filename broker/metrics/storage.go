package metrics

import (
	"strconv"
	"time"
)

// Java: DefaultStoreMetricsConstant.
var (
	storageSize    = instrument{"rocketmq_storage_size", "bytes", "Broker storage size: what is used of the disk", Gauge}
	flushBehind    = instrument{"rocketmq_storage_flush_behind_bytes", "bytes", "Broker flush behind bytes", Gauge}
	dispatchBehind = instrument{"rocketmq_storage_dispatch_behind_bytes", "bytes", "Broker dispatch behind bytes", Gauge}
	reserveTime    = instrument{"rocketmq_storage_message_reserve_time", "milliseconds", "Broker message reserve time", Gauge}
	enqueueLag     = instrument{"rocketmq_timer_enqueue_lag", "", "Timer enqueue messages lag", Gauge}
	enqueueLatency = instrument{"rocketmq_timer_enqueue_latency", "milliseconds", "Timer enqueue latency", Gauge}
	dequeueLag     = instrument{"rocketmq_timer_dequeue_lag", "", "Timer dequeue messages lag", Gauge}
	dequeueLatency = instrument{"rocketmq_timer_dequeue_latency", "milliseconds", "Timer dequeue latency", Gauge}
	timing         = instrument{"rocketmq_timing_messages", "", "Current message number in timing", Gauge}
	timerEnqueued  = instrument{"rocketmq_timer_enqueue_total", "", "Total number of timer enqueue", Counter}
	timerDequeued  = instrument{"rocketmq_timer_dequeue_total", "", "Total number of timer dequeue", Counter}
	timerSnapshot  = instrument{"rocketmq_timer_message_snapshot", "", "Timer message distribution snapshot, only count timing messages in 24h.", Gauge}
	delayLatency   = instrument{"rocketmq_delay_message_latency", "seconds", "Timer message set latency distribution", Distribution}
)

// snapshotBounds are up to when, in s, the messages are counted that wait. Java: TimerMetrics.timerDist.
var snapshotBounds = []int{5, 60, 300, 900, 3600, 14400, 28800, 86400}

// stored adds the labels of all that has to do with the store.
func stored(labels ...Label) []Label {
	return append(labels, Label{"storage_type", "local"}, Label{"storage_medium", "disk"})
}

func (g *gathering) storage() {
	o := g.o.Store.Options()
	if d, err := o.DiskUsage(o.StorePathRootDir); err == nil && d.Total > 0 {
		g.value(&storageSize, float64(d.Total-d.Free), stored()...)
	}
	s := g.o.Store.Stats()
	g.value(&flushBehind, float64(max(s.MaxPhysical-s.Flushed, 0)), stored()...)
	g.value(&dispatchBehind, float64(max(s.MaxPhysical-s.Dispatched, 0)), stored()...)
	if t := g.o.Store.EarliestTime(); t > 0 {
		g.value(&reserveTime, float64(g.now.UnixMilli()-t), stored()...)
	}
}

func (g *gathering) timer() {
	if g.o.Timer == nil {
		return
	}
	s := g.o.Timer.Stats()
	g.value(&enqueueLag, float64(s.OffsetBehind), stored()...)
	g.value(&enqueueLatency, milliseconds(s.EnqueueLate), stored()...)
	g.value(&dequeueLag, float64(s.Pending), stored()...)
	g.value(&dequeueLatency, milliseconds(s.ReadBehind), stored()...)
	for name, n := range g.o.Timer.Waiting() {
		g.value(&timing, float64(n), stored(Label{"topic", name})...)
	}
	from := 0
	for _, to := range snapshotBounds {
		n := g.o.Timer.Due(g.now.Add(time.Duration(from)*time.Second), time.Duration(to-from)*time.Second)
		g.value(&timerSnapshot, float64(n), stored(Label{"timer_bound_s", strconv.Itoa(to)})...)
		from = to
	}
}
