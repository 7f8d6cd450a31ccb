package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/ports"
)

// Proves that the end of a pass keeps its summary, the last one under its name,
// and that the pass that finished last is told, whichever was kept last.
func TestFinishKeepsThePass(t *testing.T) {
	store, pool := newDrift(t)
	_, err := store.LastPass(t.Context())
	require.ErrorIs(t, err, drift.ErrNotFound)
	last := func() drift.Pass {
		pass, err := store.LastPass(t.Context())
		require.NoError(t, err)
		return pass
	}
	finish(t, store, newPass("run-1", 10))
	want := newPass("run-1", 10).Pass
	want.StartedAt, want.FinishedAt = at(9), ptr(at(10))
	require.Equal(t, want, last())

	again := newPass("run-1", 11)
	again.Pass.Counts = drift.Counts{Checked: 1, InSync: 2, ImageDrift: 3, Missing: 4, Extra: 5, Skipped: 6, Unknown: 7}
	finish(t, store, again)
	want.StartedAt, want.FinishedAt, want.Counts = at(10), ptr(at(11)), again.Pass.Counts
	require.Equal(t, want, last())
	require.Equal(t, 1, count(t, pool, "drift_passes"))

	finish(t, store, newPass("run-0", 5))
	require.Equal(t, "run-1", last().ID)
	finish(t, store, newPass("run-2", 12))
	require.Equal(t, "run-2", last().ID)
}

// Proves that the end of a pass resolves the findings of games that are gone, and
// of those only, and drops what is too old: to the microsecond, but never an open
// finding, nor the pass itself.
func TestFinishSweeps(t *testing.T) {
	records, pool := newStore(t)
	store := postgres.NewDrift(pool)
	insert(t, records, newRecord("here"), newRecord("gone"))
	note(t, store,
		found(0, newFinding("here", drift.Missing), newFinding("gone", drift.Extra)),
		found(1, newFinding("old", drift.Missing), newFinding("kept", drift.Missing)),
		inSync(2, "old"), inSync(3, "kept"))
	require.NoError(t, records.Delete(t.Context(), "gone"))
	for n, id := range []string{"", "", "old", "kept"} {
		if id != "" {
			pass := newPass(id, n)
			pass.KeepSince = at(0)
			finish(t, store, pass)
		}
	}
	want := []drift.Finding{
		seen(newFinding("here", drift.Missing), 0, 0, -1),
		seen(newFinding("gone", drift.Extra), 0, 0, 2),
		seen(newFinding("old", drift.Missing), 1, 1, 2),
		seen(newFinding("kept", drift.Missing), 1, 1, 3),
	}
	require.ElementsMatch(t, want, findings(t, store))

	end := newPass("run", 9)
	end.KeepSince = at(3)
	finish(t, store, end)
	finish(t, store, end)
	require.ElementsMatch(t, []drift.Finding{want[0], want[3]}, findings(t, store))
	require.Equal(t, []string{"kept", "run"}, passes(t, pool))

	end.KeepSince = at(3).Add(time.Nanosecond)
	finish(t, store, end)
	require.Equal(t, want[:1], findings(t, store))
	require.Equal(t, []string{"run"}, passes(t, pool))

	end.KeepSince = at(3600)
	finish(t, store, end)
	require.Equal(t, want[:1], findings(t, store))
	require.Equal(t, []string{"run"}, passes(t, pool))
}

func passes(t *testing.T, pool *pgxpool.Pool) (ids []string) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT array_agg(id ORDER BY id) FROM drift_passes").Scan(&ids))
	return ids
}

// Proves that a fleet's worth of findings is resolved and dropped whole, in
// batches, whatever does not fill the last one included.
func TestFinishSweepsInBatches(t *testing.T) {
	store, pool := newDrift(t)
	const rows = 2*postgres.SweepBatch + 1
	execute(t, pool, `INSERT INTO drift_findings (game_id, kind, record_status, record_version, record_image_ref, first_seen_at, last_seen_at)
		SELECT 'g' || n, 'missing', 'running', '1.4.2', 'engine:1.4.2', now(), now() FROM generate_series(1, $1) AS n`, rows)
	execute(t, pool, `INSERT INTO drift_passes SELECT 'run-' || n, $2, $2, 0, 0, 0, 0, 0, 0, 0 FROM generate_series(1, $1) AS n`, rows, at(0))
	end := newPass("run", 1)
	finish(t, store, end)
	counts, err := store.CountDrift(t.Context())
	require.NoError(t, err)
	require.Zero(t, counts[drift.Missing])
	require.Equal(t, rows, count(t, pool, "drift_findings"))
	end.KeepSince = at(2)
	finish(t, store, end)
	require.Zero(t, count(t, pool, "drift_findings"))
	require.Equal(t, []string{"run"}, passes(t, pool))
}

// Proves that the end of a pass waits for nobody who holds a finding, and leaves
// it to the next pass.
func TestFinishPassesOverWhatIsHeld(t *testing.T) {
	store, pool := newDrift(t)
	note(t, store, found(0, newFinding("a", drift.Missing), newFinding("b", drift.Missing)))
	holder := begin(t, pool, "SELECT FROM drift_findings WHERE game_id = 'a' FOR UPDATE")
	finish(t, store, newPass("run-1", 1))
	require.ElementsMatch(t, []drift.Finding{
		seen(newFinding("a", drift.Missing), 0, 0, -1), seen(newFinding("b", drift.Missing), 0, 0, 1),
	}, findings(t, store))
	require.NoError(t, holder.Commit(t.Context()))
	finish(t, store, newPass("run-2", 2))
	require.ElementsMatch(t, []drift.Finding{
		seen(newFinding("a", drift.Missing), 0, 0, 2), seen(newFinding("b", drift.Missing), 0, 0, 1),
	}, findings(t, store))
}

// Proves that a pass that can never be kept is called invalid, and that nothing
// is kept.
func TestFinishInvalidInput(t *testing.T) {
	store, pool := newDrift(t)
	for name, change := range map[string]func(*ports.FinishPassInput){
		"no id":      func(in *ports.FinishPassInput) { in.Pass.ID = " " },
		"id":         func(in *ports.FinishPassInput) { in.Pass.ID = "a\x00b" },
		"long id":    func(in *ports.FinishPassInput) { in.Pass.ID = strings.Repeat("x", 257) },
		"unfinished": func(in *ports.FinishPassInput) { in.Pass.FinishedAt = nil },
		"counts":     func(in *ports.FinishPassInput) { in.Pass.Extra = -1 },
		"keep since": func(in *ports.FinishPassInput) { in.KeepSince = time.Time{} },
	} {
		input := newPass("run", 0)
		change(&input)
		require.ErrorIs(t, store.Finish(t.Context(), input), ports.ErrInvalidInput, name)
	}
	require.Zero(t, count(t, pool, "drift_passes"))
}
