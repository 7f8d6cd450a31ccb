package migrations_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/migrations"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Proves that Up brings an empty database to the newest schema, says what it
// did, and does nothing the second time.
func TestUp(t *testing.T) {
	url := stacktest.EmptyDatabase(t)
	applied, err := migrations.Up(t.Context(), url)
	require.NoError(t, err)
	require.NotEmpty(t, applied)
	require.Equal(t, "00001_init.sql", applied[0].Name)
	require.EqualValues(t, 1, applied[0].Version)

	applied, err = migrations.Up(t.Context(), url)
	require.NoError(t, err)
	require.Empty(t, applied)
}

// Proves that asking for the state changes nothing, and that its times are UTC
// whatever the server's zone is.
func TestStatus(t *testing.T) {
	url := stacktest.EmptyDatabase(t)
	var database string
	conn := connect(t, url)
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_database()").Scan(&database))
	_, err := conn.Exec(t.Context(), "ALTER DATABASE "+pgx.Identifier{database}.Sanitize()+" SET timezone = 'Asia/Tokyo'")
	require.NoError(t, err)

	states, err := migrations.Status(t.Context(), url)
	require.NoError(t, err)
	require.NotEmpty(t, states)
	for _, state := range states {
		require.False(t, state.Applied, state.Name)
		require.True(t, state.AppliedAt.IsZero())
	}
	pending, err := migrations.Pending(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, len(states), pending)
	var tables int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables))
	require.Zero(t, tables, "the question made no table")

	_, err = migrations.Up(t.Context(), url)
	require.NoError(t, err)
	states, err = migrations.Status(t.Context(), url)
	require.NoError(t, err)
	for _, state := range states {
		require.True(t, state.Applied, state.Name)
		require.WithinDuration(t, time.Now(), state.AppliedAt, time.Hour)
		require.Equal(t, time.UTC, state.AppliedAt.Location())
	}
	pending, err = migrations.Pending(t.Context(), url)
	require.NoError(t, err)
	require.Zero(t, pending)
}

// Proves that processes that start at once do not collide: together they apply
// each migration once.
func TestUpAtOnce(t *testing.T) {
	url := stacktest.EmptyDatabase(t)
	const migrators = 4
	var group errgroup.Group
	counts := make([]int, migrators)
	for i := range migrators {
		group.Go(func() error {
			applied, err := migrations.Up(t.Context(), url)
			counts[i] = len(applied)
			return err
		})
	}
	require.NoError(t, group.Wait())
	total := 0
	for _, count := range counts {
		total += count
	}
	states, err := migrations.Status(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, len(states), total)
}

// Proves that no error shows the password: not of an unreadable URL, not of an
// unreachable server.
func TestErrorsHideThePassword(t *testing.T) {
	for name, url := range map[string]string{
		"unreadable":  "postgres://me:hush-hush@127.0.0.1:port/x",
		"odd":         "postgres://me:hush-hush@[::1/x",
		"unreachable": "postgres://me:hush-hush@127.0.0.1:1/x?sslmode=disable",
	} {
		t.Run(name, func(t *testing.T) {
			_, upErr := migrations.Up(t.Context(), url)
			_, statusErr := migrations.Status(t.Context(), url)
			_, pendingErr := migrations.Pending(t.Context(), url)
			for _, err := range []error{upErr, statusErr, pendingErr} {
				require.Error(t, err)
				require.NotContains(t, err.Error(), "hush-hush")
			}
		})
	}
}

// Proves that a cancelled caller gets its own error back.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := migrations.Up(ctx, stacktest.EmptyDatabase(t))
	require.ErrorIs(t, err, context.Canceled)
}

const (
	insertRecord    = "INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version, created_at, updated_at) VALUES "
	insertVersion   = "INSERT INTO engine_versions (version, image_ref, status) VALUES "
	insertOperation = "INSERT INTO operation_log (game_id, op_kind, op_source, outcome, error_code, started_at) VALUES "

	insertIntervention = "INSERT INTO run_interventions (run_id, event_id, patch_id, game_id, at, action, identity, reason) VALUES "
)

// Proves that the schema itself refuses wrong rows, each by the constraint that
// is there for it, whoever writes them.
func TestWrongRowsAreRefused(t *testing.T) {
	conn := connect(t, stacktest.Database(t))
	for _, c := range []struct{ constraint, statement string }{
		{"runtime_records_game_id_shape", insertRecord + "('', 'running', 'i', '1.0.0', now(), now())"},
		{"runtime_records_game_id_shape", insertRecord + "('Game', 'running', 'i', '1.0.0', now(), now())"},
		{"runtime_records_game_id_shape", insertRecord + "('-g', 'running', 'i', '1.0.0', now(), now())"},
		{"runtime_records_game_id_shape", insertRecord + "(E'g\\n', 'running', 'i', '1.0.0', now(), now())"},
		{"runtime_records_game_id_shape", insertRecord + "(repeat('g', 65), 'running', 'i', '1.0.0', now(), now())"},
		{"runtime_records_status_known", insertRecord + "('g', 'paused', 'i', '1.0.0', now(), now())"},
		{"runtime_records_image_ref_not_blank", insertRecord + "('g', 'running', E' \\t', '1.0.0', now(), now())"},
		{"runtime_records_engine_version_not_blank", insertRecord + "('g', 'running', 'i', '', now(), now())"},
		{"runtime_records_turn_not_negative", "INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version, current_turn, created_at, updated_at) VALUES ('g', 'running', 'i', '1.0.0', -1, now(), now())"},
		{"engine_versions_version_semver", insertVersion + "('v1.0.0', 'i', 'active')"},
		{"engine_versions_version_semver", insertVersion + "('1.0', 'i', 'active')"},
		{"engine_versions_version_semver", insertVersion + "('1.0.01', 'i', 'active')"},
		{"engine_versions_version_semver", insertVersion + "('1.0.0-01', 'i', 'active')"},
		{"engine_versions_version_semver", insertVersion + "(E'1.0.0\\n', 'i', 'active')"},
		{"engine_versions_version_semver", insertVersion + "('1.0.٣', 'i', 'active')"},
		{"engine_versions_version_semver", insertVersion + "('1.0.0-' || repeat('a', 128), 'i', 'active')"},
		{"engine_versions_image_ref_not_blank", insertVersion + "('1.0.0', ' ', 'active')"},
		{"engine_versions_status_known", insertVersion + "('1.0.0', 'i', 'retired')"},
		{"engine_versions_pkey", insertVersion + "('1.0.0', 'i', 'active'), ('1.0.0', 'j', 'active')"},
		{"operation_log_game_id_bounded", insertOperation + "(' ', 'patch', 'system', 'success', '', now())"},
		{"operation_log_game_id_bounded", insertOperation + "(repeat('g', 257), 'patch', 'system', 'success', '', now())"},
		{"operation_log_op_kind_known", insertOperation + "('g', 'explode', 'system', 'success', '', now())"},
		{"operation_log_op_source_known", insertOperation + "('g', 'patch', 'gossip', 'success', '', now())"},
		{"operation_log_outcome_known", insertOperation + "('g', 'patch', 'system', 'perhaps', 'x', now())"},
		{"operation_log_error_code_on_failure", insertOperation + "('g', 'patch', 'system', 'success', 'conflict', now())"},
		{"operation_log_error_code_on_failure", insertOperation + "('g', 'patch', 'system', 'failure', ' ', now())"},
		{"run_interventions_run_id_bounded", insertIntervention + "(' ', 1, '', '', now(), 'start', '', '')"},
		{"run_interventions_event_id_positive", insertIntervention + "('r', 0, '', '', now(), 'start', '', '')"},
		{"run_interventions_patch_id_bounded", insertIntervention + "('r', 1, repeat('p', 257), '', now(), 'start', '', '')"},
		{"run_interventions_game_id_bounded", insertIntervention + "('r', 1, '', repeat('g', 257), now(), 'start', '', '')"},
		{"run_interventions_action_known", insertIntervention + "('r', 1, '', '', now(), 'explode', '', '')"},
		{"run_interventions_texts_bounded", insertIntervention + "('r', 1, '', '', now(), 'start', repeat('i', 257), '')"},
		{"run_interventions_texts_bounded", insertIntervention + "('r', 1, '', '', now(), 'start', '', repeat('r', 1025))"},
		{"run_interventions_pkey", insertIntervention + "('r', 1, '', '', now(), 'start', '', ''), ('r', 1, '', '', now(), 'cancel', '', '')"},
		{"operation_log_one_per_run", "INSERT INTO operation_log (game_id, op_kind, op_source, outcome, started_at, patch_id, run_id) VALUES ('g', 'patch', 'system', 'success', now(), 'p', 'r'), ('h', 'patch', 'system', 'success', now(), 'p', 'r')"},
	} {
		t.Run(c.constraint, func(t *testing.T) {
			_, err := conn.Exec(t.Context(), c.statement)
			var refused *pgconn.PgError
			require.ErrorAs(t, err, &refused, c.statement)
			require.Equal(t, c.constraint, refused.ConstraintName, c.statement)
		})
	}
}

// Proves that what is possible in operation is possible in the schema: bare
// rows, unreadable versions, times out of order, refusals of games that never
// were.
func TestOddRowsAreTaken(t *testing.T) {
	conn := connect(t, stacktest.Database(t))
	for _, statement := range []string{
		insertRecord + "(repeat('g', 64), 'stopped', 'i', 'not-a-version', now(), now() - interval '1 day')",
		insertVersion + "('1.0.0-rc.1+build.7', 'i', 'deprecated'), ('10.20.30', 'i', 'active')",
		insertOperation + "('Never Was', 'patch', 'admin_cli', 'failure', 'runtime_not_found', now())",
		insertOperation + "('g', 'patch', 'system', 'success', '', now()), ('g', 'reconcile', 'system', 'success', '', now())",
		insertOperation + "('g', 'reconcile', 'system', 'success', '', now()), ('g', 'patch', 'system', 'success', '', now())",
	} {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	var bare bool
	row := conn.QueryRow(t.Context(), `SELECT engine_health = '' AND NOT skip_next_tick AND current_turn = 0
		AND next_generation_at IS NULL AND started_at IS NULL AND stopped_at IS NULL AND finished_at IS NULL
		FROM runtime_records`)
	require.NoError(t, row.Scan(&bare))
	require.True(t, bare)
}

// Proves that the digest that names template databases is one word of SQL.
func TestDigest(t *testing.T) {
	require.Regexp(t, `^[0-9a-f]{16}$`, migrations.Digest())
	require.Equal(t, strings.ToLower(migrations.Digest()), migrations.Digest())
}
