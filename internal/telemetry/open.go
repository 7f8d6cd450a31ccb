package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// OpenSource lists the open runs; [starter.Starter] has it.
type OpenSource interface {
	ListOpen(ctx context.Context, query patch.OpenQuery) (patch.OpenPage, error)
}

const (
	// openPatience bounds what one scrape asks of Temporal's visibility: some
	// pages, each of which takes tens of milliseconds, and a scrape is given ten
	// seconds as a rule.
	openPatience = 3 * time.Second

	// openAge is how long a list serves: visibility lags a second behind anyhow,
	// and several that scrape every 15 s cost one list each time.
	openAge = 10 * time.Second

	// openPages bounds the list. A fleet with more than 5,000 open patches at once
	// is told as 5,000, which is alarm enough.
	openPages = 5
)

// openMetrics tells of the open runs as of the scrape: every process tells the
// same.
type openMetrics struct {
	source OpenSource
	logger *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	at      time.Time
	last    openRuns
	known   bool
	failing bool
}

// openRuns is what a list came to.
type openRuns struct {
	patches, reconciliations, inDoubt int
	// oldest is zero when none is open.
	oldest time.Time
}

var (
	openByKind = prometheus.NewDesc("gamemaster_open_runs",
		"Runs that are open, by kind; at most 5000 are counted.", []string{"kind"}, nil)
	openInDoubt = prometheus.NewDesc("gamemaster_runs_in_doubt",
		"Runs that wait for an operator.", nil, nil)
	oldestOpen = prometheus.NewDesc("gamemaster_oldest_open_run_age_seconds",
		"Since when the open run that started first has been open; zero when none is.", nil, nil)
)

// OpenMetrics returns the metrics of the open runs. While source cannot be asked
// there are no series of them: an old number would look like a good one.
func OpenMetrics(source OpenSource, logger *slog.Logger) prometheus.Collector {
	return &openMetrics{source: source, logger: logger, now: time.Now}
}

// Describe sends the descriptions of all series.
func (m *openMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- openByKind
	descriptions <- openInDoubt
	descriptions <- oldestOpen
}

// Collect asks the source, unless it has just done so, and sends what it says.
func (m *openMetrics) Collect(metrics chan<- prometheus.Metric) {
	runs, ok := m.current()
	if !ok {
		return
	}
	gauge(metrics, openByKind, float64(runs.patches), string(operation.OpKindPatch))
	gauge(metrics, openByKind, float64(runs.reconciliations), string(operation.OpKindReconcile))
	gauge(metrics, openInDoubt, float64(runs.inDoubt))
	age := time.Duration(0)
	if !runs.oldest.IsZero() {
		// Temporal's clock may be ahead of this one.
		age = max(0, m.now().Sub(runs.oldest))
	}
	gauge(metrics, oldestOpen, age.Seconds())
}

// current returns the last list while it is fresh and otherwise a new one;
// scrapes that come meanwhile wait for it, and its time is bounded.
func (m *openMetrics) current() (openRuns, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.at.IsZero() && m.now().Sub(m.at) < openAge {
		return m.last, m.known
	}
	ctx, cancel := context.WithTimeout(context.Background(), openPatience)
	defer cancel()
	runs, err := countOpen(ctx, m.source)
	if err != nil && !m.failing {
		// An outage is logged once and not with every scrape.
		m.logger.Warn("list the open runs for the metrics", "err", err.Error())
	}
	m.at, m.last, m.known, m.failing = m.now(), runs, err == nil, err != nil
	return m.last, m.known
}

func countOpen(ctx context.Context, source OpenSource) (openRuns, error) {
	var runs openRuns
	query := patch.OpenQuery{Limit: patch.MaxOpenPage}
	for range openPages {
		page, err := source.ListOpen(ctx, query)
		if err != nil {
			return openRuns{}, err
		}
		for _, open := range page.Patches {
			runs.add(open)
		}
		if len(page.NextPageToken) == 0 {
			break
		}
		query.PageToken = page.NextPageToken
	}
	return runs, nil
}

func (r *openRuns) add(open patch.Open) {
	if open.Reconciles {
		r.reconciliations++
	} else {
		r.patches++
	}
	if open.Phase == patch.PhaseNeedsOperator {
		r.inDoubt++
	}
	if r.oldest.IsZero() || open.StartedAt.Before(r.oldest) {
		r.oldest = open.StartedAt
	}
}
