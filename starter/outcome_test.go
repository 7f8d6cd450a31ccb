package starter_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/starter"
)

// outcomes are those of run-1.
type outcomes struct {
	// told is whether its row is heard of, success whether that tells one.
	told, success bool
	awaited       int
}

func (o *outcomes) Await(ctx context.Context, runID string) bool {
	o.awaited++
	_, bounded := ctx.Deadline()
	return o.told && bounded && runID == "run-1"
}

func (o *outcomes) Heard(runID string) bool { return o.told && runID == "run-1" }

func (o *outcomes) Success(_ context.Context, patchID, runID string) (operation.OperationEntry, runtime.RuntimeRecord, error) {
	if !o.success || patchID != newID || runID != "run-1" {
		return operation.OperationEntry{}, runtime.RuntimeRecord{}, patch.ErrNotFound
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return operation.OperationEntry{
			GameID: gameID, PatchID: newID, RunID: "run-1", OpKind: operation.OpKindPatch, Outcome: operation.OutcomeSuccess,
			FromVersion: "1.4.2", ToVersion: "1.4.3", StartedAt: at, FinishedAt: &at,
		},
		runtime.RuntimeRecord{GameID: gameID, CurrentEngineVersion: "1.4.3"}, nil
}

func newListener(t *testing.T, o *outcomes) (*starter.Starter, *mocks.Client) {
	t.Helper()
	temporal := mocks.NewClient(t)
	s, err := starter.New(starter.Options{Client: temporal, AuditLog: emptyLog{}, Outcomes: o})
	require.NoError(t, err)
	return s, temporal
}

// ended is a run that has closed with a result of its own.
type ended struct{ client.WorkflowRun }

func (ended) Get(_ context.Context, into any) error {
	if into != nil {
		into.(*patch.Result).Message = "by Temporal"
	}
	return nil
}

// TestAwaitHearsOfASuccess proves that a success is told as soon as its row is
// written, without a question to Temporal, and everything else by Temporal: a
// failure, what nobody heard of, and a run that this call did not begin.
func TestAwaitHearsOfASuccess(t *testing.T) {
	handle := patch.Handle{PatchID: newID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-1", Begun: true}
	again := handle
	again.Begun = false
	for name, row := range map[string]struct {
		handle   patch.Handle
		outcomes outcomes
		awaited  int
	}{
		"success":        {handle, outcomes{told: true, success: true}, 1},
		"failure":        {handle, outcomes{told: true}, 1},
		"nothing heard":  {handle, outcomes{success: true}, 1},
		"another's run":  {again, outcomes{told: true, success: true}, 0},
		"another's fail": {again, outcomes{told: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, temporal := newListener(t, &row.outcomes)
			if name != "success" {
				temporal.On("GetWorkflow", mock.Anything, handle.WorkflowID, "run-1").Return(ended{}).Once()
			}
			result, err := s.Await(t.Context(), row.handle)
			require.NoError(t, err)
			require.Equal(t, row.awaited, row.outcomes.awaited)
			if name != "success" {
				require.Equal(t, "by Temporal", result.Message)
				return
			}
			require.True(t, result.IsSuccess())
			require.Equal(t, "1.4.3", result.Runtime.CurrentEngineVersion)
			require.Equal(t, "1.4.2", result.From.Version)
			require.Equal(t, patch.WorkflowID(gameID), result.WorkflowID)
		})
	}
}

// deafRun is a run of whose end nobody is told who asked before it.
type deafRun struct {
	client.WorkflowRun
	asked, misses int
	fails         error
}

func (r *deafRun) Get(ctx context.Context, into any) error {
	if r.asked++; r.asked > r.misses {
		return errors.Join(r.fails, ended{}.Get(ctx, into))
	}
	<-ctx.Done()
	return serviceerror.NewDeadlineExceeded("context deadline exceeded")
}

// TestLostNotificationIsMadeUpFor proves that Temporal is asked anew for the end
// of a run when it does not tell, for as long as the caller waits and no longer,
// and that an end which looks like a timeout is one.
func TestLostNotificationIsMadeUpFor(t *testing.T) {
	handle := patch.Handle{PatchID: newID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-1"}
	for name, row := range map[string]struct {
		run   deafRun
		err   error
		asked int
		took  time.Duration
	}{
		"told":            {deafRun{}, nil, 1, 0},
		"lost once":       {deafRun{misses: 1}, nil, 2, 2 * time.Second},
		"never told":      {deafRun{misses: 100}, patch.ErrStillOpen, 5, 9 * time.Second},
		"the run's error": {deafRun{misses: 1, fails: temporal.NewApplicationError("done", "internal_error")}, nil, 2, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, server := newListener(t, &outcomes{})
				server.On("GetWorkflow", mock.Anything, handle.WorkflowID, "run-1").Return(&row.run).Once()
				server.On("DescribeWorkflowExecution", mock.Anything, handle.WorkflowID, "run-1").
					Return(nil, serviceerror.NewNotFound("")).Maybe()
				ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
				defer cancel()
				began := time.Now()
				_, err := s.Await(ctx, handle)
				require.ErrorIs(t, err, row.err)
				require.Equal(t, row.asked, row.run.asked)
				require.Equal(t, row.took, time.Since(began))
			})
		})
	}
}

// TestToldRunIsClosed proves that who was told of an end does not meet the run
// as an open one: not who looks at the patch, and not who starts the next one.
func TestToldRunIsClosed(t *testing.T) {
	workflowID := patch.WorkflowID(gameID)
	t.Run("look", func(t *testing.T) {
		s, temporal := newListener(t, &outcomes{told: true})
		temporal.On("DescribeWorkflowExecution", mock.Anything, workflowID, "").Return(described(t, "1.4.3", false, running), nil).Once()
		temporal.On("GetWorkflow", mock.Anything, workflowID, "run-1").Return(ended{})
		temporal.On("DescribeWorkflowExecution", mock.Anything, workflowID, "").Return(described(t, "1.4.3", false, completed), nil).Once()
		view, err := s.Look(t.Context(), openID)
		require.NoError(t, err)
		require.NotNil(t, view.Result)
	})
	t.Run("start", func(t *testing.T) {
		s, temporal := newListener(t, &outcomes{told: true})
		temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errAlready).Once()
		temporal.On("DescribeWorkflowExecution", mock.Anything, workflowID, "run-1").Return(described(t, "1.4.2", false, running), nil).Once()
		temporal.On("GetWorkflow", mock.Anything, workflowID, "run-1").Return(ended{}).Once()
		temporal.On("DescribeWorkflowExecution", mock.Anything, workflowID, "run-1").Return(described(t, "1.4.2", false, completed), nil).Once()
		run := mocks.NewWorkflowRun(t)
		run.On("GetID").Return(workflowID)
		run.On("GetRunID").Return("run-2")
		temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(run, nil).Once()
		handle, err := s.Start(t.Context(), request("1.4.3", false))
		require.NoError(t, err)
		require.Equal(t, "run-2", handle.RunID)
	})
	t.Run("one that does not close", func(t *testing.T) {
		s, temporal := newListener(t, &outcomes{told: true})
		temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errAlready).Once()
		temporal.On("DescribeWorkflowExecution", mock.Anything, workflowID, "run-1").Return(described(t, "1.4.2", false, running), nil).Twice()
		temporal.On("GetWorkflow", mock.Anything, workflowID, "run-1").Return(forgotten{}).Once()
		_, err := s.Start(t.Context(), request("1.4.3", false))
		requireRefusal(t, err, patch.CodePatchInProgress)
	})
}

// TestBegun proves what a start knows of its run: that it began it, or that the
// run which a repeat of it finds may have ended. A client without the options
// knows nothing.
func TestBegun(t *testing.T) {
	for name, row := range map[string]struct {
		answer *workflowservice.StartWorkflowExecutionResponse
		plain  bool
		begun  bool
	}{
		"began":           {answer: &workflowservice.StartWorkflowExecutionResponse{RunId: "run-1", Started: true, Status: running}, begun: true},
		"closed by now":   {answer: &workflowservice.StartWorkflowExecutionResponse{RunId: "run-1", Started: true, Status: completed}},
		"not begun":       {answer: &workflowservice.StartWorkflowExecutionResponse{RunId: "run-1", Status: running}},
		"old server":      {answer: &workflowservice.StartWorkflowExecutionResponse{RunId: "run-1"}},
		"without options": {answer: &workflowservice.StartWorkflowExecutionResponse{RunId: "run-1", Started: true, Status: running}, plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			options := starter.DialOptions()
			if row.plain {
				options = nil
			}
			s, service := over(t, options...)
			service.started = row.answer
			handle, err := s.Start(t.Context(), request("1.4.3", false))
			require.NoError(t, err)
			require.Equal(t, row.begun, handle.Begun)
		})
	}
}
