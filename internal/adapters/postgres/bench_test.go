package postgres_test

import (
	goruntime "runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// manyRows is what the pages are measured on: a thousand of the largest pages, so
// that whatever grows with the rows before a page shows.
const manyRows = 1_000_000

// many fills the lists with manyRows each: ten records or entries per instant, and
// the ids not in the order of the instants, so that pages lie scattered over the
// table, as they do in a table that has lived. Every twentieth game is stopped,
// every twentieth entry a failure.
var many = []string{
	`INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version, next_generation_at, created_at, updated_at)
		SELECT 'g' || n, CASE WHEN n % 20 = 0 THEN 'stopped' ELSE 'running' END, 'engine:1', '1.0.' || n % 20, now(),
			timestamptz '2031-01-01 00:00Z' - (n::bigint * 7919 % $1) / 10 * interval '1 second', now() FROM generate_series(1, $1) AS n`,
	`INSERT INTO operation_log (game_id, op_kind, op_source, outcome, error_code, started_at, patch_id, run_id)
		SELECT 'g' || n % 1000, 'patch', 'system', CASE WHEN n % 20 = 0 THEN 'failure' ELSE 'success' END,
			CASE WHEN n % 20 = 0 THEN 'conflict' ELSE '' END,
			timestamptz '2031-01-01 00:00Z' - (n::bigint * 7919 % $1) / 10 * interval '1 second', 'p' || n, 'r' FROM generate_series(1, $1) AS n`,
	"VACUUM ANALYZE runtime_records",
	"VACUUM ANALYZE operation_log",
}

// BenchmarkPages measures, on a million rows, what the first page and the last
// one take, and what walking all of them holds in memory. Two figures matter:
// "last/first", which grows with the number of rows where a page is found by
// counting instead of by its position, and "heap-walk/heap-page", which grows
// with it where pages are kept.
func BenchmarkPages(b *testing.B) {
	// The rows are only read, so that the audit log's are not chained.
	pool, err := postgres.Open(b.Context(), stacktest.Database(b)+"&statement_timeout=0&session_replication_role=replica&pool_max_conns=2")
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	start := time.Now()
	for n, statement := range many {
		arguments := []any{}
		if n < 2 {
			arguments = append(arguments, manyRows)
		}
		_, err := pool.Exec(b.Context(), statement, arguments...)
		require.NoError(b, err)
	}
	b.Logf("%d rows twice in %s", manyRows, time.Since(start).Round(time.Second))
	for _, status := range []runtime.Status{"", runtime.StatusRunning, runtime.StatusStopped} {
		b.Run("runtimes/status="+string(status), func(b *testing.B) { measure(b, runtimesOf(b, pool, status)) })
	}
	for _, outcome := range []operation.Outcome{"", operation.OutcomeFailure} {
		b.Run("operations/outcome="+string(outcome), func(b *testing.B) { measure(b, operationsOf(b, pool, outcome)) })
	}
}

// list reads pages of a list: the one behind a position, and where it ends.
type list[P any] struct {
	read func(after *P, limit int) read[P]
	// late is a position that has one page of a hundred behind it.
	late P
}

// read is a page, its length and the position of its last row.
type read[P any] struct {
	page any
	rows int
	last P
}

func runtimesOf(b *testing.B, pool *pgxpool.Pool, status runtime.Status) list[ports.RuntimePosition] {
	store := postgres.NewRuntimeRecords(pool)
	var late ports.RuntimePosition
	require.NoError(b, pool.QueryRow(b.Context(), `SELECT created_at, game_id FROM runtime_records WHERE $1 IN ('', status)
		ORDER BY created_at, game_id DESC OFFSET 100 LIMIT 1`, status).Scan(&late.CreatedAt, &late.GameID))
	return list[ports.RuntimePosition]{func(after *ports.RuntimePosition, limit int) read[ports.RuntimePosition] {
		page, err := store.PageRuntimes(b.Context(), ports.RuntimePageInput{Status: status, After: after, Limit: limit})
		require.NoError(b, err)
		if len(page) == 0 {
			return read[ports.RuntimePosition]{}
		}
		last := page[len(page)-1]
		return read[ports.RuntimePosition]{page, len(page), ports.RuntimePosition{CreatedAt: last.CreatedAt, GameID: last.GameID}}
	}, late}
}

func operationsOf(b *testing.B, pool *pgxpool.Pool, outcome operation.Outcome) list[ports.OperationPosition] {
	store := postgres.NewOperationLog(pool)
	var late ports.OperationPosition
	require.NoError(b, pool.QueryRow(b.Context(), `SELECT started_at, id FROM operation_log WHERE $1 IN ('', outcome)
		ORDER BY started_at, id OFFSET 100 LIMIT 1`, outcome).Scan(&late.StartedAt, &late.ID))
	return list[ports.OperationPosition]{func(after *ports.OperationPosition, limit int) read[ports.OperationPosition] {
		page, err := store.PageOperations(b.Context(), ports.OperationPageInput{Outcome: outcome, After: after, Limit: limit})
		require.NoError(b, err)
		if len(page) == 0 {
			return read[ports.OperationPosition]{}
		}
		last := page[len(page)-1]
		return read[ports.OperationPosition]{page, len(page), ports.OperationPosition{StartedAt: last.StartedAt, ID: last.ID}}
	}, late}
}

// measure reads the first page and the last one by turns, so that whatever else
// the machine does befalls both alike, and then walks the list once.
func measure[P any](b *testing.B, l list[P]) {
	const pageSize = 100
	var first, last time.Duration
	for b.Loop() {
		begun := time.Now()
		rows := l.read(nil, pageSize).rows
		turned := time.Now()
		lateRows := l.read(&l.late, pageSize).rows
		last += time.Since(turned)
		first += turned.Sub(begun)
		if rows != pageSize || lateRows != pageSize {
			b.Fatalf("pages of %d and %d rows, want %d", rows, lateRows, pageSize)
		}
	}
	b.StopTimer()
	n := float64(b.N) * float64(time.Microsecond)
	b.ReportMetric(float64(first)/n, "first-µs")
	b.ReportMetric(float64(last)/n, "last-µs")
	b.ReportMetric(float64(last)/float64(first), "last/first")
	walkHeap(b, l)
}

// walkHeap compares what is reachable at the highest while every page is walked
// over with what is while the first one is held. The collector runs before each
// look, so that what counts is what is held and not what is only not swept yet.
func walkHeap[P any](b *testing.B, l list[P]) {
	base := heap()
	current := l.read(nil, ports.MaxPage)
	onePage := heap() - base
	highest, pages, rows := onePage, 1, current.rows
	for current.rows == ports.MaxPage {
		current = l.read(&current.last, ports.MaxPage)
		pages, rows = pages+1, rows+current.rows
		if pages%10 == 0 {
			highest = max(highest, heap()-base)
		}
	}
	goruntime.KeepAlive(current.page)
	b.ReportMetric(float64(rows), "rows")
	b.ReportMetric(float64(onePage), "heap-page-B")
	b.ReportMetric(float64(highest)/float64(max(onePage, 1)), "heap-walk/heap-page")
}

func heap() int64 {
	goruntime.GC()
	var stats goruntime.MemStats
	goruntime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
