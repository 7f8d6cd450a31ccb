package rtmsim_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func container(image, status string) string {
	return fmt.Sprintf(`{"game_id":%q,"image_ref":%q,"status":%q}`, game, image, status)
}

func TestPatchRecreates(t *testing.T) {
	b := running(t)
	before := time.Now().UTC()
	b.wantAnswer(b.ask("GET", contract+game, ""), 200, container(oldImage, "running"))
	b.wantAnswer(b.patch(game, newImage, "k1"), 200, container(newImage, "running"))
	b.wantAnswer(b.ask("GET", contract+game, ""), 200, container(newImage, "running"))
	b.wantRuntime(newImage, 1)
	found, _ := b.sim.Runtime(game)
	entry := found.History[0]
	if entry.ImageRef != newImage || entry.IdempotencyKey != "k1" || entry.At.Before(before.Add(-time.Second)) {
		t.Errorf("history = %+v", found.History)
	}
	// A recreate on the same image under another key is a recreate.
	b.patch(game, newImage, "k2")
	b.wantRuntime(newImage, 2)
}

// A recreate always ends with a running container.
func TestPatchOfStoppedContainer(t *testing.T) {
	b := newBench(t)
	b.must(b.sim.PutRuntime(game, oldImage, "stopped"))
	b.wantAnswer(b.ask("GET", contract+game, ""), 200, container(oldImage, "stopped"))
	b.wantAnswer(b.patch(game, newImage, "k"), 200, container(newImage, "running"))
}

// A key is carried out once and then answered as the first time, whatever came
// in between; with another image it is refused.
func TestIdempotencyKey(t *testing.T) {
	b := running(t)
	b.patch(game, newImage, "k1")
	b.patch(game, oldImage, "k2")
	b.must(b.sim.PutRuntime(game, oldImage, "stopped"))
	b.wantAnswer(b.patch(game, newImage, "k1"), 200, container(newImage, "running"))
	b.wantError(b.patch(game, oldImage, "k1"), 422, "idempotency_key_reused", "another image")
	b.wantRuntime(oldImage, 2)

	// A key belongs to its game.
	b.must(b.sim.PutRuntime("game-2", oldImage, ""))
	if got := b.patch("game-2", oldImage, "k1"); got.status != 200 {
		t.Errorf("the key of another game is answered %d %s", got.status, got.body)
	}
	// A key without effect stays unused.
	b.wantError(b.patch("game-3", newImage, "k3"), 404, "runtime_not_found", "no container")
	b.must(b.sim.PutRuntime("game-3", oldImage, ""))
	if got := b.patch("game-3", newImage, "k3"); got.status != 200 {
		t.Errorf("after the 404: %d %s", got.status, got.body)
	}
}

// However many send one key at once, there is one recreate, and of different
// keys there is one each.
func TestRecreatesAreSerialised(t *testing.T) {
	b := running(t)
	var callers sync.WaitGroup
	for caller := range 24 {
		callers.Go(func() {
			got := b.patch(game, newImage, fmt.Sprintf("k%d", caller%4))
			if got.status != 200 {
				t.Errorf("answer = %d %s", got.status, got.body)
			}
			_ = b.sim.Runtimes()
		})
	}
	callers.Wait()
	b.wantRuntime(newImage, 4)
}

func TestPatchRefusesInput(t *testing.T) {
	b := running(t)
	b.must(b.sim.PutFault(fault(`{"game_id":"*","op":"patch","mode":"status","status":503,"times":1}`)))
	const good = `{"image_ref":"i"}`
	for name, test := range map[string]struct{ body, key, message string }{
		"no key":        {good, "", "Idempotency-Key: "},
		"long key":      {good, strings.Repeat("k", 256), "Idempotency-Key: "},
		"inner space":   {good, "a b", "Idempotency-Key: "},
		"empty":         {"", "k", "body: "},
		"not JSON":      {"{", "k", "body: "},
		"array":         {"[]", "k", "body: "},
		"null":          {"null", "k", "body: "},
		"trailing":      {good + "x", "k", "body: "},
		"two":           {good + good, "k", "body: "},
		"no image":      {`{}`, "k", "image_ref: must not be empty"},
		"blank image":   {`{"image_ref":" "}`, "k", "image_ref: "},
		"long image":    {`{"image_ref":"` + strings.Repeat("i", 1025) + `"}`, "k", "image_ref: "},
		"wrong type":    {`{"image_ref":1}`, "k", "image_ref: must be string, not number"},
		"unknown field": {`{"image_ref":"i","version":"1"}`, "k", "version: is not a field"},
		"too long":      {`{"image_ref":"` + strings.Repeat("i", 70<<10) + `"}`, "k", "body: must not be longer"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{T: t, sim: b.sim, url: b.url, client: b.client}
			got := b.ask("POST", contract+game+"/patch", test.body, "Idempotency-Key", test.key)
			b.wantError(got, 400, "invalid_request", test.message)
		})
	}
	b.wantRuntime(oldImage, 0)
	if fired := b.sim.Faults()[0].Fired; fired != 0 {
		t.Errorf("a 400 met the fault %d times", fired)
	}
}

// Whatever the path and the method, an error has the contract's envelope.
func TestOtherPaths(t *testing.T) {
	b := running(t)
	b.wantAnswer(b.ask("GET", "/healthz", ""), 200, `{"status":"ok"}`)
	b.wantError(b.ask("GET", contract+"nobody", ""), 404, "runtime_not_found", "no container")
	b.wantError(b.ask("GET", contract+"_", ""), 404, "runtime_not_found", "no container")
	for _, path := range []string{"/", "/api", contract + game + "/patch/more", "/sim", "/sim/other"} {
		b.wantError(b.ask("GET", path, ""), 404, "not_found", "")
	}
	for path, allow := range map[string]string{
		contract + game + "/patch": "POST", contract + game: "GET", "/healthz": "GET", "/sim/runtimes": "GET",
		contract + game + "/fence": "PUT", "/sim/fencing": "GET, PUT", "/sim/log": "GET",
		"/sim/runtimes/" + game: "GET, PUT, DELETE", "/sim/faults": "GET, PUT, DELETE",
	} {
		got := b.ask("PATCH", path, "")
		b.wantError(got, 405, "method_not_allowed", allow)
		if got.header.Get("Allow") != allow {
			t.Errorf("%s: Allow = %q, want %q", path, got.header.Get("Allow"), allow)
		}
	}
	// An escaped id is one segment.
	b.must(b.sim.PutRuntime("a/b?c", oldImage, ""))
	if got := b.patch("a%2Fb%3Fc", newImage, "k"); !strings.Contains(got.body, `"game_id":"a/b?c"`) {
		t.Errorf("escaped id: %d %s", got.status, got.body)
	}
}
