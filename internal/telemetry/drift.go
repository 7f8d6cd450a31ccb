package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"galaxy/gamemaster/internal/domain/drift"
)

// DriftSource is where the findings of the watch are kept.
type DriftSource interface {
	// CountDrift returns how many findings of each kind are open.
	CountDrift(ctx context.Context) (map[drift.Kind]int64, error)
	// LastPass returns the pass that finished last, or [drift.ErrNotFound].
	LastPass(ctx context.Context) (drift.Pass, error)
}

// driftPatience bounds what one scrape asks of the store: two statements that
// take milliseconds, and a scrape is given ten seconds as a rule.
const driftPatience = 2 * time.Second

// driftMetrics tells of the watch, as of the scrape: every process that shares
// the store tells the same.
type driftMetrics struct {
	source DriftSource
	logger *slog.Logger
	// failing says that the latest scrape could not ask, so that an outage is
	// logged once and not with every scrape.
	failing atomic.Bool
}

var (
	driftFindings = prometheus.NewDesc("gamemaster_drift_findings",
		"Games whose record and container differ, by the kind of the difference.", []string{"kind"}, nil)
	lastPassTime = prometheus.NewDesc("gamemaster_watch_last_pass_timestamp_seconds",
		"When the last pass of the watch that came to its end did so.", nil, nil)
	lastPassRuntimes = prometheus.NewDesc("gamemaster_watch_last_pass_runtimes",
		"Records of the last pass of the watch, by what came of them; those that were compared are the sum of in_sync and the differences.",
		[]string{"result"}, nil)
)

// DriftMetrics returns the metrics of the watch. While source cannot be asked
// there are no series of them: an old number would look like a good one.
func DriftMetrics(source DriftSource, logger *slog.Logger) prometheus.Collector {
	return &driftMetrics{source: source, logger: logger}
}

// Describe sends the descriptions of all series.
func (m *driftMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- driftFindings
	descriptions <- lastPassTime
	descriptions <- lastPassRuntimes
}

// Collect asks the source and sends what it says.
func (m *driftMetrics) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), driftPatience)
	defer cancel()
	counts, err := m.source.CountDrift(ctx)
	var last drift.Pass
	if err == nil {
		last, err = m.source.LastPass(ctx)
	}
	none := errors.Is(err, drift.ErrNotFound)
	if err != nil && !none {
		if !m.failing.Swap(true) {
			m.logger.Warn("read the drift for the metrics", "err", err.Error())
		}
		return
	}
	m.failing.Store(false)
	for kind, count := range counts {
		gauge(metrics, driftFindings, float64(count), string(kind))
	}
	if none || last.FinishedAt == nil {
		return
	}
	gauge(metrics, lastPassTime, float64(last.FinishedAt.UnixMilli())/1000)
	for result, count := range map[string]int64{
		"checked": last.Checked, string(drift.InSync): last.InSync, string(drift.ImageDrift): last.ImageDrift,
		string(drift.Missing): last.Missing, string(drift.Extra): last.Extra, "skipped": last.Skipped, "unknown": last.Unknown,
	} {
		gauge(metrics, lastPassRuntimes, float64(count), result)
	}
}

func gauge(metrics chan<- prometheus.Metric, description *prometheus.Desc, value float64, labels ...string) {
	metrics <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, value, labels...)
}

// Register adds metrics to those that Admin serves.
func (m *HTTPMetrics) Register(metrics ...prometheus.Collector) { m.registry.MustRegister(metrics...) }

// WithMetrics serves /metrics with those of the process and the given ones, and
// whatever rest answers. There are no profiles: nobody has to be trusted who
// reaches it.
func WithMetrics(rest http.Handler, metrics ...prometheus.Collector) http.Handler {
	registry := newRegistry()
	registry.MustRegister(metrics...)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/", rest)
	return mux
}
