package cli

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/worker"
)

// newWatch puts the steps of the watch together over what a worker has.
func newWatch(
	pool *pgxpool.Pool, manager *rtm.Client, temporal temporalConnection, taskQueue string, o observers,
) (*activities.Watch, error) {
	log, records := o.auditLog(pool), postgres.NewRuntimeRecords(pool)
	runs, err := starter.New(starter.Options{Client: temporal, AuditLog: log, TaskQueue: taskQueue})
	if err != nil {
		return nil, err
	}
	return activities.NewWatch(activities.WatchDependencies{
		RuntimePages: records, RuntimeRecords: records, RTM: manager,
		Drift: postgres.NewDrift(pool), Runs: runs, OperationLogs: log,
	})
}

// watchSettings say when the watch makes its passes and what they do; the zero
// value wants none.
type watchSettings struct {
	interval time.Duration
	heal     patch.Mode
}

func watchOf(settings config.Config) watchSettings {
	return watchSettings{interval: settings.WatchInterval, heal: settings.WatchHeal}
}

// options are those of the schedule of the watch.
func (s watchSettings) options(temporal temporalConnection, taskQueue string, budgets patch.Budgets) starter.WatchOptions {
	return starter.WatchOptions{
		Namespace: temporal.namespace, TaskQueue: taskQueue, Interval: s.interval, Heal: s.heal, Budgets: budgets,
	}
}

const (
	// watchTry bounds one try to keep the schedule: some calls that take
	// milliseconds, and waits of a fifth of a second in between.
	watchTry = 10 * time.Second

	// watchWait is the first wait between two tries and watchMost the longest: a
	// Temporal that is away for long need not be asked more often.
	watchWait = time.Second
	watchMost = time.Minute
)

// runWorker runs a worker, and keeps the watch's schedule beside it. Both have
// ended when it returns, so that their client can be closed.
func runWorker(
	ctx context.Context, temporal temporalConnection, watch starter.WatchOptions, logger *slog.Logger, options worker.Options,
) error {
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	beside.Go(func() { keepWatch(ctx, temporal, watch, logger) })
	return worker.Run(ctx, options)
}

// keepWatch makes the schedule of the watch what options say. Several workers do
// no harm to each other.
func keepWatch(ctx context.Context, temporal temporalConnection, options starter.WatchOptions, logger *slog.Logger) {
	ensured := tryUntilDone(ctx, logger, func(ctx context.Context) error {
		return starter.EnsureWatch(ctx, temporal, options)
	})
	if ensured {
		logger.Info("watch is kept", "schedule", starter.WatchID(options.TaskQueue),
			"interval", options.Interval.String(), "heal", string(options.Heal))
	}
}

// tryUntilDone tries until ensure succeeds, which it reports, or ctx ends: a
// worker also starts while Temporal is away.
func tryUntilDone(ctx context.Context, logger *slog.Logger, ensure func(context.Context) error) bool {
	for wait := watchWait; ; wait = min(2*wait, watchMost) {
		try, cancel := context.WithTimeout(ctx, watchTry)
		err := ensure(try)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		logger.Warn("keep the watch", "err", err.Error(), "again_in", wait.String())
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}
