package e2e_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
)

// starter returns a starter of the rig's own, without an API before it.
func (r *rig) starter(options ...grpc.DialOption) *starter.Starter {
	r.t.Helper()
	connection, err := client.DialContext(r.t.Context(), client.Options{
		HostPort:          temporal.Address(),
		Logger:            sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		ConnectionOptions: client.ConnectionOptions{DialOptions: options},
	})
	require.NoError(r.t, err)
	r.t.Cleanup(connection.Close)
	s, err := starter.New(starter.Options{
		Client: connection, AuditLog: postgres.NewOperationLog(r.pool), TaskQueue: r.taskQueue(),
		// A recreate that never answers is given up on within the test's patience.
		Budgets: patch.Budgets{Manager: patch.Duration(6 * time.Second), Settle: patch.Duration(time.Second)},
	})
	require.NoError(r.t, err)
	return s
}

// taskQueue is where the rig's workers poll.
func (r *rig) taskQueue() string { return r.variable("GAMEMASTER_TASK_QUEUE") }

// databaseURL is the rig's own database.
func (r *rig) databaseURL() string { return r.variable("DATABASE_URL") }

// variable is what the rig's processes have in their environment.
func (r *rig) variable(name string) string {
	for _, variable := range r.environ {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value
		}
	}
	return ""
}

func requestFor(game, version string) patch.Request {
	return patch.Request{
		PatchID: patch.NewID(game), GameID: game, Version: version, OpSource: operation.OpSourceAdminRest, Actor: "ann",
	}
}

// begin starts request, which has to be accepted, and returns the handle as
// everybody else sees it, who did not begin the run.
func begin(t *testing.T, s *starter.Starter, request patch.Request) patch.Handle {
	t.Helper()
	handle, err := s.Start(t.Context(), request)
	require.NoError(t, err)
	handle.Begun = false
	return handle
}

func end(t *testing.T, s *starter.Starter, handle patch.Handle) patch.Result {
	t.Helper()
	result, err := s.Await(t.Context(), handle)
	require.NoError(t, err)
	return result
}

// TestStartAgain proves that a patch id is carried out once, however often it is
// started: while its run is open, after it closed, and after it was reset.
func TestStartAgain(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	r.startWorker()
	s, game := r.starter(starter.DialOptions()...), r.game()
	// With force a second run would recreate the container once more.
	request := requestFor(game, "1.4.3")
	request.Force = true
	r.slowPatch(game, 500)
	first := begin(t, s, request)
	r.awaitCall(game)
	require.Equal(t, first.RunID, begin(t, s, request).RunID, "open")
	require.True(t, end(t, s, first).IsSuccess())

	again := begin(t, s, request)
	require.Equal(t, first.RunID, again.RunID, "closed")
	require.True(t, end(t, s, again).IsSuccess())
	require.Len(t, r.audit(game), 1)
	r.requireInLine(game, "1.4.3", 1)

	runID := reset(t, r, game)
	latest := patch.Handle{PatchID: request.PatchID, GameID: game, WorkflowID: first.WorkflowID, RunID: runID}
	require.True(t, end(t, s, latest).IsSuccess())
	require.Equal(t, runID, begin(t, s, request).RunID, "reset")
}

// TestStartAgainWithoutDialOptions proves what the dial options are for: without
// them a closed patch is carried out a second time.
func TestStartAgainWithoutDialOptions(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	r.startWorker()
	s, game := r.starter(), r.game()
	request := requestFor(game, "1.4.3")
	first := begin(t, s, request)
	end(t, s, first)
	require.NotEqual(t, first.RunID, begin(t, s, request).RunID)
}

// TestPreconditionFailed proves that a game which is not on the expected version
// is refused before anything is touched, and that the refusal is audited with
// who asked.
func TestPreconditionFailed(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	r.startWorker()
	s, game := r.starter(starter.DialOptions()...), r.game()
	request := requestFor(game, "1.4.3")
	request.ExpectedVersion = "1.4.1"
	handle := begin(t, s, request)
	result := end(t, s, handle)
	require.Equal(t, patch.CodePreconditionFailed, result.Code, result.Message)
	require.Equal(t, completed, r.closeStatus(game))
	rows := r.audit(game)
	require.Len(t, rows, 1)
	require.Equal(t, string(patch.CodePreconditionFailed), rows[0].ErrorCode)
	require.Equal(t, "ann", rows[0].Actor)
	require.Equal(t, handle.RunID, rows[0].RunID)
	r.requireInLine(game, "1.4.2", 0)
	recordHistory(t, r, "precondition_failed", game)
}

// causes returns the causes of the cancellations in a run's history.
func causes(t *testing.T, r *rig, handle patch.Handle) []string {
	t.Helper()
	var found []string
	events := r.temporal.GetWorkflowHistory(t.Context(), handle.WorkflowID, handle.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		if attributes := event.GetWorkflowExecutionCancelRequestedEventAttributes(); attributes != nil {
			found = append(found, attributes.GetCause())
		}
	}
	return found
}

// TestCancel proves that the history tells who cancelled and why, that the
// second cancellation changes nothing, and what is told of a patch that cannot
// be cancelled any more, or never was.
func TestCancel(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	s, game := r.starter(starter.DialOptions()...), r.game()
	handle := begin(t, s, requestFor(game, "1.4.3"))
	// No worker yet, so the run cannot end between the two.
	for _, command := range []patch.Command{{Actor: "ann", Reason: "wrong game"}, {Actor: "bob"}} {
		cancelled, err := s.Cancel(t.Context(), handle.PatchID, command)
		require.NoError(t, err)
		require.Equal(t, handle, cancelled)
	}
	require.Equal(t, []string{"ann: wrong game"}, causes(t, r, handle))
	r.startWorker()
	require.Equal(t, patch.CodeCancelled, end(t, s, handle).Code)

	_, err := s.Cancel(t.Context(), handle.PatchID, patch.Command{Actor: "ann"})
	require.ErrorIs(t, err, patch.ErrClosed)
	end(t, s, begin(t, s, requestFor(game, "1.4.3")))
	_, err = s.Cancel(t.Context(), handle.PatchID, patch.Command{Actor: "ann"})
	require.ErrorIs(t, err, patch.ErrClosed, "another patch of the game came after it")
	for _, unknown := range []string{game, r.unknownGame()} {
		_, err = s.Cancel(t.Context(), patch.NewID(unknown), patch.Command{Actor: "ann"})
		require.ErrorIs(t, err, patch.ErrNotFound)
	}
	r.requireInLine(game, "1.4.3", 1)
}

// TestCancelAfterAReset proves that a patch is cancelled in the run that took the
// place of its first one.
func TestCancelAfterAReset(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	r.startWorker()
	s, game := r.starter(starter.DialOptions()...), r.game()
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHang})
	first := begin(t, s, requestFor(game, "1.4.3"))
	r.awaitCall(game)
	runID := reset(t, r, game)
	cancelled, err := s.Cancel(t.Context(), first.PatchID, patch.Command{Actor: "ann", Reason: "wrong game"})
	require.NoError(t, err)
	require.Equal(t, runID, cancelled.RunID)
	require.Equal(t, patch.CodeCancelled, end(t, s, first).Code)
	require.Equal(t, []string{"ann: wrong game"}, causes(t, r, cancelled))
	r.requireInLine(game, "1.4.2", 0)
}

// list reads the whole list, page by page.
func list(t *testing.T, s *starter.Starter, query patch.OpenQuery) []patch.Open {
	t.Helper()
	var all []patch.Open
	for {
		page, err := s.ListOpen(t.Context(), query)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Patches), query.Limit)
		all = append(all, page.Patches...)
		if query.PageToken = page.NextPageToken; len(query.PageToken) == 0 {
			return all
		}
	}
}

func gamesOf(patches []patch.Open) []string {
	var games []string
	for _, open := range patches {
		games = append(games, open.Handle.GameID)
	}
	return games
}

// TestListOpen proves that the open patches are found, by game at once and by
// prefix a little later, the latest first, page by page, and that a prefix is
// taken to the letter.
func TestListOpen(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	s, ours := r.starter(starter.DialOptions()...), r.unknownGame()
	// "_" stands for any character where it is not escaped.
	for _, game := range []string{ours + "_a", ours + "_b", ours + "_c", ours + "xd"} {
		request := requestFor(game, "1.4.3")
		request.Force, request.ExpectedVersion = true, "1.4.2"
		before := time.Now()
		handle := begin(t, s, request)
		page, err := s.ListOpen(t.Context(), patch.OpenQuery{GameID: game, GamePrefixes: []string{ours}, Limit: 1})
		require.NoError(t, err)
		require.Len(t, page.Patches, 1)
		open := page.Patches[0]
		require.WithinRange(t, open.StartedAt, before.Add(-time.Second), time.Now().Add(time.Second))
		open.StartedAt = time.Time{}
		require.Equal(t, patch.Open{Handle: handle, Version: "1.4.3", ExpectedVersion: "1.4.2", Force: true, Actor: "ann"}, open)
	}
	mine := patch.OpenQuery{GamePrefixes: []string{r.unknownGame(), ours + "_"}, Limit: 2}
	want := []string{ours + "_c", ours + "_b", ours + "_a"}
	require.Eventually(t, func() bool { return slices.Equal(want, gamesOf(list(t, s, mine))) }, patience, waitTick)
	require.Subset(t, gamesOf(list(t, s, patch.OpenQuery{Limit: 3})), append(want, ours+"xd"))

	for _, none := range []patch.OpenQuery{
		{GameID: r.unknownGame(), Limit: 1},
		{GameID: ours + "_a", GamePrefixes: []string{ours + "x"}, Limit: 1},
	} {
		require.Empty(t, list(t, s, none))
	}
	page, err := s.ListOpen(t.Context(), mine)
	require.NoError(t, err)
	for _, wrong := range []patch.OpenQuery{
		{GamePrefixes: mine.GamePrefixes, Limit: 2, PageToken: []byte("a token that is made up")},
		{GamePrefixes: mine.GamePrefixes, Limit: 2, PageToken: page.NextPageToken[:8]},
		{Limit: 2, PageToken: page.NextPageToken},
	} {
		_, err := s.ListOpen(t.Context(), wrong)
		var refusal *patch.Refusal
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, patch.CodeInvalidRequest, refusal.Code)
		require.Equal(t, "page_token", refusal.Field)
	}
}

// TestListOpenForgetsTheClosed proves that a patch is in the list for as long as
// it is open, and no longer.
func TestListOpenForgetsTheClosed(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	s, game := r.starter(starter.DialOptions()...), r.game()
	handle := begin(t, s, requestFor(game, "1.4.3"))
	byPrefix := patch.OpenQuery{GamePrefixes: []string{game}, Limit: 1}
	require.Eventually(t, func() bool { return len(list(t, s, byPrefix)) == 1 }, patience, waitTick)
	r.startWorker()
	require.True(t, end(t, s, handle).IsSuccess())
	require.Empty(t, list(t, s, patch.OpenQuery{GameID: game, Limit: 1}))
	require.Eventually(t, func() bool { return len(list(t, s, byPrefix)) == 0 }, patience, waitTick)
}
