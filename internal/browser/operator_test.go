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
	p.shot("patching")

	p.press("[data-testid=pending-activities-tab]")
	p.see("runtime manager unavailable: HTTP 503")
	p.shot("pending_activity")
	p.press("button", "Pause")
	p.fill("#activity-pause-reason", "Runtime Manager is being mended")
	p.shot("pause_form")
	p.confirm()
	p.see("PAUSED")
	stack.heal(t, game)
	// It would have been tried again by now if it were not paused: the tab shows
	// no next try.
	p.await("no next try", "!says('Next Retry')")
	p.shot("paused")
	stack.requireOn(t, game, "1.4.2", 0)

	p.press("button", "Unpause")
	p.press("dialog[open] [data-testid=confirm-modal-button]")
	body := stack.awaitState(t, patchID, "closed")
	require.Equal(t, "success", body["outcome"])
	p.see("COMPLETED")
	stack.requireOn(t, game, "1.4.3", 1)
}
