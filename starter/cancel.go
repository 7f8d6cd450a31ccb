package starter

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/domain/patch"
)

// Cancel asks the open run of a patch to end, and returns as soon as Temporal
// has noted it: the run puts the container back first, and a patch that is
// rotating the record by then ends as a success all the same. Who cancelled it
// and why stands in the run's history. Cancelling again changes nothing.
//
// It returns [patch.ErrNotFound] when no patch has the id, [patch.ErrClosed]
// when it has ended, and a [*patch.Refusal]: with invalid_request when command
// names no actor, with service_unavailable when Temporal cannot say.
func (s *Starter) Cancel(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error) {
	if err := command.ValidateCancel(); err != nil {
		return patch.Handle{}, err
	}
	gameID, ok := patch.GameOf(patchID)
	if !ok {
		return patch.Handle{}, patch.ErrNotFound
	}
	latest, err := s.describe(ctx, patch.WorkflowID(gameID), "")
	if err != nil && !errors.Is(err, patch.ErrNotFound) {
		return patch.Handle{}, unavailable(ctx, "look at the patch", err)
	}
	if err == nil && latest.handle.PatchID == patchID {
		return s.cancelRun(ctx, latest, command)
	}
	if _, err := s.past(ctx, gameID, patchID, err); err != nil {
		return patch.Handle{}, err
	}
	return patch.Handle{}, patch.ErrClosed
}

func (s *Starter) cancelRun(ctx context.Context, run described, command patch.Command) (patch.Handle, error) {
	if !run.isOpen() {
		return patch.Handle{}, patch.ErrClosed
	}
	err := s.client.CancelWorkflowWithOptions(ctx, client.CancelWorkflowOptions{
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

// maxCause is Temporal's bound on the cause of a cancellation, in bytes.
const maxCause = 1000

func cause(command patch.Command) string {
	text := command.Actor
	if command.Reason != "" {
		text += ": " + command.Reason
	}
	return patch.Truncate(text, maxCause)
}
