package patch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// TestEndedEntry proves what the audit row of a run says that could write none,
// and that the row can be stored whatever the run was started with.
func TestEndedEntry(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ended := began.Add(time.Minute)
	run := patch.EndedRun{
		Handle:  patch.Handle{PatchID: "g.aaaaaaaaaaaaaaaaaaaaaaaaaa", GameID: "g", WorkflowID: patch.WorkflowID("g"), RunID: "r"},
		Version: "1.4.3", Actor: "ann", StartedAt: began, EndedAt: ended,
	}
	entry := patch.EndedEntry(run)
	require.NoError(t, entry.Validate())
	require.Contains(t, entry.ErrorMessage, "nothing was compensated")
	entry.ErrorMessage = ""
	require.Equal(t, operation.OperationEntry{
		GameID: "g", OpKind: operation.OpKindPatch, OpSource: operation.OpSourceSystem, Actor: "ann",
		Outcome: operation.OutcomeFailure, ErrorCode: "terminated",
		StartedAt: began, FinishedAt: &ended, PatchID: run.Handle.PatchID, RunID: "r", ToVersion: "1.4.3",
	}, entry)

	for _, row := range []struct {
		what  string
		spoil func(*patch.EndedRun)
		check func(operation.OperationEntry)
	}{
		{"a reconciliation", func(r *patch.EndedRun) { r.Reconciles = true }, func(e operation.OperationEntry) {
			require.Equal(t, operation.OpKindReconcile, e.OpKind)
		}},
		{"a run without an id", func(r *patch.EndedRun) { r.Handle.PatchID = "" }, func(e operation.OperationEntry) {
			require.Equal(t, patch.WorkflowID("g"), e.PatchID)
		}},
		{"a run that somebody terminated", func(r *patch.EndedRun) { r.EndedBy, r.EndedFor = "bob", "it hung" }, func(e operation.OperationEntry) {
			require.Equal(t, "terminated by bob: it hung", e.Reason)
			require.Equal(t, "ann", e.Actor)
		}},
		{"a run that somebody terminated without a word", func(r *patch.EndedRun) { r.EndedBy = "bob" }, func(e operation.OperationEntry) {
			require.Equal(t, "terminated by bob: no reason given", e.Reason)
		}},
		{"a reason that is too long", func(r *patch.EndedRun) { r.EndedFor = strings.Repeat("x", 10_000) }, func(e operation.OperationEntry) {
			require.Len(t, e.Reason, patch.MaxReason)
			require.Contains(t, e.Reason, "terminated by somebody unnamed: xxx")
		}},
		{"texts that no column takes", func(r *patch.EndedRun) {
			r.Actor, r.Version = "a\x00\xff", strings.Repeat("9", 10_000)
		}, func(e operation.OperationEntry) {
			require.Equal(t, "a\uFFFD\uFFFD", e.Actor)
			require.Len(t, e.ToVersion, 2048)
		}},
	} {
		t.Run(row.what, func(t *testing.T) {
			run := run
			row.spoil(&run)
			entry := patch.EndedEntry(run)
			require.NoError(t, entry.Validate())
			row.check(entry)
		})
	}
}
