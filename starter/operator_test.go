package starter_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/workflows"
)

// withOutcome gives a described run its PatchOutcome.
func withOutcome(
	t *testing.T, answer *workflowservice.DescribeWorkflowExecutionResponse, outcome string,
) *workflowservice.DescribeWorkflowExecutionResponse {
	t.Helper()
	payload, err := converter.GetDefaultDataConverter().ToPayload(outcome)
	require.NoError(t, err)
	answer.WorkflowExecutionInfo.SearchAttributes = &commonpb.SearchAttributes{
		IndexedFields: map[string]*commonpb.Payload{workflows.PatchOutcomeKey.GetName(): payload},
	}
	return answer
}

// inDoubt is the game's run, to 1.4.3, that waits for an operator.
func inDoubt(t *testing.T) *workflowservice.DescribeWorkflowExecutionResponse {
	t.Helper()
	answer := withOutcome(t, described(t, "1.4.3", false, running), workflows.OutcomeNeedsOperator)
	answer.WorkflowExecutionInfo.FirstRunId = "run-0"
	return answer
}

// answering lets the run answer an update with err, in the run runID.
func answering(t *testing.T, temporal *mocks.Client, runID string, err error) *mock.Call {
	t.Helper()
	handle := mocks.NewWorkflowUpdateHandle(t)
	handle.On("Get", mock.Anything, mock.Anything).Return(err).Maybe()
	handle.On("RunID").Return(runID).Maybe()
	return temporal.On("UpdateWorkflow", mock.Anything, mock.Anything).Return(handle, nil)
}

// commands are the two ways to decide.
func commands(s *starter.Starter) map[string]func(context.Context, string, patch.Command) (patch.Handle, error) {
	return map[string]func(context.Context, string, patch.Command) (patch.Handle, error){
		workflows.RetryUpdate: s.Retry, workflows.AbandonUpdate: s.Abandon,
	}
}

var decided = patch.Command{Actor: "ann", Reason: "manager is back"}

// TestDecide proves what the run is told: in the run that a reset may have put
// in its place, and as an update of its own each time.
func TestDecide(t *testing.T) {
	for _, update := range []string{workflows.RetryUpdate, workflows.AbandonUpdate} {
		s, temporal := newStarter(t)
		temporal.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "").Return(inDoubt(t), nil)
		answering(t, temporal, "run-2", nil)
		handle, err := commands(s)[update](t.Context(), openID, decided)
		require.NoError(t, err)
		require.Equal(t, patch.Handle{PatchID: openID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-2"}, handle)
		temporal.AssertCalled(t, "UpdateWorkflow", mock.Anything, client.UpdateWorkflowOptions{
			WorkflowID: patch.WorkflowID(gameID), FirstExecutionRunID: "run-0",
			UpdateName: update, Args: []any{decided}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
	}
}

// TestDecideNothing proves that nobody is asked who has nothing to decide, or
// whose decision could not be recorded.
func TestDecideNothing(t *testing.T) {
	byHand := described(t, "", false, running)
	byHand.WorkflowExecutionInfo.Memo = nil
	reconciling := withOutcome(t, describedReconcile(t, patch.ModeEnforce), workflows.OutcomeNeedsOperator)
	trying := inDoubt(t)
	trying.PendingActivities = []*workflowpb.PendingActivityInfo{{ActivityType: &commonpb.ActivityType{Name: "RestoreContainer"}}}
	paused := inDoubt(t)
	paused.WorkflowExecutionInfo.Status = enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED
	for name, row := range map[string]struct {
		answer *workflowservice.DescribeWorkflowExecutionResponse
		want   error
	}{
		"on its way":       {described(t, "1.4.3", false, running), patch.ErrNotInDoubt},
		"a reconciliation": {reconciling, patch.ErrNotInDoubt},
		"trying already":   {trying, patch.ErrNotInDoubt},
		"paused":           {paused, patch.ErrPaused},
		"ended":            {withOutcome(t, described(t, "1.4.3", false, completed), workflows.OutcomeNeedsOperator), patch.ErrClosed},
		"another patch":    {byHand, patch.ErrNotFound},
	} {
		s, temporal := newStarter(t)
		temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(row.answer, nil)
		temporal.On("ListWorkflow", mock.Anything, mock.Anything).Return(&workflowservice.ListWorkflowExecutionsResponse{}, nil).Maybe()
		for update, command := range commands(s) {
			_, err := command(t.Context(), openID, decided)
			require.ErrorIs(t, err, row.want, "%s: %s", name, update)
			_, err = command(t.Context(), "no such shape", decided)
			require.ErrorIs(t, err, patch.ErrNotFound)
			_, err = command(t.Context(), openID, patch.Command{Reason: "why"})
			require.Equal(t, "actor", requireRefusal(t, err, patch.CodeInvalidRequest).Field)
			_, err = command(t.Context(), openID, patch.Command{Actor: "ann", Reason: " "})
			require.Equal(t, "reason", requireRefusal(t, err, patch.CodeInvalidRequest).Field)
		}
	}
}

// refused is a run's "no" as it comes over the wire.
func refused(message, errType string) error {
	return temporal.NewApplicationError(message, errType)
}

// TestDecideRefused proves what is told of each way in which a run, or Temporal
// in its place, does not take a decision.
func TestDecideRefused(t *testing.T) {
	for name, row := range map[string]struct {
		call, outcome error
		want          error
		code          patch.Code
	}{
		"decided by another":   {outcome: refused("another operator has just decided", ""), want: patch.ErrNotInDoubt},
		"other bounds":         {outcome: refused("invalid_request: reason: is too long", "Refusal"), code: patch.CodeInvalidRequest},
		"ended":                {call: serviceerror.NewNotFound("workflow execution already completed"), want: patch.ErrClosed},
		"ended in that moment": {outcome: refused("completed before", "AcceptedUpdateCompletedWorkflow"), want: patch.ErrClosed},
		"Temporal is away":     {call: serviceerror.NewUnavailable("connection refused"), code: patch.CodeServiceUnavailable},
		"paused":               {call: serviceerror.NewFailedPrecondition("Workflow is paused"), code: patch.CodeServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s, temporal := newStarter(t)
			temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(inDoubt(t), nil)
			if row.call != nil {
				temporal.On("UpdateWorkflow", mock.Anything, mock.Anything).Return(nil, row.call)
			} else {
				answering(t, temporal, "run-1", row.outcome)
			}
			_, err := s.Retry(t.Context(), openID, decided)
			if row.want != nil {
				require.ErrorIs(t, err, row.want)
				return
			}
			requireRefusal(t, err, row.code)
		})
	}
}

// silent lets every update go without an answer for as long as it is waited for.
func silent(temporal *mocks.Client) {
	temporal.On("UpdateWorkflow", mock.Anything, mock.Anything).Return(
		func(ctx context.Context, _ client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
			<-ctx.Done()
			return nil, client.NewWorkflowUpdateServiceTimeoutOrCanceledError(ctx.Err())
		})
}

// TestDecideWithoutAWorker proves that a decision which nobody answers is given
// up on, and that the refusal says that it may still be taken; the caller's own
// deadline stays what it is.
func TestDecideWithoutAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, temporal := newStarter(t)
		temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(inDoubt(t), nil)
		silent(temporal)
		_, err := s.Abandon(t.Context(), openID, decided)
		refusal := requireRefusal(t, err, patch.CodeServiceUnavailable)
		require.Contains(t, refusal.Message, "no worker may be up")
		require.Contains(t, refusal.Message, "may still be taken")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = s.Abandon(ctx, openID, decided)
		require.ErrorIs(t, err, context.Canceled)
	})
	// Temporal gives up first, before our own deadline has passed.
	s, temporal := newStarter(t)
	temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(inDoubt(t), nil)
	temporal.On("UpdateWorkflow", mock.Anything, mock.Anything).Return(nil,
		client.NewWorkflowUpdateServiceTimeoutOrCanceledError(errors.New("stream terminated by RST_STREAM")))
	_, err := s.Abandon(t.Context(), openID, decided)
	require.Contains(t, requireRefusal(t, err, patch.CodeServiceUnavailable).Message, "may still be taken")
}

// blocked lets the start fail on the run that answer describes.
func blocked(t *testing.T, answer *workflowservice.DescribeWorkflowExecutionResponse) (*starter.Starter, *mocks.Client) {
	t.Helper()
	s, temporal := newStarter(t)
	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errAlready).Once()
	temporal.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "run-1").Return(answer, nil)
	return s, temporal
}

// TestStartRetries proves that a request for the version of a patch in doubt has
// it try again, in the name and for the reasons of who asked, under an id that
// makes a repeat of the request the same decision; and that it fits in.
func TestStartRetries(t *testing.T) {
	long := strings.Repeat("ä", patch.MaxReason/2)
	for _, row := range []struct {
		actor, reason string
		want          patch.Command
	}{
		{"ann", "release", patch.Command{Actor: "ann", Reason: "asked for version 1.4.3 again: release"}},
		{"ann", "", patch.Command{Actor: "ann", Reason: "asked for version 1.4.3 again"}},
		{" ", "", patch.Command{Actor: "unknown caller", Reason: "asked for version 1.4.3 again"}},
		{"ann", long, patch.Command{Actor: "ann", Reason: "asked for version 1.4.3 again: " + strings.Repeat("ä", 496)}},
	} {
		s, temporal := blocked(t, inDoubt(t))
		answering(t, temporal, "run-1", nil)
		asked := request("1.4.3", false)
		asked.Actor, asked.Reason = row.actor, row.reason
		handle, err := s.Start(t.Context(), asked)
		require.NoError(t, err)
		require.Equal(t, patch.Handle{
			PatchID: openID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-1", Joined: true,
		}, handle)
		require.NoError(t, row.want.Validate())
		temporal.AssertCalled(t, "UpdateWorkflow", mock.Anything, client.UpdateWorkflowOptions{
			UpdateID: newID, WorkflowID: patch.WorkflowID(gameID), FirstExecutionRunID: "run-0",
			UpdateName: workflows.RetryUpdate, Args: []any{row.want}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
	}
}

// TestStartDecidesNothing proves which requests leave a patch in doubt alone: a
// repeat of its own, those for something else, and those that could not be
// recorded.
func TestStartDecidesNothing(t *testing.T) {
	own := request("1.4.3", false)
	own.PatchID = openID
	expecting := request("1.4.3", false)
	expecting.ExpectedVersion = "1.4.2"
	broken := request("1.4.3", false)
	broken.Reason = strings.Repeat("x", patch.MaxReason+1)
	for name, row := range map[string]struct {
		asked patch.Request
		code  patch.Code
	}{
		"its own request":    {asked: own},
		"another version":    {asked: request("1.4.4", false), code: patch.CodePatchInProgress},
		"with force":         {asked: request("1.4.3", true), code: patch.CodePatchInProgress},
		"expecting more":     {asked: expecting, code: patch.CodePatchInProgress},
		"not a version":      {asked: request("newest", false), code: patch.CodeInvalidRequest},
		"cannot be recorded": {asked: broken, code: patch.CodeInvalidRequest},
	} {
		// The mock fails on any update.
		s, _ := blocked(t, inDoubt(t))
		handle, err := s.Start(t.Context(), row.asked)
		if row.code == "" {
			require.NoError(t, err, name)
			require.True(t, handle.Joined)
			continue
		}
		refusal := requireRefusal(t, err, row.code)
		if row.code == patch.CodePatchInProgress {
			require.Equal(t, openID, refusal.PatchID, name)
			require.Contains(t, refusal.Message, "patch "+openID+" of this game to version \"1.4.3\" is in doubt")
			require.Contains(t, refusal.Message, "an operator has to retry or abandon it")
		}
	}
}

// TestStartLosesToADecision proves that a request joins a patch which somebody
// else decided about in that moment, and starts a run of its own when it ended
// by that.
func TestStartLosesToADecision(t *testing.T) {
	s, temporal := blocked(t, inDoubt(t))
	answering(t, temporal, "run-1", refused("another operator has just decided", ""))
	handle, err := s.Start(t.Context(), request("1.4.3", false))
	require.NoError(t, err)
	require.True(t, handle.Joined)
	require.Equal(t, openID, handle.PatchID)

	s, temporal = blocked(t, inDoubt(t))
	temporal.On("UpdateWorkflow", mock.Anything, mock.Anything).Return(nil, serviceerror.NewNotFound("completed"))
	run := mocks.NewWorkflowRun(t)
	run.On("GetID").Return(patch.WorkflowID(gameID))
	run.On("GetRunID").Return("run-2")
	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(run, nil).Once()
	handle, err = s.Start(t.Context(), request("1.4.3", false))
	require.NoError(t, err)
	require.Equal(t, patch.Handle{PatchID: newID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-2"}, handle)
}

// TestStartCannotRetry proves that a request which cannot have a patch in doubt
// try again is not told that it joined it; and that none of its own was begun.
func TestStartCannotRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, temporal := blocked(t, inDoubt(t))
		silent(temporal)
		handle, err := s.Start(t.Context(), request("1.4.3", false))
		refusal := requireRefusal(t, err, patch.CodeServiceUnavailable)
		require.Contains(t, refusal.Message, "may still be taken")
		require.Empty(t, refusal.PatchID)
		require.Zero(t, handle)
	})
	s, temporal := blocked(t, inDoubt(t))
	temporal.On("UpdateWorkflow", mock.Anything, mock.Anything).Return(nil, errors.New("connection reset"))
	_, err := s.Start(t.Context(), request("1.4.3", false))
	requireRefusal(t, err, patch.CodeServiceUnavailable)
}

// TestCancelInDoubt proves that a cancellation which would have no effect is not
// sent.
func TestCancelInDoubt(t *testing.T) {
	s, temporal := newStarter(t)
	temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(inDoubt(t), nil)
	_, err := s.Cancel(t.Context(), openID, patch.Command{Actor: "ann"})
	require.ErrorIs(t, err, patch.ErrInDoubt)
}
