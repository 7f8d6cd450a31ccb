package rtmsim_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// fault is the fault that the control API would read from text.
func fault(text string) rtmsim.Fault {
	var read rtmsim.Fault
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		panic(err)
	}
	return read
}

func TestControlRuntimes(t *testing.T) {
	b := newBench(t)
	const path = "/sim/runtimes/" + game
	const fresh = `{"game_id":"game-1","image_ref":"` + oldImage + `","status":"running","recreates":0,"history":[]}`
	b.wantAnswer(b.ask("GET", "/sim/runtimes", ""), 200, `{"runtimes":[]}`)
	b.wantError(b.ask("GET", path, ""), 404, "runtime_not_found", "")
	b.wantError(b.ask("DELETE", path, ""), 404, "runtime_not_found", "")
	b.wantAnswer(b.ask("PUT", path, `{"image_ref":"`+oldImage+`"}`), 200, fresh)
	b.wantAnswer(b.ask("GET", path, ""), 200, fresh)

	// Putting is no recreate, and keeps what was.
	b.patch(game, newImage, "k")
	b.ask("PUT", path, `{"image_ref":"`+oldImage+`","status":"stopped"}`)
	b.wantRuntime(oldImage, 1)
	var got rtmsim.Runtime
	b.must(json.Unmarshal([]byte(b.ask("GET", path, "").body), &got))
	if got.Status != "stopped" || got.History[0].IdempotencyKey != "k" || got.History[0].ImageRef != newImage {
		t.Errorf("runtime = %+v", got)
	}

	b.must(b.sim.PutRuntime("a-game", oldImage, ""))
	list := b.ask("GET", "/sim/runtimes", "").body
	if first, second := strings.Index(list, `"a-game"`), strings.Index(list, `"game-1"`); first < 0 || second < first {
		t.Errorf("list = %s, want both by id", list)
	}

	// Deleting forgets the game with its keys.
	b.wantAnswer(b.ask("DELETE", path, ""), 204, "")
	b.wantError(b.patch(game, newImage, "k"), 404, "runtime_not_found", "")
	b.ask("PUT", path, `{"image_ref":"`+oldImage+`"}`)
	b.wantAnswer(b.ask("GET", path, ""), 200, fresh)
}

func TestControlRefusesRuntimes(t *testing.T) {
	b := newBench(t)
	const good = `{"image_ref":"i"}`
	for _, test := range []struct{ id, body, message string }{
		{"%2A", good, "game_id: "},
		{"_", good, "game_id: "},
		{"_probe", good, "game_id: "},
		{"%20", good, "game_id: must not be empty"},
		{strings.Repeat("g", 256), good, "game_id: "},
		{game, `{}`, "image_ref: must not be empty"},
		{game, `{"image_ref":"i","status":" "}`, "status: "},
		{game, `{"image_ref":"i","recreates":1}`, "recreates: is not a field"},
		{game, good + "{}", "body: "},
		{game, "", "body: "},
		{game, `"` + strings.Repeat("x", 70<<10) + `"`, "body: must not be longer"},
	} {
		b.wantError(b.ask("PUT", "/sim/runtimes/"+test.id, test.body), 400, "invalid_request", test.message)
	}
	if all := b.sim.Runtimes(); len(all) != 0 {
		t.Errorf("runtimes = %+v, want none", all)
	}
}

func TestControlFaults(t *testing.T) {
	b := running(t)
	b.wantAnswer(b.ask("GET", "/sim/faults", ""), 200, `{"faults":[]}`)
	const first = `{"game_id":"game-1","op":"patch","mode":"status","status":503,"times":1,"retry_after":7`
	b.wantAnswer(b.ask("PUT", "/sim/faults", first+"}"), 200, first+`,"fired":0}`)
	b.ask("PUT", "/sim/faults",
		`{"game_id":"*","op":"inspect","mode":"slow","status":0,"delay_ms":1,"times":0}`)
	b.patch(game, newImage, "k")
	b.wantAnswer(b.ask("GET", "/sim/faults", ""), 200,
		`{"faults":[`+first+`,"fired":1},{"game_id":"*","op":"inspect","mode":"slow","delay_ms":1,"fired":0}]}`)
	b.wantAnswer(b.ask("DELETE", "/sim/faults", ""), 204, "")
	b.wantAnswer(b.ask("GET", "/sim/faults", ""), 200, `{"faults":[]}`)
}

// The faults of one game go without those of the others, and nothing goes at a
// slip of the pen.
func TestControlFaultsOfOneGame(t *testing.T) {
	b := newBench(t)
	for _, id := range []string{"game-1", "game-2", "*", "game-1"} {
		b.must(b.sim.PutFault(fault(`{"game_id":"` + id + `","op":"patch","mode":"reset","name":"of ` + id + `"}`)))
	}
	for query, field := range map[string]string{
		"game_id=": "game_id: ", "gameid=game-1": "gameid: ", "game_id=game-1&game_id=game-2": "game_id: ",
		"game_id=%zz": "query: ", "game_id=game-1;": "query: ",
	} {
		b.wantError(b.ask("DELETE", "/sim/faults?"+query, ""), 400, "invalid_request", field)
	}
	left := func() (names []string) {
		for _, fault := range b.sim.Faults() {
			names = append(names, fault.Name)
		}
		return names
	}
	if got := len(left()); got != 4 {
		t.Errorf("%d faults left after the refusals, want 4", got)
	}
	b.wantAnswer(b.ask("DELETE", "/sim/faults?game_id=game-1", ""), 204, "")
	if got := strings.Join(left(), ", "); got != "of game-2, of *" {
		t.Errorf("left = %s", got)
	}
	b.wantAnswer(b.ask("DELETE", "/sim/faults?game_id=%2A", ""), 204, "")
	if got := strings.Join(left(), ", "); got != "of game-2" {
		t.Errorf("left = %s", got)
	}
}

func TestControlRefusesFaults(t *testing.T) {
	b := newBench(t)
	for body, message := range map[string]string{
		`{"op":"patch","mode":"reset"}`:                                                               "game_id: ",
		`{"game_id":"*","mode":"reset"}`:                                                              "op: ",
		`{"game_id":"*","op":"delete","mode":"reset"}`:                                                `op: "delete"`,
		`{"game_id":"*","op":"patch"}`:                                                                "mode: ",
		`{"game_id":"*","op":"patch","mode":"explode"}`:                                               `mode: "explode"`,
		`{"game_id":"*","op":"patch","mode":"status"}`:                                                "status: is required",
		`{"game_id":"*","op":"patch","mode":"applied_then_status"}`:                                   "status: is required",
		`{"game_id":"*","op":"patch","mode":"status","status":200}`:                                   "status: must be between",
		`{"game_id":"*","op":"patch","mode":"status","status":600}`:                                   "status: must be between",
		`{"game_id":"*","op":"patch","mode":"reset","status":-1}`:                                     "status: must be between",
		`{"game_id":"*","op":"patch","mode":"status","status":"503"}`:                                 "status: must be int, not string",
		`{"game_id":"*","op":"patch","mode":"slow"}`:                                                  "delay_ms: is required",
		`{"game_id":"*","op":"patch","mode":"slow","delay_ms":-1}`:                                    "delay_ms: must be between",
		`{"game_id":"*","op":"patch","mode":"slow","delay_ms":600001}`:                                "delay_ms: must be between",
		`{"game_id":"*","op":"patch","mode":"slow","delay_ms":1.5}`:                                   "delay_ms: must be int",
		`{"game_id":"*","op":"patch","mode":"reset","times":-1}`:                                      "times: must not be negative",
		`{"game_id":"*","op":"patch","mode":"status","status":503,"retry_after":-1}`:                  "retry_after: must not",
		`{"game_id":"*","op":"patch","mode":"reset","fired":3}`:                                       "fired: is not a field",
		`{"game_id":"*","op":"patch","mode":"applied_then_slow"}`:                                     "delay_ms: is required",
		`{"game_id":"*","op":"inspect","mode":"lie"}`:                                                 "image_ref: is required",
		`{"game_id":"*","op":"inspect","mode":"lie","image_ref":" "}`:                                 "image_ref: is required",
		`{"game_id":"*","op":"inspect","mode":"other_image"}`:                                         "mode: other_image",
		`{"game_id":"*","op":"fence","mode":"other_image"}`:                                           "mode: other_image",
		`{"game_id":"*","op":"fence","mode":"status"}`:                                                "status: is required",
		`{"game_id":"*","op":"patch","mode":"reset","name":"` + strings.Repeat("n", 256) + `"}`:       "name: ",
		`{"game_id":"*","op":"patch","mode":"reset","image_ref":"` + strings.Repeat("i", 1025) + `"}`: "image_ref: ",
		`{"game_id":"*","op":"patch","mode":"reset"} x`:                                               "body: ",
		`[]`: "body: ",
		``:   "body: ",
	} {
		b.wantError(b.ask("PUT", "/sim/faults", body), 400, "invalid_request", message)
	}
	if faults := b.sim.Faults(); len(faults) != 0 {
		t.Errorf("faults = %+v, want none", faults)
	}
}

// The Go methods take what the control API takes, and no more.
func TestGoMethodsRefuse(t *testing.T) {
	sim := rtmsim.New()
	if input, ok := errors.AsType[*rtmsim.InputError](sim.PutRuntime("", oldImage, "")); !ok || input.Field != "game_id" {
		t.Errorf("PutRuntime = %v", input)
	}
	if input, ok := errors.AsType[*rtmsim.InputError](sim.PutFault(rtmsim.Fault{GameID: "*"})); !ok || input.Field != "op" {
		t.Errorf("PutFault = %v", input)
	}
	if existed, err := sim.DeleteRuntime("nobody"); existed || err != nil {
		t.Errorf("DeleteRuntime = %t, %v", existed, err)
	}
	reset := fault(`{"game_id":"*","op":"patch","mode":"reset"}`)
	for range 1000 {
		if err := sim.PutFault(reset); err != nil {
			t.Fatal(err)
		}
	}
	if err := sim.PutFault(reset); err == nil {
		t.Error("the list of faults has no bound")
	}
	sim.ClearFaults()
	if err := sim.PutFault(reset); err != nil {
		t.Errorf("after clearing: %v", err)
	}
}

// What was handed out is a copy.
func TestRuntimeIsACopy(t *testing.T) {
	b := running(t)
	b.patch(game, newImage, "k")
	found, _ := b.sim.Runtime(game)
	found.History[0].ImageRef = "changed"
	b.wantRuntime(newImage, 1)
	if again, _ := b.sim.Runtime(game); again.History[0].ImageRef != newImage {
		t.Error("the history can be changed from outside")
	}
}
