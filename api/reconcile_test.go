package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

const (
	reconcilePath = "/api/v1/internal/runtimes/demo-1/reconcile"
	enforce       = `{"mode":"enforce"}`
)

// reconciled is the end of a reconciliation that did its work.
func reconciled(_ context.Context, handle patch.Handle) (patch.Result, error) {
	result := success(handle)
	result.Kind, result.Runtime = operation.OpKindReconcile, nil
	return result, nil
}

// A reconciliation that succeeds is told as documented, key by key, and what the
// caller wrote is what reaches the patcher, beside the name under which it was
// let in.
func TestReconcileAnswersTheResult(t *testing.T) {
	h := open(t)
	h.patcher.await = reconciled
	got := h.do(t, http.MethodPost, reconcilePath, `{"mode":"adopt","reason":"by hand","source_ref":"T-8","op_source":"admin_cli"}`)
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.Len(t, h.patcher.reconciles, 1)
	request := h.patcher.reconciles[0]
	require.NoError(t, request.Validate())
	require.Equal(t, patch.ReconcileRequest{
		PatchID: request.PatchID, GameID: "demo-1", Mode: patch.ModeAdopt, OpSource: operation.OpSourceAdminCLI,
		Actor: "admin", SourceRef: "T-8", Reason: "by hand",
	}, request)
	require.JSONEq(t, `{"patch_id":"`+request.PatchID+`","workflow_id":"patch-runtime/demo-1","run_id":"run-1","game_id":"demo-1",`+
		`"state":"closed","kind":"reconcile","outcome":"success","noop":false,`+imagesJSON+`,`+
		`"started_at":"2026-03-01T12:00:00Z","finished_at":"2026-03-01T12:00:01Z"}`, got.body)
}

// What is left out has a patch's defaults, two requests are two, and a key that
// is sent along is not looked at: no store of keys is asked.
func TestReconcileDefaults(t *testing.T) {
	h := build(t)
	h.patcher.await = reconciled
	for range 2 {
		require.Equal(t, http.StatusOK, h.call(t, http.MethodPost, reconcilePath, enforce, "Idempotency-Key", "k").status)
	}
	first, second := h.patcher.reconciles[0], h.patcher.reconciles[1]
	require.Equal(t, operation.OpSourceAdminRest, first.OpSource)
	require.Equal(t, "admin", first.SourceRef)
	require.NotEqual(t, first.PatchID, second.PatchID)
}

// The wait is as the caller prefers; what is still open then is told as a
// reconciliation, with its mode and where to look for it.
func TestReconcileIsAwaited(t *testing.T) {
	for prefer, test := range map[string]struct {
		wait    time.Duration
		applied string
	}{
		"": {10 * time.Second, ""}, "wait=3": {3 * time.Second, "wait=3"}, "respond-async": {0, "respond-async"},
	} {
		t.Run(prefer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := build(t)
				h.patcher.await = untilDone
				began := time.Now()
				got := h.call(t, http.MethodPost, reconcilePath, enforce, "Prefer", prefer)
				require.Equal(t, test.wait, time.Since(began))
				require.Equal(t, http.StatusAccepted, got.status, got.body)
				require.Equal(t, test.applied, got.header.Get("Preference-Applied"))
				patchID := h.patcher.reconciles[0].PatchID
				require.Equal(t, patches+"/"+patchID, got.header.Get("Location"))
				require.JSONEq(t, `{"patch_id":"`+patchID+`","workflow_id":"patch-runtime/demo-1","run_id":"run-1","game_id":"demo-1",`+
					`"state":"open","kind":"reconcile","mode":"enforce"}`, got.body)
			})
		})
	}
}

// Who joins an open one gets its id.
func TestReconcileJoins(t *testing.T) {
	other := patch.NewID("demo-1")
	h := build(t)
	h.patcher.await = reconciled
	h.patcher.reconcile = func(context.Context, patch.ReconcileRequest) (patch.Handle, error) { return handleFor(other), nil }
	got := h.call(t, http.MethodPost, reconcilePath, enforce)
	require.Equal(t, http.StatusOK, got.status)
	var joined contract.Patch
	got.decode(t, &joined)
	require.Equal(t, other, joined.PatchID)
}

// Every way in which it can be refused or fail is the problem of its code, with
// the run where there is one; a start without an answer names what it may have
// started.
func TestReconcileInVain(t *testing.T) {
	other := patch.NewID("demo-1")
	for name, test := range map[string]struct {
		err    error
		status int
		code   string
		named  string
	}{
		"in the way":  {&patch.Refusal{Code: patch.CodePatchInProgress, Message: "wait", PatchID: other}, 409, "patch_in_progress", other},
		"not started": {&patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "canary"}, 503, "service_unavailable", ""},
		"perhaps":     {&patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "canary", PatchID: "own"}, 503, "service_unavailable", "own"},
		"out of time": {context.DeadlineExceeded, 503, "service_unavailable", "own"},
		"other":       {errors.New("canary"), 500, "internal_error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			h.patcher.reconcile = func(context.Context, patch.ReconcileRequest) (patch.Handle, error) { return patch.Handle{}, test.err }
			got := h.call(t, http.MethodPost, reconcilePath, enforce)
			problem := got.refused(t, test.status, test.code)
			if test.named == "own" {
				test.named = h.patcher.reconciles[0].PatchID
			}
			require.Equal(t, test.named, problem.PatchID)
			require.NotContains(t, got.body, "canary")
			if test.code == "patch_in_progress" {
				require.Equal(t, "patch-runtime/demo-1", problem.WorkflowID)
			}
		})
	}
	for code, status := range codeTable {
		if status == http.StatusPreconditionFailed || status == http.StatusUnprocessableEntity {
			continue // of versions that a request names
		}
		h := build(t)
		h.patcher.await = func(_ context.Context, handle patch.Handle) (patch.Result, error) {
			return patch.Result{
				RunID: handle.RunID, Kind: operation.OpKindReconcile, Outcome: operation.OutcomeFailure, Code: code, Message: "why",
				Undo: &patch.Undo{Line: patch.LineRecreated, RowStatus: runtime.StatusRunning, Row: from},
			}, nil
		}
		problem := h.call(t, http.MethodPost, reconcilePath, enforce).refused(t, status, string(code))
		require.Equal(t, h.patcher.reconciles[0].PatchID, problem.PatchID)
		require.Equal(t, "run-1", problem.RunID)
		require.Equal(t, "recreated", problem.Undo.Line)
	}
}

// Errors of the wait do not undo the start, and a run that Temporal has forgotten
// is told by what is left of it.
func TestReconcileIsLostFromSight(t *testing.T) {
	h := build(t)
	h.patcher.await = func(context.Context, patch.Handle) (patch.Result, error) { return patch.Result{}, errors.New("canary") }
	got := h.call(t, http.MethodPost, reconcilePath, enforce)
	require.Equal(t, http.StatusAccepted, got.status)
	require.NotContains(t, got.body, "canary")
	require.Contains(t, h.log.String(), "canary")

	h.patcher.await = func(context.Context, patch.Handle) (patch.Result, error) { return patch.Result{}, patch.ErrNotFound }
	h.patcher.look = func(_ context.Context, patchID string) (patch.View, error) {
		result, err := reconciled(t.Context(), handleFor(patchID))
		return patch.View{Handle: handleFor(patchID), Result: &result}, err
	}
	got = h.call(t, http.MethodPost, reconcilePath, enforce)
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.Contains(t, got.body, `"kind":"reconcile"`)
}

// A request for a reconciliation that is none is refused by name.
func TestMalformedReconcilesAreRefused(t *testing.T) {
	for body, field := range map[string]string{
		`{}`: "mode", `{"mode":""}`: "mode", `{"mode":"Enforce"}`: "mode", `{"mode":null}`: "mode", `{"mode":["enforce"]}`: "mode",
		`{"mode":"enforce","version":"1.4.3"}`: "version", `{"mode":"enforce","dry_run":true}`: "dry_run",
		`{"mode":"enforce","actor":"boss"}`: "actor", `{"mode":"enforce","reason":"\u0000"}`: "reason",
		`{"mode":"enforce","source_ref":"a\nb"}`: "source_ref",
	} {
		h := build(t)
		h.call(t, http.MethodPost, reconcilePath, body).blames(t, field)
		h.patcher.untouched(t)
	}
}
