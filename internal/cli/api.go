package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/config"
)

type apiCommand struct {
	Addr  string `help:"Address to listen on." default:"127.0.0.1:8080" env:"GAMEMASTER_API_ADDR"`
	Admin string `help:"Address for /metrics, /debug/pprof and detailed probes; nowhere by default. Who reaches it has to be trusted." env:"GAMEMASTER_API_ADMIN"`

	Worker bool `help:"Run a worker in this process as well, whose first task of each patch then needs no way through Temporal. It stops after the API." env:"GAMEMASTER_API_WORKER"`

	tlsFlags
	apiLimits
	LameDuck time.Duration `help:"How long to go on accepting after SIGTERM while /readyz says draining." default:"0s" env:"GAMEMASTER_LAME_DUCK"`
}

// apiLimits are the limits that a deployment may set.
type apiLimits struct {
	Rate       float64 `help:"Requests per second that each caller may send." default:"100" env:"GAMEMASTER_RATE"`
	Burst      int     `help:"Requests that each caller may send at once." default:"200" env:"GAMEMASTER_BURST"`
	MaxWaiting int     `help:"Callers that may wait for a patch at once; beyond it the answer is 202 without a wait." default:"400" env:"GAMEMASTER_MAX_WAITING"`
}

func (l apiLimits) check() error {
	if l.Rate <= 0 || l.Burst <= 0 || l.MaxWaiting <= 0 {
		return errors.New("--rate, --burst and --max-waiting have to be above zero")
	}
	return nil
}

// options reads what the door is made of, all of which the caller can mend.
func (c *apiCommand) options(settings config.Config, logger *slog.Logger) (api.Options, error) {
	gate, err := openGate(settings.AuthFile, c.ClientCA != "", logger)
	if err != nil {
		return api.Options{}, err
	}
	encryption, err := c.config(logger)
	if err != nil {
		return api.Options{}, err
	}
	return api.Options{
		Gate: gate, TLS: encryption, Rate: c.Rate, Burst: c.Burst, MaxWaiting: c.MaxWaiting, LameDuck: c.LameDuck,
	}, c.check()
}

// needs are the settings without which the process does not start.
func (c *apiCommand) needs() []config.Need {
	if c.Worker {
		return []config.Need{config.NeedDatabase, config.NeedAuth, config.NeedRTM}
	}
	return []config.Need{config.NeedDatabase, config.NeedAuth}
}

// Run serves the API until the process is told to stop.
func (c *apiCommand) Run(p *process) error {
	settings, err := config.Load(p.environ, c.needs()...)
	if err != nil {
		return refused(err)
	}
	logger := p.logger(settings)
	options, err := c.options(settings, logger)
	if err != nil {
		return refused(err)
	}
	o, err := newObservers(p, "gamemaster-api", logger)
	if err != nil {
		return err
	}
	defer o.close()
	pool, err := openPool(p.ctx, settings.DatabaseURL, o, "gamemaster-api")
	if err != nil {
		return err
	}
	defer pool.Close()
	temporal, err := c.connectTemporal(p, o)
	if err != nil {
		return err
	}
	defer temporal.Close()
	metrics, err := o.httpMetrics(pool, temporal, settings.TaskQueue)
	if err != nil {
		return err
	}
	options.Metrics, options.Trace = metrics, o.door()
	options.RunPages = api.RunPages{UI: settings.TemporalUI, Namespace: temporal.namespace}
	parts := apiParts{
		pool: pool, databaseURL: settings.DatabaseURL, temporal: temporal, outcomes: postgres.NewOutcomes(pool, logger),
		taskQueue: settings.TaskQueue, budgets: settings.Budgets(), eager: c.Worker, logger: logger, options: options,
	}
	server, err := newAPI(parts)
	if err != nil {
		return err
	}
	if err := serveAside(p.ctx, aside{"admin pages", c.Admin, logger, metrics.Admin(api.Probes(parts.checks()))}); err != nil {
		return err
	}
	listener, err := listen("api", c.Addr)
	if err != nil {
		return err
	}
	c.announce(logger, listener, temporal)
	go pruneKeys(p.ctx, postgres.NewIdempotencyKeys(pool), logger)
	go parts.outcomes.Listen(p.ctx)
	serve := func(ctx context.Context) error { return server.Serve(ctx, listener) }
	if !c.Worker {
		return serve(p.ctx)
	}
	work, err := newWork(p.ctx, workerSettingsOf(settings), temporal, o)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer work.Close()
	return beside(p.ctx, work.run, serve)
}

// connectTemporal waits for Temporal's first answer when a worker shares the
// connection; the API alone starts without.
func (c *apiCommand) connectTemporal(p *process, o observers) (temporalConnection, error) {
	temporal, err := connectTemporal(p.environ, o)
	if err != nil || !c.Worker {
		return temporal, err
	}
	if err := temporal.meet(p.ctx); err != nil {
		temporal.Close()
		return temporalConnection{}, err
	}
	return temporal, nil
}

// openGate opens the policy, and refuses one that could not let in everybody
// whom it names.
func openGate(authFile string, clientCA bool, logger *slog.Logger) (*auth.Gate, error) {
	gate, err := auth.Open(authFile, auth.Options{Log: logger})
	if err != nil {
		return nil, fmt.Errorf("GAMEMASTER_AUTH_FILE: %w", err)
	}
	if gate.NeedsClientCA() && !clientCA {
		return nil, errors.New("GAMEMASTER_AUTH_FILE: names client certificates, which nobody could show; " +
			"they take `gamemaster api` with --tls-cert, --tls-key and --client-ca")
	}
	return gate, nil
}

func (c *apiCommand) announce(logger *slog.Logger, listener net.Listener, temporal temporalConnection) {
	logger.Info("api is listening", "addr", listener.Addr().String(), "tls", c.TLSCert != "",
		"temporal", temporal.address, "namespace", temporal.namespace)
	if c.TLSCert == "" {
		warnInTheClear(logger, listener)
	}
}

// warnInTheClear warns of a listener without encryption that others reach.
func warnInTheClear(logger *slog.Logger, listener net.Listener) {
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		logger.Warn("tokens travel in the clear unless something in front of this address encrypts",
			"addr", listener.Addr().String())
	}
}
