package e2e_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// did is what somebody did, as the API tells it: action, by whom and why.
func (r *rig) did(patchID string) [][3]string {
	r.t.Helper()
	answer := r.call(http.MethodGet, base+"/patches/"+patchID+"/history", "")
	require.Equal(r.t, http.StatusOK, answer.status, answer.body)
	var told [][3]string
	for _, one := range answer.body["interventions"].([]any) {
		fields := one.(map[string]any)
		told = append(told, [3]string{fields["action"].(string), fields["by"].(string), fields["reason"].(string)})
	}
	return told
}

// awaitKept waits until n interventions in the patch are in the store.
func (r *rig) awaitKept(patchID string, n int) []history.Intervention {
	r.t.Helper()
	var kept []history.Intervention
	require.Eventually(r.t, func() bool {
		var err error
		kept, err = postgres.NewHistories(r.pool).ListInterventions(r.t.Context(), patchID, 10)
		return err == nil && len(kept) == n
	}, patience, waitTick, "the interventions in %s", patchID)
	return kept
}

// press does what a UI in which bob is signed in does.
func (r *rig) press(game, action, reason string) {
	r.t.Helper()
	var err error
	service, run := r.temporal.WorkflowService(), &commonpb.WorkflowExecution{WorkflowId: patch.WorkflowID(game)}
	switch action {
	case "terminate":
		_, err = service.TerminateWorkflowExecution(r.t.Context(), &workflowservice.TerminateWorkflowExecutionRequest{
			Namespace: client.DefaultNamespace, WorkflowExecution: run, Identity: "bob@host", Reason: reason,
		})
	case "reset":
		_, err = service.ResetWorkflowExecution(r.t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: client.DefaultNamespace, WorkflowExecution: run, Identity: "bob@host", Reason: reason,
			RequestId: uuid.NewString(), WorkflowTaskFinishEventId: tasks(r.t, r, game)[0],
		})
	case "signal":
		_, err = service.SignalWorkflowExecution(r.t.Context(), &workflowservice.SignalWorkflowExecutionRequest{
			Namespace: client.DefaultNamespace, WorkflowExecution: run, Identity: "bob@host", SignalName: reason,
		})
	}
	require.NoError(r.t, err)
}

// TestWhoDidItAndWhy proves that who cancelled, terminated, signalled or started a
// patch by hand, and why, and why it was reset, is told of an open run and after
// Temporal has forgotten the runs; that each is told once, also what a reset carried
// over; and that the name in a cancellation is the one that the API let in.
func TestWhoDidItAndWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_EXPORT_INTERVAL=10s")
	r.startWorker()
	cancelled, ended := r.game(), r.game()
	for _, game := range []string{cancelled, ended} {
		r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 503})
	}
	first, second := r.async(cancelled, "1.4.3"), r.async(ended, "1.4.3")
	r.awaitPhase(first, patch.PhasePatching)
	r.awaitPhase(second, patch.PhasePatching)

	require.Empty(t, r.did(first))
	r.press(cancelled, "signal", "hello")
	require.Equal(t, [][3]string{{"signal", "bob@host", "hello"}}, r.did(first), "of an open run")
	require.Equal(t, http.StatusAccepted, r.call(http.MethodPost, base+"/patches/"+first+"/cancel", `{"reason":"wrong: game"}`).status)
	r.simulator.DeleteFaultsOf(cancelled)
	r.awaitEnd(first)
	r.awaitKept(first, 2)
	r.press(cancelled, "reset", "once more")
	r.press(ended, "terminate", "it hung")
	r.simulator.DeleteFaultsOf(ended)
	byHand, err := r.temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: patch.WorkflowID(ended), TaskQueue: r.taskQueue()},
		workflows.PatchRuntimeType, workflows.Input{Request: patch.Request{PatchID: second, GameID: ended, Version: "1.4.3"}})
	require.NoError(t, err)
	require.NoError(t, byHand.Get(t.Context(), nil))

	kept := r.awaitKept(second, 2)
	require.Equal(t, byHand.GetRunID(), kept[0].RunID)
	identity := kept[0].By
	require.NotEmpty(t, identity)
	wants := map[string][][3]string{
		first:  {{"signal", "bob@host", "hello"}, {"cancel", "e2e", "wrong: game"}, {"reset", "", "once more"}},
		second: {{"terminate", "bob@host", "it hung"}, {"start", identity, ""}},
	}
	for patchID, want := range wants {
		runs := map[history.Ref]bool{}
		for _, one := range r.awaitKept(patchID, len(want)) {
			runs[history.Ref{WorkflowID: patch.WorkflowID(one.GameID), RunID: one.RunID}] = true
		}
		require.Len(t, runs, 2)
		for run := range runs {
			r.forget(run)
		}
		require.Equal(t, want, r.did(patchID))
	}
	code, printed := runToEnd(t, []string{"GAMEMASTER_SERVER=" + r.url, "GAMEMASTER_TOKEN=" + token}, "patches", "history", first)
	require.Zero(t, code, printed)
	require.Contains(t, printed, "cancel requested by e2e: wrong: game")
	require.Contains(t, printed, "reset: once more")
}
