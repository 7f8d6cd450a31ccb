package telemetry_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/telemetry"
)

// TestRunMetrics proves what an audit row adds, that what can be asked for is
// there at zero before, and that no row makes up a series.
func TestRunMetrics(t *testing.T) {
	metrics := telemetry.NewRunMetrics()
	handler := telemetry.WithMetrics(http.NotFoundHandler(), metrics)
	before := scrape(t, handler)
	require.Contains(t, before, `gamemaster_patches_total{code="internal_error",kind="reconcile",outcome="failure"} 0`)
	require.Contains(t, before, `gamemaster_undos_total{line="missing"} 0`)

	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ended := began.Add(3 * time.Second)
	entry := operation.OperationEntry{
		OpKind: operation.OpKindPatch, Outcome: operation.OutcomeFailure, ErrorCode: string(patch.CodeConflict),
		StartedAt: began, FinishedAt: &ended, Undo: patch.Undo{Line: patch.LineRecreated}.Sentence(),
	}
	metrics.Ended(entry)
	metrics.Ended(operation.OperationEntry{OpKind: operation.OpKindPatch, Outcome: operation.OutcomeSuccess, StartedAt: began})
	entry.ErrorCode, entry.Undo = "made_up", "made up"
	metrics.Ended(entry)
	after := scrape(t, handler)
	for _, line := range []string{
		`gamemaster_patches_total{code="conflict",kind="patch",outcome="failure"} 1`,
		`gamemaster_patches_total{code="",kind="patch",outcome="success"} 1`,
		`gamemaster_patches_total{code="other",kind="patch",outcome="failure"} 1`,
		`gamemaster_undos_total{line="recreated"} 1`,
		`gamemaster_patch_duration_seconds_sum{kind="patch",outcome="failure"} 6`,
		`gamemaster_patch_duration_seconds_count{kind="patch",outcome="success"} 0`,
	} {
		require.Contains(t, after, line)
	}
	require.NotContains(t, after, "made")
}
