package export

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/emptypb"
)

// exportMethod takes an ExportMetricsServiceRequest, which has the form of MetricsData, and answers what may be left
// unread. The package of the collector's service would bring a whole HTTP gateway.
const exportMethod = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

// complainEvery is how often a collector that cannot be reached is complained of.
const complainEvery = 5 * time.Minute

// otlpExporter sends what is gathered to a collector. Java: OtlpGrpcMetricExporter, BatchSplittingMetricExporter.
type otlpExporter struct {
	log     zerolog.Logger
	target  string
	conn    *grpc.ClientConn
	headers metadata.MD
	timeout time.Duration
	c       *converter
	quiet   time.Time // errors are logged again from then on
	failed  int       // exports since the last that was taken
}

func openOTLP(o *Options) (*Exporter, error) {
	target := strings.TrimSpace(o.MetricsGrpcExporterTarget)
	if target == "" {
		o.Logger.Error().Msg("metricsExporterType is OTLP_GRPC and metricsGrpcExporterTarget is not set, no metrics are exported")
		return nil, nil
	}
	secure := credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	scheme, at, ok := strings.Cut(target, "://")
	switch {
	case !ok:
		at = target // Java adds https://
	case strings.EqualFold(scheme, "http"):
		secure = insecure.NewCredentials()
	}
	at = strings.TrimSuffix(at, "/")
	conn, err := grpc.NewClient("dns:///"+at, grpc.WithTransportCredentials(secure), grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	if err != nil {
		return nil, fmt.Errorf("metricsGrpcExporterTarget %s is not like http://host:port or https://host:port: %w", target, err)
	}
	x := &otlpExporter{log: o.Logger, target: target, conn: conn, headers: headers(o),
		timeout: max(time.Duration(o.MetricGrpcExporterTimeOut)*time.Millisecond, time.Millisecond), c: newConverter(o)}
	o.Logger.Info().Str("collector", target).Msg("metrics for an OpenTelemetry collector")
	return every(o.MetricGrpcExporterInterval, x.export, conn.Close), nil
}

// headers are what metricsGrpcExporterHeader says, "k:v,k:v".
func headers(o *Options) metadata.MD {
	md := metadata.MD{}
	for pair := range strings.SplitSeq(o.MetricsGrpcExporterHeader, ",") {
		if pair == "" {
			continue
		}
		k, v, ok := strings.Cut(pair, ":")
		if !ok || strings.Contains(v, ":") {
			o.Logger.Warn().Msg("metricsGrpcExporterHeader is not valid, it is like key:value,key:value") // its value may be a secret
			continue
		}
		md.Append(k, v)
	}
	return md
}

// export sends all there is; behind a request that fails nothing more is tried before the next time.
func (x *otlpExporter) export(ctx context.Context) {
	for _, r := range x.c.requests(time.Now()) {
		if err := x.send(ctx, r); err != nil {
			x.failed++
			if now := time.Now(); now.After(x.quiet) && ctx.Err() == nil {
				x.quiet = now.Add(complainEvery)
				x.log.Warn().Err(err).Str("collector", x.target).Int("exports", x.failed).Msg("cannot export metrics, trying again in the interval")
			}
			return
		}
		x.c.taken(r)
	}
	if x.failed > 0 {
		x.log.Info().Str("collector", x.target).Int("exports", x.failed).Msg("metrics are exported again")
		x.failed, x.quiet = 0, time.Time{}
	}
}

func (x *otlpExporter) send(ctx context.Context, r *request) error {
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(ctx, x.headers), x.timeout)
	defer cancel()
	return x.conn.Invoke(ctx, exportMethod, r.MetricsData, &emptypb.Empty{})
}

// logger returns what writes all there is to the log, as OTLP's JSON. Java: OtlpJsonLoggingMetricExporter.
func logger(o *Options) func(context.Context) {
	c, log := newConverter(o), o.Logger
	return func(context.Context) {
		for _, r := range c.requests(time.Now()) {
			b, err := protojson.Marshal(r.ResourceMetrics[0])
			if err != nil {
				log.Error().Err(err).Msg("cannot write metrics")
				return
			}
			log.Info().RawJSON("resourceMetrics", b).Msg("metrics")
			c.taken(r)
		}
	}
}
