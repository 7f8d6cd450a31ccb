package e2e_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// TestInProgress proves that a game has one open patch: another version is
// refused and told which patch is in the way, and leaves nothing behind.
func TestInProgress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	refused := r.patch(game, "1.4.4")
	require.Equal(t, http.StatusConflict, refused.status)
	require.Equal(t, patch.CodePatchInProgress, refused.code())
	require.Equal(t, patchID, refused.body["patch_id"])
	invalid := r.patch(game, "soon")
	require.Equal(t, http.StatusBadRequest, invalid.status, invalid.body)
	r.letGo(game)
	require.Equal(t, "success", r.awaitEnd(patchID)["outcome"])
	require.Len(t, r.audit(game), 1)
	r.requireInLine(game, "1.4.3", 1)
}

// TestJoin proves that any number of requests for the same version share one
// run and its result.
func TestJoin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.holdPatch(game)
	const callers = 40
	var waiting []<-chan result
	for i := range callers {
		waiting = append(waiting, r.patchBeside(game, "1.4.3", fmt.Sprintf("Idempotency-Key: k-%d", i)))
	}
	// A key is settled when its caller has the run and begins to wait for it.
	require.Eventually(t, func() bool {
		var settled int
		err := r.pool.QueryRow(t.Context(), "SELECT count(*) FROM idempotency_keys WHERE run_id <> ''").Scan(&settled)
		return err == nil && settled == callers
	}, patience, waitTick, "the callers never got all their run")
	ids := map[any]bool{r.async(game, "1.4.3"): true} // without a key, too
	r.letGo(game)
	for _, results := range waiting {
		a := await(t, results)
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, false, a.body["noop"])
		ids[a.body["patch_id"]] = true
	}
	require.Len(t, ids, 1)
	require.Len(t, r.audit(game), 1)
	r.requireInLine(game, "1.4.3", 1)
}

// TestIdempotencyKey proves that a repeated key is the same patch, also after
// it ended and another one came between.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	first := r.patch(game, "1.4.3", "Idempotency-Key: k-1")
	require.Equal(t, http.StatusOK, first.status, first.body)
	require.Equal(t, http.StatusOK, r.patch(game, "1.4.4").status)
	again := r.patch(game, "1.4.3", "Idempotency-Key: k-1")
	require.Equal(t, first.body["patch_id"], again.body["patch_id"])
	require.Equal(t, first.body["run_id"], again.body["run_id"])
	require.Len(t, r.audit(game), 2)
	r.requireInLine(game, "1.4.4", 2)

	reused := r.patch(game, "1.4.4", "Idempotency-Key: k-1")
	require.Equal(t, http.StatusUnprocessableEntity, reused.status, reused.body)
	require.EqualValues(t, "idempotency_key_reused", reused.code())
}

// TestMissingContainer proves that a game without a container, whose recreate
// Runtime Manager refuses, is not held: nothing was touched.
func TestMissingContainer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	_, err := r.simulator.DeleteRuntime(game)
	require.NoError(t, err)
	a := r.patch(game, "1.4.3")
	require.Equal(t, patch.CodeServiceUnavailable, a.code())
	require.Equal(t, failed, r.closeStatus(game))
	rows := r.audit(game)
	require.Len(t, rows, 1)
	require.Contains(t, rows[0].Undo, "no container")
	recordHistory(t, r, "missing_container", game)
}

// TestResultForEver proves that a patch's result is there after other patches
// of the game, and after Temporal has forgotten the run.
func TestResultForEver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	first, second := r.patch(game, "1.4.3"), r.patch(game, "1.4.4")
	for i, patched := range []answer{first, second} {
		looked := r.call(http.MethodGet, base+"/patches/"+patched.body["patch_id"].(string), "")
		require.Equal(t, "success", looked.body["outcome"], "patch %d", i)
		require.Equal(t, patched.body["run_id"], looked.body["run_id"])
		require.Equal(t, patched.body["to"], looked.body["to"])
		require.Equal(t, patched.body["runtime"], looked.body["runtime"])
	}
	forget(t, r, game, first)
	forget(t, r, game, second)
	for _, patched := range []answer{first, second} {
		looked := r.call(http.MethodGet, base+"/patches/"+patched.body["patch_id"].(string), "")
		require.Equal(t, "success", looked.body["outcome"])
		require.Equal(t, patched.body["from"], looked.body["from"])
	}
	missing := r.call(http.MethodGet, base+"/patches/"+patch.NewID(game), "")
	require.Equal(t, http.StatusNotFound, missing.status)
}

// TestTerminated proves that a run which an operator terminated, and which can
// therefore leave nothing, is told as such.
func TestTerminated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	game := r.game()
	patchID := r.async(game, "1.4.3")
	require.NoError(t, r.temporal.TerminateWorkflow(t.Context(), patch.WorkflowID(game), "", "test"))
	body := r.awaitEnd(patchID)
	require.Equal(t, "failure", body["outcome"])
	require.Equal(t, string(patch.CodeTerminated), body["code"])
}

// TestWorkerKilled proves that a patch whose worker is killed after the
// recreate began and before the record was rotated is finished by another
// worker, without a second recreate.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	worker := r.startWorker()
	game := r.game()
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	worker.kill()
	r.letGo(game)
	require.Eventually(t, func() bool {
		container, _ := r.simulator.Runtime(game)
		return container.Recreates == 1
	}, patience, waitTick, "the recreate never took place")
	require.Equal(t, "1.4.2", r.record(game).CurrentEngineVersion)

	r.startWorker()
	require.Equal(t, "success", r.awaitEnd(patchID)["outcome"])
	require.Len(t, r.audit(game), 1)
	r.requireInLine(game, "1.4.3", 1)
}

// TestWorkerStops proves that a worker which is told to stop hands back a call
// that hangs, and that another one finishes the patch.
func TestWorkerStops(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	worker := r.startWorker()
	game := r.game()
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang, Times: 1})
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	worker.signal(syscall.SIGTERM)
	require.Zero(t, worker.exitCode())
	body := r.awaitPatch(patchID, "handed back", func(body map[string]any) bool { return body["attempts"] == 2.0 })
	require.Contains(t, body["last_error"], "handed back")

	r.startWorker()
	require.Equal(t, "success", r.awaitEnd(patchID)["outcome"])
	r.requireInLine(game, "1.4.3", 1)
}

// TestAPIStops proves that a caller who waits when the API is told to stop gets
// a 202 that says where to look, and that the patch goes on.
func TestAPIStops(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	api := r.startAPI()
	game := r.game()
	waiting := r.patchBeside(game, "1.4.3")
	require.Eventually(t, func() bool {
		_, err := r.temporal.DescribeWorkflowExecution(t.Context(), patch.WorkflowID(game), "")
		return err == nil
	}, patience, waitTick)
	api.signal(syscall.SIGTERM)
	a := await(t, waiting)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	require.Zero(t, api.exitCode())

	r.startAPI()
	r.startWorker()
	require.Equal(t, "success", r.awaitEnd(a.body["patch_id"].(string))["outcome"])
}

// TestNeedsOperator proves that a patch whose undo cannot be done stays open,
// holds its game, and is brought to its end by an operator's update.
func TestNeedsOperator(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_MANAGER_BUDGET=3s", "GAMEMASTER_UNDO_BUDGET=2s")
	r.startWorker()
	game := r.game()
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusBadRequest, Times: 1})
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpInspect, Mode: rtmsim.ModeReset})
	patchID := r.async(game, "1.4.3")
	r.awaitPhase(patchID, patch.PhaseNeedsOperator)
	require.Equal(t, patch.CodePatchInProgress, r.patch(game, "1.4.4").code())

	update := func(reason string) error {
		handle, err := r.temporal.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
			WorkflowID: patch.WorkflowID(game), UpdateName: workflows.RetryUpdate,
			Args: []any{patch.Command{Actor: "ann", Reason: reason}}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err != nil {
			return err
		}
		return handle.Get(t.Context(), nil)
	}
	require.ErrorContains(t, update(""), "reason")
	require.Equal(t, string(patch.PhaseNeedsOperator), r.awaitPhase(patchID, patch.PhaseNeedsOperator)["phase"])
	r.simulator.ClearFaults()
	require.NoError(t, update("manager is back"))
	require.Equal(t, string(patch.CodeServiceUnavailable), r.awaitEnd(patchID)["code"])
	r.requireInLine(game, "1.4.2", 2)
	rows := r.audit(game)
	require.Len(t, rows, 1)
	require.Contains(t, rows[0].Undo, "manager is back")
	recordHistory(t, r, "needs_operator_retry", game)
}

// TestUndoThatHangs proves that an undo whose first call outlasts the whole
// budget is shown to an operator, and not taken for one that nobody tried.
func TestUndoThatHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_UNDO_BUDGET=2s")
	r.startWorker()
	game := r.game()
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusConflict, Times: 1})
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang})
	patchID := r.async(game, "1.4.3")
	r.awaitPhase(patchID, patch.PhaseNeedsOperator)
}

// TestTurnIsWaitedFor proves that the undo touches no container whose turn is
// being generated, and puts it back when the turn is done.
func TestTurnIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	r.exec("UPDATE runtime_records SET status = 'generation_in_progress' WHERE game_id = $1", game)
	r.letGo(game)
	body := r.awaitPatch(patchID, "the wait for the turn", func(body map[string]any) bool {
		return body["phase"] == string(patch.PhaseCompensating) && body["attempts"] == 2.0
	})
	require.Contains(t, body["last_error"], "turn")
	container, _ := r.simulator.Runtime(game)
	require.Equal(t, image("1.4.3"), container.ImageRef)
	require.Equal(t, 1, container.Recreates)

	r.exec("UPDATE runtime_records SET status = 'running' WHERE game_id = $1", game)
	require.Equal(t, string(patch.CodeConflict), r.awaitEnd(patchID)["code"])
	r.requireInLine(game, "1.4.2", 2)
	recordHistory(t, r, "conflict_after_turn", game)
}
