package starter_test

import (
	"context"
	"errors"
	"testing"

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

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/workflows"
)

// What the starter does on a real server is proven end to end; these tests are
// for what a real server cannot be made to do on demand.

const (
	gameID = "demo-1"
	openID = gameID + ".aaaaaaaaaaaaaaaaaaaaaaaaaa"
	newID  = gameID + ".bbbbbbbbbbbbbbbbbbbbbbbbbb"
)

var errAlready = &serviceerror.WorkflowExecutionAlreadyStarted{RunId: "run-1"}

type emptyLog struct{}

func (emptyLog) ListByPatch(context.Context, string) ([]operation.OperationEntry, error) {
	return nil, nil
}

func newStarter(t *testing.T) (*starter.Starter, *mocks.Client) {
	t.Helper()
	temporal := mocks.NewClient(t)
	s, err := starter.New(starter.Options{Client: temporal, AuditLog: emptyLog{}})
	require.NoError(t, err)
	return s, temporal
}

func request(version string, force bool) patch.Request {
	return patch.Request{PatchID: newID, GameID: gameID, Version: version, Force: force}
}

// described is the game's run as Temporal describes it.
func described(t *testing.T, version string, force bool, status enumspb.WorkflowExecutionStatus) *workflowservice.DescribeWorkflowExecutionResponse {
	t.Helper()
	return describedWith(t, status, map[string]any{
		workflows.MemoPatchID: openID, workflows.MemoVersion: version, workflows.MemoForce: force,
	})
}

func describedWith(t *testing.T, status enumspb.WorkflowExecutionStatus, memo map[string]any) *workflowservice.DescribeWorkflowExecutionResponse {
	t.Helper()
	fields := map[string]*commonpb.Payload{}
	for name, value := range memo {
		payload, err := converter.GetDefaultDataConverter().ToPayload(value)
		require.NoError(t, err)
		fields[name] = payload
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: patch.WorkflowID(gameID), RunId: "run-1"},
		Status:    status, Memo: &commonpb.Memo{Fields: fields},
	}}
}

const (
	running   = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	completed = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
)

func requireRefusal(t *testing.T, err error, code patch.Code) *patch.Refusal {
	t.Helper()
	var refusal *patch.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, code, refusal.Code)
	return refusal
}

// TestStartOptions proves what makes a game have one open patch, and what the
// run is found by.
func TestStartOptions(t *testing.T) {
	s, temporal := newStarter(t)
	run := mocks.NewWorkflowRun(t)
	run.On("GetID").Return(patch.WorkflowID(gameID))
	run.On("GetRunID").Return("run-1")
	var options client.StartWorkflowOptions
	var input workflows.Input
	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, workflows.PatchRuntimeType, mock.Anything).
		Run(func(args mock.Arguments) {
			options = args.Get(1).(client.StartWorkflowOptions)
			input = args.Get(3).(workflows.Input)
		}).Return(run, nil)
	asked := request("1.4.3", false)
	asked.Actor, asked.ExpectedVersion = "ann", "1.4.2"
	handle, err := s.Start(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, asked, input.Request)
	require.False(t, options.EnableEagerStart, "no worker is said to be on the client")
	require.Equal(t, map[string]any{
		"patch_id": newID, "version": "1.4.3", "force": false, "expected_version": "1.4.2", "actor": "ann",
	}, options.Memo)
	require.Equal(t, patch.Handle{PatchID: newID, GameID: gameID, WorkflowID: "patch-runtime/demo-1", RunID: "run-1"}, handle)
	require.Equal(t, "patch-runtime/demo-1", options.ID)
	require.True(t, options.WorkflowExecutionErrorWhenAlreadyStarted)
	require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, options.WorkflowIDConflictPolicy)
	require.Zero(t, options.WorkflowExecutionTimeout)
	require.Equal(t, patch.DefaultBudgets(), input.Budgets)
	require.Equal(t, 6, options.TypedSearchAttributes.Size())
	require.Len(t, workflows.SearchAttributes(), 7, "and ErrorCode, which a run has that fails")
	actor, _ := options.TypedSearchAttributes.GetKeyword(workflows.ActorKey)
	require.Equal(t, "ann", actor)
	require.Equal(t, "patch demo-1 to 1.4.3 (ann)", options.StaticSummary)
	require.Contains(t, options.StaticDetails, "- **Only from:** `1.4.2`")
}

// TestJoinRules proves whom an open run serves.
func TestJoinRules(t *testing.T) {
	for _, row := range []struct {
		name           string
		open           string
		openForce      bool
		asked          string
		askedForce     bool
		code           patch.Code
		askedForOpenID bool
	}{
		{name: "same version", open: "1.4.3", asked: "1.4.3"},
		{name: "same version, the open one with force", open: "1.4.3", openForce: true, asked: "1.4.3"},
		{name: "force joins force", open: "1.4.3", openForce: true, asked: "1.4.3", askedForce: true},
		{name: "force does not join without", open: "1.4.3", asked: "1.4.3", askedForce: true, code: patch.CodePatchInProgress},
		{name: "another version", open: "1.4.3", asked: "1.4.4", code: patch.CodePatchInProgress},
		{name: "not a version", open: "1.4.3", asked: "newest", code: patch.CodeInvalidRequest},
		{name: "the very same request", open: "1.4.3", asked: "1.4.3", askedForce: true, askedForOpenID: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, temporal := newStarter(t)
			temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errAlready).Once()
			temporal.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "run-1").
				Return(described(t, row.open, row.openForce, running), nil)
			asked := request(row.asked, row.askedForce)
			if row.askedForOpenID {
				asked.PatchID = openID
			}
			handle, err := s.Start(t.Context(), asked)
			if row.code != "" {
				refusal := requireRefusal(t, err, row.code)
				require.Equal(t, row.code == patch.CodePatchInProgress, refusal.PatchID == openID)
				return
			}
			require.NoError(t, err)
			require.True(t, handle.Joined)
			require.Equal(t, openID, handle.PatchID)
			require.Equal(t, "run-1", handle.RunID)
		})
	}
}

// TestJoinRulesOfAnExpectedVersion proves that a request which expects a version
// shares only a run that expects the same, and that the refusal tells what the
// open one expects.
func TestJoinRulesOfAnExpectedVersion(t *testing.T) {
	for _, row := range []struct {
		name        string
		open, asked string
		patchID     string
		refused     bool
		tells       string
	}{
		{name: "the same", open: "1.4.2", asked: "1.4.2"},
		{name: "the open one alone", open: "1.4.2"},
		{name: "the asked one alone", asked: "1.4.2", refused: true, tells: "without force is open"},
		{name: "another", open: "1.4.1", asked: "1.4.2", refused: true, tells: `without force, from "1.4.1" is open`},
		{name: "the very same request", asked: "1.4.2", patchID: openID},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, temporal := newStarter(t)
			memo := map[string]any{workflows.MemoPatchID: openID, workflows.MemoVersion: "1.4.3", workflows.MemoForce: false}
			if row.open != "" {
				memo[workflows.MemoExpectedVersion] = row.open
			}
			temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errAlready).Once()
			temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "run-1").Return(describedWith(t, running, memo), nil)
			asked := request("1.4.3", false)
			asked.ExpectedVersion = row.asked
			if row.patchID != "" {
				asked.PatchID = row.patchID
			}
			handle, err := s.Start(t.Context(), asked)
			if row.refused {
				require.Contains(t, requireRefusal(t, err, patch.CodePatchInProgress).Message, row.tells)
				return
			}
			require.NoError(t, err)
			require.Equal(t, openID, handle.PatchID)
		})
	}
}

// TestStartAgainAfterTheOpenRunClosed proves that a start which lost to a run
// that is closed by the time it is looked at is tried again, not joined.
func TestStartAgainAfterTheOpenRunClosed(t *testing.T) {
	for name, answer := range map[string][]any{
		"closed":    {described(t, "1.4.3", false, completed), nil},
		"forgotten": {nil, serviceerror.NewNotFound("gone")},
	} {
		t.Run(name, func(t *testing.T) {
			s, temporal := newStarter(t)
			run := mocks.NewWorkflowRun(t)
			run.On("GetID").Return(patch.WorkflowID(gameID))
			run.On("GetRunID").Return("run-2")
			temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errAlready).Once()
			temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "run-1").Return(answer...).Once()
			temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(run, nil).Once()
			handle, err := s.Start(t.Context(), request("1.4.3", false))
			require.NoError(t, err)
			require.Equal(t, "run-2", handle.RunID)
			require.False(t, handle.Joined)
		})
	}
}

// TestStartGivesUp proves that the race is bounded.
func TestStartGivesUp(t *testing.T) {
	s, temporal := newStarter(t)
	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errAlready).Times(5)
	temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, mock.Anything).
		Return(described(t, "1.4.3", false, completed), nil).Times(5)
	_, err := s.Start(t.Context(), request("1.4.3", false))
	requireRefusal(t, err, patch.CodeServiceUnavailable)
}

// TestTemporalAway proves that an unreachable Temporal is told as such, and the
// caller's own cancellation as what it is.
func TestTemporalAway(t *testing.T) {
	s, temporal := newStarter(t)
	away := serviceerror.NewUnavailable("connection refused")
	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, away)
	temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, mock.Anything).Return(nil, away)
	_, err := s.Start(t.Context(), request("1.4.3", false))
	requireRefusal(t, err, patch.CodeServiceUnavailable)
	_, err = s.Look(t.Context(), newID)
	requireRefusal(t, err, patch.CodeServiceUnavailable)
	_, err = s.Cancel(t.Context(), newID, patch.Command{Actor: "ann"})
	requireRefusal(t, err, patch.CodeServiceUnavailable)
	_, err = s.ListOpen(t.Context(), patch.OpenQuery{GameID: gameID, Limit: 1})
	requireRefusal(t, err, patch.CodeServiceUnavailable)
	temporal.On("ListWorkflow", mock.Anything, mock.Anything).Return(nil, away)
	_, err = s.ListOpen(t.Context(), patch.OpenQuery{Limit: 1})
	requireRefusal(t, err, patch.CodeServiceUnavailable)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Start(ctx, request("1.4.3", false))
	require.ErrorIs(t, err, context.Canceled)
}

// TestNewNamesTheFault proves that nothing half made is returned.
func TestNewNamesTheFault(t *testing.T) {
	temporal := mocks.NewClient(t)
	for want, options := range map[string]starter.Options{
		"nil client":    {AuditLog: emptyLog{}},
		"nil audit log": {Client: temporal},
		"store budget":  {Client: temporal, AuditLog: emptyLog{}, Budgets: patch.Budgets{Store: 1}},
	} {
		_, err := starter.New(options)
		require.ErrorContains(t, err, want)
	}
	s, _ := newStarter(t)
	_, err := s.Look(t.Context(), "no such shape")
	require.True(t, errors.Is(err, patch.ErrNotFound))
}

// TestTemporalRefuses proves that a start which Temporal refuses for good, such
// as for a search attribute that the namespace does not have, names no patch
// that may have been started; one without an answer does.
func TestTemporalRefuses(t *testing.T) {
	for _, row := range []struct {
		err     error
		started bool
	}{
		{serviceerror.NewInvalidArgument("no mapping defined for search attribute OpSource"), false},
		{serviceerror.NewNamespaceNotFound("nowhere"), false},
		{serviceerror.NewPermissionDenied("no", "no"), false},
		{serviceerror.NewUnavailable("gone"), true},
		{serviceerror.NewDeadlineExceeded("late"), true},
	} {
		s, temporal := newStarter(t)
		temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, row.err)
		asked := request("1.4.3", false)
		_, err := s.Start(t.Context(), asked)
		refusal := requireRefusal(t, err, patch.CodeServiceUnavailable)
		require.Equal(t, row.started, refusal.PatchID == asked.PatchID, row.err)
	}
}
