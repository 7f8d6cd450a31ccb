package workflows_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/workflows"
)

// TestPass proves what a pass finds, keeps and returns.
func TestPass(t *testing.T) {
	f := newFleet(10)
	f.seen[f.game(1)] = newImage
	f.seen[f.game(2)] = ""
	f.status[f.game(3)] = runtime.StatusStopped
	f.status[f.game(4)], f.seen[f.game(4)] = runtime.StatusFinished, ""
	f.status[f.game(5)], f.seen[f.game(5)] = runtime.StatusStarting, ""
	f.found[f.game(6)] = drift.Finding{GameID: f.game(6), Kind: drift.Missing}
	p := f.watch(t, workflows.WatchInput{PageSize: 3})
	require.NoError(t, p.err)
	want := drift.Counts{Checked: 10, InSync: 7, ImageDrift: 1, Missing: 1, Extra: 1}
	require.Equal(t, want, p.pass.Counts)
	require.NotEmpty(t, p.pass.ID)
	require.NotNil(t, p.pass.FinishedAt)
	require.Equal(t, p.pass, f.finished[0].Pass)
	require.Equal(t, 30*24*time.Hour, p.pass.FinishedAt.Sub(f.finished[0].KeepSince))
	kinds := map[string]drift.Kind{}
	for gameID, finding := range f.found {
		kinds[gameID] = finding.Kind
	}
	require.Equal(t, map[string]drift.Kind{f.game(1): drift.ImageDrift, f.game(2): drift.Missing, f.game(3): drift.Extra}, kinds)
	require.Equal(t, 4, p.progress.Pages)
	require.Empty(t, f.healed, "nothing is healed unless it is asked for")
}

// TestPassOfNothing proves that a pass over no records ends well, and that one
// over a full last page does not miss its end.
func TestPassOfNothing(t *testing.T) {
	for size, pages := range map[int]int{0: 1, 4: 2} {
		f := newFleet(size)
		p := f.watch(t, workflows.WatchInput{PageSize: 4})
		require.NoError(t, p.err)
		require.Equal(t, int64(size), p.pass.Checked)
		require.Equal(t, pages, p.progress.Pages)
	}
}

// TestPassOfAHundredThousand proves that one pass walks over 100,000 records,
// each looked at once, in runs whose histories stay far below any limit.
func TestPassOfAHundredThousand(t *testing.T) {
	const size, drifted = 100_000, 77_777
	f := newFleet(size)
	f.seen[f.game(drifted)] = newImage
	p := f.watch(t, workflows.WatchInput{})
	require.NoError(t, p.err)
	require.Equal(t, drift.Counts{Checked: size, InSync: size - 1, ImageDrift: 1}, p.pass.Counts)
	require.Len(t, f.inspected, size)
	for gameID, n := range f.inspected {
		require.True(t, n == 1 || (n == 2 && gameID == f.game(drifted)), gameID)
	}
	require.Len(t, f.steps, 6)
	const eventsOfAStep, mostEvents = 6, 1000
	for _, steps := range f.steps {
		require.Less(t, steps*eventsOfAStep, mostEvents)
	}
	require.Len(t, f.finished, 1, "one summary, of the whole pass")
}

// TestPassSkipsOpenPatches proves that a game in the middle of its patch is no
// finding.
func TestPassSkipsOpenPatches(t *testing.T) {
	f := newFleet(5)
	f.seen[f.game(2)] = newImage
	f.open = func(gameID string) bool { return gameID == f.game(2) }
	p := f.watch(t, workflows.WatchInput{Heal: patch.ModeEnforce})
	require.NoError(t, p.err)
	require.Equal(t, drift.Counts{Checked: 4, InSync: 4, Skipped: 1}, p.pass.Counts)
	require.Empty(t, f.found)
	require.Empty(t, f.healed)
}

// TestPassLooksTwice proves that a difference which is gone at the second look
// is none.
func TestPassLooksTwice(t *testing.T) {
	f := newFleet(5)
	f.inspect = func(gameID string, nth int) (ports.Container, error) {
		image := oldImage
		if gameID == f.game(2) && nth == 1 {
			image = newImage
		}
		return ports.Container{GameID: gameID, ImageRef: image, Status: ports.ContainerRunning}, nil
	}
	p := f.watch(t, workflows.WatchInput{})
	require.NoError(t, p.err)
	require.Equal(t, drift.Counts{Checked: 5, InSync: 5}, p.pass.Counts)
	require.Equal(t, 2, f.inspected[f.game(2)])
	require.Empty(t, f.found)
}

// TestPassHeals proves that each drifted game is reconciled under its own
// workflow ID, by the watch, with the budgets that the schedule carries, and
// that no pass starts more than fifty.
func TestPassHeals(t *testing.T) {
	f := newFleet(100)
	for i := range 60 {
		f.seen[f.game(i)] = newImage
	}
	f.seen[f.game(99)] = ""
	budgets := patch.Budgets{Undo: patch.Duration(time.Minute)}
	ids := map[string]bool{}
	p := f.watch(t, workflows.WatchInput{Heal: patch.ModeEnforce, PageSize: 20, Budgets: budgets},
		func(env *testsuite.TestWorkflowEnvironment) {
			env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, ctx workflow.Context, _ converter.EncodedValues) {
				ids[info.WorkflowExecution.ID] = true
				gameID, _ := workflow.GetTypedSearchAttributes(ctx).GetKeyword(workflows.GameIDKey)
				require.Equal(t, patch.WorkflowID(gameID), info.WorkflowExecution.ID)
			})
		})
	require.NoError(t, p.err)
	require.Equal(t, int64(60), p.pass.ImageDrift)
	require.Equal(t, 50, p.progress.Healing)
	require.Len(t, f.healed, 50)
	require.Len(t, ids, 50)
	for _, input := range f.healed {
		require.NoError(t, input.Request.Validate())
		require.True(t, ids[patch.WorkflowID(input.Request.GameID)])
		require.Equal(t, patch.ModeEnforce, input.Request.Mode)
		require.Equal(t, operation.OpSourceSystem, input.Request.OpSource)
		require.Equal(t, "watch", input.Request.Actor)
		require.Equal(t, p.pass.ID, input.Request.SourceRef)
		require.Equal(t, budgets, input.Budgets)
	}
	require.Equal(t, drift.Missing, f.found[f.game(99)].Kind)
}

// TestPassHealsOnlyWhatIsFree proves that a game whose own workflow is open is
// left to it, and the pass goes on.
func TestPassHealsOnlyWhatIsFree(t *testing.T) {
	f := newFleet(3)
	f.seen[f.game(0)], f.seen[f.game(1)] = newImage, newImage
	f.sameAs = map[int]int{2: 0}
	p := f.watch(t, workflows.WatchInput{Heal: patch.ModeEnforce, PageSize: 2})
	require.NoError(t, p.err)
	require.Equal(t, int64(3), p.pass.ImageDrift)
	require.Equal(t, 2, p.progress.Healing)
	require.Len(t, f.healed, 2)
}

// TestPassTakesNoOtherHealing proves that a pass never lets the record follow the
// container by itself.
func TestPassTakesNoOtherHealing(t *testing.T) {
	f := newFleet(1)
	f.requireFailed(t, f.watch(t, workflows.WatchInput{Heal: patch.ModeAdopt}), patch.CodeInvalidRequest)
	require.Empty(t, f.inspected)
}

// TestPassCountsUnknowns proves that games which Runtime Manager cannot tell of
// keep their findings, and do not hide the games behind them, though they are
// many in a row: the page is tried for a while, then the pass goes on.
func TestPassCountsUnknowns(t *testing.T) {
	f := newFleet(60)
	f.found[f.game(21)] = drift.Finding{GameID: f.game(21), Kind: drift.Missing}
	f.inspect = func(gameID string, _ int) (ports.Container, error) {
		if f.game(20) <= gameID && gameID < f.game(40) {
			return ports.Container{}, &ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 503}
		}
		return ports.Container{GameID: gameID, ImageRef: oldImage, Status: ports.ContainerRunning}, nil
	}
	p := f.watch(t, workflows.WatchInput{PageSize: 20})
	require.NoError(t, p.err)
	require.Equal(t, drift.Counts{Checked: 40, InSync: 40, Unknown: 20}, p.pass.Counts)
	require.Contains(t, f.found, f.game(21))
	require.Equal(t, []int{1 + 6 + 2 + 2}, f.steps, "the page in the middle is tried six times")
}

// TestPassFailsWithoutAManager proves that a pass ends soon when Runtime Manager
// is down, whether that takes three pages or the only one.
func TestPassFailsWithoutAManager(t *testing.T) {
	for size, pages := range map[int]int{1000: 3, 10: 1} {
		f := newFleet(size)
		f.inspect = func(string, int) (ports.Container, error) {
			return ports.Container{}, &ports.RTMError{Kind: ports.ErrRTMUnavailable, Err: errors.New("connection refused")}
		}
		var took time.Duration
		p := f.watch(t, workflows.WatchInput{PageSize: 100}, func(env *testsuite.TestWorkflowEnvironment) {
			began := env.Now()
			env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) { took = env.Now().Sub(began) })
		})
		f.requireFailed(t, p, patch.CodeServiceUnavailable)
		require.Equal(t, pages, p.progress.Pages)
		require.Less(t, took, 2*time.Minute)
		if size == 1000 {
			require.Less(t, len(f.inspected), 50)
		}
	}
}

// TestPassOutlivesARestart proves that a Runtime Manager that is back after half
// a minute costs the pass nothing but time.
func TestPassOutlivesARestart(t *testing.T) {
	f := newFleet(100)
	down := true
	f.inspect = func(gameID string, _ int) (ports.Container, error) {
		if down {
			return ports.Container{}, &ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 503}
		}
		return ports.Container{GameID: gameID, ImageRef: oldImage, Status: ports.ContainerRunning}, nil
	}
	p := f.watch(t, workflows.WatchInput{}, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			down = false
		}, 25*time.Second)
	})
	require.NoError(t, p.err)
	require.Equal(t, drift.Counts{Checked: 100, InSync: 100}, p.pass.Counts)
}

// TestPassFailsWithoutAStore proves that a page which cannot be read or kept for
// its whole budget fails the pass.
func TestPassFailsWithoutAStore(t *testing.T) {
	for _, call := range []string{"PageRuntimes", "Note"} {
		t.Run(call, func(t *testing.T) {
			f := newFleet(10)
			f.faults[call] = slices.Repeat([]error{errors.New("connection refused")}, 1000)
			p := f.watch(t, workflows.WatchInput{})
			f.requireFailed(t, p, patch.CodeServiceUnavailable)
			f = newFleet(10)
			f.faults[call] = slices.Repeat([]error{errors.New("connection refused")}, 5)
			require.NoError(t, f.watch(t, workflows.WatchInput{}).err)
		})
	}
}

// TestPassSweeps proves that the runs of the last day that could write no row
// get theirs, page by page, and that a Temporal which cannot list them costs the
// pass its good end, but not its summary.
func TestPassSweeps(t *testing.T) {
	run := func(game string) patch.EndedRun {
		return patch.EndedRun{Handle: patch.Handle{GameID: game, PatchID: patch.NewID(game), RunID: "r"}, StartedAt: time.Unix(1, 0), EndedAt: time.Unix(2, 0)}
	}
	f := newFleet(1)
	f.ended = []patch.EndedPage{
		{Runs: []patch.EndedRun{run("a"), run("b")}, NextPageToken: []byte("1")}, {NextPageToken: []byte("22")}, {Runs: []patch.EndedRun{run("c")}},
	}
	p := f.watch(t, workflows.WatchInput{})
	require.NoError(t, p.err)
	require.Equal(t, 24*time.Hour, p.pass.StartedAt.Sub(f.endedAt))
	require.Len(t, f.rows, 3)
	require.Equal(t, 3, p.progress.Swept)
	for i, game := range []string{"a", "b", "c"} {
		require.Equal(t, game, f.rows[i].GameID)
		require.Equal(t, string(patch.CodeTerminated), f.rows[i].ErrorCode)
	}

	f = newFleet(1)
	f.faults["PageEnded"] = slices.Repeat([]error{errors.New("away")}, 1000)
	p = f.watch(t, workflows.WatchInput{})
	require.Error(t, p.err)
	require.Len(t, f.finished, 1)
}

// TestPassIsCancelled proves that a cancelled pass ends at once, as Canceled and
// without a summary.
func TestPassIsCancelled(t *testing.T) {
	f := newFleet(1000)
	p := f.watch(t, workflows.WatchInput{PageSize: 100}, func(env *testsuite.TestWorkflowEnvironment) {
		env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) { env.CancelWorkflow() })
	})
	var cancelled *temporal.CanceledError
	require.ErrorAs(t, p.err, &cancelled)
	require.Equal(t, 1, p.progress.Pages)
	require.Empty(t, f.finished)
}

// TestPassShowsItself proves what an operator sees of an open pass.
func TestPassShowsItself(t *testing.T) {
	f := newFleet(30)
	f.seen[f.game(0)] = newImage
	var seen []int
	p := f.watch(t, workflows.WatchInput{PageSize: 10}, func(env *testsuite.TestWorkflowEnvironment) {
		env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
			if !strings.HasPrefix(info.ActivityType.Name, "CheckPage") {
				return
			}
			answer, err := env.QueryWorkflow(workflows.ProgressQuery)
			require.NoError(t, err)
			var progress workflows.PassProgress
			require.NoError(t, answer.Get(&progress))
			seen = append(seen, progress.Pages)
		})
	})
	require.NoError(t, p.err)
	require.Equal(t, []int{0, 1, 2, 3}, seen)
}
