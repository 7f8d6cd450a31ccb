package starter_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/mocks"

	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/workflows"
)

// The export reads the runs through this port.
var _ ports.ClosedRuns = (*starter.Starter)(nil)

// TestEnsureExports proves what the schedule of the export is, that it is beside
// the watch's, and that it goes when nobody wants it.
func TestEnsureExports(t *testing.T) {
	s := &schedules{}
	temporal := mocks.NewClient(t)
	temporal.On("WorkflowService").Return(s)
	ensure := func(queue string, interval time.Duration) {
		t.Helper()
		require.NoError(t, starter.EnsureExports(t.Context(), temporal, starter.ExportOptions{TaskQueue: queue, Interval: interval}))
	}
	ensure("", time.Minute)
	require.Equal(t, "export-histories", s.id)
	require.NotEqual(t, starter.WatchID(""), s.id)
	require.Equal(t, time.Minute, s.schedule.GetSpec().GetInterval()[0].GetInterval().AsDuration())
	action := s.schedule.GetAction().GetStartWorkflow()
	require.Equal(t, workflows.ExportHistoriesType, action.GetWorkflowType().GetName())
	require.JSONEq(t, `{"name":"export-histories"}`, string(action.GetInput().GetPayloads()[0].GetData()))
	s.pause()
	ensure("", 2*time.Minute)
	require.True(t, s.schedule.GetState().GetPaused(), "the operator's pause stays")
	require.Equal(t, 1, s.updates)
	ensure("", 0)
	require.Nil(t, s.schedule)
	ensure("staging", time.Minute)
	require.Equal(t, "export-histories-staging", s.id)
}

// TestPageClosed proves what is asked for: every way to close, of this
// installation only.
func TestPageClosed(t *testing.T) {
	s, client := newStarter(t)
	since := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("", 3600))
	client.On("ListWorkflow", mock.Anything, mock.MatchedBy(func(request *workflowservice.ListWorkflowExecutionsRequest) bool {
		return string(request.GetNextPageToken()) == "token" && request.GetPageSize() == 50 && request.GetQuery() ==
			"WorkflowType IN ('PatchRuntime', 'ReconcileRuntime') AND TaskQueue = 'gamemaster' AND "+
				"ExecutionStatus != 'Running' AND CloseTime >= '2026-01-02T02:04:05.006Z'"
	})).Return(&workflowservice.ListWorkflowExecutionsResponse{
		Executions:    []*workflowpb.WorkflowExecutionInfo{{Execution: &commonpb.WorkflowExecution{WorkflowId: "w", RunId: "r"}}},
		NextPageToken: []byte("next"),
	}, nil).Once()
	page, err := s.PageClosed(t.Context(), since, []byte("token"))
	require.NoError(t, err)
	require.Equal(t, history.ClosedPage{Runs: []history.Ref{{WorkflowID: "w", RunID: "r"}}, NextPageToken: []byte("next")}, page)

	client.On("ListWorkflow", mock.Anything, mock.Anything).Return(nil, serviceerror.NewUnavailable("away"))
	_, err = s.PageClosed(t.Context(), since, nil)
	requireRefusal(t, err, patch.CodeServiceUnavailable)
}

// recordedEvents is the history of a run, of which reading may fail.
type recordedEvents struct {
	events []*historypb.HistoryEvent
	err    error
}

func (r *recordedEvents) HasNext() bool { return len(r.events) > 0 || r.err != nil }

func (r *recordedEvents) Next() (*historypb.HistoryEvent, error) {
	if len(r.events) == 0 {
		return nil, r.err
	}
	event := r.events[0]
	r.events = r.events[1:]
	return event, nil
}

// TestHistory proves that a run comes with its history as the SDK's JSON, and that
// one which is forgotten, also between two calls, too large or not to be read is
// told apart.
func TestHistory(t *testing.T) {
	events := func() []*historypb.HistoryEvent {
		return []*historypb.HistoryEvent{{EventId: 1, EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED},
			{EventId: 2, EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, WorkerMayIgnore: true}}
	}
	for name, row := range map[string]struct {
		described error
		events    recordedEvents
		most      int
		want      error
		code      patch.Code
	}{
		"whole":             {events: recordedEvents{events: events()}, most: 1000},
		"forgotten":         {described: serviceerror.NewNotFound("none"), want: history.ErrNotFound},
		"no run ID at all":  {described: serviceerror.NewInvalidArgument("Invalid RunId."), want: history.ErrNotFound},
		"away":              {described: serviceerror.NewUnavailable("away"), code: patch.CodeServiceUnavailable},
		"forgotten by then": {events: recordedEvents{err: serviceerror.NewNotFound("none")}, most: 1000, want: history.ErrNotFound},
		"away by then":      {events: recordedEvents{events: events(), err: errors.New("away")}, most: 1000, code: patch.CodeServiceUnavailable},
		"too many events":   {events: recordedEvents{events: events()}, most: 5, want: history.ErrTooLarge},
		"too long as JSON":  {events: recordedEvents{events: events()}, most: 60, want: history.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			s, client := newStarter(t)
			answer := described(t, "1.4.3", false, completed)
			if row.described != nil {
				answer = nil
			}
			client.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "r").Return(answer, row.described)
			client.On("GetWorkflowHistory", mock.Anything, mock.Anything, mock.Anything, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT).
				Return(&row.events).Maybe()
			run, document, err := s.History(t.Context(), history.Ref{WorkflowID: patch.WorkflowID(gameID), RunID: "r"}, row.most)
			switch {
			case row.want != nil:
				require.ErrorIs(t, err, row.want)
			case row.code != "":
				requireRefusal(t, err, row.code)
			default:
				require.NoError(t, err)
				require.Equal(t, 2, run.Events)
				require.Equal(t, len(document), run.Size)
				require.Equal(t, "Completed", run.Status)
				require.Equal(t, openID, run.PatchID)
				require.True(t, strings.HasPrefix(strings.ReplaceAll(string(document), " ", ""), `{"events":[{"eventId":"1",`), string(document))
			}
		})
	}
}

// TestHistoryOfAnotherGamesPatch proves that a run which somebody started with the
// memo of another game's patch is no run of that patch.
func TestHistoryOfAnotherGamesPatch(t *testing.T) {
	s, client := newStarter(t)
	begun := startedEvent(t, true)
	answer := described(t, "1.4.3", false, completed)
	answer.WorkflowExecutionInfo.Execution.WorkflowId = patch.WorkflowID("other")
	client.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "r").Return(answer, nil)
	client.On("GetWorkflowHistory", mock.Anything, mock.Anything, mock.Anything, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT).
		Return(&recordedEvents{events: []*historypb.HistoryEvent{begun, cancelEvent("bob", "wrong")}})
	run, _, err := s.History(t.Context(), history.Ref{WorkflowID: patch.WorkflowID("other"), RunID: "r"}, 10_000)
	require.NoError(t, err)
	require.Empty(t, run.PatchID)
	require.Len(t, run.Interventions, 1)
	require.Empty(t, run.Interventions[0].PatchID)
	require.Equal(t, "other", run.Interventions[0].GameID)
}
