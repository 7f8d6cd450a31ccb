package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/patch"
)

// TestStoreIsWaitedFor proves that a step of the workflow task whose table is
// locked is waited for as an activity that operators see, and that the patch
// goes on when the lock is gone.
func TestStoreIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	for table, row := range map[string]struct{ mode, step string }{
		"runtime_records": {"ACCESS EXCLUSIVE", "LoadRecord"},
		"runtime_fences":  {"EXCLUSIVE", "TakeFence"},
		"engine_versions": {"EXCLUSIVE", "UpdateImage"},
		"operation_log":   {"EXCLUSIVE", "AppendOperationLog"},
	} {
		game, step := r.game(), row.step
		lock, err := r.pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = lock.Exec(t.Context(), "LOCK TABLE "+table+" IN "+row.mode+" MODE")
		require.NoError(t, err)
		patchID := r.async(game, "1.4.3")
		require.Eventually(t, func() bool {
			described, err := r.temporal.DescribeWorkflowExecution(t.Context(), patch.WorkflowID(game), "")
			if err != nil {
				return false
			}
			for _, pending := range described.GetPendingActivities() {
				if pending.GetActivityType().GetName() == step {
					return true
				}
			}
			return false
		}, patience, waitTick, step)
		require.NoError(t, lock.Rollback(t.Context()))
		require.Equal(t, "success", r.awaitEnd(patchID)["outcome"])
		require.Len(t, r.audit(game), 1)
		r.requireInLine(game, "1.4.3", 1)
		recordHistory(t, r, "waited_for_"+table, game)
	}
}
