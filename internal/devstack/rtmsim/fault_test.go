package rtmsim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// put adds a fault of that mode for one call of the game.
func (b *bench) put(op, mode, more string) {
	b.Helper()
	b.must(b.sim.PutFault(fault(fmt.Sprintf(`{"game_id":%q,"op":%q,"mode":%q,"times":1%s}`, game, op, mode, more))))
}

// clock is a clock that stands still until a test moves it.
type clock struct {
	waits chan time.Duration
	over  chan time.Time
}

func (b *bench) stopClock() clock {
	c := clock{make(chan time.Duration, 8), make(chan time.Time)}
	b.sim.SetAfter(func(delay time.Duration) <-chan time.Time { c.waits <- delay; return c.over })
	return c
}

// Each mode that answers or cuts, on a patch: what the client sees, and whether
// the recreate took place.
func TestPatchFaults(t *testing.T) {
	for _, test := range []struct {
		mode, more string
		applied    bool
		see        func(*bench, answer, error)
	}{
		{"status", `,"status":503,"retry_after":7`, false, func(b *bench, got answer, err error) {
			b.must(err)
			b.wantError(got, 503, "simulated_fault", "")
			if got.header.Get("Retry-After") != "7" {
				b.Errorf("Retry-After = %q", got.header.Get("Retry-After"))
			}
		}},
		{"status", `,"status":500,"retry_after":7`, false, func(b *bench, got answer, err error) {
			b.must(err)
			b.wantError(got, 500, "simulated_fault", "")
			if got.header.Get("Retry-After") != "" {
				b.Errorf("Retry-After = %q with a 500", got.header.Get("Retry-After"))
			}
		}},
		{"applied_then_status", `,"status":504`, true, func(b *bench, got answer, err error) {
			b.must(err)
			b.wantError(got, 504, "simulated_fault", "")
		}},
		{"reset", "", false, wantReset},
		{"applied_then_reset", "", true, wantReset},
		{"garbage", "", false, func(b *bench, got answer, err error) {
			b.must(err)
			if got.status != 200 || strings.Contains(got.body, newImage) {
				b.Errorf("answer = %d %q, want 200 with garbage", got.status, got.body)
			}
		}},
		{"slow", `,"delay_ms":1`, true, wantTruth},
		{"applied_then_slow", `,"delay_ms":1`, true, wantTruth},
		{"applied_then_garbage", "", true, func(b *bench, got answer, err error) {
			b.must(err)
			if got.status != 200 || strings.Contains(got.body, newImage) {
				b.Errorf("answer = %d %q, want 200 with garbage", got.status, got.body)
			}
		}},
		{"lie", "", false, wantTruth},
		{"other_image", "", true, func(b *bench, got answer, err error) {
			b.must(err)
			b.wantAnswer(got, 200, container(newImage+"-other", "running"))
		}},
	} {
		t.Run(test.mode, func(t *testing.T) {
			b := running(t)
			b.put("patch", test.mode, test.more)
			body := `{"image_ref":"` + newImage + `"}`
			got, err := b.try("POST", contract+game+"/patch", body, "Idempotency-Key", "k")
			test.see(b, got, err)
			want, recreates := oldImage, 0
			if test.applied {
				want, recreates = newImage, 1
			}
			b.wantRuntime(want, recreates)

			// The fault is used up, and the same key ends in exactly one recreate.
			b.wantAnswer(b.patch(game, newImage, "k"), 200, container(newImage, "running"))
			b.wantRuntime(newImage, 1)
		})
	}
}

// wantTruth is what a patch that took effect is answered.
func wantTruth(b *bench, got answer, err error) {
	b.Helper()
	b.must(err)
	b.wantAnswer(got, 200, container(newImage, "running"))
}

func wantReset(b *bench, got answer, err error) {
	b.Helper()
	if !errors.Is(err, syscall.ECONNRESET) {
		b.Errorf("answer = %+v, %v, want a reset connection", got, err)
	}
}

// The same on an inspect, where the applied modes are the plain ones.
func TestInspectFaults(t *testing.T) {
	for _, mode := range []string{
		"status", "applied_then_status", "reset", "applied_then_reset", "garbage", "applied_then_garbage", "slow",
		"applied_then_slow", "lie",
	} {
		t.Run(mode, func(t *testing.T) {
			b := running(t)
			b.put("inspect", mode, `,"status":500,"delay_ms":1,"image_ref":"told"`)
			got, err := b.try("GET", contract+game, "")
			switch mode {
			case "status", "applied_then_status":
				b.must(err)
				b.wantError(got, 500, "simulated_fault", "")
			case "garbage", "applied_then_garbage":
				b.must(err)
				if got.status != 200 || strings.Contains(got.body, oldImage) {
					b.Errorf("answer = %d %q", got.status, got.body)
				}
			case "slow", "applied_then_slow":
				b.must(err)
				b.wantAnswer(got, 200, container(oldImage, "running"))
			case "lie":
				b.must(err)
				b.wantAnswer(got, 200, container("told", "running"))
			default:
				wantReset(b, got, err)
			}
			b.wantRuntime(oldImage, 0)
			b.wantAnswer(b.ask("GET", contract+game, ""), 200, container(oldImage, "running"))
		})
	}
}

// The applied modes obey the key and the container like any patch, and answer
// as they were told all the same.
func TestAppliedFaultsObeyTheKey(t *testing.T) {
	b := running(t)
	b.patch(game, newImage, "k")
	b.put("patch", "applied_then_status", `,"status":500`)
	b.wantError(b.patch(game, newImage, "k"), 500, "simulated_fault", "")
	b.wantRuntime(newImage, 1)

	b.must(b.sim.PutFault(fault(`{"game_id":"nobody","op":"patch","mode":"applied_then_status","status":500,"times":1}`)))
	b.wantError(b.patch("nobody", newImage, "k"), 500, "simulated_fault", "")
	b.must(b.sim.PutFault(fault(`{"game_id":"nobody","op":"patch","mode":"other_image"}`)))
	b.wantError(b.patch("nobody", newImage, "k"), 404, "runtime_not_found", "") // a refusal names no image
}

// A fault for the game goes before one for all, the earlier before the later,
// a used up one is passed over, and each counts.
func TestFaultOrder(t *testing.T) {
	b := running(t)
	for i, text := range []string{
		`{"game_id":"*","op":"patch","mode":"status","times":1`,
		`{"game_id":"game-1","op":"patch","mode":"status","times":2`,
		`{"game_id":"game-1","op":"inspect","mode":"status","times":1`,
		`{"game_id":"game-1","op":"patch","mode":"status","times":1`,
		`{"game_id":"*","op":"patch","mode":"status"`,
		`{"game_id":"game-2","op":"patch","mode":"status"`,
	} {
		b.must(b.sim.PutFault(fault(fmt.Sprintf(`%s,"status":%d}`, text, 500+i))))
	}
	for _, want := range []int{501, 501, 503, 500, 504, 504} {
		if got := b.patch(game, newImage, "k"); got.status != want {
			t.Errorf("answer = %d, want %d", got.status, want)
		}
	}
	if got := b.ask("GET", contract+game, ""); got.status != 502 {
		t.Errorf("inspect = %d, want 502", got.status)
	}
	for i, want := range []int{1, 2, 1, 1, 2, 0} {
		if got := b.sim.Faults()[i].Fired; got != want {
			t.Errorf("fault %d fired %d times, want %d", i, got, want)
		}
	}
	b.sim.ClearFaults()
	b.wantAnswer(b.patch(game, newImage, "k"), 200, container(newImage, "running"))
}

// A readiness probe does not use up the faults of the games, but can be given
// its own.
func TestProbeIsSparedByTheWildcard(t *testing.T) {
	b := newBench(t)
	b.must(b.sim.PutFault(fault(`{"game_id":"*","op":"inspect","mode":"status","status":503,"times":1}`)))
	b.wantError(b.ask("GET", contract+"_", ""), 404, "runtime_not_found", "")
	b.must(b.sim.PutFault(fault(`{"game_id":"_","op":"inspect","mode":"status","status":503,"times":1}`)))
	b.wantError(b.ask("GET", contract+"_", ""), 503, "simulated_fault", "")
	b.wantError(b.ask("GET", contract+game, ""), 503, "simulated_fault", "")
}

// sent is a request that is under way.
type sent struct {
	leave context.CancelFunc
	ended chan error
}

// send starts a patch of the game on newImage; headers are pairs.
func (b *bench) send(key string, headers ...string) sent {
	b.Helper()
	return b.sendTo("POST", contract+game+"/patch", `{"image_ref":"`+newImage+`"}`,
		append(headers, "Idempotency-Key", key)...)
}

func (b *bench) sendTo(method, path, body string, headers ...string) sent {
	b.Helper()
	ctx, leave := context.WithCancel(b.Context())
	request := b.request(method, path, body, headers...).WithContext(ctx)
	ended := make(chan error, 1)
	go func() {
		response, err := b.client.Do(request)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			err = errors.Join(err, response.Body.Close())
		}
		ended <- err
	}()
	return sent{leave, ended}
}

// A hang has no effect, or just the one it had at once, and ends with the client, with the simulator or after
// ten minutes; a server that waits for its requests would not end otherwise.
func TestHang(t *testing.T) {
	for name, end := range map[string]func(*bench, clock, sent){
		"client":    func(_ *bench, _ clock, call sent) { call.leave() },
		"simulator": func(b *bench, _ clock, _ sent) { b.sim.Close(); b.sim.Close() },
		"bound":     func(_ *bench, stopped clock, _ sent) { close(stopped.over) },
	} {
		t.Run(name, func(t *testing.T) {
			for mode, want := range map[string]string{"hang": oldImage, "applied_then_hang": newImage} {
				b := running(t)
				stopped := b.stopClock()
				b.put("patch", mode, "")
				call := b.send("k")
				defer call.leave()
				if bound := <-stopped.waits; bound != 10*time.Minute {
					t.Errorf("%s is bounded by %s, want 10m", mode, bound)
				}
				b.wantImage(want)
				end(b, stopped, call)
				if err := <-call.ended; err == nil {
					t.Errorf("%s was answered", mode)
				}
				b.server.Close() // returns when the handler has
				b.wantImage(want)
			}
		})
	}
}

func (b *bench) wantImage(image string) {
	b.Helper()
	if found, _ := b.sim.Runtime(game); found.ImageRef != image {
		b.Errorf("image = %s, want %s", found.ImageRef, image)
	}
}

// The answer of applied_then_slow waits, its effect does not; a client that
// leaves ends it.
func TestAppliedThenSlow(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	b.put("patch", "applied_then_slow", `,"delay_ms":2500`)
	call := b.send("k")
	defer call.leave()
	if delay := <-stopped.waits; delay != 2500*time.Millisecond {
		t.Errorf("delay = %s, want 2.5s", delay)
	}
	b.wantRuntime(newImage, 1)
	close(stopped.over)
	b.must(<-call.ended)
	b.wantRuntime(newImage, 1)

	b = running(t)
	stopped = b.stopClock()
	b.put("patch", "applied_then_slow", `,"delay_ms":2500`)
	gone := b.send("k")
	<-stopped.waits
	gone.leave()
	if err := <-gone.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("call = %v", err)
	}
	b.server.Close() // returns when the handler has, whose time is not over
	b.wantRuntime(newImage, 1)
}

// A slow recreate is not held back by its client's leaving: it comes late, and
// after one that was asked for later.
func TestSlowRecreateComesLate(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	b.put("patch", "slow", `,"delay_ms":2500`)
	call := b.send("late")
	if delay := <-stopped.waits; delay != 2500*time.Millisecond {
		t.Errorf("delay = %s, want 2.5s", delay)
	}
	call.leave()
	if err := <-call.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("call = %v", err)
	}
	b.wantRuntime(oldImage, 0)
	b.wantAnswer(b.patch(game, oldImage, "restore"), 200, container(oldImage, "running"))
	close(stopped.over)
	b.server.Close() // returns when the handler has
	b.wantRuntime(newImage, 2)
}

// The late one finds its key carried out by a retry and does nothing.
func TestSlowRecreateMeetsItsRetry(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	b.put("patch", "slow", `,"delay_ms":2500`)
	call := b.send("k")
	defer call.leave()
	<-stopped.waits
	b.wantAnswer(b.patch(game, newImage, "k"), 200, container(newImage, "running"))
	close(stopped.over)
	b.must(<-call.ended)
	b.wantRuntime(newImage, 1)
}

// Close ends a slow call without its effect, and those that come later too.
func TestCloseEndsSlowCalls(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	b.must(b.sim.PutFault(fault(`{"game_id":"*","op":"patch","mode":"slow","delay_ms":2500}`)))
	call := b.send("k")
	defer call.leave()
	<-stopped.waits
	b.sim.Close()
	if err := <-call.ended; err == nil {
		t.Error("a slow call was answered after Close")
	}
	if _, err := b.try("POST", contract+game+"/patch", `{"image_ref":"i"}`, "Idempotency-Key", "k"); err == nil {
		t.Error("a call that came after Close was answered")
	}
	b.wantRuntime(oldImage, 0)
	b.wantAnswer(b.ask("GET", contract+game, ""), 200, container(oldImage, "running"))
}

// Without a TCP connection to cut, the request is aborted.
func TestResetWithoutConnection(t *testing.T) {
	sim := rtmsim.New()
	if err := sim.PutFault(fault(`{"game_id":"*","op":"inspect","mode":"reset"}`)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got, ok := recover().(error); !ok || !errors.Is(got, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want http.ErrAbortHandler", got)
		}
	}()
	sim.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", contract+game, nil))
}
