package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/telemetry"
)

// source is a store of findings that says what it is told to.
type source struct {
	pass drift.Pass
	err  error
}

func (s *source) CountDrift(context.Context) (map[drift.Kind]int64, error) {
	return map[drift.Kind]int64{drift.ImageDrift: 3, drift.Missing: 0, drift.Extra: 1}, nil
}

func (s *source) LastPass(context.Context) (drift.Pass, error) { return s.pass, s.err }

// scrape returns the lines of /metrics that are Game Master's own.
func scrape(t *testing.T, handler http.Handler) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, recorder.Code, recorder.Body.String())
	var own []string
	for line := range strings.Lines(recorder.Body.String()) {
		if strings.HasPrefix(line, "gamemaster_") {
			own = append(own, strings.TrimSpace(line))
		}
	}
	return strings.Join(own, "\n")
}

// TestDriftMetrics proves what a scrape says of the watch, on the worker's
// listener and on the API's.
func TestDriftMetrics(t *testing.T) {
	finished := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	store := &source{pass: drift.Pass{FinishedAt: &finished, Counts: drift.Counts{
		Checked: 9, InSync: 5, ImageDrift: 3, Missing: 0, Extra: 1, Skipped: 2, Unknown: 4,
	}}}
	logger := telemetry.NewLogger(&bytes.Buffer{}, "json", 0)
	const want = `gamemaster_drift_findings{kind="extra"} 1
gamemaster_drift_findings{kind="image_drift"} 3
gamemaster_drift_findings{kind="missing"} 0
gamemaster_watch_last_pass_runtimes{result="checked"} 9
gamemaster_watch_last_pass_runtimes{result="extra"} 1
gamemaster_watch_last_pass_runtimes{result="image_drift"} 3
gamemaster_watch_last_pass_runtimes{result="in_sync"} 5
gamemaster_watch_last_pass_runtimes{result="missing"} 0
gamemaster_watch_last_pass_runtimes{result="skipped"} 2
gamemaster_watch_last_pass_runtimes{result="unknown"} 4
gamemaster_watch_last_pass_timestamp_seconds 1.767323045e+09`
	rest := http.NotFoundHandler()
	require.Equal(t, want, scrape(t, telemetry.WithMetrics(rest, telemetry.DriftMetrics(store, logger))))
	metrics := telemetry.NewHTTPMetrics()
	metrics.Register(telemetry.DriftMetrics(store, logger))
	require.Equal(t, want, scrape(t, metrics.Admin(rest)))
}

// TestDriftMetricsWithoutAPass proves that the findings are told before the
// first pass has ended, and no time is made up for it.
func TestDriftMetricsWithoutAPass(t *testing.T) {
	store := &source{err: drift.ErrNotFound}
	told := scrape(t, telemetry.WithMetrics(http.NotFoundHandler(),
		telemetry.DriftMetrics(store, telemetry.NewLogger(&bytes.Buffer{}, "json", 0))))
	require.Contains(t, told, `gamemaster_drift_findings{kind="extra"} 1`)
	require.NotContains(t, told, "last_pass")
}

// TestDriftMetricsWithoutAStore proves that nothing is told that is not known,
// that the scrape works all the same, and that an outage is logged once.
func TestDriftMetricsWithoutAStore(t *testing.T) {
	var log bytes.Buffer
	store := &source{err: errors.New("connection refused")}
	handler := telemetry.WithMetrics(http.NotFoundHandler(), telemetry.DriftMetrics(store, telemetry.NewLogger(&log, "json", 0)))
	for range 3 {
		require.Empty(t, scrape(t, handler))
	}
	require.Equal(t, 1, strings.Count(log.String(), "connection refused"))
	store.err = drift.ErrNotFound
	require.NotEmpty(t, scrape(t, handler))
	store.err = errors.New("connection refused")
	require.Empty(t, scrape(t, handler))
	require.Equal(t, 2, strings.Count(log.String(), "connection refused"))
}
