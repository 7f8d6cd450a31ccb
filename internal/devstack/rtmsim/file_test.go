package rtmsim_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

func open(t *testing.T, file string) *rtmsim.Simulator {
	t.Helper()
	sim, err := rtmsim.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

// Containers, counts, histories, keys and fencing numbers outlive the process;
// faults, the log and a switched off fencing do not.
func TestStateIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rtm.json")
	b := benchOf(t, open(t, file))
	b.must(b.sim.PutRuntime(game, oldImage, ""))
	b.must(b.sim.PutRuntime("game-2", oldImage, "stopped"))
	b.must(b.sim.PutRuntime("game-3", oldImage, ""))
	b.patch(game, newImage, "k")
	if existed, err := b.sim.DeleteRuntime("game-3"); !existed || err != nil {
		t.Errorf("DeleteRuntime = %t, %v", existed, err)
	}
	b.wantAnswer(b.fence("nobody", 7), 200, `{"game_id":"nobody","fence":7}`)
	b.put("patch", "reset", "")
	b.sim.SetFencing(false)

	again := benchOf(t, open(t, file))
	if got, want := again.sim.Runtimes(), b.sim.Runtimes(); !reflect.DeepEqual(got, want) {
		t.Errorf("runtimes = %+v, want %+v", got, want)
	}
	if faults := again.sim.Faults(); len(faults) != 0 {
		t.Errorf("faults = %+v, want none", faults)
	}
	again.wantAnswer(again.patch(game, newImage, "k"), 200, container(newImage, "running"))
	again.wantError(again.patch(game, oldImage, "k"), 422, "idempotency_key_reused", "")
	again.wantRuntime(newImage, 1)
	again.wantFenced(again.fence("nobody", 6))
	if page, err := again.sim.Log(rtmsim.LogQuery{Limit: 1}); err != nil || page.Entries[0].Seq != 1 || page.Entries[0].ArrivedOrder != 1 {
		t.Errorf("log = %+v, %v, want it to begin anew", page, err)
	}

	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("beside the state file: %v, %v", entries, err)
	}
}

// The history, and with it the file, has a bound; the count has none, and the
// newest keys are the ones that are kept.
func TestHistoryIsBounded(t *testing.T) {
	full := rtmsim.Runtime{GameID: game, ImageRef: oldImage, Status: "running", Recreates: 10_000}
	for i := range full.Recreates {
		full.History = append(full.History, rtmsim.Recreate{ImageRef: oldImage, IdempotencyKey: fmt.Sprintf("k%d", i)})
	}
	content, err := json.Marshal(map[string]any{"version": 1, "runtimes": []rtmsim.Runtime{full}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rtm.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	b := benchOf(t, open(t, file))
	b.wantAnswer(b.patch(game, newImage, "new"), 200, container(newImage, "running"))
	got, _ := b.sim.Runtime(game)
	if got.Recreates != 10_001 || len(got.History) != 10_000 ||
		got.History[0].IdempotencyKey != "k1" || got.History[9_999].IdempotencyKey != "new" {
		t.Errorf("%d recreates, %d kept, first %+v", got.Recreates, len(got.History), got.History[0])
	}
}

// A file of the version without fencing numbers is read, and written as the one
// with them.
func TestOlderStateIsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rtm.json")
	const older = `{"version":1,"runtimes":[{"game_id":"game-1","image_ref":"` + oldImage + `","status":"running","recreates":0,"history":[]}]}`
	if err := os.WriteFile(file, []byte(older), 0o600); err != nil {
		t.Fatal(err)
	}
	b := benchOf(t, open(t, file))
	b.wantRuntime(oldImage, 0)
	b.wantAnswer(b.patchAs(7, newImage, "k"), 200, container(newImage, "running"))
	content, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(content), `"version":2`) || !strings.Contains(string(content), `"fences":{"game-1":7}`) {
		t.Errorf("file = %s, %v", content, err)
	}
}

// Concurrent changes are written one after another; the file has them all.
func TestConcurrentChangesAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rtm.json")
	sim := open(t, file)
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			if err := sim.PutRuntime("game-"+string(rune('a'+i)), oldImage, ""); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	if got := len(open(t, file).Runtimes()); got != 8 {
		t.Errorf("%d runtimes, want 8", got)
	}
}

// A file that is no state is reported and left as it is.
func TestOpenRefusesOtherFiles(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"empty":   "",
		"garbage": "not JSON",
		"half":    `{"version":1,"runtimes":[{"game_id":"g"`,
		"version": `{"version":3,"runtimes":[]}`,
		"older":   `{"version":0,"runtimes":[]}`,
		"fence":   `{"version":2,"runtimes":[],"fences":{"g":0}}`,
		"fenced":  `{"version":2,"runtimes":[],"fences":{"_":1}}`,
		"other":   `{"name":"something else"}`,
		"id":      `{"version":1,"runtimes":[{"game_id":"*"}]}`,
	} {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := rtmsim.Open(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: Open = %v, want an error that names the file", name, err)
		}
		if kept, err := os.ReadFile(file); err != nil || string(kept) != content {
			t.Errorf("%s: the file is now %q, %v", name, kept, err)
		}
	}
	if _, err := rtmsim.Open(folder); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := rtmsim.Open(filepath.Join(folder, "missing", "rtm.json")); err == nil {
		t.Error("a file in a folder that is not there was opened")
	}
}

// What cannot be written did not happen: the answer is a 500 and the state
// stays, in memory as on disk.
func TestUnwritableStateChangesNothing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	b := benchOf(t, open(t, filepath.Join(folder, "rtm.json")))
	b.must(b.sim.PutRuntime(game, oldImage, ""))
	b.fence(game, 6)
	b.must(os.RemoveAll(folder)) // permissions would not stop root
	b.wantError(b.patchAs(6, newImage, "k"), 500, "internal_error", "write simulator state")
	b.wantError(b.patchAs(7, newImage, "k"), 500, "internal_error", "write simulator state")
	b.wantError(b.fence(game, 8), 500, "internal_error", "write simulator state")
	b.wantError(b.fence("game-2", 8), 500, "internal_error", "write simulator state")
	b.wantError(b.ask("PUT", "/sim/runtimes/game-2", `{"image_ref":"i"}`), 500, "internal_error", "")
	b.wantError(b.ask("DELETE", "/sim/runtimes/"+game, ""), 500, "internal_error", "")
	b.wantRuntime(oldImage, 0)
	for _, entry := range b.log()[1:] {
		if entry.Effect != rtmsim.EffectNone || entry.Status != 500 || entry.LandedOrder != 0 {
			t.Errorf("entry = %+v, want a 500 without effect", entry)
		}
	}
	if len(b.sim.Runtimes()) != 1 {
		t.Errorf("runtimes = %+v, want the one", b.sim.Runtimes())
	}

	// Once it can be written again, the same key goes through, and no number
	// counts but the one that was written.
	b.must(os.Mkdir(folder, 0o700))
	b.wantAnswer(b.fence("game-2", 1), 200, inForce("game-2", 1))
	b.wantFenced(b.patchAs(5, newImage, "k"))
	b.wantAnswer(b.patchAs(6, newImage, "k"), 200, container(newImage, "running"))
	b.wantRuntime(newImage, 1)
}
