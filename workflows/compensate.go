package workflows

import (
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
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
	r.page.Because, r.failing = failure.Error(), failure.Code
	var first patch.Undo
	for round := 1; ; round++ {
		restored, err := r.restore(ctx, round)
		switch {
		case err == nil && r.unsettled && restored.Undo.Fence == 0:
			r.settleDown(ctx)
			first = restored.Undo
		case err == nil:
			r.result.Undo = new(patch.Settled(first, restored.Undo))
			r.result.Undo.Decisions, r.result.Undo.Decided = r.operator.taken.Decisions, r.operator.taken.Decided
			if restored.Stands {
				return nil
			}
			return failure
		case untried(err):
			// No worker was there for the whole budget: nobody has tried yet.
		case r.awaitOperator(ctx) == AbandonUpdate:
			r.result.Undo = &patch.Undo{
				Line: patch.LineAbandoned, Decisions: r.operator.taken.Decisions, Decided: r.operator.taken.Decided,
			}
			return patch.Abandoned(failure)
		}
	}
}

// settleDown waits until a recreate that was given up on would have landed, for
// a Runtime Manager that cannot be told to refuse it: row and container are
// looked at once more after that.
func (r *run) settleDown(ctx workflow.Context) {
	const late = "a recreate that was given up on may still land"
	r.unsettled = false
	r.begin(ctx, "", late, time.Duration(r.budgets.Settle))
	timer := workflow.NewTimerWithOptions(ctx, time.Duration(r.budgets.Settle), workflow.TimerOptions{Summary: late})
	// The context is disconnected, so the timer fires.
	_ = timer.Get(ctx, nil)
}

// untried reports whether a step ended without any attempt at it.
func untried(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) &&
		timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START && timeout.Unwrap() == nil
}

// restore tries the undo once, for its whole budget.
func (r *run) restore(ctx workflow.Context, round int) (restored activities.RestoreContainerResult, err error) {
	r.enter(patch.PhaseCompensating)
	r.attribute(ctx, r.atPhase(OutcomeOpen))
	fence, err := r.takeFence(ctx, r.budgets.Undo)
	if err != nil {
		_ = r.failed(ctx, err) // for the query; the error itself decides
		return restored, err
	}
	ctx = undoOptions(ctx, r.budgets.Undo, "bring the container in line with the record")
	err = r.execute(ctx, "RestoreContainer", r.steps.RestoreContainer, activities.RestoreContainerInput{
		GameID: r.request.GameID, IdempotencyKey: r.key(patch.DirectionRestore, round), Fence: fence,
		FirstRunID: r.firstRunID, Plan: r.plan, Untouched: r.untouched, Refused: r.refused, RotationTried: r.recording,
	}, &restored)
	if err != nil {
		_ = r.failed(ctx, err) // for the query; the error itself decides
		return restored, err
	}
	r.succeeded(restored.Attempt)
	return restored, nil
}

// awaitOperator holds the game until an operator has decided, and returns the
// update that told so.
func (r *run) awaitOperator(ctx workflow.Context) string {
	r.enter(patch.PhaseNeedsOperator)
	r.attribute(ctx, r.atPhase(OutcomeNeedsOperator))
	attempts := r.page.State.Attempts
	r.begin(ctx, "", "an operator's decision: retry or abandon", 0)
	// Those of the undo, which the query goes on to tell.
	r.page.State.Attempts = attempts
	return r.operator.await(ctx)
}

// operator is what the run hears from the person who decides about it.
type operator struct {
	// taken has the decisions so far, and last the update of the latest; retries
	// counts those that let the run try again. awaited says that it waits for one.
	taken   patch.Undo
	last    string
	retries int
	awaited bool
}

// What the UI's form says of the two updates.
const (
	decisionInput = `Input: {"actor":"your name","reason":"why"}; both are required and go into the audit log. ` +
		`It is taken only while the phase is needs_operator, and refused otherwise without any effect. It answers the state. `
	retryDescription = `Try again. ` + decisionInput +
		`Effect: the record is read again and the container made to follow it, for the whole undo budget; then the run ends as the failure that it is, ` +
		`or waits for an operator again. Safe at any time: a container that is in line is not recreated.`
	abandonDescription = `Give up. ` + decisionInput +
		`Effect: the run ends as Failed with service_unavailable; container and record stay as they are and may differ, and the game is free for other patches.`
)

// listen registers the updates by which an operator decides.
func (o *operator) listen(ctx workflow.Context, r *run) error {
	for _, update := range []struct{ name, description string }{
		{RetryUpdate, retryDescription},
		{AbandonUpdate, abandonDescription},
	} {
		decide := func(_ workflow.Context, command patch.Command) (patch.State, error) {
			o.take(patch.Decision{Update: update.name, Command: command})
			return r.page.State, nil
		}
		err := workflow.SetUpdateHandlerWithOptions(ctx, update.name, decide, workflow.UpdateHandlerOptions{
			Description: update.description,
			Validator: func(command patch.Command) error {
				switch {
				case r.page.State.Phase != patch.PhaseNeedsOperator:
					return fmt.Errorf("the patch is in phase %q and needs no operator", r.page.State.Phase)
				case !o.awaited:
					return errors.New("another operator has just decided")
				case update.name == RetryUpdate && o.retries >= patch.MaxRetries:
					return fmt.Errorf("the patch was retried %d times, abandon it", o.retries)
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

func (o *operator) take(decision patch.Decision) {
	o.taken.Take(decision)
	o.last, o.awaited = decision.Update, false
	if decision.Update == RetryUpdate {
		o.retries++
	}
}

// await blocks until there is a decision, and returns its update.
func (o *operator) await(ctx workflow.Context) string {
	o.awaited = true
	// The context is disconnected and the condition is a plain field, so Await
	// can only return nil.
	_ = workflow.Await(ctx, func() bool { return !o.awaited })
	return o.last
}
