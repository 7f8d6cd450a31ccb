package telemetry

import (
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// HTTPMetrics counts the requests that a server has answered.
type HTTPMetrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

// requestBuckets, in seconds, are fine where reads are (milliseconds) and reach
// the longest wait for a patch.
var requestBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// NewHTTPMetrics returns metrics with a registry of their own, which also has
// those of the Go runtime and of the process.
func NewHTTPMetrics() *HTTPMetrics {
	m := &HTTPMetrics{
		registry: newRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gamemaster_http_request_duration_seconds",
			Help:    "Time from the headers of a request to the end of its answer.",
			Buckets: requestBuckets,
		}, []string{"method", "route", "status"}),
	}
	m.registry.MustRegister(m.requests)
	return m
}

// newRegistry has the metrics of the Go runtime and of the process.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// noRoute is the route of requests that matched none, so that made-up paths
// make no series.
const noRoute = "none"

// Request notes a request. Method and route have to be from a bounded set.
func (m *HTTPMetrics) Request(method, route string, status int, took time.Duration) {
	if route == "" {
		route = noRoute
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Admin returns what an admin listener serves: /metrics, /debug/pprof/ and,
// below it, whatever rest answers. Who reaches this address has to be trusted.
func (m *HTTPMetrics) Admin(rest http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.Handle("/", rest)
	return WithProfiles(mux)
}

// WithProfiles serves /debug/pprof/ and, below it, whatever rest answers. A heap
// profile can hold secrets: who reaches this address has to be trusted.
func WithProfiles(rest http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("/", rest)
	return mux
}
