package starter_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// TestLookAtAWait proves that an open patch tells since when its step is under
// way and when it is tried again, also when no worker answers for it, and no next
// try while one is being made.
func TestLookAtAWait(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		state       enumspb.PendingActivityState
		attempt     int32
		since, next time.Time
	}{
		{state: enumspb.PENDING_ACTIVITY_STATE_SCHEDULED, attempt: 3, next: began.Add(time.Minute)},
		{state: enumspb.PENDING_ACTIVITY_STATE_STARTED, attempt: 3},
		{state: enumspb.PENDING_ACTIVITY_STATE_STARTED, attempt: 1, since: began},
	} {
		s, temporal := newStarter(t)
		answer := describedWith(t, running, map[string]any{
			workflows.MemoPatchID: newID, workflows.MemoVersion: "1.4.3", workflows.MemoActor: "ann",
		})
		answer.PendingActivities = []*workflowpb.PendingActivityInfo{{
			ActivityType: &commonpb.ActivityType{Name: "PatchContainer"}, State: row.state, Attempt: row.attempt,
			ScheduledTime: timestamppb.New(began), NextAttemptScheduleTime: timestamppb.New(began.Add(time.Minute)),
		}}
		temporal.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "").Return(answer, nil)
		temporal.On("QueryWorkflow", mock.Anything, mock.Anything, mock.Anything, workflows.StateQuery).
			Return(nil, errors.New("no poller has seen the query"))
		view, err := s.Look(t.Context(), newID)
		require.NoError(t, err)
		require.Equal(t, "ann", view.Open.Actor)
		require.Equal(t, patch.PhasePatching, view.State.Phase)
		require.Equal(t, int(row.attempt), view.State.Attempts)
		require.Equal(t, row.since, view.State.Since)
		require.Equal(t, row.next, view.State.NextAttempt)
	}
}
