package measure_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"galaxy/gamemaster/bench/measure"
)

// TestLongestGap proves that the longest time between two events is found, with
// the events around it.
func TestLongestGap(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(kind enumspb.EventType, after time.Duration) *historypb.HistoryEvent {
		return &historypb.HistoryEvent{EventType: kind, EventTime: timestamppb.New(begin.Add(after))}
	}
	events := []*historypb.HistoryEvent{
		at(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, 0),
		at(enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, time.Second),
		at(enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED, 11*time.Second),
		at(enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, 12*time.Second),
	}
	require.Equal(t, measure.Gap{
		Length: 10 * time.Second, After: "WorkflowTaskScheduled", Before: "WorkflowTaskStarted",
	}, measure.LongestGap(events))
	require.Zero(t, measure.LongestGap(events[:1]))
	require.Zero(t, measure.LongestGap(nil))
}
