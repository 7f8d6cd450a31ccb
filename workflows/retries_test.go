package workflows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// TestRetriesAreBounded proves that a run which was retried too often takes no
// further retry, and can still be abandoned.
func TestRetriesAreBounded(t *testing.T) {
	w := newWorld()
	w.on("Patch", act{err: errRTMNo, applied: true}, act{err: errRTMNo, forever: true})
	refused, abandoned := &answer{}, &answer{}
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		for i := range patch.MaxRetries {
			env.RegisterDelayedCallback(func() {
				env.UpdateWorkflow(workflows.RetryUpdate, fmt.Sprint("r", i), &answer{}, patch.Command{Actor: "ann", Reason: "again"})
			}, time.Duration(i+1)*time.Minute)
		}
		env.RegisterDelayedCallback(func() {
			env.UpdateWorkflow(workflows.RetryUpdate, "late", refused, patch.Command{Actor: "ann", Reason: "again"})
			env.UpdateWorkflow(workflows.AbandonUpdate, "end", abandoned, patch.Command{Actor: "bob", Reason: "host is gone"})
		}, (patch.MaxRetries+2)*time.Minute)
	})
	require.ErrorContains(t, refused.rejected, "abandon it")
	require.True(t, abandoned.done)
	require.Equal(t, patch.LineAbandoned, o.result.Undo.Line)
	require.Equal(t, patch.MaxRetries+1, o.result.Undo.Decided)
	require.Len(t, o.result.Undo.Decisions, patch.MaxDecisions)
}
