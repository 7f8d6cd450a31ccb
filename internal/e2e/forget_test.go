package e2e_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"galaxy/gamemaster/internal/domain/patch"
)

// forget deletes a run at Temporal, as its retention would.
func forget(t *testing.T, r *rig, game string, patched answer) {
	t.Helper()
	run := &commonpb.WorkflowExecution{WorkflowId: patch.WorkflowID(game), RunId: patched.body["run_id"].(string)}
	_, err := r.temporal.WorkflowService().DeleteWorkflowExecution(t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: "default", WorkflowExecution: run,
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := r.temporal.DescribeWorkflowExecution(t.Context(), run.WorkflowId, run.RunId)
		var gone *serviceerror.NotFound
		return errors.As(err, &gone)
	}, patience, waitTick)
}
