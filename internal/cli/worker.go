package cli

import (
	"fmt"

	"go.temporal.io/sdk/interceptor"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/internal/telemetry"
	"galaxy/gamemaster/worker"
)

type workerCommand struct {
	Probes string `help:"Address to answer /healthz, /readyz and /metrics on; nowhere by default." env:"GAMEMASTER_WORKER_PROBES"`
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
	pool, err := openForSteps(p.ctx, settings.DatabaseURL, o)
	if err != nil {
		return err
	}
	defer pool.Close()
	steps, manager, err := newActivities(pool, settings.RTMURL, o)
	if err != nil {
		return refused(err)
	}
	defer manager.Close()
	temporal, err := connectTemporal(p.environ, o)
	if err != nil {
		return err
	}
	defer temporal.Close()
	beside, err := newBackground(pool, manager, temporal, settings.TaskQueue, o)
	if err != nil {
		return err
	}
	probes := api.Probes([]api.Check{
		{Name: "postgres", Check: pool.Ping},
		{Name: "migrations", Check: checkMigrations(settings.DatabaseURL)},
		{Name: "temporal", Check: temporal.check},
		{Name: "runtime_manager", Check: manager.Ping},
	})
	metrics, err := o.collectors(pool, temporal, settings.TaskQueue)
	if err != nil {
		return err
	}
	if err := serveAside(p.ctx, aside{"probes", c.Probes, logger, telemetry.WithMetrics(probes, metrics...)}); err != nil {
		return err
	}
	logger.Info("worker is starting", "task_queue", settings.TaskQueue, "temporal", temporal.address, "namespace", temporal.namespace)
	err = runWorker(p.ctx, temporal, schedulesOf(settings).options(temporal, settings.TaskQueue, settings.Budgets()), logger, worker.Options{
		Client: temporal.Client, TaskQueue: settings.TaskQueue, Activities: steps, Watch: beside.watch, Export: beside.export, Interceptors: interceptors,
	})
	if err != nil {
		return fmt.Errorf("temporal at %s (TEMPORAL_ADDRESS): %w", temporal.address, err)
	}
	return nil
}
