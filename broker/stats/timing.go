package stats

import (
	"math"
	"sync/atomic"
	"time"
)

// timeBounds are the exclusive upper bounds, in ms, of the classes that putMessageDistributeTime shows.
// Java: StoreStatsService.setPutMessageEntireTimeMax.
var timeBounds = [...]int64{1, 10, 50, 100, 200, 500, 1000, 2000, 3000, 4000, 5000, 10000, math.MaxInt64}

// fineClasses is the number of classes from which percentiles are taken.
const fineClasses = 76

// fineBound returns the inclusive upper bound, in ms, of a fine class. The steps are Java's:
// StoreStatsService.PUT_MESSAGE_ENTIRE_TIME_BUCKETS.
func fineBound(i int) int64 {
	bound := int64(0)
	for _, s := range [...]struct {
		step  int64
		times int
	}{{1, 20}, {2, 15}, {5, 10}, {10, 10}, {50, 6}, {100, 5}, {1000, 9}} {
		n := min(i+1, s.times)
		bound += s.step * int64(n)
		if i -= n; i < 0 {
			return bound
		}
	}
	return math.MaxInt64
}

// turnEvery is how long distribution and percentiles gather before they are shown.
// Java: StoreStatsService.printTPSInterval.
const turnEvery = time.Minute

// timing is how long something takes. now gathers, before shows the last full minute.
type timing struct {
	max         atomic.Int64
	turned      time.Time // guarded by Stats.mu
	now, before atomic.Pointer[spread]
}

// spread is how many operations fell into each class.
type spread struct {
	coarse [len(timeBounds)]atomic.Int64
	fine   [fineClasses]atomic.Int64
}

func (t *timing) add(took time.Duration, times int) {
	ms := took.Milliseconds()
	for old := t.max.Load(); ms > old && !t.max.CompareAndSwap(old, ms); old = t.max.Load() {
	}
	sp := t.now.Load()
	if sp == nil {
		t.now.CompareAndSwap(nil, new(spread))
		sp = t.now.Load()
	}
	i := 0
	for ms >= timeBounds[i] && i < len(timeBounds)-1 {
		i++
	}
	sp.coarse[i].Add(int64(times))
	sp.fine[fineClass(ms)].Add(int64(times))
}

// fineClass is the class whose bound is the first at or above ms.
func fineClass(ms int64) int {
	if ms <= 1 {
		return 0 // nearly always
	}
	for i := 1; i < fineClasses; i++ {
		if ms <= fineBound(i) {
			return i
		}
	}
	return fineClasses - 1
}

// turn shows what was gathered when its minute is over; the caller holds Stats.mu.
func (t *timing) turn(now time.Time) {
	if now.Sub(t.turned) < turnEvery || t.now.Load() == nil {
		return
	}
	t.turned = now
	t.before.Store(t.now.Swap(new(spread)))
}

// PutTook notes how long puts took together, from their submission to the store to their acknowledgement.
func (s *Stats) PutTook(took time.Duration, puts int) { s.putTimes.add(took, puts) }

// Times are how long puts took.
type Times struct {
	PutMax time.Duration // since the start
	// PutClasses counts the puts of the last full minute in classes of 0, 0-10, 10-50, 50-100, 100-200,
	// 200-500 ms, 0.5-1, 1-2, 2-3, 3-4, 4-5, 5-10 s and more; nil in the first minute.
	PutClasses []int64
	// Put99 and Put999 are percentiles of the same minute, in ms.
	Put99, Put999 float64
}

// Times returns how long puts took.
func (s *Stats) Times() Times {
	t := Times{PutMax: time.Duration(s.putTimes.max.Load()) * time.Millisecond}
	if sp := s.putTimes.before.Load(); sp != nil {
		t.PutClasses = make([]int64, len(sp.coarse))
		for i := range sp.coarse {
			t.PutClasses[i] = sp.coarse[i].Load()
		}
		t.Put99, t.Put999 = sp.percentile(0.99), sp.percentile(0.999)
	}
	return t
}

// percentile returns the time in ms that the share p of all operations did not exceed, interpolated
// within its class. Java: StoreStatsService.findPutMessageEntireTimePX.
func (sp *spread) percentile(p float64) float64 {
	var counts [fineClasses]int64
	var total int64
	for i := range counts {
		counts[i] = sp.fine[i].Load()
		total += counts[i]
	}
	rank := int64(float64(total) * p)
	var passed, low int64
	for i, n := range counts {
		high := fineBound(i)
		if i == fineClasses-1 {
			high = low // nobody knows how much longer it took
		}
		if rank <= passed+n {
			if n == 0 {
				return float64(low)
			}
			return float64(low) + float64(high-low)*float64(rank-passed)/float64(n)
		}
		passed, low = passed+n, high
	}
	return float64(low)
}
