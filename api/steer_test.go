package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

const (
	cancelPath  = "/api/v1/internal/patches/demo-1.abcdefghijklmnopqrstuvwxyz/cancel"
	retryPath   = "/api/v1/internal/patches/demo-1.abcdefghijklmnopqrstuvwxyz/retry"
	abandonPath = "/api/v1/internal/patches/demo-1.abcdefghijklmnopqrstuvwxyz/abandon"
)

// everyWay are the ways to steer a patch, decisions those of one that waits for an
// operator.
var (
	everyWay  = []string{cancelPath, retryPath, abandonPath}
	decisions = []string{retryPath, abandonPath}
)

// A cancellation is passed on with who asked and why, with a body and without
// one, and answered with the place to look.
func TestCancelPatch(t *testing.T) {
	for body, reason := range map[string]string{
		"": "", "{}": "", `{"reason":""}`: "", `{"reason":"wrong\nversion"}`: "wrong\nversion",
	} {
		h := open(t)
		got := h.do(t, http.MethodPost, cancelPath, body)
		require.Equal(t, http.StatusAccepted, got.status, got.body)
		require.Equal(t, "/api/v1/internal/patches/"+somePatch, got.header.Get("Location"))
		require.Equal(t, "1", got.header.Get("Retry-After"))
		require.Contains(t, got.body, `"state":"open"`)
		require.Equal(t, []patch.Command{{Actor: "admin", Reason: reason}}, h.patcher.cancels)
	}
}

// A body without a length is a body unless there is nothing in it, and one that
// is announced as empty is none, whatever its type.
func TestCancelPatchBodies(t *testing.T) {
	h := open(t)
	head := "POST " + cancelPath + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + secret + "\r\nConnection: close\r\n"
	require.Equal(t, 202, h.raw(t, head+"\r\n").status)
	require.Equal(t, 202, h.raw(t, head+"Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n").status)
	chunk := "Transfer-Encoding: chunked\r\n\r\nE\r\n{\"reason\":\"x\"}\r\n0\r\n\r\n"
	require.Equal(t, 202, h.raw(t, head+"Content-Type: application/json\r\n"+chunk).status)
	require.Equal(t, []patch.Command{{Actor: "admin"}, {Actor: "admin"}, {Actor: "admin", Reason: "x"}}, h.patcher.cancels)
	require.Equal(t, 202, h.raw(t, head+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").status)
	require.Equal(t, 415, h.raw(t, head+chunk).status)
	require.Equal(t, 413, h.raw(t, head+"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"+
		strings.Repeat("800\r\n"+strings.Repeat(" ", 0x800)+"\r\n", 3)).status)
	require.Len(t, h.patcher.cancels, 4)
}

// Steering in vain: a patch that is not, one that has ended, one that waits for
// an operator or for none, and a patcher that is not reached; the patch is named
// in each.
func TestSteerPatchInVain(t *testing.T) {
	for name, test := range map[string]struct {
		paths  []string
		err    error
		status int
		code   string
	}{
		"not found":    {everyWay, patch.ErrNotFound, 404, "patch_not_found"},
		"closed":       {everyWay, patch.ErrClosed, 409, "patch_closed"},
		"in doubt":     {[]string{cancelPath}, patch.ErrInDoubt, 409, "in_doubt"},
		"not in doubt": {decisions, patch.ErrNotInDoubt, 409, "not_in_doubt"},
		"paused":       {decisions, patch.ErrPaused, 503, "service_unavailable"},
		"unavailable":  {everyWay, &patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "canary"}, 503, "service_unavailable"},
		"other":        {everyWay, errors.New("canary"), 503, "service_unavailable"},
		"out of time":  {everyWay, context.DeadlineExceeded, 503, "service_unavailable"},
		"internal":     {everyWay, &patch.Refusal{Code: patch.CodeInternalError, Message: "canary"}, 500, "internal_error"},
	} {
		for _, path := range test.paths {
			t.Run(name+" "+path, func(t *testing.T) {
				h := build(t)
				h.patcher.steer = func(context.Context, string, patch.Command) (patch.Handle, error) { return patch.Handle{}, test.err }
				got := h.call(t, http.MethodPost, path, `{"reason":"why"}`)
				require.Equal(t, somePatch, got.refused(t, test.status, test.code).PatchID)
				require.NotContains(t, got.body, "canary")
			})
		}
	}
}

// A decision is passed on with who was let in and why, to the one patch that the
// path names, and answered with the place to look.
func TestDecide(t *testing.T) {
	for _, path := range decisions {
		h := open(t)
		h.patcher.steer = func(_ context.Context, patchID string, _ patch.Command) (patch.Handle, error) {
			require.Equal(t, somePatch, patchID)
			return handleFor(patchID), nil
		}
		got := h.do(t, http.MethodPost, path, `{"reason":"it is\nback"}`)
		require.Equal(t, http.StatusAccepted, got.status, got.body)
		require.Equal(t, "/api/v1/internal/patches/"+somePatch, got.header.Get("Location"))
		require.Equal(t, "1", got.header.Get("Retry-After"))
		require.JSONEq(t, `{"patch_id":"`+somePatch+`","workflow_id":"patch-runtime/demo-1","run_id":"run-1","game_id":"demo-1","state":"open"}`, got.body)
		retried, abandoned := h.patcher.retries, h.patcher.abandons
		if path == abandonPath {
			retried, abandoned = abandoned, retried
		}
		require.Equal(t, []patch.Command{{Actor: "admin", Reason: "it is\nback"}}, retried)
		require.Empty(t, abandoned)
		require.Empty(t, h.patcher.cancels)
	}
}

// A decision without a reason, with one that says nothing or cannot be stored, or
// with a name of its own for who decides, is refused by name; a reason of the
// longest kind passes.
func TestDecisionsNeedAReason(t *testing.T) {
	for body, field := range map[string]string{
		``: "", `{}`: "reason", `{"reason":""}`: "reason", `{"reason":null}`: "reason", `{"reason":" \t\r\n"}`: "reason",
		`{"reason":"a\u0000"}`: "reason", `{"reason":"\u0085"}`: "reason", `{"reason":"` + strings.Repeat("a", 1025) + `"}`: "reason",
		`{"reason":"` + strings.Repeat("é", 513) + `"}`: "reason", `{"reason":"why","actor":"boss"}`: "actor",
	} {
		for _, path := range decisions {
			h := build(t)
			got := h.call(t, http.MethodPost, path, body)
			if body == "" {
				got.refused(t, http.StatusUnsupportedMediaType, "unsupported_media_type")
			} else {
				got.blames(t, field)
			}
			h.patcher.untouched(t)
		}
	}
	for _, reason := range []string{strings.Repeat("é", 512), "a", "\n why \n", "\u00e9"} {
		h := build(t)
		require.Equal(t, http.StatusAccepted, h.call(t, http.MethodPost, retryPath, told(t, contract.OperatorCommand{Reason: reason})).status)
		require.Equal(t, reason, h.patcher.retries[0].Reason)
	}
}

// What the patcher itself finds wrong with a reason is the caller's to mend.
func TestDecisionIsRefusedByThePatcher(t *testing.T) {
	h := build(t)
	h.patcher.steer = func(_ context.Context, _ string, command patch.Command) (patch.Handle, error) {
		return patch.Handle{}, command.Validate()
	}
	h.call(t, http.MethodPost, retryPath, `{"reason":"\u3000"}`).blames(t, "reason")
}

// dryRun asks what the patch would do, of this record and this version; nil ones
// are not there.
func dryRun(t *testing.T, record *runtime.RuntimeRecord, version *engineversion.EngineVersion, body string) (*house, reply) {
	t.Helper()
	h := build(t)
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").DoAndReturn(func(context.Context, string) (runtime.RuntimeRecord, error) {
		if record == nil {
			return runtime.RuntimeRecord{}, runtime.ErrNotFound
		}
		return *record, nil
	}).MinTimes(1)
	h.versions.EXPECT().Get(gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, asked string) (engineversion.EngineVersion, error) {
		if version == nil {
			return engineversion.EngineVersion{}, engineversion.ErrNotFound
		}
		require.Equal(t, version.Version, asked)
		return *version, nil
	})
	path := patchPath
	if strings.Contains(body, `"to"`) {
		path = demo + "/rollback"
	}
	return h, h.call(t, http.MethodPost, path, body, "Idempotency-Key", "k", "Prefer", "respond-async")
}

// A dry run is answered with the plan, whether the patch could be or not; it
// touches no patcher, no key, and waits for nothing.
func TestDryRun(t *testing.T) {
	on, stopped := record("demo-1"), record("demo-1")
	on.CurrentEngineVersion, on.CurrentImageRef = "1.4.2", "engine:1.4.2"
	stopped.Status = runtime.StatusStopped
	next := entryOf("1.4.3", engineversion.StatusActive)

	h, got := dryRun(t, &on, &next, `{"version":"1.4.3","dry_run":true,"expected_version":"1.4.2"}`)
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.JSONEq(t, `{"dry_run":true,"allowed":true,"game_id":"demo-1","kind":"upgrade",`+imagesJSON+`,"checks":[`+
		`{"name":"request","status":"passed"},{"name":"runtime_exists","status":"passed"},`+
		`{"name":"runtime_running","status":"passed"},{"name":"expected_version","status":"passed"},`+
		`{"name":"version_registered","status":"passed"},{"name":"version_active","status":"passed"},`+
		`{"name":"same_major_minor","status":"passed"}]}`, got.body)
	require.Empty(t, got.header.Get("Preference-Applied"))
	h.patcher.untouched(t)

	for name, test := range map[string]struct {
		record  *runtime.RuntimeRecord
		version *engineversion.EngineVersion
		body    string
		code    string
	}{
		"no runtime":  {nil, &next, `{"version":"1.4.3","dry_run":true}`, "runtime_not_found"},
		"stopped":     {&stopped, &next, `{"version":"1.4.3","dry_run":true}`, "runtime_not_running"},
		"moved on":    {&on, &next, `{"version":"1.4.3","dry_run":true,"expected_version":"1.4.0"}`, "precondition_failed"},
		"no version":  {&on, nil, `{"version":"1.4.9","dry_run":true}`, "engine_version_not_found"},
		"not semver":  {&on, nil, `{"version":"latest","dry_run":true}`, "invalid_request"},
		"a rollback":  {&stopped, nil, `{"to":"1.4.2","dry_run":true}`, "runtime_not_running"},
		"other minor": {&on, &engineversion.EngineVersion{Version: "1.5.0", Status: "active"}, `{"version":"1.5.0","dry_run":true,"force":true}`, "semver_patch_only"},
	} {
		h, got := dryRun(t, test.record, test.version, test.body)
		require.Equal(t, http.StatusOK, got.status, got.body)
		var plan contract.PatchPlan
		got.decode(t, &plan)
		require.False(t, plan.Allowed, name)
		require.Equal(t, test.code, plan.Code, name)
		h.patcher.untouched(t)
	}
}

// A dry run whose stores do not answer is a 503, and never a plan.
func TestDryRunInVain(t *testing.T) {
	h := build(t)
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(runtime.RuntimeRecord{}, errors.New("canary"))
	got := h.call(t, http.MethodPost, patchPath, `{"version":"1.4.3","dry_run":true}`)
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil)
	h.versions.EXPECT().Get(gomock.Any(), "1.4.3").Return(engineversion.EngineVersion{}, errors.New("canary"))
	got = h.call(t, http.MethodPost, patchPath, `{"version":"1.4.3","dry_run":true}`)
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	require.NotContains(t, got.body, "canary")
	h.patcher.untouched(t)
}

// moves are audit rows of successful patches, newest first, by where they went
// to and came from.
func moves(pairs ...string) []operation.OperationEntry {
	var all []operation.OperationEntry
	for i := 0; i < len(pairs); i += 2 {
		rows := entriesFrom(int64(1000-i), 1)
		rows[0].FromVersion, rows[0].ToVersion = pairs[i], pairs[i+1]
		all = append(all, rows[0])
	}
	return all
}

// A rollback goes to the version that is named, or to what ran before, and holds
// the patch to the version that was seen, unless the caller expects another.
func TestRollback(t *testing.T) {
	for name, test := range map[string]struct {
		body              string
		rows              []operation.OperationEntry
		version, expected string
	}{
		"named":             {`{"to":"1.4.1"}`, nil, "1.4.1", "1.4.3"},
		"previous":          {`{"to":"previous"}`, moves("1.4.2", "1.4.3"), "1.4.2", "1.4.3"},
		"previous is above": {`{"to":"previous"}`, moves("1.4.5", "1.4.3", "1.4.3", "1.4.5"), "1.4.5", "1.4.3"},
		"expects":           {`{"to":"previous","expected_version":"1.4.0"}`, moves("1.4.2", "1.4.3"), "1.4.2", "1.4.0"},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil)
			if test.rows != nil {
				h.audit.EXPECT().PageOperations(gomock.Any(), ports.OperationPageInput{
					GameID: "demo-1", Outcome: operation.OutcomeSuccess, Limit: 100,
				}).Return(test.rows, nil)
			}
			got := h.call(t, http.MethodPost, demo+"/rollback", strings.TrimSuffix(test.body, "}")+`,"reason":"slow","source_ref":"T-2","op_source":"system"}`)
			require.Equal(t, http.StatusOK, got.status, got.body)
			require.Equal(t, []patch.Request{{
				PatchID: h.patcher.starts[0].PatchID, GameID: "demo-1", Version: test.version, ExpectedVersion: test.expected,
				Actor: "admin", OpSource: operation.OpSourceSystem, Reason: "slow", SourceRef: "T-2",
			}}, h.patcher.starts)
		})
	}
}

// What ran before is looked for page by page, behind the last row of each.
func TestRollbackReadsOn(t *testing.T) {
	h := build(t)
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil)
	recreated := entriesFrom(500, 100)
	for i := range recreated {
		recreated[i].FromVersion, recreated[i].ToVersion = "1.4.3", "1.4.3"
	}
	first := ports.OperationPageInput{GameID: "demo-1", Outcome: operation.OutcomeSuccess, Limit: 100}
	second := first
	second.After = &ports.OperationPosition{StartedAt: recreated[99].StartedAt, ID: recreated[99].ID}
	gomock.InOrder(
		h.audit.EXPECT().PageOperations(gomock.Any(), first).Return(recreated, nil),
		h.audit.EXPECT().PageOperations(gomock.Any(), second).Return(moves("1.4.1", "1.4.3"), nil),
	)
	require.Equal(t, http.StatusOK, h.call(t, http.MethodPost, demo+"/rollback", `{"to":"previous"}`).status)
	require.Equal(t, "1.4.1", h.patcher.starts[0].Version)
}

// A rollback that leads nowhere starts nothing: no record, no earlier version, a
// version that is not below the current one or is none, and stores that do not
// answer.
func TestRollbackInVain(t *testing.T) {
	for name, test := range map[string]struct {
		body      string
		get, rows error
		status    int
		code      string
		field     string
	}{
		"no record":     {`{"to":"1.4.1"}`, runtime.ErrNotFound, nil, 404, "runtime_not_found", ""},
		"no previous":   {`{"to":"previous"}`, nil, nil, 409, "no_previous_version", ""},
		"the same":      {`{"to":"1.4.3"}`, nil, nil, 400, "invalid_request", "to"},
		"above":         {`{"to":"1.4.4"}`, nil, nil, 400, "invalid_request", "to"},
		"only shaped":   {`{"to":"1.4.3.1"}`, nil, nil, 400, "invalid_request", "to"},
		"store is away": {`{"to":"1.4.1"}`, errors.New("canary"), nil, 503, "service_unavailable", ""},
		"audit is away": {`{"to":"previous"}`, nil, errors.New("canary"), 503, "service_unavailable", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, dry := range []string{"", `,"dry_run":true`} {
				h := build(t)
				h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), test.get)
				if strings.Contains(test.body, "previous") {
					h.audit.EXPECT().PageOperations(gomock.Any(), gomock.Any()).Return(nil, test.rows)
				}
				got := h.call(t, http.MethodPost, demo+"/rollback", strings.TrimSuffix(test.body, "}")+dry+"}")
				problem := got.refused(t, test.status, test.code)
				require.NotContains(t, got.body, "canary")
				require.Empty(t, problem.PatchID)
				if test.field != "" {
					require.Equal(t, test.field, problem.Errors[0].Field)
				}
				h.patcher.untouched(t)
			}
		})
	}
}

// A patch that meets another version than was expected is a 412.
func TestExpectedVersion(t *testing.T) {
	h := build(t)
	h.patcher.await = func(_ context.Context, handle patch.Handle) (patch.Result, error) {
		return patch.Result{RunID: handle.RunID, Outcome: operation.OutcomeFailure, Code: patch.CodePreconditionFailed, Message: "it is on 1.4.3"}, nil
	}
	got := h.call(t, http.MethodPost, patchPath, `{"version":"1.4.3","expected_version":"1.4.2"}`)
	require.Equal(t, h.patcher.starts[0].PatchID, got.refused(t, http.StatusPreconditionFailed, "precondition_failed").PatchID)
	require.Equal(t, "1.4.2", h.patcher.starts[0].ExpectedVersion)
}
