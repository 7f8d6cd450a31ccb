package drill

import (
	"net/http"
	"time"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/devstack/workerfault"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// lateCases are about what is believed too early: each leaves one protection
// alone with what it protects from, where most others are held by several.
func lateCases() []Case {
	return append(append(lateRotations(), lateReplies()...), lateCalls()...)
}

// lateRotations have the statement that rotates the record on its way while
// something else happens.
func lateRotations() []Case {
	return []Case{
		{
			// Behind the look at the record, and ahead of the statement.
			Name: "status_moves_between_look_and_rotation", Layer: LayerWriter, Expect: putBack(),
			Run: func(_ *Cell, g *Game) {
				late := g.SQL(pgfault.Fault{SQL: rotatesRecord, Mode: pgfault.Late, Delay: 1500 * time.Millisecond, Times: 1})
				asked := g.PatchAsync(target)
				g.AwaitFired(late)
				g.SetStatus(runtime.StatusEngineUnreachable)
				asked.Wait()
			},
		},
		{
			Name: "version_moves_between_look_and_rotation", Layer: LayerWriter, Expect: Failure("1.4.6", patch.CodeConflict).After(2),
			Run: func(_ *Cell, g *Game) {
				late := g.SQL(pgfault.Fault{SQL: rotatesRecord, Mode: pgfault.Late, Delay: 1500 * time.Millisecond, Times: 1})
				asked := g.PatchAsync(target)
				g.AwaitFired(late)
				g.SetVersion("1.4.6")
				asked.Wait()
			},
		},
		{
			// By then the record is what the statement expects once more.
			Name: "rotate_late_after_the_way_back", Layer: LayerStore, Expect: Success(FirstVersion).After(2),
			Run: func(_ *Cell, g *Game) {
				late := g.SQL(pgfault.Fault{SQL: rotatesRecord, Mode: pgfault.Late, Delay: 9 * time.Second, Times: 1})
				g.Patch(target)
				g.Patch(FirstVersion)
				g.awaitCommitted(late)
			},
		},
		{
			// The rotation is on its way, and would land behind an undo.
			Name: "cancel_during_a_late_rotation", Layer: LayerOperator, Expect: patched(),
			Run: func(_ *Cell, g *Game) {
				late := g.SQL(pgfault.Fault{SQL: rotatesRecord, Mode: pgfault.Late, Delay: 3 * time.Second, Times: 2})
				asked := g.PatchAsync(target)
				g.AwaitFired(late)
				g.CancelRun()
				asked.Wait()
				g.awaitCommitted(late)
			},
		},
	}
}

// lateReplies have the store say too late what it has done or what it knows.
func lateReplies() []Case {
	return []Case{
		{
			// Nothing but when it was registered tells the new game from the old one.
			Name: "registered_anew_on_the_same_version", Layer: LayerWriter, Expect: putBack(),
			Run: func(_ *Cell, g *Game) {
				asked, hold := holding(g)
				g.DeleteRecord()
				g.Register(FirstVersion)
				g.Release(hold)
				asked.Wait()
			},
		},
		{
			// It took place, and nobody can find out before the budget is over.
			Name: "rotate_committed_and_store_down_beyond_the_budget", Layer: LayerStore, Expect: patched(),
			Run: func(_ *Cell, g *Game) {
				asked, hold := holding(g)
				g.SQL(pgfault.Fault{SQL: rotatesRecord, Mode: pgfault.CutAfter, Times: 1})
				// One read comes between the recreate and the rotation.
				g.SQL(pgfault.Fault{SQL: readsRecord, Mode: pgfault.Slow, Delay: time.Millisecond, Times: 1})
				g.SQL(pgfault.Fault{SQL: readsRecord, Mode: pgfault.Error, Code: "57P03"})
				g.Release(hold)
				g.AwaitPhase(patch.PhaseCompensating)
				g.ClearSQL()
				asked.Wait()
			},
		},
		{
			// The API cannot note the run, which is another's by the time that the key
			// is sent again.
			Name: "key_again_after_a_lost_note_and_the_next_patch", Layer: LayerAPI, Expect: Success("1.4.4").After(2),
			Run: func(_ *Cell, g *Game) {
				request, key := client.PatchRequest{Version: target}, "the-key-that-is-not-noted"
				g.APISQL(pgfault.Fault{SQL: `UPDATE idempotency_keys SET patch_id`, Argument: key, Mode: pgfault.CutBefore, Times: 1})
				g.PatchAsyncWith(request, key).Wait()
				g.Patch("1.4.4")
				g.PatchAsyncWith(request, key).Wait()
			},
		},
		{
			// The same with a key whose request joined a patch: by the key's own patch
			// id there is nothing to be found.
			Name: "key_that_joined_again_after_a_lost_note", Layer: LayerAPI, Expect: Success("1.4.4").After(2),
			Run: func(_ *Cell, g *Game) {
				asked, hold := holding(g)
				request, key := client.PatchRequest{Version: target}, "the-key-that-joined"
				lost := g.APISQL(pgfault.Fault{SQL: `UPDATE idempotency_keys SET patch_id`, Argument: key, Mode: pgfault.CutBefore, Times: 1})
				joined := g.PatchAsyncWith(request, key)
				g.AwaitFired(lost)
				g.Release(hold)
				asked.Wait()
				joined.Wait()
				g.Patch("1.4.4")
				g.PatchAsyncWith(request, key).Wait()
			},
		},
	}
}

// lateCalls are those to Runtime Manager.
func lateCalls() []Case {
	return []Case{
		{
			// Nothing can keep the recreate from landing behind the first look.
			Name: "late_recreate_without_fencing_numbers", Layer: LayerManager,
			Expect: Failure(FirstVersion, patch.CodeCancelled).After(2),
			Run: func(_ *Cell, g *Game) {
				g.RTM(rtmsim.Fault{Op: rtmsim.OpFence, Mode: rtmsim.ModeStatus, Status: http.StatusNotFound})
				// Beyond the heartbeat that brings the cancellation, and within what
				// is waited after it.
				slow := g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeSlow, DelayMS: lateLanding, Times: 1})
				asked := g.PatchAsync(target)
				g.AwaitFired(slow)
				g.CancelRun()
				asked.Wait()
			},
		},
		{
			// The undo's first attempt is given up on, and lands behind the second one,
			// which is on another image.
			Name: "late_restore_beside_its_next_attempt", Layer: LayerNetwork, Room: RoomCell,
			Expect: Failure("1.4.6", patch.CodeConflict).After(2),
			Run: func(c *Cell, g *Game) {
				asked := g.contestedBy(rtmsim.Fault{Mode: rtmsim.ModeSlow, DelayMS: 4000})
				c.WorkerToManager.Down()
				g.Did(LayerNetwork, "cut", c.WorkerToManager.Up())
				asked.Wait()
			},
		},
		{
			Name: "moved_on_during_the_undo", Layer: LayerWriter, Expect: Failure("1.4.6", patch.CodeConflict).After(3),
			Run: func(_ *Cell, g *Game) {
				g.contestedBy(rtmsim.Fault{Mode: rtmsim.ModeAppliedThenSlow, DelayMS: 1500}).Wait()
			},
		},
		{
			Name: "stopped_between_two_attempts", Layer: LayerWriter, Expect: Failure(FirstVersion, patch.CodeConflict).After(0),
			Run: func(_ *Cell, g *Game) {
				later := g.RTM(rtmsim.Fault{
					Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusServiceUnavailable, RetryAfter: 2, Times: 1,
				})
				asked := g.PatchAsync(target)
				g.AwaitFired(later)
				g.SetStatus(runtime.StatusStopped)
				g.PutContainer(FirstVersion, "exited")
				asked.Wait()
			},
		},
	}
}

// contestedBy is [contested] with a fault of the undo's recreate, and returns in
// the middle of that, with the record on another version by then.
func (g *Game) contestedBy(fault rtmsim.Fault) *Asked {
	first := g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeSlow, DelayMS: 1000, Times: 1})
	fault.Op, fault.Times = rtmsim.OpPatch, 1
	undo := g.RTM(fault)
	asked := g.PatchAsync(target)
	g.AwaitFired(first)
	g.SetStatus(runtime.StatusEngineUnreachable)
	g.AwaitFired(undo)
	g.SetVersion("1.4.6")
	return asked
}

// lateLanding is, in milliseconds, when a recreate lands that was cancelled: a
// step hears of it with its first heartbeat, after one second.
const lateLanding = 2200

// forcedCases are about a recreate on the image that the container runs already:
// no look can tell whether it took place, so that its key alone keeps it to one.
func forcedCases() []Case {
	force := func(obstacle func(g *Game)) func(*Cell, *Game) {
		return func(_ *Cell, g *Game) {
			obstacle(g)
			g.PatchWith(client.PatchRequest{Version: FirstVersion, Force: true})
		}
	}
	once := Success(FirstVersion).After(1)
	var cases []Case
	for _, fault := range []rtmsim.Fault{
		{Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusInternalServerError},
		{Mode: rtmsim.ModeAppliedThenReset},
		{Mode: rtmsim.ModeAppliedThenGarbage},
		{Mode: rtmsim.ModeOtherImage},
	} {
		fault.Op, fault.Times = rtmsim.OpPatch, 1
		cases = append(cases, Case{
			Name: named("forced_recreate", fault.Mode), Layer: LayerManager, Expect: once,
			Run: force(func(g *Game) { g.RTM(fault) }),
		})
	}
	for _, mode := range []workerfault.Mode{workerfault.KillAfter, workerfault.ToldError} {
		cases = append(cases, Case{
			Name: named("forced_recreate", mode), Layer: LayerWorker, Room: roomOf(mode), Expect: once,
			Run: force(func(g *Game) {
				g.Worker(workerfault.Fault{Mode: mode, Activity: "PatchContainer", Times: 1})
			}),
		})
	}
	return cases
}
