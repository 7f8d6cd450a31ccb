package starter

import (
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// serverNames are the names under which the Temporal server acts by itself, such as
// when it ends the run that a reset took the place of: that is nobody's doing.
var serverNames = []string{"history-service", "history-resetter"}

// Interventions returns what people did to a run, in order, as far as its history
// tells. Each is told of the run in which it was done: what a run that a reset
// made has from the run before is left out, signals and decisions that the reset
// carried over included. Who reset a run Temporal does not keep: it tells the
// reason alone.
func Interventions(ref history.Ref, events []*historypb.HistoryEvent) []history.Intervention {
	var done []history.Intervention
	carrying := false
	for _, event := range events {
		action, by, reason := intervention(event)
		switch {
		case action == history.ActionReset:
			// What is in front of the last one is the history of the runs before, and
			// what it carries over stands between it and the next workflow task.
			done, carrying, by = nil, true, byPerson(by)
		case event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
			carrying = false
			continue
		case action == "", carrying, slices.Contains(serverNames, by):
			continue
		}
		done = append(done, history.Intervention{
			RunID: ref.RunID, EventID: event.GetEventId(), At: event.GetEventTime().AsTime(), Action: action, By: by, Reason: reason,
		})
	}
	gameID, _ := patch.GameOfWorkflow(ref.WorkflowID)
	patchID := patchOf(gameID, events)
	for i := range done {
		done[i].PatchID, done[i].GameID = patchID, gameID
		done[i] = done[i].Storable()
	}
	return done
}

// byPerson is empty for the server's own names.
func byPerson(name string) string {
	if slices.Contains(serverNames, name) {
		return ""
	}
	return name
}

// intervention tells one event; action is empty for one that nobody caused.
func intervention(event *historypb.HistoryEvent) (action history.Action, by, reason string) {
	switch event.GetEventType() {
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
		started := event.GetWorkflowExecutionStartedEventAttributes()
		if !startedByHand(started) {
			return "", "", ""
		}
		return history.ActionStart, started.GetIdentity(), ""
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
		asked := event.GetWorkflowExecutionCancelRequestedEventAttributes()
		return history.ActionCancel, asked.GetIdentity(), reasonOf(asked.GetCause(), asked.GetIdentity())
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
		ended := event.GetWorkflowExecutionTerminatedEventAttributes()
		return history.ActionTerminate, ended.GetIdentity(), ended.GetReason()
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
		sent := event.GetWorkflowExecutionSignaledEventAttributes()
		return history.ActionSignal, sent.GetIdentity(), sent.GetSignalName()
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED:
		paused := event.GetWorkflowExecutionPausedEventAttributes()
		return history.ActionPause, paused.GetIdentity(), paused.GetReason()
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED:
		unpaused := event.GetWorkflowExecutionUnpausedEventAttributes()
		return history.ActionUnpause, unpaused.GetIdentity(), unpaused.GetReason()
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
		return decided(event.GetWorkflowExecutionUpdateAcceptedEventAttributes())
	case enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
		failed := event.GetWorkflowTaskFailedEventAttributes()
		if failed.GetCause() != enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW {
			return "", "", ""
		}
		return history.ActionReset, failed.GetIdentity(), failed.GetFailure().GetMessage()
	default:
		return "", "", ""
	}
}

// decided tells an update that the run took. One that a reset carried over comes
// without its request, and is the run's before.
func decided(accepted *historypb.WorkflowExecutionUpdateAcceptedEventAttributes) (action history.Action, by, reason string) {
	actions := map[string]history.Action{
		workflows.RetryUpdate: history.ActionRetry, workflows.AbandonUpdate: history.ActionAbandon,
	}
	input := accepted.GetAcceptedRequest().GetInput()
	action, known := actions[input.GetName()]
	if !known {
		return "", "", ""
	}
	var command patch.Command
	_ = converter.GetDefaultDataConverter().FromPayloads(input.GetArgs(), &command)
	return action, command.Actor, command.Reason
}

// reasonOf is the reason in the cause of a cancellation: [Starter.Cancel] puts the
// actor in front of it, for who looks at it in Temporal.
func reasonOf(cause, actor string) string {
	if cause == actor {
		return ""
	}
	if rest, ours := strings.CutPrefix(cause, actor+": "); ours && actor != "" {
		return rest
	}
	return cause
}

// startedByHand reports whether the run did not come from [Starter.Start] or
// [Starter.Reconcile], which give every run a memo with its patch id: the form of
// the UI gives it none. One that somebody started with a memo that looks like
// ours is not told from ours.
func startedByHand(started *historypb.WorkflowExecutionStartedEventAttributes) bool {
	return started.GetMemo().GetFields()[workflows.MemoPatchID] == nil
}

// patchOf is the patch that a run of a game belongs to: by its memo, or, when it
// was started by hand, by its input, in both cases if that names a patch of the
// same game. Whoever can reach Temporal can write either, and what stands under a
// patch is told to who may see its game.
func patchOf(gameID string, events []*historypb.HistoryEvent) (patchID string) {
	if len(events) == 0 {
		return ""
	}
	started := events[0].GetWorkflowExecutionStartedEventAttributes()
	readMemo(started.GetMemo(), workflows.MemoPatchID, &patchID)
	if patchID != "" {
		return ofGame(gameID, patchID)
	}
	var input struct {
		Request struct {
			PatchID string `json:"patch_id"`
		} `json:"request"`
	}
	_ = converter.GetDefaultDataConverter().FromPayloads(started.GetInput(), &input)
	return ofGame(gameID, input.Request.PatchID)
}

// ofGame returns the patch id when it is one of the game's, and otherwise nothing.
func ofGame(gameID, patchID string) string {
	if of, ok := patch.GameOf(patchID); !ok || of != gameID {
		return ""
	}
	return patchID
}
