package e2e_test

import (
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"galaxy/gamemaster/internal/domain/patch"
)

// TestOneProcess proves that API and worker in one process patch a game, with the
// first task of the run in the answer to its start; that a second such process
// finishes what the first one dies in the middle of; and that it ends in good
// order when it is told to.
func TestOneProcess(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	first := r.startAPI("--worker")
	first.awaitLog("Started Worker")
	game := r.game()
	a := r.patch(game, "1.4.3")
	require.Equal(t, http.StatusOK, a.status, a.body)
	r.requireInLine(game, "1.4.3", 1)
	require.True(t, r.startedEagerly(game))

	r.holdPatch(game)
	patchID := r.async(game, "1.4.4")
	r.awaitCall(game)
	second := r.startAPI("--worker")
	first.kill()
	r.letGo(game)
	require.Equal(t, "success", r.awaitEnd(patchID)["outcome"])
	require.Equal(t, "1.4.4", r.record(game).CurrentEngineVersion)
	require.Len(t, r.audit(game), 2)

	second.signal(syscall.SIGTERM)
	require.Zero(t, second.exitCode())
}

// startedEagerly reports whether the first task of the game's latest run came
// with the answer to its start.
func (r *rig) startedEagerly(game string) bool {
	r.t.Helper()
	events := r.temporal.GetWorkflowHistory(r.t.Context(), patch.WorkflowID(game), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	require.True(r.t, events.HasNext())
	started, err := events.Next()
	require.NoError(r.t, err)
	return started.GetWorkflowExecutionStartedEventAttributes().GetEagerExecutionAccepted()
}
