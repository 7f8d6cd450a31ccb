package rtmsim_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// Whatever the Go methods do and say, the client of another process does and
// says too.
func TestControl(t *testing.T) {
	b := newBench(t)
	control := rtmsim.NewControl(b.url + "/")
	t.Cleanup(control.Close)
	ctx := t.Context()
	b.must(control.Healthy(ctx))
	const odd = "a/b?c d"
	b.must(control.PutRuntime(ctx, game, oldImage, ""))
	b.must(control.PutRuntime(ctx, odd, oldImage, "stopped"))
	b.patch(game, newImage, "k")
	for _, id := range []string{game, odd, "nobody"} {
		want, wantKnown := b.sim.Runtime(id)
		got, known, err := control.Runtime(ctx, id)
		if err != nil || known != wantKnown || !reflect.DeepEqual(got, want) {
			t.Errorf("Runtime(%s) = %+v, %t, %v, want %+v, %t", id, got, known, err, want, wantKnown)
		}
	}
	if got, err := control.Runtimes(ctx); err != nil || !reflect.DeepEqual(got, b.sim.Runtimes()) || len(got) != 2 {
		t.Errorf("Runtimes = %+v, %v", got, err)
	}
	for _, want := range []bool{true, false} {
		if existed, err := control.DeleteRuntime(ctx, odd); err != nil || existed != want {
			t.Errorf("DeleteRuntime = %t, %v, want %t", existed, err, want)
		}
	}

	full := rtmsim.Fault{
		GameID: game, Op: rtmsim.OpInspect, Mode: rtmsim.ModeLie, Status: 503, DelayMS: 1, Times: 2,
		RetryAfter: 3, ImageRef: newImage, Name: "a name",
	}
	b.must(control.PutFault(ctx, full))
	full.GameID = odd
	b.must(control.PutFault(ctx, full))
	b.ask("GET", contract+game, "")
	want := b.sim.Faults()
	if got, err := control.Faults(ctx); err != nil || !reflect.DeepEqual(got, want) || got[0].Fired != 1 || got[1].Fault != full {
		t.Errorf("Faults = %+v, %v, want %+v", got, err, want)
	}
	b.must(control.DeleteFaultsOf(ctx, odd))
	if left := b.sim.Faults(); len(left) != 1 || left[0].GameID != game {
		t.Errorf("left = %+v", left)
	}
	b.must(control.ClearFaults(ctx))
	b.must(control.SetFencing(ctx, false))
	if len(b.sim.Faults()) != 0 || b.sim.Fencing() {
		t.Errorf("faults = %+v, fencing = %t", b.sim.Faults(), b.sim.Fencing())
	}
	b.must(control.SetFencing(ctx, true))
	if !b.sim.Fencing() {
		t.Error("fencing is off")
	}
}

// The log comes over whole, in pages or as one, of one game or of all.
func TestControlLog(t *testing.T) {
	b := running(t)
	control := rtmsim.NewControl(b.url)
	t.Cleanup(control.Close)
	b.patchAs(7, newImage, "k")
	b.ask("GET", contract+"a%2Fb", "")
	for _, query := range []rtmsim.LogQuery{{}, {Limit: 1}, {After: 1}, {GameID: "a/b", Limit: 5}} {
		want, err := b.sim.Log(query)
		b.must(err)
		if got, err := control.Log(t.Context(), query); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Log(%+v) = %+v, %v, want %+v", query, got, err, want)
		}
	}
	for i := 2; i < 10_001; i++ { // one more than a page
		b.sim.ServeHTTP(nowhere{}, b.request("GET", contract+game, ""))
	}
	whole, err := control.WholeLog(t.Context(), "")
	if err != nil || len(whole.Entries) != 10_001 || whole.Last != 10_001 || whole.Entries[10_000].Seq != 10_001 || whole.Dropped != 0 {
		t.Errorf("WholeLog = %d entries, last %d, %v", len(whole.Entries), whole.Last, err)
	}
	one, err := control.WholeLog(t.Context(), "a/b")
	if err != nil || len(one.Entries) != 1 || one.Entries[0].Seq != 2 {
		t.Errorf("WholeLog of one game = %+v, %v", one, err)
	}
}

// A refusal says what was asked and why not; where nobody or somebody else
// answers, there is an error too.
func TestControlErrors(t *testing.T) {
	b := newBench(t)
	control := rtmsim.NewControl(b.url)
	t.Cleanup(control.Close)
	failure, ok := errors.AsType[*rtmsim.ControlError](control.PutFault(t.Context(), rtmsim.Fault{GameID: "*"}))
	if !ok || failure.Status != 400 || failure.Code != "invalid_request" ||
		!strings.Contains(failure.Error(), "PUT /sim/faults: HTTP 400 invalid_request: op: ") {
		t.Errorf("PutFault = %v", failure)
	}
	if err := control.DeleteFaultsOf(t.Context(), ""); err == nil {
		t.Error("the faults of no game were deleted")
	}
	elsewhere := rtmsim.NewControl(b.url + "/elsewhere")
	t.Cleanup(elsewhere.Close)
	if _, known, err := elsewhere.Runtime(t.Context(), game); known || err == nil {
		t.Errorf("Runtime of somebody else = %t, %v, want an error", known, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := control.Healthy(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Healthy = %v", err)
	}
	nobody := rtmsim.NewControl(":nonsense")
	if err := nobody.Healthy(t.Context()); err == nil {
		t.Error("a URL that is none was answered")
	}
}
