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
	"galaxy/gamemaster/internal/telemetry"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/worker"
)

// background are the steps of what a worker does besides patches.
type background struct {
	watch  *activities.Watch
	export *activities.Export
}

// newBackground puts the steps of the watch and of the export together over what
// a worker has.
func newBackground(
	pool *pgxpool.Pool, manager *rtm.Client, temporal temporalConnection, taskQueue string, o observers,
) (background, error) {
	log, records := o.auditLog(pool), postgres.NewRuntimeRecords(pool)
	runs, err := starter.New(starter.Options{Client: temporal, AuditLog: log, TaskQueue: taskQueue})
	if err != nil {
		return background{}, err
	}
	watch, err := activities.NewWatch(activities.WatchDependencies{
		RuntimePages: records, RuntimeRecords: records, RTM: manager,
		Drift: postgres.NewDrift(pool), Runs: runs, OperationLogs: log,
	})
	if err != nil {
		return background{}, err
	}
	// What a workflow once logged is not said again, and what the SDK has against
	// a history is told with its verdict.
	quiet := telemetry.ForTemporal(slog.New(slog.DiscardHandler))
	export, err := activities.NewExport(activities.ExportDependencies{
		Histories: o.histories(pool), Runs: runs, Replayer: worker.NewReplayer(quiet),
	})
	return background{watch: watch, export: export}, err
}

// scheduleSettings say when the watch and the export make their passes and what
// they do; the zero value wants none.
type scheduleSettings struct {
	interval time.Duration
	heal     patch.Mode
	export   time.Duration
}

func schedulesOf(settings config.Config) scheduleSettings {
	return scheduleSettings{interval: settings.WatchInterval, heal: settings.WatchHeal, export: settings.ExportInterval}
}

// schedules are what a worker keeps.
type schedules struct {
	watch  starter.WatchOptions
	export starter.ExportOptions
}

// options are those of the schedules.
func (s scheduleSettings) options(temporal temporalConnection, taskQueue string, budgets patch.Budgets) schedules {
	return schedules{
		watch: starter.WatchOptions{
			Namespace: temporal.namespace, TaskQueue: taskQueue, Interval: s.interval, Heal: s.heal, Budgets: budgets,
		},
		export: starter.ExportOptions{Namespace: temporal.namespace, TaskQueue: taskQueue, Interval: s.export},
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

// runWorker runs a worker, and keeps the schedules of the watch and of the export
// beside it. All have ended when it returns, so that their client can be closed.
func runWorker(
	ctx context.Context, temporal temporalConnection, kept schedules, logger *slog.Logger, options worker.Options,
) error {
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	beside.Go(func() { keepWatch(ctx, temporal, kept.watch, logger) })
	beside.Go(func() { keepExports(ctx, temporal, kept.export, logger) })
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

// keepExports makes the schedule of the export what options say.
func keepExports(ctx context.Context, temporal temporalConnection, options starter.ExportOptions, logger *slog.Logger) {
	ensured := tryUntilDone(ctx, logger, func(ctx context.Context) error {
		return starter.EnsureExports(ctx, temporal, options)
	})
	if ensured {
		logger.Info("export of histories is kept", "schedule", starter.ExportID(options.TaskQueue), "interval", options.Interval.String())
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
		logger.Warn("keep a schedule", "err", err.Error(), "again_in", wait.String())
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}
