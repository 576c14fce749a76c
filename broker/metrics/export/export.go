// Package export gives what package metrics gathers to others, as metricsExporterType says: to Prometheus, which asks at
// an address of its own (PROM), to a collector that speaks OTLP over gRPC (OTLP_GRPC), or to the log (LOG). Java:
// BrokerMetricsManager.init.
//
// Goroutines, all ended and waited for by Close: with PROM those of net/http, else one that exports in an interval.
package export

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/metrics"
)

// Options of an Exporter.
type Options struct {
	metrics.Keys
	Logger zerolog.Logger
	// Host is where Prometheus may ask when metricsPromExporterHost is not set (brokerIP1).
	Host   string
	Native *metrics.Native
}

// Exporter exports while it is open.
type Exporter struct {
	close func() error
	addr  string
	once  sync.Once
	err   error
}

// The values of metricsExporterType; each may be named by its number, too. Java: MetricsExporterType.
var types = map[string]string{"0": "DISABLE", "1": "OTLP_GRPC", "2": "PROM", "3": "LOG"}

// Open starts what metricsExporterType says. With DISABLE, and with what is none of its values, it returns nil, as Java
// does not export then. A port that is taken is an error.
func Open(o Options) (*Exporter, error) {
	name := strings.TrimSpace(o.MetricsExporterType)
	if long, ok := types[name]; ok {
		name = long
	}
	switch name {
	case "DISABLE", "":
		return nil, nil
	case "PROM":
		return openProm(&o)
	case "OTLP_GRPC":
		return openOTLP(&o)
	case "LOG":
		return every(o.MetricLoggingInterval, logger(&o), nil), nil
	}
	o.Logger.Error().Str("metricsExporterType", o.MetricsExporterType).Msg("metricsExporterType is none of DISABLE, OTLP_GRPC, PROM and LOG, no metrics are exported")
	return nil, nil
}

// Addr returns the address at which Prometheus may ask, "" when it may not.
func (e *Exporter) Addr() string {
	if e == nil {
		return ""
	}
	return e.addr
}

// Close exports a last time and ends. Closing twice is fine, and so is closing nil.
func (e *Exporter) Close() error {
	if e == nil {
		return nil
	}
	e.once.Do(func() { e.err = e.close() })
	return e.err
}

// leastInterval keeps an interval of 0 from being a busy loop.
const leastInterval = 10 * time.Millisecond

// every exports in an interval, in ms, and once more when it is closed; release comes last.
func every(interval int64, export func(ctx context.Context), release func() error) *Exporter {
	ctx, cancel := context.WithCancel(context.Background())
	done, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(max(time.Duration(interval)*time.Millisecond, leastInterval))
		defer t.Stop()
		for {
			select {
			case <-stop:
				return
			case <-t.C:
				export(ctx)
			}
		}
	}()
	return &Exporter{close: func() error {
		close(stop)
		cancel() // of what is on its way
		<-done
		last, cancel := context.WithTimeout(context.Background(), lastTime)
		defer cancel()
		export(last)
		if release != nil {
			return release()
		}
		return nil
	}}
}

// lastTime bounds how long the export at the end may take.
const lastTime = time.Second
