package rtmsim_test

import (
	"fmt"
	"strings"
	"testing"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

func inForce(gameID string, fence int64) string {
	return fmt.Sprintf(`{"game_id":%q,"fence":%d}`, gameID, fence)
}

// The highest number counts, whoever brought it; lower ones are refused without
// effect, equal ones let in, and each game has its own.
func TestFencing(t *testing.T) {
	b := running(t)
	b.wantAnswer(b.patch(game, oldImage, "k1"), 200, container(oldImage, "running")) // no number was seen
	b.wantAnswer(b.fence(game, 5), 200, inForce(game, 5))
	b.wantAnswer(b.fence(game, 5), 200, inForce(game, 5))
	b.wantFenced(b.fence(game, 4))
	b.wantFenced(b.patchAs(4, newImage, "k2"))
	b.wantFenced(b.patch(game, newImage, "k2")) // has no number, and one was seen
	b.wantRuntime(oldImage, 1)
	b.wantAnswer(b.patchAs(5, newImage, "k2"), 200, container(newImage, "running"))
	b.wantAnswer(b.patchAs(6, newImage, "k3"), 200, container(newImage, "running"))
	b.wantRuntime(newImage, 3)
	b.wantFenced(b.patchAs(5, newImage, "k3")) // also a key that was carried out
	b.wantFenced(b.fence(game, 5))
	b.wantAnswer(b.fence(game, 1<<53-1), 200, inForce(game, 1<<53-1))
	b.wantAnswer(b.ask("GET", contract+game, ""), 200, container(newImage, "running"))

	// A fence needs no container, and a patch without one has been seen as well.
	b.wantAnswer(b.fence("game-2", 2), 200, inForce("game-2", 2))
	b.must(b.sim.PutRuntime("game-2", oldImage, ""))
	b.wantFenced(b.patch("game-2", newImage, "k"))
	b.wantError(b.ask("POST", contract+"game-3/patch", `{"image_ref":"i"}`,
		"Idempotency-Key", "k", "Fencing-Token", "3"), 404, "runtime_not_found", "")
	b.wantFenced(b.fence("game-3", 2))
}

// A slow recreate that was overtaken is refused in the moment in which it would
// land, by whatever overtook it; its key stays unused.
func TestOvertakenRecreateDoesNotLand(t *testing.T) {
	for name, overtake := range map[string]func(*bench){
		"by a fence": func(b *bench) { b.wantAnswer(b.fence(game, 8), 200, inForce(game, 8)) },
		"by a patch": func(b *bench) { b.wantAnswer(b.patchAs(8, oldImage, "r"), 200, container(oldImage, "running")) },
		"by a patch that failed": func(b *bench) {
			b.put("patch", "status", `,"status":503`)
			b.wantError(b.patchAs(8, oldImage, "r"), 503, "simulated_fault", "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := running(t)
			stopped := b.stopClock()
			b.put("patch", "slow", `,"delay_ms":2500`)
			late := b.send("late", "Fencing-Token", "7")
			defer late.leave()
			<-stopped.waits
			overtake(b)
			found, _ := b.sim.Runtime(game)
			close(stopped.over)
			b.must(<-late.ended)
			b.wantRuntime(oldImage, found.Recreates)
			entry := b.log()[0]
			if entry.Status != 412 || entry.Effect != rtmsim.EffectRefused || entry.LandedAt != nil || entry.LandedOrder != 0 {
				t.Errorf("entry = %+v, want a refusal that never landed", entry)
			}
			b.wantAnswer(b.patchAs(8, newImage, "late"), 200, container(newImage, "running"))
			b.wantRuntime(newImage, found.Recreates+1)
		})
	}
}

// What does not overtake a slow recreate lets it land: an equal number, a lower
// one, and the number of another game.
func TestSlowRecreateThatWasNotOvertakenLands(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	b.put("patch", "slow", `,"delay_ms":2500`)
	late := b.send("late", "Fencing-Token", "7")
	defer late.leave()
	<-stopped.waits
	b.wantAnswer(b.fence(game, 7), 200, inForce(game, 7))
	b.wantFenced(b.fence(game, 6))
	b.wantAnswer(b.fence("game-2", 9), 200, inForce("game-2", 9))
	close(stopped.over)
	b.must(<-late.ended)
	b.wantRuntime(newImage, 1)
}

// A call that is stale at its arrival is refused then and there, and uses up no
// fault.
func TestStaleCallMeetsNoFault(t *testing.T) {
	b := running(t)
	b.fence(game, 8)
	b.put("patch", "reset", "")
	b.put("fence", "reset", "")
	b.wantFenced(b.patchAs(7, newImage, "k"))
	b.wantFenced(b.fence(game, 7))
	for _, fault := range b.sim.Faults() {
		if fault.Fired != 0 {
			t.Errorf("fault = %+v, want it unmet", fault)
		}
	}
}

// A game that is deleted and put there anew is the same game to a call that was
// fenced off.
func TestFenceOutlivesTheRuntime(t *testing.T) {
	b := running(t)
	b.fence(game, 8)
	if existed, err := b.sim.DeleteRuntime(game); !existed || err != nil {
		t.Errorf("DeleteRuntime = %t, %v", existed, err)
	}
	b.must(b.sim.PutRuntime(game, oldImage, ""))
	b.wantFenced(b.patchAs(7, newImage, "k"))
}

// Of a fence that a fault kept from its effect the number does not count; of
// one that had its effect it does, whatever was answered.
func TestFenceFaults(t *testing.T) {
	for _, test := range []struct {
		mode, more string
		counts     bool
		status     int // zero: the connection is cut
	}{
		{"status", `,"status":503`, false, 503},
		{"applied_then_status", `,"status":503`, true, 503},
		{"reset", "", false, 0},
		{"applied_then_reset", "", true, 0},
		{"garbage", "", false, 200},
		{"applied_then_garbage", "", true, 200},
		{"slow", `,"delay_ms":1`, true, 200},
		{"applied_then_slow", `,"delay_ms":1`, true, 200},
		{"lie", "", false, 200},
	} {
		t.Run(test.mode, func(t *testing.T) {
			b := running(t)
			b.put("fence", test.mode, test.more)
			got, err := b.try("PUT", contract+game+"/fence", `{"fence":8}`)
			if test.status == 0 {
				wantReset(b, got, err)
			}
			if got.status != test.status {
				t.Errorf("answer = %d %s, %v, want %d", got.status, got.body, err, test.status)
			}
			garbage := strings.HasSuffix(test.mode, "garbage")
			if truth := got.body == inForce(game, 8); truth != (test.status == 200 && !garbage) {
				t.Errorf("answer = %s", got.body)
			}
			if entry := b.log()[0]; (entry.Effect == rtmsim.EffectApplied) != test.counts || entry.Status != test.status {
				t.Errorf("entry = %+v, want applied = %t", entry, test.counts)
			}
			if got := b.patchAs(7, newImage, "k"); (got.status == 412) != test.counts {
				t.Errorf("a lower patch is answered %d, want the number to count = %t", got.status, test.counts)
			}
		})
	}
}

// A fence that hangs has no effect, or just the one it had at once; a slow one
// that was overtaken is refused when it lands.
func TestFenceThatTakesLong(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	hang := func(mode, body string) {
		b.put("fence", mode, `,"delay_ms":2500`)
		call := b.sendTo("PUT", contract+game+"/fence", body)
		<-stopped.waits
		call.leave()
		<-call.ended
	}
	hang("hang", `{"fence":4}`)
	b.wantAnswer(b.fence(game, 3), 200, inForce(game, 3))
	hang("applied_then_hang", `{"fence":5}`)
	b.wantFenced(b.fence(game, 4))

	b.put("fence", "slow", `,"delay_ms":2500`)
	late := b.sendTo("PUT", contract+game+"/fence", `{"fence":6}`)
	defer late.leave()
	<-stopped.waits
	b.wantAnswer(b.fence(game, 7), 200, inForce(game, 7))
	close(stopped.over)
	b.must(<-late.ended)
	entry := b.log()[4]
	if entry.Fence != 6 || entry.Status != 412 || entry.Effect != rtmsim.EffectRefused {
		t.Errorf("entry = %+v, want the refusal of 6", entry)
	}
}

// A number that is none is a 400, in the header as in the body, without effect.
func TestFencingRefusesInput(t *testing.T) {
	b := running(t)
	const field = "Fencing-Token: must be one number between 1 and 9007199254740991"
	for _, header := range []string{"", " ", "0", "-1", "+1", "1.5", "1e3", "0x7", "seven", "7,8", "9007199254740992", strings.Repeat("9", 400)} {
		got := b.ask("POST", contract+game+"/patch", `{"image_ref":"i"}`, "Idempotency-Key", "k", "Fencing-Token", header)
		b.wantError(got, 400, "invalid_request", field)
	}
	for body, message := range map[string]string{
		`{}`: "fence: must be one number", `{"fence":0}`: "fence: ", `{"fence":-1}`: "fence: ", `{"fence":null}`: "fence: ",
		`{"fence":9007199254740992}`: "fence: ", `{"fence":99999999999999999999}`: "fence: ", `{"fence":1.5}`: "fence: ",
		`{"fence":"7"}`: "fence: must be int64, not string", `{"fence":7,"image_ref":"i"}`: "image_ref: is not a field",
		`[]`: "body: ", ``: "body: ", `{"fence":7}x`: "body: ",
	} {
		b.wantError(b.ask("PUT", contract+game+"/fence", body), 400, "invalid_request", message)
	}
	for _, id := range []string{"_", "_probe", "%2A", "%20", strings.Repeat("g", 256)} {
		b.wantError(b.fence(id, 7), 400, "invalid_request", "game_id: ")
	}
	b.wantRuntime(oldImage, 0)
	b.wantAnswer(b.fence(game, 1), 200, inForce(game, 1)) // nothing above was seen
}

// A manager without fencing ignores the header, whatever is in it, and has
// never heard of the path; what was seen before it was switched off counts
// again when it is on.
func TestFencingSwitchedOff(t *testing.T) {
	b := running(t)
	b.wantAnswer(b.ask("GET", "/sim/fencing", ""), 200, `{"enabled":true}`)
	b.fence(game, 8)
	b.wantAnswer(b.ask("PUT", "/sim/fencing", `{"enabled":false}`), 200, `{"enabled":false}`)
	if b.sim.Fencing() {
		t.Error("Fencing is on")
	}
	b.wantError(b.fence(game, 9), 404, "not_found", "")
	b.wantError(b.ask("PUT", contract+game+"/fence", "garbage"), 404, "not_found", "")
	b.wantAnswer(b.patchAs(7, newImage, "k1"), 200, container(newImage, "running"))
	b.wantAnswer(b.patch(game, newImage, "k2"), 200, container(newImage, "running"))
	got := b.ask("POST", contract+game+"/patch", `{"image_ref":"`+newImage+`"}`, "Idempotency-Key", "k3", "Fencing-Token", "none")
	b.wantAnswer(got, 200, container(newImage, "running"))
	b.patchAs(1000, newImage, "k4")
	b.wantRuntime(newImage, 4)
	for i, want := range []int64{8, 9, 0, 7, 0, 0, 1000} {
		if entry := b.log()[i]; entry.Fence != want {
			t.Errorf("entry %d has number %d, want %d as it was sent", i, entry.Fence, want)
		}
	}

	for _, bad := range []string{`{}`, `{"enabled":null}`, `{"enabled":"no"}`, `{"enabled":true,"more":1}`, ``} {
		if got := b.ask("PUT", "/sim/fencing", bad); got.status != 400 {
			t.Errorf("PUT %q = %d %s", bad, got.status, got.body)
		}
	}
	b.sim.SetFencing(true)
	b.wantFenced(b.patchAs(7, newImage, "k5"))
	b.wantAnswer(b.patchAs(8, newImage, "k5"), 200, container(newImage, "running"))
}

// Without fencing a recreate that comes late lands after the one that was asked
// for later: the fault that fencing is there for.
func TestWithoutFencingALateRecreateLands(t *testing.T) {
	b := running(t)
	b.sim.SetFencing(false)
	stopped := b.stopClock()
	b.put("patch", "slow", `,"delay_ms":2500`)
	late := b.send("late", "Fencing-Token", "7")
	defer late.leave()
	<-stopped.waits
	b.wantAnswer(b.patchAs(8, oldImage, "restore"), 200, container(oldImage, "running"))
	close(stopped.over)
	b.must(<-late.ended)
	b.wantRuntime(newImage, 2)
}
