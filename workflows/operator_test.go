package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/workflows"
)

// answer collects what an update came to.
type answer struct {
	rejected, err error
	accepted      bool
	done          bool
}

func (a *answer) Accept()                         { a.accepted = true }
func (a *answer) Reject(err error)                { a.rejected = err }
func (a *answer) Complete(_ interface{}, e error) { a.err, a.done = e, true }

// lost puts Runtime Manager out of reach right after it recreated the
// container, so that the undo cannot be done.
func lost() *world {
	w := newWorld()
	w.on("Patch", act{err: errRTMNo, applied: true})
	w.on("Inspect", act{err: errRTMDown, forever: true})
	return w
}

func queryState(t *testing.T, env *testsuite.TestWorkflowEnvironment) patch.State {
	t.Helper()
	value, err := env.QueryWorkflow(workflows.StateQuery)
	require.NoError(t, err)
	var state patch.State
	require.NoError(t, value.Get(&state))
	return state
}

// TestNeedsOperatorRetry proves that a run whose undo ran out of budget stays
// open, says so, refuses commands without a reason, and finishes its undo when
// an operator lets it try again.
func TestNeedsOperatorRetry(t *testing.T) {
	w := lost()
	refused, taken := &answer{}, &answer{}
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() {
			state := queryState(t, env)
			require.Equal(t, patch.PhaseNeedsOperator, state.Phase)
			require.Equal(t, patch.CodeServiceUnavailable, state.Code)
			require.Contains(t, state.LastError, "503")
			require.Positive(t, state.Attempts)
			env.UpdateWorkflow(workflows.RetryUpdate, "u1", refused, patch.Command{Actor: "ann", Reason: " "})
		}, time.Hour)
		env.RegisterDelayedCallback(func() {
			w.mu.Lock()
			w.script["Inspect"] = nil
			w.mu.Unlock()
			env.UpdateWorkflow(workflows.RetryUpdate, "u2", taken, patch.Command{Actor: "ann", Reason: "manager is back"})
		}, 2*time.Hour)
	})
	require.ErrorContains(t, refused.rejected, "reason")
	require.True(t, taken.done)
	require.NoError(t, taken.err)
	require.Equal(t, patch.CodeServiceUnavailable, o.result.Code)
	require.Equal(t, patch.ClosesFailed, closing(o.err))
	require.Equal(t, patch.LineRecreated, o.result.Undo.Line)
	require.Equal(t, []string{newImage, oldImage}, w.recreates)
	require.True(t, w.inLine())
	checkAudit(t, w, o.result)
	require.Contains(t, w.entries[0].Undo, `retry by "ann": manager is back`)
	require.GreaterOrEqual(t, o.elapsed, 2*time.Hour)
}

// TestNeedsOperatorAbandon proves that an abandoned run closes as Failed with a
// code that promises nothing about the container, and says who abandoned it.
func TestNeedsOperatorAbandon(t *testing.T) {
	w := lost()
	taken := &answer{}
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() {
			env.UpdateWorkflow(workflows.AbandonUpdate, "u1", taken, patch.Command{Actor: "bob", Reason: "host is gone"})
		}, time.Hour)
	})
	require.True(t, taken.done)
	require.Equal(t, patch.CodeServiceUnavailable, o.result.Code)
	require.Equal(t, patch.ClosesFailed, closing(o.err))
	require.Equal(t, patch.LineAbandoned, o.result.Undo.Line)
	require.Contains(t, o.result.Message, "abandoned")
	checkAudit(t, w, o.result)
	require.Contains(t, w.entries[0].Undo, `abandon by "bob": host is gone`)
	require.False(t, w.inLine(), "the fault is still there, or the test proves nothing")
}

// TestNeedsOperatorIsNotCancelled proves that a cancelled run whose undo cannot
// be done waits for an operator too, and does not claim to be put back when he
// abandons it.
func TestNeedsOperatorIsNotCancelled(t *testing.T) {
	w := newWorld()
	w.on("Inspect", act{err: errRTMDown, forever: true})
	taken := &answer{}
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		w.cancelDuring("Patch", env)
		env.RegisterDelayedCallback(func() {
			require.Equal(t, patch.PhaseNeedsOperator, queryState(t, env).Phase)
			env.UpdateWorkflow(workflows.AbandonUpdate, "u1", taken, patch.Command{Actor: "bob", Reason: "host is gone"})
		}, time.Hour)
	})
	require.True(t, taken.done)
	require.Equal(t, patch.ClosesFailed, closing(o.err))
	require.Equal(t, patch.CodeServiceUnavailable, o.result.Code)
	checkAudit(t, w, o.result)
}

// TestUndoRefusedForGood proves that a refusal of Runtime Manager during the
// undo is not retried for the whole budget but shown to an operator at once.
func TestUndoRefusedForGood(t *testing.T) {
	w := newWorld()
	w.on("Patch", act{err: errRTMNo, applied: true}, act{err: errRTMNo})
	taken := &answer{}
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() {
			require.Equal(t, patch.PhaseNeedsOperator, queryState(t, env).Phase)
			env.UpdateWorkflow(workflows.RetryUpdate, "u1", taken, patch.Command{Actor: "ann", Reason: "image restored"})
		}, time.Minute)
	})
	require.True(t, taken.done)
	require.Equal(t, 3, w.count("Patch"))
	require.Equal(t, patch.LineRecreated, o.result.Undo.Line)
	require.True(t, w.inLine())
}

// TestUndoNobodyTried proves that an undo whose whole budget passed without a
// worker is not taken to an operator but tried.
func TestUndoNobodyTried(t *testing.T) {
	w := newWorld()
	w.on("Patch", act{err: errRTMNo, applied: true})
	rounds := 0
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.OnActivity("RestoreContainer", mock.Anything, mock.Anything).Return(
			func(_ context.Context, in activities.RestoreContainerInput) (activities.RestoreContainerResult, error) {
				if rounds++; rounds == 1 {
					return activities.RestoreContainerResult{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
				}
				require.Equal(t, patchID+"/default-test-run-id/restore/2", in.IdempotencyKey)
				return activities.RestoreContainerResult{Undo: patch.Undo{Line: patch.LineRecreated}}, nil
			})
	})
	require.Equal(t, 2, rounds)
	require.Equal(t, patch.LineRecreated, o.result.Undo.Line)
	require.Empty(t, o.result.Undo.Decisions)
}

// TestUndoKeyIsSpent proves that an operator's retry can mend what the first
// round's idempotency key no longer can: a late call put the container on the
// target after the undo had recreated it.
func TestUndoKeyIsSpent(t *testing.T) {
	w := newWorld()
	w.unfenced = true
	late := func(w *world) { w.container.ImageRef = newImage }
	w.on("Patch", act{err: errRTMNo, applied: true}, act{after: late})
	taken := &answer{}
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() {
			require.Equal(t, patch.PhaseNeedsOperator, queryState(t, env).Phase)
			env.UpdateWorkflow(workflows.RetryUpdate, "u1", taken, patch.Command{Actor: "ann", Reason: "nothing late any more"})
		}, time.Hour)
	})
	require.True(t, taken.done)
	require.Equal(t, []string{newImage, oldImage, oldImage}, w.recreates)
	require.Equal(t, patch.LineRecreated, o.result.Undo.Line)
	require.True(t, w.inLine())
}

// TestUndoStartedAStoppedGame proves that a game which was stopped while its
// container was being recreated is shown to a person, who has to stop it.
func TestUndoStartedAStoppedGame(t *testing.T) {
	w := newWorld()
	w.on("Patch", act{err: errRTMNo, applied: true}, act{before: func(w *world) { w.row.Status = runtime.StatusStopped }})
	taken := &answer{}
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() {
			state := queryState(t, env)
			require.Equal(t, patch.PhaseNeedsOperator, state.Phase)
			require.Contains(t, state.LastError, "stop the container")
			env.UpdateWorkflow(workflows.RetryUpdate, "u1", taken, patch.Command{Actor: "ann", Reason: "stopped it"})
		}, time.Minute)
	})
	require.True(t, taken.done)
	require.Equal(t, patch.LineLeftAlone, o.result.Undo.Line)
	require.Contains(t, w.entries[0].Undo, `retry by "ann": stopped it`)
}

// TestBlankGameID proves that a game id of blanks is refused as what it is, and
// does not fail over an audit row that cannot be written.
func TestBlankGameID(t *testing.T) {
	w := newWorld()
	in := input()
	in.Request.GameID = "  "
	o := w.run(t, in)
	require.Equal(t, patch.CodeInvalidRequest, o.result.Code)
	require.Empty(t, w.calls)
}

// TestUpdatesWantADoubt proves that an operator's command is refused while the
// patch needs none.
func TestUpdatesWantADoubt(t *testing.T) {
	w := newWorld()
	w.on("Patch", act{err: errRTMDown})
	refused := &answer{}
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() {
			env.UpdateWorkflow(workflows.AbandonUpdate, "u1", refused, patch.Command{Actor: "bob", Reason: "impatient"})
		}, 100*time.Millisecond)
	})
	require.ErrorContains(t, refused.rejected, `phase "patching"`)
	require.True(t, o.result.IsSuccess())
}

// TestStateFollowsTheRun proves what the query answers on the way and after.
func TestStateFollowsTheRun(t *testing.T) {
	w := newWorld()
	w.on("Patch", act{err: errRTMDown}, act{err: errRTMDown})
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() {
			state := queryState(t, env)
			require.Equal(t, patch.PhasePatching, state.Phase)
			require.Equal(t, "PatchContainer", state.Step)
			require.Equal(t, patch.Image{Version: "1.4.2", ImageRef: oldImage}, state.From)
			require.Equal(t, patch.Image{Version: "1.4.3", ImageRef: newImage}, state.To)
		}, 100*time.Millisecond)
	})
	state := queryState(t, o.env)
	require.Equal(t, patch.PhaseDone, state.Phase)
	require.Empty(t, state.LastError)
	require.Equal(t, patchID, state.PatchID)
}

// TestForeignWorkflowID proves that a run which does not hold its game's
// workflow ID touches nothing: it could race with the game's own patches.
func TestForeignWorkflowID(t *testing.T) {
	w := newWorld()
	o := w.runAs(t, "by-hand", input())
	require.Equal(t, patch.CodeInvalidRequest, o.result.Code)
	require.Equal(t, []string{"Append", "ListByPatch"}, w.calls)
	require.Equal(t, "LoadRecord×2 AppendOperationLog", w.stepsRun())
}

// TestEmptyGameID proves that a run about no game is refused and leaves no row.
func TestEmptyGameID(t *testing.T) {
	w := newWorld()
	in := input()
	in.Request.GameID = ""
	o := w.run(t, in)
	require.Equal(t, patch.CodeInvalidRequest, o.result.Code)
	require.Empty(t, w.calls)
	require.Empty(t, w.entries)
}

// TestBudgetsComeWithTheRun proves that a run keeps to the budgets of its input.
func TestBudgetsComeWithTheRun(t *testing.T) {
	w := newWorld()
	w.on("Patch", act{err: errRTMDown, forever: true})
	in := input()
	in.Budgets.Manager = patch.Duration(10 * time.Second)
	o := w.run(t, in)
	require.Equal(t, patch.CodeServiceUnavailable, o.result.Code)
	require.Less(t, o.elapsed, 40*time.Second, "the budget, and what a late recreate is given")
	require.Greater(t, w.count("Patch"), 2)
}

// TestAuditRowThatCannotBeTaken proves that a row which the store refuses for
// good ends the run as Failed instead of retrying for ever.
func TestAuditRowThatCannotBeTaken(t *testing.T) {
	w := newWorld()
	w.on("Append", act{err: ports.ErrInvalidInput, forever: true})
	o := w.run(t, input())
	require.Equal(t, patch.CodeInternalError, o.result.Code)
	require.Equal(t, patch.ClosesFailed, closing(o.err))
	require.Equal(t, 2, w.count("Append"), "in the task, and where it is seen")
}
