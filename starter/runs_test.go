package starter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/workflows"
)

// The watch reads the runs through this port.
var _ ports.PatchRuns = (*starter.Starter)(nil)

const terminated = enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED

// TestHasOpen proves that a game is held by whatever run of it is open, and that
// nothing is said when Temporal cannot say.
func TestHasOpen(t *testing.T) {
	for name, row := range map[string]struct {
		answer *workflowservice.DescribeWorkflowExecutionResponse
		err    error
		want   bool
	}{
		"a patch":          {answer: described(t, "1.4.3", false, running), want: true},
		"a reconciliation": {answer: describedReconcile(t, patch.ModeAdopt), want: true},
		"by hand":          {answer: describedWith(t, running, nil), want: true},
		"paused":           {answer: described(t, "1.4.3", false, enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED), want: true},
		"closed":           {answer: described(t, "1.4.3", false, completed)},
		"none":             {err: serviceerror.NewNotFound("none")},
	} {
		s, client := newStarter(t)
		client.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "").Return(row.answer, row.err)
		open, err := s.HasOpen(t.Context(), gameID)
		require.NoError(t, err, name)
		require.Equal(t, row.want, open, name)
	}
	s, client := newStarter(t)
	client.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(nil, serviceerror.NewUnavailable("away"))
	_, err := s.HasOpen(t.Context(), gameID)
	requireRefusal(t, err, patch.CodeServiceUnavailable)
}

// TestPageEnded proves what is asked for and told of the runs that were ended
// from outside: those that a reset replaced are left out, those without a memo
// or that are forgotten by now are not; and who terminated them and why.
func TestPageEnded(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("", 3600))
	began, ended := since.Add(time.Minute).UTC(), since.Add(2*time.Minute).UTC()
	run := func(runID string, answer *workflowservice.DescribeWorkflowExecutionResponse) *workflowservice.DescribeWorkflowExecutionResponse {
		info := answer.WorkflowExecutionInfo
		info.Execution.RunId, info.StartTime, info.CloseTime = runID, timestamppb.New(began), timestamppb.New(ended)
		info.Status = terminated
		return answer
	}
	patched := run("run-1", describedWith(t, terminated, map[string]any{
		workflows.MemoPatchID: openID, workflows.MemoVersion: "1.4.3", workflows.MemoActor: "ann",
	}))
	reconciled := run("run-2", describedReconcile(t, patch.ModeEnforce))
	replaced := run("run-3", described(t, "1.4.3", false, terminated))
	replaced.WorkflowExtendedInfo = &workflowpb.WorkflowExecutionExtendedInfo{ResetRunId: "run-1"}
	byHand := run("run-4", describedWith(t, terminated, nil))

	s, client := newStarter(t)
	page := &workflowservice.ListWorkflowExecutionsResponse{NextPageToken: []byte("next")}
	for _, answer := range []*workflowservice.DescribeWorkflowExecutionResponse{patched, reconciled, replaced, byHand} {
		info := answer.WorkflowExecutionInfo
		page.Executions = append(page.Executions, info)
		call := client.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), info.GetExecution().GetRunId())
		if answer == byHand {
			call.Return(nil, serviceerror.NewNotFound("gone"))
			client.On("GetWorkflowHistory", mock.Anything, patch.WorkflowID(gameID), "run-4", false, closing).
				Return(lastEvent(t, nil, serviceerror.NewNotFound("gone")))
			continue
		}
		call.Return(answer, nil)
	}
	for runID, ended := range map[string]*historypb.WorkflowExecutionTerminatedEventAttributes{
		"run-1": {Identity: "bob", Reason: "it hung"}, "run-2": {},
	} {
		client.On("GetWorkflowHistory", mock.Anything, patch.WorkflowID(gameID), runID, false, closing).
			Return(lastEvent(t, &historypb.HistoryEvent{
				Attributes: &historypb.HistoryEvent_WorkflowExecutionTerminatedEventAttributes{WorkflowExecutionTerminatedEventAttributes: ended},
			}, nil))
	}
	client.On("ListWorkflow", mock.Anything, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: 50, NextPageToken: []byte("this"),
		Query: "WorkflowType IN ('PatchRuntime', 'ReconcileRuntime') AND TaskQueue = 'gamemaster' AND ExecutionStatus IN ('Terminated', 'TimedOut') " +
			"AND CloseTime >= '2026-01-02T02:04:05.006Z'",
	}).Return(page, nil)

	got, err := s.PageEnded(t.Context(), since, []byte("this"))
	require.NoError(t, err)
	handle := func(patchID, runID string) patch.Handle {
		return patch.Handle{PatchID: patchID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: runID}
	}
	require.Equal(t, patch.EndedPage{NextPageToken: []byte("next"), Runs: []patch.EndedRun{
		{Handle: handle(openID, "run-1"), Version: "1.4.3", Actor: "ann", StartedAt: began, EndedAt: ended, EndedBy: "bob", EndedFor: "it hung"},
		{Handle: handle(openID, "run-2"), Reconciles: true, StartedAt: began, EndedAt: ended},
		{Handle: handle("", "run-4"), StartedAt: began, EndedAt: ended},
	}}, got)
}

const closing = enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT

// lastEvent is a history of which only the last event was asked for.
func lastEvent(t *testing.T, event *historypb.HistoryEvent, err error) *mocks.HistoryEventIterator {
	t.Helper()
	events := mocks.NewHistoryEventIterator(t)
	events.On("HasNext").Return(true).Once()
	events.On("Next").Return(event, err).Once()
	return events
}

// TestPageEndedAway proves that a page which could not be read in full is none.
func TestPageEndedAway(t *testing.T) {
	away := serviceerror.NewUnavailable("away")
	s, client := newStarter(t)
	client.On("ListWorkflow", mock.Anything, mock.Anything).Return(nil, away).Once()
	_, err := s.PageEnded(t.Context(), time.Time{}, nil)
	requireRefusal(t, err, patch.CodeServiceUnavailable)
	client.On("ListWorkflow", mock.Anything, mock.Anything).Return(&workflowservice.ListWorkflowExecutionsResponse{
		Executions: []*workflowpb.WorkflowExecutionInfo{described(t, "1.4.3", false, terminated).WorkflowExecutionInfo},
	}, nil)
	client.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, mock.Anything).Return(nil, away).Once()
	_, err = s.PageEnded(t.Context(), time.Time{}, nil)
	requireRefusal(t, err, patch.CodeServiceUnavailable)
	// A row is written once, so that it waits until it can name who it was.
	client.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, mock.Anything).Return(described(t, "1.4.3", false, terminated), nil)
	client.On("GetWorkflowHistory", mock.Anything, mock.Anything, mock.Anything, false, closing).Return(lastEvent(t, nil, away))
	_, err = s.PageEnded(t.Context(), time.Time{}, nil)
	requireRefusal(t, err, patch.CodeServiceUnavailable)
}

// awaiting lets the wait for the game's run end with err.
func awaiting(t *testing.T, client *mocks.Client, err error) {
	t.Helper()
	run := mocks.NewWorkflowRun(t)
	run.On("Get", mock.Anything, mock.Anything).Return(err)
	client.On("GetWorkflow", mock.Anything, patch.WorkflowID(gameID), "run-1").Return(run)
}

// TestAwaitTerminated proves that a run which nobody went on with is told as
// terminated, and of its kind, and one that timed out as well.
func TestAwaitTerminated(t *testing.T) {
	for name, row := range map[string]struct {
		err  error
		run  *workflowservice.DescribeWorkflowExecutionResponse
		code patch.Code
		kind operation.OpKind
	}{
		"a patch":          {&temporal.TerminatedError{}, described(t, "1.4.3", false, terminated), patch.CodeTerminated, ""},
		"a reconciliation": {&temporal.TerminatedError{}, describedReconcile(t, patch.ModeAdopt), patch.CodeTerminated, operation.OpKindReconcile},
		"a timeout": {
			temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil), describedReconcile(t, patch.ModeAdopt),
			patch.CodeTerminated, operation.OpKindReconcile,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, client := newStarter(t)
			awaiting(t, client, row.err)
			client.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, mock.Anything).Return(row.run, nil)
			result, err := s.Await(t.Context(), patch.Handle{PatchID: openID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-1"})
			require.NoError(t, err)
			require.Equal(t, row.code, result.Code)
			require.Equal(t, row.kind, result.Kind)
			require.Equal(t, operation.OutcomeFailure, result.Outcome)
			if row.code == patch.CodeTerminated {
				require.Contains(t, result.Message, "nothing was compensated; the watch compares record and container")
			}
		})
	}
}

// TestOpenReconciliation proves that a reconciliation is in the list of what
// holds games, and told from a patch.
func TestOpenReconciliation(t *testing.T) {
	s, client := newStarter(t)
	answer := describedReconcile(t, patch.ModeAdopt)
	answer.PendingActivities = []*workflowpb.PendingActivityInfo{{ActivityType: &commonpb.ActivityType{Name: "AdoptImage"}}}
	client.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "").Return(answer, nil)
	page, err := s.ListOpen(t.Context(), patch.OpenQuery{GameID: gameID, Limit: 1})
	require.NoError(t, err)
	require.Len(t, page.Patches, 1)
	require.Equal(t, patch.Open{
		Handle:     patch.Handle{PatchID: openID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-1"},
		Reconciles: true, Mode: patch.ModeAdopt, Phase: patch.PhaseCompensating, StartedAt: page.Patches[0].StartedAt,
	}, page.Patches[0])
}
