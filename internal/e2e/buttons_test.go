package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
)

// TestResetOfAStep proves that a step which an operator resets goes on where it
// was, and that one whose count of attempts was reset as well ends with the
// container as the record says.
func TestResetOfAStep(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		forget    bool
		outcome   string
		version   string
		recreates int
	}{
		"as the form has it":       {outcome: "success", version: "1.4.3", recreates: 1},
		"with its heartbeats gone": {forget: true, outcome: "failure", version: "1.4.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.startWorker()
			game := r.game()
			r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 503})
			patchID := r.async(game, "1.4.3")
			attempts := func(body map[string]any) float64 { n, _ := body["attempts"].(float64); return n }
			r.awaitPatch(patchID, "some attempts", func(body map[string]any) bool { return attempts(body) > 3 })
			_, err := r.temporal.WorkflowService().ResetActivity(t.Context(), &workflowservice.ResetActivityRequest{
				Namespace: client.DefaultNamespace, Execution: &commonpb.WorkflowExecution{WorkflowId: patch.WorkflowID(game)},
				Activity:       &workflowservice.ResetActivityRequest_Type{Type: "PatchContainer"},
				ResetHeartbeat: row.forget,
			})
			require.NoError(t, err)
			r.simulator.DeleteFaultsOf(game)
			require.Equal(t, row.outcome, r.awaitEnd(patchID)["outcome"])
			r.requireInLine(game, row.version, row.recreates)
		})
	}
}

// TestPausedRun proves that a run which an operator paused is open to everybody:
// it is listed and looked at, keeps another patch out, and can be cancelled.
func TestPausedRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 503})
	patchID := r.async(game, "1.4.3")
	r.awaitPhase(patchID, patch.PhasePatching)
	service, workflowID := r.temporal.WorkflowService(), patch.WorkflowID(game)
	_, err := service.PauseWorkflowExecution(t.Context(), &workflowservice.PauseWorkflowExecutionRequest{
		Namespace: client.DefaultNamespace, WorkflowId: workflowID, Reason: "wait", RequestId: "pause",
	})
	require.NoError(t, err)

	require.Equal(t, "open", r.call(http.MethodGet, base+"/patches/"+patchID, "").body["state"])
	require.Eventually(t, func() bool {
		patches, _ := r.call(http.MethodGet, base+"/patches?state=open", "").body["patches"].([]any)
		for _, listed := range patches {
			if listed.(map[string]any)["patch_id"] == patchID {
				return true
			}
		}
		return false
	}, patience, waitTick, "in the list, which lags behind")
	require.Equal(t, patch.CodePatchInProgress, r.patch(game, "1.4.4").code())
	require.Equal(t, http.StatusAccepted, r.call(http.MethodPost, base+"/patches/"+patchID+"/cancel", `{"reason":"not today"}`).status)
	_, err = service.UnpauseWorkflowExecution(t.Context(), &workflowservice.UnpauseWorkflowExecutionRequest{
		Namespace: client.DefaultNamespace, WorkflowId: workflowID, RequestId: "unpause",
	})
	require.NoError(t, err)
	require.Equal(t, string(patch.CodeCancelled), r.awaitEnd(patchID)["code"])
	r.requireInLine(game, "1.4.2", 0)
}
