package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// Forty thousand records: forty per instant, and all of a quarter of them in one
// instant, as after a move of many games at once. Of the entries one in a hundred
// is a failure, and one in two thousand of a rare kind.
var pageRows = []string{
	`INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version, next_generation_at, created_at, updated_at)
		SELECT 'g' || n, CASE WHEN n % 50 = 0 THEN 'stopped' ELSE 'running' END, 'engine:1', '1.0.' || n % 20,
			timestamptz '2031-01-01 00:00Z' + least(n, 30000) / 40 * interval '1 second',
			timestamptz '2031-01-01 00:00Z' - least(n, 30000) / 40 * interval '1 second', now() FROM generate_series(1, 40000) AS n`,
	`INSERT INTO operation_log (game_id, op_kind, op_source, outcome, error_code, started_at, patch_id, run_id)
		SELECT 'g' || n % 500, 'patch', 'system', CASE WHEN n % 100 = 0 THEN 'failure' ELSE 'success' END,
			CASE WHEN n % 2000 = 0 THEN 'internal_error' WHEN n % 100 = 0 THEN 'conflict' ELSE '' END,
			timestamptz '2031-01-01 00:00Z' - n / 40 * interval '1 second', 'p' || n, 'r' FROM generate_series(1, 40000) AS n`,
	`INSERT INTO idempotency_keys (caller, key, fingerprint, patch_id, created_at)
		SELECT 'me', n::text, decode(repeat('01', 32), 'hex'), 'p', now() - n * interval '1 second' FROM generate_series(1, 20000) AS n`,
	"ANALYZE runtime_records", "ANALYZE operation_log", "ANALYZE idempotency_keys",
}

// Proves that every page, wherever it begins, is a range of the one index that
// has its order and its conditions: Postgres looks at no row that it does not
// return, sorts nothing but what shares the position's instant, and never reads
// the table as a whole.
func TestPagesAreIndexRanges(t *testing.T) {
	pool := newPool(t)
	fill(t, pool, pageRows...)
	newYear := stored.AddDate(0, -3, -4).Truncate(1e9 * 3600 * 24)
	middle := newYear.Add(-400e9)
	crowded := newYear.Add(-750e9)
	runtimes := func(status runtime.Status, after *ports.RuntimePosition) func() (string, []any) {
		return func() (string, []any) {
			return postgres.RuntimePage(ports.RuntimePageInput{Status: status, After: after, Limit: 100})
		}
	}
	operations := func(input ports.OperationPageInput, after bool) func() (string, []any) {
		input.Limit = 100
		if after {
			input.After = &ports.OperationPosition{StartedAt: middle, ID: 16010}
		}
		return func() (string, []any) { return postgres.OperationPage(input) }
	}
	failures := ports.OperationPageInput{Outcome: operation.OutcomeFailure}
	rare := ports.OperationPageInput{ErrorCode: "internal_error"}
	window := ports.OperationPageInput{Since: ptr(newYear.Add(-600e9)), Until: ptr(newYear.Add(-300e9))}
	for _, c := range []struct {
		name, index string
		statement   func() (string, []any)
		sorts       bool // what shares the position's instant
	}{
		{"first", "runtime_records_by_created", runtimes("", nil), false},
		{"middle", "runtime_records_by_created", runtimes("", &ports.RuntimePosition{CreatedAt: middle, GameID: "g16010"}), true},
		{"crowded", "runtime_records_by_created", runtimes("", &ports.RuntimePosition{CreatedAt: crowded, GameID: "g35000"}), true},
		{"first of a status", "runtime_records_by_status", runtimes(runtime.StatusStopped, nil), false},
		{"middle of a status", "runtime_records_by_status", runtimes(runtime.StatusStopped, &ports.RuntimePosition{CreatedAt: middle, GameID: "g16010"}), true},
		{"crowded of a status", "runtime_records_by_status", runtimes(runtime.StatusStopped, &ports.RuntimePosition{CreatedAt: crowded, GameID: "g35000"}), true},
		{"first due", "runtime_records_due", func() (string, []any) {
			return postgres.DuePage(ports.DuePageInput{At: stored, Limit: 100})
		}, false},
		{"middle due", "runtime_records_due", func() (string, []any) {
			return postgres.DuePage(ports.DuePageInput{At: stored, After: &ports.DuePosition{NextGenerationAt: newYear.Add(400e9), GameID: "g16010"}, Limit: 100})
		}, false},
		{"crowded due", "runtime_records_due", func() (string, []any) {
			return postgres.DuePage(ports.DuePageInput{At: stored, After: &ports.DuePosition{NextGenerationAt: newYear.Add(750e9), GameID: "g35000"}, Limit: 100})
		}, false},
		{"first operations", "operation_log_by_start", operations(ports.OperationPageInput{}, false), false},
		{"middle operations", "operation_log_by_start", operations(ports.OperationPageInput{}, true), false},
		{"window", "operation_log_by_start", operations(window, false), false},
		{"middle of a window", "operation_log_by_start", operations(window, true), false},
		{"first failures", "operation_log_by_outcome", operations(failures, false), false},
		{"middle failures", "operation_log_by_outcome", operations(failures, true), false},
		{"users", "runtime_records_by_version", func() (string, []any) {
			return postgres.Users(ports.VersionUsersInput{Version: "1.0.7", Limit: 100})
		}, false},
		// So few rows that they may as well be fetched and sorted.
		{"first of a game", "operation_log_by_game", operations(ports.OperationPageInput{GameID: "g7"}, false), true},
		{"middle of a game", "operation_log_by_game_start", operations(ports.OperationPageInput{GameID: "g7"}, true), true},
		{"first of a rare code", "operation_log_by_error_code", operations(rare, false), true},
		{"middle of a rare code", "operation_log_by_error_code", operations(rare, true), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			statement, arguments := c.statement()
			plan := explain(t, begin(t, pool, "SELECT"), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) "+statement, arguments)
			require.Contains(t, plan, c.index)
			require.NotContains(t, plan, "Seq Scan on")
			require.NotContains(t, plan, "Rows Removed")
			require.NotContains(t, plan, "never executed", "the rows are there")
			if !c.sorts {
				require.NotContains(t, plan, "Sort")
			}
		})
	}
}

func explain(t *testing.T, tx pgx.Tx, statement string, arguments []any) string {
	t.Helper()
	rows, err := tx.Query(t.Context(), statement, arguments...)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

// Proves that pages, and the look for whoever runs a version, are planned for
// their own values: the server is left no prepared statement of one, for which it might come to keep a plan that serves
// the usual values and reads the whole log for a rare one.
func TestPagesAreNotPrepared(t *testing.T) {
	pool := open(t, stacktest.Database(t), postgres.WithMaxConns(1))
	prepared := func() (n int) {
		require.NoError(t, pool.QueryRow(t.Context(),
			`SELECT count(*) FROM pg_prepared_statements
			WHERE statement ~ '(runtime_records|operation_log)' AND statement !~ 'pg_prepared_statements'`).Scan(&n))
		return n
	}
	records, log, versions := postgres.NewRuntimeRecords(pool), postgres.NewOperationLog(pool), postgres.NewEngineVersions(pool)
	for n := range 10 {
		_, _, err := versions.PutImage(t.Context(), putImage(fmt.Sprintf("engine:%d", n)))
		require.NoError(t, err)
		_, err = records.PageRuntimes(t.Context(), ports.RuntimePageInput{Status: runtime.StatusRunning, Limit: 10})
		require.NoError(t, err)
		_, err = records.PageDueRunning(t.Context(), ports.DuePageInput{At: moment, Limit: 10})
		require.NoError(t, err)
		_, err = log.PageOperations(t.Context(), ports.OperationPageInput{ErrorCode: "conflict", Limit: 10})
		require.NoError(t, err)
		_, err = versions.Users(t.Context(), ports.VersionUsersInput{Version: "1.0.0", Limit: 10})
		require.NoError(t, err)
	}
	require.Zero(t, prepared())
	_, err := records.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, prepared(), "as other statements are")
}

// Proves that the statements of keys find their rows by an index also with a
// plan for all values, and that nobody's version is found to be so by an index.
func TestPlansOfKeysAndVersions(t *testing.T) {
	pool := newPool(t)
	fill(t, pool, pageRows...)
	for _, c := range []struct {
		name, statement, index string
		arguments              []any
	}{
		{"settle", postgres.SettleKeySQL, "idempotency_keys_pkey", []any{"me", "7", "p", "r", "c"}},
		{"prune", postgres.PruneKeysSQL, "idempotency_keys_by_created", []any{stored.AddDate(-100, 0, 0), 100}},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := explain(t, begin(t, pool, "SET LOCAL plan_cache_mode = force_generic_plan"), "EXPLAIN "+c.statement, c.arguments)
			require.Contains(t, plan, c.index)
			require.NotContains(t, plan, "Seq Scan on")
		})
	}
	plan := explain(t, begin(t, pool, "SELECT"), "EXPLAIN "+postgres.ChangeImageSQL, []any{"9.9.9", "engine:2", stored})
	require.Contains(t, plan, "runtime_records_by_version")
	require.NotContains(t, plan, "Seq Scan on")
}
