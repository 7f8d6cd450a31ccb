package cli_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
	"galaxy/gamemaster/internal/devstack/stacktest"
)

// TestAuditVerify proves that a whole log is told in one line, that a changed row
// is named with its game and fails the command, and that a log that cannot be
// read is neither.
func TestAuditVerify(t *testing.T) {
	url := stacktest.Database(t)
	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	exec := func(statement string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	verify := func(args ...string) (code int, stdout, stderr string) {
		return cli.Shell{Environ: map[string]string{"DATABASE_URL": url}}.Run(append([]string{"audit", "verify"}, args...)...)
	}
	exec(`INSERT INTO operation_log (game_id, op_kind, op_source, outcome, started_at, patch_id, run_id)
		SELECT 'game-' || n % 2, 'patch', 'system', 'success', now(), 'p', n::text FROM generate_series(1, 10) AS n`)
	code, stdout, stderr := verify()
	require.Equal(t, cli.ExitDone, code, stderr)
	require.Regexp(t, `^the audit log is whole: 10 rows of 2 games \(.*\)\n$`, stdout)

	exec("ALTER TABLE operation_log DISABLE TRIGGER operation_log_refuse")
	exec("UPDATE operation_log SET actor = 'somebody else' WHERE run_id = '5'")
	exec("ALTER TABLE operation_log ENABLE TRIGGER operation_log_refuse")
	code, stdout, stderr = verify()
	require.Equal(t, cli.ExitFailed, code)
	require.Equal(t, "game \"game-1\" row #5 link 3: changed: the entry is not the one that was written\n", stdout)
	require.Equal(t, "gamemaster: the audit log is not whole: 1 faults in 10 rows of 2 games\n", stderr)
	code, stdout, stderr = verify("--game", "game-0")
	require.Equal(t, cli.ExitDone, code, stderr)
	require.Contains(t, stdout, "5 rows of 1 games")
	code, _, _ = verify("--game", "game-7")
	require.Equal(t, cli.ExitRefused, code, "a name that was mistyped is not whole")

	url = "postgres://me@127.0.0.1:1/x"
	code, stdout, stderr = verify()
	require.Equal(t, cli.ExitUnavailable, code, stderr)
	require.Empty(t, stdout)
	url = ""
	code, _, stderr = verify()
	require.Equal(t, cli.ExitRefused, code)
	require.Contains(t, stderr, "DATABASE_URL")
}
