// Package worker says what runs in a worker process: which workflows and
// activities, with which limits, and how it stops.
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/workflows"
)

// stopTimeout is how long a stopping worker waits for its steps: what
// activities.HandBackAfter leaves to a call, and the answer that hands it back.
const stopTimeout = activities.HandBackAfter + 5*time.Second

// Limits of one process.
const (
	// DefaultSlots is how many steps wait for an answer at once, nearly all of them
	// of Runtime Manager's: the store's run within the workflow task. It is also what
	// keeps a worker from asking more of Runtime Manager than that; a patch that
	// finds no slot waits its turn. A step that waits costs little here (a
	// connection, some ten KiB) but tells Temporal every three seconds that it is
	// alive: 200 are 67 requests a second, which a small Temporal bears beside its
	// work.
	DefaultSlots = 200

	// DefaultCache is how many open runs are kept at hand, each for 45 KiB (25 of
	// heap, 20 of a stack) and twice that as the system counts, before garbage is
	// collected: 170 MiB beside the 60 of a worker at rest. Beyond it the run that
	// has stood still for longest is let go of, and built anew from its history when
	// it goes on: one request more, and some milliseconds.
	DefaultCache = 2000

	// maxWorkflowTasks are decided at once. Their steps share a pool of eight
	// connections to Postgres, where each has its answer within two seconds, so
	// that more would only queue there.
	maxWorkflowTasks = 100
)

// Registry is what workflows and activities are registered with: a worker, a
// replayer, a test environment.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
	RegisterActivity(a any)
}

// Register registers the patches and everything that they take.
func Register(registry Registry, steps *activities.Activities) {
	registry.RegisterWorkflowWithOptions(workflows.PatchRuntime, workflow.RegisterOptions{Name: workflows.PatchRuntimeType})
	registry.RegisterWorkflowWithOptions(workflows.ReconcileRuntime, workflow.RegisterOptions{Name: workflows.ReconcileRuntimeType})
	registry.RegisterActivity(steps)
}

// RegisterWatch registers the watch, which a worker runs as well.
func RegisterWatch(registry Registry, watch *activities.Watch) {
	registry.RegisterWorkflowWithOptions(workflows.ReconcileRuntimes, workflow.RegisterOptions{Name: workflows.ReconcileRuntimesType})
	registry.RegisterActivity(watch)
}

// RegisterExport registers the export of histories, which a worker runs as well.
func RegisterExport(registry Registry, export *activities.Export) {
	registry.RegisterWorkflowWithOptions(workflows.ExportHistories, workflow.RegisterOptions{Name: workflows.ExportHistoriesType})
	registry.RegisterActivity(export)
}

// Options of [Run].
type Options struct {
	// Client is connected to the namespace of the patches; required.
	Client client.Client
	// TaskQueue is what is polled; empty means [workflows.TaskQueue].
	TaskQueue string
	// Activities are the steps; required.
	Activities *activities.Activities
	// Watch has the steps of the watch; required, since its passes come to any
	// worker of the task queue.
	Watch *activities.Watch
	// Export has the steps of the export of histories; required as well.
	Export *activities.Export
	// Slots is how many steps run at once, and Cache how many open runs are kept at
	// hand; zero means [DefaultSlots] and [DefaultCache]. The cache is one for all
	// workers of a process, and has the size that the first of them gave it.
	Slots, Cache int
	// Interceptors see every step and run, besides the one that measures phases;
	// none in production.
	Interceptors []interceptor.WorkerInterceptor
}

// Run polls the task queue until ctx ends, then finishes or hands back what is
// under way, within 10 seconds. It fails when the namespace cannot be
// polled.
func Run(ctx context.Context, options Options) error {
	if options.Activities == nil || options.Watch == nil || options.Export == nil {
		return errors.New("start worker: activities, watch and export are required")
	}
	taskQueue := options.TaskQueue
	if taskQueue == "" {
		taskQueue = workflows.TaskQueue
	}
	worker.SetStickyWorkflowCacheSize(cmp.Or(options.Cache, DefaultCache))
	fatal := make(chan error, 1)
	w := worker.New(options.Client, taskQueue, worker.Options{
		WorkerStopTimeout:                      stopTimeout,
		MaxHeartbeatThrottleInterval:           activities.BeatInterval,
		MaxConcurrentActivityExecutionSize:     cmp.Or(options.Slots, DefaultSlots),
		MaxConcurrentWorkflowTaskExecutionSize: maxWorkflowTasks,
		Interceptors:                           append([]interceptor.WorkerInterceptor{&phases{}}, options.Interceptors...),
		// The fixed two pollers per kind stall a hand-over now and then.
		WorkflowTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		ActivityTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		OnFatalError: func(err error) {
			select {
			case fatal <- err:
			default:
			}
		},
	})
	Register(w, options.Activities)
	RegisterWatch(w, options.Watch)
	RegisterExport(w, options.Export)
	if err := w.Start(); err != nil {
		return fmt.Errorf("start worker on task queue %q: %w", taskQueue, err)
	}
	defer w.Stop()
	select {
	case <-ctx.Done():
		return nil
	case err := <-fatal:
		return fmt.Errorf("worker on task queue %q: %w", taskQueue, err)
	}
}
