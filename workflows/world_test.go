package workflows_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/worker"
	"galaxy/gamemaster/workflows"
)

const (
	gameID   = "game-1"
	oldImage = "registry.example/engine:1.4.2"
	newImage = "registry.example/engine:1.4.3"
	patchID  = gameID + ".abcdefghijklmnopqrstuvwxyz"
)

// world is everything outside the workflow, in memory: one row, one container,
// the registry, the audit log. The real activities run over it. Its ports do
// as they are told by the script, call by call.
type world struct {
	mu        sync.Mutex
	row       *runtime.RuntimeRecord
	container *ports.Container
	versions  map[string]engineversion.EngineVersion
	entries   []operation.OperationEntry
	// fence is the number that was given out last, fenced the highest that
	// Runtime Manager has seen; unfenced plays one that knows no such numbers.
	fence, fenced int64
	unfenced      bool
	// keys has the image of every idempotency key that was carried out.
	keys      map[string]string
	recreates []string

	// script holds, for each port call by name, what its next calls do; the
	// last one is repeated when it has forever set.
	script map[string][]act
	// calls are the port calls in order; steps the activities with their
	// attempts, but TakeFence, which goes ahead of every call of Runtime Manager
	// and is counted by its port.
	calls []string
	steps []string
}

// act is what one call of a port does besides its work.
type act struct {
	// err is returned; with applied set, after the work was done.
	err     error
	applied bool
	forever bool
	// lie returns a success without the work.
	lie bool
	// before runs before the work, after behind it.
	before, after func(*world)
}

func newWorld() *world {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := &world{
		row: &runtime.RuntimeRecord{
			GameID: gameID, Status: runtime.StatusRunning,
			CurrentImageRef: oldImage, CurrentEngineVersion: "1.4.2",
			CreatedAt: now, UpdatedAt: now,
		},
		container: &ports.Container{GameID: gameID, ImageRef: oldImage, Status: ports.ContainerRunning},
		versions:  map[string]engineversion.EngineVersion{},
		keys:      map[string]string{},
		script:    map[string][]act{},
	}
	for version, status := range map[string]engineversion.Status{
		"1.4.1": engineversion.StatusDeprecated, "1.4.2": engineversion.StatusActive,
		"1.4.3": engineversion.StatusActive, "1.5.0": engineversion.StatusActive,
	} {
		w.versions[version] = engineversion.EngineVersion{
			Version: version, ImageRef: "registry.example/engine:" + version, Status: status,
		}
	}
	return w
}

// on lets the next calls of a port do acts.
func (w *world) on(call string, acts ...act) { w.script[call] = append(w.script[call], acts...) }

// onGet lets the n-th and following reads of the row do acts. On the way
// without faults they are: 1 LoadRecord, 2 PatchContainer, 3 UpdateImage
// before the swap; each RestoreContainer reads once, and once more
// after a recreate.
func (w *world) onGet(n int, acts ...act) {
	w.on("Get", append(make([]act, n-1), acts...)...)
}

// do is one call of a port: by the script, with work in the middle.
func (w *world) do(call string, work func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
	var next act
	if acts := w.script[call]; len(acts) > 0 {
		next = acts[0]
		if !next.forever {
			w.script[call] = acts[1:]
		}
	}
	if next.before != nil {
		next.before(w)
	}
	if next.err != nil && !next.applied {
		return next.err
	}
	if next.lie {
		return nil
	}
	err := work()
	if next.after != nil {
		next.after(w)
	}
	if next.err != nil {
		return next.err
	}
	return err
}

// The ports over the world. Methods that the steps never call are left to the
// nil interface, whose panic fails the test.
type (
	worldRuntimes struct {
		ports.RuntimeRecordStore
		*world
	}
	worldVersions struct {
		ports.EngineVersionStore
		*world
	}
	worldLog struct {
		ports.OperationLogStore
		*world
	}
	worldFences struct{ *world }
	worldRTM    struct{ *world }
)

func (w worldRuntimes) Get(_ context.Context, _ string) (record runtime.RuntimeRecord, err error) {
	err = w.do("Get", func() error {
		if w.row == nil {
			return fmt.Errorf("get: %w", runtime.ErrNotFound)
		}
		record = *w.row
		return nil
	})
	return record, err
}

func (w worldRuntimes) UpdateImage(_ context.Context, input ports.UpdateImageInput) error {
	return w.do("UpdateImage", func() error {
		switch {
		case w.row == nil:
			return runtime.ErrNotFound
		case w.row.Status != input.ExpectedStatus:
			return fmt.Errorf("update image: %w", runtime.ErrConflict)
		case w.row.CurrentImageRef != input.ExpectedImageRef && w.row.CurrentImageRef != input.CurrentImageRef:
			return fmt.Errorf("update image: %w", runtime.ErrConflict)
		}
		w.row.CurrentImageRef, w.row.CurrentEngineVersion = input.CurrentImageRef, input.CurrentEngineVersion
		w.row.UpdatedAt = input.Now
		return nil
	})
}

func (w worldVersions) Get(_ context.Context, version string) (entry engineversion.EngineVersion, err error) {
	err = w.do("GetVersion", func() error {
		var known bool
		if entry, known = w.versions[version]; !known {
			return engineversion.ErrNotFound
		}
		return nil
	})
	return entry, err
}

func (w worldVersions) List(context.Context) (list []engineversion.EngineVersion, err error) {
	err = w.do("ListVersions", func() error {
		for _, version := range slices.Sorted(maps.Keys(w.versions)) {
			list = append(list, w.versions[version])
		}
		return nil
	})
	return list, err
}

func (w worldLog) Append(_ context.Context, entry operation.OperationEntry) (id int64, err error) {
	err = w.do("Append", func() error {
		if err := entry.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ports.ErrInvalidInput, err)
		}
		for i, known := range w.entries {
			if known.PatchID == entry.PatchID && known.RunID == entry.RunID {
				id = int64(i + 1)
				return nil
			}
		}
		w.entries = append(w.entries, entry)
		id = int64(len(w.entries))
		return nil
	})
	return id, err
}

func (w worldLog) ListByPatch(_ context.Context, patchID string) (entries []operation.OperationEntry, err error) {
	err = w.do("ListByPatch", func() error {
		for _, entry := range w.entries {
			if entry.PatchID == patchID {
				entries = append(entries, entry)
			}
		}
		return nil
	})
	return entries, err
}

func (w worldRTM) Patch(_ context.Context, input ports.RTMPatchInput) error {
	return w.do("Patch", func() error {
		if err := input.Validate(); err != nil {
			return err
		}
		if err := w.admit(input.Fence); err != nil {
			return err
		}
		if image, known := w.keys[input.IdempotencyKey]; known {
			if image != input.ImageRef {
				return errRTMNo
			}
			return nil
		}
		w.keys[input.IdempotencyKey] = input.ImageRef
		w.recreates = append(w.recreates, input.ImageRef)
		w.container = &ports.Container{GameID: input.GameID, ImageRef: input.ImageRef, Status: ports.ContainerRunning}
		return nil
	})
}

func (w worldRTM) Inspect(context.Context, string) (container ports.Container, err error) {
	err = w.do("Inspect", func() error {
		if w.container == nil {
			return ports.ErrContainerNotFound
		}
		container = *w.container
		return nil
	})
	return container, err
}

// outcome is what a run came to.
type outcome struct {
	env     *testsuite.TestWorkflowEnvironment
	result  patch.Result
	err     error
	elapsed time.Duration
}

// run carries one patch out in the test environment, whose clock skips every
// wait. arrange may set delayed callbacks.
func (w *world) run(t *testing.T, input workflows.Input, arrange ...func(*testsuite.TestWorkflowEnvironment)) outcome {
	t.Helper()
	return w.runAs(t, patch.WorkflowID(input.Request.GameID), input, arrange...)
}

// runAs is run under another workflow ID.
func (w *world) runAs(
	t *testing.T, workflowID string, input workflows.Input, arrange ...func(*testsuite.TestWorkflowEnvironment),
) outcome {
	t.Helper()
	return w.execute(t, workflowID, workflows.PatchRuntimeType, input, arrange...)
}

// reconcile carries one reconciliation out.
func (w *world) reconcile(t *testing.T, input workflows.ReconcileInput) outcome {
	t.Helper()
	return w.execute(t, patch.WorkflowID(input.Request.GameID), workflows.ReconcileRuntimeType, input)
}

func (w *world) execute(
	t *testing.T, workflowID, workflowType string, input any, arrange ...func(*testsuite.TestWorkflowEnvironment),
) outcome {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	steps, err := activities.New(activities.Dependencies{
		RuntimeRecords: worldRuntimes{world: w}, EngineVersions: worldVersions{world: w},
		OperationLogs: worldLog{world: w}, Fences: worldFences{w}, RTM: worldRTM{world: w},
	})
	require.NoError(t, err)
	worker.Register(env, steps)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{
		ID: workflowID, TaskQueue: workflows.TaskQueue,
	})
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converterValues) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.steps = append(w.steps, info.ActivityType.Name)
	})
	env.SetOnLocalActivityStartedListener(func(info *activity.Info, _ context.Context, _ []any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if info.ActivityType.Name == "TakeFence" {
			return
		}
		w.steps = append(w.steps, info.ActivityType.Name)
	})
	for _, f := range arrange {
		f(env)
	}
	started := env.Now()
	env.ExecuteWorkflow(workflowType, input)
	require.True(t, env.IsWorkflowCompleted())
	o := outcome{env: env, err: env.GetWorkflowError(), elapsed: env.Now().Sub(started)}
	if o.err == nil {
		require.NoError(t, env.GetWorkflowResult(&o.result))
	} else {
		o.result = resultInside(t, o.err)
	}
	return o
}

// stepsRun names the activities in order, each with how often it was tried in a
// row: "LoadRecord PatchContainer×3".
func (w *world) stepsRun() string {
	var b strings.Builder
	for i := 0; i < len(w.steps); {
		n := 1
		for i+n < len(w.steps) && w.steps[i+n] == w.steps[i] {
			n++
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.steps[i])
		if n > 1 {
			fmt.Fprintf(&b, "×%d", n)
		}
		i += n
	}
	return b.String()
}

func (w *world) count(call string) int {
	n := 0
	for _, c := range w.calls {
		if c == call {
			n++
		}
	}
	return n
}

// inLine reports whether the container runs what the row says.
func (w *world) inLine() bool {
	return w.row != nil && w.container != nil && w.container.Runs(w.row.CurrentImageRef)
}

func (w *world) recreatedOn() []string { return slices.Clone(w.recreates) }

// cancelDuring cancels the run while the first call of a port is under way.
func (w *world) cancelDuring(call string, env *testsuite.TestWorkflowEnvironment) {
	acts := w.script[call]
	if len(acts) == 0 {
		acts = []act{{}}
	}
	acts[0].before = func(*world) { env.CancelWorkflow() }
	w.script[call] = acts
}
