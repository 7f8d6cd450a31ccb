package rtmsim_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/ports"
)

var patch = ports.RTMPatchInput{GameID: game, ImageRef: newImage, IdempotencyKey: "patch-1/run-1/patch", Fence: 7}

// rtm is the real client of the bench's simulator.
func (b *bench) rtm(timeout time.Duration) *rtm.Client {
	b.Helper()
	client, err := rtm.New(rtm.Options{BaseURL: b.url, PatchTimeout: timeout, InspectTimeout: timeout})
	b.must(err)
	b.Cleanup(client.Close)
	return client
}

// With neither side told to misbehave, the two agree on the whole contract.
func TestClientAndSimulatorAgree(t *testing.T) {
	b := running(t)
	client := b.rtm(0)
	b.must(client.Ping(t.Context()))
	container, err := client.Inspect(t.Context(), game)
	if err != nil || !container.Runs(oldImage) {
		t.Errorf("Inspect = %+v, %v", container, err)
	}
	b.must(client.Patch(t.Context(), patch))
	b.must(client.Patch(t.Context(), patch)) // the same key
	b.wantRuntime(newImage, 1)

	other := patch
	other.ImageRef = oldImage
	failure, ok := errors.AsType[*ports.RTMError](client.Patch(t.Context(), other))
	if !ok || failure.Status != 422 || failure.Code != "idempotency_key_reused" || !errors.Is(failure, ports.ErrRTMRejected) {
		t.Errorf("reused key = %+v", failure)
	}
	other.GameID = "nobody"
	failure, ok = errors.AsType[*ports.RTMError](client.Patch(t.Context(), other))
	if !ok || failure.Status != 404 || failure.Code != "runtime_not_found" || !errors.Is(failure, ports.ErrRTMRejected) {
		t.Errorf("no container = %+v", failure)
	}
	if _, err := client.Inspect(t.Context(), "nobody"); !errors.Is(err, ports.ErrContainerNotFound) {
		t.Errorf("Inspect of nobody = %v", err)
	}
}

// The two agree on fencing: a number that was given out is in force, for calls
// to come as for one that is under way, and a manager without fencing is told
// from one that has it.
func TestClientAndSimulatorAgreeOnFencing(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	client := b.rtm(0)
	b.put("patch", "slow", `,"delay_ms":60000`)
	late := make(chan error, 1)
	go func() { late <- client.Patch(t.Context(), patch) }()
	<-stopped.waits
	b.must(client.Fence(t.Context(), ports.RTMFenceInput{GameID: game, Fence: 8}))
	b.must(client.Fence(t.Context(), ports.RTMFenceInput{GameID: "nobody", Fence: 1}))
	close(stopped.over)

	other := patch
	other.IdempotencyKey = "patch-1/run-1/restore"
	for call, err := range map[string]error{
		"the overtaken patch": <-late,
		"a later patch":       client.Patch(t.Context(), other),
		"a lower fence":       client.Fence(t.Context(), ports.RTMFenceInput{GameID: game, Fence: 7}),
	} {
		failure, ok := errors.AsType[*ports.RTMError](err)
		if !ok || failure.Status != 412 || !errors.Is(err, ports.ErrFenced) || !errors.Is(err, ports.ErrRTMRejected) {
			t.Errorf("%s = %+v, want ErrFenced and ErrRTMRejected", call, err)
		}
	}
	b.wantRuntime(oldImage, 0)
	b.must(client.Fence(t.Context(), ports.RTMFenceInput{GameID: game, Fence: 8}))
	other.Fence = 8
	b.must(client.Patch(t.Context(), other))
	b.wantRuntime(newImage, 1)

	b.sim.SetFencing(false)
	err := client.Fence(t.Context(), ports.RTMFenceInput{GameID: game, Fence: 9})
	if !errors.Is(err, ports.ErrFenceUnsupported) {
		t.Errorf("Fence at an old manager = %v", err)
	}
}

// A fence that fails says that nobody knows, never that it is in force or that
// the manager has none; sent again, it is in force.
func TestClientMeetsFenceFaults(t *testing.T) {
	fence := ports.RTMFenceInput{GameID: game, Fence: 8}
	for mode, more := range map[string]string{
		"status": `,"status":503`, "applied_then_status": `,"status":500`, "reset": "", "applied_then_reset": "",
		"hang": "", "applied_then_hang": "", "garbage": "", "applied_then_garbage": "",
	} {
		t.Run(mode, func(t *testing.T) {
			b := running(t)
			b.put("fence", mode, more)
			faulty, err := rtm.New(rtm.Options{BaseURL: b.url, FenceTimeout: 500 * time.Millisecond})
			b.must(err)
			t.Cleanup(faulty.Close)
			if err := faulty.Fence(t.Context(), fence); !errors.Is(err, ports.ErrRTMUnavailable) {
				t.Errorf("Fence = %v, want ErrRTMUnavailable", err)
			}
			client := b.rtm(0)
			b.must(client.Fence(t.Context(), fence))
			if err := client.Patch(t.Context(), patch); !errors.Is(err, ports.ErrFenced) {
				t.Errorf("Patch = %v, want ErrFenced", err)
			}
		})
	}
}

// The client takes a lie for the truth, which is what makes it one, and sees
// through an answer about another image.
func TestClientIsLiedTo(t *testing.T) {
	b := running(t)
	client := b.rtm(0)
	b.put("patch", "lie", "")
	b.must(client.Patch(t.Context(), patch))
	b.wantRuntime(oldImage, 0)
	b.put("inspect", "lie", `,"image_ref":"`+newImage+`"`)
	if container, err := client.Inspect(t.Context(), game); err != nil || !container.Runs(newImage) {
		t.Errorf("Inspect = %+v, %v", container, err)
	}
	b.put("fence", "lie", "")
	b.must(client.Fence(t.Context(), ports.RTMFenceInput{GameID: game, Fence: 8}))
	b.put("patch", "other_image", "")
	if err := client.Patch(t.Context(), patch); !errors.Is(err, ports.ErrRTMUnavailable) {
		t.Errorf("Patch = %v, want ErrRTMUnavailable", err)
	}
	b.wantRuntime(newImage, 1)
}

// For each way in which Runtime Manager can fail: the client says "unknown" or
// "refused" and never more than it knows, Inspect then tells the truth, and a
// retry with the same key ends in exactly one recreate.
func TestClientMeetsFaults(t *testing.T) {
	const short = 500 * time.Millisecond // long enough to arrive, on a connection that is there
	for _, test := range []struct {
		mode, more string
		timeout    time.Duration
		kind       error
		status     int
		applied    bool
	}{
		{"status", `,"status":503,"retry_after":3`, 0, ports.ErrRTMUnavailable, 503, false},
		{"status", `,"status":429`, 0, ports.ErrRTMUnavailable, 429, false},
		{"status", `,"status":409`, 0, ports.ErrRTMRejected, 409, false},
		{"status", `,"status":501`, 0, ports.ErrRTMRejected, 501, false},
		{"applied_then_status", `,"status":502`, 0, ports.ErrRTMUnavailable, 502, true},
		{"applied_then_status", `,"status":400`, 0, ports.ErrRTMRejected, 400, true},
		{"reset", "", 0, ports.ErrRTMUnavailable, 0, false},
		{"applied_then_reset", "", 0, ports.ErrRTMUnavailable, 0, true},
		{"hang", "", short, ports.ErrRTMUnavailable, 0, false},
		{"applied_then_hang", "", short, ports.ErrRTMUnavailable, 0, true},
		{"applied_then_slow", `,"delay_ms":1`, 0, nil, 0, true},
		{"applied_then_garbage", "", 0, ports.ErrRTMUnavailable, 200, true},
		{"other_image", "", 0, ports.ErrRTMUnavailable, 200, true},
		{"garbage", "", 0, ports.ErrRTMUnavailable, 200, false},
		{"slow", `,"delay_ms":1`, 0, nil, 0, true},
	} {
		t.Run(fmt.Sprint(test.mode, test.status), func(t *testing.T) {
			b := running(t)
			client, faulty := b.rtm(0), b.rtm(test.timeout)
			b.must(faulty.Ping(t.Context())) // so that the fault meets a reused connection
			b.put("patch", test.mode, test.more)
			b.wantFailure(faulty.Patch(t.Context(), patch), test.kind, test.status)
			if fired := b.sim.Faults()[0].Fired; fired != 1 {
				t.Errorf("the call reached the simulator %d times, want once", fired)
			}
			container, err := client.Inspect(t.Context(), game)
			if err != nil || container.Runs(newImage) != test.applied {
				t.Errorf("Inspect = %+v, %v, want applied = %t", container, err, test.applied)
			}
			b.must(client.Patch(t.Context(), patch))
			b.wantRuntime(newImage, 1)
		})
	}
}

// wantFailure checks kind, status and the pause that was asked for.
func (b *bench) wantFailure(err, kind error, status int) {
	b.Helper()
	if kind == nil {
		b.must(err)
		return
	}
	failure, ok := errors.AsType[*ports.RTMError](err)
	if !ok || !errors.Is(err, kind) || failure.Status != status {
		b.Fatalf("error = %v, want %v with status %d", err, kind, status)
	}
	wantPause := time.Duration(b.sim.Faults()[0].RetryAfter) * time.Second
	if failure.RetryAfter != wantPause {
		b.Errorf("RetryAfter = %s, want %s", failure.RetryAfter, wantPause)
	}
}

// An inspect that fails says nothing about the container; above all not that
// there is none.
func TestClientMeetsInspectFaults(t *testing.T) {
	for mode, more := range map[string]string{
		"status": `,"status":500`, "reset": "", "hang": "", "garbage": "",
	} {
		t.Run(mode, func(t *testing.T) {
			b := running(t)
			client := b.rtm(100 * time.Millisecond) // on a new connection: net/http replays a GET on a used one
			b.put("inspect", mode, more)
			_, err := client.Inspect(t.Context(), game)
			if !errors.Is(err, ports.ErrRTMUnavailable) || errors.Is(err, ports.ErrContainerNotFound) {
				t.Errorf("Inspect = %v, want ErrRTMUnavailable", err)
			}
		})
	}
}

// The caller gave up on a slow recreate, which comes all the same.
func TestClientLeavesASlowRecreate(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	b.put("patch", "slow", `,"delay_ms":60000`)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	client := b.rtm(0)
	go func() { ended <- client.Patch(ctx, patch) }()
	<-stopped.waits
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || !errors.Is(err, ports.ErrRTMUnavailable) {
		t.Errorf("Patch = %v, want a cancelled call of unknown effect", err)
	}
	b.wantRuntime(oldImage, 0)
	close(stopped.over)
	b.server.Close() // returns when the handler has
	b.wantRuntime(newImage, 1)
}

// Readiness follows the fault that is meant for it, and no other.
func TestClientPing(t *testing.T) {
	b := newBench(t)
	client := b.rtm(0)
	b.must(b.sim.PutFault(rtmsim.Fault{GameID: rtmsim.AnyGame, Op: rtmsim.OpInspect, Mode: rtmsim.ModeReset}))
	b.must(client.Ping(t.Context()))
	b.must(b.sim.PutFault(rtmsim.Fault{GameID: "_", Op: rtmsim.OpInspect, Mode: rtmsim.ModeStatus, Status: 503}))
	if err := client.Ping(t.Context()); !errors.Is(err, ports.ErrRTMUnavailable) {
		t.Errorf("Ping = %v", err)
	}
}
