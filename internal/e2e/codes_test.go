package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// codeRow is a line of the table of codes, made to happen.
type codeRow struct {
	name string
	// prepare returns the game; nil means an ordinary one.
	prepare func(*rig) string
	version string
	// expected is the version that the request expects; may be empty.
	expected string
	// during runs while the patch is recreating the container, which then
	// takes slow milliseconds or, with hang, for ever.
	during func(*rig, string)
	fault  rtmsim.Fault

	code   patch.Code
	status int
	closes enumspb.WorkflowExecutionStatus
	// recreates and the version that record and container end up on; an empty
	// one is for games that have no record.
	recreates int
	ends      string
}

const (
	completed = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	cancelled = enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED
	failed    = enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
)

func codeRows() []codeRow {
	setStatus := func(status string) func(*rig, string) {
		return func(r *rig, game string) {
			r.exec("UPDATE runtime_records SET status = $2 WHERE game_id = $1", game, status)
		}
	}
	with := func(change func(*rig, string)) func(*rig) string {
		return func(r *rig) string {
			game := r.game()
			change(r, game)
			return game
		}
	}
	slow := rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeSlow, DelayMS: 2000, Times: 1}
	return []codeRow{
		{name: "success", version: "1.4.3", status: http.StatusOK, closes: completed, recreates: 1, ends: "1.4.3"},
		{name: "noop", version: "1.4.2", status: http.StatusOK, closes: completed, ends: "1.4.2"},
		{name: "invalid_request", version: "newest", code: patch.CodeInvalidRequest,
			status: http.StatusBadRequest, closes: completed, ends: "1.4.2"},
		{name: "invalid_request_stored", version: "1.4.3", code: patch.CodeInvalidRequest,
			prepare: with(func(r *rig, game string) {
				r.exec("UPDATE runtime_records SET current_engine_version = 'newest' WHERE game_id = $1", game)
			}), status: http.StatusBadRequest, closes: completed},
		{name: "runtime_not_found", version: "1.4.3", code: patch.CodeRuntimeNotFound,
			prepare: (*rig).unknownGame, status: http.StatusNotFound, closes: completed},
		{name: "engine_version_not_found", version: "1.4.9", code: patch.CodeEngineVersionNotFound,
			status: http.StatusNotFound, closes: completed, ends: "1.4.2"},
		{name: "engine_version_deprecated", version: "1.4.1", code: patch.CodeEngineVersionNotFound,
			status: http.StatusNotFound, closes: completed, ends: "1.4.2"},
		{name: "runtime_not_running", version: "1.4.3", code: patch.CodeRuntimeNotRunning,
			prepare: with(setStatus("stopped")), status: http.StatusConflict, closes: completed, ends: "1.4.2"},
		{name: "semver_patch_only", version: "1.5.0", code: patch.CodeSemverPatchOnly,
			status: http.StatusUnprocessableEntity, closes: completed, ends: "1.4.2"},
		{name: "precondition_failed", version: "1.4.3", expected: "1.4.1", code: patch.CodePreconditionFailed,
			status: http.StatusPreconditionFailed, closes: completed, ends: "1.4.2"},
		{name: "conflict", version: "1.4.3", code: patch.CodeConflict, fault: slow,
			during: setStatus("engine_unreachable"),
			status: http.StatusConflict, closes: completed, recreates: 2, ends: "1.4.2"},
		{name: "cancelled", version: "1.4.3", code: patch.CodeCancelled,
			fault: rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang},
			during: func(r *rig, game string) {
				require.NoError(r.t, r.temporal.CancelWorkflow(r.t.Context(), patch.WorkflowID(game), ""))
			}, status: http.StatusConflict, closes: cancelled, ends: "1.4.2"},
		{name: "service_unavailable", version: "1.4.3", code: patch.CodeServiceUnavailable,
			fault:  rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusServiceUnavailable},
			status: http.StatusServiceUnavailable, closes: failed, ends: "1.4.2"},
		{name: "service_unavailable_applied", version: "1.4.3", code: patch.CodeServiceUnavailable,
			fault:  rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusConflict, Times: 1},
			status: http.StatusServiceUnavailable, closes: failed, recreates: 2, ends: "1.4.2"},
		{name: "internal_error", version: "1.4.3", code: patch.CodeInternalError,
			// A rule that only the database knows: the row is refused for good.
			prepare: with(func(r *rig, game string) {
				r.exec("ALTER TABLE runtime_records ADD CHECK (current_engine_version <> '1.4.3' OR game_id <> '" + game + "')")
			}), status: http.StatusInternalServerError, closes: failed, recreates: 2, ends: "1.4.2"},
	}
}

// TestCodes proves, for every line of the table of codes, the REST answer, how
// the run closes, the audit row, and that record and container end together.
func TestCodes(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_MANAGER_BUDGET=6s", "GAMEMASTER_SETTLE_TIME=1s")
	r.startWorker()
	seen := map[patch.Code]bool{patch.CodePatchInProgress: true, patch.CodeTerminated: true} // TestInProgress, TestTerminated
	for _, row := range codeRows() {
		seen[row.code] = true
		t.Run(row.name, func(t *testing.T) { row.check(t, r) })
	}
	for _, code := range patch.Codes() {
		require.True(t, seen[code], "no row for code %s", code)
	}
}

func (row codeRow) check(t *testing.T, shared *rig) {
	r := shared.in(t)
	prepare := row.prepare
	if prepare == nil {
		prepare = (*rig).game
	}
	game := prepare(r)
	r.simulator.ClearFaults()
	if row.fault.Mode != "" {
		row.fault.GameID = game
		r.fault(row.fault)
	}
	answers := r.askBeside(game, map[string]any{"version": row.version, "expected_version": row.expected})
	if row.during != nil {
		r.awaitCall(game)
		row.during(r, game)
	}
	patchID := row.checkAnswer(r, game, await(t, answers))

	require.Equal(t, row.closes, r.closeStatus(game))
	rows := r.audit(game)
	require.Len(t, rows, 1)
	require.Equal(t, patchID, rows[0].PatchID)
	require.Equal(t, string(row.code), rows[0].ErrorCode)
	require.Equal(t, operation.OpSourceAdminRest, rows[0].OpSource)
	require.Equal(t, everything().name, rows[0].Actor)
	require.Equal(t, everything().name, rows[0].SourceRef)
	if row.ends != "" {
		r.requireInLine(game, row.ends, row.recreates)
	}
	recordHistory(t, r, row.name, game)
}

// checkAnswer proves what the caller who waited was answered, and that the
// patch tells the same to whoever looks at it later. It returns the patch's id.
func (row codeRow) checkAnswer(r *rig, game string, a answer) string {
	r.t.Helper()
	require.Equal(r.t, row.status, a.status, a.body)
	require.Equal(r.t, row.code, a.code())
	require.Equal(r.t, patch.WorkflowID(game), a.body["workflow_id"])
	require.NotEmpty(r.t, a.body["run_id"])
	require.Equal(r.t, row.status == http.StatusServiceUnavailable, a.header.Get("Retry-After") != "")
	wantOutcome := "failure"
	if row.code == "" {
		wantOutcome = "success"
	} else {
		require.Equal(r.t, "application/problem+json", a.header.Get("Content-Type"))
	}
	patchID, _ := a.body["patch_id"].(string)
	looked := r.call(http.MethodGet, base+"/patches/"+patchID, "")
	require.Equal(r.t, http.StatusOK, looked.status)
	require.Equal(r.t, "closed", looked.body["state"])
	require.Equal(r.t, wantOutcome, looked.body["outcome"])
	require.Equal(r.t, row.code, looked.code())
	require.Equal(r.t, a.body["run_id"], looked.body["run_id"])
	return patchID
}
