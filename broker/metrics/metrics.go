// Package metrics gathers what Java's broker shows to OpenTelemetry, under its names and with its labels, from what the
// broker counts anyhow: nothing is counted here. METRICS.md lists what of Java's is left out, and why. Java:
// BrokerMetricsManager, PopMetricsManager, DefaultStoreMetricsManager, RemotingMetricsManager.
//
// Gather costs time in proportion to the topics, the groups and their queues, and bounded reads of the disk. It runs
// once at a time, and what it has gathered is given to all who ask before ten times the time has passed that it took.
// The package owns no goroutine. Native.mu is held around the tables' methods.
package metrics

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/offset"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/timer"
)

// Scope is the name of Java's meter. Java: BrokerMetricsConstant.OPEN_TELEMETRY_METER_NAME.
const Scope = "broker-meter"

// Kind is what the value of a family means.
type Kind uint8

// The kinds.
const (
	Gauge Kind = iota
	Counter
	Distribution
)

// Label is a name and its value.
type Label struct{ Name, Value string }

// Point is one series of a family.
type Point struct {
	Labels    []Label
	Value     float64
	Histogram *Histogram // of a Distribution, else nil
}

// Histogram counts values in classes.
type Histogram struct {
	Bounds []float64
	Counts []uint64 // by class, one more than Bounds, not summed up
	Sum    float64
}

// Family is an instrument with its series.
type Family struct {
	Name   string // OpenTelemetry's, without the unit
	Unit   string // as Java names it, "" for none
	Help   string
	Kind   Kind
	Points []Point
}

// FullName returns the name that the family has for Prometheus: OpenTelemetry's exporter appends the unit.
func (f *Family) FullName() string {
	unit := f.Unit
	if unit == "ms" {
		unit = "milliseconds"
	}
	if unit == "" || strings.HasSuffix(f.Name, "_"+unit) {
		return f.Name
	}
	return f.Name + "_" + unit
}

// Keys are those of Java's BrokerConfig that say what is gathered, and where it goes (package export). Times are in ms.
type Keys struct {
	MetricsLabel             string `prop:"metricsLabel,omitempty"` // of each series: "k:v,k:v"
	MetricsInDelta           bool   `prop:"metricsInDelta"`
	MetricsCardinalityLimit  int32  `prop:"metricsOtelCardinalityLimit"` // series of a family
	EnableStatsMetrics       bool   `prop:"enableStatsMetrics"`
	EnableRequestMetrics     bool   `prop:"enableRequestMetrics"`
	EnableConnectionMetrics  bool   `prop:"enableConnectionMetrics"`
	EnableLagAndDLQMetrics   bool   `prop:"enableLagAndDlqMetrics"`
	EnableTransactionMetrics bool   `prop:"enableTransactionMetrics"`
	EnablePopMetrics         bool   `prop:"enablePopMetrics"`
	EnableRemotingMetrics    bool   `prop:"enableRemotingMetrics"`
	EnableStoreMetrics       bool   `prop:"enableMessageStoreMetrics"`
	EstimateAccumulation     bool   `prop:"estimateAccumulation"` // lag counts only what passes the group's tags

	MetricsExporterType        string `prop:"metricsExporterType"` // DISABLE, OTLP_GRPC, PROM or LOG, or their numbers 0 to 3
	MetricsPromExporterHost    string `prop:"metricsPromExporterHost,omitempty"`
	MetricsPromExporterPort    int32  `prop:"metricsPromExporterPort"`
	MetricsGrpcExporterTarget  string `prop:"metricsGrpcExporterTarget,omitempty"`
	MetricsGrpcExporterHeader  string `prop:"metricsGrpcExporterHeader,omitempty"`
	MetricGrpcExporterTimeOut  int64  `prop:"metricGrpcExporterTimeOutInMills"`
	MetricGrpcExporterInterval int64  `prop:"metricGrpcExporterIntervalInMills"`
	MetricLoggingInterval      int64  `prop:"metricLoggingExporterIntervalInMills"`
	MetricsExportBatch         int32  `prop:"metricsExportBatchMaxDataPoints"` // series of one request
}

// DefaultKeys returns Java's defaults (BrokerConfig, 5.5.0).
func DefaultKeys() Keys {
	return Keys{MetricsCardinalityLimit: 50_000, EnableStatsMetrics: true, EnableRequestMetrics: true, EnableConnectionMetrics: true,
		EnableLagAndDLQMetrics: true, EnableTransactionMetrics: true, EnablePopMetrics: true, EnableRemotingMetrics: true, EnableStoreMetrics: true,
		EstimateAccumulation: true, MetricsExporterType: "DISABLE", MetricsPromExporterPort: 5557, MetricGrpcExporterTimeOut: 3000,
		MetricGrpcExporterInterval: 60_000, MetricLoggingInterval: 10_000, MetricsExportBatch: 1000}
}

// Lane is a lane of the broker under the name of Java's executor.
type Lane struct {
	Name string
	Lane *mux.Lane
}

// Timer is what is shown of the timer.
type Timer interface {
	Stats() timer.Stats
	Waiting() map[string]int64
	Due(from time.Time, span time.Duration) int64
}

// Pop is what is shown of POP.
type Pop struct {
	CheckPoints, Offsets int
	Revive               []Revive
}

// Revive is what is shown of a queue of the revive topic.
type Revive struct {
	QueueID int32
	Behind  int64
	Late    time.Duration
}

// Options are what is gathered from.
type Options struct {
	Keys
	Logger              zerolog.Logger
	Cluster, BrokerName string
	EnableRetryTopicV2  bool
	RetrieveRetryV1     bool // retrieveMessageFromPopRetryTopicV1

	Permission   func() int32
	Lanes        []Lane
	Topics       *topic.Table
	Groups       *group.Table
	Offsets      *offset.Table
	Sessions     *session.Table
	Stats        *stats.Stats
	Store        *store.Store
	Timer        Timer // nil: timerWheelEnable is false
	Latencies    func() []mux.Latency
	HalfMessages func() map[string]int64
	Pop          func(now time.Time) Pop
	// PopPosition returns where a group's next pop of a queue begins, -1: at its offset, and its messages in flight.
	PopPosition func(group, topic string, queueID int32) (next, inFlight int64)
	Now         func() time.Time // nil: time.Now
}

// Native gathers Java's metrics.
type Native struct {
	o      Options
	common []Label

	mu       sync.Mutex
	families []Family
	until    time.Time // as long as families are fresh enough
	lag      lagCache
}

// New returns a Native.
func New(o Options) *Native {
	if o.Now == nil {
		o.Now = time.Now
	}
	n := &Native{o: o}
	n.common = []Label{{"cluster", o.Cluster}, {"node_id", o.BrokerName}, {"node_type", "broker"}}
	for pair := range strings.SplitSeq(o.MetricsLabel, ",") {
		if pair == "" {
			continue
		}
		k, v, ok := strings.Cut(pair, ":")
		if !ok || k == "" || strings.Contains(v, ":") {
			o.Logger.Warn().Str("metricsLabel", o.MetricsLabel).Msg("metricsLabel is not valid, it is like key:value,key:value")
			continue
		}
		n.common = append(n.common, Label{k, v})
	}
	if o.MetricsInDelta {
		n.common = append(n.common, Label{"aggregation", "delta"})
	}
	slices.SortStableFunc(n.common, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	// The broker's own go before those of metricsLabel, as with Java.
	n.common = slices.CompactFunc(n.common, func(a, b Label) bool { return a.Name == b.Name })
	return n
}

// Common returns the labels that every series has. The slice must not be changed.
func (n *Native) Common() []Label { return n.common }

// freshFor is how many times as long as gathering took its result is given to others.
const freshFor = 10

// Gather returns the families that have series, in no order, as they were not long ago. They must not be changed.
func (n *Native) Gather() []Family {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.o.Now().Before(n.until) {
		return n.families
	}
	return n.gather()
}

// GatherNow is Gather for one who asks in an interval: what it returns is of now.
func (n *Native) GatherNow() []Family {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gather()
}

// gather needs n.mu.
func (n *Native) gather() []Family {
	began := n.o.Now()
	g := gathering{Native: n, now: began, by: map[string]*Family{}}
	g.all()
	n.families = make([]Family, 0, len(g.by))
	for _, f := range g.by {
		f.bound(int(n.o.MetricsCardinalityLimit))
		n.families = append(n.families, *f)
	}
	done := n.o.Now()
	n.until = done.Add(freshFor * done.Sub(began))
	return n.families
}

// gathering is one run of Gather.
type gathering struct {
	*Native
	now time.Time
	by  map[string]*Family
}

func (g *gathering) all() {
	o := &g.o
	if o.EnableStatsMetrics {
		g.broker()
	}
	if o.EnableRequestMetrics {
		g.requests()
	}
	if o.EnableConnectionMetrics {
		g.connections()
	}
	if o.EnableLagAndDLQMetrics {
		g.lags()
	}
	if o.EnableTransactionMetrics {
		g.halfMessages()
	}
	if o.EnablePopMetrics {
		g.pop()
	}
	if o.EnableRemotingMetrics {
		g.latencies()
	}
	if o.EnableStoreMetrics {
		g.storage()
		g.timer()
	}
	g.counted()
}

// instrument is a family without series.
type instrument struct {
	name, unit, help string
	kind             Kind
}

func (g *gathering) add(in *instrument, p Point) {
	f := g.by[in.name]
	if f == nil {
		f = &Family{Name: in.name, Unit: in.unit, Help: in.help, Kind: in.kind}
		g.by[in.name] = f
	}
	f.Points = append(f.Points, p)
}

func (g *gathering) value(in *instrument, v float64, labels ...Label) {
	g.add(in, Point{Labels: labels, Value: v})
}

func (g *gathering) histogram(in *instrument, h *stats.Histogram, labels ...Label) {
	out := &Histogram{Bounds: make([]float64, len(h.Bounds)), Counts: make([]uint64, len(h.Counts)), Sum: float64(h.Sum)}
	for i, b := range h.Bounds {
		out.Bounds[i] = float64(b)
	}
	for i, n := range h.Counts {
		out.Counts[i] = uint64(n)
	}
	g.add(in, Point{Labels: labels, Histogram: out})
}

// Overflow is the label of the series that stands for those above the limit. Java: MetricStorage.CARDINALITY_OVERFLOW of
// OpenTelemetry, otel.metric.overflow.
const Overflow = "otel_metric_overflow"

// bound leaves out the series above a limit, those with the last labels in order. What was counted in them goes to one
// series of all; gauges cannot be added up.
func (f *Family) bound(limit int) {
	if limit <= 0 || len(f.Points) <= limit {
		return
	}
	slices.SortFunc(f.Points, func(a, b Point) int {
		return slices.CompareFunc(a.Labels, b.Labels, func(a, b Label) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
		})
	})
	rest := f.Points[limit-1:]
	f.Points = f.Points[:limit-1]
	if f.Kind == Gauge {
		return
	}
	sum := Point{Labels: []Label{{Overflow, "true"}}}
	for _, p := range rest {
		sum.Value += p.Value
		if p.Histogram == nil {
			continue
		}
		if sum.Histogram == nil {
			sum.Histogram = &Histogram{Bounds: p.Histogram.Bounds, Counts: make([]uint64, len(p.Histogram.Counts))}
		}
		sum.Histogram.Sum += p.Histogram.Sum
		for i, n := range p.Histogram.Counts {
			sum.Histogram.Counts[i] += n
		}
	}
	f.Points = append(f.Points, sum)
}
