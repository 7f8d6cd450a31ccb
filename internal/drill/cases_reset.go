package drill

import (
	"context"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"galaxy/gamemaster/internal/devstack/workerfault"
	"galaxy/gamemaster/internal/domain/patch"
)

// resetAgainCases reset a run after others had their say: a later patch of the
// game, or a fault in the run that takes its place.
func resetAgainCases() []Case {
	return []Case{
		{
			Name: "reset_of_an_old_run_after_the_next_patch", Layer: LayerOperator, Expect: Expect{Version: "1.4.4"}.After(2),
			Run: func(_ *Cell, g *Game) {
				old := g.Patch(target).RunID
				g.Patch("1.4.4")
				g.resetRunToTask(old, behindRecreate)
			},
		},
		{
			// The plan holds again, so that the run that takes its place makes the move
			// a second time, and has to tell it.
			Name: "reset_of_an_old_run_after_the_way_back", Layer: LayerOperator, Expect: Success(target).After(3),
			Run: func(_ *Cell, g *Game) {
				old := g.Patch(target).RunID
				g.Patch(FirstVersion)
				g.resetRunToTask(old, behindRecreate)
			},
		},
		{
			// The record is on the target, and not by a lost reply.
			Name: "reset_with_a_rotation_that_stumbles", Layer: LayerOperator, Expect: patched(),
			Run: func(_ *Cell, g *Game) {
				g.Patch(target)
				g.Worker(workerfault.Fault{Mode: workerfault.ErrorBefore, Activity: "UpdateImage", Times: 1})
				g.resetToTask(behindRecreate)
			},
		},
	}
}

// behindRecreate is the workflow task that goes on from the recreate: the plan
// stands, and so does what the run before made of it.
const behindRecreate = 2

// closeTime is what a run gets to close whose caller has its answer already. One
// that something holds is reset as it stands.
const closeTime = time.Second

// awaitClose waits until the run has closed, unless a step of it is under way.
func (g *Game) awaitClose(ctx context.Context, runID string) error {
	described, err := g.cell.Stack.client.DescribeWorkflowExecution(ctx, patch.WorkflowID(g.ID), runID)
	if err != nil || len(described.GetPendingActivities()) > 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	// However it closed, and whether it did, the judge finds out.
	_ = g.cell.Stack.client.GetWorkflow(ctx, patch.WorkflowID(g.ID), runID).Get(ctx, nil)
	return nil
}

// resetToTask resets the game's latest run to the end of its n-th workflow task.
func (g *Game) resetToTask(n int) { g.resetRunToTask("", n) }

// resetRunToTask is resetToTask for any run of the game; an empty runID is the
// latest.
func (g *Game) resetRunToTask(runID string, n int) {
	var ends []int64
	g.do("find the workflow tasks", func(ctx context.Context) error {
		if err := g.awaitClose(ctx, runID); err != nil {
			return err
		}
		events := g.cell.Stack.client.GetWorkflowHistory(ctx, patch.WorkflowID(g.ID), runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			if err != nil {
				return err
			}
			if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
				ends = append(ends, event.GetEventId())
			}
		}
		return nil
	})
	if g.Err() == nil {
		g.resetRun(runID, ends[min(n, len(ends))-1])
		g.Did(LayerOperator, named("reset to task", n), nil)
	}
}
