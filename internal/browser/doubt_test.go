//go:build browser

package browser_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// TestAbandonFromTheForm proves that the form refuses to abandon a patch without
// a reason, and says so; that with one the run ends as Failed and its page tells
// that container and record may differ; that who abandoned it and why stands in
// the audit row; and that the game is free for the next patch, which brings the
// two together.
func TestAbandonFromTheForm(t *testing.T) {
	const game, reason = "demo-4", "the host is gone"
	patchID := stack.doubt(t, game)
	p := open(t, stack.page(game))
	p.chooseUpdate("abandon")
	p.fill("dialog[open] .cm-content", `{"actor":"ann"}`)
	p.press("dialog[open] [data-testid=confirm-modal-button]")
	p.see("reason: must not be empty: it goes into the audit log")
	p.shot("update_refused")
	_, body := stack.call(t, http.MethodGet, "/patches/"+patchID, "")
	require.Equal(t, "needs_operator", body["phase"])

	p.fill("dialog[open] .cm-content", `{"actor":"ann","reason":"`+reason+`"}`)
	p.press("dialog[open] [data-testid=confirm-modal-button]")
	require.Equal(t, "failure", stack.awaitPatch(t, patchID, "state", "closed")["outcome"])
	p.show(stack.page(game))
	p.see("FAILED")
	p.press("[data-testid=user-metadata-tab]")
	p.see("container and record may differ")
	p.shot("abandoned")
	rows := stack.audit(t, game)
	require.Len(t, rows, 1)
	require.Equal(t, "service_unavailable", rows[0]["error_code"])
	require.Contains(t, rows[0]["undo"], `abandon by "ann": `+reason)
	stack.requireApart(t, game)

	stack.heal(t, game)
	next := stack.patch(t, game)
	require.NotEqual(t, patchID, next)
	require.Equal(t, "success", stack.awaitPatch(t, next, "state", "closed")["outcome"])
	stack.requireOn(t, game, "1.4.3", 2)
}

// TestPausedUndo proves that the step which puts the container back can be
// paused, that it leaves the container alone until it is unpaused, and that the
// container is put back then.
func TestPausedUndo(t *testing.T) {
	const game = "demo-5"
	stack.fault(t, rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: 409, Times: 1})
	stack.fault(t, rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 503})
	patchID := stack.patch(t, game)
	stack.awaitPatch(t, patchID, "phase", "compensating")
	p := open(t, stack.page(game))
	p.pauseStep("Runtime Manager is being mended")
	stack.heal(t, game)
	// It would have been tried again by now if it were not paused: the tab shows
	// no next try.
	p.await("no next try", "!says('Next Retry')")
	stack.requireApart(t, game)
	_, body := stack.call(t, http.MethodGet, "/patches/"+patchID, "")
	require.Equal(t, "compensating", body["phase"])

	p.press("button", "Unpause")
	p.press("dialog[open] [data-testid=confirm-modal-button]")
	body = stack.awaitPatch(t, patchID, "state", "closed")
	require.Equal(t, "failure", body["outcome"])
	require.Equal(t, "service_unavailable", body["code"])
	// The recreate that was told as refused, and the one that put it back.
	stack.requireOn(t, game, "1.4.2", 2)
	rows := stack.audit(t, game)
	require.Len(t, rows, 1)
	require.Contains(t, rows[0]["undo"], "container recreated on")
	p.show(stack.page(game))
	p.see("FAILED")
}

// TestPausedInDoubt proves that a patch which is paused while it waits for an
// operator takes no decision, neither from the form nor from the API, which both
// say why; and that it takes one after it is unpaused, and ends well.
func TestPausedInDoubt(t *testing.T) {
	const game, reason = "paused-in-doubt", "Runtime Manager takes recreates again"
	stack.newGame(t, game)
	patchID := stack.doubt(t, game)
	stack.heal(t, game)
	p := open(t, stack.page(game))
	p.press("button", "Pause Workflow")
	p.fill("dialog[open] input, dialog[open] textarea", "look at the host first")
	p.confirm()
	p.see("This Workflow is Paused")
	p.shot("paused_run")
	p.show(stack.page(game)) // a form that knows no updates, since the run is not asked for them
	p.act("update-button")
	p.fill("dialog[open] #update-name", "retry")
	p.fill("dialog[open] .cm-content", `{"actor":"ann","reason":"`+reason+`"}`)
	p.press("dialog[open] [data-testid=confirm-modal-button]")
	p.see("Workflow is paused")
	p.shot("update_paused")
	status, refused := stack.call(t, http.MethodPost, "/patches/"+patchID+"/retry", `{"reason":"`+reason+`"}`)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, refused["detail"], "paused in Temporal")
	_, body := stack.call(t, http.MethodGet, "/patches/"+patchID, "")
	require.Equal(t, "needs_operator", body["phase"])
	require.Contains(t, body["doing"], "paused in Temporal")
	stack.requireApart(t, game)

	p.press("dialog[open] button", "Cancel")
	p.press("button", "Unpause Workflow")
	p.confirm()
	p.see("RUNNING")
	status, _ = stack.call(t, http.MethodPost, "/patches/"+patchID+"/retry", `{"reason":"`+reason+`"}`)
	require.Equal(t, http.StatusAccepted, status)
	require.Equal(t, "failure", stack.awaitPatch(t, patchID, "state", "closed")["outcome"])
	stack.requireOn(t, game, "1.4.2", 2)
	rows := stack.audit(t, game)
	require.Len(t, rows, 1)
	require.Contains(t, rows[0]["undo"], `retry by "dev": `+reason)
	require.NotContains(t, rows[0]["undo"], "ann", "what was refused was taken later")
}
