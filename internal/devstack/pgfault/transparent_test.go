package pgfault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"galaxy/gamemaster/internal/devstack/pgfault"
)

// TestTransparent proves that a mixed load of many connections gets through the
// proxy exactly what it should, while faults lie in wait for others: prepared and
// simple statements, errors, transactions, batches, large values both ways, COPY
// both ways, notifications.
func TestTransparent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for mode, fault := range map[pgfault.Mode]pgfault.Fault{
		pgfault.CutBefore: {}, pgfault.CutAfter: {}, pgfault.Error: {Code: "40001"}, pgfault.Hang: {}, pgfault.HangAfter: {},
	} {
		fault.Name, fault.Mode, fault.Argument, fault.SQL = string(mode), mode, "nobody", "moves"
		b.put(fault)
	}
	config, err := pgxpool.ParseConfig(b.url)
	require.NoError(t, err)
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()

	const workers, rounds = 16, 12
	group, ctx := errgroup.WithContext(t.Context())
	for worker := range workers {
		group.Go(func() error {
			for round := range rounds {
				if err := mixed(ctx, pool, fmt.Sprintf("%d-%d", worker, round)); err != nil {
					return fmt.Errorf("worker %d, round %d: %w", worker, round, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	var rows int
	require.NoError(t, b.plain.QueryRow(t.Context(), "SELECT count(*) FROM moves").Scan(&rows))
	require.Equal(t, workers*rounds*(1+2+20+100), rows)
	for _, report := range b.proxy.Faults() {
		require.Zero(t, report.Fired, report.Name)
	}
}

// mixed does a bit of everything for one game and checks every answer.
func mixed(ctx context.Context, pool *pgxpool.Pool, gameID string) error {
	for _, part := range []func(context.Context, *pgxpool.Conn, string) error{single, failing, transaction, batch, copying, large, notified} {
		err := pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { return part(ctx, conn, gameID) })
		if err != nil {
			return err
		}
	}
	return nil
}

func wantCount(ctx context.Context, conn *pgxpool.Conn, gameID string, want int, options ...any) error {
	var got int
	if err := conn.QueryRow(ctx, count, append(options, gameID)...).Scan(&got); err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%d moves, want %d", got, want)
	}
	return nil
}

func single(ctx context.Context, conn *pgxpool.Conn, gameID string) error {
	if _, err := conn.Exec(ctx, insert, gameID, "single"); err != nil {
		return err
	}
	return errors.Join(wantCount(ctx, conn, gameID, 1), wantCount(ctx, conn, gameID, 1, pgx.QueryExecModeSimpleProtocol))
}

func failing(ctx context.Context, conn *pgxpool.Conn, gameID string) error {
	if _, err := conn.Exec(ctx, insert, gameID, nil); codeOf(err) != "23502" {
		return fmt.Errorf("no null violation but %w", err)
	}
	if _, err := conn.Exec(ctx, "SELECT nonsense"); codeOf(err) != "42703" {
		return fmt.Errorf("no undefined column but %w", err)
	}
	return wantCount(ctx, conn, gameID, 1)
}

func transaction(ctx context.Context, conn *pgxpool.Conn, gameID string) error {
	gaveUp := errors.New("given up")
	for _, end := range []error{gaveUp, nil} {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			for range 2 {
				if _, err := tx.Exec(ctx, insert, gameID, "transaction"); err != nil {
					return err
				}
			}
			return end
		})
		if !errors.Is(err, end) {
			return err
		}
	}
	return wantCount(ctx, conn, gameID, 3)
}

func batch(ctx context.Context, conn *pgxpool.Conn, gameID string) error {
	batch := &pgx.Batch{}
	for i := range 20 {
		batch.Queue(insert, gameID, fmt.Sprint("batch ", i))
	}
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	return wantCount(ctx, conn, gameID, 23)
}

func copying(ctx context.Context, conn *pgxpool.Conn, gameID string) error {
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"moves"}, []string{"game_id", "move"},
		pgx.CopyFromSlice(100, func(i int) ([]any, error) { return []any{gameID, fmt.Sprint("copy ", i)}, nil }))
	if err != nil || n != 100 {
		return fmt.Errorf("copied %d: %w", n, err)
	}
	broken := errors.New("broken source")
	if _, err = conn.CopyFrom(ctx, pgx.Identifier{"moves"}, []string{"game_id"},
		pgx.CopyFromSlice(2, func(int) ([]any, error) { return nil, broken })); !errors.Is(err, broken) && codeOf(err) != "57014" {
		return fmt.Errorf("a broken copy: %w", err)
	}
	var out bytes.Buffer
	if _, err := conn.Conn().PgConn().CopyTo(ctx, &out, "COPY (SELECT move FROM moves WHERE game_id = '"+gameID+"') TO STDOUT"); err != nil {
		return err
	}
	if lines := strings.Count(out.String(), "\n"); lines != 123 {
		return fmt.Errorf("%d lines were copied out", lines)
	}
	return wantCount(ctx, conn, gameID, 123)
}

func large(ctx context.Context, conn *pgxpool.Conn, gameID string) error {
	sent := strings.Repeat(gameID, 100_000)
	var got string
	if err := conn.QueryRow(ctx, "SELECT $1::text || 'x'", sent).Scan(&got); err != nil {
		return err
	}
	if got != sent+"x" {
		return errors.New("a large value was changed")
	}
	rows, err := conn.Query(ctx, "SELECT n FROM generate_series(1, 5000) AS n")
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err == nil && (len(list) != 5000 || list[4999] != 5000) {
		err = fmt.Errorf("%d rows", len(list))
	}
	return err
}

func notified(ctx context.Context, conn *pgxpool.Conn, gameID string) error {
	channel := pgx.Identifier{"c" + gameID}.Sanitize()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "NOTIFY "+channel+", 'hello'"); err != nil {
		return err
	}
	got, err := conn.Conn().WaitForNotification(ctx)
	if err == nil && got.Payload != "hello" {
		err = fmt.Errorf("notified of %q", got.Payload)
	}
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "UNLISTEN *")
	return err
}
