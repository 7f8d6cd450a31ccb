package main

import (
	"context"
	"crypto/md5" //nolint:gosec // For ids that lie scattered, in Go and in SQL alike; nothing is kept secret by it.
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/migrations"
)

const (
	// teamPrefix is how the games of one team begin, of which there are as many in
	// every fleet; gamePrefix is how all others do.
	teamPrefix, gamePrefix = "team-", "game-"
	// fleetVersions are registered, and games are spread over them.
	fleetVersions = 20
	// stoppedOf is that one game in so many is stopped.
	stoppedOf = 5
	// fillBatch is how many games one statement inserts: some seconds' worth, after
	// each of which it is told how far that got.
	fillBatch = 100_000
)

// fleetBegan is when the first game of a fleet was registered; each next one came
// a second later.
var fleetBegan = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fleet is a database with games that nobody but the bench works on, and the
// product's own stores on it.
type fleet struct {
	size int
	url  string
	// page is how many rows a page shows, and team how many games the team has.
	page, team int
	pool       *pgxpool.Pool
	records    *postgres.RuntimeRecords
	fences     *postgres.Fences
	random     *rand.Rand
	// moved tells how many versions a game has been moved on by.
	moved map[int]int
}

// openFleet fills a database with size games and opens the stores on it. Pages and
// the team are sized after few, so that they are the same in every fleet.
func (s *stack) openFleet(ctx context.Context, size, few int) (_ *fleet, err error) {
	f := &fleet{
		size: size, page: few / 10, team: few / 5, moved: map[int]int{},
		random: rand.New(rand.NewPCG(1, uint64(size))), //nolint:gosec // The same games in every run.
	}
	if size%f.team != 0 || size/f.team%stoppedOf != 0 {
		return nil, fmt.Errorf("want a multiple of %d", f.team*stoppedOf)
	}
	name := "bench_scale_" + strconv.Itoa(size)
	if err := s.postgres.CreateDatabase(ctx, name); err != nil {
		return nil, err
	}
	f.url = s.postgres.URL(name)
	if _, err := migrations.Up(ctx, f.url); err != nil {
		return nil, err
	}
	if err := f.administer(ctx, func(connection *pgx.Conn) error { return f.fill(ctx, connection, s.tell) }); err != nil {
		return nil, err
	}
	if f.pool, err = postgres.Open(ctx, f.url); err != nil {
		return nil, err
	}
	f.records, f.fences = postgres.NewRuntimeRecords(f.pool), postgres.NewFences(f.pool)
	return f, nil
}

// administer works on a connection without the product's limits on statements.
func (f *fleet) administer(ctx context.Context, work func(connection *pgx.Conn) error) error {
	connection, err := pgx.Connect(ctx, f.url)
	if err != nil {
		return err
	}
	return errors.Join(work(connection), connection.Close(ctx))
}

func (f *fleet) close() { f.pool.Close() }

// fill lays the rows and leaves the database as one that has had them for long:
// vacuumed, its statistics known, nothing of the filling still to be written.
func (f *fleet) fill(ctx context.Context, connection *pgx.Conn, tell func(string, ...any)) error {
	if _, err := connection.Exec(ctx, `INSERT INTO engine_versions (version, image_ref, status)
		SELECT '1.4.' || v, $1 || v, 'active' FROM generate_series(0, $2 - 1) AS v`, image("1.4."), fleetVersions); err != nil {
		return err
	}
	rebuild, err := dropIndexes(ctx, connection, "runtime_records")
	if err != nil {
		return err
	}
	for from := 0; from < f.size; from += fillBatch {
		to := min(from+fillBatch, f.size)
		if err := f.insert(ctx, connection, from, to); err != nil {
			return err
		}
		tell("filled %d of %d runtimes", to, f.size)
	}
	for _, statement := range append(rebuild,
		// Each was patched once, and so has a number.
		"INSERT INTO runtime_fences (game_id, fence, taken_at) SELECT game_id, 1, now() FROM runtime_records ORDER BY game_id",
		"VACUUM (ANALYZE)", "CHECKPOINT") {
		if _, err := connection.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// insert registers the games of some numbers, as gameID, status and version have
// them.
func (f *fleet) insert(ctx context.Context, connection *pgx.Conn, from, to int) error {
	_, err := connection.Exec(ctx, `INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version,
			next_generation_at, created_at, updated_at, started_at)
		SELECT CASE WHEN n % $1 = 0 THEN $2 ELSE $3 END || md5(n::text), CASE WHEN n % $4 = 1 THEN 'stopped' ELSE 'running' END,
			$5 || n % $6, '1.4.' || n % $6, $7::timestamptz + n::bigint * 7919 % $8 * interval '1 second',
			$7::timestamptz + n * interval '1 second', now(), now()
		FROM generate_series($9::int, $10::int - 1) AS n`,
		f.size/f.team, teamPrefix, gamePrefix, stoppedOf, image("1.4."), fleetVersions, fleetBegan, f.size, from, to)
	return err
}

// dropIndexes drops those of a table but its primary key's, and returns what makes
// them again: filled without them, a large table takes a fraction of the time.
func dropIndexes(ctx context.Context, connection *pgx.Conn, table string) (rebuild []string, err error) {
	rows, err := connection.Query(ctx, `SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1 AND indexname <> $1 || '_pkey'`, table)
	if err != nil {
		return nil, err
	}
	var names []string
	var name, definition string
	if _, err := pgx.ForEachRow(rows, []any{&name, &definition}, func() error {
		names, rebuild = append(names, name), append(rebuild, definition)
		return nil
	}); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := connection.Exec(ctx, "DROP INDEX "+pgx.Identifier{name}.Sanitize()); err != nil {
			return nil, err
		}
	}
	return rebuild, nil
}

func (f *fleet) vacuum(ctx context.Context) error {
	return f.administer(ctx, func(connection *pgx.Conn) error {
		_, err := connection.Exec(ctx, "VACUUM (ANALYZE)")
		return err
	})
}

// gameID names a game by its number.
func (f *fleet) gameID(n int) string {
	sum := md5.Sum([]byte(strconv.Itoa(n))) //nolint:gosec // As above.
	prefix := gamePrefix
	if n%(f.size/f.team) == 0 {
		prefix = teamPrefix
	}
	return prefix + hex.EncodeToString(sum[:])
}

func (f *fleet) status(n int) runtime.Status {
	if n%stoppedOf == 1 {
		return runtime.StatusStopped
	}
	return runtime.StatusRunning
}

// version is what the game is on now.
func (f *fleet) version(n int) string {
	return "1.4." + strconv.Itoa((n+f.moved[n])%fleetVersions)
}

// running is the number of some running game.
func (f *fleet) running() int {
	for {
		if n := f.random.IntN(f.size); f.status(n) == runtime.StatusRunning {
			return n
		}
	}
}

// dueBy is when the last game's turn is due.
func (f *fleet) dueBy() time.Time { return fleetBegan.Add(time.Duration(f.size) * time.Second) }

// farBehind is a position that a part of the list lies behind, and a little more.
func (f *fleet) farBehind(left float64) *ports.RuntimePosition {
	n := int(left*float64(f.size)) + f.random.IntN(f.size/20)
	return &ports.RuntimePosition{CreatedAt: fleetBegan.Add(time.Duration(n) * time.Second), GameID: f.gameID(n)}
}
