package starter_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	updatepb "go.temporal.io/api/update/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/workflows"
)

// did is an intervention without its run.
type did struct {
	event      int64
	action     history.Action
	by, reason string
}

// interventions are what the events tell of the run-1 of the game.
func interventions(t *testing.T, events []*historypb.HistoryEvent) []did {
	t.Helper()
	moment := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, event := range events {
		event.EventId, event.EventTime = int64(i+1), timestamppb.New(moment)
	}
	var found []did
	for _, one := range starter.Interventions(history.Ref{WorkflowID: patch.WorkflowID(gameID), RunID: "run-1"}, events) {
		require.Equal(t, history.Intervention{
			PatchID: openID, GameID: gameID, RunID: "run-1", EventID: one.EventID, At: moment, Action: one.Action, By: one.By, Reason: one.Reason,
		}, one)
		found = append(found, did{one.EventID, one.Action, one.By, one.Reason})
	}
	return found
}

func payloadsOf(t *testing.T, value any) *commonpb.Payloads {
	t.Helper()
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(value)
	require.NoError(t, err)
	return payloads
}

// startedEvent is how a run of openID starts: through the API it has its memo.
func startedEvent(t *testing.T, byAPI bool) *historypb.HistoryEvent {
	t.Helper()
	started := &historypb.WorkflowExecutionStartedEventAttributes{
		Identity: "bob@host", Input: payloadsOf(t, workflows.Input{Request: patch.Request{PatchID: openID, GameID: gameID}}),
	}
	if byAPI {
		id := payloadsOf(t, openID).GetPayloads()[0]
		started.Memo = &commonpb.Memo{Fields: map[string]*commonpb.Payload{workflows.MemoPatchID: id}}
		started.Input = nil
	}
	return &historypb.HistoryEvent{
		EventType:  enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{WorkflowExecutionStartedEventAttributes: started},
	}
}

func cancelEvent(identity, cause string) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionCancelRequestedEventAttributes{
			WorkflowExecutionCancelRequestedEventAttributes: &historypb.WorkflowExecutionCancelRequestedEventAttributes{Identity: identity, Cause: cause},
		},
	}
}

func terminateEvent(identity, reason string) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionTerminatedEventAttributes{
			WorkflowExecutionTerminatedEventAttributes: &historypb.WorkflowExecutionTerminatedEventAttributes{Identity: identity, Reason: reason},
		},
	}
}

func taskFailedEvent(cause enumspb.WorkflowTaskFailedCause, identity, reason string) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED,
		Attributes: &historypb.HistoryEvent_WorkflowTaskFailedEventAttributes{
			WorkflowTaskFailedEventAttributes: &historypb.WorkflowTaskFailedEventAttributes{
				Cause: cause, Identity: identity, Failure: &failurepb.Failure{Message: reason},
			},
		},
	}
}

func scheduledEvent() *historypb.HistoryEvent {
	return &historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED}
}

func signalEvent(identity, name string) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &historypb.WorkflowExecutionSignaledEventAttributes{Identity: identity, SignalName: name},
		},
	}
}

func pauseEvents(identity, reason string) []*historypb.HistoryEvent {
	return []*historypb.HistoryEvent{{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionPausedEventAttributes{
			WorkflowExecutionPausedEventAttributes: &historypb.WorkflowExecutionPausedEventAttributes{Identity: identity, Reason: reason},
		},
	}, {
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionUnpausedEventAttributes{
			WorkflowExecutionUnpausedEventAttributes: &historypb.WorkflowExecutionUnpausedEventAttributes{Identity: identity, Reason: reason},
		},
	}}
}

func acceptedEvent(t *testing.T, update string) *historypb.HistoryEvent {
	t.Helper()
	accepted := &historypb.WorkflowExecutionUpdateAcceptedEventAttributes{}
	if update != "" {
		accepted.AcceptedRequest = &updatepb.Request{
			Meta:  &updatepb.Meta{Identity: "1@host"},
			Input: &updatepb.Input{Name: update, Args: payloadsOf(t, patch.Command{Actor: "ann", Reason: "manager is back"})},
		}
	}
	return &historypb.HistoryEvent{
		EventType:  enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionUpdateAcceptedEventAttributes{WorkflowExecutionUpdateAcceptedEventAttributes: accepted},
	}
}

// Proves that what people did is told with who and why, that what the server and
// the program did is not, and that a reset leaves what was done before it to the
// run in which it was done.
func TestInterventions(t *testing.T) {
	const reset = enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
	ours, byHand := startedEvent(t, true), startedEvent(t, false)
	for name, row := range map[string]struct {
		events []*historypb.HistoryEvent
		want   []did
	}{
		"nothing":                {[]*historypb.HistoryEvent{ours, taskFailedEvent(enumspb.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR, "w", "x")}, nil},
		"start by hand":          {[]*historypb.HistoryEvent{byHand}, []did{{1, history.ActionStart, "bob@host", ""}}},
		"cancel through the API": {[]*historypb.HistoryEvent{ours, cancelEvent("ann", "ann: wrong: game")}, []did{{2, history.ActionCancel, "ann", "wrong: game"}}},
		"no reason":              {[]*historypb.HistoryEvent{ours, cancelEvent("ann", "ann")}, []did{{2, history.ActionCancel, "ann", ""}}},
		"cancel in the UI":       {[]*historypb.HistoryEvent{ours, cancelEvent("bob", "ann: said so")}, []did{{2, history.ActionCancel, "bob", "ann: said so"}}},
		"cancel by nobody":       {[]*historypb.HistoryEvent{ours, cancelEvent("", ": why")}, []did{{2, history.ActionCancel, "", ": why"}}},
		"terminate":              {[]*historypb.HistoryEvent{ours, terminateEvent("bob@host", "had to go")}, []did{{2, history.ActionTerminate, "bob@host", "had to go"}}},
		"ended by a reset":       {[]*historypb.HistoryEvent{ours, terminateEvent("history-resetter", "reset")}, nil},
		"odd text":               {[]*historypb.HistoryEvent{ours, terminateEvent("b\x00b", "x")}, []did{{2, history.ActionTerminate, "b\uFFFDb", "x"}}},
		"decisions": {
			[]*historypb.HistoryEvent{ours, acceptedEvent(t, "retry"), acceptedEvent(t, "abandon"), acceptedEvent(t, "other"), acceptedEvent(t, "")},
			[]did{{2, history.ActionRetry, "ann", "manager is back"}, {3, history.ActionAbandon, "ann", "manager is back"}},
		},
		"signal": {[]*historypb.HistoryEvent{ours, signalEvent("bob", "hello")}, []did{{2, history.ActionSignal, "bob", "hello"}}},
		"pause": {
			append([]*historypb.HistoryEvent{ours}, pauseEvents("bob", "wait")...),
			[]did{{2, history.ActionPause, "bob", "wait"}, {3, history.ActionUnpause, "bob", "wait"}},
		},
		"reset": {
			[]*historypb.HistoryEvent{
				byHand, scheduledEvent(), signalEvent("bob", "hello"), taskFailedEvent(reset, "history-service", "once more"),
				signalEvent("bob", "carried over"), scheduledEvent(), cancelEvent("ann", "ann: enough"), scheduledEvent(),
			},
			[]did{{4, history.ActionReset, "", "once more"}, {7, history.ActionCancel, "ann", "enough"}},
		},
		"reset of a reset": {
			[]*historypb.HistoryEvent{ours, taskFailedEvent(reset, "history-service", "one"), taskFailedEvent(reset, "bob", "two")},
			[]did{{3, history.ActionReset, "bob", "two"}},
		},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, row.want, interventions(t, row.events)) })
	}
}

// Proves that a run which was started by hand belongs to no patch of another game,
// and to none that has not the shape of one.
func TestInterventionsOfNoPatch(t *testing.T) {
	for _, named := range []string{"", "demo-1", "demo-2.aaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		byHand := startedEvent(t, false)
		byHand.GetWorkflowExecutionStartedEventAttributes().Input = payloadsOf(t, workflows.Input{Request: patch.Request{PatchID: named}})
		found := starter.Interventions(history.Ref{WorkflowID: patch.WorkflowID(gameID), RunID: "r"}, []*historypb.HistoryEvent{byHand})
		require.Len(t, found, 1)
		require.Empty(t, found[0].PatchID, named)
	}
	require.Empty(t, starter.Interventions(history.Ref{}, nil))
}

// Proves the same of histories that a real server wrote, in which every name was
// replaced when they were recorded.
func TestInterventionsOfRecordedHistories(t *testing.T) {
	for name, want := range map[string][]history.Action{
		"success": nil, "reconcile_adopt": nil, "by_hand": {history.ActionStart}, "cancelled": {history.ActionCancel},
		"needs_operator_twice": {history.ActionRetry, history.ActionRetry}, "needs_operator_abandon": {history.ActionAbandon},
		"reset_success_2": {history.ActionReset},
	} {
		text, err := os.ReadFile(filepath.Join("..", "workflows", "testdata", "histories", name+".json"))
		require.NoError(t, err)
		var recorded historypb.History
		require.NoError(t, protojson.Unmarshal(text, &recorded))
		var found []history.Action
		for _, one := range starter.Interventions(history.Ref{WorkflowID: patch.WorkflowID(gameID), RunID: "r"}, recorded.GetEvents()) {
			found = append(found, one.Action)
		}
		require.Equal(t, want, found, name)
	}
}
