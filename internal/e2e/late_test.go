package e2e_test

import (
	"net/http"
	"slices"
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
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	require.NoError(t, r.temporal.CancelWorkflow(t.Context(), patch.WorkflowID(game), ""))
	body := r.awaitEnd(patchID)
	require.Equal(t, string(patch.CodeCancelled), body["code"])
	require.Contains(t, r.audit(game)[0].Undo, "calls below fence")
	recordHistory(t, r, "cancelled_fenced", game)

	r.landHeld(game)
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
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	r.exec("UPDATE runtime_records SET status = 'stopped' WHERE game_id = $1", game)
	require.NoError(t, r.simulator.PutRuntime(game, image("1.4.2"), "exited"))
	require.NoError(t, r.temporal.CancelWorkflow(t.Context(), patch.WorkflowID(game), ""))
	require.Equal(t, string(patch.CodeCancelled), r.awaitEnd(patchID)["code"])
	r.landHeld(game)
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
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	require.NoError(t, r.temporal.CancelWorkflow(t.Context(), patch.WorkflowID(game), ""))
	// The undo has seen the container where it belongs, and is waiting for what may
	// still come.
	r.awaitEntry(game, "a look at the container", func(entry rtmsim.LogEntry) bool { return entry.Op == rtmsim.OpInspect })
	r.landHeld(game)
	body := r.awaitEnd(patchID)
	require.Equal(t, string(patch.CodeCancelled), body["code"])
	r.requireInLine(game, "1.4.2", 2)
	require.Len(t, r.audit(game), 1)
	recordHistory(t, r, "cancelled_late", game)
}

// holdPatch has the game's next recreate wait until letGo.
func (r *rig) holdPatch(game string) {
	r.t.Helper()
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHeld, Name: holdName(game), Times: 1})
}

// holdName is what the fault of holdPatch is called.
func holdName(game string) string { return "hold " + game }

// letGo has the game's held recreate go on.
func (r *rig) letGo(game string) {
	r.t.Helper()
	require.True(r.t, r.simulator.ReleaseFault(holdName(game)), "nothing holds a recreate of %s", game)
}

// landHeld is letGo, and waits until the recreate has landed or has been kept from
// it.
func (r *rig) landHeld(game string) {
	r.t.Helper()
	r.letGo(game)
	r.awaitEntry(game, "the held recreate", func(entry rtmsim.LogEntry) bool { return entry.Fault == rtmsim.ModeHeld })
}

// awaitEntry waits until a call of the game that is meant has ended.
func (r *rig) awaitEntry(game, what string, meant func(rtmsim.LogEntry) bool) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		page, err := r.simulator.Log(rtmsim.LogQuery{GameID: game})
		return err == nil && slices.ContainsFunc(page.Entries, func(entry rtmsim.LogEntry) bool {
			return entry.EndedOrder > 0 && meant(entry)
		})
	}, patience, waitTick, "the end of %s of %s", what, game)
}
