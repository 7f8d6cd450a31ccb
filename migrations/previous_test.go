package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/migrations"
)

// previousVersion is the schema of the release before.
const previousVersion = 1

// The statements of the release before, with the columns that it names.
const (
	previousRecordColumns = `game_id, status, current_image_ref, current_engine_version, engine_health,
		next_generation_at, skip_next_tick, current_turn, created_at, updated_at, started_at, stopped_at, finished_at`
	previousVersionColumns = `version, image_ref, status, created_at, updated_at`
	previousEntryColumns   = `game_id, op_kind, op_source, source_ref, outcome, error_code, error_message,
		started_at, finished_at, patch_id, run_id, reason, noop,
		from_version, from_image_ref, to_version, to_image_ref, undo`

	previousInsertRecord = `INSERT INTO runtime_records (` + previousRecordColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (game_id) DO NOTHING`
	previousAppend = `INSERT INTO operation_log (` + previousEntryColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
		ON CONFLICT (patch_id, run_id) WHERE patch_id <> '' DO NOTHING
		RETURNING id`
)

// previousRows fill the tables of the release before: games in every status, with
// and without each time; patches that succeeded, were refused in every way,
// changed nothing, were put back, or had to be run again; games that never were;
// and what 00001 allows although nobody means it: versions that are none, texts
// too long for any index, times out of order and without end.
var previousRows = []string{
	`INSERT INTO runtime_records (` + previousRecordColumns + `)
		SELECT 'game_' || status || '-' || n, status, 'engine:1.4.' || n, '1.4.' || n, CASE n WHEN 1 THEN '' ELSE 'healthy' END,
			CASE n WHEN 1 THEN NULL ELSE timestamptz '2031-04-05 06:07:08.123456Z' END, n = 2, n * 7,
			timestamptz '2031-01-01 00:00Z', timestamptz '2031-01-01 00:00Z' + n * interval '1 hour',
			CASE WHEN status <> 'starting' THEN timestamptz '2031-01-02 00:00Z' END,
			CASE WHEN status = 'stopped' THEN timestamptz '2031-01-03 00:00Z' END,
			CASE WHEN status = 'finished' THEN timestamptz '2031-01-04 00:00Z' END
		FROM unnest(ARRAY['starting', 'running', 'generation_in_progress', 'generation_failed', 'engine_unreachable', 'stopped', 'finished']) AS status,
			generate_series(1, 3) AS n`,
	`INSERT INTO runtime_records (` + previousRecordColumns + `) VALUES
		('0', 'running', 'registry/engine@sha256:ü', 'not a version', repeat('ill ', 10000), NULL, true, 9223372036854775807, now(), now() - interval '1 year', NULL, now(), now()),
		(repeat('g', 64), 'stopped', E'\tx', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) AS n), '', 'infinity', false, 0, '-infinity', now(), NULL, NULL, NULL)`,
	`INSERT INTO engine_versions (` + previousVersionColumns + `) VALUES
		('1.4.1', 'engine:1.4.1', 'deprecated', now() - interval '1 day', now()),
		('1.4.2', 'engine:1.4.2', 'active', now(), now()), ('1.4.3', 'engine:1.4.2', 'active', now(), now()),
		('1.5.0-rc.1+build.7', 'engine@sha256:00', 'active', now(), now() - interval '1 day'),
		('99999999999999999999.0.0', 'e', 'active', now(), now())`,
	`INSERT INTO operation_log (` + previousEntryColumns + `)
		SELECT 'game_running-1', 'patch', (ARRAY['admin_rest', 'admin_cli', 'system'])[n % 3 + 1], 'req-' || n,
			'failure', code, 'the ' || code || ' of ü', timestamptz '2031-04-05 06:07:08.123456Z', timestamptz '2031-04-05 06:07:09Z',
			'patch-' || n, 'run-' || n, 'hotfix', false, '1.4.1', 'engine:1.4.1', '1.4.2', 'engine:1.4.2', ''
		FROM unnest(ARRAY['invalid_request', 'runtime_not_found', 'engine_version_not_found', 'runtime_not_running', 'semver_patch_only',
			'conflict', 'patch_in_progress', 'cancelled', 'service_unavailable', 'internal_error']) WITH ORDINALITY AS refused (code, n)`,
	`INSERT INTO operation_log (` + previousEntryColumns + `) VALUES
		('game_running-1', 'patch', 'admin_rest', '', 'success', '', '', now(), now(), 'patch-1', 'run-again', '', false, '1.4.1', 'engine:1.4.1', '1.4.2', 'engine:1.4.2', ''),
		('game_running-1', 'patch', 'system', '', 'success', '', '', now(), NULL, 'patch-0', '', '', true, '1.4.2', 'engine:1.4.2', '1.4.2', 'engine:1.4.2', ''),
		('game_running-1', 'patch', 'admin_cli', '', 'failure', 'conflict', 'status changed', now(), now() - interval '1 hour', 'patch-20', 'r', '', false, '', '', '', '', 'put back'),
		('Never Was %', 'patch', 'admin_rest', '', 'failure', 'runtime_not_found', '', 'infinity', NULL, '', '', '', false, '', '', '', '', ''),
		('Never Was %', 'patch', 'admin_rest', '', 'failure', 'runtime_not_found', '', 'infinity', NULL, '', '', '', false, '', '', '', '', ''),
		(repeat('ü', 256), 'patch', 'system', repeat('s', 100000), 'failure',
			(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) AS n), repeat('m', 100000), '-infinity', NULL, '', 'run-without-patch', '', false, '', '', '', '', '')`,
}

// previousTables are the tables of the release before, each with the columns
// that it had then.
var previousTables = map[string]string{
	"runtime_records": previousRecordColumns,
	"engine_versions": previousVersionColumns,
	"operation_log":   "id, " + previousEntryColumns,
}

// snapshot is every row of the release before, as text.
func snapshot(t *testing.T, conn *pgx.Conn) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for table, columns := range previousTables {
		rows, err := conn.Query(t.Context(), "SELECT row_text FROM (SELECT "+columns+" FROM "+table+") AS r, LATERAL (SELECT r::text) AS whole (row_text) ORDER BY row_text")
		require.NoError(t, err)
		found[table], err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
	}
	return found
}

// previousDatabase is a database as the release before leaves it.
func previousDatabase(t *testing.T) (url string, conn *pgx.Conn) {
	t.Helper()
	url = stacktest.EmptyDatabase(t)
	require.NoError(t, migrations.UpTo(t.Context(), url, previousVersion))
	conn = connect(t, url)
	for _, statement := range previousRows {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	return url, conn
}

// Proves that the migrations carry over a database that the release before has
// worked with: every row is there and the same to the letter, and what is new
// says that nothing is known.
func TestUpKeepsTheDataOfThePreviousRelease(t *testing.T) {
	url, conn := previousDatabase(t)
	before := snapshot(t, conn)
	require.Len(t, before["runtime_records"], 23)
	require.Len(t, before["engine_versions"], 5)
	require.Len(t, before["operation_log"], 16)
	pending, err := migrations.Pending(t.Context(), url)
	require.NoError(t, err)
	require.Positive(t, pending, "the database is that of the release before")

	applied, err := migrations.Up(t.Context(), url)
	require.NoError(t, err)
	require.Len(t, applied, pending)
	require.EqualValues(t, previousVersion+1, applied[0].Version)

	require.Equal(t, before, snapshot(t, conn))
	var known, keys int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM operation_log WHERE actor <> ''").Scan(&known))
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM idempotency_keys").Scan(&keys))
	require.Zero(t, known)
	require.Zero(t, keys)
}

// Proves that the release before goes on writing and reading while both run: a
// connection that it had before the migration, with statements that it prepared
// then, and rows of any size that it could write then.
func TestPreviousReleaseGoesOnAfterUp(t *testing.T) {
	url, conn := previousDatabase(t)
	record := func(gameID, version string) []any {
		return []any{gameID, "running", "engine", version, "", nil, false, 0, "2031-01-01", "2031-01-01", nil, nil, nil}
	}
	entry := func(runID, code string) []any {
		return []any{"g", "patch", "system", "", "failure", code, "", "2031-01-01", nil, "p", runID, "", false, "", "", "", "", ""}
	}
	const byGame = "SELECT id, " + previousEntryColumns + " FROM operation_log WHERE game_id = $1 ORDER BY id DESC LIMIT $2"
	write := func(n string) (id int64) {
		_, err := conn.Exec(t.Context(), previousInsertRecord, record("game-"+n, "1.4.2")...)
		require.NoError(t, err)
		require.NoError(t, conn.QueryRow(t.Context(), previousAppend, entry("run-"+n, "conflict")...).Scan(&id))
		_, err = conn.Exec(t.Context(), "UPDATE runtime_records SET current_engine_version = '1.4.3' WHERE game_id = $1", "game-"+n)
		require.NoError(t, err)
		return id
	}
	read := func() int {
		rows, err := conn.Query(t.Context(), byGame, "g", 100)
		require.NoError(t, err)
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (int, error) { return len(row.FieldDescriptions()), nil })
		require.NoError(t, err)
		return len(found)
	}
	write("before")
	require.Equal(t, 1, read())

	_, err := migrations.Up(t.Context(), url)
	require.NoError(t, err)
	id := write("after")
	require.Equal(t, 2, read())
	var actor string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT actor FROM operation_log WHERE id = $1", id).Scan(&actor))
	require.Empty(t, actor)
	require.ErrorIs(t, conn.QueryRow(t.Context(), previousAppend, entry("run-after", "conflict")...).Scan(&id), pgx.ErrNoRows, "a run leaves one row")

	var long string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) AS n").Scan(&long))
	_, err = conn.Exec(t.Context(), previousInsertRecord, record("long", long)...)
	require.NoError(t, err)
	require.NoError(t, conn.QueryRow(t.Context(), previousAppend, entry("long", long)...).Scan(&id))
}

// Proves that the schema refuses keys that cannot be, each by the constraint
// that is there for it.
func TestWrongKeysAreRefused(t *testing.T) {
	conn := connect(t, stacktest.Database(t))
	const sound = "decode(repeat('00', 32), 'hex')"
	insert := func(values string) string {
		return "INSERT INTO idempotency_keys (caller, key, fingerprint, patch_id, run_id, result, claim, claimed_until) VALUES " + values
	}
	for _, c := range []struct{ constraint, statement string }{
		{"idempotency_keys_caller_bounded", insert("(' ', 'k', " + sound + ", 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_caller_bounded", insert("(repeat('c', 257), 'k', " + sound + ", 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_key_bounded", insert("('c', '', " + sound + ", 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_key_bounded", insert("('c', repeat('ü', 128), " + sound + ", 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_fingerprint_length", insert("('c', 'k', '', 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_fingerprint_length", insert("('c', 'k', decode(repeat('00', 33), 'hex'), 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_patch_id_not_blank", insert("('c', 'k', " + sound + ", E'\\t', '', NULL, NULL, NULL)")},
		{"idempotency_keys_claim_not_blank", insert("('c', 'k', " + sound + ", 'p', '', NULL, '', now())")},
		{"idempotency_keys_claim_has_end", insert("('c', 'k', " + sound + ", 'p', '', NULL, 'x', NULL)")},
		{"idempotency_keys_claim_has_end", insert("('c', 'k', " + sound + ", 'p', '', NULL, NULL, now())")},
		{"idempotency_keys_settled_unclaimed", insert("('c', 'k', " + sound + ", 'p', 'r', NULL, 'x', now())")},
		{"idempotency_keys_result_of_a_run", insert("('c', 'k', " + sound + ", 'p', '', '{}', NULL, NULL)")},
		{"idempotency_keys_pkey", insert("('c', 'k', " + sound + ", 'p', '', NULL, NULL, NULL), ('c', 'k', " + sound + ", 'q', '', NULL, NULL, NULL)")},
	} {
		t.Run(c.constraint, func(t *testing.T) {
			_, err := conn.Exec(t.Context(), c.statement)
			var refused *pgconn.PgError
			require.ErrorAs(t, err, &refused, c.statement)
			require.Equal(t, c.constraint, refused.ConstraintName, c.statement)
		})
	}
	_, err := conn.Exec(t.Context(), insert("(repeat('ü', 256), repeat('k', 255), "+sound+", 'p', 'r', 'null', NULL, NULL), ('c', 'k', "+sound+", 'p', '', NULL, 'x', 'infinity')"))
	require.NoError(t, err)
}
