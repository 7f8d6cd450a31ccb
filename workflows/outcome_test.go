package workflows_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

func input() workflows.Input {
	return workflows.Input{Request: patch.Request{
		PatchID: patchID, GameID: gameID, Version: "1.4.3",
		OpSource: operation.OpSourceAdminRest, SourceRef: "ticket-7", Reason: "security fix", Actor: "ann",
	}}
}

// resultInside reads the result out of the error that a run closed with.
func resultInside(t *testing.T, err error) patch.Result {
	t.Helper()
	var result patch.Result
	var cancelled *temporal.CanceledError
	var application *temporal.ApplicationError
	switch {
	case errors.As(err, &cancelled):
		require.NoError(t, cancelled.Details(&result))
	case errors.As(err, &application):
		require.NoError(t, application.Details(&result))
		require.Equal(t, string(result.Code), application.Type())
		require.True(t, application.NonRetryable())
	default:
		require.NoError(t, err)
	}
	return result
}

// closing tells how the run closed, in Temporal's words.
func closing(err error) patch.Closing {
	var cancelled *temporal.CanceledError
	switch {
	case err == nil:
		return patch.ClosesCompleted
	case errors.As(err, &cancelled):
		return patch.ClosesCanceled
	default:
		return patch.ClosesFailed
	}
}

// checkAudit proves that the run left exactly one row, which tells the result.
func checkAudit(t *testing.T, w *world, result patch.Result) {
	t.Helper()
	require.Len(t, w.entries, 1)
	entry := w.entries[0]
	require.Equal(t, result.Outcome, entry.Outcome)
	require.Equal(t, string(result.Code), entry.ErrorCode)
	require.Equal(t, patchID, entry.PatchID)
	require.Equal(t, result.RunID, entry.RunID)
	require.Equal(t, operation.OpSourceAdminRest, entry.OpSource)
	require.Equal(t, "ticket-7", entry.SourceRef)
	require.Equal(t, "ann", entry.Actor)
	require.Equal(t, "security fix", entry.Reason)
	require.Equal(t, result.From.Version, entry.FromVersion)
	require.Equal(t, result.To.Version, entry.ToVersion)
	require.Equal(t, result.Undo != nil, entry.Undo != "")
	require.NotNil(t, entry.FinishedAt)
}
