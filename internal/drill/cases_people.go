package drill

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// writerCases are about others who write the record in the middle of a patch.
func writerCases() []Case {
	during := func(name string, expect Expect, others func(g *Game), afterwards ...func(g *Game)) Case {
		return Case{Name: named("writer", name), Layer: LayerWriter, Expect: expect, Run: func(_ *Cell, g *Game) {
			asked, hold := holding(g)
			others(g)
			g.Did(LayerWriter, name, nil)
			g.Release(hold)
			for _, then := range afterwards {
				then(g)
			}
			asked.Wait()
		}}
	}
	conflict := Failure(FirstVersion, patch.CodeConflict)
	return []Case{
		during("engine_unreachable", conflict.After(2), func(g *Game) { g.SetStatus(runtime.StatusEngineUnreachable) }),
		during("stopped", conflict.After(1).Differing(), func(g *Game) { g.SetStatus(runtime.StatusStopped) }),
		during("finished", conflict.After(1).Differing(), func(g *Game) { g.SetStatus(runtime.StatusFinished) }),
		during("deleted", Expect{Codes: []patch.Code{patch.CodeRuntimeNotFound}}.Differing(), (*Game).DeleteRecord),
		during("moved_on", Failure("1.4.6", patch.CodeConflict).After(2), func(g *Game) { g.SetVersion("1.4.6") }),
		during("moved_to_the_target", patched(), func(g *Game) { g.SetVersion(target) }),
		during("registered_anew", Failure("1.4.5", patch.CodeConflict).After(2), func(g *Game) {
			g.DeleteRecord()
			g.Register("1.4.5")
		}),
		during("turn_begins", conflict.After(2), (*Game).BeginTurn, func(g *Game) {
			g.awaitTurnSeen()
			g.EndTurn(runtime.StatusRunning)
		}),
		during("turn_outlasts_the_undo", conflict.After(2), (*Game).BeginTurn, func(g *Game) {
			g.AwaitPhase(patch.PhaseNeedsOperator)
			g.EndTurn(runtime.StatusRunning)
			g.Retry("the turn is done")
		}),
		during("stopped_during_the_turn", conflict.After(1).Differing(), (*Game).BeginTurn, func(g *Game) {
			g.awaitTurnSeen()
			g.EndTurn(runtime.StatusStopped)
		}),
	}
}

// requestCases are about who asks: duplicates, races, lost answers, APIs whose
// database fails under them.
func requestCases() []Case {
	twenty := func(request func(i int) (client.PatchRequest, string)) func(*Cell, *Game) {
		return func(_ *Cell, g *Game) {
			var asked []*Asked
			for i := range 20 {
				asked = append(asked, g.PatchAsyncWith(request(i)))
			}
			for _, a := range asked {
				a.Wait()
			}
			g.Did(LayerAPI, "20 at once", nil)
		}
	}
	cases := []Case{
		{
			Name: "same_version_20_times_at_once", Layer: LayerAPI, Expect: Success(target).After(1),
			Run: twenty(func(i int) (client.PatchRequest, string) {
				return client.PatchRequest{Version: target}, named("key", i)
			}),
		},
		{
			Name: "same_key_20_times_at_once_with_force", Layer: LayerAPI, Expect: Success(target).After(1),
			Run: twenty(func(int) (client.PatchRequest, string) {
				return client.PatchRequest{Version: target, Force: true}, "one-key"
			}),
		},
		{
			Name: "other_versions_race", Layer: LayerAPI, Expect: Expect{Codes: []patch.Code{""}},
			Run: twenty(func(i int) (client.PatchRequest, string) {
				return client.PatchRequest{Version: versions()[i%5]}, named("key", i)
			}),
		},
		{
			Name: "patch_and_reconcile_race", Layer: LayerAPI, Expect: Expect{Codes: []patch.Code{""}, Version: target},
			Run: func(c *Cell, g *Game) {
				asked, hold := holding(g)
				_, err := c.clients[0].Reconcile(g.ctx, g.ID, client.ReconcileRequest{Mode: client.ModeEnforce}, client.ReconcileOptions{})
				problem, refused := errors.AsType[*client.Error](err)
				if !refused || problem.Code != client.CodePatchInProgress {
					g.keep("reconcile beside a patch", fmt.Errorf("want it to be refused, got %s", fmt.Sprint(err)))
				}
				g.Did(LayerAPI, "reconcile", nil)
				g.Release(hold)
				asked.Wait()
			},
		},
	}
	for _, fault := range []pgfault.Fault{
		{Mode: pgfault.CutBefore}, {Mode: pgfault.CutAfter}, {Mode: pgfault.Error, Code: "40001"}, {Mode: pgfault.HangAfter},
	} {
		// The key is an argument of the statement, and the game is not.
		fault.SQL, fault.Times, fault.Argument = `idempotency_keys`, 1, "the-key-of-this-case"
		cases = append(cases, Case{
			Name: named("claim_of_a_key", fault.Mode, fault.Code), Layer: LayerAPI, Room: RoomCell, Expect: patched(),
			Run: func(_ *Cell, g *Game) {
				g.APISQL(fault)
				g.PatchAsyncWith(client.PatchRequest{Version: target}, fault.Argument).Wait()
			},
		})
	}
	return cases
}

// operatorCases are about people at the Temporal UI: cancel in each phase,
// terminate, decide.
func operatorCases() []Case { return append(endCases(), doubtCases()...) }

// endCases end a patch from outside.
func endCases() []Case {
	cancelled := Failure(FirstVersion, patch.CodeCancelled)
	return []Case{
		{Name: "cancel_during_the_recreate", Layer: LayerOperator, Expect: cancelled, Run: func(_ *Cell, g *Game) {
			asked, hold := holding(g)
			g.cancelSeen()
			g.Did(LayerOperator, "cancel", nil)
			g.Release(hold)
			asked.Wait()
		}},
		{Name: "cancel_while_the_record_is_read", Layer: LayerOperator, Expect: cancelled.After(0), Run: func(_ *Cell, g *Game) {
			slow := g.SQL(pgfault.Fault{SQL: readsRecord, Mode: pgfault.Hang, Times: 1})
			asked := g.PatchAsync(target)
			g.AwaitFired(slow)
			g.CancelRun()
			asked.Wait()
		}},
		{Name: "cancel_during_the_rotation", Layer: LayerOperator, Expect: patched(), Run: func(_ *Cell, g *Game) {
			slow := g.SQL(pgfault.Fault{SQL: rotatesRecord, Mode: pgfault.Slow, Delay: 1500 * time.Millisecond, Times: 1})
			asked := g.PatchAsync(target)
			g.AwaitFired(slow)
			g.CancelRun()
			asked.Wait()
		}},
		{Name: "cancel_during_the_undo", Layer: LayerOperator, Expect: putBack(), Run: func(_ *Cell, g *Game) {
			fence := g.RTM(rtmsim.Fault{Op: rtmsim.OpFence, Mode: rtmsim.ModeHeld, Times: 1})
			asked, hold := holding(g)
			g.SetStatus(runtime.StatusEngineUnreachable)
			g.Release(hold)
			g.AwaitFired(fence)
			g.cancelSeen()
			g.Release(fence)
			asked.Wait()
		}},
		{Name: "terminate_during_the_recreate", Layer: LayerOperator, Expect: Expect{}.Differing(), Run: func(_ *Cell, g *Game) {
			asked, late := holding(g)
			g.Terminate("drill")
			g.Did(LayerOperator, "terminate", nil)
			asked.Wait()
			g.Land(late)
		}},
		{Name: "terminate_and_patch_again", Layer: LayerOperator, Expect: Expect{Version: "1.4.4"}, Run: func(_ *Cell, g *Game) {
			asked, late := holding(g)
			g.Terminate("drill")
			asked.Wait()
			g.Patch("1.4.4")
			g.Land(late)
		}},
	}
}

// doubtCases decide about a patch that waits for an operator.
func doubtCases() []Case {
	inDoubt := func(g *Game) {
		contested(g, func(g *Game) {
			g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusBadRequest})
		})
		g.AwaitPhase(patch.PhaseNeedsOperator)
	}
	return []Case{
		{Name: "retry_in_doubt", Layer: LayerOperator, Expect: putBack(), Run: func(_ *Cell, g *Game) {
			inDoubt(g)
			g.ClearRTM()
			g.Retry("Runtime Manager takes it again")
		}},
		{Name: "abandon_in_doubt", Layer: LayerOperator, Run: func(_ *Cell, g *Game) {
			inDoubt(g)
			g.Abandon("the host is gone")
		}, Expect: Failure(FirstVersion, patch.CodeServiceUnavailable).After(1).Differing()},
		{Name: "asked_again_in_doubt", Layer: LayerOperator, Expect: putBack(), Run: func(_ *Cell, g *Game) {
			inDoubt(g)
			g.ClearRTM()
			g.Patch(target)
		}},
		{Name: "cancel_in_doubt_changes_nothing", Layer: LayerOperator, Expect: putBack(), Run: func(_ *Cell, g *Game) {
			inDoubt(g)
			g.CancelRun()
			g.ClearRTM()
			g.Retry("cancelled, and still in doubt")
		}},
	}
}

// resetCases reset a patch that has ended to each of its workflow tasks, and one
// whose recreate is under way.
func resetCases() []Case {
	// A success has two of them, and what is put back a third.
	const tasks, withUndo = 2, 3
	var cases []Case
	for task := range tasks {
		task++
		cases = append(cases, Case{
			Name: named("reset_of_a_forced_recreate_to_task", task), Layer: LayerOperator, Expect: Success(FirstVersion).After(1),
			Run: func(_ *Cell, g *Game) {
				g.PatchWith(client.PatchRequest{Version: FirstVersion, Force: true})
				g.resetToTask(task)
			},
		}, Case{
			Name: named("reset_of_a_success_to_task", task), Layer: LayerOperator, Expect: patched(),
			Run: func(_ *Cell, g *Game) {
				g.Patch(target)
				g.resetToTask(task)
			},
		})
	}
	for task := range withUndo {
		task++
		cases = append(cases, Case{
			Name: named("reset_of_a_put_back_to_task", task), Layer: LayerOperator, Expect: Expect{},
			Run: func(_ *Cell, g *Game) {
				g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusConflict, Times: 1})
				g.Patch(target)
				g.resetToTask(task)
			},
		})
	}
	return append(cases, Case{
		Name: "reset_during_the_recreate", Layer: LayerOperator, Expect: patched(),
		Run: func(_ *Cell, g *Game) {
			asked, late := holding(g)
			g.resetToTask(1)
			asked.Wait()
			g.Land(late)
		},
	})
}
