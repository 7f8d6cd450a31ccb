//go:build browser

package browser_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// TestResetOfAFailedRun proves that a patch which failed can be had again by a
// reset from its page, that it ends well then, and that both runs have their row.
func TestResetOfAFailedRun(t *testing.T) {
	const game = "demo-3"
	stack.fault(t, rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 409})
	patchID := stack.patch(t, game)
	require.Equal(t, "failure", stack.awaitPatch(t, patchID, "state", "closed")["outcome"])
	p := open(t, stack.page(game))
	p.see("FAILED")
	p.shot("failed")

	stack.heal(t, game)
	p.reset("first", "Runtime Manager takes recreates again", "reset_form")
	require.Eventually(t, func() bool { return len(stack.audit(t, game)) == 2 }, patience, waitTick)
	require.Equal(t, "success", stack.awaitPatch(t, patchID, "state", "closed")["outcome"])
	stack.requireOn(t, game, "1.4.3", 1)
	p.show(stack.page(game))
	p.see("COMPLETED")
	p.shot("completed")
}

// TestResetToTheLastTask proves that a reset of a patch which failed, or which
// succeeded and was followed by another, to its last workflow task touches neither
// record nor container, and that page and audit row tell what the run before did
// as that, and not as what is.
func TestResetToTheLastTask(t *testing.T) {
	t.Run("of a failed run", func(t *testing.T) {
		const game = "last-task-of-failed"
		stack.newGame(t, game)
		stack.fault(t, rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: 409, Times: 1})
		patchID := stack.patch(t, game)
		first := stack.awaitPatch(t, patchID, "state", "closed")
		rows := resetToTheLastTask(t, game, first)
		require.Len(t, rows, 2)
		stack.requireOn(t, game, "1.4.2", 2)
		for _, row := range rows {
			require.Equal(t, "failure", row["outcome"])
			require.Equal(t, "service_unavailable", row["error_code"])
			require.Contains(t, row["undo"], "container recreated on")
		}
		require.NotContains(t, rows[1]["undo"], "before the reset")
		require.Contains(t, rows[0]["undo"], "that was the run before the reset")
	})
	t.Run("of a successful run that another one followed", func(t *testing.T) {
		const game = "last-task-of-success"
		stack.newGame(t, game)
		patchID := stack.patch(t, game)
		first := stack.awaitPatch(t, patchID, "state", "closed")
		stack.awaitPatch(t, stack.patchTo(t, game, "1.4.4"), "outcome", "success")
		rows := resetToTheLastTask(t, game, first)
		require.Len(t, rows, 3)
		stack.requireOn(t, game, "1.4.4", 2)
		for _, row := range rows {
			require.Equal(t, "success", row["outcome"])
			// Only the new run of the first patch changed nothing.
			require.Equal(t, row["patch_id"] == patchID && row["run_id"] != first["run_id"], row["noop"])
		}
	})
}

// resetToTheLastTask resets the run of a patch that has ended, waits until its
// page tells that the run before did everything, and returns the audit rows of
// the game.
func resetToTheLastTask(t *testing.T, game string, run map[string]any) []map[string]any {
	t.Helper()
	p := open(t, stack.page(game)+"/"+run["run_id"].(string))
	p.reset("last", "by mistake", "")
	patchID := run["patch_id"].(string)
	require.Eventually(t, func() bool {
		_, body := stack.call(t, http.MethodGet, "/patches/"+patchID, "")
		return body["state"] == "closed" && body["run_id"] != run["run_id"]
	}, patience, waitTick)
	p.show(stack.page(game))
	p.press("[data-testid=user-metadata-tab]")
	p.see("the run before the reset")
	p.shot("reset_to_the_last_" + run["outcome"].(string))
	return stack.audit(t, game)
}
