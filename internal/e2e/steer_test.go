package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	updatepb "go.temporal.io/api/update/v1"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/workflows"
)

// doubt brings a patch to 1.4.3 of a new game to where it waits for an operator:
// its recreate took place and was told to have failed, and the one that puts it
// back is refused for good, so that no budget has to run out.
func doubt(t *testing.T, r *rig, s *starter.Starter) (game string, open patch.Handle) {
	t.Helper()
	game = r.game()
	refuse := rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusBadRequest, Times: 1}
	r.fault(refuse)
	refuse.Mode, refuse.Times = rtmsim.ModeStatus, 0
	r.fault(refuse)
	open = begin(t, s, requestFor(game, "1.4.3"))
	awaitDoubt(t, s, open)
	return game, open
}

func awaitDoubt(t *testing.T, s *starter.Starter, open patch.Handle) {
	t.Helper()
	require.Eventually(t, func() bool {
		view, err := s.Look(t.Context(), open.PatchID)
		return err == nil && view.State != nil && view.State.Phase == patch.PhaseNeedsOperator
	}, patience, waitTick, "patch %s never waited for an operator", open.PatchID)
}

// taken returns the updates that a run has accepted, in order.
func taken(t *testing.T, r *rig, handle patch.Handle) []*updatepb.Request {
	t.Helper()
	var found []*updatepb.Request
	events := r.temporal.GetWorkflowHistory(t.Context(), handle.WorkflowID, handle.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		if attributes := event.GetWorkflowExecutionUpdateAcceptedEventAttributes(); attributes != nil {
			found = append(found, attributes.GetAcceptedRequest())
		}
	}
	return found
}

// TestRetry proves that an operator's decision has the undo tried again, and
// stands in the audit row; and what is told of a patch that waits for nobody.
func TestRetry(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	r.startWorker()
	s := r.starter(starter.DialOptions()...)
	game, open := doubt(t, r, s)
	_, err := s.Cancel(t.Context(), open.PatchID, patch.Command{Actor: "ann"})
	require.ErrorIs(t, err, patch.ErrInDoubt)
	require.Empty(t, causes(t, r, open), "noted, it would be told to have had an effect")

	r.simulator.ClearFaults()
	handle, err := s.Retry(t.Context(), open.PatchID, patch.Command{Actor: "ann", Reason: "manager is back"})
	require.NoError(t, err)
	require.Equal(t, open, handle)
	require.Equal(t, patch.CodeServiceUnavailable, end(t, s, open).Code)
	r.requireInLine(game, "1.4.2", 2)
	require.Contains(t, r.audit(game)[0].Undo, `retry by "ann": manager is back`)

	_, err = s.Retry(t.Context(), open.PatchID, patch.Command{Actor: "ann", Reason: "once more"})
	require.ErrorIs(t, err, patch.ErrClosed)
	_, err = s.Retry(t.Context(), patch.NewID(game), patch.Command{Actor: "ann", Reason: "once more"})
	require.ErrorIs(t, err, patch.ErrNotFound)
	r.holdPatch(game)
	next := begin(t, s, requestFor(game, "1.4.3"))
	_, err = s.Retry(t.Context(), next.PatchID, patch.Command{Actor: "ann", Reason: "impatient"})
	require.ErrorIs(t, err, patch.ErrNotInDoubt)
	r.letGo(game)
	require.True(t, end(t, s, next).IsSuccess())
}

// TestRetryTwice proves that the same words of the same person are a decision
// each time that the patch waits, not a repeat of the one before.
func TestRetryTwice(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	r.startWorker()
	s := r.starter(starter.DialOptions()...)
	game, open := doubt(t, r, s)
	command := patch.Command{Actor: "ann", Reason: "manager is back"}
	_, err := s.Retry(t.Context(), open.PatchID, command)
	require.NoError(t, err)
	awaitDoubt(t, s, open)
	r.simulator.ClearFaults()
	_, err = s.Retry(t.Context(), open.PatchID, command)
	require.NoError(t, err)
	end(t, s, open)
	require.Len(t, taken(t, r, open), 2)
	r.requireInLine(game, "1.4.2", 2)
	recordHistory(t, r, "needs_operator_twice", game)
}

// TestAbandon proves that an operator's decision ends a patch which cannot be put
// back, and that the game is free for the next one.
func TestAbandon(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	r.startWorker()
	s := r.starter(starter.DialOptions()...)
	game, open := doubt(t, r, s)
	handle, err := s.Abandon(t.Context(), open.PatchID, patch.Command{Actor: "bob", Reason: "host is gone"})
	require.NoError(t, err)
	require.Equal(t, open, handle)
	result := end(t, s, open)
	require.Equal(t, patch.LineAbandoned, result.Undo.Line)
	require.Contains(t, r.audit(game)[0].Undo, `abandon by "bob": host is gone`)
	container, _ := r.simulator.Runtime(game)
	require.Equal(t, image("1.4.3"), container.ImageRef, "the difference is left as it is")
	recordHistory(t, r, "needs_operator_abandon", game)

	r.simulator.ClearFaults()
	require.True(t, end(t, s, begin(t, s, requestFor(game, "1.4.4"))).IsSuccess())
}

// TestDecideWithoutAWorker proves that an operator whose decision nobody can take
// is told so, and that it is taken when a worker is there.
func TestDecideWithoutAWorker(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	worker := r.startWorker()
	s := r.starter(starter.DialOptions()...)
	_, open := doubt(t, r, s)
	worker.kill()
	_, err := s.Abandon(t.Context(), open.PatchID, patch.Command{Actor: "bob", Reason: "host is gone"})
	var refusal *patch.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, patch.CodeServiceUnavailable, refusal.Code)
	require.Contains(t, refusal.Message, "may still be taken")

	r.startWorker()
	require.Equal(t, patch.LineAbandoned, end(t, s, open).Undo.Line)
}

// TestStartInDoubt proves that a patch in doubt is tried again when its version
// is asked for once more, by the name and for the reason of who asks; that
// repeats decide nothing; and that whoever asks for something else is told who
// has to decide.
func TestStartInDoubt(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	r.startWorker()
	s := r.starter(starter.DialOptions()...)
	game, open := doubt(t, r, s)

	_, err := s.Start(t.Context(), requestFor(game, "1.4.4"))
	var refusal *patch.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, patch.CodePatchInProgress, refusal.Code)
	require.Equal(t, open.PatchID, refusal.PatchID)
	require.Contains(t, refusal.Message, "an operator has to retry or abandon it")
	own := requestFor(game, "1.4.3")
	own.PatchID = open.PatchID
	require.Equal(t, open.RunID, begin(t, s, own).RunID)
	require.Equal(t, open.RunID, begin(t, r.starter(), own).RunID, "also when Temporal does not know the request again")
	require.Empty(t, taken(t, r, open))

	again := requestFor(game, "1.4.3")
	again.Actor, again.Reason = "bob", "release night"
	joined := begin(t, s, again)
	want := open
	want.Joined = true
	require.Equal(t, want, joined)
	awaitDoubt(t, s, open)
	// Sent again while the patch waits anew, it is the decision of before.
	require.Equal(t, want, begin(t, s, again))
	require.Len(t, taken(t, r, open), 1)
	awaitDoubt(t, s, open)

	r.simulator.ClearFaults()
	third := requestFor(game, "1.4.3")
	require.Equal(t, want, begin(t, s, third))
	require.Equal(t, patch.CodeServiceUnavailable, end(t, s, joined).Code)
	r.requireInLine(game, "1.4.2", 2)
	updates := taken(t, r, open)
	require.Len(t, updates, 2)
	require.Equal(t, again.PatchID, updates[0].GetMeta().GetUpdateId())
	require.Equal(t, workflows.RetryUpdate, updates[0].GetInput().GetName())
	require.Contains(t, r.audit(game)[0].Undo,
		`retry by "ann": asked for version 1.4.3 again; retry by "bob": asked for version 1.4.3 again: release night`)
}

// TestReconcileHoldsTheGame proves that a patch and a reconciliation of one game
// never meet, that each is told of the other, and that one mode is shared.
func TestReconcileHoldsTheGame(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	// No worker, so that whatever is begun stays open.
	s, game := r.starter(starter.DialOptions()...), r.game()
	request := patch.ReconcileRequest{PatchID: patch.NewID(game), GameID: game, Mode: patch.ModeEnforce, Actor: "ann"}
	open, err := s.HasOpen(t.Context(), game)
	require.NoError(t, err)
	require.False(t, open)
	handle, err := s.Reconcile(t.Context(), request)
	require.NoError(t, err)
	open, err = s.HasOpen(t.Context(), game)
	require.NoError(t, err)
	require.True(t, open)

	shared := request
	shared.PatchID = patch.NewID(game)
	joined, err := s.Reconcile(t.Context(), shared)
	require.NoError(t, err)
	require.Equal(t, handle.RunID, joined.RunID)
	require.True(t, joined.Joined)
	shared.Mode = patch.ModeAdopt
	var refusal *patch.Refusal
	_, err = s.Reconcile(t.Context(), shared)
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, patch.CodePatchInProgress, refusal.Code)
	_, err = s.Start(t.Context(), requestFor(game, "1.4.3"))
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, handle.PatchID, refusal.PatchID)
	require.Contains(t, refusal.Message, "a reconciliation of this game (enforce) is under way")

	byPrefix := patch.OpenQuery{GamePrefixes: []string{game}, Limit: 1}
	require.Eventually(t, func() bool {
		listed := list(t, s, byPrefix)
		return len(listed) == 1 && listed[0].Reconciles && listed[0].Mode == patch.ModeEnforce
	}, patience, waitTick)
}

// ended reads all the runs of a game that were ended from outside.
func ended(t *testing.T, s *starter.Starter, game string, since time.Time) []patch.EndedRun {
	t.Helper()
	var runs []patch.EndedRun
	for token := []byte(nil); ; {
		page, err := s.PageEnded(t.Context(), since, token)
		require.NoError(t, err)
		for _, run := range page.Runs {
			if run.Handle.GameID == game {
				runs = append(runs, run)
			}
		}
		if token = page.NextPageToken; len(token) == 0 {
			return runs
		}
	}
}

// TestPageEnded proves that a run which was terminated is found, with what it
// was for, and told as terminated; a run that was reset is not one of them, and
// neither are those of before.
func TestPageEnded(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	worker := r.startWorker()
	s, since := r.starter(starter.DialOptions()...), time.Now().Add(-time.Second)
	// A run that a reset replaces, and that is terminated by it.
	replaced := r.game()
	r.fault(rtmsim.Fault{GameID: replaced, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang, Times: 1})
	first := begin(t, s, requestFor(replaced, "1.4.3"))
	r.awaitCall(replaced)
	reset(t, r, replaced)
	require.True(t, end(t, s, first).IsSuccess())
	worker.kill()

	game := r.game()
	handle := begin(t, s, requestFor(game, "1.4.3"))
	require.NoError(t, r.temporal.TerminateWorkflow(t.Context(), handle.WorkflowID, handle.RunID, "test"))
	result := end(t, s, handle)
	require.Equal(t, patch.CodeTerminated, result.Code)
	var runs []patch.EndedRun
	require.Eventually(t, func() bool {
		runs = ended(t, s, game, since)
		return len(runs) == 1
	}, patience, waitTick)
	require.Equal(t, handle, runs[0].Handle)
	require.Equal(t, "1.4.3", runs[0].Version)
	require.Equal(t, "ann", runs[0].Actor)
	require.Equal(t, "test", runs[0].EndedFor)
	require.NotEmpty(t, runs[0].EndedBy)
	require.False(t, runs[0].Reconciles)
	require.WithinRange(t, runs[0].EndedAt, since, time.Now().Add(time.Second))
	// The run that was reset ended before the one that is in the list by now.
	require.Empty(t, ended(t, s, replaced, since))
	require.Empty(t, ended(t, s, game, runs[0].EndedAt.Add(time.Second)))
}
