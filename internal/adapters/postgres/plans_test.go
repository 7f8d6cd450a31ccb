package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
)

// fill lays rows that are only read, however long that takes and without what the
// triggers of the audit log do for each, which takes most of the time.
func fill(t *testing.T, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	acquired, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	// Nobody else gets a connection with these settings.
	conn := acquired.Hijack()
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	for _, statement := range append([]string{"SET statement_timeout = 0", "SET session_replication_role = replica"}, statements...) {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
}

// Proves, on a table of some size, that every lookup and every list walks an
// index and that no list has to be sorted.
func TestPlansUseIndexes(t *testing.T) {
	pool := newPool(t)
	fill(t, pool,
		`INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version, next_generation_at, created_at, updated_at)
			SELECT 'g' || n, CASE WHEN n % 50 = 0 THEN 'stopped' ELSE 'running' END, 'engine:1', '1.0.0',
				now() + n * interval '1 minute', now() - n * interval '1 second', now() FROM generate_series(1, 20000) AS n`,
		`INSERT INTO operation_log (game_id, op_kind, op_source, outcome, started_at, patch_id, run_id)
			SELECT 'g' || n % 500, 'patch', 'system', 'success', now(), 'p' || n / 2, 'r' || n FROM generate_series(1, 20000) AS n`,
		"ANALYZE runtime_records", "ANALYZE operation_log",
	)
	for _, c := range []struct {
		name, statement, index string
		arguments              []any
		everyRow               bool // a list of all rows, for which a scan of the table may be cheaper
	}{
		{"get", postgres.GetRecordSQL, "runtime_records_(pkey|by_game)", []any{"g7"}, false},
		{"update image", postgres.UpdateImageSQL, "runtime_records_(pkey|by_game)", []any{"g7", "running", "i", "1.0.0", stored, "j", "1.0.1", int64(7)}, false},
		{"due", postgres.ListDueRunningSQL, "runtime_records_due", []any{stored.AddDate(-10, 0, 0)}, false},
		{"by status", postgres.ListByStatusSQL, "runtime_records_by_status", []any{"stopped"}, true},
		{"list", postgres.ListRecordsSQL, "runtime_records_by_created", nil, true},
		{"by game", postgres.ListByGameSQL, "operation_log_by_game", []any{"g7", 20}, true},
		{"by patch", postgres.ListByPatchSQL, "operation_log_by_patch", []any{"p7"}, true},
		{"find success", postgres.FindSuccessSQL, "operation_log_one_per_run", []any{"p7", "r14"}, false},
		{"find entry", postgres.FindEntrySQL, "operation_log_one_per_run", []any{"p7", "r14"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tx := begin(t, pool, "SET LOCAL plan_cache_mode = force_generic_plan")
			if c.everyRow {
				_, err := tx.Exec(t.Context(), "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
				require.NoError(t, err)
			}
			rows, err := tx.Query(t.Context(), "EXPLAIN "+c.statement, c.arguments...)
			require.NoError(t, err)
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			plan := strings.Join(lines, "\n")
			require.Regexp(t, `\b`+c.index+`\b`, plan)
			require.NotContains(t, plan, "Seq Scan on")
			require.NotContains(t, plan, "Sort")
		})
	}
}
