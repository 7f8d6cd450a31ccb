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

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/telemetry"
)

// visibility lists what it is told to, a page for each element.
type visibility struct {
	pages [][]patch.Open
	err   error
	asked int
}

func (v *visibility) ListOpen(_ context.Context, query patch.OpenQuery) (patch.OpenPage, error) {
	v.asked++
	if err := query.Validate(); err != nil {
		return patch.OpenPage{}, err
	}
	i := len(query.PageToken)
	if v.err != nil || i >= len(v.pages) {
		return patch.OpenPage{}, v.err
	}
	page := patch.OpenPage{Patches: v.pages[i]}
	if i+1 < len(v.pages) {
		page.NextPageToken = bytes.Repeat([]byte{1}, i+1)
	}
	return page, nil
}

// TestOpenMetrics proves what a scrape says of the open runs over all pages, and
// that scrapes which follow each other share one list.
func TestOpenMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &visibility{pages: [][]patch.Open{
			{{StartedAt: time.Now().Add(-time.Minute)}, {StartedAt: time.Now().Add(-2 * time.Minute), Phase: patch.PhaseNeedsOperator}},
			{{StartedAt: time.Now().Add(-3 * time.Minute), Reconciles: true}},
		}}
		handler := telemetry.WithMetrics(http.NotFoundHandler(),
			telemetry.OpenMetrics(store, telemetry.NewLogger(&bytes.Buffer{}, "json", 0)))
		require.Equal(t, `gamemaster_oldest_open_run_age_seconds 180
gamemaster_open_runs{kind="patch"} 2
gamemaster_open_runs{kind="reconcile"} 1
gamemaster_runs_in_doubt 1`, scrape(t, handler))
		require.Equal(t, 2, store.asked)
		store.pages = nil
		time.Sleep(9 * time.Second)
		require.Contains(t, scrape(t, handler), "gamemaster_oldest_open_run_age_seconds 189")
		require.Equal(t, 2, store.asked)
		time.Sleep(time.Second)
		require.Contains(t, scrape(t, handler), "gamemaster_oldest_open_run_age_seconds 0")
		require.Equal(t, 3, store.asked)
	})
}

// TestOpenMetricsAreBounded proves that a list without an end is not followed.
func TestOpenMetricsAreBounded(t *testing.T) {
	store := &visibility{pages: make([][]patch.Open, 100)}
	scrape(t, telemetry.WithMetrics(http.NotFoundHandler(),
		telemetry.OpenMetrics(store, telemetry.NewLogger(&bytes.Buffer{}, "json", 0))))
	require.Equal(t, 5, store.asked)
}

// TestOpenMetricsWithoutTemporal proves that nothing is told that is not known,
// that an outage is not asked about with every scrape, and is logged once.
func TestOpenMetricsWithoutTemporal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := &visibility{err: errors.New("connection refused")}
		handler := telemetry.WithMetrics(http.NotFoundHandler(), telemetry.OpenMetrics(store, telemetry.NewLogger(&log, "json", 0)))
		for range 3 {
			require.Empty(t, scrape(t, handler))
			require.Empty(t, scrape(t, handler))
			time.Sleep(10 * time.Second)
		}
		require.Equal(t, 3, store.asked)
		require.Equal(t, 1, strings.Count(log.String(), "connection refused"))
		store.err = nil
		require.Contains(t, scrape(t, handler), "gamemaster_runs_in_doubt 0")
	})
}
