package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// Look returns a patch as it stands: its state while a run of it is open, its
// result ever after. It returns [patch.ErrNotFound] when no patch has the id.
func (s *Starter) Look(ctx context.Context, patchID string) (patch.View, error) {
	gameID, ok := patch.GameOf(patchID)
	if !ok {
		return patch.View{}, patch.ErrNotFound
	}
	latest, err := s.describe(ctx, patch.WorkflowID(gameID), "")
	if err == nil && latest.handle.PatchID == patchID {
		return s.lookAt(ctx, latest)
	}
	if err != nil && !errors.Is(err, patch.ErrNotFound) && ctx.Err() != nil {
		return patch.View{}, ctx.Err()
	}
	return s.past(ctx, gameID, patchID, err)
}

// past returns a patch that is not the game's latest, or that Temporal does not
// tell of, for the reason describeErr: another patch of the game came after it,
// Temporal has forgotten it, or Temporal is not there. The audit row has its
// result.
func (s *Starter) past(ctx context.Context, gameID, patchID string, describeErr error) (patch.View, error) {
	row, err := s.row(ctx, patch.Handle{PatchID: patchID})
	switch {
	case err == nil:
		return closedView(s.inFull(ctx, patch.ResultOf(row)), row.Actor), nil
	case !errors.Is(err, patch.ErrNotFound):
		return patch.View{}, err
	case describeErr != nil && !errors.Is(describeErr, patch.ErrNotFound):
		return patch.View{}, unavailable(ctx, "look at the patch", describeErr)
	default:
		return s.search(ctx, gameID, patchID)
	}
}

// inFull returns what Temporal still knows of a result that was read from the
// audit log, which keeps neither the record nor the undo's parts.
func (s *Starter) inFull(ctx context.Context, result patch.Result) patch.Result {
	full, err := s.Await(ctx, patch.Handle{
		PatchID: result.PatchID, GameID: result.GameID, WorkflowID: result.WorkflowID, RunID: result.RunID,
	})
	if err != nil {
		return result
	}
	return full
}

func closedView(result patch.Result, actor string) patch.View {
	return patch.View{
		Handle: patch.Handle{
			PatchID: result.PatchID, GameID: result.GameID, WorkflowID: result.WorkflowID, RunID: result.RunID,
		},
		Result: &result, Actor: actor,
	}
}

func (s *Starter) lookAt(ctx context.Context, run described) (patch.View, error) {
	if run.isOpen() {
		state, open := s.state(ctx, run), run.open()
		return patch.View{Handle: run.handle, State: &state, Open: &open}, nil
	}
	result, err := s.Await(ctx, run.handle)
	if err != nil {
		return patch.View{}, err
	}
	return closedView(result, run.actor), nil
}

// queryPatience bounds the wait for a worker's answer to a query: with no
// worker up it would never come, and what Temporal itself knows is good enough.
const queryPatience = 2 * time.Second

// state asks the run, and puts Temporal's own count of the pending step in,
// which the workflow cannot see. Without a worker to answer, and while the run is
// paused, which is not asked then, the phase is what the pending step or the
// search attribute tells, or empty.
func (s *Starter) state(ctx context.Context, run described) patch.State {
	state := patch.State{
		PatchID: run.handle.PatchID, GameID: run.handle.GameID,
		Phase: run.phase(), To: patch.Image{Version: run.version},
	}
	if !run.paused() {
		s.ask(ctx, run, &state)
	}
	if run.pending != nil {
		withPending(&state, run.pending)
	}
	if run.standsStill() {
		state.Doing = strings.TrimSuffix(pausedWords+": "+state.Doing, ": ")
	}
	return state
}

// pausedWords begin what a run does that somebody paused, or its step: neither the
// run, which answers no query then, nor its last error tells that.
const pausedWords = "paused in Temporal"

// ask has the run say where it is. A run that does not answer, and a state of
// another shape, leave what Temporal knows.
func (s *Starter) ask(ctx context.Context, run described, state *patch.State) {
	ctx, cancel := context.WithTimeout(ctx, queryPatience)
	defer cancel()
	answer, err := s.client.QueryWorkflow(ctx, run.handle.WorkflowID, run.handle.RunID, workflows.StateQuery)
	if err == nil {
		_ = answer.Get(state)
	}
}

// phaseOf tells the phase by the step that is pending, for runs whose worker
// does not answer. TakeFence is of whatever phase its run is in.
var phaseOf = map[string]patch.Phase{
	"LoadRecord":         patch.PhaseValidating,
	"ValidateVersion":    patch.PhaseValidating,
	"PatchContainer":     patch.PhasePatching,
	"UpdateImage":        patch.PhaseRecording,
	"RestoreContainer":   patch.PhaseCompensating,
	"AppendOperationLog": patch.PhaseAuditing,
	// The steps of a reconciliation, whose other one is RestoreContainer.
	"LoadRuntime": patch.PhaseValidating,
	"AdoptImage":  patch.PhaseCompensating,
}

// withPending puts in what Temporal knows of the pending step. Until when it is
// tried is the run's to tell: for a step without a bound Temporal has one of its
// own.
func withPending(state *patch.State, pending *workflowpb.PendingActivityInfo) {
	// Of a later attempt it is the attempt's own.
	if state.Since.IsZero() && pending.GetAttempt() <= 1 && pending.GetScheduledTime() != nil {
		state.Since = pending.GetScheduledTime().AsTime()
	}
	if pending.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED && pending.GetNextAttemptScheduleTime() != nil {
		state.NextAttempt = pending.GetNextAttemptScheduleTime().AsTime()
	}
	state.Step = pending.GetActivityType().GetName()
	state.Attempts = int(pending.GetAttempt())
	if phase, known := phaseOf[state.Step]; known {
		state.Phase = phase
	}
	if failure := pending.GetLastFailure(); failure != nil {
		state.LastError = failure.GetMessage()
		if code := patch.Code(failure.GetApplicationFailureInfo().GetType()); code.IsKnown() {
			state.Code = code
		}
	}
}

// searchPages bounds the search; a page is up to 1,000 runs, and nobody
// terminates that many runs of one game within the retention.
const searchPages = 3

// search looks through those runs of the game that can have left no audit row:
// the ones that were ended from outside.
func (s *Starter) search(ctx context.Context, gameID, patchID string) (patch.View, error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("WorkflowId = '%s' AND ExecutionStatus IN ('Terminated', 'TimedOut')", patch.WorkflowID(gameID)),
	}
	for range searchPages {
		page, err := s.client.ListWorkflow(ctx, request)
		if err != nil {
			return patch.View{}, unavailable(ctx, "search for the patch", err)
		}
		for _, info := range page.GetExecutions() {
			if run := describedOf(info); run.handle.PatchID == patchID {
				return s.lookAt(ctx, run)
			}
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			break
		}
	}
	return patch.View{}, patch.ErrNotFound
}
