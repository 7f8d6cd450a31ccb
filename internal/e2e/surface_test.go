package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
)

// TestRollback proves that "previous" is what really ran before, there and
// back, that a version which is named has to be lower, and that one which games
// may not move to is refused by the patch itself.
func TestRollback(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	back := func(to string) answer {
		return r.call(http.MethodPost, base+"/runtimes/"+game+"/rollback", `{"to":"`+to+`"}`, "Prefer: wait=60")
	}
	require.Equal(t, patch.Code("no_previous_version"), back("previous").code())
	require.Equal(t, http.StatusOK, r.patch(game, "1.4.3").status)
	require.Equal(t, patch.CodeSemverPatchOnly, r.patch(game, "1.5.0").code(), "a failure moved nothing")

	require.Equal(t, http.StatusOK, back("previous").status)
	r.requireInLine(game, "1.4.2", 2)
	require.Equal(t, http.StatusOK, back("previous").status)
	r.requireInLine(game, "1.4.3", 3)
	require.Equal(t, http.StatusBadRequest, back("1.4.4").status)
	require.Equal(t, patch.CodeEngineVersionNotFound, back("1.4.1").code(), "it is deprecated")
	r.requireInLine(game, "1.4.3", 3)
}

// TestDryRunTouchesNothing proves that a dry run tells what the patch then does,
// and leaves neither a run nor a row.
func TestDryRunTouchesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	for _, row := range []struct {
		version, kind string
		code          patch.Code
	}{
		{"1.4.3", "upgrade", ""},
		{"1.4.2", "noop", ""},
		{"1.4.1", "", patch.CodeEngineVersionNotFound},
		{"1.5.0", "", patch.CodeSemverPatchOnly},
	} {
		plan := r.call(http.MethodPost, base+"/runtimes/"+game+"/patch", `{"version":"`+row.version+`","dry_run":true}`)
		require.Equal(t, http.StatusOK, plan.status, plan.body)
		require.Equal(t, row.code == "", plan.body["allowed"])
		require.Equal(t, row.code, plan.code())
		if row.kind != "" {
			require.Equal(t, row.kind, plan.body["kind"])
		}
		require.Empty(t, r.audit(game))
		r.requireInLine(game, "1.4.2", 0)
	}
	require.Empty(t, r.call(http.MethodGet, base+"/patches?game_id="+game, "").body["patches"])
}

// TestListAndCancel proves that an open patch is listed, that cancelling it puts
// the container back, says who wanted it and why in the history, and that a
// patch which has ended cannot be cancelled.
func TestListAndCancel(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_SETTLE_TIME=1s")
	r.startWorker()
	game := r.game()
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang})
	id := r.async(game, "1.4.3")
	r.awaitCall(game)
	open := r.call(http.MethodGet, base+"/patches?game_id="+game, "").body["patches"].([]any)
	require.Len(t, open, 1)
	require.Equal(t, id, open[0].(map[string]any)["patch_id"])
	require.Equal(t, everything().name, open[0].(map[string]any)["actor"])

	asked := r.call(http.MethodPost, base+"/patches/"+id+"/cancel", `{"reason":"wrong game"}`)
	require.Equal(t, http.StatusAccepted, asked.status, asked.body)
	ended := r.awaitEnd(id)
	require.Equal(t, string(patch.CodeCancelled), ended["code"])
	r.requireInLine(game, "1.4.2", 0)
	closed := r.call(http.MethodPost, base+"/patches/"+id+"/cancel", "")
	require.Equal(t, patch.Code("patch_closed"), closed.code())

	told := ""
	for history := r.temporal.GetWorkflowHistory(t.Context(), patch.WorkflowID(game), "", false, 0); history.HasNext(); {
		event, err := history.Next()
		require.NoError(t, err)
		told += event.GetWorkflowExecutionCancelRequestedEventAttributes().GetCause()
	}
	require.Contains(t, told, everything().name)
	require.Contains(t, told, "wrong game")
}

// TestImageChangesDuringAPatch proves that a version whose image is changed
// while a game is on its way there does not get a record beside its image: the
// patch is a conflict, and the container goes back.
func TestImageChangesDuringAPatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.slowPatch(game, 1500)
	patched := r.patchBeside(game, "1.4.3")
	r.awaitCall(game)
	put := r.call(http.MethodPut, base+"/engine-versions/1.4.3", `{"image_ref":"registry.example/engine:1.4.3-fixed"}`)
	require.Equal(t, http.StatusOK, put.status, put.body)
	a := await(t, patched)
	require.Equal(t, patch.CodeConflict, a.code(), a.body)
	r.requireInLine(game, "1.4.2", 2)
	again := r.patch(game, "1.4.3")
	require.Equal(t, http.StatusOK, again.status, again.body)
	require.Equal(t, "registry.example/engine:1.4.3-fixed", r.record(game).CurrentImageRef)
	require.Equal(t, patch.Code("engine_version_in_use"),
		r.call(http.MethodPut, base+"/engine-versions/1.4.3", `{"image_ref":"registry.example/engine:other"}`).code())
}
