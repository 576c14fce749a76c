package stats

import (
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Windows. Java: StatsItem keeps 7 samples at 10 s, 7 at 10 min and 25 at 1 h.
const (
	minute = iota
	hour
	daily
)

// maxSamples is the largest number of samples of a window.
const maxSamples = 25

// sample is what a counter was at a moment.
type sample struct{ nums, bytes, times int64 }

// clock is when the samples of a window were taken. Samples are numbered from 1 on, the same for all
// counters.
type clock struct {
	every   time.Duration
	samples int64 // kept
	next    time.Time
	number  int64
	stamps  [maxSamples]time.Time // by number modulo samples
}

func newClocks(boot time.Time) [3]clock {
	c := [3]clock{minute: {every: 10 * time.Second, samples: 7}, hour: {every: 10 * time.Minute, samples: 7}, daily: {every: time.Hour, samples: 25}}
	for i := range c {
		c[i].next = boot.Add(c[i].every)
	}
	return c
}

// tick reports whether a sample is due.
func (c *clock) tick(now time.Time) bool {
	if now.Before(c.next) {
		return false
	}
	for !c.next.After(now) { // a machine that slept takes one sample, not many
		c.next = c.next.Add(c.every)
	}
	c.number++
	c.stamps[c.number%c.samples] = now
	return true
}

// windows are the samples of one counter in each window.
type windows [3]window

// window are the samples of one counter. A counter that did not move for the whole window keeps none.
type window struct {
	born  int64 // number of the first sample, 0 before it
	moved int64 // number of the last sample that differs from the one before it
	last  sample
	kept  []sample // by number modulo clock.samples; nil when all are as last
}

func (w *windows) take(which int, c *clock, now sample) { w[which].take(c, now) }

func (w *window) take(c *clock, now sample) {
	switch {
	case w.born == 0:
		if now == (sample{}) {
			return
		}
		w.born, w.moved, w.last = c.number, c.number, now
		w.kept = make([]sample, c.samples)
	case now == w.last:
		if w.kept == nil {
			return
		}
		if c.number-w.moved >= c.samples-1 {
			w.kept = nil
			return
		}
	default:
		if w.kept == nil {
			w.kept = make([]sample, c.samples)
			for i := range w.kept {
				w.kept[i] = w.last
			}
		}
		w.moved, w.last = c.number, now
	}
	w.kept[c.number%c.samples] = now
}

// span returns how far the counter moved in the window, and in which time. Before its first sample a
// counter stood at zero one interval earlier, as with Java.
func (w *window) span(c *clock) (sample, time.Duration) {
	if w.kept == nil {
		return sample{}, 0
	}
	from := c.number - c.samples + 1
	if from < w.born {
		return w.last, c.stamps[c.number%c.samples].Sub(c.stamps[w.born%c.samples]) + c.every
	}
	first := w.kept[from%c.samples]
	return sample{w.last.nums - first.nums, w.last.bytes - first.bytes, w.last.times - first.times},
		c.stamps[c.number%c.samples].Sub(c.stamps[from%c.samples])
}

// kind says which of a sample's numbers a statistic is about.
type kind int

const (
	ofNums kind = iota
	ofBytes
)

func (w *window) item(c *clock, k kind) body.BrokerStatsItem {
	moved, took := w.span(c)
	it := body.BrokerStatsItem{Sum: moved.nums}
	if k == ofBytes {
		it.Sum = moved.bytes
	}
	if took > 0 {
		it.Tps = float64(it.Sum) * 1000 / float64(took.Milliseconds())
	}
	if moved.times > 0 {
		it.Avgpt = float64(it.Sum) / float64(moved.times)
	}
	return it
}

func (w *windows) data(clocks *[3]clock, k kind) body.BrokerStatsData {
	return body.BrokerStatsData{StatsMinute: w[minute].item(&clocks[minute], k), StatsHour: w[hour].item(&clocks[hour], k),
		StatsDay: w[daily].item(&clocks[daily], k)}
}
