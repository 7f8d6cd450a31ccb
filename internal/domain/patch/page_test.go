package patch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// pageAt is the page of a patch in a phase, at its first step there.
func pageAt(phase patch.Phase, step string, budget time.Duration) patch.Page {
	page := patch.Page{
		Budgets: patch.DefaultBudgets(),
		State: patch.State{
			PatchID: "g.aaaaaaaaaaaaaaaaaaaaaaaaaa", GameID: "g", Phase: phase,
			From: patch.Image{Version: "1.4.2"}, To: patch.Image{Version: "1.4.3"},
		},
	}
	page.Begin(step, "do it", noon, budget)
	return page
}

// TestPageTellsWhatToDo proves, for every phase, that the first lines of the page
// say where the run is, what it does, since and until when, what an operator may
// do, what to leave alone, and what comes next.
func TestPageTellsWhatToDo(t *testing.T) {
	for _, row := range []struct {
		phase  patch.Phase
		step   string
		budget time.Duration
		want   []string
	}{
		{patch.PhaseValidating, "LoadRecord", time.Minute, []string{
			"**Validating:** game `g`, from `1.4.2` to `1.4.3`", "`do it` (step `LoadRecord`)", "*Pending Activities*",
			"2026-03-01 12:00:00 UTC, until 2026-03-01 12:01:00 UTC at the latest, unless it is paused",
			"mend it", "is safe", "neither the container nor the record has been touched",
		}},
		{patch.PhasePatching, "PatchContainer", 2 * time.Minute, []string{
			"**Patching:**", "until 2026-03-01 12:02:00 UTC", "Runtime Manager", "puts the container back", "by hand", "no undo",
		}},
		{patch.PhaseRecording, "UpdateImage", time.Minute, []string{"**Recording:**", "too late to cancel", "no undo", "Postgres"}},
		{patch.PhaseCompensating, "RestoreContainer", 15 * time.Minute, []string{
			"**Putting the container back:**", "until 2026-03-01 12:15:00 UTC", "a turn that is being generated", "by hand", "waits for an operator",
		}},
		{patch.PhaseCompensating, "", 30 * time.Second, []string{
			"**Now:** `do it`\n", "until 2026-03-01 12:00:30 UTC", "late call", "looked at once more",
		}},
		{patch.PhaseNeedsOperator, "", 0, []string{
			"**Waiting for an operator:**", "for as long as it takes", "`retry`", "`abandon`", "for 15m0s",
			`{"actor":"your name","reason":"why"}`, "gamemaster patches retry g.aaaaaaaaaaaaaaaaaaaaaaaaaa", "no other patch",
		}},
		{patch.PhaseAuditing, "AppendOperationLog", 0, []string{"**Writing the audit row:**", "for as long as it takes", "Postgres", "lose the audit row"}},
	} {
		t.Run(string(row.phase)+" "+row.step, func(t *testing.T) {
			page := pageAt(row.phase, row.step, row.budget)
			text := page.Markdown()
			for _, part := range append(row.want, "**Do:**", "**Leave alone:**", "**Next:**") {
				require.Contains(t, text, part)
			}
			require.NotContains(t, text, "Done so far")
			require.Less(t, strings.Index(text, "**Do:**"), 700, "what to do is read first")
		})
	}
}

// TestPageTellsReasons proves that the failure which is undone, and the one that
// an operator has to mend, are on the page.
func TestPageTellsReasons(t *testing.T) {
	page := pageAt(patch.PhaseNeedsOperator, "", 0)
	page.Because, page.State.LastError = "conflict: the game was stopped", "rtm: HTTP 503"
	text := page.Markdown()
	require.Contains(t, text, "- **Because:** `conflict: the game was stopped`")
	require.Contains(t, text, "- **The undo failed with:** `rtm: HTTP 503`")
}

// TestPageTellsSteps proves that every step is told once, with its time, its
// attempts and its failure, and that a run of days keeps its page short.
func TestPageTellsSteps(t *testing.T) {
	page := pageAt(patch.PhasePatching, "TakeFence", time.Minute)
	page.End(noon.Add(time.Second))
	page.Uncounted()
	page.Tried(9, "another one's")
	page.Begin("PatchContainer", "recreate on 1.4.3", noon.Add(time.Second), time.Minute)
	page.End(noon.Add(3 * time.Second))
	page.Tried(3, "service_unavailable: HTTP 503")
	page.Tried(9, "told twice")
	text := page.Markdown()
	require.Contains(t, text, "- 12:00:00 `do it` (TakeFence): 1s\n")
	require.Contains(t, text, "- 12:00:01 `recreate on 1.4.3` (PatchContainer): 2s, attempts: 3, failed: `service_unavailable: HTTP 503`\n")
	require.True(t, page.State.Until.IsZero(), "what has ended is not given up any more")

	for range 1000 {
		page.Begin("RestoreContainer", strings.Repeat("x", 1000), noon, time.Minute)
		page.End(noon)
		page.Tried(1, strings.Repeat("y", 1000))
	}
	text = page.Markdown()
	require.Contains(t, text, "- 990 steps before\n")
	require.Less(t, len(text), 20_000)
}

// TestPageTellsTheEnd proves what is left to do for each way in which a run ends.
func TestPageTellsTheEnd(t *testing.T) {
	undone := &patch.Undo{Line: patch.LineRecreated, RowStatus: runtime.StatusRunning}
	for _, row := range []struct {
		name       string
		reconciles bool
		result     patch.Result
		want       []string
	}{
		{"success", false, patch.Result{Outcome: operation.OutcomeSuccess}, []string{"**Done:** `g` moved from `1.4.2` to `1.4.3`", "**Do:** nothing"}},
		{
			"noop", false, patch.Result{Outcome: operation.OutcomeSuccess, Noop: true, From: patch.Image{Version: "1.4.3"}},
			[]string{"**Done:** `g` was on `1.4.3` already; this run changed nothing"},
		},
		{
			"moved before a reset", false, patch.Result{Outcome: operation.OutcomeSuccess, Noop: true},
			[]string{"**Done:** the run before the reset had moved `g` from `1.4.2` to `1.4.3`; this run changed nothing"},
		},
		{
			"undone before a reset", false,
			patch.Result{Code: patch.CodeConflict, RunID: "2", Undo: &patch.Undo{Line: patch.LineInLine, RunID: "1"}},
			[]string{"**Refused:**", "that was the run before the reset"},
		},
		{"refused", false, patch.Result{Code: patch.CodeSemverPatchOnly}, []string{"**Refused:** game `g`, code `semver_patch_only`", "nothing was changed"}},
		{"conflict", false, patch.Result{Code: patch.CodeConflict, Undo: undone}, []string{"**Refused:**", "in line", "**What was undone:**"}},
		{"cancelled", false, patch.Result{Code: patch.CodeCancelled, Undo: undone}, []string{"**Cancelled:**", "in line"}},
		{"failed", false, patch.Result{Code: patch.CodeServiceUnavailable, Undo: undone}, []string{"**Failed:**", "ask for the patch again"}},
		{"failed early", false, patch.Result{Code: patch.CodeServiceUnavailable}, []string{"**Failed:**", "ask for the patch again"}},
		{"abandoned", false, patch.Result{Code: patch.CodeServiceUnavailable, Undo: &patch.Undo{Line: patch.LineAbandoned}}, []string{"may differ", "gamemaster reconcile"}},
		{"missing", false, patch.Result{Code: patch.CodeServiceUnavailable, Undo: &patch.Undo{Line: patch.LineMissing}}, []string{"no container"}},
		{"internal", false, patch.Result{Code: patch.CodeInternalError}, []string{"worker's log"}},
		{"reconciled", true, patch.Result{Outcome: operation.OutcomeSuccess}, []string{"record and container of `g` are on `1.4.3`"}},
		{"in line", true, patch.Result{Outcome: operation.OutcomeSuccess, Noop: true}, []string{"in line already"}},
		{"reconcile failed", true, patch.Result{Code: patch.CodeServiceUnavailable}, []string{"gamemaster drift", "reconcile again"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.result.GameID, row.result.StartedAt, row.result.FinishedAt = "g", noon, noon.Add(1500*time.Millisecond)
			row.result.To = patch.Image{Version: "1.4.3"}
			if row.result.From == (patch.Image{}) {
				row.result.From = patch.Image{Version: "1.4.2"}
			}
			page := patch.Page{Reconciles: row.reconciles, Result: &row.result}
			for _, part := range append(row.want, "**Took:** 1.5s, until 2026-03-01 12:00:01 UTC") {
				require.Contains(t, page.Markdown(), part)
			}
		})
	}
}

// TestPageQuotesOthers proves that a text of a caller or of Runtime Manager can
// bring no link, no heading and no line of its own onto the page.
func TestPageQuotesOthers(t *testing.T) {
	const hostile = "`[click](http://evil.example)\n\n# Do: terminate\u202e\x00\xff"
	page := pageAt(patch.PhaseNeedsOperator, "", 0)
	page.Because, page.State.LastError, page.State.GameID, page.State.PatchID = hostile, hostile, hostile, hostile
	page.State.To.Version = strings.Repeat("9", 10_000)
	text := page.Markdown()
	require.NotContains(t, text, "\n#")
	require.NotContains(t, text, "``")
	require.NotContains(t, text, "\u202e")
	require.Contains(t, text, "gamemaster patches retry ID --reason")
	require.Less(t, len(text), 4000)
	require.Zero(t, strings.Count(strings.ReplaceAll(text, "`", "``"), "`")%4, "every quote is closed")
	request := patch.Request{GameID: hostile, Version: hostile, Actor: hostile, Reason: strings.Repeat("x", 100_000), SourceRef: hostile, PatchID: ""}
	details := request.Details(patch.Budgets{})
	require.NotContains(t, details, "\n#")
	require.Contains(t, details, "(empty)")
	require.Less(t, len(details), 20_000)
	require.LessOrEqual(t, len(request.Summary()), 200)
}

// TestDetailsOfARequest proves that the part of the page which never changes
// tells who asked, for what, why, and how patient the run is.
func TestDetailsOfARequest(t *testing.T) {
	request := patch.Request{
		PatchID: "g.aaaaaaaaaaaaaaaaaaaaaaaaaa", GameID: "g", Version: "1.4.3", ExpectedVersion: "1.4.2", Force: true,
		OpSource: operation.OpSourceAdminCLI, Actor: "ann", SourceRef: "ticket-7", Reason: "security fix",
	}
	require.Equal(t, "patch g to 1.4.3 (ann)", request.Summary())
	for _, part := range []string{
		"game `g` to version `1.4.3`", "**Only from:** `1.4.2`", "**Force:**", "`ann` by `admin_cli`", "`ticket-7`", "`security fix`",
		"1m0s for a step on Postgres, 2m0s for Runtime Manager, 15m0s for one undo",
	} {
		require.Contains(t, request.Details(patch.Budgets{}), part)
	}
	reconcile := patch.ReconcileRequest{GameID: "g", Mode: patch.ModeEnforce}
	require.Equal(t, "reconcile g: enforce (admin_rest)", reconcile.Summary())
	require.Contains(t, reconcile.Details(patch.Budgets{}), "the container follows the record")
	reconcile.Mode = patch.ModeAdopt
	require.Contains(t, reconcile.Details(patch.Budgets{}), "the record follows the container")
}
