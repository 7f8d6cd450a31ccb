package pgfault_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/devstack/stacktest"
)

// A closed proxy must leave nothing behind.
func TestMain(m *testing.M) {
	status := stacktest.Run(m)
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, "pgfault:", err)
		status = 1
	}
	os.Exit(status)
}

// patience bounds every wait for something that takes milliseconds.
const patience = 30 * time.Second

const (
	game  = "game-1"
	other = "game-2"

	insert = "INSERT INTO moves (game_id, move) VALUES ($1, $2)"
	count  = "SELECT count(*) FROM moves WHERE game_id = $1"
)

// bench is a table behind a proxy, and a way around the proxy.
type bench struct {
	*testing.T
	proxy *pgfault.Proxy
	url   string // through the proxy
	pool  *pgxpool.Pool
	plain *pgxpool.Pool
}

func newBench(t *testing.T) *bench { return benchWith(t, pgx.QueryExecModeCacheStatement) }

// benchWith is a bench whose pool speaks the protocol in that way. The pool has
// one connection, so that a test knows which one a call gets.
func benchWith(t *testing.T, mode pgx.QueryExecMode) *bench {
	t.Helper()
	databaseURL := stacktest.Database(t)
	plain, err := pgxpool.New(t.Context(), databaseURL)
	require.NoError(t, err)
	t.Cleanup(plain.Close)
	_, err = plain.Exec(t.Context(), "CREATE TABLE moves (id bigserial, game_id text NOT NULL, move text NOT NULL)")
	require.NoError(t, err)
	proxy, through, err := pgfault.StartFor(databaseURL)
	require.NoError(t, err)
	config, err := pgxpool.ParseConfig(through)
	require.NoError(t, err)
	config.MaxConns = 1
	config.ConnConfig.DefaultQueryExecMode = mode
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	// Before the pool, which waits for its connections.
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	return &bench{T: t, proxy: proxy, url: through, pool: pool, plain: plain}
}

func (b *bench) put(fault pgfault.Fault) {
	b.Helper()
	require.NoError(b, b.proxy.PutFault(fault))
}

// move inserts a row through the proxy.
func (b *bench) move(gameID, move string) error {
	_, err := b.pool.Exec(b.Context(), insert, gameID, move)
	return err
}

// moves counts a game's rows around the proxy.
func (b *bench) moves(gameID string) (n int) {
	b.Helper()
	require.NoError(b, b.plain.QueryRow(b.Context(), count, gameID).Scan(&n))
	return n
}

// wantReport checks how often a fault fired and how many calls were committed.
func (b *bench) wantReport(name string, fired, committed int) {
	b.Helper()
	for _, report := range b.proxy.Faults() {
		if report.Name == name {
			require.Equal(b, fired, report.Fired, "fired")
			require.Equal(b, committed, report.Committed, "committed")
			return
		}
	}
	require.Fail(b, "no such fault", name)
}

// await waits for a fault to have fired and committed so often.
func (b *bench) await(name string, fired, committed int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	_, err := b.proxy.Await(ctx, name, func(r pgfault.FaultReport) bool { return r.Fired >= fired && r.Committed >= committed })
	require.NoError(b, err)
}

// codeOf returns the SQLSTATE that the server, or who poses as it, answered.
func codeOf(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// requireCut checks that a call was ended by its connection and by no answer.
func requireCut(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.Empty(t, codeOf(err), err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	var network net.Error
	if errors.As(err, &network) {
		require.False(t, network.Timeout(), err)
	}
}
