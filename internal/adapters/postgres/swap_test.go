package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

var rotation = ports.UpdateImageInput{
	GameID: "g", ExpectedStatus: runtime.StatusRunning,
	CurrentImageRef: "engine:1.4.3", CurrentEngineVersion: "1.4.3", Now: at(1),
}

// Proves that of many callers that believe the same status, exactly one moves
// it, and every other one is told of the conflict.
func TestUpdateStatusOneWinner(t *testing.T) {
	const callers, rounds = 32, 5
	store, _ := newStore(t)
	for round := range rounds {
		id := fmt.Sprintf("g%d", round)
		insert(t, store, newRecord(id))
		results := make([]error, callers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				<-start
				results[i] = store.UpdateStatus(t.Context(), ports.UpdateStatusInput{
					GameID: id, ExpectedFrom: runtime.StatusRunning, To: runtime.StatusGenerationInProgress, Now: at(i),
				})
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range results {
			if err == nil {
				require.Equal(t, -1, winner, "two winners")
				winner = i
				continue
			}
			require.ErrorIs(t, err, runtime.ErrConflict)
		}
		require.NotEqual(t, -1, winner, "no winner")
		require.Equal(t, at(winner), get(t, store, id).UpdatedAt)
	}
}

// Proves what a caller is told that had to wait for somebody else's change of
// the row: the truth about the row as it is now, not as it was when the call
// began.
func TestSwapBehindAnotherWriter(t *testing.T) {
	for _, c := range []struct {
		name      string
		status    runtime.Status // when the call begins
		meanwhile string
		want      error
		image     string // afterwards; empty when the row is gone
	}{
		{"deleted", runtime.StatusRunning, "DELETE FROM runtime_records", runtime.ErrNotFound, ""},
		{"moved away", runtime.StatusRunning, "UPDATE runtime_records SET status = 'stopped'", runtime.ErrConflict, "engine:1.4.2"},
		{"moved here", runtime.StatusStarting, "UPDATE runtime_records SET status = 'running'", nil, "engine:1.4.3"},
		{"other column", runtime.StatusRunning, "UPDATE runtime_records SET engine_health = 'ill'", nil, "engine:1.4.3"},
		{"same image", runtime.StatusRunning, "UPDATE runtime_records SET current_image_ref = 'engine:1.4.3', status = 'stopped'", runtime.ErrConflict, "engine:1.4.3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, pool := newStore(t)
			record := newRecord("g")
			record.Status = c.status
			insert(t, store, record)

			other := begin(t, pool, c.meanwhile)
			result := make(chan error, 1)
			go func() { result <- store.UpdateImage(t.Context(), rotation) }()
			awaitLockWait(t, pool)
			require.NoError(t, other.Commit(t.Context()))

			require.ErrorIs(t, <-result, c.want)
			after, err := store.Get(t.Context(), "g")
			if c.image == "" {
				require.ErrorIs(t, err, runtime.ErrNotFound)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.image, after.CurrentImageRef)
			if c.name == "other column" {
				require.Equal(t, "ill", after.EngineHealth, "the other writer's change is kept")
			}
		})
	}
}

// Proves that a caller who gives up while waiting for the row gets
// context.Canceled, and that its change is not made later.
func TestSwapCancelledWhileWaiting(t *testing.T) {
	store, pool := newStore(t)
	insert(t, store, newRecord("g"))
	other := begin(t, pool, "UPDATE runtime_records SET engine_health = 'ill'")
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- store.UpdateImage(ctx, rotation) }()
	awaitLockWait(t, pool)
	cancel()
	err := <-result
	require.ErrorIs(t, err, context.Canceled)
	requireUnknown(t, err)
	// The server is told of the cancellation beside the call.
	require.Eventually(t, func() bool { return lockWaits(t, pool) == 0 }, patience, tick)
	require.NoError(t, other.Commit(t.Context()))
	require.Equal(t, "engine:1.4.2", get(t, store, "g").CurrentImageRef)
}

// Proves that a wait for a row that somebody holds ends by itself, with an
// unknown outcome, and does not tie up the connection.
func TestSwapLockTimeout(t *testing.T) {
	location := stacktest.Database(t)
	store := postgres.NewRuntimeRecords(open(t, location+"&lock_timeout=50"))
	insert(t, store, newRecord("g"))
	begin(t, open(t, location), "UPDATE runtime_records SET engine_health = 'ill'")
	err := store.UpdateImage(t.Context(), rotation)
	requireUnknown(t, err)
	require.ErrorContains(t, err, "lock timeout")
}

// Proves that the compare-and-swap survives a commit whose reply was lost: the
// caller learns that the outcome is unknown, the row is rotated, and trying
// again succeeds.
func TestUpdateImageReplyLost(t *testing.T) {
	location := stacktest.Database(t)
	proxy, through := newLossyProxy(t, location)
	store := postgres.NewRuntimeRecords(open(t, through))
	direct := postgres.NewRuntimeRecords(open(t, location))
	insert(t, direct, newRecord("g"))

	proxy.armed.Store(true)
	err := store.UpdateImage(t.Context(), rotation)
	requireUnknown(t, err)
	require.EqualValues(t, 1, proxy.lost.Load())
	rotated := get(t, direct, "g")
	require.Equal(t, rotation.CurrentImageRef, rotated.CurrentImageRef)
	require.Equal(t, rotation.CurrentEngineVersion, rotated.CurrentEngineVersion)

	require.NoError(t, store.UpdateImage(t.Context(), rotation))
	require.Equal(t, rotated, get(t, direct, "g"))
}

// Proves the same of a status move, which is not blind to its own success: the
// second try is told of the conflict, and the caller has to read.
func TestUpdateStatusReplyLost(t *testing.T) {
	location := stacktest.Database(t)
	proxy, through := newLossyProxy(t, location)
	store := postgres.NewRuntimeRecords(open(t, through))
	insert(t, store, newRecord("g"))
	input := ports.UpdateStatusInput{GameID: "g", ExpectedFrom: runtime.StatusRunning, To: runtime.StatusStopped, Now: at(1)}

	proxy.armed.Store(true)
	requireUnknown(t, store.UpdateStatus(t.Context(), input))
	require.ErrorIs(t, store.UpdateStatus(t.Context(), input), runtime.ErrConflict)
	require.Equal(t, runtime.StatusStopped, get(t, store, "g").Status)
}

// Proves that an audit entry whose append lost its reply is not doubled by the
// next try.
func TestAppendReplyLost(t *testing.T) {
	location := stacktest.Database(t)
	proxy, through := newLossyProxy(t, location)
	log := postgres.NewOperationLog(open(t, through))

	proxy.armed.Store(true)
	_, err := log.Append(t.Context(), newEntry("g", "p", "r"))
	requireUnknown(t, err)
	id, err := log.Append(t.Context(), newEntry("g", "p", "r"))
	require.NoError(t, err)
	entries, err := log.ListByPatch(t.Context(), "p")
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, id, entries[0].ID)
}

const (
	// patience and tick bound the wait for the server's own view to change;
	// it takes milliseconds, and a minute on a machine that does much else.
	patience = time.Minute
	tick     = 5 * time.Millisecond
)

// begin runs a statement in a transaction and leaves it open, so that it holds
// its rows.
func begin(t *testing.T, pool *pgxpool.Pool, statement string) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := tx.Rollback(context.Background()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			t.Error(err)
		}
	})
	_, err = tx.Exec(t.Context(), statement)
	require.NoError(t, err)
	return tx
}

// awaitLockWait returns when some statement in the database waits for a lock.
func awaitLockWait(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	awaitLockWaits(t, pool, 1)
}

// awaitLockWaits returns when n statements in the database wait for a lock.
func awaitLockWaits(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return lockWaits(t, pool) >= n }, patience, tick)
}

func lockWaits(t *testing.T, pool *pgxpool.Pool) (waiting int) {
	err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
	if err != nil {
		t.Error(err)
	}
	return waiting
}

// Proves that a rotation which names what it expects to be stored overwrites
// nothing else, however late it arrives, and may be repeated.
func TestUpdateImageComparesTheImage(t *testing.T) {
	expecting := rotation
	expecting.ExpectedImageRef, expecting.ExpectedEngineVersion = "engine:1.4.2", "1.4.2"
	for _, c := range []struct {
		name, image, version string
		want                 error
	}{
		{"as expected", "engine:1.4.2", "1.4.2", nil},
		{"written already", "engine:1.4.3", "1.4.3", nil},
		{"the next patch was there", "engine:1.4.4", "1.4.4", runtime.ErrConflict},
		{"another version of the same image", "engine:1.4.2", "1.4.1", runtime.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, _ := newStore(t)
			record := newRecord("g")
			record.CurrentImageRef, record.CurrentEngineVersion = c.image, c.version
			insert(t, store, record)
			require.ErrorIs(t, store.UpdateImage(t.Context(), expecting), c.want)
			if c.want != nil {
				require.Equal(t, c.image, get(t, store, "g").CurrentImageRef)
				return
			}
			require.Equal(t, "engine:1.4.3", get(t, store, "g").CurrentImageRef)
		})
	}
	half := expecting
	half.ExpectedEngineVersion = ""
	store, _ := newStore(t)
	require.ErrorIs(t, store.UpdateImage(t.Context(), half), ports.ErrInvalidInput)
}

// Proves that a rotation with a fencing number takes place only while that is
// the last one, and that a number which is being given out is waited for.
func TestUpdateImageComparesTheFence(t *testing.T) {
	store, pool := newStore(t)
	fences := postgres.NewFences(pool)
	insert(t, store, newRecord("g"))
	first, err := fences.Next(t.Context(), "g")
	require.NoError(t, err)
	fenced := rotation
	fenced.Fence = first + 1
	require.ErrorIs(t, store.UpdateImage(t.Context(), fenced), ports.ErrStaleFence, "a number that nobody gave out")

	fenced.Fence = first
	other := begin(t, pool, "UPDATE runtime_fences SET fence = fence + 1048576 WHERE game_id = 'g'")
	late := make(chan error, 1)
	go func() { late <- store.UpdateImage(t.Context(), fenced) }()
	awaitLockWait(t, pool)
	require.NoError(t, other.Commit(t.Context()))
	require.ErrorIs(t, <-late, ports.ErrStaleFence)
	require.Equal(t, "engine:1.4.2", get(t, store, "g").CurrentImageRef)

	fenced.Fence, err = fences.Next(t.Context(), "g")
	require.NoError(t, err)
	require.NoError(t, store.UpdateImage(t.Context(), fenced))
	require.Equal(t, "engine:1.4.3", get(t, store, "g").CurrentImageRef)
}
