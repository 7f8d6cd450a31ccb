package starter_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/mocks"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/workflows"
)

// schedules is Temporal as far as one schedule goes. Like the real one it drops
// an update without a word whose token is not the current one.
type schedules struct {
	workflowservice.WorkflowServiceClient

	mu       sync.Mutex
	schedule *schedulepb.Schedule
	id       string
	version  int
	// updates counts those that took effect, creates and deletes as well.
	updates, creates, deletes int
	// meanwhile runs once, behind the next look at the schedule.
	meanwhile func(*schedules)
	err       error
}

func (s *schedules) DescribeSchedule(
	_ context.Context, request *workflowservice.DescribeScheduleRequest, _ ...grpc.CallOption,
) (*workflowservice.DescribeScheduleResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	defer func() {
		if meanwhile := s.meanwhile; meanwhile != nil {
			s.meanwhile = nil
			meanwhile(s)
		}
	}()
	if s.schedule == nil || s.id != request.GetScheduleId() {
		return nil, &serviceerror.NotFound{}
	}
	return &workflowservice.DescribeScheduleResponse{
		Schedule: proto.CloneOf(s.schedule), ConflictToken: []byte(strconv.Itoa(s.version)),
	}, nil
}

func (s *schedules) CreateSchedule(
	_ context.Context, request *workflowservice.CreateScheduleRequest, _ ...grpc.CallOption,
) (*workflowservice.CreateScheduleResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.schedule != nil {
		return nil, &serviceerror.WorkflowExecutionAlreadyStarted{}
	}
	s.creates++
	s.schedule, s.id = proto.CloneOf(request.GetSchedule()), request.GetScheduleId()
	return &workflowservice.CreateScheduleResponse{}, nil
}

func (s *schedules) UpdateSchedule(
	_ context.Context, request *workflowservice.UpdateScheduleRequest, _ ...grpc.CallOption,
) (*workflowservice.UpdateScheduleResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token := string(request.GetConflictToken()); token == "" || token == strconv.Itoa(s.version) {
		s.version++
		s.updates++
		s.schedule = proto.CloneOf(request.GetSchedule())
	}
	return &workflowservice.UpdateScheduleResponse{}, nil
}

func (s *schedules) DeleteSchedule(
	context.Context, *workflowservice.DeleteScheduleRequest, ...grpc.CallOption,
) (*workflowservice.DeleteScheduleResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.schedule == nil {
		return nil, &serviceerror.NotFound{}
	}
	s.deletes++
	s.schedule = nil
	return &workflowservice.DeleteScheduleResponse{}, nil
}

// pause is what an operator does in the UI.
func (s *schedules) pause() {
	s.version++
	s.schedule.State = &schedulepb.ScheduleState{Paused: true, Notes: "migration until Friday, ann"}
}

func (s *schedules) input(t *testing.T) workflows.WatchInput {
	t.Helper()
	var input workflows.WatchInput
	payloads := s.schedule.GetAction().GetStartWorkflow().GetInput()
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(payloads, &input))
	return input
}

func ensure(t *testing.T, s *schedules, options starter.WatchOptions) error {
	t.Helper()
	temporal := mocks.NewClient(t)
	temporal.On("WorkflowService").Return(s)
	return starter.EnsureWatch(t.Context(), temporal, options)
}

// TestEnsureWatchCreates proves what the schedule is when there was none, and
// that it is left alone once it is so.
func TestEnsureWatchCreates(t *testing.T) {
	s := &schedules{}
	options := starter.WatchOptions{
		Interval: 5 * time.Minute, Heal: patch.ModeEnforce, Budgets: patch.Budgets{Undo: patch.Duration(time.Minute)},
	}
	require.NoError(t, ensure(t, s, options))
	require.Equal(t, "reconcile-runtimes", s.id)
	require.Equal(t, 5*time.Minute, s.schedule.GetSpec().GetInterval()[0].GetInterval().AsDuration())
	require.Equal(t, 30*time.Second, s.schedule.GetSpec().GetJitter().AsDuration())
	require.Equal(t, "Skip", s.schedule.GetPolicies().GetOverlapPolicy().String())
	require.Equal(t, time.Minute, s.schedule.GetPolicies().GetCatchupWindow().AsDuration())
	action := s.schedule.GetAction().GetStartWorkflow()
	require.Equal(t, "reconcile-runtimes", action.GetWorkflowId())
	require.Equal(t, workflows.ReconcileRuntimesType, action.GetWorkflowType().GetName())
	require.Equal(t, workflows.TaskQueue, action.GetTaskQueue().GetName())
	require.NotEmpty(t, action.GetUserMetadata().GetSummary().GetData())
	require.Contains(t, string(action.GetUserMetadata().GetDetails().GetData()), "Pause the schedule")
	require.Equal(t, workflows.WatchInput{Heal: patch.ModeEnforce, Budgets: options.Budgets}, s.input(t))

	require.NoError(t, ensure(t, s, options))
	require.Equal(t, 1, s.creates)
	require.Zero(t, s.updates)
}

// TestEnsureWatchOfOtherQueues proves that two installations in one namespace do
// not share a schedule, nor the ids of their passes.
func TestEnsureWatchOfOtherQueues(t *testing.T) {
	s := &schedules{}
	require.NoError(t, ensure(t, s, starter.WatchOptions{TaskQueue: "staging", Interval: time.Minute}))
	require.Equal(t, "reconcile-runtimes-staging", s.id)
	require.Equal(t, "reconcile-runtimes-staging", s.schedule.GetAction().GetStartWorkflow().GetWorkflowId())
	require.Equal(t, "staging", s.schedule.GetAction().GetStartWorkflow().GetTaskQueue().GetName())
}

// TestEnsureWatchChanges proves that every setting reaches a schedule that is
// there, and that a pause and its note outlive that.
func TestEnsureWatchChanges(t *testing.T) {
	before := starter.WatchOptions{Interval: 5 * time.Minute}
	for what, change := range map[string]func(*starter.WatchOptions){
		"interval": func(o *starter.WatchOptions) { o.Interval = time.Minute },
		"heal":     func(o *starter.WatchOptions) { o.Heal = patch.ModeEnforce },
		"budgets":  func(o *starter.WatchOptions) { o.Budgets.Undo = patch.Duration(time.Minute) },
	} {
		t.Run(what, func(t *testing.T) {
			s := &schedules{}
			require.NoError(t, ensure(t, s, before))
			s.pause()
			after := before
			change(&after)
			require.NoError(t, ensure(t, s, after))
			require.Equal(t, 1, s.updates)
			require.Equal(t, after.Interval, s.schedule.GetSpec().GetInterval()[0].GetInterval().AsDuration())
			require.Equal(t, workflows.WatchInput{Heal: after.Heal, Budgets: after.Budgets}, s.input(t))
			require.True(t, s.schedule.GetState().GetPaused())
			require.Equal(t, "migration until Friday, ann", s.schedule.GetState().GetNotes())
		})
	}
}

// TestEnsureWatchUndoesEdits proves that what somebody changed by hand is put
// back, another calendar beside the interval for instance.
func TestEnsureWatchUndoesEdits(t *testing.T) {
	for what, edit := range map[string]func(*schedulepb.Schedule){
		"a calendar":     func(s *schedulepb.Schedule) { s.Spec.StructuredCalendar = []*schedulepb.StructuredCalendarSpec{{}} },
		"task queue":     func(s *schedulepb.Schedule) { s.Action.GetStartWorkflow().TaskQueue.Name = "elsewhere" },
		"two intervals":  func(s *schedulepb.Schedule) { s.Spec.Interval = append(s.Spec.Interval, s.Spec.Interval[0]) },
		"no interval":    func(s *schedulepb.Schedule) { s.Spec.Interval = nil },
		"overlap policy": func(s *schedulepb.Schedule) { s.Policies.OverlapPolicy = 6 },
	} {
		t.Run(what, func(t *testing.T) {
			s := &schedules{}
			options := starter.WatchOptions{Interval: time.Minute}
			require.NoError(t, ensure(t, s, options))
			made := proto.CloneOf(s.schedule)
			edit(s.schedule)
			require.NoError(t, ensure(t, s, options))
			require.Equal(t, 1, s.updates)
			require.True(t, proto.Equal(made, s.schedule))
		})
	}
}

// TestEnsureWatchKeepsAPauseThatComesBetween proves that an operator who pauses
// the schedule at the very moment at which it is changed has it paused.
func TestEnsureWatchKeepsAPauseThatComesBetween(t *testing.T) {
	s := &schedules{}
	require.NoError(t, ensure(t, s, starter.WatchOptions{Interval: 5 * time.Minute}))
	s.meanwhile = (*schedules).pause
	require.NoError(t, ensure(t, s, starter.WatchOptions{Interval: time.Minute}))
	require.True(t, s.schedule.GetState().GetPaused())
	require.Equal(t, time.Minute, s.schedule.GetSpec().GetInterval()[0].GetInterval().AsDuration())
}

// TestEnsureWatchOff proves that an interval of zero takes the schedule away,
// and is content when there is none.
func TestEnsureWatchOff(t *testing.T) {
	s := &schedules{}
	require.NoError(t, ensure(t, s, starter.WatchOptions{}))
	require.Zero(t, s.deletes)
	require.NoError(t, ensure(t, s, starter.WatchOptions{Interval: time.Minute}))
	require.NoError(t, ensure(t, s, starter.WatchOptions{}))
	require.Equal(t, 1, s.deletes)
	require.Nil(t, s.schedule)
}

// TestEnsureWatchRace proves that of two processes which find no schedule both
// succeed, and that what the slower one wants comes about.
func TestEnsureWatchRace(t *testing.T) {
	s := &schedules{}
	s.meanwhile = func(s *schedules) {
		s.mu.Unlock()
		defer s.mu.Lock()
		require.NoError(t, ensure(t, s, starter.WatchOptions{Interval: time.Minute}))
	}
	require.NoError(t, ensure(t, s, starter.WatchOptions{Interval: time.Hour}))
	require.Equal(t, 1, s.creates)
	require.Equal(t, time.Hour, s.schedule.GetSpec().GetInterval()[0].GetInterval().AsDuration())
}

// TestEnsureWatchFaults proves that a Temporal that cannot be asked is told of,
// and so is a schedule that never stands still.
func TestEnsureWatchFaults(t *testing.T) {
	s := &schedules{err: &serviceerror.Unavailable{Message: "away"}}
	require.ErrorContains(t, ensure(t, s, starter.WatchOptions{Interval: time.Minute}), "away")

	s = &schedules{}
	require.NoError(t, ensure(t, s, starter.WatchOptions{Interval: time.Hour}))
	var disturb func(*schedules)
	disturb = func(s *schedules) { s.version++; s.meanwhile = disturb }
	s.meanwhile = disturb
	require.ErrorContains(t, ensure(t, s, starter.WatchOptions{Interval: time.Minute}), "keeps changing it")
}
