package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/interceptor"

	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/worker"
)

// workerSettings say what a worker works on.
type workerSettings struct {
	databaseURL, rtmURL, taskQueue string
	budgets                        patch.Budgets
	schedules                      scheduleSettings
	// slots and cache are the worker's limits; zero means its defaults.
	slots, cache int
	// interceptors see every step and run; production has none.
	interceptors []interceptor.WorkerInterceptor
}

func workerSettingsOf(settings config.Config) workerSettings {
	return workerSettings{
		databaseURL: settings.DatabaseURL, rtmURL: settings.RTMURL, taskQueue: settings.TaskQueue,
		budgets: settings.Budgets(), schedules: schedulesOf(settings),
		slots: settings.WorkerSlots, cache: settings.WorkerCache,
	}
}

// work is a worker that is put together. It is to be closed.
type work struct {
	pool    *pgxpool.Pool
	manager *rtm.Client
	// run polls until its context ends.
	run func(context.Context) error
}

// newWork puts a worker together on the client that temporal is.
func newWork(ctx context.Context, settings workerSettings, temporal temporalConnection, o observers) (_ *work, err error) {
	w := &work{}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if w.pool, err = openForSteps(ctx, settings.databaseURL, o); err != nil {
		return nil, err
	}
	steps, manager, err := newActivities(w.pool, rtm.Options{
		BaseURL: settings.rtmURL, Through: o.traces.Manager, Calls: cmp.Or(settings.slots, worker.DefaultSlots),
	}, o)
	if err != nil {
		return nil, refused(err)
	}
	w.manager = manager
	beside, err := newBackground(w.pool, manager, temporal, settings.taskQueue, o)
	if err != nil {
		return nil, err
	}
	options := worker.Options{
		Client: temporal.Client, TaskQueue: settings.taskQueue,
		Activities: steps, Watch: beside.watch, Export: beside.export, Interceptors: settings.interceptors,
		Slots: settings.slots, Cache: settings.cache,
	}
	kept := settings.schedules.options(temporal, settings.taskQueue, settings.budgets)
	w.run = func(ctx context.Context) error {
		o.logger.Info("worker is starting", "task_queue", settings.taskQueue, "temporal", temporal.address, "namespace", temporal.namespace)
		if err := runWorker(ctx, temporal, kept, o.logger, options); err != nil {
			return fmt.Errorf("temporal at %s (TEMPORAL_ADDRESS): %w", temporal.address, err)
		}
		return nil
	}
	return w, nil
}

// Close lets go of the connections.
func (w *work) Close() {
	if w.manager != nil {
		w.manager.Close()
	}
	if w.pool != nil {
		w.pool.Close()
	}
}

// beside runs serve with a worker beside it until ctx ends or one of the two
// does. The worker ends last: whoever still waits for a patch wants it done.
func beside(ctx context.Context, run, serve func(context.Context) error) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	working, done := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- run(working)
	}()
	err := serve(serving)
	done()
	return errors.Join(err, <-ended)
}
