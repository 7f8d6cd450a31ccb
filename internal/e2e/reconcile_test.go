package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// reconcile asks for a reconciliation and waits for its end.
func (r *rig) reconcile(game, mode string) answer {
	r.t.Helper()
	return r.call(http.MethodPost, base+"/runtimes/"+game+"/reconcile", `{"mode":"`+mode+`","reason":"test"}`, "Prefer: wait=60")
}

// TestReconcile proves, in both modes, that record and container end together,
// with an audit row of its own kind.
func TestReconcile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	for mode, ends := range map[string]string{"enforce": "1.4.2", "adopt": "1.4.3"} {
		game := r.game()
		require.NoError(t, r.simulator.PutRuntime(game, image("1.4.3"), rtmsim.StatusRunning))
		a := r.reconcile(game, mode)
		require.Equal(t, http.StatusOK, a.status, a.body)
		recreates := 0
		if mode == "enforce" {
			recreates = 1
		}
		r.requireInLine(game, ends, recreates)
		rows := r.audit(game)
		require.Len(t, rows, 1)
		require.Equal(t, operation.OpKindReconcile, rows[0].OpKind)
		require.Equal(t, everything().name, rows[0].Actor)
		recordHistory(t, r, "reconcile_"+mode, game)
	}
}

// TestReconcileRefused proves that a game which is stopped is left alone.
func TestReconcileRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.exec("UPDATE runtime_records SET status = 'stopped' WHERE game_id = $1", game)
	a := r.reconcile(game, "enforce")
	require.Equal(t, http.StatusConflict, a.status, a.body)
	require.Equal(t, patch.CodeRuntimeNotRunning, a.code())
	recordHistory(t, r, "reconcile_refused", game)
}

// TestReconcileFails proves that an enforcement which Runtime Manager refuses
// ends as failed, and leaves nothing behind that could land later.
func TestReconcileFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	require.NoError(t, r.simulator.PutRuntime(game, image("1.4.3"), rtmsim.StatusRunning))
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusBadRequest, Times: 1})
	a := r.reconcile(game, "enforce")
	require.Equal(t, patch.CodeServiceUnavailable, a.code(), a.body)
	require.Equal(t, failed, r.closeStatus(game))
	require.Len(t, r.audit(game), 1)
	page, err := r.simulator.Log(rtmsim.LogQuery{GameID: game})
	require.NoError(t, err)
	last := page.Entries[len(page.Entries)-1]
	require.Equal(t, rtmsim.OpFence, last.Op)
	require.Equal(t, rtmsim.EffectApplied, last.Effect)
	recordHistory(t, r, "reconcile_failed", game)
}

// TestReconcileBesideAPatch proves that the two never run beside each other.
func TestReconcileBesideAPatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	refused := r.reconcile(game, "adopt")
	require.Equal(t, patch.CodePatchInProgress, refused.code())
	require.Equal(t, patchID, refused.body["patch_id"])
	r.letGo(game)
	require.Equal(t, "success", r.awaitEnd(patchID)["outcome"])
	r.requireInLine(game, "1.4.3", 1)
}
