package e2e_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
)

// reset resets the game's latest run to its first workflow task, as an operator
// does in the UI, and returns the id of the new run.
func reset(t *testing.T, r *rig, game string) string {
	t.Helper()
	described, err := r.temporal.DescribeWorkflowExecution(t.Context(), patch.WorkflowID(game), "")
	require.NoError(t, err)
	answer, err := r.temporal.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: "default",
		WorkflowExecution: &commonpb.WorkflowExecution{
			WorkflowId: patch.WorkflowID(game), RunId: described.GetWorkflowExecutionInfo().GetExecution().GetRunId(),
		},
		Reason: "test", RequestId: uuid.NewString(),
		// The first workflow task is started by event 3 and completed by 4.
		WorkflowTaskFinishEventId: 4,
	})
	require.NoError(t, err)
	return answer.GetRunId()
}

// TestResetOfAClosedRun proves that a reset recreates nothing that is done
// already, leaves an audit row of its own, and is what the patch's id leads to.
func TestResetOfAClosedRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	patched := r.patch(game, "1.4.3")
	require.Equal(t, http.StatusOK, patched.status)
	runID := reset(t, r, game)
	body := r.awaitPatch(patched.body["patch_id"].(string), "the reset run's end", func(body map[string]any) bool {
		return body["state"] == "closed" && body["run_id"] == runID
	})
	require.Equal(t, "success", body["outcome"])
	require.Equal(t, true, body["noop"])
	rows := r.audit(game)
	require.Len(t, rows, 2)
	require.Equal(t, rows[0].PatchID, rows[1].PatchID)
	require.NotEqual(t, rows[0].RunID, rows[1].RunID)
	r.requireInLine(game, "1.4.3", 1)
}

// TestResetOfAnOpenRun proves that a caller who waits is answered by the run
// that took the place of the one that was reset.
func TestResetOfAnOpenRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang, Times: 1})
	waiting := r.patchBeside(game, "1.4.3")
	r.awaitCall(game)
	runID := reset(t, r, game)
	a := await(t, waiting)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, runID, a.body["run_id"])
	require.Len(t, r.audit(game), 1)
	r.requireInLine(game, "1.4.3", 1)
}
