package cli

import (
	"go.temporal.io/sdk/interceptor"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/internal/telemetry"
)

type workerCommand struct {
	Probes string `help:"Address to answer /healthz, /readyz and /metrics on; nowhere by default." env:"GAMEMASTER_WORKER_PROBES"`
	Admin  string `help:"Address for the same and /debug/pprof; nowhere by default. Who reaches it has to be trusted." env:"GAMEMASTER_WORKER_ADMIN"`
}

// Run polls for work until the process is told to stop.
func (c *workerCommand) Run(p *process) error { return c.poll(p) }

// poll is Run with interceptors, which production has none of.
func (c *workerCommand) poll(p *process, interceptors ...interceptor.WorkerInterceptor) error {
	settings, err := config.Load(p.environ, config.NeedDatabase, config.NeedRTM)
	if err != nil {
		return refused(err)
	}
	logger := p.logger(settings)
	o, err := newObservers(p, "gamemaster-worker", logger)
	if err != nil {
		return err
	}
	defer o.close()
	temporal, err := connectTemporal(p.environ, o)
	if err != nil {
		return err
	}
	defer temporal.Close()
	wanted := workerSettingsOf(settings)
	wanted.interceptors = interceptors
	work, err := newWork(p.ctx, wanted, temporal, o)
	if err != nil {
		return err
	}
	defer work.Close()
	probes := api.Probes([]api.Check{
		{Name: "postgres", Check: work.pool.Ping},
		{Name: "migrations", Check: checkMigrations(settings.DatabaseURL)},
		{Name: "temporal", Check: temporal.check},
		{Name: "runtime_manager", Check: work.manager.Ping},
	})
	metrics, err := o.collectors(work.pool, temporal, settings.TaskQueue)
	if err != nil {
		return err
	}
	pages := telemetry.WithMetrics(probes, metrics...)
	if err := serveAside(p.ctx, aside{"probes", c.Probes, logger, pages}); err != nil {
		return err
	}
	if err := serveAside(p.ctx, aside{"admin pages", c.Admin, logger, telemetry.WithProfiles(pages)}); err != nil {
		return err
	}
	return work.run(p.ctx)
}
