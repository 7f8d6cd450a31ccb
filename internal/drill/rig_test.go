package drill_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/devstack/workerfault"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/drill"
)

func newCell(t *testing.T, options drill.CellOptions) *drill.Cell {
	t.Helper()
	cell, err := stack.NewCell(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cell.Close()) })
	return cell
}

// patience bounds every wait of a test; it is only ever reached by a failure.
const patience = 90 * time.Second

func newGame(t *testing.T, cell *drill.Cell, name string) *drill.Game {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	game, err := cell.NewGame(ctx, name, drill.FirstVersion)
	require.NoError(t, err)
	return game
}

// judge expects the named promises to be broken, and no other.
func judge(t *testing.T, cell *drill.Cell, game *drill.Game, broken ...string) {
	t.Helper()
	violations, err := cell.Judge(game.Context(), game)
	require.NoError(t, err)
	names := []string{}
	for _, violation := range violations {
		if !slices.Contains(names, violation.Check) {
			names = append(names, violation.Check)
		}
	}
	require.ElementsMatch(t, broken, names, "%s\n%s", drill.Tell(violations), stack.LogsAbout(game.ID))
}

// TestJudgeSees proves that the evidence of a real stack shows what was done
// wrong: each act breaks the promise that it should, and none else.
func TestJudgeSees(t *testing.T) {
	t.Parallel()
	cell := newCell(t, drill.CellOptions{})
	for name, act := range map[string]struct {
		do     func(*drill.Game)
		broken []string
	}{
		"nothing": {func(*drill.Game) {}, nil},
		"container moved": {
			func(g *drill.Game) { g.PutContainer("1.4.9", "") },
			[]string{"record_container_agree", "as_expected"},
		},
		"container gone": {
			func(g *drill.Game) { g.DeleteContainer() },
			[]string{"record_container_agree", "as_expected"},
		},
		"game stopped beside its container": {
			func(g *drill.Game) { g.SetStatus(runtime.StatusStopped) },
			[]string{"record_container_agree", "as_expected"},
		},
		"fault that never fires": {
			func(g *drill.Game) {
				g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeReset, Times: 1})
				g.SQL(pgfault.Fault{SQL: "^UPDATE nothing", Mode: pgfault.CutBefore})
			},
			[]string{"fault_fired"},
		},
		"version nobody asked for": {
			func(g *drill.Game) { g.Expect(drill.Success("1.4.4")) },
			[]string{"as_expected"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			game := newGame(t, cell, "sees")
			require.EqualValues(t, "success", game.Patch("1.4.3").Outcome)
			act.do(game)
			require.NoError(t, game.Err())
			judge(t, cell, game, act.broken...)
		})
	}
}

// TestVerbsKeepTheFirstError proves that a case which goes wrong says where, and
// does nothing after it.
func TestVerbsKeepTheFirstError(t *testing.T) {
	t.Parallel()
	cell := newCell(t, drill.CellOptions{})
	game := newGame(t, cell, "error")
	game.Terminate("there is nothing to end")
	game.SetStatus(runtime.StatusStopped)
	game.AwaitFired("nothing")
	require.ErrorContains(t, game.Err(), "terminate")
	game.Expect(drill.Expect{Version: drill.FirstVersion})
	violations, err := cell.Judge(t.Context(), game)
	require.ErrorContains(t, err, "terminate")
	require.Empty(t, violations, drill.Tell(violations))
}

// TestWorkersComeBack proves that a worker that dies is started again at once,
// and that a patch gets through all the same.
func TestWorkersComeBack(t *testing.T) {
	t.Parallel()
	cell := newCell(t, drill.CellOptions{})
	game := newGame(t, cell, "crash")
	game.Expect(drill.Success("1.4.3").After(1))
	slow := game.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenSlow, DelayMS: 60_000, Times: 1})
	asked := game.PatchAsync("1.4.3")
	game.AwaitFired(slow)
	before := cell.Workers[0].PID()
	game.Did(drill.LayerWorker, "worker crashed", cell.Workers[0].Crash())
	game.Until("another worker runs", func(context.Context) (bool, error) { return cell.Workers[0].PID() != before, nil })
	require.EqualValues(t, "success", asked.Wait().Outcome)
	require.Equal(t, 1, cell.Workers[0].Deaths())
	judge(t, cell, game)
}

// TestWorkerFaults proves that workers fail at the game that they are told to,
// that it is known when they have, and that a stopped one can go on.
func TestWorkerFaults(t *testing.T) {
	t.Parallel()
	cell := newCell(t, drill.CellOptions{Workers: 2})
	for name, fault := range map[string]workerfault.Fault{
		"killed":  {Mode: workerfault.KillAfter, Activity: "PatchContainer", Times: 1},
		"told":    {Mode: workerfault.ToldError, Activity: "LoadRecord", Code: string(patch.CodeServiceUnavailable), Times: 1},
		"stopped": {Mode: workerfault.StopBefore, Activity: "UpdateImage", Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			game := newGame(t, cell, name)
			game.Expect(drill.Success("1.4.3").After(1))
			fired := game.Worker(fault)
			asked := game.PatchAsync("1.4.3")
			game.AwaitFired(fired)
			if fault.Mode == workerfault.StopBefore {
				game.ContinueWorker(fired)
			}
			require.EqualValues(t, "success", asked.Wait().Outcome, game.Err())
			judge(t, cell, game)
		})
	}
}

// TestWatch proves that a run which was ended from outside needs its row, and a
// difference its finding, once the watch has passed, and that both are found
// there; healed, nothing differs any more.
func TestWatch(t *testing.T) {
	t.Parallel()
	cell := newCell(t, drill.CellOptions{})
	game := newGame(t, cell, "watch")
	slow := game.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenSlow, DelayMS: 60_000, Times: 1})
	game.PatchAsync("1.4.3")
	game.AwaitFired(slow)
	game.Terminate("drill")
	game.Expect(drill.Expect{Version: drill.FirstVersion, Differs: true})
	judge(t, cell, game)
	game.Watch()
	judge(t, cell, game)
	game.Expect(drill.Expect{Version: drill.FirstVersion}.After(2))
	game.Heal()
	game.Watch()
	judge(t, cell, game)
}

// TestOperatorVerbs proves that what an operator does to a run is carried out,
// and that the evidence of it is read as what it is.
func TestOperatorVerbs(t *testing.T) {
	t.Parallel()
	cell := newCell(t, drill.CellOptions{})
	applied := rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusBadRequest, Times: 1}
	slow := rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeSlow, DelayMS: 1500, Times: 1}
	for name, act := range map[string]struct {
		expect drill.Expect
		do     func(*drill.Game)
	}{
		"reset of a closed run": {drill.Success("1.4.3").After(1), func(g *drill.Game) {
			g.Patch("1.4.3")
			g.Reset(drill.ResetFirst)
		}},
		"reset of an open run": {drill.Success("1.4.3"), func(g *drill.Game) {
			landing := g.RTM(slow)
			g.PatchAsync("1.4.3")
			g.AwaitFired(landing)
			g.Reset(drill.ResetFirst)
		}},
		"cancelled": {drill.Failure("1.4.2", patch.CodeCancelled), func(g *drill.Game) {
			landing := g.RTM(slow)
			asked := g.PatchAsync("1.4.3")
			g.AwaitFired(landing)
			g.Cancel("drill")
			asked.Wait()
		}},
		"left open": {drill.Expect{Version: "1.4.2"}.Differing().LeftOpen(), func(g *drill.Game) {
			g.RTM(applied)
			g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusBadRequest})
			g.Patch("1.4.3")
		}},
		"abandoned": {drill.Failure("1.4.2", patch.CodeServiceUnavailable).Differing(), func(g *drill.Game) {
			g.RTM(applied)
			g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusBadRequest})
			g.Patch("1.4.3")
			g.Abandon("drill")
		}},
		"retried": {drill.Failure("1.4.2", patch.CodeServiceUnavailable).After(2), func(g *drill.Game) {
			g.RTM(applied)
			g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusBadRequest, Times: 1})
			g.Patch("1.4.3")
			g.ClearRTM()
			g.Retry("drill")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			game := newGame(t, cell, "operator")
			game.Expect(act.expect)
			act.do(game)
			require.NoError(t, game.Err())
			judge(t, cell, game)
		})
	}
}

// TestReconcile proves that a reconciliation is asked for and told like a patch.
func TestReconcile(t *testing.T) {
	t.Parallel()
	cell := newCell(t, drill.CellOptions{})
	game := newGame(t, cell, "reconcile")
	game.PutContainer("1.4.6", "")
	game.Expect(drill.Success("1.4.6").After(0))
	require.EqualValues(t, "success", game.Reconcile(client.ModeAdopt).Outcome, game.Err())
	judge(t, cell, game)
}

// TestProcessesStop proves that a process which was told to stay down does, and
// that it comes back at its address; a paused one goes on.
func TestProcessesStop(t *testing.T) {
	t.Parallel()
	cell := newCell(t, drill.CellOptions{})
	game := newGame(t, cell, "stop")
	api, worker := cell.APIs[0], cell.Workers[0]
	require.NoError(t, api.Kill())
	require.NoError(t, worker.Term())
	asked := game.PatchAsync("1.4.3")
	require.NoError(t, api.Start())
	game.AwaitOpen()
	require.NoError(t, worker.Start())
	require.NoError(t, worker.Pause())
	require.NoError(t, worker.Resume())
	require.EqualValues(t, "success", asked.Wait().Outcome)
	require.Error(t, cell.Stack.Postgres.Kill(), "it would lose its data")
	judge(t, cell, game)
}

// TestLinks proves that each toxic spoils what passes, that the link knows it,
// and that a patch gets through when it is over.
func TestLinks(t *testing.T) {
	t.Parallel()
	cell := newCell(t, drill.CellOptions{Links: true})
	for _, link := range []*drill.Link{cell.WorkerToManager, cell.WorkerToTemporal, cell.APIToTemporal, cell.WorkerToPostgres, cell.APIToPostgres} {
		require.NotNil(t, link)
	}
	for i, toxic := range []drill.Toxic{
		drill.Latency(50 * time.Millisecond), drill.Swallow(time.Second), drill.ResetPeer().OnRequests(),
		drill.LimitData(10), drill.Slice(4, time.Millisecond), drill.Bandwidth(100),
	} {
		t.Run(toxic.Kind, func(t *testing.T) {
			game := newGame(t, cell, fmt.Sprintf("link-%d", i))
			game.Expect(drill.Success("1.4.3"))
			name := game.Toxic(cell.WorkerToManager, toxic)
			asked := game.PatchAsync("1.4.3")
			game.AwaitFired(name)
			game.TakeToxic(cell.WorkerToManager, name)
			require.EqualValues(t, "success", asked.Wait().Outcome)
			judge(t, cell, game)
		})
	}
	t.Run("down", func(t *testing.T) {
		game := newGame(t, cell, "down")
		cell.WorkerToTemporal.Down()
		_, err := net.Dial("tcp", cell.WorkerToTemporal.Address())
		require.Error(t, err)
		asked := game.PatchAsync("1.4.3")
		game.AwaitOpen()
		require.NoError(t, cell.WorkerToTemporal.Up())
		require.EqualValues(t, "success", asked.Wait().Outcome)
		judge(t, cell, game)
	})
}

// TestServersComeBack proves that every server can be killed under a patch, comes
// back with what it had, and that the patch ends as if nothing had been.
func TestServersComeBack(t *testing.T) {
	t.Parallel()
	durable, err := drill.Start(t.Context(), drill.Options{Binary: binary, Durable: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, durable.Close()) })
	cell, err := durable.NewCell(t.Context(), drill.CellOptions{})
	require.NoError(t, err)
	for name, server := range map[string]struct {
		end, begin func(context.Context) error
	}{
		"postgres":  {func(context.Context) error { return durable.Postgres.Kill() }, durable.Postgres.Start},
		"temporal":  {func(context.Context) error { return durable.Temporal.Kill() }, durable.Temporal.Start},
		"simulator": {durable.Simulator.Kill, durable.Simulator.Start},
		"paused postgres": {
			func(context.Context) error { return durable.Postgres.Pause() },
			func(context.Context) error { return durable.Postgres.Resume() },
		},
		"paused temporal": {
			func(context.Context) error { return durable.Temporal.Pause() },
			func(context.Context) error { return durable.Temporal.Resume() },
		},
		"stopped temporal": {func(context.Context) error { return durable.Temporal.Stop() }, durable.Temporal.Start},
	} {
		t.Run(name, func(t *testing.T) {
			game := newGame(t, cell, "server")
			game.Expect(drill.Success("1.4.3").After(1))
			landed := game.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenSlow, DelayMS: 1000, Times: 1})
			asked := game.PatchAsync("1.4.3")
			game.AwaitFired(landed)
			require.NoError(t, server.end(t.Context()))
			require.NoError(t, server.begin(t.Context()))
			require.EqualValues(t, "success", asked.Wait().Outcome, game.Err())
			violations, err := cell.Judge(game.Context(), game)
			require.NoError(t, err)
			require.Empty(t, violations, "%s\n%s", drill.Tell(violations), durable.LogsAbout(game.ID))
		})
	}
}

// TestSuite proves that cases of every room are carried out, and that a case
// which breaks a promise, or does not come to its end, is told as such.
func TestSuite(t *testing.T) {
	t.Parallel()
	once := rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 503, Times: 1}
	var told []string
	suite := drill.Suite{Binary: binary, Done: func(report drill.Report) { told = append(told, report.Case) }}
	reports, err := suite.Run(t.Context(), []drill.Case{
		{
			Name: "manager_503_once", Layer: drill.LayerManager, Expect: drill.Success("1.4.3").After(1),
			Run: func(_ *drill.Cell, g *drill.Game) { g.RTM(once); g.Patch("1.4.3") },
		},
		{
			Name: "swap_lost", Layer: drill.LayerWriter, Expect: drill.Failure("1.4.2", patch.CodeConflict).After(2),
			Run: func(_ *drill.Cell, g *drill.Game) {
				slow := g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenSlow, DelayMS: 1000, Times: 1})
				asked := g.PatchAsync("1.4.3")
				g.AwaitFired(slow)
				g.SetStatus(runtime.StatusGenerationFailed)
				asked.Wait()
			},
		},
		{
			Name: "wrongly_expected", Layer: drill.LayerNone, Expect: drill.Success("1.4.4"),
			Run: func(_ *drill.Cell, g *drill.Game) { g.Patch("1.4.3") },
		},
		{
			Name: "worker_cut_from_temporal", Layer: drill.LayerNetwork, Room: drill.RoomCell, Expect: drill.Success("1.4.3").After(1),
			Run: func(c *drill.Cell, g *drill.Game) {
				c.WorkerToTemporal.Down()
				asked := g.PatchAsync("1.4.3")
				g.AwaitOpen()
				g.Did(drill.LayerNetwork, "worker cut from Temporal", c.WorkerToTemporal.Up())
				asked.Wait()
			},
		},
		{
			Name: "temporal_killed", Layer: drill.LayerTemporal, Room: drill.RoomStack, Expect: drill.Success("1.4.3"),
			Run: func(c *drill.Cell, g *drill.Game) {
				g.Did(drill.LayerTemporal, "Temporal killed", c.Stack.Temporal.Kill())
				asked := g.PatchAsync("1.4.3")
				g.Did(drill.LayerTemporal, "Temporal is back", c.Stack.Temporal.Start(g.Context()))
				asked.Wait()
			},
		},
	})
	require.NoError(t, err)
	require.Len(t, reports, 5)
	require.Len(t, told, 5)
	for _, report := range reports {
		require.Equal(t, report.Case == "wrongly_expected", report.Failed(), "%s\n%s", report, report.Logs)
	}
}
