package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/workflows"
)

func reconcileInput(mode patch.Mode) workflows.ReconcileInput {
	return workflows.ReconcileInput{Request: patch.ReconcileRequest{
		PatchID: patchID, GameID: gameID, Mode: mode,
		OpSource: operation.OpSourceAdminRest, SourceRef: "ticket-7", Reason: "security fix", Actor: "ann",
	}}
}

// TestReconcile proves, for both modes and every way in which they can go wrong,
// how the run closes, which side gave way, and that one audit row of its own
// kind tells it.
func TestReconcile(t *testing.T) {
	drifted := func(w *world) { w.container.ImageRef = newImage }
	stopped := func(w *world) { w.row.Status = runtime.StatusStopped }
	for _, row := range []struct {
		name      string
		mode      patch.Mode
		arrange   func(*world)
		code      patch.Code
		steps     string
		recreates []string
		row       string
		apart     bool
		noop      bool
		atLeast   time.Duration
	}{
		{name: "enforce: the container follows", mode: patch.ModeEnforce, arrange: drifted,
			steps: "LoadRuntime RestoreContainer AppendOperationLog", recreates: []string{oldImage}, row: "1.4.2"},
		{name: "enforce: in sync already", mode: patch.ModeEnforce, arrange: func(*world) {},
			steps: "LoadRuntime RestoreContainer AppendOperationLog", row: "1.4.2", noop: true},
		{name: "enforce: a stopped game is left alone", mode: patch.ModeEnforce, arrange: stopped,
			code: patch.CodeRuntimeNotRunning, steps: "LoadRuntime AppendOperationLog", row: "1.4.2"},
		{name: "enforce: stopped meanwhile", mode: patch.ModeEnforce, arrange: func(w *world) {
			drifted(w)
			w.onGet(2, act{before: stopped})
		}, code: patch.CodeRuntimeNotRunning, row: "1.4.2", apart: true},
		{name: "enforce: no row", mode: patch.ModeEnforce, arrange: func(w *world) { w.row = nil },
			code: patch.CodeRuntimeNotFound, steps: "LoadRuntime AppendOperationLog", apart: true},
		{name: "enforce: waits for the turn", mode: patch.ModeEnforce, arrange: func(w *world) {
			drifted(w)
			w.row.Status = runtime.StatusGenerationInProgress
			w.onGet(4, act{before: func(w *world) { w.row.Status = runtime.StatusRunning }})
		}, steps: "LoadRuntime RestoreContainer×3 AppendOperationLog", recreates: []string{oldImage}, row: "1.4.2", atLeast: 10 * time.Second},
		{name: "enforce: refused for good", mode: patch.ModeEnforce, arrange: func(w *world) {
			drifted(w)
			w.on("Patch", act{err: errRTMNo})
		}, code: patch.CodeServiceUnavailable, steps: "LoadRuntime RestoreContainer FenceOff AppendOperationLog", row: "1.4.2", apart: true},
		{name: "enforce: the row went away meanwhile", mode: patch.ModeEnforce, arrange: func(w *world) {
			drifted(w)
			w.onGet(2, act{before: func(w *world) { w.row = nil }})
		}, code: patch.CodeRuntimeNotFound, apart: true},
		{name: "enforce: done but timed out", mode: patch.ModeEnforce, arrange: func(w *world) {
			drifted(w)
			w.on("Patch", act{err: errRTMDown, applied: true})
		}, steps: "LoadRuntime RestoreContainer×2 AppendOperationLog", recreates: []string{oldImage}, row: "1.4.2"},
		{name: "adopt: the row follows", mode: patch.ModeAdopt, arrange: drifted,
			steps: "LoadRuntime AdoptImage AppendOperationLog", row: "1.4.3"},
		{name: "adopt: also while a turn is generated", mode: patch.ModeAdopt, arrange: func(w *world) {
			drifted(w)
			w.row.Status = runtime.StatusGenerationInProgress
		}, steps: "LoadRuntime AdoptImage AppendOperationLog", row: "1.4.3"},
		{name: "adopt: in sync already", mode: patch.ModeAdopt, arrange: func(*world) {},
			steps: "LoadRuntime AdoptImage AppendOperationLog", row: "1.4.2", noop: true},
		{name: "adopt: an image that nobody registered", mode: patch.ModeAdopt, arrange: func(w *world) { w.container.ImageRef = "strange" },
			code: patch.CodeEngineVersionNotFound, steps: "LoadRuntime AdoptImage AppendOperationLog", row: "1.4.2", apart: true},
		{name: "adopt: an image of two versions", mode: patch.ModeAdopt, arrange: func(w *world) {
			drifted(w)
			w.versions["1.4.4"] = engineversion.EngineVersion{Version: "1.4.4", ImageRef: newImage}
		}, code: patch.CodeEngineVersionNotFound, row: "1.4.2", apart: true},
		{name: "adopt: no container", mode: patch.ModeAdopt, arrange: func(w *world) { w.container = nil },
			code: patch.CodeConflict, row: "1.4.2", apart: true},
		{name: "adopt: a swap that was lost is tried again", mode: patch.ModeAdopt, arrange: func(w *world) {
			drifted(w)
			w.on("UpdateImage", act{before: func(w *world) { w.row.Status = runtime.StatusEngineUnreachable }})
		}, steps: "LoadRuntime AdoptImage×2 AppendOperationLog", row: "1.4.3"},
		{name: "adopt: written but the reply was lost", mode: patch.ModeAdopt, arrange: func(w *world) {
			drifted(w)
			w.on("UpdateImage", act{err: errStoreDown, applied: true})
		}, steps: "LoadRuntime AdoptImage×2 AppendOperationLog", row: "1.4.3"},
		{name: "neither", mode: "guess", arrange: drifted,
			code: patch.CodeInvalidRequest, steps: "LoadRuntime AppendOperationLog", row: "1.4.2", apart: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			row.arrange(w)
			o := w.reconcile(t, reconcileInput(row.mode))
			require.Equal(t, row.code, o.result.Code, o.result.Message)
			require.Equal(t, row.code.Closing(), closing(o.err))
			if row.steps != "" {
				require.Equal(t, row.steps, w.stepsRun())
			}
			require.Equal(t, row.recreates, w.recreatedOn())
			require.Equal(t, row.noop, o.result.Noop)
			if row.row != "" {
				require.Equal(t, row.row, w.row.CurrentEngineVersion)
			}
			require.True(t, row.apart || w.inLine(), "container %v, row %v", w.container, w.row)
			require.GreaterOrEqual(t, o.elapsed, row.atLeast)
			checkAudit(t, w, o.result)
			require.Equal(t, operation.OpKindReconcile, w.entries[0].OpKind)
		})
	}
}

// TestReconcileUnderAnotherID proves that a reconciliation which does not hold
// its game's workflow ID touches nothing.
func TestReconcileUnderAnotherID(t *testing.T) {
	w := newWorld()
	o := w.execute(t, "by-hand", workflows.ReconcileRuntimeType, reconcileInput(patch.ModeEnforce))
	require.Equal(t, patch.CodeInvalidRequest, o.result.Code)
	require.Equal(t, []string{"Append", "ListByPatch"}, w.calls)
}

// TestFenceGoesAhead proves that every call of Runtime Manager carries a number
// above those of the steps before it, and that the undo has older calls refused
// before it looks.
func TestFenceGoesAhead(t *testing.T) {
	w := newWorld()
	w.on("Patch", act{err: errRTMDown, forever: true})
	in := input()
	in.Budgets.Manager = patch.Duration(10 * time.Second)
	o := w.run(t, in)
	require.Equal(t, patch.CodeServiceUnavailable, o.result.Code)
	require.Equal(t, 2, w.count("NextFence"))
	require.Equal(t, []string{"Fence", "Get", "Inspect"}, w.calls[len(w.calls)-5:len(w.calls)-2])
	require.Equal(t, patch.Fence(2*patch.FenceStep, 1), o.result.Undo.Fence)
	require.Equal(t, w.fenced, o.result.Undo.Fence)
	require.Contains(t, w.entries[0].Undo, "refused")
	require.ErrorIs(t, w.admit(patch.Fence(patch.FenceStep, patch.FenceStep)), ports.ErrFenced)
}

// TestFenceIsWaitedFor proves that a store which is away while the number is
// taken is waited for where an operator sees it, and that nothing was called
// when its budget is spent.
func TestFenceIsWaitedFor(t *testing.T) {
	w := newWorld()
	w.on("NextFence", act{err: errStoreDown}, act{err: errStoreDown}, act{err: errStoreDown})
	o := w.run(t, input())
	require.True(t, o.result.IsSuccess())
	require.Equal(t, validated+"TakeFence×3 PatchContainer UpdateImage AppendOperationLog", w.stepsRun())
	require.Equal(t, 5, w.count("NextFence"), "once in the task, three times as a step, and in the task again")

	w = newWorld()
	w.on("NextFence", act{err: errStoreDown, forever: true})
	o = w.run(t, input())
	require.Equal(t, patch.CodeServiceUnavailable, o.result.Code)
	require.Zero(t, w.count("Patch"))
	require.Nil(t, o.result.Undo)
	require.LessOrEqual(t, o.elapsed, 65*time.Second)
}

// TestFenceOfTheUndoIsWaitedFor proves that an undo which cannot take its number
// is an operator's matter and no lost one.
func TestFenceOfTheUndoIsWaitedFor(t *testing.T) {
	w := newWorld()
	w.on("Patch", act{err: errRTMNo, applied: true})
	w.on("NextFence", act{}, act{err: errStoreDown, forever: true})
	taken := &answer{}
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() {
			require.Equal(t, patch.PhaseNeedsOperator, queryState(t, env).Phase)
			w.mu.Lock()
			w.script["NextFence"] = nil
			w.mu.Unlock()
			env.UpdateWorkflow(workflows.RetryUpdate, "u1", taken, patch.Command{Actor: "ann", Reason: "database is back"})
		}, time.Hour)
	})
	require.True(t, taken.done)
	require.Equal(t, patch.LineRecreated, o.result.Undo.Line)
	require.True(t, w.inLine())
}
