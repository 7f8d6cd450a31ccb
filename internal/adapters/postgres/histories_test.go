package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/ports"
)

func newHistory(patchID, runID string) history.Run {
	return history.Run{
		Ref: history.Ref{WorkflowID: "patch-runtime/g", RunID: runID}, PatchID: patchID, WorkflowType: "PatchRuntime",
		Status: "Completed", StartedAt: moment, ClosedAt: moment.Add(time.Second), Events: 32, ReplayError: "",
	}
}

// Proves that a history comes back to the letter, with what is told of its run,
// the latest first; that the first one of a run stays; and that it is read by its
// own patch only.
func TestKeepHistory(t *testing.T) {
	pool := newPool(t)
	store := postgres.NewHistories(pool)
	document := []byte(`{"events":[` + strings.Repeat(`{"eventId":"1","text":"ü"},`, 1000) + `{}]}`)
	first, second := newHistory("p", "r1"), newHistory("p", "r2")
	second.ClosedAt, second.ReplayError = moment.Add(time.Hour), "nondeterministic"
	require.NoError(t, store.Keep(t.Context(), first, document))
	require.NoError(t, store.Keep(t.Context(), second, []byte(`{}`)))
	require.NoError(t, store.Keep(t.Context(), first, []byte(`{"events":[]}`)), "again")
	require.NoError(t, store.Keep(t.Context(), newHistory("", "by-hand"), []byte(`{}`)))

	read, err := store.ReadHistory(t.Context(), "p", "r1", len(document))
	require.NoError(t, err)
	require.Equal(t, string(document), string(read))
	runs, err := store.ListHistories(t.Context(), "p", 10)
	require.NoError(t, err)
	require.Len(t, runs, 2)
	require.WithinDuration(t, time.Now(), runs[0].ExportedAt, time.Hour)
	for i, want := range []history.Run{second, first} {
		want.StartedAt, want.ClosedAt = want.StartedAt.UTC().Truncate(time.Microsecond), want.ClosedAt.UTC().Truncate(time.Microsecond)
		want.Size, want.ExportedAt = []int{2, len(document)}[i], runs[i].ExportedAt
		require.Equal(t, want, runs[i])
	}
	var stored int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT octet_length(history) FROM run_histories WHERE run_id = 'r1'").Scan(&stored))
	require.Less(t, stored, len(document)/10)

	for _, row := range []struct {
		patchID, runID string
		most           int
		want           error
	}{
		{"p", "r1", len(document) - 1, history.ErrTooLarge}, {"p", "r3", 100, history.ErrNotFound},
		{"other", "r2", 100, history.ErrNotFound}, {"", "by-hand", 100, history.ErrNotFound}, {"p\x00", "r", 100, ports.ErrInvalidInput},
	} {
		_, err := store.ReadHistory(t.Context(), row.patchID, row.runID, row.most)
		require.ErrorIs(t, err, row.want, "%+v", row)
	}
	require.ErrorIs(t, store.Keep(t.Context(), newHistory("p", "r4"), make([]byte, history.MaxSize+1)), history.ErrTooLarge)
}

// Proves that what people did to a run is kept with its history, once, comes back
// the latest first and for its own patch only, is cut to what a column holds, and
// stays when the history is dropped; and that neither is kept without the other.
func TestInterventionsStay(t *testing.T) {
	store := postgres.NewHistories(newPool(t))
	did := func(run string, event int64, action history.Action) history.Intervention {
		return history.Intervention{
			PatchID: "p", GameID: "g", RunID: run, EventID: event, At: at(int(event)).UTC().Truncate(time.Microsecond),
			Action: action, By: "ann", Reason: "wröng",
		}
	}
	keep := func(run string, interventions ...history.Intervention) error {
		kept := newHistory("p", run)
		kept.Interventions = interventions
		return store.Keep(t.Context(), kept, []byte(`{}`))
	}
	long := did("r1", 7, history.ActionCancel)
	long.By, long.Reason = strings.Repeat("ü", 300), "a\x00b"
	require.NoError(t, keep("r1", did("r1", 5, history.ActionSignal), long))
	require.NoError(t, keep("r1", did("r1", 5, history.ActionTerminate), long), "again")
	require.NoError(t, keep("r2", did("r2", 3, history.ActionReset)))
	other := did("r3", 1, history.ActionStart)
	other.PatchID = "another"
	nobodys := other
	nobodys.PatchID, nobodys.EventID = "", 2
	require.NoError(t, keep("r3", other, nobodys))
	require.ErrorIs(t, keep("r4", did("r4", 1, "explode")), ports.ErrInvalidInput)
	left, err := store.Unkept(t.Context(), []history.Ref{{RunID: "r3"}, {RunID: "r4"}})
	require.NoError(t, err)
	require.Equal(t, []history.Ref{{RunID: "r4"}}, left)

	removed, err := store.PruneHistories(t.Context(), moment.Add(time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, 3, removed)
	for _, row := range []struct {
		patchID string
		limit   int
		want    []history.Intervention
	}{
		{"p", 10, []history.Intervention{long.Storable(), did("r1", 5, history.ActionSignal), did("r2", 3, history.ActionReset)}},
		{"p", 1, []history.Intervention{long.Storable()}},
		{"another", 10, []history.Intervention{other}},
		{"", 10, []history.Intervention{}},
	} {
		found, err := store.ListInterventions(t.Context(), row.patchID, row.limit)
		require.NoError(t, err)
		require.Equal(t, row.want, found)
	}
	_, err = store.ListInterventions(t.Context(), "p\x00", 1)
	require.ErrorIs(t, err, ports.ErrInvalidInput)
}

// Proves that a history which was changed in its place is not taken for whole.
func TestSpoiledHistoryIsTold(t *testing.T) {
	pool := newPool(t)
	store := postgres.NewHistories(pool)
	for _, spoil := range []string{
		"history = 'x'", "history = substr(history, 1, 20)", "size = size - 1", "size = size + 1",
		"history = set_byte(history, 30, get_byte(history, 30) # 255)",
	} {
		require.NoError(t, store.Keep(t.Context(), newHistory("p", "r"), []byte(strings.Repeat("history ", 99))))
		_, err := pool.Exec(t.Context(), "UPDATE run_histories SET "+spoil)
		require.NoError(t, err)
		_, err = store.ReadHistory(t.Context(), "p", "r", 1<<20)
		requireUnknown(t, err)
		_, err = pool.Exec(t.Context(), "DELETE FROM run_histories")
		require.NoError(t, err)
	}
}

// Proves that a run which could not be exported is noted with its tries, is no
// longer among the new ones, comes up again the later the more often it was tried, and is
// off the list once it is kept.
func TestMissedHistories(t *testing.T) {
	pool := newPool(t)
	store := postgres.NewHistories(pool)
	refs := []history.Ref{{WorkflowID: "w", RunID: "r3"}, {WorkflowID: "w", RunID: "r1"}, {WorkflowID: "w", RunID: "r2"}}
	require.NoError(t, store.Keep(t.Context(), newHistory("p", "r1"), []byte(`{}`)))
	left, err := store.Unkept(t.Context(), refs)
	require.NoError(t, err)
	require.Equal(t, []history.Ref{refs[0], refs[2]}, left)
	for _, ref := range []history.Ref{refs[2], refs[0], refs[2]} {
		require.NoError(t, store.Miss(t.Context(), ref, "no answer"))
	}
	left, err = store.Unkept(t.Context(), refs)
	require.NoError(t, err)
	require.Empty(t, left)
	missed, err := store.Missed(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, missed, "not at once")
	ago := func(minutes int) {
		_, err := pool.Exec(t.Context(), "UPDATE run_history_misses SET last_at = now() - $1 * interval '1 minute'", minutes)
		require.NoError(t, err)
	}
	ago(1)
	missed, err = store.Missed(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []history.Ref{refs[0]}, missed, "the other one was tried twice")
	ago(2)
	missed, err = store.Missed(t.Context(), 10)
	require.NoError(t, err)
	require.ElementsMatch(t, []history.Ref{refs[0], refs[2]}, missed)
	var attempts int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT attempts FROM run_history_misses WHERE run_id = 'r2'").Scan(&attempts))
	require.Equal(t, 2, attempts)
	require.NoError(t, store.Keep(t.Context(), newHistory("p", "r3"), []byte(`{}`)))
	missed, err = store.Missed(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []history.Ref{refs[2]}, missed)
}

// Proves that the mark of each name is its own, begins with nothing, and does not
// go back when a slow pass ends behind a later one.
func TestHistoryMark(t *testing.T) {
	store := postgres.NewHistories(newPool(t))
	for _, row := range []struct {
		set, want time.Time
	}{{stored, stored}, {stored.Add(time.Hour), stored.Add(time.Hour)}, {stored, stored.Add(time.Hour)}} {
		require.NoError(t, store.SetMark(t.Context(), "mine", row.set))
		mark, err := store.Mark(t.Context(), "mine")
		require.NoError(t, err)
		require.Equal(t, row.want, mark)
	}
	mark, err := store.Mark(t.Context(), "another")
	require.NoError(t, err)
	require.True(t, mark.IsZero())
}

// Proves that each export whose row was written is told with what came of it, a
// miss with every try, and neither a history that was kept before nor what failed.
func TestOnTried(t *testing.T) {
	var told []history.Outcome
	store := postgres.NewHistories(newPool(t)).OnTried(func(outcome history.Outcome) { told = append(told, outcome) })
	odd := newHistory("p", "r2")
	odd.ReplayError = "nondeterministic"
	require.NoError(t, store.Miss(t.Context(), odd.Ref, "no answer"))
	require.NoError(t, store.Miss(t.Context(), odd.Ref, "no answer"))
	for _, run := range []history.Run{newHistory("p", "r1"), odd, newHistory("p", "r1"), odd} {
		require.NoError(t, store.Keep(t.Context(), run, []byte(`{}`)))
	}
	require.ErrorIs(t, store.Keep(t.Context(), newHistory("p\x00", "r3"), []byte(`{}`)), ports.ErrInvalidInput)
	require.ErrorIs(t, store.Keep(t.Context(), newHistory("p", " "), []byte(`{}`)), ports.ErrInvalidInput)
	require.ErrorIs(t, store.Miss(t.Context(), history.Ref{RunID: " "}, "no answer"), ports.ErrInvalidInput)
	require.Equal(t, []history.Outcome{
		history.OutcomeFailure, history.OutcomeFailure, history.OutcomeSuccess, history.OutcomeUnreplayable,
	}, told)
}

// Proves that the backlog has the mark of its own name, and tells the runs that may
// still be exported, and since when, from those that Temporal has forgotten.
func TestBacklog(t *testing.T) {
	pool := newPool(t)
	store := postgres.NewHistories(pool)
	backlog := func() history.Backlog {
		t.Helper()
		backlog, err := store.Backlog(t.Context(), "mine")
		require.NoError(t, err)
		return backlog
	}
	require.NoError(t, store.SetMark(t.Context(), "another", stored))
	require.Equal(t, history.Backlog{}, backlog())
	require.NoError(t, store.SetMark(t.Context(), "mine", stored))
	require.Equal(t, history.Backlog{Mark: stored}, backlog())
	for n, reason := range []string{`run "r0": ` + history.ErrNotFound.Error(), "no answer", "history is too large", ""} {
		run := history.Ref{WorkflowID: "w", RunID: fmt.Sprint("r", n)}
		require.NoError(t, store.Miss(t.Context(), run, reason))
		_, err := pool.Exec(t.Context(), "UPDATE run_history_misses SET first_at = $2 WHERE run_id = $1", run.RunID, stored.Add(time.Duration(n)*time.Minute))
		require.NoError(t, err)
	}
	require.Equal(t, history.Backlog{Mark: stored, Waiting: 3, Lost: 1, WaitingSince: stored.Add(time.Minute)}, backlog())
	require.NoError(t, store.Miss(t.Context(), history.Ref{WorkflowID: "w", RunID: "r1"}, history.ErrNotFound.Error()))
	require.Equal(t, history.Backlog{Mark: stored, Waiting: 2, Lost: 2, WaitingSince: stored.Add(2 * time.Minute)}, backlog())
	require.NoError(t, store.Keep(t.Context(), newHistory("p", "r1"), []byte(`{}`)))
	require.EqualValues(t, 1, backlog().Lost)
}

// Proves that pruning drops the oldest first, batch by batch, and nothing from
// the instant on.
func TestPruneHistories(t *testing.T) {
	store := postgres.NewHistories(newPool(t))
	for n := range 5 {
		run := newHistory("p", fmt.Sprint("r", n))
		run.ClosedAt = at(n)
		require.NoError(t, store.Keep(t.Context(), run, []byte(`{}`)))
	}
	for _, want := range []struct{ removed, left int }{{2, 3}, {1, 2}, {0, 2}} {
		removed, err := store.PruneHistories(t.Context(), at(3), 2)
		require.NoError(t, err)
		require.Equal(t, want.removed, removed)
		runs, err := store.ListHistories(t.Context(), "p", 10)
		require.NoError(t, err)
		require.Len(t, runs, want.left)
	}
}
