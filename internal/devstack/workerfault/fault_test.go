package workerfault_test

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"galaxy/gamemaster/internal/devstack/workerfault"
	"galaxy/gamemaster/internal/domain/patch"
)

// walk runs the steps in the SDK's test environment, as a patch of the bench's
// game.
func (b *bench) walk(j journey) ([]string, error) {
	b.Helper()
	faults, err := workerfault.New(filesIn(b.dir))
	require.NoError(b, err)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: patch.WorkflowID(b.game)})
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{faults}})
	env.RegisterActivity(&steps{b.dir})
	env.ExecuteWorkflow(walk, j)
	if err := env.GetWorkflowError(); err != nil {
		return nil, err
	}
	var answers []string
	err = env.GetWorkflowResult(&answers)
	return answers, err
}

// TestSteps proves of every mode that leaves the process alive how often the step
// is run, what is told of it, and that regular and local activities are alike in
// that.
func TestSteps(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		fault workerfault.Fault
		step  string
		runs  int
		fails string // the type of the error that the run ends with
		fired int
	}{
		{"error before", workerfault.Fault{Mode: workerfault.ErrorBefore, Times: 2}, "First", 1, "", 2},
		{"error before, always", workerfault.Fault{Mode: workerfault.ErrorBefore, Code: "service_unavailable"}, "First", 0, "service_unavailable", 5},
		{"told error", workerfault.Fault{Mode: workerfault.ToldError, Times: 2}, "First", 3, "", 2},
		{"told error of a code", workerfault.Fault{Mode: workerfault.ToldError, Code: "service_unavailable"}, "First", 5, "service_unavailable", 5},
		{"second attempt", workerfault.Fault{Mode: workerfault.ToldError, FirstAttempt: 2, LastAttempt: 2}, "First", 1, "", 0},
		{"first three attempts", workerfault.Fault{Mode: workerfault.ToldError, LastAttempt: 3}, "First", 4, "", 3},
		{"from the third attempt on", workerfault.Fault{Mode: workerfault.ErrorBefore, FirstAttempt: 3}, "First", 1, "", 0},
		{"a step that fails", workerfault.Fault{Mode: workerfault.ToldError, Times: 1}, "Broken", 2, "refused", 1},
		{"another step", workerfault.Fault{Mode: workerfault.ErrorBefore, Activity: "Second"}, "First", 1, "", 0},
		{"this step", workerfault.Fault{Mode: workerfault.ErrorBefore, Activity: "First", Times: 1}, "First", 1, "", 1},
		{"another game", workerfault.Fault{Mode: workerfault.ErrorBefore, GameID: "game-2"}, "First", 1, "", 0},
		{"this game", workerfault.Fault{Mode: workerfault.ErrorBefore, GameID: "game-1", Times: 1}, "First", 1, "", 1},
	} {
		for _, local := range []bool{false, true} {
			name := row.name + "/regular"
			if local {
				name = row.name + "/local"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				fault := row.fault
				fault.Name = "f"
				b := newBench(t, fault)
				answers, err := b.walk(journey{Local: local, Attempt: 100 * time.Millisecond, Steps: []string{row.step}})
				require.Len(t, b.effects(), row.runs)
				require.Len(t, b.journal(), row.fired)
				for _, entry := range b.journal() {
					require.Equal(t, local, entry.Local)
					require.Equal(t, row.step, entry.Activity)
					require.Equal(t, row.step == "Broken", entry.StepFailed)
				}
				if row.fails == "" {
					require.NoError(t, err)
					require.Equal(t, []string{"first"}, answers)
					return
				}
				var told *temporal.ApplicationError
				require.ErrorAs(t, err, &told)
				require.Equal(t, row.fails, told.Type())
			})
		}
	}
}

// TestTaskFaultsSpareSteps proves that a fault of workflow tasks is not met by the
// step that has its name, and that one of a step is not met by its task: the
// process would be gone.
func TestTaskFaultsSpareSteps(t *testing.T) {
	t.Parallel()
	b := newBench(t, workerfault.Fault{Name: "f", Mode: workerfault.KillInTask, Activity: "Second"})
	answers, err := b.walk(journey{Attempt: time.Second, Steps: []string{"First"}})
	require.NoError(t, err)
	require.Equal(t, []string{"first"}, answers)
	require.Empty(t, b.journal())
}

// TestPlanChanges proves that faults which are added and taken away are noticed by
// a worker that runs, that a line which is still being written waits, and that a
// plan which cannot be understood fails the steps with the reason.
func TestPlanChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	plan := filesIn(b.dir).Plan
	faults, err := workerfault.New(filesIn(b.dir))
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{faults}})
	env.RegisterActivity(&steps{b.dir})
	step := func() error {
		var s *steps
		_, err := env.ExecuteActivity(s.First)
		return err
	}
	require.NoError(t, step())
	require.NoError(t, workerfault.AddFaults(plan, workerfault.Fault{Name: "added", Mode: workerfault.ErrorBefore}))
	require.ErrorContains(t, step(), `injected by fault "added"`)
	require.NoError(t, workerfault.WritePlan(plan))
	require.NoError(t, step())

	file, err := os.OpenFile(plan, os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer file.Close()
	write := func(text string) {
		_, err := file.WriteString(text)
		require.NoError(t, err)
	}
	write(`{"name":"slowly written","mode":`)
	require.NoError(t, step())
	write(`"error_before"}` + "\n\n")
	require.ErrorContains(t, step(), `injected by fault "slowly written"`)
	write(`{"name":"f","mode":"error_before","activty":"First"}` + "\n")
	require.ErrorContains(t, step(), `plan, line 3: json: unknown field "activty"`)
	require.NoError(t, os.Remove(plan))
	require.ErrorContains(t, step(), "read the plan")
	require.Len(t, b.effects(), 3)
}

// TestNew proves that a worker without a plan or a journal does not start.
func TestNew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	files := filesIn(b.dir)
	_, err := workerfault.New(workerfault.Files{Plan: files.Plan})
	require.ErrorContains(t, err, "the journal has no name")
	_, err = workerfault.New(workerfault.Files{Plan: files.Plan + "-absent", Journal: files.Journal})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(files.Plan, []byte("nonsense\n"), 0o600))
	_, err = workerfault.New(files)
	require.ErrorContains(t, err, "plan, line 1")
}

// TestTimesAreShared proves that a fault fires as often as it says over all
// workers that share a journal, however many meet it at once, also after a line
// that somebody was killed in the middle of.
func TestTimesAreShared(t *testing.T) {
	t.Parallel()
	const workers, tries = 8, 20
	b := newBench(t, workerfault.Fault{Name: "f", Mode: workerfault.ErrorBefore, Times: 50}, workerfault.Fault{Name: "g", Mode: workerfault.ErrorBefore, Times: 20})
	require.NoError(t, os.WriteFile(filesIn(b.dir).Journal, []byte(`{"fault":"f","mode":"error_b`), 0o600))
	var group sync.WaitGroup
	var failed atomic.Int32
	begin := make(chan struct{})
	for range workers {
		// Each opens the files for itself, as another process would.
		faults, err := workerfault.New(filesIn(b.dir))
		require.NoError(t, err)
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestActivityEnvironment()
		env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{faults}})
		env.RegisterActivity(nothing)
		group.Go(func() {
			<-begin
			for range tries {
				if _, err := env.ExecuteActivity(nothing); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	close(begin)
	group.Wait()
	require.EqualValues(t, 70, failed.Load())
	fired := map[string]int{}
	for _, entry := range b.journal() {
		fired[entry.Fault]++
	}
	require.Equal(t, map[string]int{"f": 50, "g": 20}, fired)
}

// TestJournalIsLocked proves that a fault which another process is about to use up
// waits for it, and then finds it used up.
func TestJournalIsLocked(t *testing.T) {
	t.Parallel()
	b := newBench(t, workerfault.Fault{Name: "f", Mode: workerfault.ErrorBefore, Times: 1})
	journal, err := os.OpenFile(filesIn(b.dir).Journal, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	require.NoError(t, err)
	defer journal.Close()
	require.NoError(t, syscall.Flock(int(journal.Fd()), syscall.LOCK_EX))
	result := make(chan error, 1)
	go func() {
		_, err := b.walk(journey{Attempt: patience, Steps: []string{"First"}})
		result <- err
	}()
	select {
	case err := <-result:
		require.Fail(t, "it did not wait", err)
	case <-time.After(200 * time.Millisecond): // a step takes a few
	}
	_, err = journal.WriteString(`{"fault":"f","mode":"error_before"}` + "\n")
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(journal.Fd()), syscall.LOCK_UN))
	require.NoError(t, <-result)
	require.Len(t, b.journal(), 1)
	require.Equal(t, []string{"First"}, b.effects())
}

func nothing(context.Context) error { return nil }

// TestFaultValidate proves that a fault which could not do what is asked of it is
// refused with the reason, and never written.
func TestFaultValidate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, row := range []struct {
		fault workerfault.Fault
		says  string
	}{
		{workerfault.Fault{Mode: workerfault.Silent}, "needs a name"},
		{workerfault.Fault{Name: "f"}, `no mode ""`},
		{workerfault.Fault{Name: "f", Mode: "nap"}, `no mode "nap"`},
		{workerfault.Fault{Name: "f", Mode: workerfault.Silent, FirstAttempt: 3, LastAttempt: 2}, "attempts 3 to 2"},
		{workerfault.Fault{Name: "f", Mode: workerfault.Silent, FirstAttempt: -1}, "attempts -1 to 0"},
		{workerfault.Fault{Name: "f", Mode: workerfault.KillInTask, FirstAttempt: 1}, "no attempts"},
		{workerfault.Fault{Name: "f", Mode: workerfault.KillAtClose, Activity: "First"}, "no activity's"},
		{workerfault.Fault{Name: "f", Mode: workerfault.Silent, Code: "conflict"}, "answers no code"},
		{workerfault.Fault{Name: "f", Mode: workerfault.Silent, Times: -1}, "must not be negative"},
	} {
		require.ErrorContains(t, row.fault.Validate(), row.says)
		require.ErrorContains(t, workerfault.AddFaults(filesIn(b.dir).Plan, row.fault), row.says)
		require.ErrorContains(t, workerfault.WritePlan(filesIn(b.dir).Plan, row.fault), row.says)
	}
	text, err := os.ReadFile(filesIn(b.dir).Plan)
	require.NoError(t, err)
	require.Empty(t, text)
	require.Error(t, workerfault.WritePlan(b.dir+"/absent/plan"))
	require.Error(t, workerfault.AddFaults(b.dir+"/absent/plan"))
}
