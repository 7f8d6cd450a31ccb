package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// Retry has a patch that waits for an operator try once more to bring the
// container in line with the record. It returns as soon as the run has taken the
// decision, not when the try has ended. Who decided and why stands in the audit
// row of the patch.
//
// It returns [patch.ErrNotFound] when no patch has the id, [patch.ErrClosed]
// when it has ended, [patch.ErrNotInDoubt] when it is open and waits for nobody,
// also because another operator has just decided, [patch.ErrPaused] when its run
// is paused, and a [*patch.Refusal]: with
// invalid_request when command cannot be recorded, with service_unavailable when
// the run gave no answer within bounded time, such as when no worker is up.
//
// A decision that got no answer may still be taken: Temporal holds it for the
// next worker, though not over a restart of its own. To decide again is safe.
// Each call is an update of its own, and a run takes one decision for each time
// that it waits. The update's id is not made from the command, because the same
// person may well decide the same once more after a try that failed, and would
// be told of success when Temporal found the decision of before.
func (s *Starter) Retry(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error) {
	return s.command(ctx, patchID, workflows.RetryUpdate, command)
}

// Abandon ends a patch that waits for an operator, and leaves the difference
// between container and record as it is. What it returns, and what is to be said
// of a decision without an answer, is as for [Starter.Retry].
func (s *Starter) Abandon(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error) {
	return s.command(ctx, patchID, workflows.AbandonUpdate, command)
}

func (s *Starter) command(ctx context.Context, patchID, update string, command patch.Command) (patch.Handle, error) {
	if err := command.Validate(); err != nil {
		return patch.Handle{}, err
	}
	open, err := s.openRun(ctx, patchID)
	if err != nil {
		return patch.Handle{}, err
	}
	if !open.inDoubt() {
		return patch.Handle{}, patch.ErrNotInDoubt
	}
	return s.decide(ctx, open, decision{update: update, command: command})
}

// decision is what a run that waits for an operator is told.
type decision struct {
	update string
	// id is that of the update; two with one id are one. The SDK makes one up
	// for an empty one.
	id      string
	command patch.Command
}

// decidePatience bounds the wait for a run's answer to a decision. A worker that
// is up answers in milliseconds. After five seconds Temporal takes the task back
// from a worker that has just gone and gives it to another one, which is waited
// for. It is shorter than a caller waits for a start, so that the caller gets to
// hear the reason.
const decidePatience = 6 * time.Second

// decide delivers a decision to a run that waits for an operator, and returns
// the handle of the run that took it. Its errors are those of [Starter.Retry];
// command has been checked.
func (s *Starter) decide(ctx context.Context, open described, d decision) (patch.Handle, error) {
	if open.paused() {
		// Temporal would refuse it, in words that callers are not told.
		return patch.Handle{}, patch.ErrPaused
	}
	patient, cancel := context.WithTimeout(ctx, decidePatience)
	defer cancel()
	answer, err := s.client.UpdateWorkflow(patient, client.UpdateWorkflowOptions{
		UpdateID:   d.id,
		WorkflowID: open.handle.WorkflowID,
		// In place of the run's own id, so that a patch that was reset a moment ago
		// says itself whether it is in doubt, and no later patch of the game is
		// asked.
		FirstExecutionRunID: open.firstRunID,
		UpdateName:          d.update,
		Args:                []any{d.command},
		WaitForStage:        client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		// What the run says of itself is not needed.
		err = answer.Get(patient, nil)
	}
	if err != nil {
		return patch.Handle{}, s.undecided(ctx, patient, d, err)
	}
	handle := open.handle
	handle.RunID = answer.RunID()
	return handle, nil
}

// undecided tells why a decision was not taken.
func (s *Starter) undecided(ctx, patient context.Context, d decision, err error) error {
	var notFound *serviceerror.NotFound
	var rejected *temporal.ApplicationError
	// Temporal knows the deadline as well, and may be ahead of our own clock.
	var ended *client.WorkflowUpdateServiceTimeoutOrCanceledError
	switch {
	case errors.As(err, &notFound):
		return patch.ErrClosed
	case errors.As(err, &rejected):
		return rejection(rejected)
	case ctx.Err() == nil && (patient.Err() != nil || errors.As(err, &ended)):
		return &patch.Refusal{
			Code: patch.CodeServiceUnavailable,
			Message: fmt.Sprintf("cannot %s the patch: its run has not answered within %s, so that no worker may be up; "+
				"the decision may still be taken", d.update, decidePatience),
		}
	default:
		return unavailable(ctx, d.update+" the patch", err)
	}
}

// The types of a run's "no" that mean something else than that it waits for
// nobody.
const (
	// refusedCommand is how the SDK names the error of a run that holds commands to
	// other bounds than we do, as during a deployment.
	refusedCommand = "Refusal"
	// closedMeanwhile is how Temporal names the end of a run that had accepted the
	// decision and was terminated in that moment.
	closedMeanwhile = "AcceptedUpdateCompletedWorkflow"
)

func rejection(rejected *temporal.ApplicationError) error {
	switch rejected.Type() {
	case refusedCommand:
		return &patch.Refusal{Code: patch.CodeInvalidRequest, Message: "the run refuses the command: " + rejected.Message()}
	case closedMeanwhile:
		return patch.ErrClosed
	default:
		return patch.ErrNotInDoubt
	}
}
