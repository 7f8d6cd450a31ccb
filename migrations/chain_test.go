package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/migrations"
)

// Proves that nobody changes or removes what is in the audit log, or writes to
// its chain, without switching a trigger off: the owner of the tables is refused
// too, also where no row is met, and told why.
func TestTheAuditLogIsAppendOnly(t *testing.T) {
	conn := connect(t, stacktest.Database(t))
	_, err := conn.Exec(t.Context(), insertOperation+"('g', 'patch', 'system', 'success', '', now())")
	require.NoError(t, err)
	for _, statement := range []string{
		"UPDATE operation_log SET reason = 'another'", "UPDATE operation_log SET reason = '' WHERE id = -1",
		"DELETE FROM operation_log", "TRUNCATE operation_log",
		"INSERT INTO operation_log OVERRIDING SYSTEM VALUE SELECT * FROM operation_log ON CONFLICT (id) DO UPDATE SET reason = 'another'",
		"UPDATE operation_chain SET seq = seq + 1", "DELETE FROM operation_chain", "TRUNCATE operation_chain",
		"INSERT INTO operation_chain SELECT operation_id + 1, game_id, seq + 1, hash, hash FROM operation_chain",
		"UPDATE operation_chain_heads SET seq = seq + 1", "DELETE FROM operation_chain_heads", "TRUNCATE operation_chain_heads",
		"INSERT INTO operation_chain_heads SELECT 'other', seq, hash FROM operation_chain_heads",
		"UPDATE run_interventions SET identity = 'bob'", "DELETE FROM run_interventions", "TRUNCATE run_interventions",
	} {
		_, err := conn.Exec(t.Context(), statement)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, statement)
		require.Equal(t, "42501", refused.Code, statement)
		require.Contains(t, refused.Message, "append-only")
	}
	var whole bool
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) = 1 AND bool_and(c.seq = 1 AND h.seq = 1 AND h.hash = c.hash AND c.operation_id = l.id)
		FROM operation_log AS l CROSS JOIN operation_chain AS c CROSS JOIN operation_chain_heads AS h`).Scan(&whole))
	require.True(t, whole)
}

// Proves that who may only append and read needs no right on the chain, and that
// a table of its own under the chain's name does not take the chain's place.
func TestAppendsNeedNoRightsOnTheChain(t *testing.T) {
	conn := connect(t, stacktest.Database(t))
	for _, statement := range []string{
		"DROP ROLE IF EXISTS chain_test_service", "CREATE ROLE chain_test_service",
		"GRANT SELECT, INSERT ON operation_log TO chain_test_service", "SET ROLE chain_test_service",
		"CREATE TEMPORARY TABLE operation_chain (nothing text)",
		insertOperation + "('g', 'patch', 'system', 'success', '', now())",
		"DROP TABLE pg_temp.operation_chain", "RESET ROLE",
	} {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	var links int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM operation_chain").Scan(&links))
	require.Equal(t, 1, links)
	for _, statement := range []string{"DROP OWNED BY chain_test_service", "DROP ROLE chain_test_service"} {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// Proves that the entries of before are chained, and that the migration gives up
// behind a writer rather than have everybody wait, and is whole the next time.
func TestEntriesOfBeforeAreChained(t *testing.T) {
	url := stacktest.EmptyDatabase(t)
	require.NoError(t, migrations.UpTo(t.Context(), url, 4))
	conn := connect(t, url)
	for _, statement := range firstRows {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	writer := hold(t, connect(t, url), insertOperation+"('game_running-1', 'reconcile', 'system', 'success', '', now())")
	_, err := migrations.Up(t.Context(), url)
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "55P03", refused.Code, "lock_not_available")
	require.NoError(t, writer.Commit(t.Context()))

	_, err = migrations.Up(t.Context(), url)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), insertOperation+"('game_running-1', 'reconcile', 'system', 'success', '', now())")
	require.NoError(t, err)
	var entries, links, heads int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM operation_log),
		(SELECT count(*) FROM operation_chain AS c JOIN operation_log AS l ON l.id = c.operation_id AND l.game_id = c.game_id),
		(SELECT count(*) FROM operation_chain_heads AS h JOIN operation_chain AS c ON c.game_id = h.game_id AND c.seq = h.seq AND c.hash = h.hash)`).
		Scan(&entries, &links, &heads))
	require.Equal(t, []int{18, 18, 3}, []int{entries, links, heads})
}
