package worker

import (
	"bytes"
	"fmt"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/workflows"
)

// Replayer replays histories through the workflows that a worker of this build
// runs. It is safe for concurrent use.
type Replayer struct {
	logger log.Logger
}

// NewReplayer returns a replayer that gives what the SDK says of it to logger.
func NewReplayer(logger log.Logger) *Replayer { return &Replayer{logger: logger} }

// Replay returns why the history, as the SDK's JSON, does not replay: it cannot
// be read, or the workflow of today does something else. It is nil when every
// step of the history is the workflow's own.
func (r *Replayer) Replay(document []byte) error {
	events, err := client.HistoryFromJSON(bytes.NewReader(document), client.HistoryJSONOptions{})
	if err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	if err = r.replay(events); err != nil {
		// Once more before it is believed: a process that gets no processor for a
		// second looks like a workflow that stands still.
		err = r.replay(events)
	}
	return err
}

// replay makes a replayer of its own each time: one keeps what it has replayed.
func (r *Replayer) replay(events *historypb.History) error {
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{})
	if err != nil {
		return fmt.Errorf("new replayer: %w", err)
	}
	replayer.RegisterWorkflowWithOptions(workflows.PatchRuntime, workflow.RegisterOptions{Name: workflows.PatchRuntimeType})
	replayer.RegisterWorkflowWithOptions(workflows.ReconcileRuntime, workflow.RegisterOptions{Name: workflows.ReconcileRuntimeType})
	if err := replayer.ReplayWorkflowHistory(r.logger, events); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}
