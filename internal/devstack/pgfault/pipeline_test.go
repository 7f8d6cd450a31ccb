package pgfault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/pgfault"
)

// TestBatch proves that a batch is broken as the one unit that the server makes
// of it, by any statement in it.
func TestBatch(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		fault pgfault.Fault
		code  string
		done  int
	}{
		{"error", pgfault.Fault{Mode: pgfault.Error, Code: "40001"}, "40001", 0},
		{"cut after", pgfault.Fault{Mode: pgfault.CutAfter}, "", 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			row.fault.Name, row.fault.Argument, row.fault.Times = "f", "second", 1
			b.put(row.fault)
			send := func() error {
				batch := &pgx.Batch{}
				for _, move := range []string{"first", "second", "third"} {
					batch.Queue(insert, game, move)
				}
				return b.pool.SendBatch(t.Context(), batch).Close()
			}
			err := send()
			require.Error(t, err)
			require.Equal(t, row.code, codeOf(err))
			require.Equal(t, row.done, b.moves(game))
			require.NoError(t, send())
			require.Equal(t, row.done+3, b.moves(game))
		})
	}
}

// TestCopy proves that a COPY is broken as any statement: its data is asked for
// before an answer can be withheld, and is ignored after an error.
func TestCopy(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		fault pgfault.Fault
		code  string
		done  int
	}{
		{"cut before", pgfault.Fault{Mode: pgfault.CutBefore}, "", 0},
		{"cut after", pgfault.Fault{Mode: pgfault.CutAfter}, "", 1000},
		{"error", pgfault.Fault{Mode: pgfault.Error, Code: "53100"}, "53100", 0},
		{"error after", pgfault.Fault{Mode: pgfault.ErrorAfter, Code: "53100"}, "53100", 1000},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			row.fault.Name, row.fault.SQL, row.fault.Times = "f", `^copy "moves"`, 1
			b.put(row.fault)
			fill := func() error {
				_, err := b.pool.CopyFrom(t.Context(), pgx.Identifier{"moves"}, []string{"game_id", "move"},
					pgx.CopyFromSlice(1000, func(int) ([]any, error) { return []any{game, strings.Repeat("x", 100)}, nil }))
				return err
			}
			err := fill()
			require.Error(t, err)
			require.Equal(t, row.code, codeOf(err), err)
			require.Equal(t, row.done, b.moves(game))
			b.wantReport("f", 1, row.done/1000)
			require.NoError(t, fill())
			require.Equal(t, row.done+1000, b.moves(game))
		})
	}
}

// TestPipeline proves that the requests of a pipeline are broken one by one: what
// went before is answered, what comes after a cut does not reach the server, and
// what comes after an error is carried out, also where the client asks for
// answers before the end of a request.
func TestPipeline(t *testing.T) {
	t.Parallel()
	const early = true
	for _, row := range []struct {
		name  string
		fault pgfault.Fault
		// early says that the client asks for an answer within each request.
		early   bool
		answers []string // of the three requests
		done    int
	}{
		{"nothing", pgfault.Fault{Mode: pgfault.Hang, Argument: "nobody"}, false, []string{"", "", ""}, 3},
		{"error", pgfault.Fault{Mode: pgfault.Error, Code: "40001"}, false, []string{"", "40001", ""}, 2},
		{"error after", pgfault.Fault{Mode: pgfault.ErrorAfter, Code: "40001"}, false, []string{"", "40001", ""}, 3},
		{"cut before", pgfault.Fault{Mode: pgfault.CutBefore}, false, nil, 1},
		{"cut after", pgfault.Fault{Mode: pgfault.CutAfter}, false, nil, 2},
		{"nothing, flushed", pgfault.Fault{Mode: pgfault.Hang, Argument: "nobody"}, early, []string{"", "", ""}, 3},
		{"error, flushed", pgfault.Fault{Mode: pgfault.Error, Code: "40001"}, early, []string{"", "40001", ""}, 2},
		{"cut before, flushed", pgfault.Fault{Mode: pgfault.CutBefore}, early, nil, 1},
		{"cut after, flushed", pgfault.Fault{Mode: pgfault.CutAfter}, early, nil, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if row.fault.Argument == "" {
				row.fault.Argument = "second"
			}
			row.fault.Name, row.fault.Times = "f", 1
			b.put(row.fault)
			conn, err := pgx.Connect(t.Context(), b.url)
			require.NoError(t, err)
			defer conn.Close(context.Background())
			answers, err := pipeline(t.Context(), conn.PgConn(), row.early)
			if row.answers == nil {
				requireCut(t, err)
				b.awaitEnd(conn.PgConn().PID())
			} else {
				require.NoError(t, err)
				require.Equal(t, row.answers, answers)
			}
			require.Equal(t, row.done, b.moves(game))
		})
	}
}

// TestCutBeforeWaitsForEarlier proves that a cut leaves alone what the client
// asked for before the call that meets it. The client answers a cut by asking the
// server to cancel what it does, which would hit an earlier call still at work.
func TestCutBeforeWaitsForEarlier(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(pgfault.Fault{Name: "f", Argument: "second", Mode: pgfault.CutBefore})
	lock, err := b.plain.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = lock.Rollback(context.Background()) }()
	_, err = lock.Exec(t.Context(), "LOCK TABLE moves IN SHARE MODE")
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	cut := make(chan error, 1)
	go func() {
		_, err := pipeline(t.Context(), conn.PgConn(), false)
		cut <- err
	}()
	b.await("f", 1, 0)
	b.awaitWait(conn.PgConn().PID())
	require.NoError(t, lock.Rollback(t.Context()))
	requireCut(t, <-cut)
	b.awaitEnd(conn.PgConn().PID())
	require.Equal(t, 1, b.moves(game))
}

// TestErrorSkipsToSync proves that after an injected error nothing of the same
// request is carried out any more, as the protocol demands, neither what went
// before nor what the client sends after it was told; and that the next request
// is.
func TestErrorSkipsToSync(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(pgfault.Fault{Name: "f", Argument: "second", Mode: pgfault.Error, Code: "40001"})
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	raw, err := conn.PgConn().Hijack()
	require.NoError(t, err)
	defer raw.Conn.Close()
	send := func(move string, end pgproto3.FrontendMessage) {
		raw.Frontend.SendParse(&pgproto3.Parse{Query: insert})
		raw.Frontend.SendBind(&pgproto3.Bind{Parameters: [][]byte{[]byte(game), []byte(move)}})
		raw.Frontend.SendExecute(&pgproto3.Execute{})
		raw.Frontend.Send(end)
		require.NoError(t, raw.Frontend.Flush())
	}
	want := func(messages ...pgproto3.BackendMessage) {
		t.Helper()
		for _, message := range messages {
			got, err := raw.Frontend.Receive()
			require.NoError(t, err)
			require.IsType(t, message, got)
		}
	}
	done := []pgproto3.BackendMessage{&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.CommandComplete{}}
	send("first", &pgproto3.Flush{})
	want(done...)
	send("second", &pgproto3.Flush{})
	want(&pgproto3.ErrorResponse{})
	send("third", &pgproto3.Flush{})
	send("fourth", &pgproto3.Sync{})
	want(&pgproto3.ReadyForQuery{})
	require.Zero(t, b.moves(game))
	send("fifth", &pgproto3.Sync{})
	want(append(done, &pgproto3.ReadyForQuery{})...)
	require.Equal(t, 1, b.moves(game))
}

// awaitEnd waits until a process of the server has ended, and with it what it was
// doing.
func (b *bench) awaitEnd(pid uint32) {
	b.Helper()
	require.Eventually(b, func() bool {
		var there bool
		err := b.plain.QueryRow(b.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid).Scan(&there)
		return err == nil && !there
	}, patience, 5*time.Millisecond)
}

// awaitWait waits until a process of the server waits for a lock.
func (b *bench) awaitWait(pid uint32) {
	b.Helper()
	require.Eventually(b, func() bool {
		var waits bool
		err := b.plain.QueryRow(b.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)", pid).Scan(&waits)
		return err == nil && waits
	}, patience, 5*time.Millisecond)
}

// pipeline sends three inserts, each a request of its own, and returns the
// SQLSTATE that each was answered with.
func pipeline(ctx context.Context, conn *pgconn.PgConn, early bool) (answers []string, err error) {
	p := conn.StartPipeline(ctx)
	defer func() { err = errors.Join(err, p.Close()) }()
	for _, move := range []string{"first", "second", "third"} {
		p.SendQueryParams(insert, [][]byte{[]byte(game), []byte(move)}, nil, nil, nil)
		if early {
			p.SendFlushRequest()
			if err := p.Flush(); err != nil {
				return answers, err
			}
			code, err := answerOf(p)
			if err != nil {
				return answers, err
			}
			answers = append(answers, code)
		}
		if err := p.Sync(); err != nil {
			return answers, err
		}
		if early {
			if _, err := p.GetResults(); err != nil {
				return answers, err
			}
		}
	}
	for range 3 {
		if early {
			break
		}
		code, err := answerOf(p)
		if err != nil {
			return answers, err
		}
		answers = append(answers, code)
		if _, err := p.GetResults(); err != nil {
			return answers, err
		}
	}
	return answers, nil
}

// answerOf reads the answer to one insert of a pipeline.
func answerOf(p *pgconn.Pipeline) (code string, err error) {
	results, err := p.GetResults()
	if err == nil {
		reader, ok := results.(*pgconn.ResultReader)
		if !ok {
			return "", fmt.Errorf("%T instead of a result", results)
		}
		_, err = reader.Close()
	}
	if code = codeOf(err); code != "" {
		err = nil
	}
	return code, err
}
