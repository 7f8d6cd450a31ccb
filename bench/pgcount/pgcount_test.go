package pgcount_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/bench/pgcount"
	"galaxy/gamemaster/internal/devstack/stacktest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// TestProxy proves that statements and waits for answers are told apart, whichever
// way the client sends them, and that what comes back is what Postgres said.
func TestProxy(t *testing.T) {
	proxy, location, err := pgcount.Open(stacktest.EmptyDatabase(t))
	require.NoError(t, err)
	connection, err := pgx.Connect(t.Context(), location)
	require.NoError(t, err)

	for _, row := range []struct {
		what                   string
		statements, roundTrips int64
		ask                    func() error
	}{
		{"a simple query", 1, 1, func() error {
			var n int
			return connection.QueryRow(t.Context(), "SELECT 1", pgx.QueryExecModeSimpleProtocol).Scan(&n)
		}},
		{"a new statement, which is prepared first", 1, 2, func() error {
			var n int
			return connection.QueryRow(t.Context(), "SELECT $1::int", 2).Scan(&n)
		}},
		{"a known statement", 1, 1, func() error {
			var n int
			err := connection.QueryRow(t.Context(), "SELECT $1::int", 3).Scan(&n)
			require.Equal(t, 3, n)
			return err
		}},
		{"a batch of known ones", 3, 1, func() error {
			batch := &pgx.Batch{}
			for n := range 3 {
				batch.Queue("SELECT $1::int", n)
			}
			return connection.SendBatch(t.Context(), batch).Close()
		}},
	} {
		statements, roundTrips := proxy.Count()
		require.NoError(t, row.ask(), row.what)
		statementsNow, roundTripsNow := proxy.Count()
		require.Equal(t, row.statements, statementsNow-statements, row.what)
		require.Equal(t, row.roundTrips, roundTripsNow-roundTrips, row.what)
	}
	require.NoError(t, proxy.Close())
	require.Error(t, connection.Ping(t.Context()), "a closed proxy has cut its connections")
}
