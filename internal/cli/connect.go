package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/migrations"
	"galaxy/gamemaster/starter"
	"galaxy/gamemaster/workflows"
)

// temporalConnection is a client and what it is connected to.
type temporalConnection struct {
	client.Client
	address   string
	namespace string
}

// connectTemporal makes a client from TEMPORAL_* and the SDK's configuration
// file. It connects when it is first used, so that an API can start, and say
// what is missing, before Temporal is there.
func connectTemporal(environ map[string]string, o observers) (temporalConnection, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: lookup(environ)})
	if err != nil {
		return temporalConnection{}, fmt.Errorf("read TEMPORAL_*: %w", err)
	}
	return dialTemporal(options, o)
}

func dialTemporal(options client.Options, o observers) (temporalConnection, error) {
	if options.HostPort == "" {
		options.HostPort = client.DefaultHostPort
	}
	if options.Namespace == "" {
		options.Namespace = client.DefaultNamespace
	}
	if err := o.watchClient(&options); err != nil {
		return temporalConnection{}, err
	}
	// A patch is some twenty kilobytes in ten calls: to compress them, which the
	// SDK does by itself, takes longer than to send them.
	options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, starter.DialOptions()...)
	connection, err := client.NewLazyClient(options)
	if err != nil {
		return temporalConnection{}, fmt.Errorf("temporal at %s: %w", options.HostPort, err)
	}
	return temporalConnection{Client: connection, address: options.HostPort, namespace: options.Namespace}, nil
}

// meet waits for Temporal's first answer, which bounds itself by the SDK's five
// seconds. A worker does not start without it either.
func (t temporalConnection) meet(ctx context.Context) error {
	if _, err := t.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("temporal at %s (TEMPORAL_ADDRESS): %w", t.address, err)
	}
	return nil
}

// lookup lets envconfig read the process's environment as the tests give it.
type lookup map[string]string

func (l lookup) LookupEnv(key string) (string, bool) { value, ok := l[key]; return value, ok }

func (l lookup) Environ() []string {
	list := make([]string, 0, len(l))
	for _, key := range slices.Sorted(maps.Keys(l)) {
		list = append(list, key+"="+l[key])
	}
	return list
}

// stepStatementTimeout ends a step's statement on the server before the step's
// own attempt ends, after five seconds: a write that nobody waits for any more
// must not land after the undo has read the row.
const stepStatementTimeout = 4 * time.Second

// openForSteps opens the pool of a worker.
func openForSteps(ctx context.Context, databaseURL string, o observers) (*pgxpool.Pool, error) {
	return openPool(ctx, databaseURL, o, "gamemaster-worker", postgres.WithStatementTimeout(stepStatementTimeout))
}

// openPool opens a pool that is measured under the name that Postgres knows its
// connections by.
func openPool(ctx context.Context, databaseURL string, o observers, name string, options ...postgres.Option) (*pgxpool.Pool, error) {
	options = append(options, postgres.WithApplicationName(name))
	if tracer := o.traces.Postgres(); tracer != nil {
		options = append(options, postgres.WithTracer(tracer))
	}
	pool, err := postgres.Open(ctx, databaseURL, options...)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if err := o.meters.Watch(pool, name); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// newActivities puts the steps together over a database and Runtime Manager.
func newActivities(pool *pgxpool.Pool, options rtm.Options, o observers) (*activities.Activities, *rtm.Client, error) {
	manager, err := rtm.New(options)
	if err != nil {
		return nil, nil, err
	}
	steps, err := activities.New(activities.Dependencies{
		RuntimeRecords: postgres.NewRuntimeRecords(pool),
		EngineVersions: postgres.NewEngineVersions(pool),
		OperationLogs:  o.auditLog(pool),
		Fences:         postgres.NewFences(pool),
		RTM:            manager,
	})
	return steps, manager, err
}

// apiParts is what an API server is put together from.
type apiParts struct {
	pool        *pgxpool.Pool
	databaseURL string
	temporal    temporalConnection
	// outcomes listen for as long as the server serves.
	outcomes  *postgres.Outcomes
	taskQueue string
	// eager says that a worker runs on temporal as well, which was answered before;
	// see [starter.Options].
	eager   bool
	budgets patch.Budgets
	logger  *slog.Logger
	// options has what the others do not give: who may pass, and limits.
	options api.Options
}

// newAPI puts the API together.
func newAPI(parts apiParts) (*api.Server, error) {
	log, records := postgres.NewOperationLog(parts.pool), postgres.NewRuntimeRecords(parts.pool)
	patches, err := starter.New(starter.Options{
		Client: parts.temporal, AuditLog: log, Outcomes: parts.outcomes, TaskQueue: parts.taskQueue, Budgets: parts.budgets,
		Eager: parts.eager,
	})
	if err != nil {
		return nil, err
	}
	options := parts.options
	options.Patcher, options.Checks, options.Logger = patches, parts.checks(), parts.logger
	options.Stores = api.Stores{
		Runtimes: records, RuntimePages: records, Registrar: records,
		Versions: postgres.NewEngineVersions(parts.pool), Operations: log,
		Keys: postgres.NewIdempotencyKeys(parts.pool), Drift: postgres.NewDrift(parts.pool),
		Histories: postgres.NewHistories(parts.pool),
	}
	return api.New(options)
}

// checks are what has to work before requests can be served.
func (parts apiParts) checks() []api.Check {
	return []api.Check{
		{Name: "postgres", Check: parts.pool.Ping},
		{Name: "migrations", Check: checkMigrations(parts.databaseURL)},
		{Name: "temporal", Check: parts.temporal.check},
	}
}

// checkMigrations says which migrations are missing. Once none is, none can be
// missing again, and the database is left alone.
func checkMigrations(databaseURL string) func(context.Context) error {
	var done atomic.Bool
	return func(ctx context.Context) error {
		if done.Load() {
			return nil
		}
		pending, err := migrations.Pending(ctx, databaseURL)
		if err != nil {
			return err
		}
		if pending > 0 {
			return fmt.Errorf("%d migrations are pending, run `gamemaster migrate up`", pending)
		}
		done.Store(true)
		return nil
	}
}

// check says what is missing at Temporal: the server, or search attributes of
// the namespace.
func (t temporalConnection) check(ctx context.Context) error {
	if _, err := t.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("no answer from %s: %w", t.address, err)
	}
	known, err := t.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: t.namespace})
	if err != nil {
		return fmt.Errorf("namespace %q at %s: %w", t.namespace, t.address, err)
	}
	var mends []string
	wanted := workflows.SearchAttributes()
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if _, ok := known.GetCustomAttributes()[name]; !ok {
			mends = append(mends, fmt.Sprintf("--name %s --type %s", name, wanted[name]))
		}
	}
	if len(mends) > 0 {
		return errors.New("search attributes are missing, run `temporal operator search-attribute create " +
			strings.Join(mends, " ") + "`")
	}
	return nil
}
