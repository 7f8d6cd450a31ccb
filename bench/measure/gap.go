package measure

import (
	"time"

	historypb "go.temporal.io/api/history/v1"
)

// Gap is a time in which a run did not go on.
type Gap struct {
	Length time.Duration
	// After and Before are the kinds of the events around it.
	After, Before string
}

// LongestGap returns the longest time between two events of a history; the zero
// Gap when it has fewer than two.
func LongestGap(events []*historypb.HistoryEvent) Gap {
	var longest Gap
	for i := 1; i < len(events); i++ {
		before, after := events[i-1], events[i]
		length := after.GetEventTime().AsTime().Sub(before.GetEventTime().AsTime())
		if length > longest.Length {
			longest = Gap{length, before.GetEventType().String(), after.GetEventType().String()}
		}
	}
	return longest
}
