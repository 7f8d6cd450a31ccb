package starter

import (
	"context"
	"errors"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// described is a run as Temporal describes it, read from its own state and not
// from the visibility store, which lags behind.
type described struct {
	handle  patch.Handle
	version string
	force   bool
	// expected is the expected_version of the run's request.
	expected string
	actor    string
	status   enumspb.WorkflowExecutionStatus
	started  time.Time
	// firstRunID is the same for a run and for those that resets put in its
	// place.
	firstRunID string
	// outcome is the run's PatchOutcome.
	outcome string
	// pending is the step that is under way or waits for its next attempt; nil
	// when there is none.
	pending *workflowpb.PendingActivityInfo
}

func (d described) isOpen() bool { return d.status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING }

// serves reports whether the run does what request asks for.
func (d described) serves(request patch.Request) bool {
	switch {
	case d.version != request.Version:
		return false
	case d.handle.PatchID == request.PatchID:
		return true
	case request.ExpectedVersion != "" && request.ExpectedVersion != d.expected:
		return false
	default:
		return d.force || !request.Force
	}
}

// phase tells as much as Temporal itself knows; empty when that is nothing.
func (d described) phase() patch.Phase {
	if phase, known := phaseOf[d.pending.GetActivityType().GetName()]; known {
		return phase
	}
	if d.outcome == workflows.OutcomeNeedsOperator {
		return patch.PhaseNeedsOperator
	}
	return ""
}

// describe reads one run; an empty runID means the latest. It returns
// [patch.ErrNotFound] when there is none.
func (s *Starter) describe(ctx context.Context, workflowID, runID string) (described, error) {
	answer, err := s.client.DescribeWorkflowExecution(ctx, workflowID, runID)
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return described{}, patch.ErrNotFound
	}
	if err != nil {
		return described{}, err
	}
	d := describedOf(answer.GetWorkflowExecutionInfo())
	if activities := answer.GetPendingActivities(); len(activities) > 0 {
		d.pending = activities[0]
	}
	return d, nil
}

func describedOf(info *workflowpb.WorkflowExecutionInfo) described {
	d := described{
		handle: patch.Handle{
			WorkflowID: info.GetExecution().GetWorkflowId(),
			RunID:      info.GetExecution().GetRunId(),
		},
		status:     info.GetStatus(),
		started:    info.GetStartTime().AsTime(),
		firstRunID: info.GetFirstRunId(),
	}
	memo := info.GetMemo()
	readMemo(memo, workflows.MemoPatchID, &d.handle.PatchID)
	readMemo(memo, workflows.MemoVersion, &d.version)
	readMemo(memo, workflows.MemoForce, &d.force)
	readMemo(memo, workflows.MemoExpectedVersion, &d.expected)
	readMemo(memo, workflows.MemoActor, &d.actor)
	if outcome := info.GetSearchAttributes().GetIndexedFields()[workflows.PatchOutcomeKey.GetName()]; outcome != nil {
		// One of another shape says nothing.
		_ = converter.GetDefaultDataConverter().FromPayload(outcome, &d.outcome)
	}
	// The workflow ID and not the patch id: a run that was started by hand has no
	// memo, and holds its game all the same.
	if gameID, ok := patch.GameOfWorkflow(d.handle.WorkflowID); ok {
		d.handle.GameID = gameID
	}
	return d
}

// readMemo leaves target alone when the field is missing or of another shape: a
// run that was started by hand has no memo, and serves nobody.
func readMemo(memo *commonpb.Memo, field string, target any) {
	payload := memo.GetFields()[field]
	if payload == nil {
		return
	}
	_ = converter.GetDefaultDataConverter().FromPayload(payload, target)
}
