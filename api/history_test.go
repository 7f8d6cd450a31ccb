package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
)

var historyPath = patches + "/" + somePatch + "/history"

// exported is a run of the patch whose history was exported.
func exported(runID string) history.Run {
	return history.Run{
		Ref: history.Ref{WorkflowID: "patch-runtime/demo-1", RunID: runID}, PatchID: somePatch, WorkflowType: "PatchRuntime",
		Status: "Terminated", StartedAt: moment, ClosedAt: *later(1), Events: 7, Size: 15, ExportedAt: *later(2), ReplayError: "another step",
	}
}

// historyTold is what a test looks at of an answer.
type historyTold struct {
	PatchID string `json:"patch_id"`
	Run     struct {
		RunID       string `json:"run_id"`
		Status      string `json:"status"`
		Source      string `json:"source"`
		Events      int    `json:"events"`
		ReplayError string `json:"replay_error"`
	} `json:"run"`
	Runs          []json.RawMessage   `json:"runs"`
	Interventions []map[string]string `json:"interventions"`
	History       json.RawMessage     `json:"history"`
}

// A history comes from Temporal while that has the run, from the export when it
// has not, cannot say, or has only a run of another patch; and the latest run is
// meant unless one is named.
func TestHistoryIsReadWhereItIs(t *testing.T) {
	away := &patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "Temporal is away"}
	for name, row := range map[string]struct {
		query        string
		looked, past error
		patchID      string
		kept         []history.Run
		run, source  string
	}{
		"from Temporal":                {patchID: somePatch, run: "run-1", source: "temporal"},
		"named, from Temporal":         {query: "?run_id=run-0", patchID: somePatch, run: "run-0", source: "temporal"},
		"forgotten":                    {past: history.ErrNotFound, kept: []history.Run{exported("run-1")}, run: "run-1", source: "export"},
		"named, forgotten":             {query: "?run_id=run-0", past: history.ErrNotFound, kept: []history.Run{exported("run-1"), exported("run-0")}, run: "run-0", source: "export"},
		"Temporal is away":             {looked: away, past: away, kept: []history.Run{exported("run-2"), exported("run-1")}, run: "run-2", source: "export"},
		"only the export knows of it":  {looked: patch.ErrNotFound, past: history.ErrNotFound, kept: []history.Run{exported("run-3")}, run: "run-3", source: "export"},
		"run of another patch by then": {patchID: "demo-1.other", kept: []history.Run{exported("run-1")}, run: "run-1", source: "export"},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			handle := handleFor(somePatch)
			handle.RunID = "run-1"
			h.patcher.look = viewing(patch.View{Handle: handle}, row.looked)
			h.patcher.past = func(_ context.Context, ref history.Ref, most int) (history.Run, []byte, error) {
				require.Equal(t, "patch-runtime/demo-1", ref.WorkflowID)
				require.Equal(t, 6<<20, most)
				return history.Run{Ref: ref, PatchID: row.patchID, WorkflowType: "PatchRuntime", Status: "Running", StartedAt: moment, Events: 3},
					[]byte(`{"events":["temporal"]}`), row.past
			}
			h.histories.EXPECT().ListHistories(gomock.Any(), somePatch, 100).Return(row.kept, nil)
			h.histories.EXPECT().ListInterventions(gomock.Any(), somePatch, 1000).Return(nil, nil)
			if row.source == "export" {
				h.histories.EXPECT().ReadHistory(gomock.Any(), somePatch, row.run, 6<<20).Return([]byte(`{"events":["export"]}`), nil)
			}
			got := h.call(t, http.MethodGet, historyPath+row.query, "")
			require.Equal(t, http.StatusOK, got.status, got.body)
			var told historyTold
			require.NoError(t, json.Unmarshal([]byte(got.body), &told))
			require.Equal(t, somePatch, told.PatchID)
			require.Equal(t, row.run, told.Run.RunID)
			require.Equal(t, row.source, told.Run.Source)
			require.Len(t, told.Runs, len(row.kept))
			require.NotNil(t, told.Interventions)
			require.JSONEq(t, `{"events":["`+row.source+`"]}`, string(told.History))
			if row.source == "export" {
				require.Equal(t, "another step", told.Run.ReplayError)
				require.Equal(t, "Terminated", told.Run.Status)
				require.Equal(t, 7, told.Run.Events)
			}
		})
	}
}

// A Temporal that hangs leaves time to read the export.
func TestHistoryWhileTemporalHangs(t *testing.T) {
	for name, query := range map[string]string{"the latest": "", "named": "?run_id=run-1"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := build(t)
				h.patcher.look = func(ctx context.Context, _ string) (patch.View, error) {
					<-ctx.Done()
					return patch.View{}, ctx.Err()
				}
				h.patcher.past = func(ctx context.Context, _ history.Ref, _ int) (history.Run, []byte, error) {
					<-ctx.Done()
					return history.Run{}, nil, ctx.Err()
				}
				h.histories.EXPECT().ListHistories(gomock.Any(), somePatch, 100).Return([]history.Run{exported("run-1")}, nil)
				h.histories.EXPECT().ReadHistory(gomock.Any(), somePatch, "run-1", gomock.Any()).DoAndReturn(
					func(ctx context.Context, _, _ string, _ int) ([]byte, error) {
						return []byte(`{"events":[]}`), ctx.Err()
					})
				h.histories.EXPECT().ListInterventions(gomock.Any(), somePatch, gomock.Any()).DoAndReturn(
					func(ctx context.Context, _ string, _ int) ([]history.Intervention, error) { return nil, ctx.Err() })
				got := h.call(t, http.MethodGet, historyPath+query, "")
				require.Equal(t, http.StatusOK, got.status, got.body)
				require.Contains(t, got.body, `"source":"export"`)
			})
		})
	}
}

// What people did is told of all runs of the patch in order, of the run that
// Temporal has also before its export, and once; beyond the bound the latest are.
func TestInterventionsAreTold(t *testing.T) {
	did := func(run string, event int, action history.Action) history.Intervention {
		return history.Intervention{RunID: run, EventID: int64(event), At: *later(event), Action: action, By: "ann", Reason: "why"}
	}
	ask := func(kept, fresh []history.Intervention) []map[string]string {
		h := build(t)
		h.patcher.past = func(_ context.Context, ref history.Ref, _ int) (history.Run, []byte, error) {
			return history.Run{Ref: ref, PatchID: somePatch, WorkflowType: "PatchRuntime", Status: "Running", StartedAt: moment, Interventions: fresh}, []byte(`{}`), nil
		}
		h.histories.EXPECT().ListHistories(gomock.Any(), somePatch, 100).Return(nil, nil)
		h.histories.EXPECT().ListInterventions(gomock.Any(), somePatch, 1000).Return(kept, nil)
		got := h.call(t, http.MethodGet, historyPath+"?run_id=run-2", "")
		require.Equal(t, http.StatusOK, got.status, got.body)
		var told historyTold
		require.NoError(t, json.Unmarshal([]byte(got.body), &told))
		return told.Interventions
	}
	told := ask([]history.Intervention{did("run-2", 3, history.ActionSignal), did("run-1", 1, history.ActionCancel)},
		[]history.Intervention{did("run-2", 2, history.ActionReset), did("run-2", 3, history.ActionSignal)})
	require.Len(t, told, 3)
	require.Equal(t, map[string]string{
		"run_id": "run-1", "at": later(1).Format(time.RFC3339Nano), "action": "cancel", "by": "ann", "reason": "why",
	}, told[0])
	require.Equal(t, []string{"reset", "signal"}, []string{told[1]["action"], told[2]["action"]})

	var many []history.Intervention
	for event := range 1001 {
		many = append(many, did("run-2", event+1, history.ActionSignal))
	}
	told = ask(nil, many)
	require.Len(t, told, 1000)
	require.Equal(t, later(2).Format(time.RFC3339Nano), told[0]["at"], "the first is left out")
}

// What is nowhere is not found, what cannot be read is unavailable, and what is
// too large is told as a fault of ours.
func TestHistoryThatCannotBeTold(t *testing.T) {
	away := &patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "Temporal is away"}
	for name, row := range map[string]struct {
		query              string
		list, looked, past error
		interventions      error
		kept               []history.Run
		read               error
		status             int
		code               string
	}{
		"no such patch":          {looked: patch.ErrNotFound, status: 404, code: "patch_not_found"},
		"no such run":            {query: "?run_id=nowhere", past: history.ErrNotFound, status: 404, code: "patch_not_found"},
		"not exported":           {past: history.ErrNotFound, status: 404, code: "patch_not_found"},
		"no store":               {list: errors.New("down"), status: 503, code: "service_unavailable"},
		"no interventions":       {interventions: errors.New("down"), status: 503, code: "service_unavailable"},
		"no Temporal, no export": {looked: away, status: 503, code: "service_unavailable"},
		"no Temporal by then":    {past: away, status: 503, code: "service_unavailable"},
		"export cannot be read":  {past: away, kept: []history.Run{exported("run-1")}, read: errors.New("down"), status: 503, code: "service_unavailable"},
		"too large":              {past: history.ErrTooLarge, status: 500, code: "internal_error"},
		"export is too large":    {past: away, kept: []history.Run{exported("run-1")}, read: history.ErrTooLarge, status: 500, code: "internal_error"},
		"pruned between the two": {past: history.ErrNotFound, kept: []history.Run{exported("run-1")}, read: history.ErrNotFound, status: 404, code: "patch_not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			handle := handleFor(somePatch)
			handle.RunID = "run-1"
			h.patcher.look = viewing(patch.View{Handle: handle}, row.looked)
			h.patcher.past = func(context.Context, history.Ref, int) (history.Run, []byte, error) {
				return history.Run{PatchID: somePatch}, nil, row.past
			}
			h.histories.EXPECT().ListInterventions(gomock.Any(), somePatch, gomock.Any()).Return(nil, row.interventions).MaxTimes(1)
			h.histories.EXPECT().ListHistories(gomock.Any(), somePatch, 100).Return(row.kept, row.list)
			h.histories.EXPECT().ReadHistory(gomock.Any(), somePatch, "run-1", gomock.Any()).Return(nil, row.read).MaxTimes(1)
			h.call(t, http.MethodGet, historyPath+row.query, "").refused(t, row.status, row.code)
		})
	}
	h := build(t)
	h.call(t, http.MethodGet, historyPath+"?run_id=../../x", "").refused(t, http.StatusBadRequest, "invalid_request")
}
