package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/workflows"
)

func (d *doctor) temporalChecks() []check {
	return []check{
		{name: "temporal", look: d.reachTemporal, gate: true},
		{name: "namespace", look: d.namespace, gate: true},
		{name: "search attributes", look: d.searchAttributes},
		{name: "workflow workers", look: d.pollers(enumspb.TASK_QUEUE_TYPE_WORKFLOW)},
		{name: "activity workers", look: d.pollers(enumspb.TASK_QUEUE_TYPE_ACTIVITY)},
		{name: "watch", look: d.passes(starter.WatchID, "GAMEMASTER_WATCH_INTERVAL", &d.settings.WatchInterval)},
		{name: "export", look: d.passes(starter.ExportID, "GAMEMASTER_EXPORT_INTERVAL", &d.settings.ExportInterval)},
	}
}

func (d *doctor) reachTemporal(ctx context.Context) finding {
	const mend = "see that TEMPORAL_ADDRESS, TEMPORAL_TLS… and TEMPORAL_API_KEY name a Temporal that runs and can be reached from here"
	var err error
	if d.temporal, err = connectTemporal(d.environ, observers{logger: slog.New(slog.DiscardHandler)}); err != nil {
		return ill(mend, "%v", err)
	}
	if _, err := d.temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return ill(mend, "no answer from %s: %v", d.temporal.address, err)
	}
	return well("answers at %s", d.temporal.address)
}

func (d *doctor) namespace(ctx context.Context) finding {
	answer, err := d.temporal.WorkflowService().DescribeNamespace(ctx,
		&workflowservice.DescribeNamespaceRequest{Namespace: d.temporal.namespace})
	var missing *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &missing):
		return ill("run `temporal operator namespace create --namespace "+d.temporal.namespace+"`, or set TEMPORAL_NAMESPACE to another",
			"there is no namespace %q", d.temporal.namespace)
	case errors.As(err, &denied):
		return ill("give TEMPORAL_API_KEY or the client certificate the right to the namespace", "namespace %q: %v", d.temporal.namespace, err)
	case err != nil:
		return ill("look into the log of Temporal", "namespace %q: %v", d.temporal.namespace, err)
	}
	return well("%s, which keeps closed runs for %s", d.temporal.namespace,
		answer.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
}

// searchAttributes wants every attribute with its type: a start with one that
// the namespace does not know is refused.
func (d *doctor) searchAttributes(ctx context.Context) finding {
	known, err := d.temporal.OperatorService().ListSearchAttributes(ctx,
		&operatorservice.ListSearchAttributesRequest{Namespace: d.temporal.namespace})
	if err != nil {
		return ill("look into the log of Temporal", "list the search attributes: %v", err)
	}
	wanted := workflows.SearchAttributes()
	var absent, wrong, faults []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		found, ok := known.GetCustomAttributes()[name]
		switch {
		case !ok:
			faults = append(faults, name+" is missing")
			absent = append(absent, fmt.Sprintf("--name %s --type %s", name, wanted[name]))
		case found.String() != wanted[name]:
			faults = append(faults, fmt.Sprintf("%s is a %s, want %s", name, found, wanted[name]))
			wrong = append(wrong, "--name "+name)
		}
	}
	var mend string
	switch {
	case len(wrong) > 0:
		mend = "remove what has another type (`temporal operator search-attribute remove " + strings.Join(wrong, " ") +
			"`), or take another namespace, and look again"
	case len(absent) > 0:
		mend = "run `temporal operator search-attribute create --namespace " + d.temporal.namespace + " " + strings.Join(absent, " ") + "`"
	default:
		return well("%s", strings.Join(slices.Sorted(maps.Keys(wanted)), ", "))
	}
	return ill(mend, "%s", strings.Join(faults, ", "))
}

// pollerAge is how long ago a worker may have asked for work and still count. It
// asks anew every minute when there is none, and Temporal goes on listing one
// that is gone for five; half a minute more is for clocks and slow answers.
const pollerAge = 90 * time.Second

// shownPollers bounds the workers that are named.
const shownPollers = 3

// pollers sees who asks for work of one kind.
func (d *doctor) pollers(kind enumspb.TaskQueueType) func(context.Context) finding {
	return func(ctx context.Context) finding {
		answer, err := d.temporal.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: d.temporal.namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: d.settings.TaskQueue}, TaskQueueType: kind,
		})
		if err != nil {
			return ill("look into the log of Temporal", "task queue %q: %v", d.settings.TaskQueue, err)
		}
		polling := map[string]bool{}
		for _, poller := range answer.GetPollers() {
			if time.Since(poller.GetLastAccessTime().AsTime()) < pollerAge {
				polling[poller.GetIdentity()] = true
			}
		}
		if len(polling) == 0 {
			return ill("start `gamemaster worker`, with the same GAMEMASTER_TASK_QUEUE and TEMPORAL_NAMESPACE as the API",
				"nobody polls the task queue %q", d.settings.TaskQueue)
		}
		names := slices.Sorted(maps.Keys(polling))
		more := ""
		if len(names) > shownPollers {
			names, more = names[:shownPollers], ", …"
		}
		return well("%d on the task queue %q: %s%s", len(polling), d.settings.TaskQueue, strings.Join(names, ", "), more)
	}
}

// passes sees whether the passes of a schedule come and end well. The interval is
// read when it is looked at: the settings are not there before.
func (d *doctor) passes(idOf func(taskQueue string) string, variable string, interval *time.Duration) func(context.Context) finding {
	return func(ctx context.Context) finding {
		id := idOf(d.settings.TaskQueue)
		found, err := d.temporal.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
		var missing *serviceerror.NotFound
		switch {
		case errors.As(err, &missing) && *interval == 0:
			return well("none is wanted (%s is 0)", variable)
		case errors.As(err, &missing):
			return ill("start `gamemaster worker` anew, which keeps the schedule", "there is no schedule %q", id)
		case err != nil:
			return ill("look into the log of Temporal", "schedule %q: %v", id, err)
		case found.Schedule.State.Paused:
			return ill("run `temporal schedule toggle --unpause --schedule-id "+id+" --reason …`, or unpause it in the UI under Schedules",
				"schedule %q is paused: %s", id, found.Schedule.State.Note)
		}
		return d.lastPass(ctx, id, found)
	}
}

// lastPass sees how the last pass of a schedule came out.
func (d *doctor) lastPass(ctx context.Context, id string, found *client.ScheduleDescription) finding {
	recent := found.Info.RecentActions
	if len(recent) == 0 || recent[len(recent)-1].StartWorkflowResult == nil {
		return well("schedule %q, no pass has begun yet", id)
	}
	last := recent[len(recent)-1]
	began := last.ActualTime.UTC().Format(time.DateTime + "Z")
	run, err := d.temporal.DescribeWorkflowExecution(ctx, last.StartWorkflowResult.WorkflowID, last.StartWorkflowResult.FirstExecutionRunID)
	if err != nil {
		// It may be older than what the namespace keeps.
		return well("schedule %q, the last pass began %s", id, began)
	}
	switch status := run.GetWorkflowExecutionInfo().GetStatus(); status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED,
		enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
		return well("schedule %q, the last pass began %s: %s", id, began, status)
	default:
		return ill("read why in the UI, on the page of that run; as a rule Runtime Manager or Postgres does not answer",
			"the last pass, %s, began %s and is %s", last.StartWorkflowResult.WorkflowID, began, status)
	}
}
