package server

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"holdfast/internal/config"
	"holdfast/internal/store"
	"holdfast/internal/web"
)

// metrics are what Prometheus reads; docs/operate.md lists them, and a test
// compares. Labels have few values: no arrangement, module or party is one.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	syncs    *prometheus.CounterVec
	syncTime prometheus.Histogram
	running  prometheus.Gauge
}

func newMetrics(role config.Role, vitals func(context.Context) (store.Vitals, error), log *slog.Logger) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_http_requests_total",
			Help: "Requests answered, by route pattern and status."}, []string{"method", "route", "status"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "holdfast_http_request_duration_seconds",
			Help: "Time from a request's headers to the end of the answer.", Buckets: []float64{.005, .025, .1, .5, 2, 10, 60, 600}}, []string{"route"}),
		syncs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_syncs_total",
			Help: "Syncs ended in this process, by result: deposited, unchanged or failed."}, []string{"result"}),
		syncTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_sync_duration_seconds",
			Help: "Time of a sync.", Buckets: []float64{.1, 1, 10, 60, 600, 3600, 6 * 3600}}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "holdfast_syncs_running", Help: "Syncs at work in this process."}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "holdfast_build_info", Help: "1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"revision": revision(), "go": runtime.Version(), "role": string(role)}})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.latency, m.syncs, m.syncTime, m.running, build, newVitalsCollector(vitals, log),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, result := range []string{syncDeposited, syncUnchanged, syncFailed} {
		m.syncs.WithLabelValues(result) // 0 is a figure, too
	}
	return m
}

// revision is the commit that this program was built from.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, b := range info.Settings {
			if b.Key == "vcs.revision" {
				return b.Value
			}
		}
	}
	return "unknown"
}

// handler serves the metrics.
func (m *metrics) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), MaxRequestsInFlight: 4})
}

func (m *metrics) served(s web.Served) {
	route := s.Route
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(method(s.Method), route, strconv.Itoa(s.Status)).Inc()
	m.latency.WithLabelValues(route).Observe(s.Took.Seconds())
}

// method keeps methods that somebody made up out of the labels.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return name
	}
	return "other"
}

// The results of a sync.
const (
	syncDeposited = "deposited"
	syncUnchanged = "unchanged"
	syncFailed    = "failed"
)

// sync notes the end of a sync.
func (m *metrics) sync(result string, took time.Duration) {
	m.syncs.WithLabelValues(result).Inc()
	m.syncTime.Observe(took.Seconds())
}

// vitalsCollector reads the database when somebody asks for metrics.
type vitalsCollector struct {
	read func(context.Context) (store.Vitals, error)
	log  *slog.Logger

	up, ledger, published, deposits, stored, failing, overdue, jobs, worker *prometheus.Desc
}

func newVitalsCollector(read func(context.Context) (store.Vitals, error), log *slog.Logger) *vitalsCollector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("holdfast_"+name, help, labels, nil)
	}
	return &vitalsCollector{read: read, log: log,
		up:        d("database_up", "1 when the database answers; the figures drawn from it are missing otherwise."),
		ledger:    d("ledger_entries", "Entries of the ledger."),
		published: d("ledger_published_entries", "Entries in the last published checkpoint."),
		deposits:  d("deposits", "Deposits held."),
		stored:    d("deposit_stored_bytes", "Sealed bytes of all deposits; an object of two counts twice."),
		failing:   d("modules_failing", "Modules whose last sync failed."),
		overdue:   d("modules_overdue", "Modules whose sync should have begun ten minutes ago or earlier."),
		jobs:      d("jobs", "Rows of the job queue.", "kind", "state"),
		worker:    d("queue_worker_up", "1 when some process takes work from the queue."),
	}
}

// Describe implements [prometheus.Collector].
func (c *vitalsCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.ledger, c.published, c.deposits, c.stored, c.failing, c.overdue, c.jobs, c.worker} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *vitalsCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), checkPatience)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	v, err := c.read(ctx)
	if err != nil {
		c.log.ErrorContext(ctx, "metrics: read the database", "error", err)
		gauge(c.up, 0)
		return
	}
	gauge(c.up, 1)
	gauge(c.ledger, float64(v.LedgerSize))
	gauge(c.published, float64(v.PublishedSize))
	gauge(c.deposits, float64(v.Deposits))
	gauge(c.stored, float64(v.StoredBytes))
	gauge(c.failing, float64(v.Failing))
	gauge(c.overdue, float64(v.Overdue))
	for job, n := range v.Jobs {
		gauge(c.jobs, float64(n), job.Kind, job.State)
	}
	worker := 0.0
	if v.Worker {
		worker = 1
	}
	gauge(c.worker, worker)
}
