package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"galaxy/gamemaster/internal/domain/operation"
)

// AppendOperationLogInput is the audit row of a finished run.
type AppendOperationLogInput struct {
	Entry operation.OperationEntry `json:"entry"`
}

// AppendOperationLogResult is where the row went.
type AppendOperationLogResult struct {
	ID      int64 `json:"id"`
	Attempt int   `json:"attempt"`
}

// AppendOperationLog writes the run's audit row, once however often it is
// tried. It fails for now with service_unavailable, and for good with
// internal_error when the row itself is wrong.
func (a *Activities) AppendOperationLog(ctx context.Context, input AppendOperationLogInput) (AppendOperationLogResult, error) {
	entry := input.Entry
	id, err := a.log.Append(ctx, entry)
	if err != nil {
		return AppendOperationLogResult{}, failed(ctx, "append operation log", err)
	}
	activity.GetLogger(ctx).Info("patch ended",
		"game_id", entry.GameID, "patch_id", entry.PatchID,
		"op_source", entry.OpSource, "outcome", entry.Outcome, "error_code", entry.ErrorCode,
		"from_version", entry.FromVersion, "to_version", entry.ToVersion)
	return AppendOperationLogResult{ID: id, Attempt: attempt(ctx)}, nil
}
