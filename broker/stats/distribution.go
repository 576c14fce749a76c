package stats

import "sync/atomic"

// Bounds of Java's histograms, each belonging to its class. Java: BrokerMetricsManager.registerMetricsView,
// DefaultStoreMetricsManager.getMetricsView.
var (
	SizeBounds   = []int64{1 << 10, 4 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20} // bytes
	FinishBounds = []int64{5, 60, 600, 3600, 12 * 3600, 24 * 3600}                 // s
	DelayBounds  = []int64{60, 600, 3600, 12 * 3600, 24 * 3600, 3 * 24 * 3600}     // s
	CreateBounds = []int64{10, 100, 1000, 3000, 5000}                              // ms
)

// Distribution counts values in classes. It is safe for concurrent use.
type Distribution struct {
	bounds []int64
	counts []atomic.Int64
	sum    atomic.Int64
}

// NewDistribution returns a Distribution with a class for each of the bounds, in order, and one for what is above.
func NewDistribution(bounds []int64) *Distribution {
	return &Distribution{bounds: bounds, counts: make([]atomic.Int64, len(bounds)+1)}
}

// Observe counts a value.
func (d *Distribution) Observe(v int64) {
	d.counts[class(d.bounds, v)].Add(1)
	d.sum.Add(v)
}

func class(bounds []int64, v int64) int {
	for i, bound := range bounds {
		if v <= bound {
			return i
		}
	}
	return len(bounds)
}

// Histogram is what a Distribution has counted.
type Histogram struct {
	Bounds []int64
	Counts []int64 // by class, one more than bounds, not summed up
	Sum    int64
	Total  int64 // of Counts
}

// Snapshot returns the counts so far; what is counted meanwhile may be in a part of them only. That of nil is empty.
func (d *Distribution) Snapshot() Histogram {
	if d == nil {
		return Histogram{}
	}
	h := Histogram{Bounds: d.bounds, Counts: make([]int64, len(d.counts)), Sum: d.sum.Load()}
	for i := range d.counts {
		h.Counts[i] = d.counts[i].Load()
		h.Total += h.Counts[i]
	}
	return h
}

// merge adds what was counted elsewhere, by class.
func (d *Distribution) merge(counts []uint32, sum int64) {
	for i, n := range counts {
		if n > 0 {
			d.counts[i].Add(int64(n))
		}
	}
	d.sum.Add(sum)
}
