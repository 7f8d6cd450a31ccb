package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/migrations"
)

// indexes are the definitions of those whose names contain part, by name.
func indexes(t *testing.T, conn *pgx.Conn, part string) map[string]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT indexname, indexdef FROM pg_indexes WHERE strpos(indexname, $1) > 0", part)
	require.NoError(t, err)
	found := map[string]string{}
	var name, definition string
	_, err = pgx.ForEachRow(rows, []any{&name, &definition}, func() error {
		found[name] = definition
		return nil
	})
	require.NoError(t, err)
	return found
}

// Proves that the index of a game's entries is replaced, so that an append writes
// no more of them than before, and that behind somebody who reads the log for long
// the whole file waits for another time, with the old index in its place.
func TestIndexOfGamesIsReplaced(t *testing.T) {
	url := stacktest.EmptyDatabase(t)
	require.NoError(t, migrations.UpTo(t.Context(), url, 7))
	conn := connect(t, url)
	before := indexes(t, conn, "_by_game")
	reader := hold(t, connect(t, url), "SELECT count(*) FROM operation_log")
	_, err := migrations.Up(t.Context(), url)
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "55P03", refused.Code, "lock_not_available")
	require.ErrorContains(t, err, "version:8")
	require.Equal(t, before, indexes(t, conn, "_by_game"))
	require.NoError(t, reader.Commit(t.Context()))

	require.NoError(t, migrations.UpTo(t.Context(), url, 8))
	after := indexes(t, conn, "_by_game")
	const start = "operation_log_by_game_start"
	require.NotContains(t, before[start], "text_pattern_ops")
	require.Contains(t, after[start], "(game_id text_pattern_ops, started_at DESC, id DESC)")
	require.Contains(t, after["runtime_records_by_game"], "(game_id text_pattern_ops)")
	require.Len(t, after, len(before)+1)
}
