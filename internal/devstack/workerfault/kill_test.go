package workerfault_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/devstack/workerfault"
)

// TestKill proves, with real processes on a real server, that a worker ends where
// its fault says and leaves its witness, and that the next worker finishes the
// run without meeting a fault that is used up.
func TestKill(t *testing.T) {
	t.Parallel()
	const regular, local = false, true
	both := []string{"First", "Second"}
	for _, row := range []struct {
		fault workerfault.Fault
		local bool
		// atKill is what had been run when the process was killed, and after
		// what the next one ran.
		atKill, after []string
	}{
		{workerfault.Fault{Mode: workerfault.KillBefore, Activity: "Second"}, regular, []string{"First"}, []string{"Second"}},
		{workerfault.Fault{Mode: workerfault.KillAfter, Activity: "First"}, regular, []string{"First"}, both},
		// Local activities are run again with the task that they belong to.
		{workerfault.Fault{Mode: workerfault.KillBefore, Activity: "Second"}, local, []string{"First"}, both},
		{workerfault.Fault{Mode: workerfault.KillAfter, Activity: "Second"}, local, both, both},
		{workerfault.Fault{Mode: workerfault.KillInTask, Activity: "First"}, regular, nil, both},
		{workerfault.Fault{Mode: workerfault.KillInTask, Activity: "Second"}, regular, []string{"First"}, []string{"Second"}},
		{workerfault.Fault{Mode: workerfault.KillInTask, Activity: "Second"}, local, []string{"First"}, both},
		{workerfault.Fault{Mode: workerfault.KillAtClose}, regular, both, nil},
		{workerfault.Fault{Mode: workerfault.KillAtClose}, local, both, both},
	} {
		t.Run(fmt.Sprintf("%s/%s/%t", row.fault.Mode, row.fault.Activity, row.local), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			_, run := b.start(journey{Local: row.local, Attempt: 2 * time.Second, Steps: both})
			row.fault.Name, row.fault.GameID, row.fault.Times = "f", b.game, 1
			require.NoError(t, workerfault.AddFaults(filesIn(b.dir).Plan,
				workerfault.Fault{Name: "another game's", Mode: workerfault.KillBefore, GameID: "nobody"}, row.fault))
			first := b.work()
			first.awaitKill(t)
			require.Equal(t, row.atKill, b.effectsOrNil())
			entries := b.journal()
			require.Len(t, entries, 1)
			entry := entries[0]
			require.Equal(t, first.Process.Pid, entry.PID)
			require.Equal(t, "f", entry.Fault)
			require.Equal(t, row.fault.Mode, entry.Mode)
			require.Equal(t, row.fault.Activity, entry.Activity)
			require.Equal(t, b.game, entry.GameID)
			require.Equal(t, run.GetRunID(), entry.RunID)
			require.WithinDuration(t, time.Now(), entry.Time, patience)
			if strings.HasPrefix(string(row.fault.Mode), "kill_in") || row.fault.Mode == workerfault.KillAtClose {
				require.Zero(t, entry.Attempt)
			} else {
				require.EqualValues(t, 1, entry.Attempt)
				require.Equal(t, row.local, entry.Local)
			}

			b.work()
			b.wantAnswers(run, "first", "second")
			require.Equal(t, append(row.atKill, row.after...), b.effects())
			require.Len(t, b.journal(), 1)
		})
	}
}

// TestReplayIsSpared proves that a fault of a workflow task is not met by a
// decision that was taken before the fault was planned, when another worker
// replays the run.
func TestReplayIsSpared(t *testing.T) {
	t.Parallel()
	second := workerfault.Fault{Name: "second", Mode: workerfault.KillInTask, Activity: "Second", Times: 1}
	b := newBench(t, second)
	_, run := b.start(journey{Attempt: 2 * time.Second, Steps: []string{"First", "Second"}})
	b.work().awaitKill(t)
	require.NoError(t, workerfault.AddFaults(filesIn(b.dir).Plan,
		workerfault.Fault{Name: "first", Mode: workerfault.KillInTask, Activity: "First"}))
	b.work()
	b.wantAnswers(run, "first", "second")
	require.Len(t, b.journal(), 1)
}

func (b *bench) effectsOrNil() []string {
	b.Helper()
	if effects := b.effects(); len(effects) > 0 {
		return effects
	}
	return nil
}

// wantAnswers waits for the end of the run.
func (b *bench) wantAnswers(run client.WorkflowRun, answers ...string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	var got []string
	require.NoError(b, run.Get(ctx, &got))
	require.Equal(b, answers, got)
}

// TestStop proves that a worker stands still where its fault says, and goes on
// from there when it is told to.
func TestStop(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has /proc, where a process is seen to stand still")
	}
	for mode, effects := range map[workerfault.Mode][]string{
		workerfault.StopBefore: nil,
		workerfault.StopAfter:  {"First"},
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, workerfault.Fault{Name: "f", Mode: mode, Times: 1})
			_, run := b.start(journey{Attempt: patience, Steps: []string{"First"}})
			worker := b.work()
			require.Eventually(t, func() bool { return stopped(worker.Process.Pid) }, patience, 5*time.Millisecond)
			require.Equal(t, worker.Process.Pid, b.journal()[0].PID)
			require.Equal(t, effects, b.effectsOrNil())
			require.NoError(t, worker.Process.Signal(syscall.SIGCONT))
			b.wantAnswers(run, "first")
			require.Equal(t, []string{"First"}, b.effects())
		})
	}
}

// stopped reports whether the kernel has a process stopped.
func stopped(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "T")
}

// TestUnanswered proves that an attempt which is never answered is timed out, by
// the server or, for a local activity, by its own worker, and that the step is
// tried again; it was run if the fault says so.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	for mode, runs := range map[workerfault.Mode]int{workerfault.Silent: 2, workerfault.HangBefore: 1} {
		for _, local := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", mode, local), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, workerfault.Fault{Name: "f", Mode: mode, LastAttempt: 1})
				c, run := b.start(journey{Local: local, Attempt: 500 * time.Millisecond, Steps: []string{"First"}})
				b.work()
				b.wantAnswers(run, "first")
				require.Len(t, b.effects(), runs)
				require.Len(t, b.journal(), 1)
				if !local {
					b.wantTimedOut(c, run)
				}
			})
		}
	}
}

// wantTimedOut checks that the server timed the first attempt of a step out.
func (b *bench) wantTimedOut(c client.Client, run client.WorkflowRun) {
	b.Helper()
	history := c.GetWorkflowHistory(b.Context(), run.GetID(), run.GetRunID(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(b, err)
		if attributes := event.GetActivityTaskStartedEventAttributes(); attributes != nil {
			require.EqualValues(b, 2, attributes.Attempt)
			require.Equal(b, enumspb.TIMEOUT_TYPE_START_TO_CLOSE, attributes.LastFailure.GetTimeoutFailureInfo().GetTimeoutType())
			return
		}
	}
	require.Fail(b, "no step was started")
}
