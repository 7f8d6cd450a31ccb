package patch_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

func record(version string) runtime.RuntimeRecord {
	return runtime.RuntimeRecord{
		GameID: "g", Status: runtime.StatusRunning,
		CurrentEngineVersion: version, CurrentImageRef: "engine:" + version,
	}
}

func registered(version string) engineversion.EngineVersion {
	return engineversion.EngineVersion{Version: version, ImageRef: "engine:" + version, Status: engineversion.StatusActive}
}

func codeOf(err error) patch.Code {
	var refusal *patch.Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

// TestDecide proves what each pair of versions amounts to, and each refusal.
func TestDecide(t *testing.T) {
	for _, row := range []struct {
		current, target string
		deprecated      bool
		force           bool
		kind            patch.Kind
		code            patch.Code
	}{
		{current: "1.4.2", target: "1.4.3", kind: patch.KindUpgrade},
		{current: "1.4.2", target: "1.4.10", kind: patch.KindUpgrade},
		{current: "1.4.2-rc.1", target: "1.4.2", kind: patch.KindUpgrade},
		{current: "1.4.2", target: "1.4.0", kind: patch.KindRollback},
		{current: "1.4.2", target: "1.4.2-rc.1", kind: patch.KindRollback},
		{current: "1.4.2", target: "1.4.2", kind: patch.KindNoop},
		{current: "1.4.2", target: "1.4.2", force: true, kind: patch.KindRecreate},
		{current: "1.4.2", target: "1.4.2+b2", kind: patch.KindRecreate},
		{current: "1.4.2", target: "1.4.3", force: true, kind: patch.KindUpgrade},
		{current: "1.4.2", target: "1.5.0", code: patch.CodeSemverPatchOnly},
		{current: "1.4.2", target: "1.5.0", force: true, code: patch.CodeSemverPatchOnly},
		{current: "1.4.2", target: "1.4.1", deprecated: true, code: patch.CodeEngineVersionNotFound},
		{current: "1.4.2", target: "1.4.2", deprecated: true, code: patch.CodeEngineVersionNotFound},
		{current: "latest", target: "1.4.3", code: patch.CodeInvalidRequest},
	} {
		target := registered(row.target)
		if row.deprecated {
			target.Status = engineversion.StatusDeprecated
		}
		plan, err := patch.Decide(record(row.current), target, row.force)
		require.Equal(t, row.code, codeOf(err), "%s to %s", row.current, row.target)
		require.Equal(t, row.kind, plan.Kind, "%s to %s", row.current, row.target)
		if err == nil {
			require.Equal(t, row.current, plan.From.Version)
			require.Equal(t, row.target, plan.To.Version)
			require.Equal(t, row.kind != patch.KindNoop, plan.Recreates())
		}
	}
}

// TestNoopTellsWhatRuns proves that a noop answers with the record's image,
// also when the registry has another one under the version by now.
func TestNoopTellsWhatRuns(t *testing.T) {
	target := registered("1.4.2")
	target.ImageRef = "engine:rebuilt"
	plan, err := patch.Decide(record("1.4.2"), target, false)
	require.NoError(t, err)
	require.Equal(t, plan.From, plan.To)
	plan, err = patch.Decide(record("1.4.2"), target, true)
	require.NoError(t, err)
	require.Equal(t, "engine:rebuilt", plan.To.ImageRef)
	require.False(t, plan.SameImage())
}

// TestAdmit proves that only a running game is patched, that it has to be on the
// expected version to the letter, and which of the two is told first.
func TestAdmit(t *testing.T) {
	for _, status := range runtime.Statuses() {
		for expected, mismatch := range map[string]patch.Code{
			"": "", "1.4.2": "", "1.4.1": patch.CodePreconditionFailed, "1.4.2+b1": patch.CodePreconditionFailed,
		} {
			r := record("1.4.2")
			r.Status = status
			want := patch.CodeRuntimeNotRunning
			if status == runtime.StatusRunning {
				want = mismatch
			}
			require.Equal(t, want, codeOf(patch.Admit(r, expected)), "%s, %q expected", status, expected)
		}
	}
	require.ErrorContains(t, patch.Admit(record("1.4.2"), "1.4.1"), "the runtime is not on expected_version")
}

// TestDecided proves every line of the undo table.
func TestDecided(t *testing.T) {
	want := map[runtime.Status]patch.Line{
		runtime.StatusRunning:              patch.LineFollowRow,
		runtime.StatusStarting:             patch.LineFollowRow,
		runtime.StatusEngineUnreachable:    patch.LineFollowRow,
		runtime.StatusGenerationFailed:     patch.LineFollowRow,
		runtime.StatusGenerationInProgress: patch.LineWaitForTurn,
		runtime.StatusStopped:              patch.LineLeftAlone,
		runtime.StatusFinished:             patch.LineLeftAlone,
		"unheard_of":                       patch.LineLeftAlone,
	}
	for status, line := range want {
		r := record("1.4.2")
		r.Status = status
		require.Equal(t, line, patch.Decided(&r), status)
	}
	require.Equal(t, patch.LineLeftAlone, patch.Decided(nil))
	for _, status := range runtime.Statuses() {
		require.Contains(t, want, status)
	}
}

// TestStands proves that only a row found on the target, which it was not on
// before, turns an unknown outcome into a success.
func TestStands(t *testing.T) {
	plan := patch.Plan{From: patch.Image{Version: "1.4.2"}, To: patch.Image{Version: "1.4.3", ImageRef: "new"}}
	require.True(t, patch.Stands(plan, patch.Undo{Line: patch.LineInLine, Row: plan.To}))
	require.True(t, patch.Stands(plan, patch.Undo{Line: patch.LineLeftAlone, Row: plan.To}), "stopped after the rotation")
	require.False(t, patch.Stands(plan, patch.Undo{Line: patch.LineRecreated, Row: plan.From}))
	require.False(t, patch.Stands(patch.Plan{From: plan.To, To: plan.To}, patch.Undo{Row: plan.To}), "forced")
	require.False(t, patch.Stands(plan, patch.Undo{Line: patch.LineLeftAlone}), "no row")
}

// TestAbandoned proves that an abandoned patch promises nothing and tells what
// it began with.
func TestAbandoned(t *testing.T) {
	abandoned := patch.Abandoned(&patch.Refusal{Code: patch.CodeConflict, Message: "m"})
	require.Equal(t, patch.CodeServiceUnavailable, abandoned.Code)
	require.Contains(t, abandoned.Message, "conflict: m")
}

// TestStillHolds proves when a plan may be gone on with.
func TestStillHolds(t *testing.T) {
	plan, err := patch.Decide(record("1.4.2"), registered("1.4.3"), false)
	require.NoError(t, err)
	require.NoError(t, plan.StillHolds(record("1.4.2")))
	require.NoError(t, plan.StillHolds(record("1.4.3")), "an own write whose reply was lost")
	require.Equal(t, patch.CodeConflict, codeOf(plan.StillHolds(record("1.4.4"))))
	for _, status := range runtime.Statuses() {
		row := record("1.4.2")
		row.Status = status
		require.Equal(t, status == runtime.StatusRunning, plan.StillHolds(row) == nil, status)
	}
}

// TestRequestValidate proves that a bad request is refused by its field's name.
func TestRequestValidate(t *testing.T) {
	good := patch.Request{PatchID: patch.NewID("g"), GameID: "g", Version: "1.4.3"}
	require.NoError(t, good.Validate())
	full := good
	full.Actor, full.ExpectedVersion = strings.Repeat("x", patch.MaxActor), "1.4.2-rc.1+b2"
	require.NoError(t, full.Validate())
	for _, row := range []struct {
		field string
		spoil func(*patch.Request)
	}{
		{"game_id", func(r *patch.Request) { r.GameID = "" }},
		{"game_id", func(r *patch.Request) { r.GameID = "No Such" }},
		{"patch_id", func(r *patch.Request) { r.PatchID = "" }},
		{"patch_id", func(r *patch.Request) { r.PatchID = patch.NewID("other") }},
		{"version", func(r *patch.Request) { r.Version = "v1" }},
		{"version", func(r *patch.Request) { r.Version = "" }},
		{"expected_version", func(r *patch.Request) { r.ExpectedVersion = "1.4" }},
		{"expected_version", func(r *patch.Request) { r.ExpectedVersion = " " }},
		{"actor", func(r *patch.Request) { r.Actor = strings.Repeat("x", patch.MaxActor+1) }},
		{"actor", func(r *patch.Request) { r.Actor = "a\x00b" }},
		{"source_ref", func(r *patch.Request) { r.SourceRef = strings.Repeat("x", patch.MaxSourceRef+1) }},
		{"source_ref", func(r *patch.Request) { r.SourceRef = "a\x00b" }},
		{"reason", func(r *patch.Request) { r.Reason = "\xff" }},
	} {
		request := good
		row.spoil(&request)
		var refusal *patch.Refusal
		require.ErrorAs(t, request.Validate(), &refusal)
		require.Equal(t, patch.CodeInvalidRequest, refusal.Code)
		require.Equal(t, row.field, refusal.Field)
		require.Contains(t, refusal.Message, row.field)
	}
}

// TestIDs proves that ids carry their game and differ, and what is none.
func TestIDs(t *testing.T) {
	first, second := patch.NewID("g-1"), patch.NewID("g-1")
	require.NotEqual(t, first, second)
	for _, id := range []string{first, second} {
		game, ok := patch.GameOf(id)
		require.True(t, ok, id)
		require.Equal(t, "g-1", game)
	}
	for _, id := range []string{"", "g-1", "g-1.", "G.abcdefghijklmnopqrstuvwxyz", first + "x", "g." + strings.Repeat("1", 26)} {
		_, ok := patch.GameOf(id)
		require.False(t, ok, id)
	}
	game, ok := patch.GameOfWorkflow(patch.WorkflowID("g-1"))
	require.True(t, ok)
	require.Equal(t, "g-1", game)
	for _, id := range []string{"", "g-1", "patch-runtime/", "patch-runtime/No Such", "other/g-1"} {
		_, ok := patch.GameOfWorkflow(id)
		require.False(t, ok, id)
	}
	require.Equal(t, "p/r/restore", patch.IdempotencyKey("p", "r", patch.DirectionRestore, 1))
	require.Equal(t, "p/r/restore/2", patch.IdempotencyKey("p", "r", patch.DirectionRestore, 2))
}

// TestCodes proves that every code says how its run closes.
func TestCodes(t *testing.T) {
	failed := map[patch.Code]patch.Closing{
		patch.CodeCancelled:          patch.ClosesCanceled,
		patch.CodeTerminated:         patch.ClosesTerminated,
		patch.CodeServiceUnavailable: patch.ClosesFailed,
		patch.CodeInternalError:      patch.ClosesFailed,
		patch.CodePatchInProgress:    patch.ClosesNothing,
	}
	for _, code := range patch.Codes() {
		require.True(t, code.IsKnown())
		want, special := failed[code]
		if !special {
			want = patch.ClosesCompleted
		}
		require.Equal(t, want, code.Closing(), code)
	}
	require.False(t, patch.Code("").IsKnown())
	require.Equal(t, patch.ClosesCompleted, patch.Code("").Closing())
}

// TestEntryIsAlwaysStorable proves that a run with any input leaves a row that
// the log can take.
func TestEntryIsAlwaysStorable(t *testing.T) {
	now := time.Now()
	entry := patch.Entry(
		patch.Request{SourceRef: "a\x00\xffb", Reason: strings.Repeat("ä", 4000), Actor: strings.Repeat("ö", 200) + "\x00\xff"},
		patch.Result{
			GameID: strings.Repeat("é", 400), Outcome: operation.OutcomeFailure, Code: patch.CodeInvalidRequest,
			Message: "m", StartedAt: now, FinishedAt: now, Undo: &patch.Undo{Line: patch.LineLeftAlone},
		})
	require.NoError(t, entry.Validate())
	require.LessOrEqual(t, len(entry.Actor), patch.MaxActor)
	require.Equal(t, "ann", patch.Entry(patch.Request{Actor: "ann"}, patch.Result{}).Actor)
	for _, text := range []string{entry.GameID, entry.SourceRef, entry.Reason, entry.Actor} {
		require.True(t, utf8.ValidString(text))
		require.NotContains(t, text, "\x00")
		require.LessOrEqual(t, len(text), 2048)
	}
	require.LessOrEqual(t, len(entry.GameID), 256)
	require.Contains(t, entry.Undo, "there is no row")
	require.NotEmpty(t, patch.Entry(patch.Request{}, patch.Result{WorkflowID: "w"}).PatchID, "rows without one are not told apart")
}

// TestResultOf proves that a result survives the way through the audit row.
func TestResultOf(t *testing.T) {
	now := time.Now().UTC()
	result := patch.Result{
		PatchID: "p", GameID: "g", WorkflowID: patch.WorkflowID("g"), RunID: "r",
		Outcome: operation.OutcomeFailure, Code: patch.CodeConflict, Message: "m",
		From: patch.Image{Version: "1", ImageRef: "a"}, To: patch.Image{Version: "2", ImageRef: "b"},
		StartedAt: now, FinishedAt: now, Undo: &patch.Undo{Told: "container left alone; there is no row"},
	}
	require.Equal(t, result, patch.ResultOf(patch.Entry(patch.Request{}, result)))
}

// TestSentences proves that each line of the undo reads as what happened.
func TestSentences(t *testing.T) {
	row := patch.Image{Version: "1.4.2", ImageRef: "old"}
	for want, undo := range map[string]patch.Undo{
		"container recreated on old; row is running on 1.4.2; container ran new":   {Line: patch.LineRecreated, RowStatus: "running", Row: row, Container: "new"},
		"container already on old; row is running on 1.4.2":                        {Line: patch.LineInLine, RowStatus: "running", Row: row, Container: "old"},
		"container left alone; row is stopped on 1.4.2":                            {Line: patch.LineLeftAlone, RowStatus: "stopped", Row: row},
		"container left alone; there is no row":                                    {Line: patch.LineLeftAlone},
		"there is no container, nor was there one before; row is running on 1.4.2": {Line: patch.LineMissing, RowStatus: "running", Row: row},
		`abandoned, container may differ from the row; abandon by "bob": gone; retry by "ann": up`: {Line: patch.LineAbandoned, Decisions: []patch.Decision{
			{Update: "retry", Command: patch.Command{Actor: "ann", Reason: "up"}},
			{Update: "abandon", Command: patch.Command{Actor: "bob", Reason: "gone"}},
		}},
	} {
		require.Equal(t, want, undo.Sentence())
	}
}

// TestBudgets proves the defaults, the bounds and the readable form.
func TestBudgets(t *testing.T) {
	require.Equal(t, patch.DefaultBudgets(), patch.Budgets{}.OrDefaults())
	require.NoError(t, patch.Budgets{}.Validate())
	mistyped := patch.Budgets{Store: 1, Manager: patch.Duration(48 * time.Hour), Undo: -1}
	require.ErrorContains(t, mistyped.Validate(), "store")
	require.Equal(t, patch.Budgets{
		Store: patch.Duration(patch.MinBudget), Manager: patch.Duration(patch.MaxBudget), Undo: patch.Duration(patch.MinBudget),
		Settle: patch.DefaultBudgets().Settle,
	}, mistyped.OrDefaults())

	text, err := json.Marshal(patch.DefaultBudgets())
	require.NoError(t, err)
	require.JSONEq(t, `{"store":"1m0s","manager":"2m0s","undo":"15m0s","settle":"30s"}`, string(text))
	var back patch.Budgets
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, patch.DefaultBudgets(), back)
	require.Error(t, json.Unmarshal([]byte(`{"store":"soon"}`), &back))
}

// TestCommandValidate proves that an operator has to give a name, and a reason
// except to cancel.
func TestCommandValidate(t *testing.T) {
	require.NoError(t, patch.Command{Actor: "a", Reason: "r"}.Validate())
	require.ErrorContains(t, patch.Command{Actor: "a"}.Validate(), "reason")
	require.ErrorContains(t, patch.Command{Reason: "r"}.Validate(), "actor")
	require.ErrorContains(t, patch.Command{Reason: "r", Actor: strings.Repeat("x", 300)}.Validate(), "actor")

	require.NoError(t, patch.Command{Actor: "a"}.ValidateCancel())
	require.ErrorContains(t, patch.Command{Reason: "r"}.ValidateCancel(), "actor")
	require.ErrorContains(t, patch.Command{Actor: "a", Reason: "\xff"}.ValidateCancel(), "reason")
	require.ErrorContains(t, patch.Command{Actor: "a\x00"}.ValidateCancel(), "actor")
}
