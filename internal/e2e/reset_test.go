package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// reset resets the game's latest run to its first workflow task, as an operator
// does in the UI, and returns the id of the new run.
func reset(t *testing.T, r *rig, game string) string {
	t.Helper()
	return resetTo(t, r, game, tasks(t, r, game)[0])
}

// resetTo is reset to the workflow task that ends with an event.
func resetTo(t *testing.T, r *rig, game string, event int64) string {
	t.Helper()
	described, err := r.temporal.DescribeWorkflowExecution(t.Context(), patch.WorkflowID(game), "")
	require.NoError(t, err)
	answer, err := r.temporal.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: "default",
		WorkflowExecution: &commonpb.WorkflowExecution{
			WorkflowId: patch.WorkflowID(game), RunId: described.GetWorkflowExecutionInfo().GetExecution().GetRunId(),
		},
		Reason: "test", RequestId: uuid.NewString(),
		WorkflowTaskFinishEventId: event,
	})
	require.NoError(t, err)
	return answer.GetRunId()
}

// tasks returns the events that end the workflow tasks of the game's latest run,
// in order: the points that it can be reset to.
func tasks(t *testing.T, r *rig, game string) []int64 {
	t.Helper()
	var ends []int64
	events := r.temporal.GetWorkflowHistory(t.Context(), patch.WorkflowID(game), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			ends = append(ends, event.GetEventId())
		}
	}
	return ends
}

// awaitRun waits for the end of one run of a patch.
func (r *rig) awaitRun(patchID, runID string) map[string]any {
	r.t.Helper()
	return r.awaitPatch(patchID, "the end of run "+runID, func(body map[string]any) bool {
		return body["state"] == "closed" && body["run_id"] == runID
	})
}

// TestResetAnywhere proves, for patches that ended in each way and for each of
// their workflow tasks, that a reset to it recreates nothing that stands
// already, leaves a row of its own for the new run, tells each change once, and
// ends with record and container together.
func TestResetAnywhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_MANAGER_BUDGET=2s")
	r.startWorker()
	for _, row := range []struct {
		name, record string
		prepare      func(game string)
		body         map[string]any
		// recreates are those of the first run, again those of the run after it
		// when it is reset to before its recreate: the first one was undone.
		recreates, again int
		first            patch.Code
		ends             string
	}{
		{name: "success", record: "success", body: map[string]any{"version": "1.4.3"}, recreates: 1, ends: "1.4.3"},
		{name: "forced", body: map[string]any{"version": "1.4.2", "force": true}, recreates: 1, ends: "1.4.2"},
		{name: "noop", body: map[string]any{"version": "1.4.2"}, ends: "1.4.2"},
		{name: "refused by Runtime Manager", body: map[string]any{"version": "1.4.3"}, prepare: func(game string) {
			r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusBadRequest, Times: 1})
		}, first: patch.CodeServiceUnavailable, again: 1, ends: "1.4.3"},
		{name: "put back", record: "put_back", body: map[string]any{"version": "1.4.3"}, prepare: func(game string) {
			r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusBadRequest, Times: 1})
		}, first: patch.CodeServiceUnavailable, recreates: 2, again: 1, ends: "1.4.3"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := r.in(t)
			for i, points := 0, 1; i < points; i++ {
				game := r.game()
				if row.prepare != nil {
					row.prepare(game)
				}
				patched := await(t, r.askBeside(game, maps.Clone(row.body)))
				require.Equal(t, row.first, patched.code())
				patchID, _ := patched.body["patch_id"].(string)
				ends := tasks(t, r, game)
				points = len(ends)
				body := r.awaitRun(patchID, resetTo(t, r, game, ends[i]))

				version, recreates := row.ends, row.recreates
				if row.again > 0 && body["outcome"] == "success" {
					recreates += row.again
				} else if row.first != "" {
					version = "1.4.2" // behind the failure: it fails as before
				}
				r.requireInLine(game, version, recreates)
				r.requireHonestRows(game, patchID, version)
				if row.record != "" {
					recordHistory(t, r, fmt.Sprintf("reset_%s_%d", row.record, i+1), game)
				}
			}
		})
	}
}

// requireHonestRows proves that two runs of a patch left a row each, and that
// the rows which tell a change lead from 1.4.2 to version without a gap.
func (r *rig) requireHonestRows(game, patchID, version string) {
	r.t.Helper()
	rows := r.audit(game)
	require.Len(r.t, rows, 2)
	require.NotEqual(r.t, rows[0].RunID, rows[1].RunID)
	at := "1.4.2"
	for _, row := range slices.Backward(rows) {
		require.Equal(r.t, patchID, row.PatchID)
		if row.Outcome == operation.OutcomeSuccess {
			require.Equal(r.t, at, row.FromVersion)
			at = row.ToVersion
		}
	}
	require.Equal(r.t, version, at)
}

// TestResetInFlight proves that a call for a recreate which is under way when
// its run is reset cannot land behind the run that took its place.
func TestResetInFlight(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	ends := tasks(t, r, game)
	require.Equal(t, "success", r.awaitRun(patchID, resetTo(t, r, game, ends[len(ends)-1]))["outcome"])
	r.landHeld(game)
	r.requireInLine(game, "1.4.3", 1)
	require.Len(t, r.audit(game), 1)
}

// TestResetOfAClosedRun proves that a reset recreates nothing that is done
// already, leaves an audit row of its own, and is what the patch's id leads to.
func TestResetOfAClosedRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	patched := r.patch(game, "1.4.3")
	require.Equal(t, http.StatusOK, patched.status)
	runID := reset(t, r, game)
	body := r.awaitRun(patched.body["patch_id"].(string), runID)
	require.Equal(t, "success", body["outcome"])
	require.Equal(t, true, body["noop"])
	rows := r.audit(game)
	require.Len(t, rows, 2)
	require.Equal(t, rows[0].PatchID, rows[1].PatchID)
	require.NotEqual(t, rows[0].RunID, rows[1].RunID)
	r.requireInLine(game, "1.4.3", 1)
}

// TestResetOfAnOpenRun proves that a caller who waits is answered by the run
// that took the place of the one that was reset.
func TestResetOfAnOpenRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang, Times: 1})
	waiting := r.patchBeside(game, "1.4.3")
	r.awaitCall(game)
	runID := reset(t, r, game)
	a := await(t, waiting)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, runID, a.body["run_id"])
	require.Len(t, r.audit(game), 1)
	r.requireInLine(game, "1.4.3", 1)
}
