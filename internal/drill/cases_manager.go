package drill

import (
	"net/http"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// managerCases are about the call for a recreate: Runtime Manager slow, hanging,
// lying, gone, or done and told otherwise.
func managerCases() []Case {
	const refusal, hiccup = http.StatusConflict, http.StatusInternalServerError
	var cases []Case
	for _, row := range []struct {
		name   string
		fault  rtmsim.Fault
		expect Expect
	}{
		{"400", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusBadRequest, Times: 1}, refused(0)},
		{"404", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusNotFound, Times: 1}, refused(0)},
		{"409", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusConflict, Times: 1}, refused(0)},
		{"422", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusUnprocessableEntity, Times: 1}, refused(0)},
		{"501", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusNotImplemented, Times: 1}, refused(0)},
		{"429_retry_after", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusTooManyRequests, RetryAfter: 2, Times: 1}, patched()},
		{"500", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusInternalServerError, Times: 1}, patched()},
		{"502_twice", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusBadGateway, Times: 2}, patched()},
		{"503_retry_after", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusServiceUnavailable, RetryAfter: 1, Times: 1}, patched()},
		{"503_retry_after_beyond_the_budget", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusServiceUnavailable, RetryAfter: 3600, Times: 1}, refused(0)},
		{"500_for_ever", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: hiccup}, refused(0)},
		{"reset", rtmsim.Fault{Mode: rtmsim.ModeReset, Times: 1}, patched()},
		{"reset_thrice", rtmsim.Fault{Mode: rtmsim.ModeReset, Times: 3}, patched()},
		{"garbage", rtmsim.Fault{Mode: rtmsim.ModeGarbage, Times: 1}, patched()},
		{"lie", rtmsim.Fault{Mode: rtmsim.ModeLie, Times: 1}, patched()},
		{"lie_for_ever", rtmsim.Fault{Mode: rtmsim.ModeLie}, refused(0)},
		{"other_image", rtmsim.Fault{Mode: rtmsim.ModeOtherImage, Times: 1}, patched()},
		{"hang", rtmsim.Fault{Mode: rtmsim.ModeHang, Times: 1}, either()},
		{"slow", rtmsim.Fault{Mode: rtmsim.ModeSlow, DelayMS: 2000, Times: 1}, patched()},
		{"applied_then_500", rtmsim.Fault{Mode: rtmsim.ModeAppliedThenStatus, Status: hiccup, Times: 1}, patched()},
		{"applied_then_409", rtmsim.Fault{Mode: rtmsim.ModeAppliedThenStatus, Status: refusal, Times: 1}, refused(2)},
		{"applied_then_reset", rtmsim.Fault{Mode: rtmsim.ModeAppliedThenReset, Times: 1}, patched()},
		{"applied_then_garbage", rtmsim.Fault{Mode: rtmsim.ModeAppliedThenGarbage, Times: 1}, patched()},
		{"applied_then_slow", rtmsim.Fault{Mode: rtmsim.ModeAppliedThenSlow, DelayMS: 2000, Times: 1}, patched()},
		{"applied_then_hang", rtmsim.Fault{Mode: rtmsim.ModeAppliedThenHang, Times: 1}, either()},
	} {
		row.fault.Op = rtmsim.OpPatch
		cases = append(cases, Case{
			Name: named("recreate", row.name), Layer: LayerManager, Expect: row.expect,
			Run: put(func(g *Game) { g.RTM(row.fault) }),
		})
	}
	return append(cases, Case{
		Name: named("recreate", "slow_beyond_the_budget"), Layer: LayerManager, Expect: either(),
		Run: func(_ *Cell, g *Game) {
			asked, late := holding(g)
			asked.Wait()
			g.Land(late)
		},
	})
}

// inspectCases are about the look at the container after the recreate, and
// before it is tried again.
func inspectCases() []Case {
	var cases []Case
	for _, row := range []struct {
		name  string
		fault rtmsim.Fault
	}{
		{"500", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusInternalServerError, Times: 1}},
		{"404", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusNotFound, Times: 1}},
		{"reset", rtmsim.Fault{Mode: rtmsim.ModeReset, Times: 2}}, // net/http asks again by itself once
		{"garbage", rtmsim.Fault{Mode: rtmsim.ModeGarbage, Times: 1}},
		{"hang", rtmsim.Fault{Mode: rtmsim.ModeHang, Times: 1}},
		{"lie_old", rtmsim.Fault{Mode: rtmsim.ModeLie, ImageRef: Image(FirstVersion).ImageRef, Times: 1}},
		{"lie_strange", rtmsim.Fault{Mode: rtmsim.ModeLie, ImageRef: "registry.example/strange:1", Times: 1}},
	} {
		row.fault.Op = rtmsim.OpInspect
		cases = append(cases, Case{
			Name: named("look", row.name), Layer: LayerManager, Expect: patched(),
			Run: put(func(g *Game) { g.RTM(row.fault) }),
		})
	}
	return cases
}

// contested patches the game and moves its record in the middle of the recreate,
// so that the rotation loses and the undo has to put the container back.
func contested(g *Game, obstacle func(g *Game)) {
	asked, hold := holding(g)
	g.SetStatus(runtime.StatusEngineUnreachable)
	if obstacle != nil {
		// Not before: a recreate that is tried again, on a machine too busy for its
		// heartbeats, would run into it.
		obstacle(g)
	}
	g.Release(hold)
	asked.Wait()
}

// putBack is what comes of it: recreated on the target, and back.
func putBack() Expect { return Failure(FirstVersion, patch.CodeConflict).After(2) }

// fenceCases are about the call that keeps older ones from landing.
func fenceCases() []Case {
	var cases []Case
	for _, row := range []struct {
		name  string
		fault rtmsim.Fault
	}{
		{"500", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusInternalServerError, Times: 1}},
		{"404_knows_no_numbers", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusNotFound}},
		{"reset", rtmsim.Fault{Mode: rtmsim.ModeReset, Times: 1}},
		{"applied_then_reset", rtmsim.Fault{Mode: rtmsim.ModeAppliedThenReset, Times: 1}},
		{"garbage", rtmsim.Fault{Mode: rtmsim.ModeGarbage, Times: 1}},
		{"hang", rtmsim.Fault{Mode: rtmsim.ModeHang, Times: 1}},
		{"slow", rtmsim.Fault{Mode: rtmsim.ModeSlow, DelayMS: 1500, Times: 1}},
	} {
		row.fault.Op = rtmsim.OpFence
		cases = append(cases, Case{
			Name: named("fence", row.name), Layer: LayerManager, Expect: putBack(),
			Run: func(_ *Cell, g *Game) { contested(g, func(g *Game) { g.RTM(row.fault) }) },
		})
	}
	return append(cases, Case{
		// The recreate arrives, is given up on, and would land in the middle of
		// the next one.
		Name: "late_recreate_beside_the_next_patch", Layer: LayerManager, Expect: Expect{Version: "1.4.4"},
		Run: func(_ *Cell, g *Game) {
			asked, late := holding(g)
			g.CancelRun()
			asked.Wait()
			hold := g.Hold()
			next := g.PatchAsync("1.4.4")
			g.AwaitFired(hold)
			g.Land(late)
			g.Release(hold)
			next.Wait()
		},
	}, Case{
		Name: "late_recreate_of_a_stopped_game", Layer: LayerManager,
		Expect: Failure(FirstVersion, patch.CodeCancelled).After(0),
		Run: func(_ *Cell, g *Game) {
			asked, late := holding(g)
			g.SetStatus(runtime.StatusStopped)
			g.PutContainer(FirstVersion, "exited")
			g.CancelRun()
			asked.Wait()
			g.Land(late)
		},
	})
}

// restoreCases are about the undo's own recreate.
func restoreCases() []Case {
	inDoubt := func(g *Game) {
		g.AwaitPhase(patch.PhaseNeedsOperator)
		g.ClearRTM()
		g.Retry("Runtime Manager is back")
	}
	var cases []Case
	for _, row := range []struct {
		name   string
		fault  rtmsim.Fault
		doubt  bool
		expect Expect
	}{
		{"500", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusInternalServerError, Times: 1}, false, putBack()},
		{"429", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusTooManyRequests, RetryAfter: 1, Times: 1}, false, putBack()},
		{"400_then_retried", rtmsim.Fault{Mode: rtmsim.ModeStatus, Status: http.StatusBadRequest, Times: 1}, true, putBack()},
		{"applied_then_400_then_retried", rtmsim.Fault{Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusBadRequest, Times: 1}, true, putBack()},
		{"reset", rtmsim.Fault{Mode: rtmsim.ModeReset, Times: 1}, false, putBack()},
		{"applied_then_reset", rtmsim.Fault{Mode: rtmsim.ModeAppliedThenReset, Times: 1}, false, putBack()},
		{"applied_then_500", rtmsim.Fault{Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusInternalServerError, Times: 1}, false, putBack()},
		{"garbage", rtmsim.Fault{Mode: rtmsim.ModeGarbage, Times: 1}, false, putBack()},
		{"lie", rtmsim.Fault{Mode: rtmsim.ModeLie, Times: 1}, false, putBack()},
		// However often it is tried within its budget.
		{"hang_then_retried", rtmsim.Fault{Mode: rtmsim.ModeHang}, true, putBack()},
	} {
		row.fault.Op = rtmsim.OpPatch
		cases = append(cases, Case{
			Name: named("restore", row.name), Layer: LayerManager, Expect: row.expect,
			Run: func(_ *Cell, g *Game) {
				contested(g, func(g *Game) { g.RTM(row.fault) })
				if row.doubt {
					inDoubt(g)
				}
			},
		})
	}
	return cases
}
