package history_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/history"
)

// Proves since when a run may be missing: since the mark, or before it since the
// first of those that wait, and not said while nothing was looked through.
func TestBacklogSince(t *testing.T) {
	mark := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, row := range map[string]struct {
		of   history.Backlog
		want time.Time
	}{
		"never":           {history.Backlog{Waiting: 1, WaitingSince: mark}, time.Time{}},
		"all exported":    {history.Backlog{Mark: mark, Lost: 2}, mark},
		"one waits":       {history.Backlog{Mark: mark, Waiting: 1, WaitingSince: mark.Add(-time.Hour)}, mark.Add(-time.Hour)},
		"one waits since": {history.Backlog{Mark: mark, Waiting: 1, WaitingSince: mark.Add(time.Minute)}, mark},
	} {
		require.Equal(t, row.want, row.of.Since(), name)
	}
}
