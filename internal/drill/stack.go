package drill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"
	"golang.org/x/sync/errgroup"

	"galaxy/gamemaster/internal/devstack"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/migrations"
	"galaxy/gamemaster/workflows"
)

// Options say what a stack is made of.
type Options struct {
	// Binary is the path of the gamemaster under test; required.
	Binary string
	// Durable keeps the servers' data on disk, so that Postgres and Temporal can
	// be killed and come back with it. Without it they are faster.
	Durable bool
	// Progress gets notes on what takes long; nil is none.
	Progress io.Writer
}

// Stack is the product's surroundings as real processes on loopback: one
// Postgres, one Temporal, one Runtime Manager simulator. What runs of the product
// itself is in its cells.
type Stack struct {
	Postgres, Temporal *Server
	Simulator          *Simulator

	options Options
	dir     string
	// databaseURL leads to the server; databases are made from template.
	databaseURL func(database string) string
	// temporalAddress and postgresPort stay what they were at first.
	temporalAddress string
	postgresPort    int
	client          client.Client
	token           string
	links           links
	cells           atomic.Int64

	mu      sync.Mutex
	logs    []*logBook
	closers []func() error
}

// template is the migrated database that those of the cells are copies of.
const template = "drill_template"

// Start starts a stack without any cell. Whatever it started is stopped again
// when it fails. The context bounds the start only.
func Start(ctx context.Context, options Options) (_ *Stack, err error) {
	if options.Progress == nil {
		options.Progress = io.Discard
	}
	s := &Stack{options: options, token: "drill-" + rand.Text() + rand.Text(), links: newLinks()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	s.Postgres = &Server{name: "Postgres", durable: options.Durable, start: s.startPostgres}
	s.Temporal = &Server{name: "Temporal", durable: options.Durable, hasty: true, start: s.startTemporal}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.Postgres.Start(groupCtx) })
	group.Go(func() error { return s.Temporal.Start(groupCtx) })
	err = group.Wait()
	s.onClose(s.Postgres.close)
	s.onClose(s.Temporal.close)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	return s, s.connect(ctx)
}

// makeDir makes the stack's directory. A server that runs as another user has to
// pass through it.
func (s *Stack) makeDir() (err error) {
	if s.dir, err = os.MkdirTemp("", "gamemaster-drill-"); err != nil {
		return err
	}
	s.onClose(func() error { return os.RemoveAll(s.dir) })
	return os.Chmod(s.dir, 0o711)
}

func (s *Stack) onClose(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, f)
}

// subdir is where a durable server keeps its data; empty keeps it nowhere.
func (s *Stack) subdir(name string) string {
	if !s.options.Durable {
		return ""
	}
	return filepath.Join(s.dir, name)
}

func (s *Stack) startPostgres(ctx context.Context) (running, error) {
	started, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{
		Dir: s.subdir("postgres"), Port: s.postgresPort, Progress: s.options.Progress,
	})
	if err != nil {
		return nil, err
	}
	s.postgresPort, s.databaseURL = started.Port(), started.URL
	return started, nil
}

func (s *Stack) startTemporal(ctx context.Context) (running, error) {
	started, err := devstack.StartTemporal(ctx, devstack.TemporalOptions{
		Dir: s.subdir("temporal"), Address: s.temporalAddress, Headless: true,
		SearchAttributes: workflows.SearchAttributes(), Progress: s.options.Progress,
	})
	if err != nil {
		return nil, err
	}
	s.temporalAddress = started.Address()
	return started, nil
}

// prepare makes the template database, with the versions that games can be
// patched to.
func (s *Stack) prepare(ctx context.Context) error {
	if err := s.administer(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	location := s.databaseURL(template)
	if _, err := migrations.Up(ctx, location); err != nil {
		return err
	}
	connection, err := pgx.Connect(ctx, location)
	if err != nil {
		return err
	}
	for _, version := range versions() {
		_, err = connection.Exec(ctx, "INSERT INTO engine_versions (version, image_ref, status) VALUES ($1, $2, 'active')",
			version, Image(version).ImageRef)
		if err != nil {
			break
		}
	}
	return errors.Join(err, connection.Close(ctx))
}

// FirstVersion is what a game is put on unless a case says otherwise.
const FirstVersion = "1.4.2"

// versions are those that every cell's registry has: 1.4.1 to 1.4.9, and one of
// another minor version.
func versions() []string {
	var list []string
	for n := 1; n <= 9; n++ {
		list = append(list, fmt.Sprintf("1.4.%d", n))
	}
	return append(list, "1.5.0")
}

// Image returns the image that the registry has for version.
func Image(version string) patch.Image {
	return patch.Image{Version: version, ImageRef: "registry.example/engine:" + version}
}

// administer runs one statement that works on whole databases.
func (s *Stack) administer(ctx context.Context, statement string) error {
	connection, err := pgx.Connect(ctx, s.databaseURL("postgres"))
	if err != nil {
		return err
	}
	_, err = connection.Exec(ctx, statement)
	return errors.Join(err, connection.Close(ctx))
}

// connect starts the simulator and connects to Temporal, past all proxies.
func (s *Stack) connect(ctx context.Context) (err error) {
	s.Simulator, err = startSimulator(ctx, processOptions{
		Name: "rtmsim", Binary: s.options.Binary, Environ: environ(), Log: s.logBook("rtmsim"),
	}, filepath.Join(s.dir, "rtmsim.json"))
	if err != nil {
		return err
	}
	s.onClose(s.Simulator.close)
	s.client, err = client.DialContext(ctx, client.Options{
		HostPort: s.temporalAddress, Logger: temporallog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return err
	}
	s.onClose(func() error { s.client.Close(); return nil })
	return nil
}

// logBook opens the log of a process of that name.
func (s *Stack) logBook(name string) *logBook {
	book := newLogBook(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = append(s.logs, book)
	return book
}

// places are how far the log of each process has come.
type places map[*logBook]int

// logPlaces returns where all logs end now.
func (s *Stack) logPlaces() places {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := places{}
	for _, book := range s.logs {
		at[book] = book.end()
	}
	return at
}

// logsSince returns what every process has written from there on, also those
// that have ended.
func (s *Stack) logsSince(at places) []Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	logs := make([]Log, 0, len(s.logs))
	for _, book := range s.logs {
		text, truncated := book.kept(at[book])
		logs = append(logs, Log{Process: book.name, Text: text, Truncated: truncated})
	}
	return logs
}

// LogsAbout returns the lines of all logs in which word stands, a game's id for
// instance.
func (s *Stack) LogsAbout(word string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text strings.Builder
	for _, book := range s.logs {
		if lines := book.about(word); lines != "" {
			fmt.Fprintf(&text, "--- %s\n%s", book.name, lines)
		}
	}
	return text.String()
}

// secrets are what nothing may keep.
func (s *Stack) secrets() []Secret {
	password := ""
	if config, err := pgx.ParseConfig(s.databaseURL("postgres")); err == nil {
		password = config.Password
	}
	return []Secret{{"the API's token", s.token}, {"the database's password", password}}
}

// Close ends everything, the last first. Safe to call again.
func (s *Stack) Close() error {
	s.mu.Lock()
	closers := s.closers
	s.closers = nil
	s.mu.Unlock()
	var faults []error
	for i := len(closers) - 1; i >= 0; i-- {
		faults = append(faults, closers[i]())
	}
	return errors.Join(faults...)
}
