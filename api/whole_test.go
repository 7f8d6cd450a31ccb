package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// requireWhole checks that no field of a value is zero, so that one that is not
// told is missed.
func requireWhole(t *testing.T, value any) {
	t.Helper()
	fields := reflect.ValueOf(value)
	for i := range fields.NumField() {
		require.False(t, fields.Field(i).IsZero(), fields.Type().Field(i).Name)
	}
}

// told is what encoding/json makes of a value of the domain, whose names are the
// contract's.
func told(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	return string(encoded)
}

// later are instants that all differ.
func later(minutes int) *time.Time {
	at := moment.Add(time.Duration(minutes) * time.Minute)
	return &at
}

var wholeRecord = runtime.RuntimeRecord{
	GameID: "demo-1", Status: runtime.StatusFinished, CurrentImageRef: "engine:1.4.3", CurrentEngineVersion: "1.4.3",
	EngineHealth: "fine <&>", NextGenerationAt: later(1), SkipNextTick: true, CurrentTurn: 12, CreatedAt: *later(2),
	UpdatedAt: *later(3), StartedAt: later(4), StoppedAt: later(5), FinishedAt: later(6),
}

// Every field of a record is told, alone and in lists.
func TestRecordIsToldWhole(t *testing.T) {
	requireWhole(t, wholeRecord)
	h := build(t)
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(wholeRecord, nil)
	require.JSONEq(t, told(t, wholeRecord), h.call(t, http.MethodGet, demo, "").body)
	h.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).Return([]runtime.RuntimeRecord{wholeRecord}, nil)
	require.JSONEq(t, `{"runtimes":[`+told(t, wholeRecord)+`]}`, h.call(t, http.MethodGet, games, "").body)
}

// Every field of an audit row is told.
func TestOperationIsToldWhole(t *testing.T) {
	entry := operation.OperationEntry{
		ID: 7, GameID: "demo-1", OpKind: operation.OpKindPatch, OpSource: operation.OpSourceSystem, SourceRef: "T-1", Actor: "ops",
		Outcome: operation.OutcomeFailure, ErrorCode: "conflict", ErrorMessage: "it changed", StartedAt: moment, FinishedAt: later(1),
		PatchID: somePatch, RunID: "run-1", Reason: "security", Noop: true, FromVersion: "1.4.2", FromImageRef: "engine:1.4.2",
		ToVersion: "1.4.3", ToImageRef: "engine:1.4.3", Undo: "put back",
	}
	requireWhole(t, entry)
	h := build(t)
	h.audit.EXPECT().PageOperations(gomock.Any(), gomock.Any()).Return([]operation.OperationEntry{entry}, nil)
	require.JSONEq(t, `{"operations":[`+told(t, entry)+`]}`, h.call(t, http.MethodGet, audit, "").body)
}

// Every field of a result is told, that of a failure by the patch and by the
// problem, with all that operators decided.
func TestResultIsToldWhole(t *testing.T) {
	undo := patch.Undo{
		Line: patch.LineAbandoned, RowStatus: runtime.StatusRunning, Row: from, Container: "engine:1.4.3", Fence: 2 * patch.FenceStep,
		RunID: "run-1", Told: "in a sentence", Decided: 2,
		Decisions: []patch.Decision{
			{Update: "retry", Command: patch.Command{Actor: "ops", Reason: "it is back"}},
			{Update: "abandon", Command: patch.Command{Actor: "boss", Reason: "it is not"}},
		},
	}
	requireWhole(t, undo)
	result := patch.Result{
		PatchID: somePatch, GameID: "demo-1", WorkflowID: "patch-runtime/demo-1", RunID: "run-2",
		Kind: operation.OpKindReconcile, Outcome: operation.OutcomeFailure,
		Code: patch.CodeConflict, Message: "version: it changed", Field: "version", Noop: true, From: from, To: to,
		Runtime: &wholeRecord, Undo: &undo, StartedAt: moment, FinishedAt: *later(1),
	}
	requireWhole(t, result)
	var want map[string]any
	require.NoError(t, json.Unmarshal([]byte(told(t, result)), &want))
	want["state"] = "closed"

	h := build(t)
	h.patcher.look = viewing(patch.View{Handle: handleFor(somePatch), Result: &result}, nil)
	require.JSONEq(t, told(t, want), h.call(t, http.MethodGet, patches+"/"+somePatch, "").body, "of the run that gave the result")

	h.patcher.await = func(context.Context, patch.Handle) (patch.Result, error) { return result, nil }
	got := h.call(t, http.MethodPost, patchPath, goodBody)
	problem := got.refused(t, http.StatusConflict, "conflict")
	require.Equal(t, somePatch, problem.PatchID)
	require.Equal(t, "run-2", problem.RunID)
	require.Equal(t, "version", problem.Errors[0].Field)
	require.Equal(t, "it changed", problem.Errors[0].Detail)
	require.JSONEq(t, told(t, undo), told(t, problem.Undo))
}
