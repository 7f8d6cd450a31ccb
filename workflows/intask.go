package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/patch"
)

// atOnce runs a step on the store within the workflow task that asks for it, as
// a local activity: one event instead of six, and no hand-over between servers.
// So the step has to be one that may be done twice.
//
// It is run as a regular activity, with the options of ctx, when that came to
// nothing: a store that does not answer at once is waited for where an operator
// sees it, and a refusal is asked for again, because what a local activity
// answered stands in the history only when the task is through. A task that is
// lost, with its worker or to an event that came meanwhile, is done again, and
// could come to something else than an audit row that tells the refusal.
func (r *run) atOnce(ctx workflow.Context, name string, step, input, output any) error {
	options := workflow.GetActivityOptions(ctx)
	r.begin(ctx, name, options.Summary, options.ScheduleToCloseTimeout)
	err := local(ctx, taskAttempt, step, input, output)
	if err == nil || ctx.Err() != nil {
		r.page.End(workflow.Now(ctx))
		return err
	}
	return r.execute(ctx, name, step, input, output)
}

// local tries a step once within the workflow task.
func local(ctx workflow.Context, timeout time.Duration, step, input, output any) error {
	ctx = taskOptions(ctx, workflow.GetActivityOptions(ctx).Summary, timeout)
	return workflow.ExecuteLocalActivity(ctx, step, input).Get(ctx, output)
}

// takeFence takes the fencing number of the step that is scheduled next, in the
// same workflow task: no reset can lie between the two, so that a run which
// takes another's place never calls with the other's number, unless the store
// was too slow for the task each time.
func (r *run) takeFence(ctx workflow.Context, budget patch.Duration) (int64, error) {
	var taken activities.TakeFenceResult
	err := r.inTask(storeOptions(ctx, budget, "take a fencing number"), "TakeFence", r.steps.TakeFence,
		activities.TakeFenceInput{GameID: r.request.GameID}, &taken)
	return taken.Fence, err
}

// taskTries bounds how often a step is tried in the task while the store answers
// it only outside: a store that is that slow is not waited for with ever more
// history.
const taskTries = 3

// inTask runs a step on the store within the workflow task that goes on from it,
// also when the store answered it outside only: after a step that atOnce ran
// outside, a reset can lie between it and what follows. The step has to be one
// that may be done any number of times.
func (r *run) inTask(ctx workflow.Context, name string, step, input, output any) error {
	r.page.State.Step, r.page.State.Attempts = name, 0
	timeout := taskAttempt
	for range taskTries {
		err := local(ctx, timeout, step, input, output)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if r.page.State.Phase == patch.PhaseAuditing {
			r.attribute(ctx, r.atPhase(OutcomeOpen))
		}
		if err := r.execute(ctx, name, step, input, output); err != nil {
			return err
		}
		r.page.Uncounted()
		// It showed that the store answers, but is slow.
		timeout = storeAttempt
	}
	return nil
}
