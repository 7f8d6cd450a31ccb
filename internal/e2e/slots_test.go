package e2e_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
)

// TestMoreOpenThanSlots proves that patches all end well, each with one recreate
// and one audit row, when more are open than a worker has slots for and than it
// keeps at hand, also those that wait for a slot for longer than a turn.
func TestMoreOpenThanSlots(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_WORKER_SLOTS=1", "GAMEMASTER_WORKER_CACHE=3", "GAMEMASTER_MANAGER_BUDGET=20s")
	r.startWorker()
	// A turn lasts fifteen seconds, and the last of them begin later. Each has five
	// seconds left by then for what takes one.
	r.fault(rtmsim.Fault{GameID: rtmsim.AnyGame, Op: rtmsim.OpPatch, Mode: rtmsim.ModeSlow, DelayMS: 1000})
	var games, patches []string
	for range 24 {
		game := r.game()
		games, patches = append(games, game), append(patches, r.async(game, "1.4.3"))
	}
	for i, game := range games {
		body := r.awaitEnd(patches[i])
		require.Equal(t, "success", body["outcome"], body)
		require.Len(t, r.audit(game), 1)
		r.requireInLine(game, "1.4.3", 1)
	}
	turns := func(game string) int { return r.events(game, enumspb.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT) }
	waited := slices.IndexFunc(games, func(game string) bool { return turns(game) > 0 })
	require.GreaterOrEqual(t, waited, 0, "nobody waited for more than a turn")
	recordHistory(t, r, "waited_for_a_slot", games[waited])
}

// events counts the events of a kind in the history of a game's last run.
func (r *rig) events(game string, kind enumspb.EventType) (n int) {
	r.t.Helper()
	history := r.temporal.GetWorkflowHistory(r.t.Context(), patch.WorkflowID(game), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(r.t, err)
		if event.GetEventType() == kind {
			n++
		}
	}
	return n
}
