package pgfault_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/devstack/stacktest"
)

// TestRefuse proves that new connections are turned away, silently or with a
// code, that open ones go on, and that the door opens again.
func TestRefuse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.move(game, "before"))
	b.proxy.Refuse()
	require.NoError(t, b.move(game, "open connection"))
	_, err := pgx.Connect(t.Context(), b.url)
	requireCut(t, err)
	b.proxy.RefuseWith("57P03")
	_, err = pgx.Connect(t.Context(), b.url)
	require.Equal(t, "57P03", codeOf(err), err)
	b.proxy.Admit()
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

// TestCutAll proves that open connections are reset at once, also one in the
// middle of a statement, and that the next call gets a new one.
func TestCutAll(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.move(game, "before"))
	require.Equal(t, 1, b.proxy.Connections())
	result := make(chan error, 1)
	go func() { _, err := b.pool.Exec(t.Context(), "SELECT pg_sleep(600)"); result <- err }()
	b.awaitRunning("SELECT pg_sleep(600)")
	require.Equal(t, 1, b.proxy.CutAll())
	requireCut(t, <-result)
	require.NoError(t, b.move(game, "after"))
	require.Equal(t, 2, b.moves(game))
	require.Equal(t, 1, b.proxy.Connections())
}

// awaitRunning waits until the server is carrying out the statement.
func (b *bench) awaitRunning(sql string) {
	b.Helper()
	require.Eventually(b, func() bool {
		var running bool
		err := b.plain.QueryRow(b.Context(),
			"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND query = $1 AND datname = current_database())", sql).Scan(&running)
		return err == nil && running
	}, patience, 5*time.Millisecond)
}

// TestPause proves that nothing passes while the proxy pauses, neither of open
// nor of new connections, and that it all arrives afterwards, also what a client
// sent that has given up.
func TestPause(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.move(game, "before"))
	b.proxy.Pause()
	ctx, giveUp := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer giveUp()
	_, err := b.pool.Exec(ctx, insert, game, "late")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, 1, b.moves(game))
	result := make(chan error, 1)
	go func() { // over a new connection, as the one before is given up
		conn, err := pgx.Connect(t.Context(), b.url)
		if err == nil {
			_, err = conn.Exec(t.Context(), insert, other, "waited")
		}
		if err == nil {
			err = conn.Close(t.Context())
		}
		result <- err
	}()
	require.Eventually(t, func() bool { return b.proxy.Connections() >= 2 }, patience, time.Millisecond)
	require.Zero(t, b.moves(other))
	b.proxy.Resume()
	require.NoError(t, <-result)
	require.Equal(t, 1, b.moves(other))
	require.Eventually(t, func() bool { return b.moves(game) == 2 }, patience, 5*time.Millisecond)
}

// TestCancel proves that a request to cancel a statement reaches the server.
func TestCancel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	result := make(chan error, 1)
	go func() { _, err := conn.Exec(t.Context(), "SELECT pg_sleep(601)"); result <- err }()
	b.awaitRunning("SELECT pg_sleep(601)")
	require.NoError(t, conn.PgConn().CancelRequest(t.Context()))
	require.Equal(t, "57014", codeOf(<-result))
}

// TestEncryptionIsDeclined proves that a client which would like TLS goes on
// without it, and that one which requires it is told.
func TestEncryptionIsDeclined(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for mode, want := range map[string]string{"prefer": "", "require": "server refused TLS connection"} {
		location, err := url.Parse(b.url)
		require.NoError(t, err)
		location.RawQuery = "sslmode=" + mode
		conn, err := pgx.Connect(t.Context(), location.String())
		if want != "" {
			require.ErrorContains(t, err, want)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	}
}

// TestStart proves that what is no server is refused without repeating a
// password, that one which is not there looks like a cut, and that the way can
// be led to another.
func TestStart(t *testing.T) {
	t.Parallel()
	_, _, err := pgfault.StartFor("postgres://user:hunter2@host/name")
	require.ErrorContains(t, err, "with a port")
	require.NotContains(t, err.Error(), "hunter2")
	_, _, err = pgfault.StartFor("postgres://user:hunter2@host:bad port/name")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
	_, err = pgfault.Start("host")
	require.Error(t, err)

	gone, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	databaseURL := stacktest.EmptyDatabase(t)
	proxy, through, err := pgfault.StartFor(databaseURL)
	require.NoError(t, err)
	server, err := url.Parse(databaseURL)
	require.NoError(t, err)
	proxy.SetServer(gone.Addr().String())
	_, err = pgx.Connect(t.Context(), through)
	requireCut(t, err)
	proxy.SetServer(server.Host)
	conn, err := pgx.Connect(t.Context(), through)
	require.NoError(t, err)
	require.NoError(t, proxy.Close())
	require.NoError(t, proxy.Close(), "a second Close changes nothing")
	require.Error(t, conn.Ping(t.Context()))
	_, err = pgx.Connect(t.Context(), through)
	require.Error(t, err)
}

// TestStrangers proves that clients of other protocols are let go of and do not
// disturb anybody.
func TestStrangers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x03", "\x00\x00\x00\x08\x00\x00\x00\x00"} {
		conn, err := net.Dial("tcp4", b.proxy.Address())
		require.NoError(t, err)
		_, err = conn.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		var answer [1]byte
		for err == nil {
			_, err = conn.Read(answer[:])
		}
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		var network net.Error
		if errors.As(err, &network) {
			require.False(t, network.Timeout(), "%q was not let go of", text)
		}
		require.NoError(t, conn.Close())
	}
	require.NoError(t, b.move(game, "x"))
}

// TestFaultValidate proves that a fault which could not do what is asked of it
// is refused with the reason.
func TestFaultValidate(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		fault pgfault.Fault
		says  string
	}{
		{pgfault.Fault{Mode: pgfault.Hang}, "needs a name"},
		{pgfault.Fault{Name: "f", Mode: pgfault.Hang, SQL: "("}, "f: SQL"},
		{pgfault.Fault{Name: "f"}, `mode "" is not one of`},
		{pgfault.Fault{Name: "f", Mode: pgfault.Error}, `code "" is no SQLSTATE`},
		{pgfault.Fault{Name: "f", Mode: pgfault.ErrorAfter, Code: "4000"}, `code "4000" is no SQLSTATE`},
		{pgfault.Fault{Name: "f", Mode: pgfault.Slow}, "needs a delay"},
		{pgfault.Fault{Name: "f", Mode: pgfault.Late}, "needs a delay"},
		{pgfault.Fault{Name: "f", Mode: pgfault.Hang, Times: -1}, "must not be negative"},
	} {
		require.ErrorContains(t, row.fault.Validate(), row.says)
	}
	proxy, err := pgfault.Start("127.0.0.1:1")
	require.NoError(t, err)
	defer proxy.Close()
	require.ErrorContains(t, proxy.PutFault(pgfault.Fault{}), "needs a name")
	require.NoError(t, proxy.PutFault(pgfault.Fault{Name: "f", Mode: pgfault.Hang}))
	require.ErrorContains(t, proxy.PutFault(pgfault.Fault{Name: "f", Mode: pgfault.Hang}), "already")
	require.Len(t, proxy.Faults(), 1)
	require.False(t, proxy.ClearFault("g"))
	require.True(t, proxy.ClearFault("f"))
	require.Empty(t, proxy.Faults())
	never := func(pgfault.FaultReport) bool { return false }
	_, err = proxy.Await(t.Context(), "f", never)
	require.ErrorContains(t, err, `no fault "f"`)
	require.NoError(t, proxy.PutFault(pgfault.Fault{Name: "f", Mode: pgfault.Hang}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = proxy.Await(ctx, "f", never)
	require.ErrorIs(t, err, context.Canceled)
}
