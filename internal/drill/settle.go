package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

const (
	namespace = "default"
	// settleQuiet is how long Runtime Manager must not hear of a game whose run was
	// ended from outside: a step of it that a worker is at hears of the end within
	// seconds, and may call once more until then.
	settleQuiet = 3 * time.Second
)

// Settle waits until nothing of the games moves any more: no run is open but
// those that need an operator, and Runtime Manager works on no call. It changes
// nothing. When ctx ends first, the error names what still moves.
func (c *Cell) Settle(ctx context.Context, games ...*Game) error {
	for _, g := range games {
		if err := c.settle(ctx, g); err != nil {
			return fmt.Errorf("settle: %s: %w", g.ID, err)
		}
	}
	return nil
}

func (c *Cell) settle(ctx context.Context, g *Game) error {
	asked := make(chan struct{})
	go func() {
		g.pending.Wait()
		close(asked)
	}()
	select {
	case <-asked:
	case <-ctx.Done():
		// What is asked is bound by the game's context, which is to end as well.
	}
	outside := false
	err := until(ctx, "no run is open", func(ctx context.Context) (bool, error) {
		var rests bool
		rests, outside = c.rests(ctx, g.ID)
		return rests, nil
	})
	if err != nil {
		return err
	}
	return c.settleCalls(ctx, g.ID, outside)
}

// rests reports whether the game's latest run goes on by itself no more, and
// whether it was ended from outside, or took the place of one that was.
func (c *Cell) rests(ctx context.Context, gameID string) (rests, outside bool) {
	described, err := c.Stack.client.DescribeWorkflowExecution(ctx, patch.WorkflowID(gameID), "")
	if _, none := errors.AsType[*serviceerror.NotFound](err); none {
		return true, false
	}
	if err != nil {
		// A server that is down comes back, or ctx ends.
		return false, false
	}
	info := described.GetWorkflowExecutionInfo()
	outside = statusOf(info.GetStatus()).FromOutside() || info.GetFirstRunId() != info.GetExecution().GetRunId()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return true, outside
	}
	return needsOperator(info) && len(described.GetPendingActivities()) == 0 && described.GetPendingWorkflowTask() == nil, outside
}

// needsOperator reads the run's search attribute, from its own state.
func needsOperator(info *workflowpb.WorkflowExecutionInfo) bool {
	var outcome string
	if field := info.GetSearchAttributes().GetIndexedFields()[workflows.PatchOutcomeKey.GetName()]; field != nil {
		// One of another shape says nothing.
		_ = converter.GetDefaultDataConverter().FromPayload(field, &outcome)
	}
	return outcome == workflows.OutcomeNeedsOperator
}

// settleCalls waits until Runtime Manager works on no call of the game, and
// hears of none for a while where that cannot be known.
func (c *Cell) settleCalls(ctx context.Context, gameID string, outside bool) error {
	var heard int
	since := time.Now()
	return until(ctx, "Runtime Manager works on no call", func(ctx context.Context) (bool, error) {
		calls, err := c.Stack.Simulator.Calls(ctx, gameID)
		if err != nil {
			return false, err
		}
		if len(calls) != heard {
			heard, since = len(calls), time.Now()
		}
		for _, call := range calls {
			if call.End == 0 {
				return false, nil
			}
		}
		return !outside || time.Since(since) >= settleQuiet, nil
	})
}
