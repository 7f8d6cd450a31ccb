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

// imagesJSON are from and to as they are told.
const imagesJSON = `"from":{"version":"1.4.2","image_ref":"engine:1.4.2"},"to":{"version":"1.4.3","image_ref":"engine:1.4.3"}`

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
				`"code":"service_unavailable",` + imagesJSON + `}`,
		},
		"open, nothing known": {
			patch.View{Handle: handle},
			`{` + ids + `"state":"open"}`,
		},
		"succeeded": {
			patch.View{Handle: handle, Result: &done, Actor: "ann"},
			`{` + ids + `"state":"closed","actor":"ann","outcome":"success","noop":false,` + imagesJSON + `,"runtime":` + recordJSON +
				`,"started_at":"2026-03-01T12:00:00Z","finished_at":"2026-03-01T12:00:01Z"}`,
		},
		"failed": {
			patch.View{Handle: handle, Result: &failed, State: &patch.State{Phase: patch.PhaseDone}},
			`{` + ids + `"state":"closed","outcome":"failure","code":"invalid_request","message":"version: no","field":"version",` +
				`"noop":false,"undo":{"line":"in_line"},` +
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
	rows := []operation.OperationEntry{
		{Outcome: operation.OutcomeFailure, ErrorCode: "internal_error", ErrorMessage: "canary"},
		{Outcome: operation.OutcomeFailure, ErrorCode: "conflict", ErrorMessage: "told"},
	}
	for _, path := range []string{"runtimes/demo-1/operations", "operations", "patches?state=closed"} {
		h.audit.EXPECT().PageOperations(gomock.Any(), gomock.Any()).Return(rows, nil)
		got := h.do(t, http.MethodGet, "/api/v1/internal/"+path, "")
		require.NotContains(t, got.body, "canary")
		require.Contains(t, got.body, "told")
	}
}

// Looking in vain: an id that cannot be, one that is not, and a look that
// fails, which tells nothing of its inside.
func TestShowPatchInVain(t *testing.T) {
	for _, id := range []string{"x", "demo-1", "demo-1.short", somePatch + "x", "Demo." + somePatch[7:], somePatch + "%00", "..%2f"} {
		h := open(t)
		got := h.raw(t, rawRequest("GET", "/api/v1/internal/patches/"+id, ""))
		got.blames(t, "patch_id")
		h.patcher.untouched(t)
	}
	for name, test := range map[string]struct {
		err    error
		status int
		code   string
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
			got.refused(t, test.status, test.code)
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
	require.JSONEq(t, recordJSON, got.body)

	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil)
	got = h.do(t, http.MethodHead, path, "")
	require.Equal(t, http.StatusOK, got.status)
	require.Empty(t, got.body)

	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(runtime.RuntimeRecord{}, runtime.ErrNotFound)
	got = h.do(t, http.MethodGet, path, "")
	got.refused(t, http.StatusNotFound, "runtime_not_found")

	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(runtime.RuntimeRecord{}, errors.New("canary"))
	got = h.do(t, http.MethodGet, path, "")
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	require.NotContains(t, got.body, "canary")
	require.NotEmpty(t, got.header.Get("Retry-After"))
	require.Contains(t, h.log.String(), "canary")
}

// A query that is not understood is refused by name, and no store is asked.
func TestQueriesAreStrict(t *testing.T) {
	for target, field := range map[string]string{
		"/runtimes?status=":                                      "status",
		"/runtimes?status=Running":                               "status",
		"/runtimes?status=running%00":                            "status",
		"/runtimes?status=running&status=running":                "status",
		"/runtimes?Status=running":                               "Status",
		"/runtimes?limit=0":                                      "limit",
		"/runtimes?limit=1001":                                   "limit",
		"/runtimes?at=2026-03-01T12:00:00Z":                      "at",
		"/runtimes/due?status=running":                           "status",
		"/runtimes/due?at=":                                      "at",
		"/runtimes/due?at=now":                                   "at",
		"/runtimes/due?at=2026-03-01":                            "at",
		"/runtimes/due?at=2026-02-30T12:00:00Z":                  "at",
		"/runtimes/due?at=2026-03-01T12:00:00,5Z":                "at",
		"/runtimes/due?at=2026-03-01T1:00:00Z":                   "at",
		"/runtimes/due?at=2026-03-01T12:00:60Z":                  "at",
		"/runtimes/due?at=2026-03-01T12:00:00%2B99:00":           "at",
		"/runtimes/due?at=9999-12-31T23:59:59-12:00":             "at",
		"/runtimes/due?at=0000-01-01T00:00:00Z":                  "at",
		"/runtimes/due?at=0001-01-01T00:00:00Z":                  "at",
		"/operations?outcome=":                                   "outcome",
		"/operations?outcome=ok":                                 "outcome",
		"/operations?error_code=":                                "error_code",
		"/operations?error_code=Conflict":                        "error_code",
		"/operations?error_code=" + strings.Repeat("a", 65):      "error_code",
		"/operations?since=yesterday":                            "since",
		"/operations?until=2026-13-01T12:00:00Z":                 "until",
		"/operations?cursor=":                                    "cursor",
		"/operations?cursor=" + strings.Repeat("a", 2049):        "cursor",
		"/patches?state=":                                        "state",
		"/patches?state=closing":                                 "state",
		"/patches?game_id=":                                      "game_id",
		"/patches?game_id=Demo-1":                                "game_id",
		"/patches?status=running":                                "status",
		"/engine-versions?status=retired":                        "status",
		"/engine-versions?limit=1":                               "limit",
		"/engine-versions/1.4.2?status=active":                   "status",
		"/drift?game_id=Demo-1":                                  "game_id",
		"/drift?kind=in_sync":                                    "kind",
		"/drift?kind=":                                           "kind",
		"/drift?resolved=":                                       "resolved",
		"/drift?resolved=1":                                      "resolved",
		"/drift?resolved=T":                                      "resolved",
		"/drift?resolved=True":                                   "resolved",
		"/drift?resolved=yes":                                    "resolved",
		"/drift?resolved=true&resolved=true":                     "resolved",
		"/drift?limit=1001":                                      "limit",
		"/drift?cursor=":                                         "cursor",
		"/drift?state=open":                                      "state",
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
			got.blames(t, field)
			h.patcher.untouched(t)
		})
	}
}
