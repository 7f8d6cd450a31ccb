package drill

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// actPause is the pause before an act is tried again for which the patch was not
// there yet.
const actPause = 100 * time.Millisecond

// actTry bounds one try: Temporal or an API may be down, and the patch over
// before they are up.
const actTry = 5 * time.Second

// act does what an operator or another writer does in the middle of a patch. It
// is tried until it is done or over says that the patch is.
func (t *trial) act(ctx, over context.Context, g *Game, a act, f *flight) {
	kind := faultKind{LayerOperator, a.Kind}
	if a.Kind == actStatus {
		kind.Layer = LayerWriter
	}
	t.tally.put(f, kind)
	if pause(over, a.After) != nil {
		return
	}
	deed := map[string]func(context.Context) error{
		actCancel:    g.cancelOpen,
		actCancelRun: g.cancelRun,
		actTerminate: g.terminateRun,
		actReset:     func(ctx context.Context) error { return g.resetOpen(ctx, a.Task) },
		actStatus:    func(try context.Context) error { return g.awayAndBack(ctx, try, a.Away) },
	}[a.Kind]
	for over.Err() == nil {
		try, cancel := context.WithTimeout(over, actTry)
		err := deed(try)
		cancel()
		if err == nil {
			t.tally.fired(kind, 1)
			return
		}
		if pause(over, actPause) != nil {
			return
		}
	}
}

// errNothingOpen says that no patch of the game is open.
var errNothingOpen = errors.New("no patch is open")

// cancelOpen asks the API to stop the game's open patch.
func (g *Game) cancelOpen(ctx context.Context) error {
	open, err := g.open(ctx)
	if err == nil && open.PatchID == "" {
		err = errNothingOpen
	}
	if err == nil {
		_, err = g.cell.clients[0].CancelPatch(ctx, open.PatchID, "drill")
	}
	return err
}

// openRun returns the id of the game's open run.
func (g *Game) openRun(ctx context.Context) (runID string, err error) {
	described, err := g.cell.Stack.client.DescribeWorkflowExecution(ctx, patch.WorkflowID(g.ID), "")
	if err != nil {
		return "", err
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return "", errNothingOpen
	}
	return info.GetExecution().GetRunId(), nil
}

// cancelRun asks the game's open run to stop, at Temporal itself.
func (g *Game) cancelRun(ctx context.Context) error {
	runID, err := g.openRun(ctx)
	if err != nil {
		return err
	}
	return g.cell.Stack.client.CancelWorkflow(ctx, patch.WorkflowID(g.ID), runID)
}

// terminateRun ends the game's open run from outside.
func (g *Game) terminateRun(ctx context.Context) error {
	runID, err := g.openRun(ctx)
	if err != nil {
		return err
	}
	err = g.cell.Stack.client.TerminateWorkflow(ctx, patch.WorkflowID(g.ID), runID, "drill")
	if err == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.terminations++
	}
	return err
}

// resetOpen resets the game's open run to the end of its n-th workflow task, or
// of the last that it has.
func (g *Game) resetOpen(ctx context.Context, n int) error {
	runID, err := g.openRun(ctx)
	if err != nil {
		return err
	}
	ends, err := g.taskEnds(ctx, runID)
	if err != nil {
		return err
	}
	if len(ends) == 0 {
		return errNothingOpen
	}
	_, err = g.cell.Stack.client.ResetWorkflowExecution(ctx, &workflowservice.ResetWorkflowExecutionRequest{
		Namespace:         namespace,
		WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: patch.WorkflowID(g.ID), RunId: runID},
		Reason:            "drill", RequestId: uuid.NewString(), WorkflowTaskFinishEventId: ends[min(n, len(ends))-1],
	})
	return err
}

// taskEnds returns the events at which workflow tasks of a run ended.
func (g *Game) taskEnds(ctx context.Context, runID string) (ends []int64, err error) {
	events := g.cell.Stack.client.GetWorkflowHistory(ctx, patch.WorkflowID(g.ID), runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return nil, err
		}
		if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			ends = append(ends, event.GetEventId())
		}
	}
	return slices.Clip(ends), nil
}

// awayAndBack moves the record to another status, as the health watcher does,
// and back again after a while, whatever has become of the patch by then. Try
// bounds the first of the two only.
func (g *Game) awayAndBack(ctx, try context.Context, away time.Duration) error {
	const move = "UPDATE runtime_records SET status = $3, updated_at = now() WHERE game_id = $1 AND status = $2"
	from, to := string(runtime.StatusRunning), string(runtime.StatusEngineUnreachable)
	if err := g.exec(try, move, g.ID, from, to); err != nil {
		return err
	}
	if err := pause(ctx, away); err != nil {
		return err
	}
	return until(ctx, "the record is running again", func(ctx context.Context) (bool, error) {
		// Postgres may be down. A row that has moved on by itself is left alone.
		_, err := g.cell.pool.Exec(ctx, move, g.ID, to, from)
		return err == nil, nil
	})
}
