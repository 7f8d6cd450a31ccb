package drill

import (
	"context"
	"errors"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
)

// Hold has the game's next recreate wait until [Game.Release], and returns the
// fault's name. So a case says what comes before the landing, where a delay would
// race with it.
func (g *Game) Hold() (name string) {
	return g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeHeld, Times: 1})
}

// holding patches the game and returns in the middle of its recreate, which lasts
// until the hold is released.
func holding(g *Game) (asked *Asked, hold string) {
	hold = g.Hold()
	asked = g.PatchAsync(target)
	g.AwaitFired(hold)
	return asked, hold
}

// Release lets go of the call that the named fault holds. Unlike the other verbs
// it does so after one that has failed, too: what is held would keep the case
// from its end.
func (g *Game) Release(name string) {
	found, err := g.cell.Stack.Simulator.Control().ReleaseFault(g.ctx, name)
	if err == nil && !found {
		err = errors.New("the simulator has no fault of that name")
	}
	g.keep("release "+name, err)
}

// Land releases a call that was given up on and waits until it has ended: it has
// landed by then, or was kept from it.
func (g *Game) Land(name string) {
	g.Release(name)
	g.Until("what "+name+" held has ended", func(ctx context.Context) (bool, error) {
		log, err := g.cell.Stack.Simulator.Control().WholeLog(ctx, g.ID)
		return slices.ContainsFunc(log.Entries, func(entry rtmsim.LogEntry) bool {
			return entry.FaultName == name && entry.EndedOrder > 0
		}), err
	})
}

// awaitTurnSeen waits until the undo has met the turn that is being generated: its
// first attempt is over, and it is to be tried again. One that did not wait for
// the turn has ended the run.
func (g *Game) awaitTurnSeen() {
	g.Until("the undo has seen the turn", func(ctx context.Context) (bool, error) {
		described, err := g.cell.Stack.client.DescribeWorkflowExecution(ctx, patch.WorkflowID(g.ID), "")
		if described.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return err == nil, err
		}
		return slices.ContainsFunc(described.GetPendingActivities(), func(step *workflowpb.PendingActivityInfo) bool {
			return step.GetActivityType().GetName() == "RestoreContainer" && step.GetAttempt() > 1
		}), nil
	})
}

// cancelSeen is [Game.CancelRun], and waits until the workflow has seen it: what is
// released next comes behind the cancellation, and not together with it.
func (g *Game) cancelSeen() {
	g.CancelRun()
	g.Until("the workflow has seen the cancellation", func(ctx context.Context) (bool, error) {
		described, err := g.cell.Stack.client.DescribeWorkflowExecution(ctx, patch.WorkflowID(g.ID), "")
		return err == nil && described.GetPendingWorkflowTask() == nil, err
	})
}
