package broker

import (
	"time"

	"github.com/skylarkmq/skylark/broker/metrics"
	"github.com/skylarkmq/skylark/broker/metrics/export"
)

// Metrics returns what gathers the metrics that Java's broker has.
func (b *Broker) Metrics() *metrics.Native { return b.native }

// openMetrics opens what gathers them, and what exports them (metricsExporterType).
func (b *Broker) openMetrics() error {
	o, l := &b.o, &b.lanes
	mo := metrics.Options{Keys: o.Keys, Logger: o.Logger, Cluster: o.BrokerClusterName, BrokerName: o.BrokerName,
		EnableRetryTopicV2: o.EnableRetryTopicV2, RetrieveRetryV1: o.RetrieveMessageFromPopRetryTopicV1,
		Permission: func() int32 { return b.live.Load().BrokerPermission },
		Lanes: []metrics.Lane{{Name: "send", Lane: l.send}, {Name: "pull", Lane: l.pull}, {Name: "ack", Lane: l.ack}, {Name: "query_message", Lane: l.query},
			{Name: "client_manager", Lane: l.client}, {Name: "heartbeat", Lane: l.heartbeat}, {Name: "lite_pull", Lane: l.litePull},
			{Name: "transaction", Lane: l.transaction}, {Name: "consumer_manager", Lane: l.consumer}, {Name: "admin", Lane: l.admin}, {Name: "reply", Lane: l.reply}},
		Topics: b.topics, Groups: b.groups, Offsets: b.offsets, Sessions: b.sessions, Stats: b.stats, Store: b.store,
		Latencies: b.mux.Latencies, HalfMessages: b.trans.HalfMessages, Pop: b.popFigures, PopPosition: b.popper.Position}
	if b.timer != nil {
		mo.Timer = b.timer
	}
	b.native = metrics.New(mo)
	var err error
	b.exporter, err = export.Open(export.Options{Keys: o.Keys, Logger: o.Logger, Host: o.BrokerIP1, Native: b.native})
	return err
}

func (b *Broker) popFigures(now time.Time) metrics.Pop {
	f := b.popper.Figures(now)
	p := metrics.Pop{CheckPoints: f.CheckPoints, Offsets: f.Offsets}
	for _, q := range f.Revive {
		p.Revive = append(p.Revive, metrics.Revive(q))
	}
	return p
}

// MetricsAddr returns where Prometheus may ask for the metrics of Java's broker, "" without metricsExporterType=PROM.
func (b *Broker) MetricsAddr() string { return b.exporter.Addr() }
