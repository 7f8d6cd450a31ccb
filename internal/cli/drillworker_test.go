package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
)

// TestDrillWorkerIsForThrowAwayStacks proves that a worker with faults starts on
// loopback addresses only, whichever of the three leads elsewhere and in whatever
// way, and that no secret of theirs is repeated.
func TestDrillWorkerIsForThrowAwayStacks(t *testing.T) {
	t.Parallel()
	const database, manager, temporal = "DATABASE_URL", "RTM_URL", "TEMPORAL_ADDRESS"
	good := map[string]string{
		database: "postgres://u:hunter2@127.0.0.1:5432/x", manager: "http://localhost:8090", temporal: "[::1]:7233",
	}
	require.NoError(t, cli.CheckThrowAway(good))
	for _, row := range []struct{ name, value string }{
		{database, ""},
		{database, "postgres://u:hunter2@db.example:5432/x"},
		{database, "postgres://u:hunter2@127.0.0.1:5432,10.0.0.7:5432/x"},
		{database, "postgres://u:hunter2@127.0.0.1:5432/x?host=db.example"},
		{database, "user=u password=hunter2 dbname=x host=db.example"},
		{database, "user=u password=hunter2 dbname=x host=/var/run/postgresql"},
		{database, "postgres://u:hunter2@127.0.0.1:port/x"},
		{manager, ""},
		{manager, "http://u:hunter2@rtm:8090"},
		{manager, "http://127.0.0.1@rtm:8090"},
		{manager, "http://127.0.0.1.example:8090"},
		{manager, "127.0.0.1:8090"},
		{temporal, ""},
		{temporal, "temporal:7233"},
		{temporal, "0.0.0.0:7233"},
		{temporal, ":7233"},
		{temporal, "dns:///127.0.0.1:7233"},
		{temporal, "127.0.0.1"},
	} {
		environ := map[string]string{row.name: row.value}
		for name, value := range good {
			if name != row.name {
				environ[name] = value
			}
		}
		err := cli.CheckThrowAway(environ)
		require.ErrorContains(t, err, row.name+": want a loopback address", "%s", row.value)
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), "\n", "the other two are in order")
	}
	code, _, stderr := cli.Shell{}.Run("drill-worker", "--faults", "absent", "--journal", "absent")
	require.Equal(t, cli.ExitRefused, code, stderr)
	require.Contains(t, stderr, database)
}

// TestDrillWorkerIsHidden proves that nobody is offered a worker with faults, and
// that the one of production takes none.
func TestDrillWorkerIsHidden(t *testing.T) {
	t.Parallel()
	_, help, _ := cli.Shell{}.Run("--help")
	require.Contains(t, help, "worker")
	require.NotContains(t, help, "drill-worker")
	_, help, _ = cli.Shell{}.Run("worker", "--help")
	require.NotContains(t, help, "faults")
	code, _, stderr := cli.Shell{}.Run("worker", "--faults", "x", "--journal", "x")
	require.Equal(t, cli.ExitUsage, code, stderr)
	code, _, stderr = cli.Shell{}.Run("drill-worker")
	require.Equal(t, cli.ExitUsage, code, stderr)
	require.Contains(t, stderr, "--faults")
}
