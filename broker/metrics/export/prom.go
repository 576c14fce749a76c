package export

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// Bounds of what a client may take.
const (
	headerTime  = 5 * time.Second  // until the header of a request is there
	answerTime  = 60 * time.Second // for the rest of it, and for writing the answer
	idleTime    = 2 * time.Minute  // between two requests of a connection
	headerBytes = 8 << 10
	maxScrapes  = 4 // at once
	drainTime   = time.Second / 2
)

// openProm listens for Prometheus. Java: PrometheusHttpServer of OpenTelemetry.
func openProm(o *Options) (*Exporter, error) {
	host := o.MetricsPromExporterHost
	if host == "" {
		host = o.Host
	}
	at := net.JoinHostPort(host, strconv.Itoa(int(o.MetricsPromExporterPort)))
	l, err := net.Listen("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for Prometheus at metricsPromExporterHost and metricsPromExporterPort %s: %w", at, err)
	}
	r := prometheus.NewRegistry()
	r.MustRegister(o.Native)
	failed := stdlog.New(debugLog{o.Logger}, "", 0)
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorLog: failed, MaxRequestsInFlight: maxScrapes}))
	routes.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Exporter is healthy.") })
	server := &http.Server{Handler: routes, ReadHeaderTimeout: headerTime, ReadTimeout: answerTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headerBytes, ErrorLog: failed}
	var served sync.WaitGroup
	served.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error().Err(err).Msg("the HTTP listener for Prometheus has ended")
		}
	})
	o.Logger.Info().Stringer("address", l.Addr()).Msg("metrics for Prometheus")
	return &Exporter{addr: l.Addr().String(), close: func() error {
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		err := server.Shutdown(ctx)
		if err != nil {
			err = server.Close()
		}
		served.Wait()
		return err
	}}, nil
}

// debugLog takes what net/http and promhttp complain of: mostly clients that have gone.
type debugLog struct{ log zerolog.Logger }

// Write implements io.Writer.
func (l debugLog) Write(b []byte) (int, error) {
	l.log.Debug().Msg(string(b))
	return len(b), nil
}
