package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/patch"
)

// compensate brings container and row back together and returns the failure as
// it stands after that; nil when the patch turned out to have been done. When
// it cannot, the run stays open until an operator says what to do.
func (r *run) compensate(ctx workflow.Context, failure *patch.Refusal) *patch.Refusal {
	// A cancelled run has to be compensated as well.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	for {
		undo, refusal := r.restore(ctx)
		if refusal != nil {
			undo = r.awaitOperator(ctx)
			if undo == nil {
				continue
			}
		}
		r.operator.sign(undo)
		r.result.Undo = undo
		return patch.Conclude(failure, r.plan, r.recording, undo)
	}
}

// restore tries the undo once, for its whole budget.
func (r *run) restore(ctx workflow.Context) (*patch.Undo, *patch.Refusal) {
	r.enter(patch.PhaseCompensating)
	var restored activities.RestoreContainerResult
	ctx = undoOptions(ctx, r.budgets.Undo, "bring the container in line with the record")
	err := r.execute(ctx, "RestoreContainer", r.steps.RestoreContainer, activities.RestoreContainerInput{
		GameID: r.request.GameID, IdempotencyKey: r.key(patch.DirectionRestore),
	}, &restored)
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	r.succeeded(restored.Attempt)
	return &restored.Undo, nil
}

// awaitOperator holds the game until an operator has decided: nil means to try
// again.
func (r *run) awaitOperator(ctx workflow.Context) *patch.Undo {
	r.enter(patch.PhaseNeedsOperator)
	r.upsertOutcome(ctx, OutcomeNeedsOperator)
	workflow.SetCurrentDetails(ctx, fmt.Sprintf(
		"The container of `%s` could not be brought in line with its record: %s\n\n"+
			"- Update `retry` tries again for %s.\n"+
			"- Update `abandon` ends the run and leaves the difference.\n\nBoth want a `reason`.",
		r.request.GameID, r.state.LastError, r.budgets.Undo.String()))
	verdict := r.operator.await(ctx)
	workflow.SetCurrentDetails(ctx, "")
	if verdict == AbandonUpdate {
		return &patch.Undo{Line: patch.LineAbandoned}
	}
	return nil
}

// operator is what the run hears from the person who decides about it.
type operator struct {
	verdict string
	command patch.Command
}

// listen registers the updates by which an operator decides.
func (o *operator) listen(ctx workflow.Context, r *run) error {
	for _, update := range []struct{ name, description string }{
		{RetryUpdate, "Try again to bring the container in line with the record. Takes {actor, reason}; only while the patch needs an operator."},
		{AbandonUpdate, "End the patch and leave container and record as they are. Takes {actor, reason}; only while the patch needs an operator."},
	} {
		decide := func(_ workflow.Context, command patch.Command) (patch.State, error) {
			o.verdict, o.command = update.name, command
			return r.state, nil
		}
		err := workflow.SetUpdateHandlerWithOptions(ctx, update.name, decide, workflow.UpdateHandlerOptions{
			Description: update.description,
			Validator: func(command patch.Command) error {
				if r.state.Phase != patch.PhaseNeedsOperator || o.verdict != "" {
					return fmt.Errorf("the patch is in phase %q and needs no operator", r.state.Phase)
				}
				return command.Validate()
			},
		})
		if err != nil {
			return fmt.Errorf("set update handler %q: %w", update.name, err)
		}
	}
	return nil
}

// await blocks until a verdict is there, and takes it.
func (o *operator) await(ctx workflow.Context) string {
	// The context is disconnected and the condition is a plain field, so Await
	// can only return nil.
	_ = workflow.Await(ctx, func() bool { return o.verdict != "" })
	verdict := o.verdict
	o.verdict = ""
	return verdict
}

// sign puts the latest command's author into the undo; nothing without one.
func (o *operator) sign(undo *patch.Undo) {
	undo.By, undo.Reason = o.command.Actor, o.command.Reason
}
