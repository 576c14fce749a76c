package export

import (
	"math"
	"strconv"
	"strings"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"

	"github.com/skylarkmq/skylark/broker/metrics"
)

// converter makes requests of families. With delta, counters and histograms tell what has come since the last request
// that was taken.
type converter struct {
	native *metrics.Native
	delta  bool
	batch  int // points of a request
	began  time.Time
	last   map[string]told // by series; only with delta
}

// told is what was told of a series.
type told struct {
	at    time.Time
	point metrics.Point
}

func newConverter(o *Options) *converter {
	return &converter{native: o.Native, delta: o.MetricsInDelta, batch: int(max(o.MetricsExportBatch, 1)), began: time.Now(), last: map[string]told{}}
}

// request is one of those that an export takes.
type request struct {
	*otlp.MetricsData
	tells map[string]told // what counts as told when it is taken
	room  int
}

// requests gathers and returns what is to be sent.
func (c *converter) requests(now time.Time) []*request {
	var out []*request
	seen := map[string]bool{}
	for _, f := range c.native.GatherNow() {
		var m *otlp.Metric
		var to *request
		for i := range f.Points {
			p, key, from, ok := c.point(&f, &f.Points[i])
			seen[key] = true
			if !ok {
				continue
			}
			if len(out) == 0 || out[len(out)-1].room == 0 {
				out = append(out, c.newRequest())
			}
			if r := out[len(out)-1]; r != to {
				to, m = r, c.newMetric(&f)
				scope := r.ResourceMetrics[0].ScopeMetrics[0]
				scope.Metrics = append(scope.Metrics, m)
			}
			c.add(m, &p, from, now)
			to.room--
			if key != "" {
				to.tells[key] = told{at: now, point: f.Points[i]}
			}
		}
	}
	for key := range c.last {
		if !seen[key] {
			delete(c.last, key) // the topic or group is gone
		}
	}
	return out
}

// taken notes that a request has come to the collector.
func (c *converter) taken(r *request) {
	for key, t := range r.tells {
		c.last[key] = t
	}
}

// point returns what is to be told of a series, and since when; ok is false when that is nothing.
func (c *converter) point(f *metrics.Family, p *metrics.Point) (out metrics.Point, key string, from time.Time, ok bool) {
	if !c.delta || f.Kind == metrics.Gauge {
		return *p, "", c.began, true
	}
	key = seriesOf(f.Name, p)
	last, known := c.last[key]
	if !known || p.Histogram == nil && p.Value < last.point.Value || p.Histogram != nil && total(p) < total(&last.point) {
		last = told{at: c.began} // new, or made anew
	}
	out = *p
	out.Value -= last.point.Value
	if p.Histogram != nil {
		h := *p.Histogram
		h.Counts = append([]uint64(nil), h.Counts...)
		if old := last.point.Histogram; old != nil {
			h.Sum -= old.Sum
			for i := range h.Counts {
				h.Counts[i] -= min(old.Counts[i], h.Counts[i])
			}
		}
		out.Histogram = &h
	}
	return out, key, last.at, out.Value != 0 || out.Histogram != nil && total(&out) > 0
}

func total(p *metrics.Point) (n uint64) {
	if p.Histogram == nil {
		return 0
	}
	for _, x := range p.Histogram.Counts {
		n += x
	}
	return n
}

func seriesOf(name string, p *metrics.Point) string {
	var b strings.Builder
	b.WriteString(name)
	for _, l := range p.Labels {
		b.WriteByte(0)
		b.WriteString(l.Name)
		b.WriteByte(1)
		b.WriteString(l.Value)
	}
	return b.String()
}

func (c *converter) newRequest() *request {
	scope := &otlp.ScopeMetrics{Scope: &common.InstrumentationScope{Name: metrics.Scope}}
	return &request{room: c.batch, tells: map[string]told{}, MetricsData: &otlp.MetricsData{
		ResourceMetrics: []*otlp.ResourceMetrics{{Resource: &resource.Resource{}, ScopeMetrics: []*otlp.ScopeMetrics{scope}}}}}
}

func (c *converter) newMetric(f *metrics.Family) *otlp.Metric {
	m := &otlp.Metric{Name: f.Name, Unit: f.Unit, Description: f.Help}
	kind := otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	if c.delta {
		kind = otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	}
	switch f.Kind {
	case metrics.Counter:
		m.Data = &otlp.Metric_Sum{Sum: &otlp.Sum{AggregationTemporality: kind, IsMonotonic: true}}
	case metrics.Distribution:
		m.Data = &otlp.Metric_Histogram{Histogram: &otlp.Histogram{AggregationTemporality: kind}}
	default:
		m.Data = &otlp.Metric_Gauge{Gauge: &otlp.Gauge{}}
	}
	return m
}

func (c *converter) add(m *otlp.Metric, p *metrics.Point, from, now time.Time) {
	attributes := c.attributes(p.Labels)
	start, at := uint64(from.UnixNano()), uint64(now.UnixNano())
	// Java's are whole numbers.
	number := func() *otlp.NumberDataPoint {
		return &otlp.NumberDataPoint{Attributes: attributes, StartTimeUnixNano: start, TimeUnixNano: at, Value: &otlp.NumberDataPoint_AsInt{AsInt: int64(math.Round(p.Value))}}
	}
	switch d := m.Data.(type) {
	case *otlp.Metric_Sum:
		d.Sum.DataPoints = append(d.Sum.DataPoints, number())
	case *otlp.Metric_Gauge:
		d.Gauge.DataPoints = append(d.Gauge.DataPoints, number())
	case *otlp.Metric_Histogram:
		sum := p.Histogram.Sum
		d.Histogram.DataPoints = append(d.Histogram.DataPoints, &otlp.HistogramDataPoint{Attributes: attributes, StartTimeUnixNano: start, TimeUnixNano: at,
			Count: total(p), Sum: &sum, BucketCounts: p.Histogram.Counts, ExplicitBounds: p.Histogram.Bounds})
	}
}

func (c *converter) attributes(labels []metrics.Label) []*common.KeyValue {
	out := make([]*common.KeyValue, 0, len(labels)+len(c.native.Common()))
	for _, l := range c.native.Common() {
		out = append(out, &common.KeyValue{Key: l.Name, Value: text(l.Value)})
	}
	for _, l := range labels {
		kv := &common.KeyValue{Key: l.Name, Value: text(l.Value)}
		switch l.Name {
		case "is_system", "is_retry", "is_long_polling":
			kv.Value = boolean(l.Value)
		case metrics.Overflow:
			kv = &common.KeyValue{Key: "otel.metric.overflow", Value: boolean(l.Value)}
		case "queue_id":
			n, _ := strconv.ParseInt(l.Value, 10, 64)
			kv.Value = &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: n}}
		}
		out = append(out, kv)
	}
	return out
}

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func boolean(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: s == "true"}}
}
