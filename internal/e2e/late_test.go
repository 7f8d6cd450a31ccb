package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
)

// TestLateRecreateCannotLand proves that a recreate which Runtime Manager
// carries out after the patch was cancelled has no effect, and that the patch
// need not wait for it.
func TestLateRecreateCannotLand(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_SETTLE_TIME=1h")
	r.startWorker()
	game := r.game()
	r.slowPatch(game, 4000)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	require.NoError(t, r.temporal.CancelWorkflow(t.Context(), patch.WorkflowID(game), ""))
	body := r.awaitEnd(patchID)
	require.Equal(t, string(patch.CodeCancelled), body["code"])
	require.Contains(t, r.audit(game)[0].Undo, "calls below fence")
	recordHistory(t, r, "cancelled_fenced", game)

	r.awaitLanding(game)
	r.requireInLine(game, "1.4.2", 0)
	require.Equal(t, http.StatusOK, r.patch(game, "1.4.3").status, "the next patch is let in")
	r.requireInLine(game, "1.4.3", 1)
}

// TestLateRecreateOfAStoppedGame proves that a recreate which is under way when
// its game is stopped does not start the game again.
func TestLateRecreateOfAStoppedGame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.slowPatch(game, 4000)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	r.exec("UPDATE runtime_records SET status = 'stopped' WHERE game_id = $1", game)
	require.NoError(t, r.simulator.PutRuntime(game, image("1.4.2"), "exited"))
	require.NoError(t, r.temporal.CancelWorkflow(t.Context(), patch.WorkflowID(game), ""))
	require.Equal(t, string(patch.CodeCancelled), r.awaitEnd(patchID)["code"])
	r.awaitLanding(game)
	container, _ := r.simulator.Runtime(game)
	require.Equal(t, "exited", container.Status)
	require.Zero(t, container.Recreates)
}

// TestLateRecreate proves that with a Runtime Manager that knows no fencing
// numbers a recreate which lands after the patch was cancelled is seen and put
// back.
func TestLateRecreate(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_SETTLE_TIME=6s")
	r.simulator.SetFencing(false)
	r.startWorker()
	game := r.game()
	r.slowPatch(game, 6000)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	require.NoError(t, r.temporal.CancelWorkflow(t.Context(), patch.WorkflowID(game), ""))
	body := r.awaitEnd(patchID)
	require.Equal(t, string(patch.CodeCancelled), body["code"])
	r.requireInLine(game, "1.4.2", 2)
	require.Len(t, r.audit(game), 1)
	recordHistory(t, r, "cancelled_late", game)
}

// awaitLanding waits until the game's slow recreate would have landed.
func (r *rig) awaitLanding(game string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		page, err := r.simulator.Log(rtmsim.LogQuery{GameID: game})
		if err != nil {
			return false
		}
		for _, entry := range page.Entries {
			if entry.Fault == rtmsim.ModeSlow && entry.EndedOrder > 0 {
				return true
			}
		}
		return false
	}, patience, waitTick, "the slow call never ended")
}
