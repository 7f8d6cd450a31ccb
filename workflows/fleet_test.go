package workflows_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/worker"
	"galaxy/gamemaster/workflows"
)

// fleet is everything outside a pass of the watch, in memory: many records, all
// running and in sync unless it is said otherwise. The real steps run over it.
type fleet struct {
	mu    sync.Mutex
	began time.Time
	size  int
	// status and image are those of the records that are not running on oldImage.
	status map[string]runtime.Status
	// seen says what a container is on; missing ones run the record's image. An
	// empty image is a container that is not there.
	seen map[string]string
	// inspect and open run in place of the look at a container and at the runs
	// when they are set.
	inspect func(gameID string, nth int) (ports.Container, error)
	open    func(gameID string) bool
	ended   []patch.EndedPage
	endedAt time.Time
	// sameAs lists one game in the place of another, as when rows move while a
	// pass walks.
	sameAs map[int]int
	// faults are the errors of the next calls of a port.
	faults map[string][]error

	inspected map[string]int
	found     map[string]drift.Finding
	finished  []ports.FinishPassInput
	rows      []operation.OperationEntry
	// steps has the number of activities of each run.
	steps []int
	// healed are the requests of the reconciliations, in order.
	healed []workflows.ReconcileInput
}

func newFleet(size int) *fleet {
	return &fleet{
		began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), size: size,
		status: map[string]runtime.Status{}, seen: map[string]string{}, faults: map[string][]error{},
		inspected: map[string]int{}, found: map[string]drift.Finding{},
	}
}

// game is the i-th record in the order of the pages.
func (f *fleet) game(i int) string { return fmt.Sprintf("g%06d", i) }

func (f *fleet) record(i int) runtime.RuntimeRecord {
	at := f.began.Add(-time.Duration(i) * time.Second)
	return runtime.RuntimeRecord{
		GameID: f.game(i), Status: cmp.Or(f.status[f.game(i)], runtime.StatusRunning),
		CurrentImageRef: oldImage, CurrentEngineVersion: "1.4.2", CreatedAt: at, UpdatedAt: at,
	}
}

// fault takes the next error of a port.
func (f *fleet) fault(call string) error {
	errs := f.faults[call]
	if len(errs) == 0 {
		return nil
	}
	f.faults[call] = errs[1:]
	return errs[0]
}

// The ports over the fleet.
type (
	fleetPages struct {
		ports.RuntimePager
		*fleet
	}
	fleetRecords struct {
		ports.RuntimeRecordStore
		*fleet
	}
	fleetLog struct {
		ports.OperationLogStore
		*fleet
	}
	fleetRTM struct {
		ports.RTMClient
		*fleet
	}
	fleetDrift struct{ *fleet }
	fleetRuns  struct{ *fleet }
)

func (f fleetPages) PageRuntimes(_ context.Context, input ports.RuntimePageInput) ([]runtime.RuntimeRecord, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(input.Validate(), f.fault("PageRuntimes")); err != nil {
		return nil, err
	}
	first := 0
	if input.After != nil {
		first = int(f.began.Sub(input.After.CreatedAt)/time.Second) + 1
	}
	var page []runtime.RuntimeRecord
	for i := first; i < min(first+input.Limit, f.size); i++ {
		record := f.record(i)
		if other, known := f.sameAs[i]; known {
			record.GameID = f.game(other)
		}
		page = append(page, record)
	}
	return page, nil
}

func (f fleetRecords) Get(_ context.Context, gameID string) (runtime.RuntimeRecord, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var i int
	_, err := fmt.Sscanf(gameID, "g%d", &i)
	return f.record(i), err
}

func (f fleetRTM) Inspect(_ context.Context, gameID string) (ports.Container, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inspected[gameID]++
	if f.inspect != nil {
		return f.inspect(gameID, f.inspected[gameID])
	}
	image, known := f.seen[gameID]
	if !known {
		image = oldImage
	}
	if image == "" {
		return ports.Container{}, ports.ErrContainerNotFound
	}
	return ports.Container{GameID: gameID, ImageRef: image, Status: ports.ContainerRunning}, nil
}

func (f fleetDrift) Note(_ context.Context, input ports.NoteDriftInput) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(input.Validate(), f.fault("Note")); err != nil {
		return err
	}
	for _, finding := range input.Found {
		f.found[finding.GameID] = finding
	}
	for _, gameID := range input.InSync {
		delete(f.found, gameID)
	}
	return nil
}

func (f fleetDrift) Finish(_ context.Context, input ports.FinishPassInput) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(input.Validate(), f.fault("Finish")); err != nil {
		return err
	}
	f.finished = append(f.finished, input)
	return nil
}

func (f fleetRuns) HasOpen(_ context.Context, gameID string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open != nil && f.open(gameID), nil
}

func (f fleetRuns) PageEnded(_ context.Context, since time.Time, pageToken []byte) (patch.EndedPage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endedAt = since
	if err := f.fault("PageEnded"); err != nil || len(f.ended) == 0 {
		return patch.EndedPage{}, err
	}
	return f.ended[len(pageToken)], nil
}

func (f fleetLog) ListByGame(context.Context, string, int) ([]operation.OperationEntry, error) {
	return nil, nil
}

func (f fleetLog) ListByPatch(context.Context, string) ([]operation.OperationEntry, error) {
	return nil, nil
}

func (f fleetLog) Append(_ context.Context, entry operation.OperationEntry) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, entry)
	return int64(len(f.rows)), nil
}

// passed is what a pass came to.
type passed struct {
	pass drift.Pass
	err  error
	// progress is what the last run answered to the query.
	progress workflows.PassProgress
	env      *testsuite.TestWorkflowEnvironment
}

// reconcile stands in for [workflows.ReconcileRuntime], which is proven
// elsewhere: it takes as long as a reconciliation may.
func (f *fleet) reconcile(ctx workflow.Context, input workflows.ReconcileInput) (patch.Result, error) {
	f.mu.Lock()
	f.healed = append(f.healed, input)
	f.mu.Unlock()
	return patch.Result{}, workflow.Sleep(ctx, time.Hour)
}

// watch carries one pass out, run by run. arrange may set delayed callbacks.
func (f *fleet) watch(t *testing.T, input workflows.WatchInput, arrange ...func(*testsuite.TestWorkflowEnvironment)) passed {
	t.Helper()
	steps, err := activities.NewWatch(activities.WatchDependencies{
		RuntimePages: fleetPages{fleet: f}, RuntimeRecords: fleetRecords{fleet: f}, RTM: fleetRTM{fleet: f},
		Drift: fleetDrift{f}, Runs: fleetRuns{f}, OperationLogs: fleetLog{fleet: f},
	})
	require.NoError(t, err)
	for {
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
		env := suite.NewTestWorkflowEnvironment()
		worker.RegisterWatch(env, steps)
		env.RegisterWorkflowWithOptions(f.reconcile, workflow.RegisterOptions{Name: workflows.ReconcileRuntimeType})
		env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "reconcile-runtimes", TaskQueue: workflows.TaskQueue})
		n := 0
		env.SetOnActivityStartedListener(func(*activity.Info, context.Context, converter.EncodedValues) { n++ })
		for _, arrange := range arrange {
			arrange(env)
		}
		env.ExecuteWorkflow(workflows.ReconcileRuntimesType, input)
		require.True(t, env.IsWorkflowCompleted())
		f.steps = append(f.steps, n)
		p := passed{err: env.GetWorkflowError(), env: env}
		answer, err := env.QueryWorkflow(workflows.ProgressQuery)
		require.NoError(t, err)
		require.NoError(t, answer.Get(&p.progress))
		var next *workflow.ContinueAsNewError
		if !errors.As(p.err, &next) {
			if p.err == nil {
				require.NoError(t, env.GetWorkflowResult(&p.pass))
			}
			return p
		}
		require.Equal(t, workflows.ReconcileRuntimesType, next.WorkflowType.Name)
		require.Less(t, next.Input.Size(), 1000, "what is carried over has to stay small")
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &input))
	}
}

// requireFailed proves that a pass closed as Failed with a code, and that it
// kept no summary.
func (f *fleet) requireFailed(t *testing.T, p passed, code patch.Code) *temporal.ApplicationError {
	t.Helper()
	var application *temporal.ApplicationError
	require.ErrorAs(t, p.err, &application)
	require.Equal(t, string(code), application.Type(), application.Message())
	require.Empty(t, f.finished)
	return application
}
