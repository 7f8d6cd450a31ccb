// Package migrations carries the numbered SQL files that make the schema, and
// applies them. They go forward only: a release that turned out wrong is mended
// by the next number, never by going back.
//
// Rules for a new file: never change one that was released; keep what the
// version before still reads and writes, because during a roll-out both run.
package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

const (
	// lockID names the advisory lock that migrating processes take in turn.
	// Our own and not goose's, so that another goose user of the same server
	// is not waited for.
	lockID = 7_205_934_001

	// lockPeriod and lockTries bound the wait for another migrator: looked at
	// every second, because one that has nothing to do takes milliseconds;
	// given up after five minutes, far beyond what any file here needs, so
	// that a stuck one shows.
	lockPeriod = 1 // seconds
	lockTries  = 300

	// connectTimeout bounds one attempt to reach the server: a second is
	// plenty in a data centre, ten forgive a server that is just starting.
	connectTimeout = 10 * time.Second
)

// Applied is one migration that [Up] has just carried out.
type Applied struct {
	Version int64         `json:"version"`
	Name    string        `json:"name"` // the file, such as 00001_init.sql
	Took    time.Duration `json:"took"`
}

// State is one known migration and whether the database has it.
type State struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
	// AppliedAt is in UTC; zero while pending.
	AppliedAt time.Time `json:"applied_at"`
}

// Up brings the database to the newest schema and returns what it did, in
// order; nothing when there was nothing to do. Processes that start at once
// take turns. Each file is one transaction: after an error the database is at
// the end of the last whole file, and the returned list says which were done.
// Errors never contain the password.
func Up(ctx context.Context, databaseURL string) ([]Applied, error) {
	provider, err := open(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	defer func() { _ = provider.Close() }()
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	applied := make([]Applied, 0, len(results))
	for _, result := range results {
		applied = append(applied, Applied{
			Version: result.Source.Version, Name: path.Base(result.Source.Path), Took: result.Duration,
		})
	}
	if err != nil {
		return applied, fmt.Errorf("migrate: %w", err)
	}
	return applied, nil
}

// Status returns every known migration, lowest version first. It only reads:
// it makes no table, waits for no migrator and needs no more rights than the
// service has, so that a readiness check may ask it.
func Status(ctx context.Context, databaseURL string) ([]State, error) {
	provider, err := open(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	defer func() { _ = provider.Close() }()
	done, err := provider.applied(ctx)
	if err != nil {
		return nil, fmt.Errorf("migration status: %w", err)
	}
	var states []State
	for _, source := range provider.ListSources() {
		at, applied := done[source.Version]
		states = append(states, State{
			Version: source.Version, Name: path.Base(source.Path), Applied: applied, AppliedAt: at,
		})
	}
	return states, nil
}

// Pending returns how many known migrations the database does not have yet; a
// service must not run while there are any.
func Pending(ctx context.Context, databaseURL string) (int, error) {
	states, err := Status(ctx, databaseURL)
	if err != nil {
		return 0, err
	}
	pending := 0
	for _, state := range states {
		if !state.Applied {
			pending++
		}
	}
	return pending, nil
}

// Digest returns a short name for exactly this set of migrations, the same in
// every build that carries the same files: tests key their template database
// by it.
func Digest() string {
	sum := sha256.New()
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		panic("migrations: a pattern that compiles: " + err.Error())
	}
	for _, name := range names {
		content, err := files.ReadFile(name)
		if err != nil {
			panic("migrations: an embedded file is always there: " + err.Error())
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// provider is goose's, with the connections that it works on.
type provider struct {
	*goose.Provider
	database *sql.DB
}

func open(ctx context.Context, databaseURL string) (*provider, error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		// pgx's own text may hold the connection string.
		return nil, errors.New("migrate: the database URL cannot be read")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	// An index on a grown table outlasts any limit that suits the service.
	config.RuntimeParams["statement_timeout"] = "0"
	// goose keeps its times without a zone; this makes them UTC everywhere.
	config.RuntimeParams["timezone"] = "UTC"
	config.RuntimeParams["application_name"] = "gamemaster-migrate"
	connections := stdlib.OpenDB(*config)
	prepared, err := prepare(ctx, connections)
	if err != nil {
		return nil, errors.Join(err, connections.Close())
	}
	return &provider{Provider: prepared, database: connections}, nil
}

func prepare(ctx context.Context, connections *sql.DB) (*goose.Provider, error) {
	if err := connections.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("migrate: reach the database: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID), lock.WithLockTimeout(lockPeriod, lockTries))
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	prepared, err := goose.NewProvider(goose.DialectPostgres, connections, files, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	return prepared, nil
}

// applied reads when each migration was applied. goose's own status would lay
// its table and wait for a migrator at work.
func (p *provider) applied(ctx context.Context) (map[int64]time.Time, error) {
	var exists bool
	row := p.database.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", goose.DefaultTablename)
	if err := row.Scan(&exists); err != nil || !exists {
		return nil, err
	}
	store, err := database.NewStore(goose.DialectPostgres, goose.DefaultTablename)
	if err != nil {
		return nil, err
	}
	done := map[int64]time.Time{}
	for _, source := range p.ListSources() {
		found, err := store.GetMigration(ctx, p.database, source.Version)
		if errors.Is(err, database.ErrVersionNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		done[source.Version] = found.Timestamp.UTC()
	}
	return done, nil
}
