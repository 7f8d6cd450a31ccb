package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/migrations"
)

// hold runs a statement in a transaction and leaves it open, so that it keeps its
// locks.
func hold(t *testing.T, conn *pgx.Conn, statement string) pgx.Tx {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), statement)
	require.NoError(t, err)
	return tx
}

// Proves that a migration does not stop the service behind somebody who reads
// the log for long: it gives up, by name, leaves nothing of the file behind, and
// goes through when it is run again.
func TestUpGivesUpBehindALongReader(t *testing.T) {
	url := stacktest.EmptyDatabase(t)
	require.NoError(t, migrations.UpTo(t.Context(), url, 2))
	reader := hold(t, connect(t, url), "SELECT count(*) FROM operation_log")
	applied, err := migrations.Up(t.Context(), url)
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "55P03", refused.Code, "lock_not_available")
	require.ErrorContains(t, err, "version:3")
	require.Empty(t, applied)

	conn := connect(t, url)
	var fences *string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT to_regclass('runtime_fences')::text").Scan(&fences))
	require.Nil(t, fences, "the file is whole or not there")
	_, err = conn.Exec(t.Context(), insertOperation+"('g', 'patch', 'system', 'success', '', now())")
	require.NoError(t, err, "nobody waits behind it any more")

	require.NoError(t, reader.Commit(t.Context()))
	applied, err = migrations.Up(t.Context(), url)
	require.NoError(t, err)
	require.NotEmpty(t, applied)
	require.EqualValues(t, 3, applied[0].Version)
}

// Proves that the rows of before are looked at while others write to the log, and
// that no rule is left that not every row is known to meet.
func TestKindsAreLookedAtBesideWriters(t *testing.T) {
	url := stacktest.EmptyDatabase(t)
	require.NoError(t, migrations.UpTo(t.Context(), url, 3))
	conn := connect(t, url)
	unproven := func() (names []string) {
		rows, err := conn.Query(t.Context(), "SELECT conname FROM pg_constraint WHERE NOT convalidated ORDER BY conname")
		require.NoError(t, err)
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return names
	}
	require.Equal(t, []string{"operation_log_op_kind_known"}, unproven())
	_, err := conn.Exec(t.Context(), insertOperation+"('g', 'explode', 'system', 'success', '', now())")
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "operation_log_op_kind_known", refused.ConstraintName, "new rows are held to it already")

	writer := hold(t, connect(t, url), insertOperation+"('g', 'reconcile', 'system', 'success', '', now())")
	require.NoError(t, migrations.UpTo(t.Context(), url, 4))
	require.Empty(t, unproven())
	require.NoError(t, writer.Commit(t.Context()))
}

// Proves that the schema refuses what no watch can find and no number can be,
// each by the constraint that is there for it, and takes what is odd but possible.
func TestWrongFindingsAndFencesAreRefused(t *testing.T) {
	conn := connect(t, stacktest.Database(t))
	const (
		fence   = "INSERT INTO runtime_fences (game_id, fence, taken_at) VALUES "
		finding = "INSERT INTO drift_findings (game_id, kind, record_status, record_version, record_image_ref, first_seen_at, last_seen_at, resolved_at) VALUES "
		pass    = "INSERT INTO drift_passes (id, started_at, finished_at, checked, in_sync, image_drift, missing, extra, skipped, unknown) VALUES "
	)
	for _, c := range []struct{ constraint, statement string }{
		{"runtime_fences_game_id_shape", fence + "('Game', 1, now())"},
		{"runtime_fences_game_id_shape", fence + "(repeat('g', 65), 1, now())"},
		{"runtime_fences_fence_bounded", fence + "('g', 0, now())"},
		{"runtime_fences_fence_bounded", fence + "('g', (1::bigint << 53) - (1 << 20) + 1, now())"},
		{"runtime_fences_pkey", fence + "('g', 1, now()), ('g', 2, now())"},
		{"drift_findings_game_id_shape", finding + "('', 'missing', 's', 'v', 'i', now(), now(), NULL)"},
		{"drift_findings_game_id_shape", finding + "(E'g\\n', 'missing', 's', 'v', 'i', now(), now(), NULL)"},
		{"drift_findings_kind_known", finding + "('g', 'in_sync', 's', 'v', 'i', now(), now(), NULL)"},
		{"drift_findings_one_open", finding + "('g', 'missing', 's', 'v', 'i', now(), now(), NULL), ('g', 'extra', 's', 'v', 'i', now(), now(), NULL)"},
		{"drift_passes_id_bounded", pass + "(' ', now(), now(), 0, 0, 0, 0, 0, 0, 0)"},
		{"drift_passes_id_bounded", pass + "(repeat('r', 257), now(), now(), 0, 0, 0, 0, 0, 0, 0)"},
		{"drift_passes_counts_not_negative", pass + "('r', now(), now(), -1, 0, 0, 0, 0, 0, 0)"},
		{"drift_passes_counts_not_negative", pass + "('r', now(), now(), 0, 0, 0, 0, 0, 0, -1)"},
		{"drift_passes_pkey", pass + "('r', now(), now(), 0, 0, 0, 0, 0, 0, 0), ('r', now(), now(), 0, 0, 0, 0, 0, 0, 0)"},
	} {
		t.Run(c.constraint, func(t *testing.T) {
			_, err := conn.Exec(t.Context(), c.statement)
			var refused *pgconn.PgError
			require.ErrorAs(t, err, &refused, c.statement)
			require.Equal(t, c.constraint, refused.ConstraintName, c.statement)
		})
	}
	for _, statement := range []string{
		fence + "(repeat('g', 64), (1::bigint << 53) - (1 << 20), '-infinity')",
		finding + "('g', 'missing', '', repeat('v', 100000), '', now(), now() - interval '1 day', NULL), ('g', 'missing', '', '', '', now(), now(), now()), ('g', 'missing', '', '', '', now(), now(), now())",
		pass + "(repeat('ü', 256), now(), now() - interval '1 day', 0, 9223372036854775807, 0, 0, 0, 0, 0)",
	} {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}
