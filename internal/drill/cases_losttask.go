package drill

import (
	"galaxy/gamemaster/internal/devstack/workerfault"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// lostTaskCases lose the workflow task that closes a run, with its worker and
// with what it had done within the task: record and audit row are written, and
// the history knows nothing of it. Before the task is done again, others have
// their say. What the row tells has to stay true.
func lostTaskCases() []Case {
	lost := func(name string, expect Expect, prepare func(*Game), version string, meanwhile ...func(*Game)) Case {
		return Case{
			Name: named("lost_close", name), Layer: LayerWorker, Room: RoomRough, Expect: expect,
			Run: func(_ *Cell, g *Game) {
				prepare(g)
				kill := g.Worker(workerfault.Fault{Mode: workerfault.KillAtClose, Times: 1})
				asked := g.PatchAsync(version)
				g.AwaitFired(kill)
				for _, then := range meanwhile {
					then(g)
				}
				g.Did(LayerWriter, name, nil)
				asked.Wait()
			},
		}
	}
	nothing := func(*Game) {}
	set := func(status runtime.Status) func(*Game) { return func(g *Game) { g.SetStatus(status) } }
	stopped := func(version string) func(*Game) {
		return func(g *Game) {
			g.SetStatus(runtime.StatusStopped)
			g.PutContainer(version, "exited")
		}
	}
	moved := func(g *Game) { g.SetVersion("1.4.6") }
	return []Case{
		lost("then_cancelled", patched(), nothing, target, (*Game).CancelRun),
		lost("then_stopped_and_cancelled", patched(), nothing, target, stopped(target), (*Game).CancelRun),
		// The container follows the record; that the patch was done stays told.
		lost("then_moved_on", Success("1.4.6").After(2), nothing, target, moved),
		lost("then_moved_on_and_cancelled", Success("1.4.6").After(2), nothing, target, moved, (*Game).CancelRun),
		lost("then_deleted_and_cancelled", Expect{Codes: []patch.Code{""}}.Differing(), nothing, target, (*Game).DeleteRecord, (*Game).CancelRun),
		// A refusal that was told is not taken back, nor is a no-op.
		lost("of_a_refusal_then_running", Failure(FirstVersion, patch.CodeRuntimeNotRunning).After(0),
			set(runtime.StatusStopped), target, set(runtime.StatusRunning)),
		lost("of_a_noop_then_stopped", Success(FirstVersion).After(0), nothing, FirstVersion, stopped(FirstVersion)),
	}
}
