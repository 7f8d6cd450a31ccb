package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/patch"
)

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

// inTask runs a step on the store within the workflow task that goes on from
// it, as a local activity. When the store does not answer at once, the step is
// waited for as a regular activity with the options of ctx, which an operator
// can see and pause; then it is run in the task all the same. So the step has to
// be one that may be done twice.
func (r *run) inTask(ctx workflow.Context, name string, step, input, output any) error {
	r.page.State.Step, r.page.State.Attempts = name, 0
	for try := range taskTries {
		local := taskOptions(ctx, workflow.GetActivityOptions(ctx).Summary, try > 0)
		err := workflow.ExecuteLocalActivity(local, step, input).Get(local, output)
		if err == nil || ctx.Err() != nil || isFinal(err) {
			return err
		}
		if r.page.State.Phase == patch.PhaseAuditing {
			r.attribute(ctx, r.atPhase(OutcomeOpen))
		}
		if err := r.execute(ctx, name, step, input, output); err != nil {
			return err
		}
		r.page.Uncounted()
	}
	return nil
}

// isFinal reports whether a step said that trying again cannot help.
func isFinal(err error) bool {
	var application *temporal.ApplicationError
	return errors.As(err, &application) && application.NonRetryable()
}
