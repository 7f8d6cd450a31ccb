package starter

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/workflows"
)

// exportNote is what the schedule tells who looks at it first.
const exportNote = "Kept by `gamemaster worker`. Pause it here: it stays paused, and no history is exported meanwhile. " +
	"GAMEMASTER_EXPORT_INTERVAL says the rest."

// ExportOptions say when the histories of closed runs are exported.
type ExportOptions struct {
	// Namespace is the client's own; empty means the default one.
	Namespace string
	// TaskQueue is where the workers poll; empty means [workflows.TaskQueue].
	TaskQueue string
	// Interval is from one pass to the next; zero wants none.
	Interval time.Duration
}

// ExportID returns the ID of the schedule whose passes run on taskQueue, of the
// passes, and of their mark.
func ExportID(taskQueue string) string {
	const id = "export-histories"
	if taskQueue = cmp.Or(taskQueue, workflows.TaskQueue); taskQueue != workflows.TaskQueue {
		return id + "-" + taskQueue
	}
	return id
}

// EnsureExports makes the schedule of the export what options say, as
// [EnsureWatch] does with that of the watch.
func EnsureExports(ctx context.Context, temporal client.Client, options ExportOptions) error {
	options.TaskQueue = cmp.Or(options.TaskQueue, workflows.TaskQueue)
	id := ExportID(options.TaskQueue)
	wanted, err := passes{
		interval: options.Interval, taskQueue: options.TaskQueue, id: id,
		workflow: workflows.ExportHistoriesType, input: workflows.ExportInput{Name: id},
		summary: "export the histories of closed runs", note: exportNote,
	}.schedule()
	if err != nil {
		return fmt.Errorf("ensure the export of histories: %w", err)
	}
	k := keeper{service: temporal.WorkflowService(), namespace: cmp.Or(options.Namespace, client.DefaultNamespace), id: id}
	return k.keep(ctx, wanted, options.Interval > 0)
}
