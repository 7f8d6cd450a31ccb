package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/internal/telemetry"
	"galaxy/gamemaster/worker"
)

type apiCommand struct {
	Addr string `help:"Address to listen on." default:"127.0.0.1:8080" env:"GAMEMASTER_API_ADDR"`
}

// Run serves the API until the process is told to stop.
func (c *apiCommand) Run(p *process) error {
	settings, err := config.Load(p.environ, config.NeedDatabase, config.NeedTokens)
	if err != nil {
		return refused(err)
	}
	tokens, err := api.ParseTokens(settings.Tokens)
	if err != nil {
		return refused(fmt.Errorf("GAMEMASTER_TOKENS: %w", err))
	}
	logger := p.logger(settings)
	pool, err := postgres.Open(p.ctx, settings.DatabaseURL, postgres.WithApplicationName("gamemaster-api"))
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	defer pool.Close()
	temporal, err := connectTemporal(p.environ, logger)
	if err != nil {
		return err
	}
	defer temporal.Close()
	server, err := newAPI(apiParts{
		pool: pool, databaseURL: settings.DatabaseURL, temporal: temporal,
		taskQueue: settings.TaskQueue, budgets: settings.Budgets(), tokens: tokens, logger: logger,
	})
	if err != nil {
		return err
	}
	listener, err := listen("api", c.Addr)
	if err != nil {
		return err
	}
	logger.Info("api is listening", "addr", listener.Addr().String(), "temporal", temporal.address, "namespace", temporal.namespace)
	return server.Serve(p.ctx, listener)
}

type workerCommand struct {
	Probes string `help:"Address to answer /healthz and /readyz on; nowhere by default." env:"GAMEMASTER_WORKER_PROBES"`
}

// Run polls for work until the process is told to stop.
func (c *workerCommand) Run(p *process) error {
	settings, err := config.Load(p.environ, config.NeedDatabase, config.NeedRTM)
	if err != nil {
		return refused(err)
	}
	logger := p.logger(settings)
	pool, err := openForSteps(p.ctx, settings.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	steps, manager, err := newActivities(pool, settings.RTMURL)
	if err != nil {
		return refused(err)
	}
	defer manager.Close()
	temporal, err := connectTemporal(p.environ, logger)
	if err != nil {
		return err
	}
	defer temporal.Close()
	if err := c.serveProbes(p.ctx, logger, []api.Check{
		{Name: "postgres", Check: pool.Ping},
		{Name: "migrations", Check: checkMigrations(settings.DatabaseURL)},
		{Name: "temporal", Check: temporal.check},
		{Name: "runtime_manager", Check: manager.Ping},
	}); err != nil {
		return err
	}
	logger.Info("worker is starting", "task_queue", settings.TaskQueue, "temporal", temporal.address, "namespace", temporal.namespace)
	err = worker.Run(p.ctx, worker.Options{Client: temporal.Client, TaskQueue: settings.TaskQueue, Activities: steps})
	if err != nil {
		return fmt.Errorf("temporal at %s (TEMPORAL_ADDRESS): %w", temporal.address, err)
	}
	return nil
}

// probeTimeout bounds a probe, whose checks are bounded by two seconds.
const probeTimeout = 5 * time.Second

// serveProbes answers probes in the background until the process ends. They
// need no draining: who asks is not waiting for a result.
func (c *workerCommand) serveProbes(ctx context.Context, logger *slog.Logger, checks []api.Check) error {
	if c.Probes == "" {
		return nil
	}
	listener, err := listen("probes", c.Probes)
	if err != nil {
		return err
	}
	logger.Info("probes are listening", "addr", listener.Addr().String())
	server := &http.Server{Handler: api.Probes(checks), ReadTimeout: probeTimeout, WriteTimeout: probeTimeout}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("probes ended", "err", err.Error())
		}
	}()
	return nil
}

func (p *process) logger(settings config.Config) *slog.Logger {
	return telemetry.NewLogger(p.stderr, settings.LogFormat, settings.LogLevel)
}

// listen listens on addr, and names the part when somebody else does already.
func listen(part, addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: address %s is already in use", part, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", part, err)
	}
	return listener, nil
}
