package starter_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"
	"google.golang.org/protobuf/types/known/timestamppb"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
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

// TestLookAtAPause proves that a pause is told as what a run waits for, of the run
// and of its step.
func TestLookAtAPause(t *testing.T) {
	for name, row := range map[string]struct {
		status enumspb.WorkflowExecutionStatus
		step   bool
		says   string
		doing  string
	}{
		"the run":  {enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED, false, "", "paused in Temporal"},
		"its step": {running, true, "recreate on 1.4.3", "paused in Temporal: recreate on 1.4.3"},
		"neither":  {running, false, "recreate on 1.4.3", "recreate on 1.4.3"},
	} {
		t.Run(name, func(t *testing.T) {
			s, temporal := newStarter(t)
			answer := describedWith(t, row.status, map[string]any{workflows.MemoPatchID: newID, workflows.MemoVersion: "1.4.3"})
			answer.PendingActivities = []*workflowpb.PendingActivityInfo{{
				ActivityType: &commonpb.ActivityType{Name: "PatchContainer"}, Attempt: 3, Paused: row.step,
			}}
			temporal.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "").Return(answer, nil)
			// A run that is paused answers nothing, and is not asked.
			if row.says != "" {
				temporal.On("QueryWorkflow", mock.Anything, mock.Anything, mock.Anything, workflows.StateQuery).Return(saying(row.says), nil)
			}
			view, err := s.Look(t.Context(), newID)
			require.NoError(t, err)
			require.Equal(t, row.doing, view.State.Doing)
		})
	}
}

// saying is the answer of a run to what it does.
type saying string

func (saying) HasValue() bool { return true }

func (s saying) Get(into any) error {
	into.(*patch.State).Doing = string(s)
	return nil
}

// patchLog has the rows of one patch, the latest first.
type patchLog []operation.OperationEntry

func (l patchLog) ListByPatch(context.Context, string) ([]operation.OperationEntry, error) {
	return l, nil
}

// TestLookAtAForgottenPatch proves which row tells what came of a patch that
// Temporal has forgotten: none of another game, and one of a run that was
// terminated or that somebody started under an ID of their own only when there is
// no other.
func TestLookAtAForgottenPatch(t *testing.T) {
	row := func(of, runID string, code patch.Code) operation.OperationEntry {
		entry := operation.OperationEntry{GameID: of, PatchID: newID, RunID: runID, Outcome: operation.OutcomeSuccess, ErrorCode: string(code)}
		if code != "" {
			entry.Outcome = operation.OutcomeFailure
		}
		return entry
	}
	for name, wanted := range map[string]struct {
		rows  patchLog
		runID string
	}{
		"one":                      {patchLog{row(gameID, "run-1", "")}, "run-1"},
		"reset":                    {patchLog{row(gameID, "run-2", patch.CodeConflict), row(gameID, "run-1", "")}, "run-2"},
		"terminated":               {patchLog{row(gameID, "run-1", patch.CodeTerminated)}, "run-1"},
		"terminated, then reset":   {patchLog{row(gameID, "run-1", patch.CodeTerminated), row(gameID, "run-2", "")}, "run-2"},
		"invalid":                  {patchLog{row(gameID, "run-1", patch.CodeInvalidRequest)}, "run-1"},
		"once more, under an ID":   {patchLog{row(gameID, "run-2", patch.CodeInvalidRequest), row(gameID, "run-1", "")}, "run-1"},
		"once more, for a game":    {patchLog{row("other", "run-2", ""), row(gameID, "run-1", patch.CodeConflict)}, "run-1"},
		"only one of another game": {patchLog{row("other", "run-2", "")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			temporal := mocks.NewClient(t)
			s, err := starter.New(starter.Options{Client: temporal, AuditLog: wanted.rows})
			require.NoError(t, err)
			temporal.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "").Return(nil, serviceerror.NewNotFound("none"))
			temporal.On("GetWorkflow", mock.Anything, mock.Anything, mock.Anything).Return(forgotten{}).Maybe()
			temporal.On("ListWorkflow", mock.Anything, mock.Anything).Return(&workflowservice.ListWorkflowExecutionsResponse{}, nil).Maybe()
			view, err := s.Look(t.Context(), newID)
			if wanted.runID == "" {
				require.ErrorIs(t, err, patch.ErrNotFound)
				return
			}
			require.NoError(t, err)
			require.Equal(t, wanted.runID, view.Handle.RunID)
			require.Equal(t, gameID, view.Handle.GameID)
		})
	}
}

// forgotten is a run that Temporal does not know.
type forgotten struct{ client.WorkflowRun }

func (forgotten) Get(context.Context, any) error { return serviceerror.NewNotFound("none") }
