package runtime_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/runtime"
)

// TestTransitions proves that exactly the moves of the specification are
// allowed, by trying every pair.
func TestTransitions(t *testing.T) {
	allowed := map[runtime.Status]string{
		"starting":               "running stopped",
		"running":                "generation_in_progress engine_unreachable stopped finished",
		"generation_in_progress": "running generation_failed engine_unreachable stopped finished",
		"generation_failed":      "running generation_in_progress stopped finished",
		"engine_unreachable":     "running stopped finished",
		"stopped":                "starting finished",
		"finished":               "",
	}
	require.Len(t, runtime.Statuses(), len(allowed))
	for _, from := range runtime.Statuses() {
		for _, to := range runtime.Statuses() {
			err := runtime.Transition(from, to)
			if contains(allowed[from], string(to)) {
				require.NoError(t, err, "%s to %s", from, to)
			} else {
				require.ErrorIs(t, err, runtime.ErrInvalidTransition, "%s to %s", from, to)
			}
		}
		require.ErrorIs(t, runtime.Transition(from, "paused"), runtime.ErrInvalidTransition)
		require.ErrorIs(t, runtime.Transition("paused", from), runtime.ErrInvalidTransition)
	}
}

func contains(list, word string) bool {
	for _, w := range strings.Fields(list) {
		if w == word {
			return true
		}
	}
	return false
}

// TestStatusIsKnown proves that only the listed statuses are known.
func TestStatusIsKnown(t *testing.T) {
	for _, status := range runtime.Statuses() {
		require.True(t, status.IsKnown(), status)
	}
	for _, status := range []runtime.Status{"", "Running", "running ", "paused"} {
		require.False(t, status.IsKnown(), status)
	}
}

// TestValidGameID proves the shape of a game id at its edges.
func TestValidGameID(t *testing.T) {
	for _, id := range []string{"a", "0", "demo-1", "a_b-c", strings.Repeat("a", 64)} {
		require.True(t, runtime.ValidGameID(id), id)
	}
	for _, id := range []string{"", "-a", "_a", "A", "a b", "a/b", "a.b", "a\n", "ä", strings.Repeat("a", 65)} {
		require.False(t, runtime.ValidGameID(id), id)
	}
}

// TestRecordValidate proves that each required field is asked for by name.
func TestRecordValidate(t *testing.T) {
	now := time.Now()
	good := runtime.RuntimeRecord{
		GameID: "g", Status: runtime.StatusRunning, CurrentImageRef: "i", CurrentEngineVersion: "1.0.0",
		CreatedAt: now, UpdatedAt: now,
	}
	require.NoError(t, good.Validate())
	for want, spoil := range map[string]func(*runtime.RuntimeRecord){
		"game id":                func(r *runtime.RuntimeRecord) { r.GameID = "" },
		"status":                 func(r *runtime.RuntimeRecord) { r.Status = "paused" },
		"current image ref":      func(r *runtime.RuntimeRecord) { r.CurrentImageRef = " " },
		"current engine version": func(r *runtime.RuntimeRecord) { r.CurrentEngineVersion = "" },
		"current turn":           func(r *runtime.RuntimeRecord) { r.CurrentTurn = -1 },
		"created at":             func(r *runtime.RuntimeRecord) { r.CreatedAt = time.Time{} },
		"updated at":             func(r *runtime.RuntimeRecord) { r.UpdatedAt = time.Time{} },
	} {
		record := good
		spoil(&record)
		require.ErrorContains(t, record.Validate(), want)
	}
}
