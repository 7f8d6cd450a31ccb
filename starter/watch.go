package starter

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/durationpb"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

const (
	// jitterPart is the part of the interval by which passes are put off at random,
	// so that those of several installations do not meet at one Runtime Manager.
	jitterPart = 10

	// catchupWindow is how late a pass may begin after Temporal was away: a later
	// one is as good as the next.
	catchupWindow = time.Minute

	// passTimeout ends a pass that hangs, which would keep all later ones from
	// starting: 100,000 records take minutes.
	passTimeout = time.Hour

	// ensureTries bounds the race against others who change the schedule, and
	// ensureWait is between two tries.
	ensureTries = 5
	ensureWait  = 200 * time.Millisecond
)

// watchNote is what the schedule tells who looks at it first.
const watchNote = "Kept by `gamemaster worker`. Pause it here: it stays paused. " +
	"GAMEMASTER_WATCH_INTERVAL and GAMEMASTER_WATCH_HEAL say the rest."

// passDetails is what the page of every pass tells who looks at it first.
const passDetails = "One pass of the watch: it compares every record with its container, keeps what differs (`gamemaster drift`), " +
	"writes the audit rows of runs that were terminated, and, when it is told to heal, starts reconciliations. " +
	"It changes no record and no container itself. Pause the schedule to have no passes."

// WatchOptions say when the watch makes its passes and what they do.
type WatchOptions struct {
	// Namespace is the client's own; empty means the default one.
	Namespace string
	// TaskQueue is where the workers poll; empty means [workflows.TaskQueue].
	TaskQueue string
	// Interval is from one pass to the next; zero wants none.
	Interval time.Duration
	// Heal and Budgets are as in [workflows.WatchInput].
	Heal    patch.Mode
	Budgets patch.Budgets
}

// WatchID returns the ID of the schedule whose passes run on taskQueue, and of
// the passes: two installations in one namespace have one each.
func WatchID(taskQueue string) string {
	const id = "reconcile-runtimes"
	if taskQueue = cmp.Or(taskQueue, workflows.TaskQueue); taskQueue != workflows.TaskQueue {
		return id + "-" + taskQueue
	}
	return id
}

// EnsureWatch makes the schedule of the watch what options say: it is created,
// changed, left alone when it is so already, or deleted when the interval is
// zero. A pass that is under way goes on as it began. A schedule that somebody
// has paused stays paused, with the note; one that somebody has deleted is made
// anew. Several processes may do so at once, and the last of those that want
// different things has its way.
//
// It returns an error that says what Temporal answered; trying again is safe.
func EnsureWatch(ctx context.Context, temporal client.Client, options WatchOptions) error {
	options.TaskQueue = cmp.Or(options.TaskQueue, workflows.TaskQueue)
	options.Namespace = cmp.Or(options.Namespace, client.DefaultNamespace)
	wanted, err := wantedSchedule(options)
	if err != nil {
		return fmt.Errorf("ensure the watch: %w", err)
	}
	k := keeper{service: temporal.WorkflowService(), namespace: options.Namespace, id: WatchID(options.TaskQueue)}
	return k.keep(ctx, wanted, options.Interval > 0)
}

// keep brings the schedule about, unless others keep changing it.
func (k keeper) keep(ctx context.Context, wanted *schedulepb.Schedule, exists bool) error {
	for range ensureTries {
		settled, err := k.bringAbout(ctx, wanted, exists)
		if err != nil {
			return fmt.Errorf("ensure schedule %q: %w", k.id, err)
		}
		if settled {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ensure schedule %q: %w", k.id, ctx.Err())
		case <-time.After(ensureWait):
		}
	}
	return fmt.Errorf("ensure schedule %q: somebody else keeps changing it", k.id)
}

// keeper keeps one schedule.
type keeper struct {
	// service, and not the SDK's own client of schedules, whose update cannot say
	// which state it was made for: it would undo a pause that came in between.
	service       workflowservice.WorkflowServiceClient
	namespace, id string
}

// bringAbout looks at the schedule and does one thing about it; settled says
// that there was nothing to do, or nothing is left to be looked at.
func (k keeper) bringAbout(ctx context.Context, wanted *schedulepb.Schedule, exists bool) (settled bool, err error) {
	found, err := k.service.DescribeSchedule(ctx, &workflowservice.DescribeScheduleRequest{Namespace: k.namespace, ScheduleId: k.id})
	var notFound *serviceerror.NotFound
	switch {
	case errors.As(err, &notFound):
		if !exists {
			return true, nil
		}
		return k.create(ctx, wanted)
	case err != nil:
		return false, err
	case !exists:
		return k.remove(ctx)
	case faceOf(found.GetSchedule()) == faceOf(wanted):
		return true, nil
	}
	return false, k.update(ctx, wanted, found)
}

func (k keeper) create(ctx context.Context, wanted *schedulepb.Schedule) (settled bool, err error) {
	_, err = k.service.CreateSchedule(ctx, &workflowservice.CreateScheduleRequest{
		Namespace: k.namespace, ScheduleId: k.id, Schedule: wanted, RequestId: rand.Text(),
	})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	var exists *serviceerror.AlreadyExists
	if errors.As(err, &started) || errors.As(err, &exists) {
		// Another process was quicker, and may have wanted something else.
		return false, nil
	}
	return true, err
}

func (k keeper) remove(ctx context.Context) (settled bool, err error) {
	_, err = k.service.DeleteSchedule(ctx, &workflowservice.DeleteScheduleRequest{Namespace: k.namespace, ScheduleId: k.id})
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		err = nil
	}
	return true, err
}

// update changes all but the state, which has the operator's pause and note. The
// token has Temporal drop the change when the schedule is another by then;
// some versions do so without a word, so that it is looked at again.
func (k keeper) update(ctx context.Context, wanted *schedulepb.Schedule, found *workflowservice.DescribeScheduleResponse) error {
	_, err := k.service.UpdateSchedule(ctx, &workflowservice.UpdateScheduleRequest{
		Namespace: k.namespace, ScheduleId: k.id, ConflictToken: found.GetConflictToken(), RequestId: rand.Text(),
		Schedule: &schedulepb.Schedule{
			Spec: wanted.GetSpec(), Action: wanted.GetAction(), Policies: wanted.GetPolicies(),
			State: found.GetSchedule().GetState(),
		},
	})
	var conflict *serviceerror.FailedPrecondition
	if errors.As(err, &conflict) {
		return nil
	}
	return err
}

// wantedSchedule is the schedule as options say.
func wantedSchedule(options WatchOptions) (*schedulepb.Schedule, error) {
	return passes{
		interval: options.Interval, taskQueue: options.TaskQueue, id: WatchID(options.TaskQueue),
		workflow: workflows.ReconcileRuntimesType, input: workflows.WatchInput{Heal: options.Heal, Budgets: options.Budgets},
		summary: "watch: compare all records with their containers", note: watchNote,
	}.schedule()
}

// passes are what a schedule of ours starts, one after the other.
type passes struct {
	interval                time.Duration
	taskQueue, id, workflow string
	input                   any
	summary, note           string
}

func (p passes) schedule() (*schedulepb.Schedule, error) {
	input, err := converter.GetDefaultDataConverter().ToPayloads(p.input)
	if err != nil {
		return nil, err
	}
	summary, err := converter.GetDefaultDataConverter().ToPayload(p.summary)
	if err != nil {
		return nil, err
	}
	details, err := converter.GetDefaultDataConverter().ToPayload(passDetails)
	if err != nil {
		return nil, err
	}
	return &schedulepb.Schedule{
		Spec: &schedulepb.ScheduleSpec{
			Interval: []*schedulepb.IntervalSpec{{Interval: durationpb.New(p.interval)}},
			Jitter:   durationpb.New(p.interval / jitterPart),
		},
		Action: &schedulepb.ScheduleAction{Action: &schedulepb.ScheduleAction_StartWorkflow{
			StartWorkflow: &workflowpb.NewWorkflowExecutionInfo{
				// Temporal puts the time of the pass behind it.
				WorkflowId:               p.id,
				WorkflowType:             &commonpb.WorkflowType{Name: p.workflow},
				TaskQueue:                &taskqueuepb.TaskQueue{Name: p.taskQueue, Kind: enumspb.TASK_QUEUE_KIND_NORMAL},
				Input:                    input,
				WorkflowExecutionTimeout: durationpb.New(passTimeout),
				UserMetadata:             &sdkpb.UserMetadata{Summary: summary, Details: details},
			},
		}},
		Policies: &schedulepb.SchedulePolicies{
			// A pass that takes longer than the interval is worth more than a second
			// one beside it.
			OverlapPolicy: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
			CatchupWindow: durationpb.New(catchupWindow),
		},
		State: &schedulepb.ScheduleState{Notes: p.note},
	}, nil
}

// face is what two schedules are compared by: what options say, and not what
// Temporal fills in.
type face struct {
	interval, jitter, catchup, timeout               time.Duration
	overlap                                          enumspb.ScheduleOverlapPolicy
	id, workflow, taskQueue, input, summary, details string
	// others counts what is there besides the one interval.
	others int
}

func faceOf(schedule *schedulepb.Schedule) face {
	spec, action, policies := schedule.GetSpec(), schedule.GetAction().GetStartWorkflow(), schedule.GetPolicies()
	f := face{
		jitter: spec.GetJitter().AsDuration(), catchup: policies.GetCatchupWindow().AsDuration(),
		timeout: action.GetWorkflowExecutionTimeout().AsDuration(), overlap: policies.GetOverlapPolicy(),
		id: action.GetWorkflowId(), workflow: action.GetWorkflowType().GetName(), taskQueue: action.GetTaskQueue().GetName(),
		summary: string(action.GetUserMetadata().GetSummary().GetData()),
		details: string(action.GetUserMetadata().GetDetails().GetData()),
		others: len(spec.GetStructuredCalendar()) + len(spec.GetCalendar()) + len(spec.GetCronString()) +
			len(spec.GetExcludeStructuredCalendar()),
	}
	for i, interval := range spec.GetInterval() {
		if i > 0 || interval.GetPhase().AsDuration() != 0 {
			f.others++
		}
		f.interval = interval.GetInterval().AsDuration()
	}
	for _, payload := range action.GetInput().GetPayloads() {
		f.input += string(payload.GetData())
	}
	return f
}
