package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// A patch that succeeds is told as documented, key by key, and what the caller
// wrote is what reaches the patcher, beside the name under which it was let in.
func TestPatchAnswersTheResult(t *testing.T) {
	h := open(t)
	got := h.do(t, http.MethodPost, patchPath,
		`{"version":"1.4.3","source_ref":"T-1","op_source":"admin_cli","reason":"two\nlines","force":true,"expected_version":"1.4.2"}`)
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))

	require.Len(t, h.patcher.starts, 1)
	request := h.patcher.starts[0]
	gameID, ok := patch.GameOf(request.PatchID)
	require.True(t, ok)
	require.Equal(t, "demo-1", gameID)
	require.Equal(t, patch.Request{
		PatchID: request.PatchID, GameID: "demo-1", Version: "1.4.3", OpSource: operation.OpSourceAdminCLI,
		Actor: "admin", SourceRef: "T-1", Reason: "two\nlines", Force: true, ExpectedVersion: "1.4.2",
	}, request)
	require.JSONEq(t, `{"patch_id":"`+request.PatchID+`","workflow_id":"patch-runtime/demo-1","run_id":"run-1","game_id":"demo-1",`+
		`"state":"closed","outcome":"success","noop":false,`+imagesJSON+`,"runtime":`+recordJSON+`,`+
		`"started_at":"2026-03-01T12:00:00Z","finished_at":"2026-03-01T12:00:01Z"}`, got.body)
}

// Without a reference of its own a request has the caller's name for one, whole
// characters of it. Equal requests are not the same patch.
func TestPatchIsTheCallers(t *testing.T) {
	h := open(t)
	for range 2 {
		require.Equal(t, http.StatusOK, h.do(t, http.MethodPost, patchPath, goodBody).status)
	}
	require.Equal(t, "admin", h.patcher.starts[0].SourceRef)
	require.NotEqual(t, h.patcher.starts[0].PatchID, h.patcher.starts[1].PatchID)
}

// What is only not possible is passed on, because it has to leave an audit
// row; a missing or unknown source becomes admin_rest.
func TestPatchPassesOnWhatIsOnlyImpossible(t *testing.T) {
	for name, test := range map[string]struct {
		body    string
		version string
		source  operation.OpSource
	}{
		"no source":          {goodBody, "1.4.3", operation.OpSourceAdminRest},
		"unknown source":     {`{"version":"1.4.3","op_source":"moon"}`, "1.4.3", operation.OpSourceAdminRest},
		"known source":       {`{"version":"1.4.3","op_source":"system"}`, "1.4.3", operation.OpSourceSystem},
		"no semver":          {`{"version":"latest"}`, "latest", operation.OpSourceAdminRest},
		"empty version":      {`{"version":""}`, "", operation.OpSourceAdminRest},
		"spaces around JSON": {" \n{ \"version\" : \"1.4.3\" }\r\n ", "1.4.3", operation.OpSourceAdminRest},
		"escaped JSON":       {`{"\u0076ersion":"1.4.\u0033"}`, "1.4.3", operation.OpSourceAdminRest},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			got := h.do(t, http.MethodPost, patchPath, test.body)
			require.Equal(t, http.StatusOK, got.status, got.body)
			require.Equal(t, test.version, h.patcher.starts[0].Version)
			require.Equal(t, test.source, h.patcher.starts[0].OpSource)
		})
	}
}

// codeTable is the documented table of codes and statuses.
var codeTable = map[patch.Code]int{
	patch.CodeInvalidRequest:        400,
	patch.CodeRuntimeNotFound:       404,
	patch.CodeEngineVersionNotFound: 404,
	patch.CodeRuntimeNotRunning:     409,
	patch.CodeSemverPatchOnly:       422,
	patch.CodePreconditionFailed:    412,
	patch.CodeConflict:              409,
	patch.CodePatchInProgress:       409,
	patch.CodeCancelled:             409,
	patch.CodeTerminated:            409,
	patch.CodeServiceUnavailable:    503,
	patch.CodeInternalError:         500,
}

// Every code has its status, whether a run ended with it or the start was
// refused with it; a run is named; 503 says when to come again; the detail of
// an internal error, and why nothing could be started, is in the log only.
func TestEveryCodeHasItsProblem(t *testing.T) {
	for _, code := range patch.Codes() {
		t.Run(string(code), func(t *testing.T) {
			status, documented := codeTable[code]
			require.True(t, documented)
			for _, early := range []bool{false, true} {
				h := open(t)
				undo := &patch.Undo{Line: patch.LineRecreated, RowStatus: runtime.StatusRunning, Row: from}
				if early {
					h.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) {
						return patch.Handle{}, &patch.Refusal{Code: code, Message: "because of canary"}
					}
				} else {
					h.patcher.await = func(_ context.Context, handle patch.Handle) (patch.Result, error) {
						return patch.Result{
							PatchID: handle.PatchID, RunID: handle.RunID, Undo: undo,
							Outcome: operation.OutcomeFailure, Code: code, Message: "because of canary",
						}, nil
					}
				}
				got := h.do(t, http.MethodPost, patchPath, goodBody)
				problem := got.refused(t, status, string(code))
				require.Empty(t, problem.Errors)
				require.Equal(t, status == http.StatusServiceUnavailable, got.header.Get("Retry-After") != "")
				if code == patch.CodeInternalError || early && code == patch.CodeServiceUnavailable {
					require.NotContains(t, got.body, "canary")
					require.Contains(t, h.log.String(), "canary")
					require.Contains(t, h.log.String(), problem.RequestID)
				} else {
					require.Equal(t, "because of canary", problem.Detail)
				}
				if early {
					require.Empty(t, problem.RunID)
					require.Equal(t, patchPath, problem.Instance)
					continue
				}
				require.Equal(t, h.patcher.starts[0].PatchID, problem.PatchID)
				require.Equal(t, "patch-runtime/demo-1", problem.WorkflowID)
				require.Equal(t, "run-1", problem.RunID)
				require.Equal(t, "/api/v1/internal/patches/"+problem.PatchID, problem.Instance)
				require.Equal(t, contract.Undo{
					Line: "recreated", RowStatus: "running", Row: contract.Image{Version: "1.4.2", ImageRef: "engine:1.4.2"},
				}, problem.Undo)
			}
		})
	}
}

// A code that nobody knows is an internal error, never a status by chance.
func TestUnknownCodeIsInternal(t *testing.T) {
	h := open(t)
	h.patcher.await = func(context.Context, patch.Handle) (patch.Result, error) {
		return patch.Result{Outcome: operation.OutcomeFailure, Code: "moonshine", Message: "canary"}, nil
	}
	got := h.do(t, http.MethodPost, patchPath, goodBody)
	got.refused(t, http.StatusInternalServerError, "internal_error")
	require.NotContains(t, got.body, "canary")
	require.Contains(t, h.log.String(), "moonshine")
}

// A run that ends as invalid_request names the field, without saying it twice.
func TestPatchNamesTheFieldOfARun(t *testing.T) {
	h := open(t)
	h.patcher.await = func(context.Context, patch.Handle) (patch.Result, error) {
		return patch.Result{
			Outcome: operation.OutcomeFailure, Code: patch.CodeInvalidRequest,
			Message: "version: not a semantic version", Field: "version",
		}, nil
	}
	problem := h.do(t, http.MethodPost, patchPath, `{"version":"x"}`).problem(t)
	require.Equal(t, []contract.FieldError{{Field: "version", Detail: "not a semantic version"}}, problem.Errors)
}

// Who meets an open patch to another version learns its id; who joins one of
// the same version gets that one's ids in a good and in a late answer.
func TestPatchTellsTheOpenPatch(t *testing.T) {
	other := patch.NewID("demo-1")
	t.Run("in progress", func(t *testing.T) {
		h := open(t)
		h.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) {
			return patch.Handle{}, &patch.Refusal{Code: patch.CodePatchInProgress, Message: "to 1.4.4", PatchID: other}
		}
		problem := h.do(t, http.MethodPost, patchPath, goodBody).problem(t)
		require.Equal(t, other, problem.PatchID)
		require.Equal(t, "patch-runtime/demo-1", problem.WorkflowID)
		require.Equal(t, "/api/v1/internal/patches/"+other, problem.Instance)
	})
	for prefer, status := range map[string]int{"wait=5": 200, "respond-async": 202} {
		t.Run("joined "+prefer, func(t *testing.T) {
			h := open(t)
			h.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) {
				handle := handleFor(other)
				handle.Joined = true
				return handle, nil
			}
			got := h.do(t, http.MethodPost, patchPath, goodBody, "Prefer", prefer)
			require.Equal(t, status, got.status)
			var ids contract.Patch
			got.decode(t, &ids)
			require.Equal(t, other, ids.PatchID)
		})
	}
}

// Errors of the start that are no refusals: one without an answer is a 503
// that names the patch it may have started, any other stays inside.
func TestStartErrors(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		named  bool
	}{
		"deadline": {context.DeadlineExceeded, 503, true},
		"other":    {errors.New("canary at 10.0.0.7"), 500, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) { return patch.Handle{}, test.err }
			got := h.do(t, http.MethodPost, patchPath, goodBody)
			require.Equal(t, test.status, got.status)
			require.Equal(t, test.named, got.problem(t).PatchID == h.patcher.starts[0].PatchID)
			require.NotContains(t, got.body, "canary")
			require.Contains(t, h.log.String(), test.err.Error())
		})
	}
}

// Errors of the wait do not undo the start: the answer is the 202 that it is,
// except when the patcher itself says how the run ended.
func TestAwaitErrors(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		logged bool
	}{
		"still open":  {patch.ErrStillOpen, 202, false},
		"unavailable": {&patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "canary"}, 202, true},
		"other":       {errors.New("canary"), 202, true},
		"refusal":     {&patch.Refusal{Code: patch.CodeCancelled, Message: "terminated"}, 409, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.patcher.await = func(context.Context, patch.Handle) (patch.Result, error) { return patch.Result{}, test.err }
			got := h.do(t, http.MethodPost, patchPath, goodBody)
			require.Equal(t, test.status, got.status)
			require.NotContains(t, got.body, "canary")
			require.Contains(t, got.body, h.patcher.starts[0].PatchID)
			require.Contains(t, got.body, "run-1")
			if test.logged {
				require.Contains(t, h.log.String(), test.err.Error())
			}
		})
	}
}
