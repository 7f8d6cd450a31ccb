package workerfault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// gameWorkflow is what the workflow ID of a game's patches begins with; the rest
// is the game's id. It is the product's own rule, see patch.WorkflowID.
const gameWorkflow = "patch-runtime/"

// Files are what an interceptor works with. Processes that share the journal
// share the counts of the faults.
type Files struct {
	// Plan has the faults; see [WritePlan] and [AddFaults].
	Plan string
	// Journal gets what has fired; see [ReadJournal]. It is made when missing.
	Journal string
}

// New returns the interceptor of a worker. It fails when the plan cannot be
// read: a drill without its faults would prove nothing. A plan that becomes
// unreadable later fails every step and every workflow task with the reason.
func New(files Files) (interceptor.WorkerInterceptor, error) {
	if files.Journal == "" {
		return nil, errors.New("workerfault: the journal has no name")
	}
	if _, err := readPlan(files.Plan); err != nil {
		return nil, err
	}
	return &faults{files: files}, nil
}

type faults struct {
	interceptor.WorkerInterceptorBase
	files Files
}

// event is a moment at which faults fire.
type event struct {
	modes    []Mode
	activity string
	attempt  int32
	local    bool
	run      workflow.Execution
	gameID   string
	failed   bool
}

func newEvent(modes []Mode, run workflow.Execution) event {
	e := event{modes: modes, run: run}
	if gameID, ok := strings.CutPrefix(run.ID, gameWorkflow); ok {
		e.gameID = gameID
	}
	return e
}

// meet returns the first fault of the plan that concerns the event and is not
// used up, after it was entered into the journal.
func (f *faults) meet(e event) (fault Fault, met bool, err error) {
	plan, err := readPlan(f.files.Plan)
	if err != nil {
		return Fault{}, false, err
	}
	for _, fault := range plan {
		if !fault.meets(e) {
			continue
		}
		fired, err := fire(f.files.Journal, Entry{
			Fault: fault.Name, Mode: fault.Mode, PID: os.Getpid(),
			Activity: e.activity, Attempt: e.attempt, Local: e.local,
			WorkflowID: e.run.ID, RunID: e.run.RunID, GameID: e.gameID,
			StepFailed: e.failed, Time: time.Now().UTC(),
		}, fault.Times)
		if fired || err != nil {
			return fault, fired, err
		}
	}
	return Fault{}, false, nil
}

// InterceptActivity implements [interceptor.WorkerInterceptor].
func (f *faults) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	attempt := &step{faults: f}
	attempt.Next = next
	return attempt
}

// step is one attempt of a regular or local activity.
type step struct {
	interceptor.ActivityInboundInterceptorBase
	faults *faults
}

// ExecuteActivity runs the step, with what happens to it before and after.
func (s *step) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	e := newEvent(beforeStep, info.WorkflowExecution)
	e.activity, e.attempt, e.local = info.ActivityType.Name, info.Attempt, info.IsLocalActivity
	fault, met, err := s.faults.meet(e)
	if err != nil {
		return nil, err
	}
	if met {
		switch fault.Mode {
		case KillBefore:
			kill()
		case StopBefore:
			stop()
		case ErrorBefore:
			return nil, told(fault)
		case HangBefore:
			<-ctx.Done()
			return nil, ctx.Err()
		default:
		}
	}
	result, failure := s.Next.ExecuteActivity(ctx, in)
	e.modes, e.failed = afterStep, failure != nil
	fault, met, err = s.faults.meet(e)
	if err != nil {
		return nil, err
	}
	if !met {
		return result, failure
	}
	switch fault.Mode {
	case KillAfter:
		kill()
	case StopAfter:
		stop()
	case ToldError:
		return nil, told(fault)
	case Silent:
		if e.local {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		// To the SDK, somebody else is going to answer.
		return nil, activity.ErrResultPending
	default:
	}
	return result, failure
}

// told is the error that a step answers instead of its own.
func told(fault Fault) error {
	text := fmt.Sprintf("injected by fault %q", fault.Name)
	if fault.Code == "" {
		return errors.New(text)
	}
	return temporal.NewApplicationError(text, fault.Code)
}

// InterceptWorkflow implements [interceptor.WorkerInterceptor].
func (f *faults) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	inbound := &run{faults: f}
	inbound.Next = next
	return inbound
}

// run is one run of a workflow in this process.
type run struct {
	interceptor.WorkflowInboundInterceptorBase
	faults *faults
}

// Init puts decisions under what decides.
func (r *run) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	under := &decisions{faults: r.faults}
	under.Next = outbound
	return r.Next.Init(under)
}

// ExecuteWorkflow runs the workflow, with what happens to it at its end.
func (r *run) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := r.Next.ExecuteWorkflow(ctx, in)
	r.faults.decide(ctx, atClose, "")
	return result, err
}

// decisions are what a run asks to be done.
type decisions struct {
	interceptor.WorkflowOutboundInterceptorBase
	faults *faults
}

// ExecuteActivity asks for a regular activity.
func (d *decisions) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	d.faults.decide(ctx, inTask, activityType)
	return d.Next.ExecuteActivity(ctx, activityType, args...)
}

// ExecuteLocalActivity asks for a local one.
func (d *decisions) ExecuteLocalActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	d.faults.decide(ctx, inTask, activityType)
	return d.Next.ExecuteLocalActivity(ctx, activityType, args...)
}

// decide kills the process if a fault waits for this decision of a run. Reading
// files in a workflow does no harm to it: nothing that is read changes what the
// workflow does, other than that nobody learns of it.
func (f *faults) decide(ctx workflow.Context, modes []Mode, activityType string) {
	if workflow.IsReplaying(ctx) {
		return
	}
	e := newEvent(modes, workflow.GetInfo(ctx).WorkflowExecution)
	e.activity = activityType
	_, met, err := f.meet(e)
	if err != nil {
		// Fails the task, with the reason in the history, until it is mended.
		panic(err)
	}
	if met {
		kill()
	}
}
