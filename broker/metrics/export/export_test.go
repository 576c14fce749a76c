package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// patience bounds how long a test waits for an export.
const patience = time.Minute

// export is what came with one request.
type export struct {
	*otlp.MetricsData
	header metadata.MD
}

// collector is an OpenTelemetry collector.
type collector struct {
	addr string
	got  chan export

	mu   sync.Mutex
	fail error
}

func startCollector(t *testing.T) *collector {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &collector{addr: "http://" + l.Addr().String(), got: make(chan export, 1000)}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "opentelemetry.proto.collector.metrics.v1.MetricsService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			m := &otlp.MetricsData{}
			if err := decode(m); err != nil {
				return nil, err
			}
			header, _ := metadata.FromIncomingContext(ctx)
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.fail != nil {
				return nil, c.fail
			}
			c.got <- export{m, header}
			return &emptypb.Empty{}, nil
		}}}}, c)
	var served sync.WaitGroup
	served.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		s.Stop()
		served.Wait()
	})
	return c
}

func (c *collector) failing(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

// next waits for an export for which ok returns true.
func (c *collector) next(t *testing.T, ok func(e export) bool) export {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e := <-c.got:
			if ok(e) {
				return e
			}
		case <-deadline:
			require.Fail(t, "no such export came")
		}
	}
}

func (e export) metrics() []*otlp.Metric { return e.ResourceMetrics[0].ScopeMetrics[0].Metrics }

func (e export) find(name string) *otlp.Metric {
	for _, m := range e.metrics() {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// in returns the messages that came into the topic T, and whether they are told.
func (e export) in() (int64, bool) {
	m := e.find("rocketmq_messages_in_total")
	for _, p := range m.GetSum().GetDataPoints() {
		if attribute(p, "topic") == "T" {
			return p.GetAsInt(), true
		}
	}
	return 0, false
}

func attribute(p *otlp.NumberDataPoint, key string) string {
	for _, a := range p.Attributes {
		if a.Key == key {
			if v := a.Value.GetStringValue(); v != "" {
				return v
			}
			return a.Value.String()
		}
	}
	return ""
}

func start(t *testing.T, change func(o *broker.Options)) (*brokertest.Broker, *brokertest.Client) {
	b := brokertest.Start(t, func(o *broker.Options) {
		o.MetricGrpcExporterInterval, o.MetricLoggingInterval = 100, 100
		o.MetricGrpcExporterTimeOut = patience.Milliseconds()
		change(o)
	})
	return b, b.Dial(false)
}

func send(t *testing.T, c *brokertest.Client) {
	t.Helper()
	resp := c.Call(brokertest.SendRequest("T", 0, "", "some body"))
	require.Equal(t, protocol.Success, resp.Code, resp.Remark)
}

func TestOTLP(t *testing.T) {
	col := startCollector(t)
	_, c := start(t, func(o *broker.Options) {
		o.MetricsExporterType, o.MetricsGrpcExporterTarget = "OTLP_GRPC", col.addr
		o.MetricsGrpcExporterHeader, o.MetricsLabel = "token:secret,zone:a", "rack:r1"
	})
	send(t, c)
	send(t, c)
	e := col.next(t, func(e export) bool { n, _ := e.in(); return n == 2 })
	require.Equal(t, []string{"secret"}, e.header.Get("token"))
	require.Equal(t, []string{"a"}, e.header.Get("zone"))
	require.Equal(t, "broker-meter", e.ResourceMetrics[0].ScopeMetrics[0].Scope.Name)
	m := e.find("rocketmq_messages_in_total")
	require.True(t, m.GetSum().IsMonotonic)
	require.Equal(t, otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE, m.GetSum().AggregationTemporality)
	require.Equal(t, "r1", attribute(m.GetSum().DataPoints[0], "rack"))
	require.Contains(t, attribute(m.GetSum().DataPoints[0], "is_system"), "bool_value")
	h := e.find("rocketmq_rpc_latency")
	require.Equal(t, "milliseconds", h.Unit)
	require.Equal(t, []float64{1, 3, 5, 7, 10, 100, 1000, 2000, 3000}, h.GetHistogram().DataPoints[0].ExplicitBounds)
	require.EqualValues(t, 6, e.find("rocketmq_broker_permission").GetGauge().DataPoints[0].GetAsInt())
	// It goes on counting from the start.
	col.next(t, func(e export) bool { n, _ := e.in(); return n == 2 })
}

func TestOTLPInDelta(t *testing.T) {
	col := startCollector(t)
	b, c := start(t, func(o *broker.Options) {
		o.MetricsExporterType, o.MetricsGrpcExporterTarget, o.MetricsInDelta = "1", col.addr, true
	})
	col.next(t, func(export) bool { return true })
	col.failing(status.Error(codes.Unavailable, "on purpose")) // what is not taken is told again
	for range 5 {
		send(t, c)
	}
	col.failing(nil)
	n := int64(0)
	for n < 5 {
		e := col.next(t, func(e export) bool { _, told := e.in(); return told })
		more, _ := e.in()
		require.Positive(t, more)
		n += more
		m := e.find("rocketmq_messages_in_total")
		require.Equal(t, otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA, m.GetSum().AggregationTemporality)
		require.Equal(t, "delta", attribute(m.GetSum().DataPoints[0], "aggregation"))
	}
	require.EqualValues(t, 5, n)
	e := col.next(t, func(export) bool { return true })
	_, told := e.in()
	require.False(t, told, "nothing has come since")
	require.NotNil(t, e.find("rocketmq_topic_number"), "gauges are told always")
	send(t, c)
	require.NoError(t, b.Close())
	e = col.next(t, func(e export) bool { _, told := e.in(); return told })
	n, _ = e.in()
	require.EqualValues(t, 1, n, "the end exports a last time")
}

func TestOTLPSplitsRequests(t *testing.T) {
	col := startCollector(t)
	_, c := start(t, func(o *broker.Options) {
		o.MetricsExporterType, o.MetricsGrpcExporterTarget, o.MetricsExportBatch = "OTLP_GRPC", col.addr, 7
	})
	send(t, c)
	points := func(e export) (n int) {
		for _, m := range e.metrics() {
			n += len(m.GetSum().GetDataPoints()) + len(m.GetGauge().GetDataPoints()) + len(m.GetHistogram().GetDataPoints())
		}
		return n
	}
	full := 0
	col.next(t, func(e export) bool {
		n := points(e)
		require.LessOrEqual(t, n, 7)
		if n == 7 {
			full++
		}
		_, told := e.in()
		return told && full > 2
	})
}

// TestNoCollector is about one that is not there: the broker works, and the log does not fill.
func TestNoCollector(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	var log lines
	b, c := start(t, func(o *broker.Options) {
		o.MetricsExporterType, o.MetricsGrpcExporterTarget, o.MetricGrpcExporterInterval = "OTLP_GRPC", "http://"+addr, 10
		o.Logger = zerolog.New(&log)
	})
	send(t, c)
	require.Eventually(t, func() bool { return log.count("cannot export metrics") > 0 }, patience, 10*time.Millisecond)
	send(t, c)
	require.NoError(t, b.Close())
	require.Equal(t, 1, log.count("cannot export metrics"))
}

func TestLog(t *testing.T) {
	var log lines
	_, c := start(t, func(o *broker.Options) {
		o.MetricsExporterType = "LOG"
		o.Logger = zerolog.New(&log)
	})
	send(t, c)
	require.Eventually(t, func() bool { return log.count("rocketmq_messages_in_total") > 0 }, patience, 10*time.Millisecond)
	for _, line := range log.all("rocketmq_messages_in_total") {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

func TestNothingIsExported(t *testing.T) {
	for _, x := range []struct{ exporter, said string }{{"DISABLE", ""}, {"0", ""}, {"NONSENSE", "is none of"}, {"OTLP_GRPC", "is not set"}} {
		var log lines
		b, c := start(t, func(o *broker.Options) {
			o.MetricsExporterType = x.exporter
			o.Logger = zerolog.New(&log)
		})
		require.Empty(t, b.MetricsAddr())
		require.Positive(t, log.count(x.said), x.exporter)
		send(t, c)
	}
}

func TestPortThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	o := broker.DefaultOptions()
	o.Logger, o.NamesrvAddr, o.BrokerIP1 = zerolog.Nop(), "", "127.0.0.1"
	o.Store.StorePathRootDir = t.TempDir()
	o.Store.MappedFileSizeCommitLog = 1 << 20
	o.MetricsExporterType, o.MetricsPromExporterPort = "PROM", int32(l.Addr().(*net.TCPAddr).Port)
	_, err = broker.Open(o)
	require.ErrorContains(t, err, "metricsPromExporterPort")
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) all(part string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, part) {
			out = append(out, line)
		}
	}
	return out
}

func (l *lines) count(part string) int { return len(l.all(part)) }
