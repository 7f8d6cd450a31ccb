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

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// described is a run as Temporal describes it, read from its own state and not
// from the visibility store, which lags behind.
type described struct {
	handle patch.Handle
	// workflow is the run's type.
	workflow string
	version  string
	force    bool
	// expected is the expected_version of the run's request.
	expected string
	// mode is that of a reconciliation.
	mode   patch.Mode
	actor  string
	status enumspb.WorkflowExecutionStatus
	// closed says nothing while the run is open.
	started, closed time.Time
	// firstRunID is the same for a run and for those that resets put in its
	// place.
	firstRunID string
	// resetRunID is the run that a reset put in the place of this one; known of a
	// run that was described, and not of one from a list.
	resetRunID string
	// outcome is the run's PatchOutcome, and attribute its Phase.
	outcome, attribute string
	// pending is the step that is under way or waits for its next attempt; nil
	// when there is none.
	pending *workflowpb.PendingActivityInfo
}

// isOpen reports whether the run holds its game. One that an operator paused in
// the UI is neither running nor closed to Temporal, and holds it all the same.
func (d described) isOpen() bool {
	return d.status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING || d.paused()
}

// paused reports whether an operator paused the run in the UI: Temporal has it
// decide nothing, and lets nobody ask it or decide for it, until it is unpaused.
func (d described) paused() bool { return d.status == enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED }

// standsStill reports whether an operator paused the run or the step under way.
func (d described) standsStill() bool {
	return d.paused() || d.pending.GetPaused()
}

// reconciles tells a reconciliation from a patch, also when it was started by
// hand.
func (d described) reconciles() bool { return d.workflow == workflows.ReconcileRuntimeType }

// kind is [patch.Result]'s.
func (d described) kind() operation.OpKind {
	if d.reconciles() {
		return operation.OpKindReconcile
	}
	return ""
}

// inDoubt reports whether the run waits for an operator. A reconciliation never
// does.
func (d described) inDoubt() bool {
	return d.isOpen() && !d.reconciles() && d.phase() == patch.PhaseNeedsOperator
}

// serves reports whether the run does what request asks for.
func (d described) serves(request patch.Request) bool {
	switch {
	case d.reconciles(), d.version != request.Version:
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
	switch phase := patch.Phase(d.attribute); {
	case d.outcome == workflows.OutcomeNeedsOperator:
		return patch.PhaseNeedsOperator
	case phase == patch.PhaseCompensating, phase == patch.PhaseAuditing:
		return phase
	}
	return ""
}

// openRun returns the open run of a patch. It returns [patch.ErrNotFound] when no
// patch has the id, [patch.ErrClosed] when it has ended, and a
// [*patch.Refusal] with service_unavailable when Temporal cannot say.
func (s *Starter) openRun(ctx context.Context, patchID string) (described, error) {
	gameID, ok := patch.GameOf(patchID)
	if !ok {
		return described{}, patch.ErrNotFound
	}
	latest, err := s.describe(ctx, patch.WorkflowID(gameID), "")
	if err != nil && !errors.Is(err, patch.ErrNotFound) {
		return described{}, unavailable(ctx, "look at the patch", err)
	}
	if err == nil && latest.handle.PatchID == patchID {
		if !latest.isOpen() {
			return described{}, patch.ErrClosed
		}
		return latest, nil
	}
	if _, err := s.past(ctx, gameID, patchID, err); err != nil {
		return described{}, err
	}
	return described{}, patch.ErrClosed
}

// describe reads one run; an empty runID means the latest. A run that was told to
// have ended is waited for until it has closed, for whoever was told so. It
// returns [patch.ErrNotFound] when there is none.
func (s *Starter) describe(ctx context.Context, workflowID, runID string) (described, error) {
	run, err := s.read(ctx, workflowID, runID)
	if err != nil || !run.isOpen() || !s.outcomes.Heard(run.handle.RunID) {
		return run, err
	}
	s.close(ctx, run.handle)
	return s.read(ctx, workflowID, runID)
}

// read reads one run as it is.
func (s *Starter) read(ctx context.Context, workflowID, runID string) (described, error) {
	answer, err := s.client.DescribeWorkflowExecution(ctx, workflowID, runID)
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return described{}, patch.ErrNotFound
	}
	if err != nil {
		return described{}, err
	}
	d := describedOf(answer.GetWorkflowExecutionInfo())
	d.resetRunID = answer.GetWorkflowExtendedInfo().GetResetRunId()
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
		workflow:   info.GetType().GetName(),
		status:     info.GetStatus(),
		started:    info.GetStartTime().AsTime(),
		closed:     info.GetCloseTime().AsTime(),
		firstRunID: info.GetFirstRunId(),
	}
	memo := info.GetMemo()
	readMemo(memo, workflows.MemoPatchID, &d.handle.PatchID)
	readMemo(memo, workflows.MemoVersion, &d.version)
	readMemo(memo, workflows.MemoForce, &d.force)
	readMemo(memo, workflows.MemoExpectedVersion, &d.expected)
	readMemo(memo, workflows.MemoMode, &d.mode)
	readMemo(memo, workflows.MemoActor, &d.actor)
	fields := info.GetSearchAttributes().GetIndexedFields()
	readPayload(fields[workflows.PatchOutcomeKey.GetName()], &d.outcome)
	readPayload(fields[workflows.PhaseKey.GetName()], &d.attribute)
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
	readPayload(memo.GetFields()[field], target)
}

// readPayload leaves target alone when there is nothing, or something of another
// shape.
func readPayload(payload *commonpb.Payload, target any) {
	if payload == nil {
		return
	}
	_ = converter.GetDefaultDataConverter().FromPayload(payload, target)
}
