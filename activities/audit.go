package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// AppendOperationLogInput is the audit row of a finished run.
type AppendOperationLogInput struct {
	Entry operation.OperationEntry `json:"entry"`
	// FirstRunID is the run that was started; it is another than the row's own
	// run after a reset.
	FirstRunID string `json:"first_run_id"`
	// MovedBy is the run that wrote the move into the record; empty when none is
	// known to have.
	MovedBy string `json:"moved_by,omitempty"`
}

// AppendOperationLogResult is where the row went.
type AppendOperationLogResult struct {
	ID int64 `json:"id"`
	// Told says that the move stands in the row of an earlier run already, so that
	// this one tells of no change.
	Told bool `json:"told,omitempty"`
	// Stands is the run's own row, when it tells another end than the entry: a row
	// that was written is not changed.
	Stands  *operation.OperationEntry `json:"stands,omitempty"`
	Attempt int                       `json:"attempt"`
}

// earlierRows is how far back the log of a game is searched for the row of an
// earlier run: whoever resets a run does it before the game has been patched
// that many times since.
const earlierRows = 100

// AppendOperationLog writes the run's audit row, once however often it is
// tried. It fails for now with service_unavailable, and for good with
// internal_error when the row itself is wrong.
func (a *Activities) AppendOperationLog(ctx context.Context, input AppendOperationLogInput) (AppendOperationLogResult, error) {
	const op = "append operation log"
	entry, told := input.Entry, false
	if tookOver(ctx, input.FirstRunID) && input.MovedBy != runID(ctx) {
		earlier, err := a.log.ListByGame(ctx, entry.GameID, earlierRows)
		if err != nil {
			return AppendOperationLogResult{}, failed(ctx, op, err)
		}
		entry, told = patch.AfterReset(entry, earlier)
	}
	id, err := a.log.Append(ctx, entry)
	if err != nil {
		return AppendOperationLogResult{}, failed(ctx, op, err)
	}
	stands, err := a.standing(ctx, entry)
	if err != nil {
		return AppendOperationLogResult{}, failed(ctx, op, err)
	}
	if stands != nil {
		return AppendOperationLogResult{ID: id, Stands: stands, Attempt: attempt(ctx)}, nil
	}
	activity.GetLogger(ctx).Info(string(entry.OpKind)+" ended",
		"game_id", entry.GameID, "patch_id", entry.PatchID,
		"op_source", entry.OpSource, "outcome", entry.Outcome, "error_code", entry.ErrorCode,
		"from_version", entry.FromVersion, "to_version", entry.ToVersion)
	return AppendOperationLogResult{ID: id, Told: told, Attempt: attempt(ctx)}, nil
}

// standing returns the row of the run, if that is another than entry: one that a
// workflow task wrote which was lost. Only a success is told before it is
// recorded, so that only a failure can meet one.
func (a *Activities) standing(ctx context.Context, entry operation.OperationEntry) (*operation.OperationEntry, error) {
	if entry.Outcome == operation.OutcomeSuccess {
		return nil, nil
	}
	rows, err := a.log.ListByPatch(ctx, entry.PatchID)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.RunID == entry.RunID && row.Outcome == operation.OutcomeSuccess {
			return &row, nil
		}
	}
	return nil, nil
}
