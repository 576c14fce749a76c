package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Describe implements prometheus.Collector. What is collected differs with the traffic, so nothing is promised.
func (n *Native) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (n *Native) Collect(ch chan<- prometheus.Metric) {
	constant := prometheus.Labels{"otel_scope_name": Scope}
	for _, l := range n.Common() {
		constant[labelName(l.Name)] = l.Value
	}
	for _, f := range n.Gather() {
		descs := map[string]*prometheus.Desc{}
		for _, p := range f.Points {
			ch <- metric(&f, &p, descs, constant)
		}
	}
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("target_info", "", nil, nil), prometheus.GaugeValue, 1)
}

func metric(f *Family, p *Point, descs map[string]*prometheus.Desc, constant prometheus.Labels) prometheus.Metric {
	names, values := make([]string, len(p.Labels)), make([]string, len(p.Labels))
	for i, l := range p.Labels {
		names[i], values[i] = l.Name, l.Value
	}
	key := strings.Join(names, ",")
	d := descs[key]
	if d == nil {
		d = prometheus.NewDesc(f.FullName(), f.Help, names, constant)
		descs[key] = d
	}
	switch {
	case p.Histogram != nil:
		buckets, total := make(map[float64]uint64, len(p.Histogram.Bounds)), uint64(0)
		for i, n := range p.Histogram.Counts {
			if total += n; i < len(p.Histogram.Bounds) {
				buckets[p.Histogram.Bounds[i]] = total
			}
		}
		return prometheus.MustNewConstHistogram(d, total, p.Histogram.Sum, buckets, values...)
	case f.Kind == Counter:
		return prometheus.MustNewConstMetric(d, prometheus.CounterValue, p.Value, values...)
	}
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, p.Value, values...)
}

// labelName makes a label's name one that Prometheus allows.
func labelName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}
