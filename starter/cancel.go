package starter

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/domain/patch"
)

// Cancel asks the open run of a patch, or of a reconciliation, to end, and
// returns as soon as Temporal has noted it: the run of a patch puts the container
// back first, and one that is rotating the record by then ends as a success all
// the same. Who cancelled it and why stands in the run's history; with a client
// that was made with [DialOptions] the actor is there as who asked Temporal for it,
// too, by which it is told from what others write. Cancelling again changes nothing.
//
// It returns [patch.ErrNotFound] when no patch has the id, [patch.ErrClosed]
// when it has ended, [patch.ErrInDoubt] when it waits for an operator, which a
// cancellation would not change, and a [*patch.Refusal]: with invalid_request
// when command names no actor, with service_unavailable when Temporal cannot say.
func (s *Starter) Cancel(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error) {
	if err := command.ValidateCancel(); err != nil {
		return patch.Handle{}, err
	}
	run, err := s.openRun(ctx, patchID)
	if err != nil {
		return patch.Handle{}, err
	}
	if run.inDoubt() {
		return patch.Handle{}, patch.ErrInDoubt
	}
	err = s.client.CancelWorkflowWithOptions(withIdentity(ctx, patch.Truncate(command.Actor, maxCause)), client.CancelWorkflowOptions{
		WorkflowID: run.handle.WorkflowID,
		RunID:      run.handle.RunID,
		// Takes the place of the run's own id, so that the patch is cancelled as
		// well if it was reset a moment ago, and no later patch of the game is.
		FirstExecutionRunID: run.firstRunID,
		Reason:              cause(command),
	})
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return patch.Handle{}, patch.ErrClosed
	}
	if err != nil {
		return patch.Handle{}, unavailable(ctx, "cancel the patch", err)
	}
	return run.handle, nil
}

// maxCause is Temporal's bound on the cause of a cancellation, and on who asked for
// it, in bytes.
const maxCause = 1000

func cause(command patch.Command) string {
	text := command.Actor
	if command.Reason != "" {
		text += ": " + command.Reason
	}
	return patch.Truncate(text, maxCause)
}
