package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"galaxy/gamemaster/internal/devstack"
	"galaxy/gamemaster/migrations"
)

// versions are what games alternate between; fromVersion is what they begin on.
const (
	fromVersion = "1.4.2"
	toVersion   = "1.4.3"
)

// image is what the registry has for a version.
func image(version string) string { return "registry.example/galaxy/engine:" + version }

// stack is what all rivals share: a directory, one Postgres that keeps its data as
// a real one does, and the programs.
type stack struct {
	dir      string
	postgres *devstack.Postgres
	// product and self are the programs that rivals are started from.
	product, self string
	progress      io.Writer
	// places counts those that were opened.
	places int
	// templates are the migrated databases that those of the places are copies of, by
	// how many other games are in them.
	templates map[int]string
	closers   []func() error
}

// startStack starts Postgres, and builds the product unless another program is
// given. Whatever it started is stopped again when it fails.
func startStack(ctx context.Context, p plan, progress io.Writer) (_ *stack, err error) {
	s := &stack{product: p.product, progress: progress, templates: map[int]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "gamemaster-bench-"); err != nil {
		return nil, err
	}
	s.onClose(func() error { return os.RemoveAll(s.dir) })
	// Postgres runs as another user when this is root, and passes through.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return nil, err
	}
	if s.product == "" {
		if err := s.build(ctx); err != nil {
			return nil, err
		}
	}
	s.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresOptions{Dir: filepath.Join(s.dir, "postgres"), Progress: progress})
	if err != nil {
		return nil, err
	}
	s.onClose(s.postgres.Close)
	return s, nil
}

// build builds the gamemaster of this checkout, in its own module: what it is
// made of is what a user gets, and no choice of this one.
func (s *stack) build(ctx context.Context) error {
	s.product = filepath.Join(s.dir, "gamemaster")
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "galaxy/gamemaster").Output()
	if err != nil {
		return fmt.Errorf("find gamemaster, which is looked for from its bench directory: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", s.product, ".")
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build gamemaster: %w\n%s", err, out)
	}
	return nil
}

// template returns the database that a place begins with, made when it is missing:
// the schema, the versions, and a fleet of games that nobody patches.
func (s *stack) template(ctx context.Context, fleet int) (string, error) {
	name, made := s.templates[fleet]
	if made {
		return name, nil
	}
	name = fmt.Sprintf("bench_template_%d", fleet)
	if err := s.makeTemplate(ctx, name, fleet); err != nil {
		return "", err
	}
	s.templates[fleet] = name
	return name, nil
}

func (s *stack) makeTemplate(ctx context.Context, template string, fleet int) error {
	if err := s.postgres.CreateDatabase(ctx, template); err != nil {
		return err
	}
	if _, err := migrations.Up(ctx, s.postgres.URL(template)); err != nil {
		return err
	}
	connection, err := pgx.Connect(ctx, s.postgres.URL(template))
	if err != nil {
		return err
	}
	for _, version := range []string{fromVersion, toVersion} {
		if _, err = connection.Exec(ctx, `INSERT INTO engine_versions (version, image_ref, status) VALUES ($1, $2, 'active')`,
			version, image(version)); err != nil {
			return errors.Join(err, connection.Close(ctx))
		}
	}
	err = insertGames(ctx, connection, "fleet-", fleet)
	return errors.Join(err, connection.Close(ctx))
}

// insertGames registers n running games, called prefix and a number from zero.
func insertGames(ctx context.Context, connection *pgx.Conn, prefix string, n int) error {
	_, err := connection.Exec(ctx, `INSERT INTO runtime_records
		(game_id, status, current_image_ref, current_engine_version, created_at, updated_at, started_at)
		SELECT $1 || n, 'running', $2, $3, now(), now(), now() FROM generate_series(0, $4 - 1) AS n`,
		prefix, image(fromVersion), fromVersion, n)
	if err != nil {
		return fmt.Errorf("insert games: %w", err)
	}
	_, err = connection.Exec(ctx, "ANALYZE runtime_records")
	return err
}

// temporalSetting is a way to run the Temporal server.
type temporalSetting struct {
	name string
	// dynamic is the server's dynamic configuration, over that of the dev stack.
	dynamic map[string]any
	// shards has it keep its data in the bench's own Postgres, in so many history
	// shards; zero is SQLite.
	shards int
}

// temporalSettings are the ways that are measured; the first is the one that the
// ratios are of.
func temporalSettings() []temporalSetting {
	return []temporalSetting{
		{name: "sqlite"},
		// As start-dev does unless it is told otherwise.
		{name: "sqlite, as start-dev", dynamic: map[string]any{
			"history.transferProcessorMaxPollRPS": nil, "system.forceSearchAttributesCacheRefreshOnRead": true,
		}},
		{name: "postgres, 4 shards", shards: 4},
	}
}

// administer runs one statement that works on whole databases.
func (s *stack) administer(ctx context.Context, statement string) error {
	connection, err := pgx.Connect(ctx, s.postgres.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = connection.Exec(ctx, statement)
	return errors.Join(err, connection.Close(ctx))
}

// startManager starts a Runtime Manager simulator without any container.
func (s *stack) startManager(ctx context.Context, log string) (*process, error) {
	return start(ctx, command{
		role: "rtmsim", path: s.product, args: []string{"rtmsim", "--addr", "127.0.0.1:0"},
		ready: regexp.MustCompile(`simulator at (http://[0-9.:]+)`),
	}, log)
}

func (s *stack) onClose(f func() error) { s.closers = append(s.closers, f) }

// close ends everything, the last first.
func (s *stack) close() error {
	var faults []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		faults = append(faults, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(faults...)
}

// nextName is a name for a place that no other has.
func (s *stack) nextName(rival string) string {
	s.places++
	return fmt.Sprintf("t%d-%s", s.places, rival)
}
