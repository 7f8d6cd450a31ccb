package workflows

import (
	"errors"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// execute runs one step and keeps what the query answers and the page tells.
func (r *run) execute(ctx workflow.Context, name string, step, input, output any) error {
	options := workflow.GetActivityOptions(ctx)
	r.begin(ctx, name, options.Summary, options.ScheduleToCloseTimeout)
	err := workflow.ExecuteActivity(ctx, step, input).Get(ctx, output)
	r.page.End(workflow.Now(ctx))
	return err
}

func (r *run) enter(phase patch.Phase) { r.page.State.Phase, r.page.State.Step = phase, "" }

func (r *run) succeeded(attempts int) { r.page.Tried(attempts, "") }

// failed reads the code out of a step's error, and keeps it for the query.
func (r *run) failed(ctx workflow.Context, err error) *patch.Refusal {
	refusal, attempts := refusalOf(err)
	if ctx.Err() != nil && refusal.Code.Closing() != patch.ClosesCompleted {
		// A dead worker answers a cancellation with a timeout. A verdict stands: the
		// audit row may have been written with it before the cancellation came.
		refusal = cancelled()
	}
	r.page.State.Code, r.page.State.LastError = refusal.Code, refusal.Message
	r.page.Tried(attempts, refusal.Error())
	return refusal
}

// detailsOf returns the details of a step's failure; the zero value, which says
// nothing, for a step that was cancelled or timed out.
func detailsOf(err error) (details activities.FailureDetails) {
	var application *temporal.ApplicationError
	if errors.As(err, &application) && application.HasDetails() {
		// Details of another shape leave the zero value.
		_ = application.Details(&details)
	}
	return details
}

// refusalOf turns the error of a step into the code and message that it stands
// for, and the attempts that it took as far as they are known. Only the type
// of an ApplicationError crosses from an activity, so an unknown one is an
// internal error.
func refusalOf(err error) (refusal *patch.Refusal, attempts int) {
	var application *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case temporal.IsCanceledError(err):
		return cancelled(), 0
	case errors.As(err, &application):
		return applicationRefusal(application)
	case untried(err):
		return &patch.Refusal{Code: patch.CodeServiceUnavailable, Message: noSlot}, 0
	case errors.As(err, &timeout):
		return &patch.Refusal{
			Code: patch.CodeServiceUnavailable, Message: "no answer within its time (" + timeout.TimeoutType().String() + ")",
		}, 0
	default:
		return &patch.Refusal{Code: patch.CodeInternalError, Message: "unexpected error of a step"}, 0
	}
}

func applicationRefusal(application *temporal.ApplicationError) (*patch.Refusal, int) {
	details := detailsOf(application)
	code := patch.Code(application.Type())
	if !code.IsKnown() {
		return &patch.Refusal{Code: patch.CodeInternalError, Message: "a step failed with an unknown type of error"}, details.Attempt
	}
	return &patch.Refusal{Code: code, Message: application.Message(), Field: details.Field}, details.Attempt
}

func cancelled() *patch.Refusal {
	return &patch.Refusal{Code: patch.CodeCancelled, Message: "cancelled before the record was changed"}
}

// audit settles the result and writes its row; the run does not close without
// it.
func (r *run) audit(ctx workflow.Context, failure *patch.Refusal) {
	r.enter(patch.PhaseAuditing)
	// A cancelled run leaves its row as well.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	r.settle(ctx, failure)
	defer func() {
		r.attribute(ctx, attributes{outcome: string(r.result.Outcome), phase: string(patch.PhaseDone), code: r.result.Code})
	}()
	if strings.TrimSpace(r.request.GameID) == "" {
		// A row about no game adds nothing; the specification leaves it out.
		return
	}
	var appended activities.AppendOperationLogResult
	// In the task that closes the run: a run that is reset to its last task leaves
	// a row of its own.
	err := r.inTask(auditOptions(ctx, "append the audit row"), "AppendOperationLog", r.steps.AppendOperationLog,
		activities.AppendOperationLogInput{
			Entry: patch.Entry(r.request, r.result), FirstRunID: r.firstRunID, MovedBy: r.record.RunID,
		}, &appended)
	if err != nil {
		// Only a row that the store can never take gets here. The run closes as
		// Failed, so that a person looks.
		refusal := r.failed(ctx, err)
		ended := string(r.result.Outcome)
		if r.result.Code != "" {
			ended = string(r.result.Code)
		}
		r.result.Outcome, r.result.Code = operation.OutcomeFailure, patch.CodeInternalError
		r.result.Message = "the patch ended with " + ended + ", but its audit row could not be written: " + refusal.Message
		r.result.Runtime = nil
		return
	}
	r.succeeded(appended.Attempt)
	r.result.Noop = r.result.Noop || appended.Told
	if appended.Stands != nil {
		r.stand(*appended.Stands)
	}
}

// stand has the run end as its audit row tells: a task that was lost had come to
// that, and the record went on meanwhile.
func (r *run) stand(told operation.OperationEntry) {
	r.result = r.result.AsTold(told)
	r.result.Runtime = r.rotated()
	r.failing = r.result.Code
	r.page.State.Code, r.page.State.LastError = r.result.Code, r.result.Message
}

// settle writes down how the run ended.
func (r *run) settle(ctx workflow.Context, failure *patch.Refusal) {
	r.result.FinishedAt = workflow.Now(ctx).UTC()
	if failure == nil {
		r.result.Outcome = operation.OutcomeSuccess
		r.result.Runtime = r.rotated()
		if r.result.Undo != nil {
			r.result.Runtime.Status = r.result.Undo.RowStatus
		}
		r.page.State.Code, r.page.State.LastError, r.page.Because, r.failing = "", "", "", ""
		return
	}
	r.result.Outcome = operation.OutcomeFailure
	r.result.Code, r.result.Message, r.result.Field = failure.Code, failure.Message, failure.Field
	r.failing = failure.Code
	r.result.Noop = false
	r.page.State.Code, r.page.State.LastError = failure.Code, failure.Message
}

// rotated is the record as the run has it after its rotation: one whose answer
// was lost was found, not read.
func (r *run) rotated() *runtime.RuntimeRecord {
	record := r.record.Record
	record.CurrentImageRef, record.CurrentEngineVersion = r.result.To.ImageRef, r.result.To.Version
	return &record
}

// close ends the run the way its code says.
func (r *run) close(ctx workflow.Context) (patch.Result, error) {
	r.enter(patch.PhaseDone)
	r.page.Result = &r.result
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	r.show(disconnected)
	// An operator's update that is being answered would be lost.
	_ = workflow.Await(disconnected, func() bool { return workflow.AllHandlersFinished(disconnected) })
	switch r.result.Code.Closing() {
	case patch.ClosesCanceled:
		return r.result, temporal.NewCanceledError(r.result)
	case patch.ClosesFailed:
		return r.result, temporal.NewApplicationErrorWithOptions(r.result.Message, string(r.result.Code),
			temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{r.result}})
	default:
		return r.result, nil
	}
}
