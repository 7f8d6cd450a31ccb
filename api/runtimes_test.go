package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// A game is registered on the version that was asked for, as starting unless
// another status is given, and the answer says where it is.
func TestRegisterRuntime(t *testing.T) {
	for body, status := range map[string]runtime.Status{
		`{"game_id":"demo-1","engine_version":"1.4.3"}`:                    runtime.StatusStarting,
		`{"game_id":"demo-1","engine_version":"1.4.3","status":"running"}`: runtime.StatusRunning,
	} {
		h := build(t)
		h.registrar.EXPECT().Register(gomock.Any(), gomock.Any()).DoAndReturn(
			func(_ any, input ports.RegisterInput) (runtime.RuntimeRecord, error) {
				require.WithinDuration(t, time.Now(), input.Now, time.Minute)
				require.Equal(t, time.UTC, input.Now.Location())
				input.Now = time.Time{}
				require.Equal(t, ports.RegisterInput{GameID: "demo-1", EngineVersion: "1.4.3", Status: status}, input)
				return record("demo-1"), nil
			})
		got := h.call(t, http.MethodPost, games, body)
		require.Equal(t, http.StatusCreated, got.status, got.body)
		require.Equal(t, "/api/v1/internal/runtimes/demo-1", got.header.Get("Location"))
		require.JSONEq(t, recordJSON, got.body)
	}
}

// A game that is there already, a version that is not or not any more, and an id
// that is a path of its own are refused, each by its code.
func TestRegisterRuntimeInVain(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		code   string
		told   string
	}{
		"there already":  {runtime.ErrConflict, 409, "runtime_exists", "delete it first"},
		"not registered": {engineversion.ErrNotFound, 404, "engine_version_not_found", `"1.4.3" is not registered`},
		"deprecated":     {engineversion.ErrDeprecated, 404, "engine_version_not_found", `"1.4.3" is deprecated`},
		"store's words":  {ports.ErrInvalidInput, 400, "invalid_request", "input"},
		"unreachable":    {errors.New("canary"), 503, "service_unavailable", "try again"},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			h.registrar.EXPECT().Register(gomock.Any(), gomock.Any()).Return(runtime.RuntimeRecord{}, test.err)
			got := h.call(t, http.MethodPost, games, `{"game_id":"demo-1","engine_version":"1.4.3"}`)
			require.Contains(t, got.refused(t, test.status, test.code).Detail, test.told)
			require.NotContains(t, got.body, "canary")
		})
	}
	build(t).call(t, http.MethodPost, games, `{"game_id":"due","engine_version":"1.4.3"}`).blames(t, "game_id")
}

// A body that is not one of the contract reaches no store, and the field that is
// wrong is named.
func TestMalformedChangesAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ method, path, body, field string }{
		"no game":             {"POST", games, `{"engine_version":"1.4.3"}`, "game_id"},
		"bad game":            {"POST", games, `{"game_id":"Demo","engine_version":"1.4.3"}`, "game_id"},
		"no version":          {"POST", games, `{"game_id":"demo-1"}`, "engine_version"},
		"bad version":         {"POST", games, `{"game_id":"demo-1","engine_version":"v1.4.3"}`, "engine_version"},
		"leading zero":        {"POST", games, `{"game_id":"demo-1","engine_version":"1.04.3"}`, "engine_version"},
		"line break":          {"POST", games, `{"game_id":"demo-1\n","engine_version":"1.4.3"}`, "game_id"},
		"unknown status":      {"POST", games, `{"game_id":"demo-1","engine_version":"1.4.3","status":"paused"}`, "status"},
		"unknown key":         {"POST", games, `{"game_id":"demo-1","engine_version":"1.4.3","image":"x"}`, "image"},
		"key with a quote":    {"POST", games, `{"game_id":"demo-1","engine_version":"1.4.3","a\"b":"x"}`, `a"b`},
		"no from":             {"POST", demo + "/status", `{"to":"running"}`, "expected_from"},
		"no to":               {"POST", demo + "/status", `{"expected_from":"starting"}`, "to"},
		"image alone":         {"POST", demo + "/status", `{"expected_from":"starting","to":"running","current_image_ref":"a:1"}`, "current_engine_version"},
		"version alone":       {"POST", demo + "/status", `{"expected_from":"starting","to":"running","current_engine_version":"1.4.3"}`, "current_image_ref"},
		"image without tag":   {"POST", demo + "/status", `{"expected_from":"starting","to":"running","current_image_ref":"engine","current_engine_version":"1.4.3"}`, "current_image_ref"},
		"empty image":         {"POST", demo + "/status", `{"expected_from":"starting","to":"running","current_image_ref":"","current_engine_version":"1.4.3"}`, "current_image_ref"},
		"health with NUL":     {"POST", demo + "/status", `{"expected_from":"starting","to":"running","engine_health":"\u0000"}`, "engine_health"},
		"no instant":          {"PUT", demo + "/scheduling", `{"skip_next_tick":true,"current_turn":1}`, "next_generation_at"},
		"a date":              {"PUT", demo + "/scheduling", `{"next_generation_at":"2026-03-01","skip_next_tick":true,"current_turn":1}`, "next_generation_at"},
		"30th of February":    {"PUT", demo + "/scheduling", `{"next_generation_at":"2026-02-30T00:00:00Z","skip_next_tick":true,"current_turn":1}`, "next_generation_at"},
		"untellable instant":  {"PUT", demo + "/scheduling", `{"next_generation_at":"9999-12-31T23:59:59-01:00","skip_next_tick":true,"current_turn":1}`, "next_generation_at"},
		"zero instant":        {"PUT", demo + "/scheduling", `{"next_generation_at":"0001-01-01T00:00:00Z","skip_next_tick":true,"current_turn":1}`, "next_generation_at"},
		"no skip":             {"PUT", demo + "/scheduling", `{"next_generation_at":null,"current_turn":1}`, "skip_next_tick"},
		"negative turn":       {"PUT", demo + "/scheduling", `{"next_generation_at":null,"skip_next_tick":true,"current_turn":-1}`, "current_turn"},
		"half a turn":         {"PUT", demo + "/scheduling", `{"next_generation_at":null,"skip_next_tick":true,"current_turn":1.5}`, "current_turn"},
		"too many turns":      {"PUT", demo + "/scheduling", `{"next_generation_at":null,"skip_next_tick":true,"current_turn":9007199254740992}`, "current_turn"},
		"turn as a power":     {"PUT", demo + "/scheduling", `{"next_generation_at":null,"skip_next_tick":true,"current_turn":1e2}`, "current_turn"},
		"turn with a point":   {"PUT", demo + "/scheduling", `{"next_generation_at":null,"skip_next_tick":true,"current_turn":12.0}`, "current_turn"},
		"turn as a string":    {"PUT", demo + "/scheduling", `{"next_generation_at":null,"skip_next_tick":true,"current_turn":"1"}`, "current_turn"},
		"no health":           {"PUT", demo + "/engine-health", `{}`, "engine_health"},
		"long health":         {"PUT", demo + "/engine-health", `{"engine_health":"` + strings.Repeat("a", 257) + `"}`, "engine_health"},
		"health with C1":      {"PUT", demo + "/engine-health", `{"engine_health":"a\u009fb"}`, "engine_health"},
		"health of two lines": {"PUT", demo + "/engine-health", `{"engine_health":"a\nb"}`, "engine_health"},
		"health null":         {"PUT", demo + "/engine-health", `{"engine_health":null}`, "engine_health"},
		"put no image":        {"PUT", versions + "/1.4.3", `{}`, "image_ref"},
		"put empty image":     {"PUT", versions + "/1.4.3", `{"image_ref":""}`, "image_ref"},
		"put bad image":       {"PUT", versions + "/1.4.3", `{"image_ref":"no good:1"}`, "image_ref"},
		"put without tag":     {"PUT", versions + "/1.4.3", `{"image_ref":"registry.example/engine"}`, "image_ref"},
		"put long image":      {"PUT", versions + "/1.4.3", `{"image_ref":"a:` + strings.Repeat("a", 511) + `"}`, "image_ref"},
		"put bad version":     {"PUT", versions + "/latest", `{"image_ref":"a:1"}`, "version"},
		"rollback to nothing": {"POST", demo + "/rollback", `{}`, "to"},
		"rollback to latest":  {"POST", demo + "/rollback", `{"to":"latest"}`, "to"},
		"rollback forced":     {"POST", demo + "/rollback", `{"to":"previous","force":true}`, "force"},
		"expects no version":  {"POST", demo + "/rollback", `{"to":"previous","expected_version":"1.4"}`, "expected_version"},
		"patch expects none":  {"POST", demo + "/patch", `{"version":"1.4.3","expected_version":""}`, "expected_version"},
		"patch in bytes":      {"POST", demo + "/patch", `{"version":"` + strings.Repeat("é", 65) + `"}`, "version"},
		"reference in bytes":  {"POST", demo + "/patch", `{"version":"1.4.3","source_ref":"` + strings.Repeat("é", 129) + `"}`, "source_ref"},
		"reason in bytes":     {"POST", demo + "/rollback", `{"to":"previous","reason":"` + strings.Repeat("é", 513) + `"}`, "reason"},
		"long source":         {"POST", demo + "/patch", `{"version":"1.4.3","op_source":"` + strings.Repeat("a", 65) + `"}`, "op_source"},
		"dry run as a string": {"POST", demo + "/patch", `{"version":"1.4.3","dry_run":"yes"}`, "dry_run"},
		"cancel why":          {"POST", patches + "/" + somePatch + "/cancel", `{"why":"x"}`, "why"},
		"cancel nothing":      {"POST", patches + "/" + somePatch + "/cancel", `null`, "body"},
		"cancel a line":       {"POST", patches + "/" + somePatch + "/cancel", ` `, "body"},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			h.call(t, test.method, test.path, test.body).blames(t, test.field)
			h.patcher.untouched(t)
		})
	}
}

// A move of the status is a compare-and-swap, with what else was given, and the
// record after it is the answer.
func TestUpdateStatus(t *testing.T) {
	text := func(s string) *string { return &s }
	for body, want := range map[string]ports.UpdateStatusInput{
		`{"expected_from":"running","to":"stopped"}`: {
			ExpectedFrom: runtime.StatusRunning, To: runtime.StatusStopped,
		},
		`{"expected_from":"starting","to":"running","engine_health":""}`: {
			ExpectedFrom: runtime.StatusStarting, To: runtime.StatusRunning, EngineHealthSummary: text(""),
		},
		`{"expected_from":"stopped","to":"starting","engine_health":"ok","current_image_ref":"engine:1.4.3","current_engine_version":"1.4.3"}`: {
			ExpectedFrom: runtime.StatusStopped, To: runtime.StatusStarting,
			EngineHealthSummary: text("ok"), CurrentImageRef: text("engine:1.4.3"), CurrentEngineVersion: text("1.4.3"),
		},
	} {
		h := build(t)
		h.runtimes.EXPECT().UpdateStatus(gomock.Any(), gomock.Any()).DoAndReturn(func(_ any, input ports.UpdateStatusInput) error {
			require.NoError(t, input.Validate())
			want.GameID, want.Now = "demo-1", input.Now
			require.Equal(t, want, input)
			return nil
		})
		h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil)
		got := h.call(t, http.MethodPost, demo+"/status", body)
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.JSONEq(t, recordJSON, got.body)
	}
}

// A move that is not allowed reaches no store; one that comes too late, or of no
// game, is told as such.
func TestUpdateStatusInVain(t *testing.T) {
	h := build(t)
	problem := h.call(t, http.MethodPost, demo+"/status", `{"expected_from":"finished","to":"running"}`).
		refused(t, http.StatusUnprocessableEntity, "invalid_transition")
	require.Equal(t, "to", problem.Errors[0].Field)
	for err, want := range map[error]struct {
		status int
		code   string
	}{
		runtime.ErrConflict:   {409, "status_conflict"},
		runtime.ErrNotFound:   {404, "runtime_not_found"},
		errors.New("canary"):  {503, "service_unavailable"},
		ports.ErrInvalidInput: {400, "invalid_request"},
	} {
		h.runtimes.EXPECT().UpdateStatus(gomock.Any(), gomock.Any()).Return(err)
		got := h.call(t, http.MethodPost, demo+"/status", `{"expected_from":"running","to":"stopped"}`)
		got.refused(t, want.status, want.code)
		require.NotContains(t, got.body, "canary")
	}
	h.runtimes.EXPECT().UpdateStatus(gomock.Any(), gomock.Any()).Return(engineversion.ErrConflict)
	h.call(t, http.MethodPost, demo+"/status",
		`{"expected_from":"running","to":"stopped","current_image_ref":"a:1","current_engine_version":"1.4.3"}`).blames(t, "current_image_ref")
	// The change is made, and then nobody can tell the record.
	h.runtimes.EXPECT().UpdateStatus(gomock.Any(), gomock.Any()).Return(nil)
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(runtime.RuntimeRecord{}, errors.New("canary"))
	h.call(t, http.MethodPost, demo+"/status", `{"expected_from":"running","to":"stopped"}`).
		refused(t, http.StatusServiceUnavailable, "service_unavailable")
}

// All three columns of the schedule are overwritten together; null clears the
// instant, and every zone is the same instant.
func TestUpdateScheduling(t *testing.T) {
	for given, want := range map[string]*time.Time{
		`null`: nil, `"2026-03-01T12:00:00Z"`: &moment, `"2026-03-01T14:00:00.000+02:00"`: &moment,
	} {
		h := build(t)
		h.runtimes.EXPECT().UpdateScheduling(gomock.Any(), gomock.Any()).DoAndReturn(func(_ any, input ports.UpdateSchedulingInput) error {
			require.NoError(t, input.Validate())
			require.Equal(t, want == nil, input.NextGenerationAt == nil)
			if want != nil {
				require.True(t, want.Equal(*input.NextGenerationAt))
			}
			require.True(t, input.SkipNextTick)
			require.Equal(t, 9007199254740991, input.CurrentTurn)
			require.Equal(t, "demo-1", input.GameID)
			return nil
		})
		h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil)
		got := h.call(t, http.MethodPut, demo+"/scheduling",
			`{"next_generation_at":`+given+`,"skip_next_tick":true,"current_turn":9007199254740991}`)
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.JSONEq(t, recordJSON, got.body)
	}
	h := build(t)
	h.runtimes.EXPECT().UpdateScheduling(gomock.Any(), gomock.Any()).Return(runtime.ErrNotFound)
	h.call(t, http.MethodPut, demo+"/scheduling", `{"next_generation_at":null,"skip_next_tick":false,"current_turn":0}`).
		refused(t, http.StatusNotFound, "runtime_not_found")
}

// The health summary is overwritten as it is given, empty and in any script.
func TestUpdateEngineHealth(t *testing.T) {
	for _, health := range []string{"", "fine", strings.Repeat("é", 256), "a\\u0020b"} {
		h := build(t)
		h.runtimes.EXPECT().UpdateEngineHealth(gomock.Any(), gomock.Any()).DoAndReturn(func(_ any, input ports.UpdateEngineHealthInput) error {
			require.Equal(t, "demo-1", input.GameID)
			require.Equal(t, strings.ReplaceAll(health, "\\u0020", " "), input.EngineHealthSummary)
			return nil
		})
		h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil)
		got := h.call(t, http.MethodPut, demo+"/engine-health", `{"engine_health":"`+health+`"}`)
		require.Equal(t, http.StatusOK, got.status, got.body)
	}
	h := build(t)
	h.runtimes.EXPECT().UpdateEngineHealth(gomock.Any(), gomock.Any()).Return(runtime.ErrNotFound)
	h.call(t, http.MethodPut, demo+"/engine-health", `{"engine_health":""}`).refused(t, http.StatusNotFound, "runtime_not_found")
}

// A record is gone after the first delete and after the second; while nobody can
// tell, the answer is a 503.
func TestDeleteRuntime(t *testing.T) {
	h := open(t)
	h.runtimes.EXPECT().Delete(gomock.Any(), "demo-1").Return(nil).Times(2)
	for range 2 {
		got := h.do(t, http.MethodDelete, demo, "")
		require.Equal(t, http.StatusNoContent, got.status)
		require.Empty(t, got.body)
	}
	h.runtimes.EXPECT().Delete(gomock.Any(), "demo-1").Return(errors.New("canary"))
	got := h.do(t, http.MethodDelete, demo, "")
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	require.NotContains(t, got.body, "canary")
}

// A change whose record cannot be read behind it is told as made: who tried it
// again would meet a conflict.
func TestChangeThatCannotBeReadBack(t *testing.T) {
	h := build(t)
	h.runtimes.EXPECT().UpdateStatus(gomock.Any(), gomock.Any()).Return(nil)
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(runtime.RuntimeRecord{}, errors.New("canary"))
	got := h.call(t, http.MethodPost, demo+"/status", `{"expected_from":"running","to":"stopped"}`)
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	require.Contains(t, got.body, "the change was made")
}
