package pgfault_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/pgfault"
)

// protocols are the ways in which pgx can send a statement.
var protocols = map[string]pgx.QueryExecMode{
	"prepared":  pgx.QueryExecModeCacheStatement,
	"described": pgx.QueryExecModeCacheDescribe,
	"unnamed":   pgx.QueryExecModeExec,
	"simple":    pgx.QueryExecModeSimpleProtocol,
}

// TestModes proves of every mode that breaks a call, over every way of sending
// one, what the client is told, whether the server has done it, that statements
// of another game pass, and that the next call works.
func TestModes(t *testing.T) {
	t.Parallel()
	told := func(code string) func(*testing.T, error) {
		return func(t *testing.T, err error) { require.Equal(t, code, codeOf(err), err) }
	}
	for _, row := range []struct {
		name  string
		fault pgfault.Fault
		says  func(*testing.T, error)
		done  int
		// ends says that the connection does not outlive it.
		ends bool
	}{
		{"cut before", pgfault.Fault{Mode: pgfault.CutBefore}, requireCut, 0, true},
		{"cut after", pgfault.Fault{Mode: pgfault.CutAfter}, requireCut, 1, true},
		{"error", pgfault.Fault{Mode: pgfault.Error, Code: "40001"}, told("40001"), 0, false},
		{"disk full", pgfault.Fault{Mode: pgfault.Error, Code: "53100"}, told("53100"), 0, false},
		{"shut down", pgfault.Fault{Mode: pgfault.Error, Code: "57P01"}, told("57P01"), 0, true},
		{"error after", pgfault.Fault{Mode: pgfault.ErrorAfter, Code: "40P01"}, told("40P01"), 1, false},
		{"shut down after", pgfault.Fault{Mode: pgfault.ErrorAfter, Code: "57P01"}, told("57P01"), 1, true},
	} {
		for protocol, mode := range protocols {
			t.Run(row.name+"/"+protocol, func(t *testing.T) {
				t.Parallel()
				b := benchWith(t, mode)
				fault := row.fault
				fault.Name, fault.SQL, fault.Argument, fault.Times = "f", "insert into MOVES", game, 1
				b.put(fault)
				// The second time the statement is known to the connection.
				require.NoError(t, b.move(other, "first"))
				require.NoError(t, b.move(other, "second"))
				before := b.backend()
				row.says(t, b.move(game, "broken"))
				require.Equal(t, row.done, b.moves(game))
				b.wantReport("f", 1, row.done)
				require.NoError(t, b.move(game, "whole"))
				require.Equal(t, row.done+1, b.moves(game))
				require.Equal(t, 2, b.moves(other))
				require.Equal(t, row.ends, before != b.backend())
			})
		}
	}
}

// backend returns the server process behind the pool's connection.
func (b *bench) backend() (pid int) {
	b.Helper()
	require.NoError(b, b.pool.QueryRow(b.Context(), "SELECT pg_backend_pid()").Scan(&pid))
	return pid
}

// TestHang proves that a hanging call never reaches the server, neither when the
// client's patience or its process ends nor when the fault is cleared, which cuts
// it.
func TestHang(t *testing.T) {
	t.Parallel()
	hang := pgfault.Fault{Name: "f", SQL: "INSERT", Mode: pgfault.Hang}
	for name, leave := range leavings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.put(hang)
			b.hold(1, 0, leave)
			require.Zero(t, b.moves(game))
			b.proxy.ClearFaults()
			require.NoError(t, b.move(game, "whole"))
			require.Equal(t, 1, b.moves(game))
		})
	}
	b := newBench(t)
	b.put(hang)
	result := make(chan error, 1)
	go func() { result <- b.move(game, "cleared") }()
	b.await("f", 1, 0)
	require.True(t, b.proxy.ClearFault("f"))
	requireCut(t, <-result)
	require.NoError(t, b.move(game, "whole"))
	require.Equal(t, 1, b.moves(game))
}

// TestHangAfter proves that the server has done what the client gets no answer
// to, and that the answer comes when the fault is cleared.
func TestHangAfter(t *testing.T) {
	t.Parallel()
	hang := pgfault.Fault{Name: "f", SQL: "INSERT", Mode: pgfault.HangAfter}
	for name, leave := range leavings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.put(hang)
			b.hold(1, 1, leave)
			require.Equal(t, 1, b.moves(game))
		})
	}
	b := newBench(t)
	b.put(hang)
	result := make(chan error, 1)
	go func() { result <- b.move(game, "done") }()
	b.await("f", 1, 1)
	require.Equal(t, 1, b.moves(game))
	select {
	case err := <-result:
		require.Fail(t, "it was answered", err)
	default:
	}
	b.proxy.ClearFaults()
	require.NoError(t, <-result)
	require.Equal(t, 1, b.moves(game))
}

// leavings are the ways in which a client can end its wait.
func leavings() map[string]func(*pgx.Conn, context.CancelFunc) error {
	return map[string]func(*pgx.Conn, context.CancelFunc) error{
		"gives up": func(_ *pgx.Conn, giveUp context.CancelFunc) error { giveUp(); return nil },
		"dies":     func(conn *pgx.Conn, _ context.CancelFunc) error { return conn.PgConn().Conn().Close() },
	}
}

// hold sends a move that the fault holds, over a connection of its own, leaves as
// it is told once the fault has fired and committed so often, and waits until the
// proxy has let go of it.
func (b *bench) hold(fired, committed int, leave func(*pgx.Conn, context.CancelFunc) error) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), b.url)
	require.NoError(b, err)
	ctx, giveUp := context.WithCancel(b.Context())
	defer giveUp()
	result := make(chan error, 1)
	go func() { _, err := conn.Exec(ctx, insert, game, "held"); result <- err }()
	b.await("f", fired, committed)
	require.NoError(b, leave(conn, giveUp))
	require.Error(b, <-result)
	require.Eventually(b, func() bool { return b.proxy.Connections() == 0 }, patience, 5*time.Millisecond)
}

// TestSlow proves that a reply comes when it should and not before, after what
// was asked for has been done.
func TestSlow(t *testing.T) {
	t.Parallel()
	const delay = 200 * time.Millisecond
	b := newBench(t)
	b.put(pgfault.Fault{Name: "f", SQL: "INSERT", Mode: pgfault.Slow, Delay: delay, Times: 1})
	began := time.Now()
	require.NoError(t, b.move(game, "slow"))
	require.GreaterOrEqual(t, time.Since(began), delay)
	b.wantReport("f", 1, 1)
	require.Equal(t, 1, b.moves(game))
}

// TestLate proves that a call which nobody waits for any more lands all the
// same.
func TestLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(pgfault.Fault{Name: "f", SQL: "INSERT", Mode: pgfault.Late, Delay: 300 * time.Millisecond})
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() { _, err := conn.Exec(t.Context(), insert, game, "late"); result <- err }()
	b.await("f", 1, 0)
	require.NoError(t, conn.PgConn().Conn().Close(), "as a killed process does")
	require.Error(t, <-result)
	require.Zero(t, b.moves(game), "not yet")
	b.await("f", 1, 1)
	require.Equal(t, 1, b.moves(game))
}

// TestCommit proves that the commit of a transaction can be broken, that it is
// found by what the transaction's statements were given, and that the client is
// told as a real server would.
func TestCommit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		fault pgfault.Fault
		code  string
		done  int
	}{
		{"cut before", pgfault.Fault{Mode: pgfault.CutBefore}, "", 0},
		{"cut after", pgfault.Fault{Mode: pgfault.CutAfter}, "", 2},
		{"error", pgfault.Fault{Mode: pgfault.Error, Code: "40001"}, "40001", 0},
		{"error after", pgfault.Fault{Mode: pgfault.ErrorAfter, Code: "40001"}, "40001", 2},
	} {
		for protocol, mode := range protocols {
			t.Run(row.name+"/"+protocol, func(t *testing.T) {
				t.Parallel()
				b := benchWith(t, mode)
				fault := row.fault
				fault.Name, fault.SQL, fault.Argument = "f", "^COMMIT$", game
				b.put(fault)
				transact := func(gameID string) error {
					return pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
						for range 2 {
							if _, err := tx.Exec(t.Context(), insert, gameID, "x"); err != nil {
								return err
							}
						}
						return nil
					})
				}
				require.NoError(t, transact(other))
				before := b.backend()
				err := transact(game)
				require.Error(t, err)
				require.Equal(t, row.code, codeOf(err), err)
				require.Equal(t, row.done, b.moves(game))
				b.wantReport("f", 1, row.done/2)
				// pgx gives up a connection on which a transaction is left open.
				require.Equal(t, row.code == "", before != b.backend())
				require.NoError(t, transact(other), "the game of an earlier transaction is not this one's")
				require.Equal(t, 4, b.moves(other))
			})
		}
	}
}

// TestErrorFailsTheTransaction proves that an injected error inside a
// transaction fails it at the server as well, so that nothing of it can be
// committed.
func TestErrorFailsTheTransaction(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(pgfault.Fault{Name: "f", SQL: "INSERT", Argument: "broken", Mode: pgfault.Error, Code: "40001"})
	tx, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), insert, game, "whole")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), insert, game, "broken")
	require.Equal(t, "40001", codeOf(err))
	_, err = tx.Exec(t.Context(), insert, game, "too late")
	require.Equal(t, "25P02", codeOf(err), "current transaction is aborted")
	require.ErrorIs(t, tx.Commit(t.Context()), pgx.ErrTxCommitRollback)
	require.Zero(t, b.moves(game))
}

// TestCutInsideTransaction proves that a statement which was done, but not
// committed when its connection is cut, leaves nothing behind and is not counted
// as committed.
func TestCutInsideTransaction(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(pgfault.Fault{Name: "f", SQL: "INSERT", Mode: pgfault.CutAfter, Times: 1})
	requireCut(t, pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), insert, game, "x")
		return err
	}))
	b.wantReport("f", 1, 0)
	require.Zero(t, b.moves(game))
}
