package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// somePatch is a possible id.
var somePatch = patch.DeriveID("demo-1", "admin", "key")

func viewing(view patch.View, err error) func(context.Context, string) (patch.View, error) {
	return func(context.Context, string) (patch.View, error) { return view, err }
}

// A patch is told as documented, key by key: while it is open, when it failed,
// when it succeeded, and when nothing more is known than that it is open.
func TestShowPatch(t *testing.T) {
	handle := handleFor(somePatch)
	done := success(handle)
	failed := patch.Result{
		Outcome: operation.OutcomeFailure, Code: patch.CodeInvalidRequest, Message: "version: no", Field: "version",
		Undo: &patch.Undo{Line: patch.LineInLine}, StartedAt: moment, FinishedAt: moment.Add(time.Minute),
	}
	ids := `"patch_id":"` + somePatch + `","workflow_id":"patch-runtime/demo-1","run_id":"run-1","game_id":"demo-1",`
	images := `"from":{"version":"1.4.2","image_ref":"engine:1.4.2"},"to":{"version":"1.4.3","image_ref":"engine:1.4.3"}`
	none := `"from":{"version":"","image_ref":""},"to":{"version":"","image_ref":""}`
	row := `{"game_id":"demo-1","status":"running","current_image_ref":"engine:1.4.3","current_engine_version":"1.4.3",` +
		`"engine_health":"","next_generation_at":null,"skip_next_tick":false,"current_turn":0,` +
		`"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z","started_at":null,"stopped_at":null,"finished_at":null}`
	for name, test := range map[string]struct {
		view patch.View
		want string
	}{
		"open": {
			patch.View{Handle: handle, State: &patch.State{
				Phase: patch.PhasePatching, Step: "PatchContainer", Attempts: 3, From: from, To: to,
				Code: patch.CodeServiceUnavailable, LastError: "503",
			}},
			`{` + ids + `"state":"open","phase":"patching","step":"PatchContainer","attempts":3,"last_error":"503",` +
				`"code":"service_unavailable",` + images + `}`,
		},
		"open, nothing known": {
			patch.View{Handle: handle},
			`{` + ids + `"state":"open","phase":"","step":"","attempts":0,"last_error":"",` + none + `}`,
		},
		"succeeded": {
			patch.View{Handle: handle, Result: &done},
			`{` + ids + `"state":"closed","outcome":"success","noop":false,` + images + `,"runtime":` + row +
				`,"started_at":"2026-03-01T12:00:00Z","finished_at":"2026-03-01T12:00:01Z"}`,
		},
		"failed": {
			patch.View{Handle: handle, Result: &failed, State: &patch.State{Phase: patch.PhaseDone}},
			`{` + ids + `"state":"closed","outcome":"failure","code":"invalid_request","message":"version: no","field":"version",` +
				`"noop":false,` + none + `,"undo":{"line":"in_line","row":{"version":"","image_ref":""}},` +
				`"started_at":"2026-03-01T12:00:00Z","finished_at":"2026-03-01T12:01:00Z"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.patcher.look = viewing(test.view, nil)
			got := h.do(t, http.MethodGet, "/api/v1/internal/patches/"+somePatch, "")
			require.Equal(t, http.StatusOK, got.status, got.body)
			require.JSONEq(t, test.want, got.body)
			require.Equal(t, []string{somePatch}, h.patcher.looks)
		})
	}
}

// The detail of an internal error is not shown by looking at the patch either,
// nor by its audit row.
func TestInternalDetailIsNowhere(t *testing.T) {
	h := open(t)
	for _, view := range []patch.View{
		{State: &patch.State{Code: patch.CodeInternalError, LastError: "canary"}},
		{Result: &patch.Result{Outcome: operation.OutcomeFailure, Code: patch.CodeInternalError, Message: "canary"}},
	} {
		h.patcher.look = viewing(view, nil)
		got := h.do(t, http.MethodGet, "/api/v1/internal/patches/"+somePatch, "")
		require.Equal(t, http.StatusOK, got.status)
		require.NotContains(t, got.body, "canary")
		require.Contains(t, got.body, "internal_error")
	}
	h.operations.EXPECT().ListByGame(gomock.Any(), "demo-1", 100).Return([]operation.OperationEntry{
		{ErrorCode: "internal_error", ErrorMessage: "canary"}, {ErrorCode: "conflict", ErrorMessage: "told"},
	}, nil)
	got := h.do(t, http.MethodGet, "/api/v1/internal/runtimes/demo-1/operations", "")
	require.NotContains(t, got.body, "canary")
	require.Contains(t, got.body, "told")
}

// Looking in vain: an id that cannot be, one that is not, and a look that
// fails, which tells nothing of its inside.
func TestShowPatchInVain(t *testing.T) {
	for _, id := range []string{"x", "demo-1", "demo-1.short", somePatch + "x", "Demo." + somePatch[7:], somePatch + "%00", "..%2f"} {
		h := open(t)
		got := h.raw(t, rawRequest("GET", "/api/v1/internal/patches/"+id, ""))
		require.Equal(t, http.StatusBadRequest, got.status, got.body)
		require.Equal(t, "patch_id", got.problem(t).Errors[0].Field)
		h.patcher.untouched(t)
	}
	for name, test := range map[string]struct {
		err    error
		status int
		code   patch.Code
	}{
		"not found":   {patch.ErrNotFound, 404, "patch_not_found"},
		"unavailable": {&patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "canary"}, 503, "service_unavailable"},
		"other":       {errors.New("canary"), 503, "service_unavailable"},
		"internal":    {&patch.Refusal{Code: patch.CodeInternalError, Message: "canary"}, 500, "internal_error"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.patcher.look = viewing(patch.View{}, test.err)
			got := h.do(t, http.MethodGet, "/api/v1/internal/patches/"+somePatch, "")
			require.Equal(t, test.status, got.status)
			require.Equal(t, test.code, got.problem(t).Code)
			require.NotContains(t, got.body, "canary")
		})
	}
}

// The record as it is stored, or 404, or 503 without the store's own words.
func TestShowRuntime(t *testing.T) {
	h := open(t)
	const path = "/api/v1/internal/runtimes/demo-1"
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil)
	got := h.do(t, http.MethodGet, path, "")
	require.Equal(t, http.StatusOK, got.status)
	var row runtime.RuntimeRecord
	got.decode(t, &row)
	require.Equal(t, record("demo-1"), row)

	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil)
	got = h.do(t, http.MethodHead, path, "")
	require.Equal(t, http.StatusOK, got.status)
	require.Empty(t, got.body)

	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(runtime.RuntimeRecord{}, runtime.ErrNotFound)
	got = h.do(t, http.MethodGet, path, "")
	require.Equal(t, http.StatusNotFound, got.status)
	require.Equal(t, patch.CodeRuntimeNotFound, got.problem(t).Code)

	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(runtime.RuntimeRecord{}, errors.New("canary"))
	got = h.do(t, http.MethodGet, path, "")
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.Equal(t, patch.CodeServiceUnavailable, got.problem(t).Code)
	require.NotContains(t, got.body, "canary")
	require.NotEmpty(t, got.header.Get("Retry-After"))
	require.Contains(t, h.log.String(), "canary")
}

// All records or those of one status; an empty list is a list.
func TestListRuntimes(t *testing.T) {
	h := open(t)
	const path = "/api/v1/internal/runtimes"
	h.runtimes.EXPECT().List(gomock.Any()).Return([]runtime.RuntimeRecord{record("b"), record("a")}, nil)
	got := h.do(t, http.MethodGet, path, "")
	require.Equal(t, http.StatusOK, got.status)
	require.Less(t, strings.Index(got.body, `"b"`), strings.Index(got.body, `"a"`))

	for _, status := range runtime.Statuses() {
		h.runtimes.EXPECT().ListByStatus(gomock.Any(), status).Return(nil, nil)
		got = h.do(t, http.MethodGet, path+"?status="+string(status), "")
		require.Equal(t, http.StatusOK, got.status)
		require.JSONEq(t, `{"runtimes":[]}`, got.body)
	}

	h.runtimes.EXPECT().List(gomock.Any()).Return(nil, errors.New("canary"))
	got = h.do(t, http.MethodGet, path, "")
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.NotContains(t, got.body, "canary")
}

// The audit rows of a game, as many as asked for; an empty list is a list.
func TestListOperations(t *testing.T) {
	h := open(t)
	const path = "/api/v1/internal/runtimes/demo-1/operations"
	for query, limit := range map[string]int{"": 100, "?limit=1": 1, "?limit=1000": 1000} {
		h.operations.EXPECT().ListByGame(gomock.Any(), "demo-1", limit).Return(nil, nil)
		got := h.do(t, http.MethodGet, path+query, "")
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.JSONEq(t, `{"operations":[]}`, got.body)
	}
	h.operations.EXPECT().ListByGame(gomock.Any(), "demo-1", 100).Return([]operation.OperationEntry{{ID: 2}, {ID: 1}}, nil)
	got := h.do(t, http.MethodGet, path, "")
	require.Less(t, strings.Index(got.body, `"id":2`), strings.Index(got.body, `"id":1`))

	h.operations.EXPECT().ListByGame(gomock.Any(), "demo-1", 100).Return(nil, errors.New("canary"))
	require.Equal(t, http.StatusServiceUnavailable, h.do(t, http.MethodGet, path, "").status)
}

// A query that is not understood is refused by name, and no store is asked.
func TestQueriesAreStrict(t *testing.T) {
	for target, field := range map[string]string{
		"/runtimes?status=":                                      "status",
		"/runtimes?status=Running":                               "status",
		"/runtimes?status=running%00":                            "status",
		"/runtimes?status=running&status=running":                "status",
		"/runtimes?Status=running":                               "Status",
		"/runtimes?limit=1":                                      "limit",
		"/runtimes?a;b":                                          "query",
		"/runtimes?status=%zz":                                   "query",
		"/runtimes/demo-1?status=running":                        "status",
		"/runtimes/demo-1/operations?limit=0":                    "limit",
		"/runtimes/demo-1/operations?limit=":                     "limit",
		"/runtimes/demo-1/operations?limit=1001":                 "limit",
		"/runtimes/demo-1/operations?limit=-1":                   "limit",
		"/runtimes/demo-1/operations?limit=%2B1":                 "limit",
		"/runtimes/demo-1/operations?limit=1e2":                  "limit",
		"/runtimes/demo-1/operations?limit=99999999999999999999": "limit",
		"/runtimes/demo-1/operations?limit=1&limit=2":            "limit",
		"/patches/" + somePatch + "?x=1":                         "x",
	} {
		t.Run(target, func(t *testing.T) {
			h := open(t)
			got := h.raw(t, rawRequest("GET", "/api/v1/internal"+target, ""))
			require.Equal(t, http.StatusBadRequest, got.status, got.body)
			problem := got.problem(t)
			require.Equal(t, patch.CodeInvalidRequest, problem.Code)
			require.Equal(t, field, problem.Errors[0].Field)
			h.patcher.untouched(t)
		})
	}
}
