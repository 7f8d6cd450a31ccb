//go:build browser

package browser_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// TestRuntimeManagerDown proves that the page of a patch whose Runtime Manager is
// down tells why it waits, that its step can be paused and goes on when it is
// unpaused, and that the patch succeeds once Runtime Manager is back.
func TestRuntimeManagerDown(t *testing.T) {
	const game = "demo-1"
	stack.fault(t, rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 503})
	patchID := stack.patch(t, game)
	p := open(t, stack.page(game))
	p.see("recreate on 1.4.3")
	p.shot("timeline")
	p.press("[data-testid=user-metadata-tab]")
	p.see("Asked by")
	p.see("at the latest")
	p.shot("patching")

	p.pauseStep("Runtime Manager is being mended", "pending_activity", "pause_form")
	stack.heal(t, game)
	// It would have been tried again by now if it were not paused: the tab shows
	// no next try.
	p.await("no next try", "!says('Next Retry')")
	p.shot("paused")
	stack.requireOn(t, game, "1.4.2", 0)

	p.press("button", "Unpause")
	p.press("dialog[open] [data-testid=confirm-modal-button]")
	body := stack.awaitPatch(t, patchID, "state", "closed")
	require.Equal(t, "success", body["outcome"])
	p.show(stack.page(game))
	p.see("COMPLETED")
	stack.requireOn(t, game, "1.4.3", 1)
}

// TestRetryFromTheForm proves that a patch which waits for an operator says so on
// its page, that the form of updates explains itself and sends retry, and that
// who sent it and why stands in the audit row.
func TestRetryFromTheForm(t *testing.T) {
	const game, reason = "demo-2", "Runtime Manager takes recreates again"
	patchID := stack.doubt(t, game)
	p := open(t, stack.page(game))
	p.press("[data-testid=user-metadata-tab]")
	p.see("Waiting for an operator")
	p.see("HTTP 409")
	p.see("is safe at any time")
	p.shot("needs_operator")

	stack.heal(t, game)
	p.chooseUpdate("retry", "update_form")
	p.fill("dialog[open] .cm-content", `{"actor":"ann","reason":"`+reason+`"}`)
	p.shot("update_retry")
	p.press("dialog[open] [data-testid=confirm-modal-button]")
	body := stack.awaitPatch(t, patchID, "state", "closed")
	require.Equal(t, "failure", body["outcome"])
	// The recreate that was told as refused, and the one that put it back.
	stack.requireOn(t, game, "1.4.2", 2)
	rows := stack.audit(t, game)
	require.Len(t, rows, 1)
	require.Equal(t, "service_unavailable", rows[0]["error_code"])
	require.Contains(t, rows[0]["undo"], "ann")
	require.Contains(t, rows[0]["undo"], reason)
}
