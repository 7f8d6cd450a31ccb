package e2e_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/worker"
	"galaxy/gamemaster/workflows"
)

// awaitExport waits until the history of the patch's run is in the store.
func (r *rig) awaitExport(patchID string) history.Run {
	r.t.Helper()
	var kept []history.Run
	require.Eventually(r.t, func() bool {
		var err error
		kept, err = postgres.NewHistories(r.pool).ListHistories(r.t.Context(), patchID, 10)
		return err == nil && len(kept) > 0
	}, patience, waitTick, "the export of %s", patchID)
	require.Len(r.t, kept, 1)
	return kept[0]
}

// forget has Temporal forget a run, as it does when the retention is over.
func (r *rig) forget(run history.Ref) {
	r.t.Helper()
	_, err := r.temporal.WorkflowService().DeleteWorkflowExecution(r.t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: client.DefaultNamespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: run.WorkflowID, RunId: run.RunID},
	})
	require.NoError(r.t, err)
	require.Eventually(r.t, func() bool {
		_, err := r.temporal.DescribeWorkflowExecution(r.t.Context(), run.WorkflowID, run.RunID)
		var notFound *serviceerror.NotFound
		return errors.As(err, &notFound)
	}, patience, waitTick, "the end of run %s", run.RunID)
}

// recordExport waits for the end of the first pass that the schedule tells of, and
// has its history recorded.
func (r *rig) recordExport() {
	r.t.Helper()
	described, err := r.temporal.ScheduleClient().GetHandle(r.t.Context(), starter.ExportID(r.taskQueue())).Describe(r.t.Context())
	require.NoError(r.t, err)
	require.NotEmpty(r.t, described.Info.RecentActions)
	began := described.Info.RecentActions[0].StartWorkflowResult
	var progress workflows.ExportProgress
	require.NoError(r.t, r.temporal.GetWorkflow(r.t.Context(), began.WorkflowID, began.FirstExecutionRunID).Get(r.t.Context(), &progress))
	require.Positive(r.t, progress.Pages)
	recordRun(r.t, r, "export", began.WorkflowID, began.FirstExecutionRunID)
}

// TestHistoryOutlivesTemporal proves that the history of a run is exported when it
// has closed, by a termination as well; that after Temporal has forgotten the run
// API and command line show the same events; and that what they show replays.
func TestHistoryOutlivesTemporal(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_EXPORT_INTERVAL=10s")
	r.startWorker()
	shell := []string{"GAMEMASTER_SERVER=" + r.url, "GAMEMASTER_TOKEN=" + token}
	patched, ended := r.game(), r.game()
	done, _ := r.patch(patched, "1.4.3").body["patch_id"].(string)
	r.fault(rtmsim.Fault{GameID: ended, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang})
	terminated := r.async(ended, "1.4.3")
	r.awaitCall(ended)
	open := r.call(http.MethodGet, base+"/patches/"+terminated+"/history", "")
	require.Equal(t, "Running", open.body["run"].(map[string]any)["status"], open.body)
	require.NoError(t, r.temporal.TerminateWorkflow(t.Context(), patch.WorkflowID(ended), "", "had to go"))

	replayer := worker.NewReplayer(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	for patchID, status := range map[string]string{done: "Completed", terminated: "Terminated"} {
		run := r.awaitExport(patchID)
		require.Equal(t, status, run.Status)
		require.Empty(t, run.ReplayError)
		before := r.call(http.MethodGet, base+"/patches/"+patchID+"/history", "")
		require.Equal(t, "temporal", before.body["run"].(map[string]any)["source"])

		r.forget(run.Ref)
		after := r.call(http.MethodGet, base+"/patches/"+patchID+"/history", "")
		require.Equal(t, http.StatusOK, after.status, after.body)
		told := after.body["run"].(map[string]any)
		require.Equal(t, "export", told["source"])
		require.Equal(t, status, told["status"])
		require.EqualValues(t, run.Events, told["events"])
		require.Equal(t, before.body["history"], after.body["history"], "every event is what Temporal had")

		code, printed := runToEnd(t, shell, "patches", "history", patchID, "--json")
		require.Zero(t, code, printed)
		require.NoError(t, replayer.Replay([]byte(printed)))
		var events any
		require.NoError(t, json.Unmarshal([]byte(printed), &events))
		require.Equal(t, after.body["history"], events)
	}
	r.recordExport()
	code, printed := runToEnd(t, shell, "patches", "history", done)
	require.Zero(t, code, printed)
	require.Contains(t, printed, "PatchContainer done")
	require.Contains(t, printed, "replays       yes")
	code, printed = runToEnd(t, shell, "patches", "history", terminated)
	require.Zero(t, code, printed)
	require.Contains(t, printed, "terminated")
	require.Contains(t, printed, "had to go")
}
