package postgres_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/ports"
)

func appendEntry(t *testing.T, log *postgres.OperationLog, entry operation.OperationEntry) int64 {
	t.Helper()
	id, err := log.Append(t.Context(), entry)
	require.NoError(t, err)
	require.Positive(t, id)
	return id
}

// Proves that every field comes back as it was appended, times in UTC and
// microseconds, and an unfinished operation with nil.
func TestEntryRoundTrip(t *testing.T) {
	log := postgres.NewOperationLog(newPool(t))
	full := newEntry("Never Was ü", "p", "r1")
	full.ID = 99 // not ours to say
	success := operation.OperationEntry{
		GameID: "g", OpKind: operation.OpKindPatch, OpSource: operation.OpSourceSystem, Outcome: operation.OutcomeSuccess,
		StartedAt: moment, PatchID: "p", RunID: "r2", Noop: true,
	}
	full.ID = appendEntry(t, log, full)
	success.ID = appendEntry(t, log, success)
	require.Greater(t, success.ID, full.ID)

	finished := stored.Add(time.Second)
	full.StartedAt, full.FinishedAt = stored, &finished
	success.StartedAt = stored
	entries, err := log.ListByPatch(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []operation.OperationEntry{success, full}, entries, "newest first")
}

// Proves that every kind of an operation that the domain knows can be appended
// and comes back as itself.
func TestAppendEveryKind(t *testing.T) {
	log := postgres.NewOperationLog(newPool(t))
	for _, kind := range []operation.OpKind{operation.OpKindPatch, operation.OpKindReconcile} {
		entry := newEntry("g", string(kind), "r")
		entry.OpKind = kind
		appendEntry(t, log, entry)
		entries, err := log.ListByPatch(t.Context(), string(kind))
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.Equal(t, kind, entries[0].OpKind)
	}
}

// Proves that a run leaves one row however often it appends, the first one;
// that another run of the patch leaves another; and that entries without a
// patch are always written.
func TestAppendOncePerRun(t *testing.T) {
	log := postgres.NewOperationLog(newPool(t))
	first := appendEntry(t, log, newEntry("g", "p", "r"))
	again := newEntry("g", "p", "r")
	again.ErrorMessage = "told otherwise"
	require.Equal(t, first, appendEntry(t, log, again))
	require.NotEqual(t, first, appendEntry(t, log, newEntry("g", "p", "r-reset")))
	require.NotEqual(t, first, appendEntry(t, log, newEntry("g", "p2", "r")))
	require.NotEqual(t, appendEntry(t, log, newEntry("g", "", "")), appendEntry(t, log, newEntry("g", "", "")))

	entries, err := log.ListByGame(t.Context(), "g", 100)
	require.NoError(t, err)
	require.Len(t, entries, 5)
	require.Equal(t, "status changed", entries[4].ErrorMessage)
	nobodys, err := log.ListByPatch(t.Context(), "")
	require.NoError(t, err)
	require.NotNil(t, nobodys)
	require.Empty(t, nobodys)
}

// Proves that appends of one run that race each other all get the one row.
func TestAppendAtOnce(t *testing.T) {
	log := postgres.NewOperationLog(newPool(t))
	const callers = 32
	got := make([]int64, callers)
	failures := make([]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { got[i], failures[i] = log.Append(t.Context(), newEntry("g", "p", "r")) })
	}
	wg.Wait()
	for i := range callers {
		require.NoError(t, failures[i])
		require.Equal(t, got[0], got[i])
	}
	entries, err := log.ListByPatch(t.Context(), "p")
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// Proves that an append behind a racing one that has not committed yet waits
// for it and returns its row: the row is newer than the statement's snapshot.
func TestAppendBehindAnotherWriter(t *testing.T) {
	pool := newPool(t)
	log := postgres.NewOperationLog(pool)
	other := begin(t, pool, `INSERT INTO operation_log (game_id, op_kind, op_source, outcome, started_at, patch_id, run_id)
		VALUES ('g', 'patch', 'system', 'success', now(), 'p', 'r')`)
	result := make(chan int64, 1)
	go func() {
		id, err := log.Append(t.Context(), newEntry("g", "p", "r"))
		if err != nil {
			t.Error(err)
		}
		result <- id
	}()
	awaitLockWait(t, pool)
	require.NoError(t, other.Commit(t.Context()))
	entries, err := log.ListByPatch(t.Context(), "p")
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, entries[0].ID, <-result)
}

// Proves the order and the limit of a game's list.
func TestListByGame(t *testing.T) {
	log := postgres.NewOperationLog(newPool(t))
	var newest []int64
	for _, run := range []string{"1", "2", "3"} {
		newest = append([]int64{appendEntry(t, log, newEntry("g", "p", run))}, newest...)
	}
	appendEntry(t, log, newEntry("other", "p", "4"))
	for limit, want := range map[int][]int64{0: {}, 2: newest[:2], 3: newest, 100: newest} {
		entries, err := log.ListByGame(t.Context(), "g", limit)
		require.NoError(t, err)
		got := []int64{}
		for _, entry := range entries {
			got = append(got, entry.ID)
		}
		require.Equal(t, want, got)
	}
	_, err := log.ListByGame(t.Context(), "g", -1)
	require.ErrorIs(t, err, ports.ErrInvalidInput)
}

// Proves that an entry that can never be written is called invalid, so that
// nobody tries it for ever, and that nothing is written.
func TestEntryInvalidInput(t *testing.T) {
	log := postgres.NewOperationLog(newPool(t))
	for name, change := range map[string]func(*operation.OperationEntry){
		"game":            func(e *operation.OperationEntry) { e.GameID = " " },
		"game too long":   func(e *operation.OperationEntry) { e.GameID = strings.Repeat("g", 257) },
		"kind":            func(e *operation.OperationEntry) { e.OpKind = "explode" },
		"source":          func(e *operation.OperationEntry) { e.OpSource = "" },
		"outcome":         func(e *operation.OperationEntry) { e.Outcome = "perhaps" },
		"code on success": func(e *operation.OperationEntry) { e.Outcome = operation.OutcomeSuccess },
		"no code":         func(e *operation.OperationEntry) { e.ErrorCode = "" },
		"start":           func(e *operation.OperationEntry) { e.StartedAt = time.Time{} },
		"nul":             func(e *operation.OperationEntry) { e.ErrorMessage = "a\x00b" },
		"actor":           func(e *operation.OperationEntry) { e.Actor = "a\x00b" },
		"mangled":         func(e *operation.OperationEntry) { e.Undo = "a\xffb" },
		"key too large":   func(e *operation.OperationEntry) { e.PatchID = incompressible(20_000) },
	} {
		t.Run(name, func(t *testing.T) {
			entry := newEntry("g", "p", "r")
			change(&entry)
			_, err := log.Append(t.Context(), entry)
			require.ErrorIs(t, err, ports.ErrInvalidInput)
		})
	}
	_, err := log.ListByGame(t.Context(), "g\x00", 1)
	require.ErrorIs(t, err, ports.ErrInvalidInput)
	_, err = log.ListByPatch(t.Context(), "p\x00")
	require.ErrorIs(t, err, ports.ErrInvalidInput)
	entries, err := log.ListByGame(t.Context(), "g", 100)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// incompressible returns n letters that Postgres cannot squeeze into an index
// entry.
func incompressible(n int) string {
	text := make([]byte, n)
	seed := uint32(1)
	for i := range text {
		seed = seed*1664525 + 1013904223
		text[i] = 'a' + byte(seed>>24)%26
	}
	return string(text)
}

// Proves that a row is told of once, however often its entry is appended and by
// whichever store, and that a refused entry is not told of.
func TestOnAppended(t *testing.T) {
	pool := newPool(t)
	var told []string
	hear := func(entry operation.OperationEntry) { told = append(told, entry.PatchID+"/"+entry.RunID) }
	log := postgres.NewOperationLog(pool).OnAppended(hear)
	appendEntry(t, log, newEntry("g", "p", "r1"))
	appendEntry(t, log, newEntry("g", "p", "r1"))
	appendEntry(t, postgres.NewOperationLog(pool).OnAppended(hear), newEntry("g", "p", "r1"))
	appendEntry(t, postgres.NewOperationLog(pool), newEntry("g", "p", "r2"))
	_, err := log.Append(t.Context(), operation.OperationEntry{})
	require.ErrorIs(t, err, ports.ErrInvalidInput)
	appendEntry(t, log, newEntry("g", "p", "r3"))
	require.Equal(t, []string{"p/r1", "p/r3"}, told)
}
