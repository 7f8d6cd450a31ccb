package rtmsim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// hold puts a fault that holds the game's next call and returns when a call for
// newImage is held.
func (b *bench) hold(key string, headers ...string) (sent, clock) {
	b.Helper()
	stopped := b.stopClock()
	b.put("patch", "held", `,"name":"hold"`)
	call := b.send(key, headers...)
	if bound := <-stopped.waits; bound != 10*time.Minute {
		b.Errorf("the call is bounded by %s, want 10m", bound)
	}
	b.wantRuntime(oldImage, 0)
	return call, stopped
}

// A held call lands when its fault is let go of, cleared or removed with those of
// its game, or when its time is over, and then the caller is told the truth.
func TestHeldIsLetGo(t *testing.T) {
	for name, letGo := range map[string]func(*bench, clock){
		"released": func(b *bench, _ clock) {
			if !b.sim.ReleaseFault("hold") {
				b.Error("there is no fault of that name")
			}
		},
		"cleared":      func(b *bench, _ clock) { b.sim.ClearFaults() },
		"of its game":  func(b *bench, _ clock) { b.sim.DeleteFaultsOf(game) },
		"ten minutes":  func(_ *bench, stopped clock) { close(stopped.over) },
		"over control": func(b *bench, _ clock) { b.wantAnswer(b.ask("DELETE", "/sim/faults?name=hold", ""), 204, "") },
	} {
		t.Run(name, func(t *testing.T) {
			b := running(t)
			call, stopped := b.hold("k")
			defer call.leave()
			b.sim.DeleteFaultsOf("another-game")
			b.sim.ReleaseFault("another-name")
			b.wantRuntime(oldImage, 0)
			letGo(b, stopped)
			b.must(<-call.ended)
			b.wantRuntime(newImage, 1)
		})
	}
}

// A held call whose client has gone lands all the same when it is let go of.
func TestHeldOutlivesItsClient(t *testing.T) {
	b := running(t)
	call, _ := b.hold("late")
	call.leave()
	if err := <-call.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("call = %v", err)
	}
	b.wantAnswer(b.patch(game, oldImage, "restore"), 200, container(oldImage, "running"))
	b.sim.ReleaseFault("hold")
	b.server.Close() // returns when the handler has
	b.wantRuntime(newImage, 2)
}

// A held call obeys what has come meanwhile: a higher fencing number keeps it from
// landing, and a key that was carried out is not carried out again.
func TestHeldObeys(t *testing.T) {
	b := running(t)
	call, _ := b.hold("k", "Fencing-Token", "7")
	defer call.leave()
	b.wantAnswer(b.fence(game, 8), 200, `{"game_id":"game-1","fence":8}`)
	b.sim.ReleaseFault("hold")
	b.must(<-call.ended)
	b.wantRuntime(oldImage, 0)
	page, err := b.sim.Log(rtmsim.LogQuery{Limit: 1})
	b.must(err)
	if held := page.Entries[0]; held.Status != 412 || held.Effect != rtmsim.EffectRefused || held.Fault != rtmsim.ModeHeld || held.FaultName != "hold" {
		t.Errorf("log = %+v, want a refusal of the held call", held)
	}

	b = running(t)
	call, _ = b.hold("k")
	defer call.leave()
	b.wantAnswer(b.patch(game, newImage, "k"), 200, container(newImage, "running"))
	b.sim.ReleaseFault("hold")
	b.must(<-call.ended)
	b.wantRuntime(newImage, 1)
}

// The end of the simulator ends a held call without its effect.
func TestCloseEndsHeldCalls(t *testing.T) {
	b := running(t)
	call, _ := b.hold("k")
	defer call.leave()
	b.sim.Close()
	if err := <-call.ended; err == nil {
		t.Error("a held call was answered after Close")
	}
	b.server.Close() // returns when the handler has
	b.wantRuntime(oldImage, 0)
}

// The number of a held fence counts from when it is let go of, and not before.
func TestHeldFence(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	b.put("fence", "held", `,"name":"hold"`)
	call := b.sendTo("PUT", contract+game+"/fence", `{"fence":9}`)
	defer call.leave()
	<-stopped.waits
	b.wantAnswer(b.patchAs(5, newImage, "k-5"), 200, container(newImage, "running"))
	b.sim.ReleaseFault("hold")
	b.must(<-call.ended)
	b.wantFenced(b.patchAs(6, oldImage, "k-6"))
}

// A fault that was let go of stays in the report with how often it fired, and
// fires no more; the faults behind it do. All of a name are let go of.
func TestReleaseFault(t *testing.T) {
	b := running(t)
	for _, name := range []string{"mine", "mine", "other", ""} {
		b.must(b.sim.PutFault(rtmsim.Fault{GameID: game, Op: rtmsim.OpInspect, Mode: rtmsim.ModeStatus, Status: 503, Name: name}))
	}
	b.ask("GET", contract+game, "")
	for name, want := range map[string]bool{"mine": true, "nobody's": false, "": false} {
		if found := b.sim.ReleaseFault(name); found != want {
			t.Errorf("ReleaseFault(%q) = %t, want %t", name, found, want)
		}
	}
	if !b.sim.ReleaseFault("mine") {
		t.Error("a fault that was let go of is no longer known")
	}
	b.ask("GET", contract+game, "")
	reports := b.sim.Faults()
	for i, want := range []rtmsim.FaultReport{{Fired: 1, Released: true}, {Released: true}, {Fired: 1}, {}} {
		if got := reports[i]; got.Fired != want.Fired || got.Released != want.Released {
			t.Errorf("fault %d = %+v, want %d fired, released %t", i, got, want.Fired, want.Released)
		}
	}
}

// Whoever misspells the fault that is to be let go of is told, and removes
// nothing.
func TestControlReleaseFault(t *testing.T) {
	b := running(t)
	control := rtmsim.NewControl(b.url)
	t.Cleanup(control.Close)
	b.must(b.sim.PutFault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHeld, Name: "a b&c"}))
	b.wantError(b.ask("DELETE", "/sim/faults?name=hold", ""), 404, "fault_not_found", "")
	b.wantError(b.ask("DELETE", "/sim/faults?name=", ""), 400, "invalid_request", "name: ")
	b.wantError(b.ask("DELETE", "/sim/faults?name=a+b%26c&game_id=game-1", ""), 400, "invalid_request", "name: ")
	for name, want := range map[string]bool{"a b": false, "a b&c": true} {
		if found, err := control.ReleaseFault(t.Context(), name); err != nil || found != want {
			t.Errorf("ReleaseFault(%q) = %t, %v, want %t", name, found, err, want)
		}
	}
	reports, err := control.Faults(t.Context())
	b.must(err)
	if len(reports) != 1 || !reports[0].Released {
		t.Errorf("faults = %+v, want the one, released", reports)
	}
}
