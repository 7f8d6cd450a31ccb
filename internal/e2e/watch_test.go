package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
)

// watched is for a rig whose passes begin when the test says so: the next one by
// itself is a day away.
const watched = "GAMEMASTER_WATCH_INTERVAL=24h"

func (r *rig) schedule() client.ScheduleHandle {
	r.t.Helper()
	return r.temporal.ScheduleClient().GetHandle(r.t.Context(), starter.WatchID(r.taskQueue()))
}

// pass has the watch make a pass now and returns its summary.
func (r *rig) pass() drift.Pass {
	r.t.Helper()
	return r.passWithin(patience)
}

// passWithin is [rig.pass] for a pass that may take longer.
func (r *rig) passWithin(most time.Duration) drift.Pass {
	r.t.Helper()
	// Temporal names a pass after the second in which it was asked for, and makes
	// one of a name only.
	second := time.Now().Truncate(time.Second)
	require.Eventually(r.t, func() bool { return time.Since(second) >= time.Second }, patience, waitTick)
	before, err := r.schedule().Describe(r.t.Context())
	require.NoError(r.t, err)
	// The end of the pass before may not have got round yet.
	require.NoError(r.t, r.schedule().Trigger(r.t.Context(), client.ScheduleTriggerOptions{
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
	}))
	var began *client.ScheduleWorkflowExecution
	require.Eventually(r.t, func() bool {
		described, err := r.schedule().Describe(r.t.Context())
		if err != nil || described.Info.NumActions == before.Info.NumActions {
			return false
		}
		began = described.Info.RecentActions[len(described.Info.RecentActions)-1].StartWorkflowResult
		return true
	}, patience, waitTick, "the start of a pass")
	ctx, cancel := context.WithTimeout(r.t.Context(), most)
	defer cancel()
	var pass drift.Pass
	require.NoError(r.t, r.temporal.GetWorkflow(ctx, began.WorkflowID, began.FirstExecutionRunID).Get(ctx, &pass))
	last, err := postgres.NewDrift(r.pool).LastPass(ctx)
	require.NoError(r.t, err)
	require.Equal(r.t, pass.ID, last.ID)
	r.lastPass = *began
	return pass
}

// findings are the open findings, as GET /drift tells them, by game.
func (r *rig) findings() map[string]string {
	r.t.Helper()
	a := r.call(http.MethodGet, base+"/drift?limit=100", "")
	require.Equal(r.t, http.StatusOK, a.status, a.body)
	kinds := map[string]string{}
	for key := range a.body {
		items, _ := a.body[key].([]any)
		for _, item := range items {
			finding := item.(map[string]any)
			kinds[finding["game_id"].(string)] = finding["kind"].(string)
		}
	}
	return kinds
}

// watchedWorker starts a worker and waits until it keeps the schedule.
func (r *rig) watchedWorker(environ ...string) *process {
	r.t.Helper()
	p := start(r.t, append(slices.Clone(r.environ), environ...), "worker", "--probes", "127.0.0.1:0")
	r.probes = fmt.Sprintf("http://%s", p.awaitLog("probes are listening")["addr"])
	p.awaitLog("watch is kept")
	return p
}

// TestWatch proves that a pass finds a difference of each kind, on the real
// parts and from the schedule to the API, leaves a game alone that is being
// patched, tells the metrics, and resolves what is gone.
func TestWatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, watched)
	r.watchedWorker()
	fine, drifted, missing, extra, busy := r.game(), r.game(), r.game(), r.game(), r.game()
	require.NoError(t, r.simulator.PutRuntime(drifted, image("1.4.4"), rtmsim.StatusRunning))
	_, err := r.simulator.DeleteRuntime(missing)
	require.NoError(t, err)
	r.exec("UPDATE runtime_records SET status = 'stopped' WHERE game_id = $1", extra)
	require.NoError(t, r.simulator.PutRuntime(busy, image("1.4.4"), rtmsim.StatusRunning))
	// Every attempt hangs, so that the game is still being patched at the second pass.
	r.fault(rtmsim.Fault{GameID: busy, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang})
	r.async(busy, "1.4.3")
	r.awaitCall(busy)

	pass := r.pass()
	require.Equal(t, drift.Counts{Checked: 4, InSync: 1, ImageDrift: 1, Missing: 1, Extra: 1, Skipped: 1}, pass.Counts)
	require.Equal(t, map[string]string{drifted: "image_drift", missing: "missing", extra: "extra"}, r.findings())
	metrics := r.metrics()
	require.Contains(t, metrics, `gamemaster_drift_findings{kind="image_drift"} 1`)
	require.Contains(t, metrics, `gamemaster_watch_last_pass_runtimes{result="skipped"} 1`)

	require.NoError(t, r.simulator.PutRuntime(drifted, image("1.4.2"), rtmsim.StatusRunning))
	require.NoError(t, r.simulator.PutRuntime(missing, image("1.4.2"), rtmsim.StatusRunning))
	r.exec("DELETE FROM runtime_records WHERE game_id = $1", extra)
	pass = r.pass()
	require.Equal(t, drift.Counts{Checked: 3, InSync: 3, Skipped: 1}, pass.Counts)
	require.Empty(t, r.findings())
	recordRun(t, r, "watch", r.lastPass.WorkflowID, r.lastPass.FirstExecutionRunID)
	require.Equal(t, image("1.4.2"), r.record(fine).CurrentImageRef)
	for _, game := range []string{fine, drifted, missing} {
		require.Empty(t, r.audit(game), "the watch only looks")
	}
}

// metrics are what the worker tells of itself.
func (r *rig) metrics() string {
	r.t.Helper()
	response, err := http.Get(r.probes + "/metrics")
	require.NoError(r.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)
	return string(text)
}

// TestWatchHeals proves that a drifted container is brought back by itself when
// that is configured, with an audit row of its own, and that nothing else is
// touched.
func TestWatchHeals(t *testing.T) {
	t.Parallel()
	r := newRig(t, watched, "GAMEMASTER_WATCH_HEAL=enforce")
	r.watchedWorker()
	drifted, missing := r.game(), r.game()
	require.NoError(t, r.simulator.PutRuntime(drifted, image("1.4.4"), rtmsim.StatusRunning))
	_, err := r.simulator.DeleteRuntime(missing)
	require.NoError(t, err)
	pass := r.pass()
	require.Equal(t, drift.Counts{Checked: 2, ImageDrift: 1, Missing: 1}, pass.Counts)
	recordRun(t, r, "watch_heals", r.lastPass.WorkflowID, r.lastPass.FirstExecutionRunID)
	require.Eventually(t, func() bool { return len(r.audit(drifted)) > 0 }, patience, waitTick)
	row := r.audit(drifted)[0]
	require.Equal(t, operation.OpKindReconcile, row.OpKind)
	require.Equal(t, operation.OpSourceSystem, row.OpSource)
	require.Equal(t, operation.OutcomeSuccess, row.Outcome, row.ErrorMessage)
	require.Equal(t, "watch", row.Actor)
	require.Equal(t, pass.ID, row.SourceRef)
	r.requireInLine(drifted, "1.4.2", 1)
	body := r.awaitEnd(row.PatchID)
	require.Equal(t, "reconcile", body["kind"])
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, r.closeStatus(drifted))

	require.Equal(t, drift.Counts{Checked: 2, InSync: 1, Missing: 1}, r.pass().Counts)
	require.Equal(t, map[string]string{missing: "missing"}, r.findings())
	require.Empty(t, r.audit(missing))
	require.Len(t, r.audit(drifted), 1)
}

// TestWatchTellsOfEndedRuns proves that a patch which an operator terminated
// gets its audit row from the watch, once, and that one which was reset does
// not.
func TestWatchTellsOfEndedRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t, watched)
	r.watchedWorker()
	ended, again := r.game(), r.game()
	for _, game := range []string{ended, again} {
		r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang, Times: 1})
	}
	id, resetID := r.async(ended, "1.4.3"), r.async(again, "1.4.3")
	r.awaitCall(ended)
	r.awaitCall(again)
	require.NoError(t, r.temporal.TerminateWorkflow(t.Context(), patch.WorkflowID(ended), "", "test"))
	reset(t, r, again)
	r.awaitEnd(resetID)
	// Temporal lists a closed run about a second after its end.
	require.Eventually(t, func() bool {
		r.pass()
		return len(r.audit(ended)) > 0
	}, patience, waitTick)
	r.pass()
	rows := r.audit(ended)
	require.Len(t, rows, 1)
	require.Equal(t, string(patch.CodeTerminated), rows[0].ErrorCode)
	require.Equal(t, id, rows[0].PatchID)
	require.Equal(t, "1.4.3", rows[0].ToVersion)
	require.Equal(t, "e2e", rows[0].Actor)
	require.Regexp(t, "^terminated by .+: test$", rows[0].Reason)
	require.Len(t, r.audit(again), 1, "the run that was reset has no row beside its successor's")
}

// fleetPatience bounds a pass over a whole fleet; it is only ever reached by a
// failure. A machine that is busy with other tests takes a minute for it.
const fleetPatience = 10 * time.Minute

// TestWatchOfAFleet proves that one pass goes over a fleet of more pages than one
// run walks, on the real parts, and that each run has a short history.
func TestWatchOfAFleet(t *testing.T) {
	t.Parallel()
	// More than one run takes, so that a second one goes on.
	const size = 22_500
	r := newRig(t, watched)
	r.watchedWorker()
	r.exec(`INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version, created_at, updated_at)
		SELECT 'g' || i, 'running', $1, '1.4.2', now() - i * interval '1 second', now() FROM generate_series(1, $2) i`,
		image("1.4.2"), size)
	for i := range size {
		require.NoError(t, r.simulator.PutRuntime(fmt.Sprintf("g%d", i+1), image("1.4.2"), rtmsim.StatusRunning))
	}
	require.NoError(t, r.simulator.PutRuntime("g22222", image("1.4.3"), rtmsim.StatusRunning))
	pass := r.passWithin(fleetPatience)
	require.Equal(t, drift.Counts{Checked: size, InSync: size - 1, ImageDrift: 1}, pass.Counts)
	t.Logf("%d records in %s", size, pass.FinishedAt.Sub(pass.StartedAt))
	require.Equal(t, map[string]string{"g22222": "image_drift"}, r.findings())

	described, err := r.schedule().Describe(t.Context())
	require.NoError(t, err)
	workflowID := described.Info.RecentActions[0].StartWorkflowResult.WorkflowID
	first, err := r.temporal.DescribeWorkflowExecution(t.Context(), workflowID, pass.ID)
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, first.GetWorkflowExecutionInfo().GetStatus())
	require.Less(t, first.GetWorkflowExecutionInfo().GetHistoryLength(), int64(1000))
}

// TestWatchSchedule proves, on a real server, that workers which start at the
// same time keep one schedule, that settings reach it, that an operator's pause
// stays, and that it goes when no watch is wanted.
func TestWatchSchedule(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t, watched)
	first, second := r.startWorker(), r.startWorker()
	first.awaitLog("watch is kept")
	second.awaitLog("watch is kept")
	described, err := r.schedule().Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, 24*time.Hour, described.Schedule.Spec.Intervals[0].Every)
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, described.Schedule.Policy.Overlap)
	require.Equal(t, time.Minute, described.Schedule.Policy.CatchupWindow)

	require.NoError(t, r.schedule().Pause(t.Context(), client.SchedulePauseOptions{Note: "ann: migration"}))
	r.watchedWorker("GAMEMASTER_WATCH_INTERVAL=12h", "GAMEMASTER_WATCH_HEAL=enforce")
	described, err = r.schedule().Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, 12*time.Hour, described.Schedule.Spec.Intervals[0].Every)
	require.True(t, described.Schedule.State.Paused)
	require.Equal(t, "ann: migration", described.Schedule.State.Note)

	r.watchedWorker("GAMEMASTER_WATCH_INTERVAL=0")
	_, err = r.schedule().Describe(t.Context())
	var notFound *serviceerror.NotFound
	require.ErrorAs(t, err, &notFound)
}
