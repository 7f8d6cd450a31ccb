package measure_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"galaxy/gamemaster/bench/measure"
)

func plain(kind enumspb.EventType) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{EventType: kind}
}

func started(attempt int32) *historypb.HistoryEvent {
	event := plain(enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED)
	event.Attributes = &historypb.HistoryEvent_ActivityTaskStartedEventAttributes{
		ActivityTaskStartedEventAttributes: &historypb.ActivityTaskStartedEventAttributes{Attempt: attempt},
	}
	return event
}

func marker(task int64) *historypb.HistoryEvent {
	event := plain(enumspb.EVENT_TYPE_MARKER_RECORDED)
	event.Attributes = &historypb.HistoryEvent_MarkerRecordedEventAttributes{
		MarkerRecordedEventAttributes: &historypb.MarkerRecordedEventAttributes{WorkflowTaskCompletedEventId: task},
	}
	return event
}

func upsert(names ...string) *historypb.HistoryEvent {
	fields := map[string]*commonpb.Payload{}
	for _, name := range names {
		fields[name] = &commonpb.Payload{}
	}
	event := plain(enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES)
	event.Attributes = &historypb.HistoryEvent_UpsertWorkflowSearchAttributesEventAttributes{
		UpsertWorkflowSearchAttributesEventAttributes: &historypb.UpsertWorkflowSearchAttributesEventAttributes{
			SearchAttributes: &commonpb.SearchAttributes{IndexedFields: fields},
		},
	}
	return event
}

// TestActions proves each of the published rules on the events that show it.
func TestActions(t *testing.T) {
	start := plain(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
	for name, row := range map[string]struct {
		events []*historypb.HistoryEvent
		want   int
	}{
		"nothing": {nil, 0},
		"a start, and tasks that are free": {[]*historypb.HistoryEvent{
			start, plain(enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED), plain(enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED),
			plain(enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED), plain(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED),
		}, 1},
		"an activity is one, not three": {[]*historypb.HistoryEvent{
			start, plain(enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED), started(1), plain(enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED),
		}, 2},
		"its retries count":                  {[]*historypb.HistoryEvent{start, started(4)}, 5},
		"markers of one task are one":        {[]*historypb.HistoryEvent{start, marker(4), marker(4), marker(4)}, 2},
		"markers of two tasks are two":       {[]*historypb.HistoryEvent{start, marker(4), marker(9)}, 3},
		"an upsert of several is one":        {[]*historypb.HistoryEvent{upsert("Phase", "Outcome")}, 1},
		"that of a change's version is free": {[]*historypb.HistoryEvent{upsert("TemporalChangeVersion")}, 0},
		"unless it has others in it":         {[]*historypb.HistoryEvent{upsert("TemporalChangeVersion", "Phase")}, 1},
		"timers, signals and updates": {[]*historypb.HistoryEvent{
			plain(enumspb.EVENT_TYPE_TIMER_STARTED), plain(enumspb.EVENT_TYPE_TIMER_FIRED),
			plain(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED),
			plain(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED), plain(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED),
		}, 3},
		"a change of the memo is not listed": {[]*historypb.HistoryEvent{plain(enumspb.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED)}, 0},
	} {
		require.Equal(t, row.want, measure.Actions(row.events), name)
	}
}
