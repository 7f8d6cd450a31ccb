package devstack_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	activitypb "go.temporal.io/api/activity/v1"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"galaxy/gamemaster/internal/devstack"
)

// Everything an operator does from the UI is switched on: an activity can be
// paused, changed, reset and let go, a workflow paused and let go.
func TestTemporalServesOperators(t *testing.T) {
	server := startTemporal(t, devstack.TemporalOptions{Headless: true})
	c := temporalClient(t, server, "default")
	w := worker.New(c, temporalQueue, worker.Options{})
	w.RegisterWorkflow(stuck)
	w.RegisterActivity(failing)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "stuck", TaskQueue: temporalQueue}, stuck)
	require.NoError(t, err)
	requireWorkflow(t, c, func(ct *assert.CollectT, d *workflowservice.DescribeWorkflowExecutionResponse) {
		require.Len(ct, d.PendingActivities, 1)
		require.NotNil(ct, d.PendingActivities[0].LastFailure, "the first attempt has failed")
	})

	ctx, service := t.Context(), c.WorkflowService()
	execution := &commonpb.WorkflowExecution{WorkflowId: "stuck"}
	_, err = service.PauseActivity(ctx, &workflowservice.PauseActivityRequest{
		Namespace: "default", Execution: execution, Activity: &workflowservice.PauseActivityRequest_Id{Id: "step"},
	})
	require.NoError(t, err)
	requireWorkflow(t, c, func(ct *assert.CollectT, d *workflowservice.DescribeWorkflowExecutionResponse) {
		require.True(ct, d.PendingActivities[0].Paused)
	})
	_, err = service.UpdateActivityOptions(ctx, &workflowservice.UpdateActivityOptionsRequest{
		Namespace: "default", Execution: execution, Activity: &workflowservice.UpdateActivityOptionsRequest_Id{Id: "step"},
		ActivityOptions: &activitypb.ActivityOptions{StartToCloseTimeout: durationpb.New(7 * time.Second)},
		UpdateMask:      &fieldmaskpb.FieldMask{Paths: []string{"start_to_close_timeout"}},
	})
	require.NoError(t, err)
	_, err = service.ResetActivity(ctx, &workflowservice.ResetActivityRequest{
		Namespace: "default", Execution: execution, Activity: &workflowservice.ResetActivityRequest_Id{Id: "step"},
		KeepPaused: true,
	})
	require.NoError(t, err)
	_, err = service.UnpauseActivity(ctx, &workflowservice.UnpauseActivityRequest{
		Namespace: "default", Execution: execution, Activity: &workflowservice.UnpauseActivityRequest_Id{Id: "step"},
	})
	require.NoError(t, err)

	_, err = service.PauseWorkflowExecution(ctx, &workflowservice.PauseWorkflowExecutionRequest{
		Namespace: "default", WorkflowId: "stuck", Reason: "look at it",
	})
	require.NoError(t, err)
	requireWorkflow(t, c, func(ct *assert.CollectT, d *workflowservice.DescribeWorkflowExecutionResponse) {
		require.Equal(ct, enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED, d.WorkflowExecutionInfo.Status)
	})
	_, err = service.UnpauseWorkflowExecution(ctx, &workflowservice.UnpauseWorkflowExecutionRequest{
		Namespace: "default", WorkflowId: "stuck",
	})
	require.NoError(t, err)
	requireWorkflow(t, c, func(ct *assert.CollectT, d *workflowservice.DescribeWorkflowExecutionResponse) {
		require.Equal(ct, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.WorkflowExecutionInfo.Status)
	})
}

// A search attribute that an operator adds while the server runs is usable, and
// found by, within the server's look at its namespaces.
func TestTemporalTakesAttributesWhileItRuns(t *testing.T) {
	c := temporalClient(t, startTemporal(t, devstack.TemporalOptions{Headless: true}), "default")
	_, err := c.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace:        "default",
		SearchAttributes: map[string]enumspb.IndexedValueType{keyStage.GetName(): enumspb.INDEXED_VALUE_TYPE_KEYWORD},
	})
	require.NoError(t, err)
	require.EventuallyWithT(t, func(ct *assert.CollectT) {
		_, err := c.ExecuteWorkflow(t.Context(), temporalStart("late", keyStage.ValueSet("one")), greet, "world")
		require.NoError(ct, err)
	}, temporalPatience, 100*time.Millisecond)
	requireFound(t, c, `Stage = "one"`, "late")
}

func stuck(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID:          "step",
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Hour}, // pending for as long as the test runs
	})
	return workflow.ExecuteActivity(ctx, failing).Get(ctx, nil)
}

func failing(context.Context) error { return errors.New("not yet") }

// requireWorkflow looks at the workflow until it is as wanted.
func requireWorkflow(
	t *testing.T, c client.Client, wanted func(*assert.CollectT, *workflowservice.DescribeWorkflowExecutionResponse),
) {
	t.Helper()
	require.EventuallyWithT(t, func(ct *assert.CollectT) {
		description, err := c.DescribeWorkflowExecution(t.Context(), "stuck", "")
		require.NoError(ct, err)
		wanted(ct, description)
	}, temporalPatience, 20*time.Millisecond)
}
