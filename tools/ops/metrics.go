package ops

import (
	stdlog "log"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/send"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/latency"
)

// Skylark's own figures. Those of Java's broker (rocketmq_...) come from package broker/metrics.
var (
	info       = desc("build_info", "The running version, the commit it was built from and by which Go.", "commit", "goversion", "version")
	isReady    = desc("ready", "1 while /readyz says so.")
	recovering = desc("recovery_done", "How far the running step of the store's recovery is, bytes or queues.", "step")
	toRecover  = desc("recovery_total", "How far the running step of the store's recovery has to go.", "step")
	recovered  = desc("recovery_seconds", "How long the store has been recovering, or took to recover at the start.")
	minOffset  = desc("commitlog_min_offset", "Physical offset of the first byte there is.")
	maxOffset  = desc("commitlog_max_offset", "Physical offset behind the last record.")
	flushed    = desc("commitlog_flushed_offset", "Physical offset up to which the commit log is durable.")
	dispatched = desc("commitlog_dispatched_offset", "Physical offset up to which consumers see messages.")
	appends    = desc("commitlog_append_seconds", "How long writes of the commit log took; one write takes all messages that wait.")
	syncs      = desc("commitlog_fsync_seconds", "How long making the commit log durable took.")
	dispatches = desc("dispatch_seconds", "How long making written messages visible to consumers took; once for each write.")
	memory     = desc("memory_limit_bytes", "Memory that the process may use, of the machine's or its container's.")
	held       = desc("requests_held_bytes", "Memory of requests that wait or are held for a later answer.", "server")
	maxHeld    = desc("requests_held_limit_bytes", "What it may be; above, requests are refused as overloaded.", "server")
	removed    = desc("commitlog_removed_files_total", "Commit log files that retention has removed since the start.")
	removedLen = desc("commitlog_removed_bytes_total", "Their bytes.")
	damaged    = desc("commitlog_damaged_ranges", "Ranges of the commit log that the start has found damaged.")
	behind     = desc("index_behind_bytes", "Bytes of the commit log that the message index misses while it is built anew.")
	queued     = desc("append_queued_groups", "Groups of messages that wait for the append goroutine.")
	refused    = desc("messages_refused_total", "Messages of producers that were refused, by reason.", "reason")
	late       = desc("messages_flushed_late_total", "Messages answered with FLUSH_DISK_TIMEOUT; they are stored.")
	refusing   = desc("refusing", "1 while no message is taken for the reason.", "reason")
	requests   = desc("requests_refused_total", "Requests that came to no handler, by server and reason.", "server", "reason")
	brokers    = desc("namesrv_brokers", "Broker names that are registered.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("skylark_"+name, help, labels, nil)
}

// metrics returns the handler of /metrics.
func (s *Server) metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(s, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorLog: stdlog.New(debugLog{s.o.Logger}, "", 0), MaxRequestsInFlight: maxScrapes})
}

// Describe implements prometheus.Collector. What is collected differs with the state, so nothing is promised.
func (s *Server) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *Server) Collect(ch chan<- prometheus.Metric) {
	to := sink{ch}
	to.gauge(info, 1, s.o.Commit, runtime.Version(), s.o.Version)
	to.gauge(isReady, flag(s.state().State == stateServing))
	if n := s.namesrv.Load(); n != nil {
		f := n.Figures()
		to.gauge(brokers, float64(f.Brokers))
		to.requests("namesrv", f.Requests)
	}
	b := s.broker.Load()
	if p := s.o.Progress.Now(); b == nil && p.Step != "" {
		to.gauge(recovering, float64(p.Done), p.Step)
		to.gauge(toRecover, float64(p.Total), p.Step)
		to.gauge(recovered, p.Took.Seconds())
	}
	if b != nil {
		f := b.Figures()
		to.store(&f.Store, &f.Meters)
		to.broker(&f)
		b.Metrics().Collect(ch)
	}
}

// sink makes metrics of figures.
type sink struct{ ch chan<- prometheus.Metric }

func (k sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	k.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (k sink) counter(d *prometheus.Desc, v float64, labels ...string) {
	k.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (k sink) histogram(d *prometheus.Desc, s *latency.Snapshot) {
	buckets, n := map[float64]uint64{}, uint64(0)
	for i, count := range s.Counts {
		n += uint64(count)
		if i < latency.Classes-1 {
			buckets[latency.Limit(i).Seconds()] = n
		}
	}
	k.ch <- prometheus.MustNewConstHistogram(d, n, s.Sum.Seconds(), buckets)
}

func (k sink) store(s *store.Stats, m *store.Meters) {
	k.gauge(recovered, m.Recovery.Seconds())
	k.gauge(minOffset, float64(s.MinPhysical))
	k.gauge(maxOffset, float64(s.MaxPhysical))
	k.gauge(flushed, float64(s.Flushed))
	k.gauge(dispatched, float64(s.Dispatched))
	k.histogram(appends, &m.Appends)
	k.histogram(syncs, &m.Syncs)
	k.histogram(dispatches, &m.Dispatches)
	k.gauge(memory, float64(m.Memory))
	k.counter(removed, float64(s.RemovedFiles))
	k.counter(removedLen, float64(s.RemovedBytes))
	k.gauge(damaged, float64(s.Damaged))
	k.gauge(behind, float64(m.IndexBehind))
	k.gauge(queued, float64(s.QueuedGroups))
}

func (k sink) broker(f *broker.Figures) {
	for reason, n := range f.Refused {
		k.counter(refused, float64(n), send.Reason(reason).String())
	}
	k.counter(late, float64(f.Late))
	k.gauge(refusing, flag(f.Store.Refusal != ""), send.DiskFull.String())
	k.gauge(refusing, flag(f.Failure != nil), send.DiskError.String())
	k.requests("broker", f.Requests)
}

func (k sink) requests(server string, s mux.Stats) {
	k.gauge(held, float64(s.Held), server)
	k.gauge(maxHeld, float64(s.MaxHeld), server)
	for reason, n := range map[string]uint64{"overloaded": s.Overloaded, "timed_out": s.TimedOut, "unknown_code": s.Unknown, "panic": s.Panics} {
		k.counter(requests, float64(n), server, reason)
	}
}

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
