package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// collectRuns reads every run under the game's workflow ID, with its history.
func (c *Cell) collectRuns(ctx context.Context, game *GameEvidence) error {
	infos, err := c.listRuns(ctx, *game)
	if err != nil {
		return err
	}
	for _, info := range infos {
		run, err := c.readRun(ctx, info)
		if err != nil {
			return fmt.Errorf("run %s: %w", info.GetExecution().GetRunId(), err)
		}
		game.Runs = append(game.Runs, run)
	}
	slices.SortStableFunc(game.Runs, func(a, b Run) int { return a.StartedAt.Compare(b.StartedAt) })
	return nil
}

// listPatience bounds the wait for a run that something names and Temporal does
// not list. Its visibility store lags about a second behind; what it does not
// list by then, it does not have.
const listPatience = 10 * time.Second

// listRuns asks the visibility store until it knows of every run that anything
// else names, since it lags behind. What it never lists is for a check to find.
func (c *Cell) listRuns(ctx context.Context, game GameEvidence) (infos []*workflowpb.WorkflowExecutionInfo, err error) {
	workflowID := patch.WorkflowID(game.GameID)
	latest, err := c.Stack.client.DescribeWorkflowExecution(ctx, workflowID, "")
	if _, none := errors.AsType[*serviceerror.NotFound](err); none {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	named := []string{latest.GetWorkflowExecutionInfo().GetExecution().GetRunId()}
	for _, row := range game.Rows {
		named = append(named, row.RunID)
	}
	for _, ask := range game.Asks {
		if ask.RunID != "" && ask.Accepted() {
			named = append(named, ask.RunID)
		}
	}
	for _, key := range game.Keys {
		if key.RunID != "" {
			named = append(named, key.RunID)
		}
	}
	began := time.Now()
	err = until(ctx, fmt.Sprintf("Temporal lists the runs %q of %s", named, workflowID), func(ctx context.Context) (bool, error) {
		if infos, err = c.listed(ctx, workflowID); err != nil {
			return false, err
		}
		whole := !slices.ContainsFunc(named, func(runID string) bool {
			return !slices.ContainsFunc(infos, func(info *workflowpb.WorkflowExecutionInfo) bool {
				return info.GetExecution().GetRunId() == runID
			})
		})
		return whole || time.Since(began) > listPatience, nil
	})
	return infos, err
}

// listed returns the runs under a workflow ID, as the visibility store has them.
func (c *Cell) listed(ctx context.Context, workflowID string) (infos []*workflowpb.WorkflowExecutionInfo, err error) {
	var token []byte
	for {
		page, err := c.Stack.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf("WorkflowId = '%s'", workflowID), NextPageToken: token,
		})
		if err != nil {
			return nil, err
		}
		infos = append(infos, page.GetExecutions()...)
		if token = page.GetNextPageToken(); len(token) == 0 {
			return infos, nil
		}
	}
}

// readRun reads one run from its own state and its history.
func (c *Cell) readRun(ctx context.Context, listed *workflowpb.WorkflowExecutionInfo) (Run, error) {
	workflowID, runID := listed.GetExecution().GetWorkflowId(), listed.GetExecution().GetRunId()
	described, err := c.Stack.client.DescribeWorkflowExecution(ctx, workflowID, runID)
	if err != nil {
		return Run{}, err
	}
	info := described.GetWorkflowExecutionInfo()
	run := Run{
		RunID: runID, Type: info.GetType().GetName(), Status: statusOf(info.GetStatus()),
		NeedsOperator: needsOperator(info), StartedAt: info.GetStartTime().AsTime(),
	}
	if info.GetCloseTime() != nil {
		run.EndedAt = info.GetCloseTime().AsTime()
	}
	read := func(field string, target any) {
		if payload := info.GetMemo().GetFields()[field]; payload != nil {
			// A run that was started by hand may have anything there.
			_ = converter.GetDefaultDataConverter().FromPayload(payload, target)
		}
	}
	read(workflows.MemoPatchID, &run.PatchID)
	read(workflows.MemoVersion, &run.Version)
	read(workflows.MemoForce, &run.Force)
	for _, pending := range described.GetPendingActivities() {
		run.Pending = append(run.Pending, fmt.Sprintf("%s, attempt %d", pending.GetActivityType().GetName(), pending.GetAttempt()))
	}
	history := c.Stack.client.GetWorkflowHistory(ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return Run{}, err
		}
		if err := run.take(event); err != nil {
			return Run{}, err
		}
	}
	return run, nil
}

// take reads what an event of the history tells.
func (run *Run) take(event *historypb.HistoryEvent) error {
	raw, err := proto.Marshal(event)
	if err != nil {
		return err
	}
	run.Raw = append(run.Raw, raw...)
	switch event.GetEventType() {
	case enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
		failed := event.GetWorkflowTaskFailedEventAttributes()
		if failed.GetCause() == enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW {
			run.ResetOf = cmp.Or(failed.GetBaseRunId(), run.ResetOf)
			return nil
		}
		run.Failures = append(run.Failures, TaskFailure{
			EventID: event.GetEventId(), Cause: failed.GetCause().String(), Message: failed.GetFailure().GetMessage(),
		})
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
		return run.takeResult(event.GetWorkflowExecutionCompletedEventAttributes().GetResult())
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
		return run.takeResult(event.GetWorkflowExecutionCanceledEventAttributes().GetDetails())
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
		return run.takeResult(detailsOf(event.GetWorkflowExecutionFailedEventAttributes().GetFailure()))
	default:
	}
	return nil
}

// takeResult reads the run's result; none is left for a check to find.
func (run *Run) takeResult(payloads *commonpb.Payloads) error {
	if len(payloads.GetPayloads()) == 0 {
		return nil
	}
	var result patch.Result
	if err := converter.GetDefaultDataConverter().FromPayloads(payloads, &result); err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	run.Result = &result
	return nil
}

func detailsOf(failure *failurepb.Failure) *commonpb.Payloads {
	return failure.GetApplicationFailureInfo().GetDetails()
}

func statusOf(status enumspb.WorkflowExecutionStatus) RunStatus {
	if status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return RunOpen
	}
	return RunStatus(status.String())
}
