package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// RunMetrics count the patches and reconciliations whose audit row this process
// wrote. The audit log is the truth: a process that is killed takes its counts
// with it, and a row whose reply was lost is counted by nobody.
type RunMetrics struct {
	ended, undone *prometheus.CounterVec
	took          *prometheus.HistogramVec
}

// runBuckets, in seconds, reach from a refusal, which takes milliseconds, over a
// recreate to a run that an operator had to decide about.
var runBuckets = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600}

// otherCode stands for a code that is none of ours, so that nothing makes up
// series.
const otherCode = "other"

// NewRunMetrics returns metrics in which every series that an alert may ask for
// is there from the start, at zero: the first failure after a start is a rise.
func NewRunMetrics() *RunMetrics {
	m := &RunMetrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gamemaster_patches_total",
			Help: "Patches and reconciliations whose audit row this process wrote, by kind, outcome and code; the code of a success is empty.",
		}, []string{"kind", "outcome", "code"}),
		undone: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gamemaster_undos_total",
			Help: "Runs whose audit row tells an undo, by the line of the undo table that was taken.",
		}, []string{"line"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gamemaster_patch_duration_seconds",
			Help:    "Time from the start of a run to its verdict, by kind and outcome.",
			Buckets: runBuckets,
		}, []string{"kind", "outcome"}),
	}
	for _, kind := range []operation.OpKind{operation.OpKindPatch, operation.OpKindReconcile} {
		m.ended.WithLabelValues(string(kind), string(operation.OutcomeSuccess), "")
		for _, code := range patch.Codes() {
			if code.Closing() != patch.ClosesNothing {
				m.ended.WithLabelValues(string(kind), string(operation.OutcomeFailure), string(code))
			}
		}
		for _, outcome := range []operation.Outcome{operation.OutcomeSuccess, operation.OutcomeFailure} {
			m.took.WithLabelValues(string(kind), string(outcome))
		}
	}
	for _, line := range patch.ToldLines() {
		m.undone.WithLabelValues(string(line))
	}
	return m
}

// Ended counts a run by its audit row, which has been written.
func (m *RunMetrics) Ended(entry operation.OperationEntry) {
	code := patch.Code(entry.ErrorCode)
	if code != "" && !code.IsKnown() {
		code = otherCode
	}
	m.ended.WithLabelValues(string(entry.OpKind), string(entry.Outcome), string(code)).Inc()
	if entry.FinishedAt != nil {
		// Both are the run's own times; a reset carries the start of the first run.
		m.took.WithLabelValues(string(entry.OpKind), string(entry.Outcome)).Observe(entry.FinishedAt.Sub(entry.StartedAt).Seconds())
	}
	if line := patch.LineTold(entry.Undo); line != "" {
		m.undone.WithLabelValues(string(line)).Inc()
	}
}

// Describe and Collect make it a [prometheus.Collector].
func (m *RunMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.ended.Describe(descriptions)
	m.undone.Describe(descriptions)
	m.took.Describe(descriptions)
}

// Collect sends all series.
func (m *RunMetrics) Collect(metrics chan<- prometheus.Metric) {
	m.ended.Collect(metrics)
	m.undone.Collect(metrics)
	m.took.Collect(metrics)
}
