package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/telemetry"
)

// TestExportMetrics proves that every outcome is there from the start and each try
// is counted under its own.
func TestExportMetrics(t *testing.T) {
	metrics := telemetry.NewExportMetrics()
	handler := telemetry.WithMetrics(http.NotFoundHandler(), metrics)
	require.Equal(t, `gamemaster_history_exports_total{outcome="failure"} 0
gamemaster_history_exports_total{outcome="success"} 0
gamemaster_history_exports_total{outcome="unreplayable"} 0`, scrape(t, handler))
	for _, outcome := range []history.Outcome{history.OutcomeSuccess, history.OutcomeFailure, history.OutcomeSuccess, history.OutcomeUnreplayable} {
		metrics.Tried(outcome)
	}
	require.Equal(t, `gamemaster_history_exports_total{outcome="failure"} 1
gamemaster_history_exports_total{outcome="success"} 2
gamemaster_history_exports_total{outcome="unreplayable"} 1`, scrape(t, handler))
}

// backlog is a store of histories that says what it is told to.
type backlog struct {
	says history.Backlog
	err  error
	name string
}

func (b *backlog) Backlog(_ context.Context, name string) (history.Backlog, error) {
	b.name = name
	return b.says, b.err
}

// TestBacklogMetrics proves what a scrape says of the export: nothing of a mark
// before the first pass, then the mark's age or that of what waits for longer, and
// no age below zero.
func TestBacklogMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		time.Sleep(time.Until(now))
		for name, row := range map[string]struct {
			of   history.Backlog
			want string
		}{
			"no pass yet": {history.Backlog{Waiting: 2, WaitingSince: now}, `gamemaster_unexported_runs{state="lost"} 0
gamemaster_unexported_runs{state="waiting"} 2`},
			"all exported": {history.Backlog{Mark: now.Add(-10 * time.Minute), Lost: 3}, `gamemaster_export_mark_timestamp_seconds 1.767322445e+09
gamemaster_oldest_unexported_run_age_seconds 600
gamemaster_unexported_runs{state="lost"} 3
gamemaster_unexported_runs{state="waiting"} 0`},
			"one waits": {
				history.Backlog{Mark: now.Add(-10 * time.Minute), Waiting: 1, WaitingSince: now.Add(-time.Hour)},
				`gamemaster_export_mark_timestamp_seconds 1.767322445e+09
gamemaster_oldest_unexported_run_age_seconds 3600
gamemaster_unexported_runs{state="lost"} 0
gamemaster_unexported_runs{state="waiting"} 1`,
			},
			"clocks differ": {
				history.Backlog{Mark: now.Add(time.Minute), Waiting: 1, WaitingSince: now.Add(time.Hour)},
				`gamemaster_export_mark_timestamp_seconds 1.767323105e+09
gamemaster_oldest_unexported_run_age_seconds 0
gamemaster_unexported_runs{state="lost"} 0
gamemaster_unexported_runs{state="waiting"} 1`,
			},
		} {
			store := &backlog{says: row.of}
			logger := telemetry.NewLogger(&bytes.Buffer{}, "json", 0)
			require.Equal(t, row.want, scrape(t, telemetry.WithMetrics(http.NotFoundHandler(),
				telemetry.BacklogMetrics(store, "export-histories", logger))), name)
			require.Equal(t, "export-histories", store.name)
		}
	})
}

// TestBacklogMetricsWithoutAStore proves that nothing is told that is not known,
// and that an outage is logged once.
func TestBacklogMetricsWithoutAStore(t *testing.T) {
	var log bytes.Buffer
	store := &backlog{err: errors.New("connection refused")}
	handler := telemetry.WithMetrics(http.NotFoundHandler(),
		telemetry.BacklogMetrics(store, "export-histories", telemetry.NewLogger(&log, "json", 0)))
	for range 3 {
		require.Empty(t, scrape(t, handler))
	}
	require.Equal(t, 1, strings.Count(log.String(), "connection refused"))
	store.err = nil
	require.NotEmpty(t, scrape(t, handler))
	store.err = errors.New("connection refused")
	require.Empty(t, scrape(t, handler))
	require.Equal(t, 2, strings.Count(log.String(), "connection refused"))
}
