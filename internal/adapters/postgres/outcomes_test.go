package postgres_test

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// listening returns outcomes that listen until the test ends.
func listening(t *testing.T, o *postgres.Outcomes) *postgres.Outcomes {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { o.Listen(ctx) })
	t.Cleanup(func() {
		stop()
		ended.Wait()
	})
	return o
}

func requireHears(t *testing.T, o *postgres.Outcomes) {
	t.Helper()
	require.Eventually(t, o.Hears, time.Minute, time.Millisecond)
}

func newOutcomes(pool *pgxpool.Pool) *postgres.Outcomes {
	return postgres.NewOutcomes(pool, slog.New(slog.DiscardHandler))
}

// awaiting waits for a run in the background until it is waited for.
func awaiting(t *testing.T, o *postgres.Outcomes, runID string) <-chan bool {
	t.Helper()
	heard := make(chan bool, 1)
	before := o.Waiting()
	go func() { heard <- o.Await(t.Context(), runID) }()
	require.Eventually(t, func() bool { return o.Waiting() > before }, time.Minute, time.Millisecond)
	return heard
}

// Proves that a row is heard of when it is committed, by who waits and by who
// asks later, and that a row which was there already tells nothing new.
func TestOutcomeIsHeard(t *testing.T) {
	pool := newPool(t)
	log, o := postgres.NewOperationLog(pool), newOutcomes(pool)
	require.False(t, o.Await(t.Context(), "r1"), "nobody listens")
	listening(t, o)
	requireHears(t, o)
	heard := awaiting(t, o, "r1")
	require.False(t, o.Heard("r1"))
	appendEntry(t, log, newEntry("g", "p", "r1"))
	require.True(t, <-heard)
	require.True(t, o.Heard("r1"))
	require.True(t, o.Await(t.Context(), "r1"), "who comes late")

	ended, end := context.WithCancel(t.Context())
	end()
	require.False(t, o.Await(ended, "r2"))
	require.Zero(t, o.Waiting(), "who left is not remembered")

	others := newOutcomes(pool)
	listening(t, others)
	requireHears(t, others)
	appendEntry(t, log, newEntry("g", "p", "r1"))
	appendEntry(t, log, newEntry("g", "p", "r2"))
	require.True(t, others.Await(t.Context(), "r2"))
	require.False(t, others.Heard("r1"), "the row was there already")
}

// Proves that a connection which breaks lets go of who waits, is logged once,
// and is replaced.
func TestOutcomesConnectAgain(t *testing.T) {
	pool := newPool(t)
	var logged bytes.Buffer
	o := listening(t, postgres.NewOutcomes(pool, slog.New(slog.NewTextHandler(&logged, nil))))
	requireHears(t, o)
	heard := awaiting(t, o, "r1")
	_, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'SELECT pg_notify%'`)
	require.NoError(t, err)
	require.False(t, <-heard)
	requireHears(t, o)
	require.Equal(t, 1, bytes.Count(logged.Bytes(), []byte("listen for outcomes")), logged.String())
	heard = awaiting(t, o, "r2")
	appendEntry(t, postgres.NewOperationLog(pool), newEntry("g", "p", "r2"))
	require.True(t, <-heard)
}

// Proves that a connection on which nothing comes back, as behind a pooler, is
// found out, and that one which is only silent is kept.
func TestOutcomesProbe(t *testing.T) {
	location := stacktest.Database(t)
	pool := open(t, location)
	o := listening(t, newOutcomes(pool).Probe(50*time.Millisecond))
	requireHears(t, o)
	backend := func() (pid int) {
		err := pool.QueryRow(t.Context(), `SELECT coalesce(max(pid), 0) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'SELECT pg_notify%'`).Scan(&pid)
		require.NoError(t, err)
		return pid
	}
	first := backend()
	state := func() (changed time.Time) {
		err := pool.QueryRow(t.Context(), "SELECT coalesce(max(state_change), 'epoch') FROM pg_stat_activity WHERE pid = $1", first).Scan(&changed)
		require.NoError(t, err)
		return changed
	}
	for range 3 {
		probed := state()
		require.Eventually(t, func() bool { return state().After(probed) }, time.Minute, time.Millisecond)
	}
	require.Equal(t, first, backend(), "a silent connection is kept")
	require.True(t, o.Hears())

	pooler, through := newLossyProxy(t, location)
	pooler.deaf.Store(true)
	deaf := newOutcomes(open(t, through)).Probe(50 * time.Millisecond)
	listening(t, deaf)
	appendEntry(t, postgres.NewOperationLog(pool), newEntry("g", "p", "r1"))
	require.True(t, o.Await(t.Context(), "r1"))
	require.False(t, deaf.Await(t.Context(), "r1"))
	pooler.deaf.Store(false)
	requireHears(t, deaf)
	pooler.deaf.Store(true)
	require.Eventually(t, func() bool { return !deaf.Hears() }, time.Minute, time.Millisecond)
}

// Proves that only so many runs are remembered, the latest.
func TestOutcomesAreBounded(t *testing.T) {
	o := newOutcomes(newPool(t))
	for n := range postgres.OutcomesKept + 1 {
		o.Tell(strconv.Itoa(n))
		o.Tell(strconv.Itoa(n))
	}
	require.False(t, o.Heard("0"))
	require.True(t, o.Heard("1"))
	require.True(t, o.Heard(strconv.Itoa(postgres.OutcomesKept)))
}

// Proves that a success is what the row tells with the record as it is, and that
// whatever is not a plain success is not found: a notification alone proves
// nothing.
func TestSuccess(t *testing.T) {
	succeeded := newEntry("g", "p", "r")
	succeeded.Outcome, succeeded.ErrorCode, succeeded.ErrorMessage, succeeded.Undo = operation.OutcomeSuccess, "", "", ""
	patched := newRecord("g")
	patched.CurrentImageRef, patched.CurrentEngineVersion = succeeded.ToImageRef, succeeded.ToVersion
	for name, change := range map[string]func(*operation.OperationEntry, *runtime.RuntimeRecord){
		"success":          func(*operation.OperationEntry, *runtime.RuntimeRecord) {},
		"another patch":    func(e *operation.OperationEntry, _ *runtime.RuntimeRecord) { e.PatchID = "q" },
		"another run":      func(e *operation.OperationEntry, _ *runtime.RuntimeRecord) { e.RunID = "s" },
		"a reconciliation": func(e *operation.OperationEntry, _ *runtime.RuntimeRecord) { e.OpKind = operation.OpKindReconcile },
		"undone":           func(e *operation.OperationEntry, _ *runtime.RuntimeRecord) { e.Undo = "put back" },
		"failure": func(e *operation.OperationEntry, _ *runtime.RuntimeRecord) {
			e.Outcome, e.ErrorCode = operation.OutcomeFailure, "conflict"
		},
		"record on another version": func(_ *operation.OperationEntry, r *runtime.RuntimeRecord) { r.CurrentEngineVersion = "1.4.9" },
		"record on another image":   func(_ *operation.OperationEntry, r *runtime.RuntimeRecord) { r.CurrentImageRef = "engine:1.4.9" },
		"no record":                 func(_ *operation.OperationEntry, r *runtime.RuntimeRecord) { r.GameID = "h" },
	} {
		t.Run(name, func(t *testing.T) {
			pool := newPool(t)
			entry, record := succeeded, patched
			change(&entry, &record)
			require.NoError(t, postgres.NewRuntimeRecords(pool).Insert(t.Context(), record))
			appendEntry(t, postgres.NewOperationLog(pool), entry)
			told, found, err := newOutcomes(pool).Success(t.Context(), "p", "r")
			if name != "success" {
				require.ErrorIs(t, err, patch.ErrNotFound)
				return
			}
			require.NoError(t, err)
			rows, err := postgres.NewOperationLog(pool).ListByPatch(t.Context(), "p")
			require.NoError(t, err)
			require.Equal(t, rows[0], told)
			stays, err := postgres.NewRuntimeRecords(pool).Get(t.Context(), "g")
			require.NoError(t, err)
			require.Equal(t, stays, found)
		})
	}
}
