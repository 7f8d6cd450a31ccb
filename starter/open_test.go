package starter_test

import (
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// TestOpenPhase proves which phase is told without asking a worker.
func TestOpenPhase(t *testing.T) {
	for _, row := range []struct {
		outcome, phase, pending string
		want                    patch.Phase
	}{
		{workflows.OutcomeOpen, "", "", ""},
		{workflows.OutcomeOpen, workflows.PhaseForward, "", ""},
		{workflows.OutcomeNeedsOperator, "", "", patch.PhaseNeedsOperator},
		{workflows.OutcomeNeedsOperator, "needs_operator", "", patch.PhaseNeedsOperator},
		{workflows.OutcomeOpen, "compensating", "", patch.PhaseCompensating},
		{workflows.OutcomeOpen, "auditing", "", patch.PhaseAuditing},
		{workflows.OutcomeOpen, workflows.PhaseForward, "PatchContainer", patch.PhasePatching},
		{workflows.OutcomeNeedsOperator, "", "RestoreContainer", patch.PhaseCompensating}, // An operator let it try again.
	} {
		s, temporal := newStarter(t)
		answer := withOutcome(t, described(t, "1.4.3", false, running), row.outcome)
		phase, err := converter.GetDefaultDataConverter().ToPayload(row.phase)
		require.NoError(t, err)
		answer.WorkflowExecutionInfo.SearchAttributes.IndexedFields[workflows.PhaseKey.GetName()] = phase
		if row.pending != "" {
			answer.PendingActivities = []*workflowpb.PendingActivityInfo{{ActivityType: &commonpb.ActivityType{Name: row.pending}}}
		}
		temporal.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "").Return(answer, nil)
		page, err := s.ListOpen(t.Context(), patch.OpenQuery{GameID: gameID, Limit: 1})
		require.NoError(t, err)
		require.Equal(t, row.want, page.Patches[0].Phase)
	}
}

// TestListOpenOfRunsByHand proves that a run which was started by hand, without
// a memo, is in the list with its game, and that the prefixes hold for what the
// store answers as well.
func TestListOpenOfRunsByHand(t *testing.T) {
	byHand := &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: patch.WorkflowID(gameID), RunId: "run-1"}, Status: running,
	}
	s, temporal := newStarter(t)
	temporal.On("ListWorkflow", mock.Anything, mock.Anything).Return(
		&workflowservice.ListWorkflowExecutionsResponse{Executions: []*workflowpb.WorkflowExecutionInfo{byHand}}, nil)
	page, err := s.ListOpen(t.Context(), patch.OpenQuery{Limit: 1})
	require.NoError(t, err)
	require.Len(t, page.Patches, 1)
	require.Equal(t, patch.Handle{GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-1"}, page.Patches[0].Handle)
	page, err = s.ListOpen(t.Context(), patch.OpenQuery{Limit: 1, GamePrefixes: []string{"prod-"}})
	require.NoError(t, err)
	require.Empty(t, page.Patches)
}

// TestListOpenAsksForNothingElse proves that a query which cannot be answered
// does not reach Temporal.
func TestListOpenAsksForNothingElse(t *testing.T) {
	s, _ := newStarter(t)
	_, err := s.ListOpen(t.Context(), patch.OpenQuery{GamePrefixes: []string{"a' OR 'a"}, Limit: 1})
	require.ErrorContains(t, err, "no game id begins with")
	_, err = s.ListOpen(t.Context(), patch.OpenQuery{GameID: "No Such", Limit: 1})
	require.Equal(t, "game_id", requireRefusal(t, err, patch.CodeInvalidRequest).Field)
}
