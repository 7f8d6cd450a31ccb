package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"galaxy/gamemaster/internal/domain/history"
)

// ExportMetrics count the histories whose row this process wrote. The store is
// the truth, as with [RunMetrics].
type ExportMetrics struct {
	tried *prometheus.CounterVec
}

// NewExportMetrics returns metrics in which every outcome is there from the
// start, at zero.
func NewExportMetrics() *ExportMetrics {
	m := &ExportMetrics{tried: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gamemaster_history_exports_total",
		Help: "Histories of closed runs that this process exported, and tries that failed, by outcome; those that do not replay are kept.",
	}, []string{"outcome"})}
	for _, outcome := range history.Outcomes() {
		m.tried.WithLabelValues(string(outcome))
	}
	return m
}

// Tried counts a try by what came of it.
func (m *ExportMetrics) Tried(outcome history.Outcome) {
	m.tried.WithLabelValues(string(outcome)).Inc()
}

// Describe and Collect make it a [prometheus.Collector].
func (m *ExportMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.tried.Describe(descriptions)
}

// Collect sends all series.
func (m *ExportMetrics) Collect(metrics chan<- prometheus.Metric) { m.tried.Collect(metrics) }

// BacklogSource is where exported histories are kept.
type BacklogSource interface {
	// Backlog returns how far behind the export with the mark of a name is.
	Backlog(ctx context.Context, name string) (history.Backlog, error)
}

// backlogPatience bounds what one scrape asks of the store: a statement that takes
// milliseconds, and a scrape is given ten seconds as a rule.
const backlogPatience = 2 * time.Second

// backlogMetrics tells how far behind the export is, as of the scrape: every
// process of a task queue tells the same.
type backlogMetrics struct {
	source BacklogSource
	name   string
	logger *slog.Logger
	now    func() time.Time
	// failing says that the latest scrape could not ask, so that an outage is
	// logged once and not with every scrape.
	failing atomic.Bool
}

var (
	exportMark = prometheus.NewDesc("gamemaster_export_mark_timestamp_seconds",
		"Up to when the closed runs have been looked through for their export: ten minutes before the last pass that came to its end.", nil, nil)
	unexportedRuns = prometheus.NewDesc("gamemaster_unexported_runs",
		"Closed runs whose export was tried in vain: waiting for the next try, or lost, since Temporal has forgotten them.",
		[]string{"state"}, nil)
	oldestUnexported = prometheus.NewDesc("gamemaster_oldest_unexported_run_age_seconds",
		"How long ago the oldest closed run that may not be exported yet closed: since the mark, or before it since the first of those that wait was missed.",
		nil, nil)
)

// BacklogMetrics returns the metrics of the export's backlog, of the mark with the
// given name. While source cannot be asked there are no series of them, and before
// the first pass has ended only those of the misses: an old number would look like
// a good one.
func BacklogMetrics(source BacklogSource, name string, logger *slog.Logger) prometheus.Collector {
	return &backlogMetrics{source: source, name: name, logger: logger, now: time.Now}
}

// Describe sends the descriptions of all series.
func (m *backlogMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- exportMark
	descriptions <- unexportedRuns
	descriptions <- oldestUnexported
}

// Collect asks the source and sends what it says.
func (m *backlogMetrics) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), backlogPatience)
	defer cancel()
	backlog, err := m.source.Backlog(ctx, m.name)
	if err != nil {
		if !m.failing.Swap(true) {
			m.logger.Warn("read the backlog of the export for the metrics", "err", err.Error())
		}
		return
	}
	m.failing.Store(false)
	gauge(metrics, unexportedRuns, float64(backlog.Waiting), "waiting")
	gauge(metrics, unexportedRuns, float64(backlog.Lost), "lost")
	if backlog.Mark.IsZero() {
		return
	}
	gauge(metrics, exportMark, float64(backlog.Mark.UnixMilli())/1000)
	// The mark is of Temporal's clock, which may be ahead of this one.
	gauge(metrics, oldestUnexported, max(0, m.now().Sub(backlog.Since())).Seconds())
}
