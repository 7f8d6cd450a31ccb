package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"
)

// timeline tells events as a person would: what happened, and not how the worker
// was asked for it.
type timeline struct {
	// steps are the activities under way, by the event that began them.
	steps map[int64]*step
}

type step struct {
	name     string
	began    *historypb.HistoryEvent
	attempts int32
	failure  *failurepb.Failure
}

// unended returns the steps that began and of which no end is told, in order: what
// an open run does, and what one that was ended from outside had under way.
func (t *timeline) unended() []*step {
	return slices.SortedFunc(maps.Values(t.steps), func(a, b *step) int {
		return cmp.Compare(a.began.GetEventId(), b.began.GetEventId())
	})
}

// tell returns what an event says and in which detail; empty for one that is told
// by a later one, or is of no interest.
func (t *timeline) tell(event *historypb.HistoryEvent) (what, detail string) {
	if what, detail, ok := t.tellStep(event); ok {
		return what, detail
	}
	summary := payloadText(event.GetUserMetadata().GetSummary())
	switch event.GetEventType() {
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
		return "started " + event.GetWorkflowExecutionStartedEventAttributes().GetWorkflowType().GetName(), summary
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
		return "completed", ""
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
		return "failed", failureText(event.GetWorkflowExecutionFailedEventAttributes().GetFailure())
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
		return "cancelled", ""
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
		ended := event.GetWorkflowExecutionTerminatedEventAttributes()
		return "terminated", strings.TrimSpace(ended.GetReason() + " by " + ended.GetIdentity())
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
		asked := event.GetWorkflowExecutionCancelRequestedEventAttributes()
		return "asked to stop", strings.TrimSpace(asked.GetCause() + " by " + asked.GetIdentity())
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
		return "signal " + event.GetWorkflowExecutionSignaledEventAttributes().GetSignalName(), ""
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
		asked := event.GetWorkflowExecutionUpdateAcceptedEventAttributes().GetAcceptedRequest().GetInput()
		return "decision " + asked.GetName(), inputText(asked.GetArgs())
	case enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
		return "worker failed", failureText(event.GetWorkflowTaskFailedEventAttributes().GetFailure())
	case enumspb.EVENT_TYPE_TIMER_STARTED:
		return "waits " + event.GetTimerStartedEventAttributes().GetStartToFireTimeout().AsDuration().String(), summary
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
		return "timed out", ""
	case enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
		return "worker did not answer", ""
	default:
		return "", ""
	}
}

// tellStep is tell for the events of steps: what began them is told by their end.
func (t *timeline) tellStep(event *historypb.HistoryEvent) (what, detail string, ok bool) {
	switch event.GetEventType() {
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
		name := event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName()
		t.steps[event.GetEventId()] = &step{name: name, began: event}
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
		started := event.GetActivityTaskStartedEventAttributes()
		if begun := t.steps[started.GetScheduledEventId()]; begun != nil {
			begun.attempts, begun.failure = started.GetAttempt(), started.GetLastFailure()
		}
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
		what, detail = t.ended(event.GetActivityTaskCompletedEventAttributes().GetScheduledEventId(), "done", nil)
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_FAILED:
		failed := event.GetActivityTaskFailedEventAttributes()
		what, detail = t.ended(failed.GetScheduledEventId(), "failed", failed.GetFailure())
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
		late := event.GetActivityTaskTimedOutEventAttributes()
		what, detail = t.ended(late.GetScheduledEventId(), "timed out", late.GetFailure())
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
		what, detail = t.ended(event.GetActivityTaskCanceledEventAttributes().GetScheduledEventId(), "cancelled", nil)
	case enumspb.EVENT_TYPE_MARKER_RECORDED:
		what, detail = markerText(event.GetMarkerRecordedEventAttributes())
	default:
		return "", "", false
	}
	return what, detail, true
}

// ended tells a step by its end, and why it was tried more than once.
func (t *timeline) ended(began int64, how string, failure *failurepb.Failure) (what, detail string) {
	begun := t.steps[began]
	if begun == nil {
		begun = &step{name: "step"}
	}
	delete(t.steps, began)
	switch {
	case failure != nil:
		detail = failureText(failure)
	case begun.attempts > 1:
		detail = "before: " + failureText(begun.failure)
	}
	if begun.attempts > 1 {
		detail = fmt.Sprintf("%d attempts; %s", begun.attempts, detail)
	}
	return begun.name + " " + how, detail
}

// markerText tells a step that was done within a workflow task; other markers
// are the SDK's own.
func markerText(marker *historypb.MarkerRecordedEventAttributes) (what, detail string) {
	if marker.GetMarkerName() != "LocalActivity" {
		return "", ""
	}
	var local struct {
		ActivityType string
		Attempt      int32
	}
	for _, payload := range marker.GetDetails()["data"].GetPayloads() {
		_ = json.Unmarshal(payload.GetData(), &local)
	}
	if failure := marker.GetFailure(); failure != nil {
		return local.ActivityType + " failed", failureText(failure)
	}
	return local.ActivityType + " done", ""
}

// failureText is what a failure says, the words of its causes included.
func failureText(failure *failurepb.Failure) string {
	var texts []string
	for ; failure != nil; failure = failure.GetCause() {
		text := failure.GetMessage()
		if code := failure.GetApplicationFailureInfo().GetType(); code != "" {
			text = code + ": " + text
		}
		if text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, ": ")
}

// payloadText is a text that somebody gave; empty when there is none, or what is
// there is no text.
func payloadText(payload *commonpb.Payload) (text string) {
	if payload != nil {
		_ = converter.GetDefaultDataConverter().FromPayload(payload, &text)
	}
	return text
}

// inputText is what an update was sent with: of ours, who and why.
func inputText(payloads *commonpb.Payloads) string {
	var command struct{ Actor, Reason string }
	if err := converter.GetDefaultDataConverter().FromPayloads(payloads, &command); err != nil {
		return ""
	}
	return strings.TrimSpace(command.Actor + ": " + command.Reason)
}
