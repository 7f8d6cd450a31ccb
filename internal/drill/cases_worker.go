package drill

import (
	"time"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/devstack/workerfault"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// workerCases are about the process that carries a patch out: killed before a
// step, after its effect and before its answer, while it decides; stopped, and
// going on when another has taken over; its answers lost. Undo steps have a
// contested patch to undo.
func workerCases() []Case {
	var cases []Case
	steps := []string{"LoadRecord", "ValidateVersion", "TakeFence", "PatchContainer", "UpdateImage", "AppendOperationLog"}
	for _, mode := range []workerfault.Mode{
		workerfault.KillBefore, workerfault.KillAfter, workerfault.ErrorBefore, workerfault.ToldError, workerfault.Silent,
	} {
		for _, step := range steps {
			cases = append(cases, Case{
				Name: named(mode, step), Layer: LayerWorker, Room: roomOf(mode), Expect: patched(),
				Run: put(func(g *Game) { g.Worker(workerfault.Fault{Mode: mode, Activity: step, Times: 1}) }),
			})
		}
		cases = append(cases, Case{
			Name: named(mode, "RestoreContainer"), Layer: LayerWorker, Room: roomOf(mode), Expect: putBack(),
			Run: func(_ *Cell, g *Game) {
				contested(g, func(g *Game) {
					g.Worker(workerfault.Fault{Mode: mode, Activity: "RestoreContainer", Times: 1})
				})
			},
		})
	}
	for _, step := range steps {
		cases = append(cases, Case{
			Name: named(workerfault.KillInTask, step), Layer: LayerWorker, Room: RoomRough, Expect: patched(),
			Run: put(func(g *Game) {
				g.Worker(workerfault.Fault{Mode: workerfault.KillInTask, Activity: step, Times: 1})
			}),
		})
	}
	return append(cases, tiredWorkers()...)
}

// roomOf keeps the killing modes away from cases whose outcome a dying worker
// would change.
func roomOf(mode workerfault.Mode) Room {
	if mode == workerfault.KillBefore || mode == workerfault.KillAfter {
		return RoomRough
	}
	return RoomShared
}

// tiredWorkers die again and again, while they close a run, or with a call under
// way.
func tiredWorkers() []Case {
	return []Case{
		{
			Name: "kill_at_close", Layer: LayerWorker, Room: RoomRough, Expect: patched(),
			Run: put(func(g *Game) { g.Worker(workerfault.Fault{Mode: workerfault.KillAtClose, Times: 1}) }),
		},
		{
			Name: "kill_after_the_rotation_twice", Layer: LayerWorker, Room: RoomRough, Expect: patched(),
			Run: put(func(g *Game) {
				g.Worker(workerfault.Fault{Mode: workerfault.KillAfter, Activity: "UpdateImage", Times: 2})
			}),
		},
		{
			// The effect is there, and the reply was never read.
			Name: "kill_while_the_reply_is_on_its_way", Layer: LayerWorker, Room: RoomCell, Expect: patched(),
			Run: func(c *Cell, g *Game) {
				hang := g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenHang, Times: 1})
				asked := g.PatchAsync(target)
				g.AwaitFired(hang)
				g.crashWorkers(c)
				asked.Wait()
			},
		},
		{
			Name: "kill_while_the_recreate_is_on_its_way", Layer: LayerWorker, Room: RoomCell, Expect: patched(),
			Run: func(c *Cell, g *Game) {
				asked, hold := holding(g)
				g.crashWorkers(c)
				g.Release(hold)
				asked.Wait()
			},
		},
		{
			// A worker that has been taken for dead goes on where it was. Temporal may
			// hand it the next attempts too, since its polls are still open, so that
			// the budget may be spent on it.
			Name: "stopped_and_going_on_beside_its_successor", Layer: LayerWorker, Room: RoomCell,
			Expect: Expect{Codes: []patch.Code{"", patch.CodeServiceUnavailable}},
			Run: func(c *Cell, g *Game) {
				g.Worker(workerfault.Fault{Mode: workerfault.StopBefore, Activity: "PatchContainer", Times: 1})
				g.Patch(target)
				g.resumeWorkers(c)
			},
		},
		{
			Name: "stopped_after_the_undo_of_another", Layer: LayerWorker, Room: RoomCell,
			Expect: Failure(FirstVersion, patch.CodeConflict, patch.CodeServiceUnavailable),
			Run: func(c *Cell, g *Game) {
				stopped := g.Worker(workerfault.Fault{Mode: workerfault.StopBefore, Activity: "PatchContainer", Times: 1})
				asked := g.PatchAsync(target)
				g.AwaitFired(stopped)
				g.SetStatus(runtime.StatusEngineUnreachable)
				asked.Wait()
				g.SetStatus(runtime.StatusRunning)
				g.resumeWorkers(c)
				g.rest(2 * time.Second)
			},
		},
	}
}

// crashWorkers kills all workers of the cell, which come back by themselves.
func (g *Game) crashWorkers(c *Cell) {
	for _, worker := range c.Workers {
		g.Did(LayerWorker, "crash "+worker.Name(), worker.Crash())
	}
}

// resumeWorkers has those go on that a fault has stopped.
func (g *Game) resumeWorkers(c *Cell) {
	for _, worker := range c.Workers {
		g.Did(LayerWorker, "resume "+worker.Name(), worker.Resume())
	}
}
