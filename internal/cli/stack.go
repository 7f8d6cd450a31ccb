package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/devstack"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/migrations"
	"galaxy/gamemaster/workflows"
)

// databaseName is the database on the embedded Postgres.
const databaseName = "gamemaster"

// stackOptions says what a stack is made of. The zero value is all embedded, on
// free loopback ports, with throw-away data.
type stackOptions struct {
	// dir keeps the data between runs.
	dir string
	// Addresses to listen on; empty means a free one on loopback.
	apiAddr, temporalAddr, uiAddr, rtmAddr string
	// adminAddr is where metrics and profiles are; empty means nowhere.
	adminAddr string
	// databaseURL and rtmURL replace an embedded part, and so does
	// TEMPORAL_ADDRESS in environ.
	databaseURL, rtmURL string
	environ             map[string]string
	// authFile says who may pass; without one it is who has the token "dev", on
	// loopback.
	authFile string
	// temporalUI is where the UI of somebody else's Temporal is, if that is known.
	temporalUI string
	taskQueue  string
	budgets    patch.Budgets
	schedules  scheduleSettings
	// slots and cache are the worker's limits.
	slots, cache int
	progress     io.Writer
	logger       *slog.Logger
}

func (o stackOptions) externalTemporal() bool { return o.environ["TEMPORAL_ADDRESS"] != "" }

// stack is everything on one machine: the parts that gamemaster needs, and
// gamemaster itself.
type stack struct {
	options     stackOptions
	observers   observers
	databaseURL string
	pool        *pgxpool.Pool
	temporal    temporalConnection
	// uiURL is empty when Temporal is somebody else's.
	uiURL string
	// simulator is nil when Runtime Manager is somebody else's.
	simulator      *rtmsim.Simulator
	rtmURL, apiURL string

	// failed gets the first part that ended by itself.
	failed  chan error
	closers []func() error
}

// startStack starts a stack and returns when it serves. Whatever it started is
// stopped again when it cannot.
func startStack(ctx context.Context, options stackOptions) (_ *stack, err error) {
	s := &stack{options: options, failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.observers, err = newObservers(&process{ctx: ctx, environ: options.environ}, "gamemaster", options.logger); err != nil {
		return nil, err
	}
	s.onClose(func() error { s.observers.close(); return nil })
	// Ports first: nothing is started beside a running one.
	apiListener, err := s.listen("api", options.apiAddr)
	if err != nil {
		return nil, err
	}
	if err := s.startManager(); err != nil {
		return nil, err
	}
	if err := s.startServers(ctx); err != nil {
		return nil, err
	}
	if err := s.prepareDatabase(ctx); err != nil {
		return nil, err
	}
	if err := s.startWorker(); err != nil {
		return nil, err
	}
	return s, s.startAPI(apiListener)
}

const freePort = "127.0.0.1:0"

func (s *stack) listen(part, addr string) (net.Listener, error) {
	if addr == "" {
		addr = freePort
	}
	listener, err := listen(part, addr)
	if err == nil {
		// Whoever serves it closes it too; the second time does no harm.
		s.onClose(func() error { _ = listener.Close(); return nil })
	}
	return listener, err
}

func (s *stack) onClose(f func() error) { s.closers = append(s.closers, f) }

// startManager serves the simulator, unless there is a Runtime Manager.
func (s *stack) startManager() error {
	if s.options.rtmURL != "" {
		s.rtmURL = s.options.rtmURL
		return nil
	}
	listener, err := s.listen("rtm", s.options.rtmAddr)
	if err != nil {
		return err
	}
	s.simulator = rtmsim.New()
	if s.options.dir != "" {
		if s.simulator, err = rtmsim.Open(filepath.Join(s.options.dir, "rtmsim.json")); err != nil {
			return err
		}
	}
	s.rtmURL = "http://" + listener.Addr().String()
	s.serve("Runtime Manager simulator", func(ctx context.Context) error { return s.simulator.Serve(ctx, listener) })
	return nil
}

// startServers starts Postgres and Temporal side by side, where they are not
// somebody else's.
func (s *stack) startServers(ctx context.Context) error {
	var database *devstack.Postgres
	var temporal *devstack.Temporal
	group, groupCtx := errgroup.WithContext(ctx)
	if s.options.databaseURL == "" {
		group.Go(func() (err error) {
			database, err = devstack.StartPostgres(groupCtx, devstack.PostgresOptions{Dir: s.subdir("postgres"), Progress: s.options.progress})
			return err
		})
	}
	if !s.options.externalTemporal() {
		group.Go(func() (err error) {
			temporal, err = devstack.StartTemporal(groupCtx, devstack.TemporalOptions{
				Dir: s.subdir("temporal"), Address: s.options.temporalAddr, UIAddress: s.options.uiAddr,
				SearchAttributes: workflows.SearchAttributes(), Progress: s.options.progress,
			})
			return err
		})
	}
	err := group.Wait()
	if database != nil {
		s.onClose(database.Close)
		s.watch("Postgres", database.Done(), database.Err)
	}
	if temporal != nil {
		s.onClose(temporal.Close)
		s.watch("Temporal", temporal.Done(), temporal.Err)
	}
	if err != nil {
		return err
	}
	if s.databaseURL = s.options.databaseURL; database != nil {
		s.databaseURL = database.URL(databaseName)
		if err := database.CreateDatabase(ctx, databaseName); err != nil {
			return err
		}
	}
	return s.connectTemporal(ctx, temporal)
}

func (s *stack) subdir(name string) string {
	if s.options.dir == "" {
		return ""
	}
	return filepath.Join(s.options.dir, name)
}

func (s *stack) connectTemporal(ctx context.Context, embedded *devstack.Temporal) (err error) {
	if embedded == nil {
		s.temporal, err = connectTemporal(s.options.environ, s.observers)
	} else {
		s.uiURL = embedded.UIURL()
		s.temporal, err = dialTemporal(client.Options{HostPort: embedded.Address()}, s.observers)
	}
	if err == nil {
		s.onClose(func() error { s.temporal.Close(); return nil })
		err = s.temporal.meet(ctx)
	}
	return err
}

// prepareDatabase brings the schema up to date and lays sample data into an
// empty database.
func (s *stack) prepareDatabase(ctx context.Context) error {
	if _, err := migrations.Up(ctx, s.databaseURL); err != nil {
		return err
	}
	pool, err := openPool(ctx, s.databaseURL, s.observers, "gamemaster-api")
	if err != nil {
		return err
	}
	s.pool = pool
	s.onClose(func() error { pool.Close(); return nil })
	if err := laySample(ctx, s); err != nil {
		return err
	}
	return layMissingContainers(ctx, s)
}

func (s *stack) startWorker() error {
	work, err := newWork(context.Background(), workerSettings{
		databaseURL: s.databaseURL, rtmURL: s.rtmURL, taskQueue: s.options.taskQueue,
		budgets: s.options.budgets, schedules: s.options.schedules,
		slots: s.options.slots, cache: s.options.cache,
	}, s.temporal, s.observers)
	if err != nil {
		return err
	}
	s.onClose(func() error { work.Close(); return nil })
	s.serve("worker", work.run)
	return nil
}

func (s *stack) startAPI(listener net.Listener) error {
	gate, err := devGate(s.options.authFile, s.options.logger)
	if err != nil {
		return err
	}
	metrics, err := s.observers.httpMetrics(s.pool, s.temporal, s.options.taskQueue)
	if err != nil {
		return err
	}
	outcomes := postgres.NewOutcomes(s.pool, s.options.logger)
	s.serve("outcomes", func(ctx context.Context) error { outcomes.Listen(ctx); return nil })
	parts := apiParts{
		pool: s.pool, databaseURL: s.databaseURL, temporal: s.temporal, outcomes: outcomes,
		taskQueue: s.options.taskQueue, budgets: s.options.budgets, eager: true, logger: s.options.logger,
		options: api.Options{
			Gate: gate, LoopbackOnly: s.options.authFile == "", Metrics: metrics, Trace: s.observers.door(),
			RunPages: api.RunPages{UI: cmp.Or(s.uiURL, s.options.temporalUI), Namespace: s.temporal.namespace},
		},
	}
	server, err := newAPI(parts)
	if err != nil {
		return err
	}
	if err := s.startAdmin(metrics.Admin(api.Probes(parts.checks()))); err != nil {
		return err
	}
	warnInTheClear(s.options.logger, listener)
	s.apiURL = "http://" + listener.Addr().String()
	s.serve("api", func(ctx context.Context) error { return server.Serve(ctx, listener) })
	return nil
}

// startAdmin serves metrics and profiles, of the API and the worker alike.
func (s *stack) startAdmin(handler http.Handler) error {
	ctx, cancel := context.WithCancel(context.Background())
	s.onClose(func() error { cancel(); return nil })
	return serveAside(ctx, aside{"admin pages", s.options.adminAddr, s.options.logger, handler})
}

// devToken lets everybody on this machine pass. It is no secret, so that a
// server with it is for loopback only.
const devToken = "dev"

// devGate lets those pass that the file names, or whoever has the token "dev".
func devGate(authFile string, logger *slog.Logger) (*auth.Gate, error) {
	if authFile != "" {
		return openGate(authFile, false, logger)
	}
	return auth.New(auth.Policy{Tokens: []auth.Token{
		{Name: devToken, SHA256: sha256.Sum256([]byte(devToken)), Scopes: auth.Scopes()},
	}}, auth.Options{Log: logger})
}

// serve runs a part of this process until the stack is closed; a part that ends
// before fails the stack.
func (s *stack) serve(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := run(ctx)
		if ctx.Err() == nil {
			s.fail(name, err)
		}
		done <- err
	}()
	s.onClose(func() error {
		cancel()
		return <-done
	})
}

// watch fails the stack when a server's process ends while nobody closed it.
func (s *stack) watch(name string, done <-chan struct{}, cause func() error) {
	go func() {
		<-done
		s.fail(name, cause())
	}()
}

// fail keeps the first failure; the others follow from it.
func (s *stack) fail(name string, err error) {
	if err == nil {
		err = errors.New("it ended")
	}
	select {
	case s.failed <- fmt.Errorf("%s: %w", name, err):
	default:
	}
}

// Wait returns nil when ctx ends, and an error when a part ended by itself.
func (s *stack) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// Close stops everything that was started, the last first: the API drains while
// the worker still works, and the worker hands back while Temporal listens.
func (s *stack) Close() error {
	var faults []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		faults = append(faults, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(faults...)
}
