package measure

import (
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
)

// changeVersion is the search attribute of workflow versioning, whose upsert is
// free.
const changeVersion = "TemporalChangeVersion"

// Actions counts what Temporal Cloud bills for a run, by its published rules
// (https://docs.temporal.io/cloud/actions), as far as the history shows it:
// heartbeats, queries and rejected updates are not in it.
//
// One each: the start, every attempt of an activity, a timer, an upsert of search
// attributes by command, a signal, an accepted update, an update of options. All
// markers of one workflow task together are one, whatever they are of: local
// activities, side effects, versions. A child workflow is two, the second of
// which is its own start. Search attributes given at the start are free, and so
// is a change of the memo, which the rules do not list.
func Actions(events []*historypb.HistoryEvent) int {
	actions := 0
	marked := map[int64]bool{}
	for _, event := range events {
		switch event.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
			enumspb.EVENT_TYPE_TIMER_STARTED,
			enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
			enumspb.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
			enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
			enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
			enumspb.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED,
			enumspb.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUESTED,
			enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
			actions++
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			// One event for all attempts, with the number of the last.
			actions += int(max(event.GetActivityTaskStartedEventAttributes().GetAttempt(), 1))
		case enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
			if !onlyChangeVersion(event) {
				actions++
			}
		case enumspb.EVENT_TYPE_MARKER_RECORDED:
			if task := event.GetMarkerRecordedEventAttributes().GetWorkflowTaskCompletedEventId(); !marked[task] {
				marked[task] = true
				actions++
			}
		default: // free
		}
	}
	return actions
}

func onlyChangeVersion(event *historypb.HistoryEvent) bool {
	fields := event.GetUpsertWorkflowSearchAttributesEventAttributes().GetSearchAttributes().GetIndexedFields()
	_, versioned := fields[changeVersion]
	return versioned && len(fields) == 1
}
