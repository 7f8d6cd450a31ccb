package starter_test

import (
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// describedReconcile is the game's open reconciliation as Temporal describes it.
func describedReconcile(t *testing.T, mode patch.Mode) *workflowservice.DescribeWorkflowExecutionResponse {
	t.Helper()
	answer := describedWith(t, running, map[string]any{workflows.MemoPatchID: openID, workflows.MemoMode: mode})
	answer.WorkflowExecutionInfo.Type = &commonpb.WorkflowType{Name: workflows.ReconcileRuntimeType}
	return answer
}

func reconcileRequest(mode patch.Mode) patch.ReconcileRequest {
	return patch.ReconcileRequest{PatchID: newID, GameID: gameID, Mode: mode, OpSource: operation.OpSourceAdminRest, Actor: "ann"}
}

// TestReconcileOptions proves that a reconciliation takes the place of a patch of
// its game, and what it is found by.
func TestReconcileOptions(t *testing.T) {
	s, temporal := newStarter(t)
	run := mocks.NewWorkflowRun(t)
	run.On("GetID").Return(patch.WorkflowID(gameID))
	run.On("GetRunID").Return("run-1")
	var options client.StartWorkflowOptions
	asked := reconcileRequest(patch.ModeAdopt)
	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, workflows.ReconcileRuntimeType,
		workflows.ReconcileInput{Request: asked, Budgets: patch.DefaultBudgets()}).
		Run(func(args mock.Arguments) { options = args.Get(1).(client.StartWorkflowOptions) }).Return(run, nil)
	handle, err := s.Reconcile(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, patch.Handle{PatchID: newID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-1"}, handle)
	require.Equal(t, map[string]any{"patch_id": newID, "mode": "adopt", "actor": "ann"}, options.Memo)
	require.Equal(t, patch.WorkflowID(gameID), options.ID)
	require.True(t, options.WorkflowExecutionErrorWhenAlreadyStarted)
	require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, options.WorkflowIDConflictPolicy)
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, options.WorkflowIDReusePolicy)
	require.Zero(t, options.WorkflowExecutionTimeout)
	require.Equal(t, "reconcile demo-1: adopt (ann)", options.StaticSummary)
	require.Contains(t, options.StaticDetails, "the record follows the container")
	attributes := options.TypedSearchAttributes
	require.Equal(t, 5, attributes.Size())
	game, _ := attributes.GetKeyword(workflows.GameIDKey)
	outcome, _ := attributes.GetKeyword(workflows.PatchOutcomeKey)
	source, _ := attributes.GetKeyword(workflows.OpSourceKey)
	require.Equal(t, []string{gameID, workflows.OutcomeOpen, "admin_rest"}, []string{game, outcome, source})
}

// TestReconcileIsChecked proves that no run is begun that cannot be carried out.
func TestReconcileIsChecked(t *testing.T) {
	s, _ := newStarter(t)
	_, err := s.Reconcile(t.Context(), reconcileRequest("mend"))
	require.Equal(t, "mode", requireRefusal(t, err, patch.CodeInvalidRequest).Field)
}

// TestReconcileJoins proves whose result a reconciliation shares, and what it is
// told of the others.
func TestReconcileJoins(t *testing.T) {
	byHand := describedWith(t, running, nil)
	byHand.WorkflowExecutionInfo.Type = &commonpb.WorkflowType{Name: workflows.ReconcileRuntimeType}
	for name, row := range map[string]struct {
		open  *workflowservice.DescribeWorkflowExecutionResponse
		tells string
	}{
		"the same mode":  {open: describedReconcile(t, patch.ModeEnforce)},
		"the other mode": {describedReconcile(t, patch.ModeAdopt), "a reconciliation of this game (adopt) is under way, wait for its end"},
		"by hand":        {byHand, "a reconciliation of this game (started by hand) is under way"},
		"a patch":        {described(t, "1.4.3", false, running), "patch " + openID + ` of this game to version "1.4.3"`},
		"one in doubt":   {inDoubt(t), "an operator has to retry or abandon it"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := blocked(t, row.open)
			handle, err := s.Reconcile(t.Context(), reconcileRequest(patch.ModeEnforce))
			if row.tells == "" {
				require.NoError(t, err)
				require.True(t, handle.Joined)
				require.Equal(t, openID, handle.PatchID)
				return
			}
			refusal := requireRefusal(t, err, patch.CodePatchInProgress)
			require.Contains(t, refusal.Message, row.tells)
			if name != "by hand" {
				require.Equal(t, openID, refusal.PatchID)
			}
		})
	}
}

// TestStartDuringAReconciliation proves that a patch waits for the end of a
// reconciliation, and is told so; one that is not well formed is told that.
func TestStartDuringAReconciliation(t *testing.T) {
	s, _ := blocked(t, describedReconcile(t, patch.ModeEnforce))
	_, err := s.Start(t.Context(), request("1.4.3", false))
	refusal := requireRefusal(t, err, patch.CodePatchInProgress)
	require.Equal(t, openID, refusal.PatchID)
	require.Equal(t, "a reconciliation of this game (enforce) is under way, wait for its end", refusal.Message)

	s, _ = blocked(t, describedReconcile(t, patch.ModeEnforce))
	_, err = s.Start(t.Context(), patch.Request{PatchID: newID, GameID: gameID})
	require.Equal(t, "version", requireRefusal(t, err, patch.CodeInvalidRequest).Field)
}
