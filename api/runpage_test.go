package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// runURLs returns every link to a run's page in an answer.
func runURLs(t *testing.T, body string) []string {
	t.Helper()
	var tree any
	require.NoError(t, json.Unmarshal([]byte(body), &tree))
	var found []string
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if link, ok := node["run_url"].(string); ok {
				found = append(found, link)
			}
			for _, value := range node {
				walk(value)
			}
		case []any:
			for _, value := range node {
				walk(value)
			}
		}
	}
	walk(tree)
	return found
}

// Every answer about a run links to its page, when the API was told where Temporal's
// UI is, and none does when it was not: a slash in a workflow ID, and whatever a
// namespace has in it, stay inside their parts of the path.
func TestAnswersLinkToTheRun(t *testing.T) {
	const run = "/namespaces/game%20master%2Fa/workflows/patch-runtime%2Fdemo-1/run-1/history"
	rows := []operation.OperationEntry{{GameID: "demo-1", PatchID: somePatch, RunID: "run-1", Outcome: operation.OutcomeSuccess}}
	for _, row := range []struct {
		name         string
		method, path string
		body, prefer string
		status       int
		arrange      func(*house)
	}{
		{name: "succeeded", method: "POST", path: "runtimes/demo-1/patch", body: `{"version":"1.4.3"}`, status: 200},
		{name: "under way", method: "POST", path: "runtimes/demo-1/patch", body: `{"version":"1.4.3"}`, prefer: "respond-async", status: 202},
		{name: "failed", method: "POST", path: "runtimes/demo-1/patch", body: `{"version":"1.4.3"}`, status: 409, arrange: func(h *house) {
			h.patcher.await = func(_ context.Context, handle patch.Handle) (patch.Result, error) {
				return patch.Result{RunID: handle.RunID, Outcome: operation.OutcomeFailure, Code: patch.CodeConflict}, nil
			}
		}},
		{name: "reconciled", method: "POST", path: "runtimes/demo-1/reconcile", body: `{"mode":"adopt"}`, status: 200},
		{name: "looked at", method: "GET", path: "patches/" + somePatch, status: 200, arrange: func(h *house) {
			h.patcher.look = viewing(patch.View{Handle: handleFor(somePatch), State: &patch.State{}}, nil)
		}},
		{name: "cancelled", method: "POST", path: "patches/" + somePatch + "/cancel", status: 202},
		{name: "open ones", method: "GET", path: "patches", status: 200, arrange: func(h *house) {
			h.patcher.list = func(context.Context, patch.OpenQuery) (patch.OpenPage, error) {
				return patch.OpenPage{Patches: []patch.Open{{Handle: handleFor(somePatch)}}}, nil
			}
		}},
		{name: "closed ones", method: "GET", path: "patches?state=closed", status: 200, arrange: func(h *house) {
			h.audit.EXPECT().PageOperations(gomock.Any(), gomock.Any()).Return(rows, nil)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for base, want := range map[string][]string{
				"": nil, "https://temporal.example/ui/": {"https://temporal.example/ui" + run}, "http://127.0.0.1:8233": {"http://127.0.0.1:8233" + run},
			} {
				h := open(t, func(o *api.Options) { o.RunPages = api.RunPages{UI: base, Namespace: "game master/a"} })
				if row.arrange != nil {
					row.arrange(h)
				}
				headers := []string{}
				if row.prefer != "" {
					headers = append(headers, "Prefer", row.prefer)
				}
				got := h.do(t, row.method, "/api/v1/internal/"+row.path, row.body, headers...)
				require.Equal(t, row.status, got.status, got.body)
				require.Equal(t, want, runURLs(t, got.body))
			}
		})
	}
	h := open(t, func(o *api.Options) { o.RunPages = api.RunPages{UI: "https://temporal.example"} })
	require.Empty(t, runURLs(t, h.do(t, http.MethodGet, "/api/v1/internal/patches/"+somePatch, "").body), "there is no such run")
}

// An open patch tells what it does, since and until when, when it is tried
// again, and who asked for it when.
func TestShowPatchThatWaits(t *testing.T) {
	h := open(t)
	h.patcher.look = viewing(patch.View{
		Handle: handleFor(somePatch),
		State: &patch.State{
			Phase: patch.PhaseCompensating, Step: "RestoreContainer", Doing: "bring it in line", Since: moment, Until: moment.Add(time.Minute),
			NextAttempt: moment.Add(time.Second),
		},
		Open: &patch.Open{Actor: "ann", StartedAt: moment.Add(-time.Minute), Reconciles: true, Mode: patch.ModeEnforce},
	}, nil)
	got := h.do(t, http.MethodGet, "/api/v1/internal/patches/"+somePatch, "")
	require.JSONEq(t, `{"patch_id":"`+somePatch+`","workflow_id":"patch-runtime/demo-1","run_id":"run-1","game_id":"demo-1","state":"open",
		"kind":"reconcile","mode":"enforce","actor":"ann","started_at":"2026-03-01T11:59:00Z","phase":"compensating","step":"RestoreContainer",
		"doing":"bring it in line","since":"2026-03-01T12:00:00Z","until":"2026-03-01T12:01:00Z","next_attempt_at":"2026-03-01T12:00:01Z"}`, got.body)
}
