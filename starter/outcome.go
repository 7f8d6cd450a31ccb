package starter

import (
	"context"
	"time"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

const (
	// outcomePatience is how long a run's outcome is listened for before Temporal
	// is asked: longer than a patch takes on a machine at its limit, and no longer
	// than a caller may wait in vain when a notification was lost.
	outcomePatience = 2 * time.Second

	// closePatience bounds the wait for a run to close whose outcome was told: a
	// few milliseconds, unless its worker died in them. Then Temporal gives the
	// task to another one after ten seconds, for which nobody is kept waiting.
	closePatience = 2 * time.Second
)

// heard returns the success of a run that the handle's start began, as soon as
// its audit row tells it. Any other end is Temporal's to tell: a row that tells a
// failure does not hold what the result does.
func (s *Starter) heard(ctx context.Context, handle patch.Handle) (patch.Result, bool) {
	if !handle.Begun {
		// It may have ended long ago.
		return patch.Result{}, false
	}
	patience, cancel := context.WithTimeout(ctx, outcomePatience)
	defer cancel()
	if !s.outcomes.Await(patience, handle.RunID) {
		return patch.Result{}, false
	}
	entry, record, err := s.outcomes.Success(ctx, handle.PatchID, handle.RunID)
	if err != nil {
		return patch.Result{}, false
	}
	result := patch.ResultOf(entry)
	result.Runtime = &record
	return result, true
}

// close waits until a run has closed whose outcome was told.
func (s *Starter) close(ctx context.Context, handle patch.Handle) {
	ctx, cancel := context.WithTimeout(ctx, closePatience)
	defer cancel()
	// However it closed, and whether it did, is read from the run.
	_ = s.client.GetWorkflow(ctx, handle.WorkflowID, handle.RunID).Get(ctx, nil)
}

// silence is what is heard without [Options].Outcomes.
type silence struct{}

func (silence) Await(context.Context, string) bool { return false }

func (silence) Heard(string) bool { return false }

func (silence) Success(context.Context, string, string) (operation.OperationEntry, runtime.RuntimeRecord, error) {
	return operation.OperationEntry{}, runtime.RuntimeRecord{}, patch.ErrNotFound
}
