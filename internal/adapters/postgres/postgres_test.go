package postgres_test

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/migrations"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func open(t *testing.T, databaseURL string, options ...postgres.Option) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), databaseURL, options...)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func newPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return open(t, stacktest.Database(t))
}

// moment is a time with digits that Postgres does not keep, in a zone that is
// not UTC; stored is what comes back.
var (
	moment = time.Date(2031, 4, 5, 6, 7, 8, 123_456_789, time.FixedZone("there", 5*3600))
	stored = time.Date(2031, 4, 5, 1, 7, 8, 123_456_000, time.UTC)
)

func setting(t *testing.T, pool *pgxpool.Pool, name string) string {
	t.Helper()
	var value string
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value))
	return value
}

// Proves that the pool's sessions carry the limits, that the URL's own settings
// win over them, and options over both.
func TestOpenSettings(t *testing.T) {
	location := stacktest.Database(t)
	pool := open(t, location)
	require.Equal(t, "gamemaster", setting(t, pool, "application_name"))
	require.Equal(t, "UTC", setting(t, pool, "timezone"))
	require.Equal(t, "10s", setting(t, pool, "statement_timeout"))
	require.Equal(t, "3s", setting(t, pool, "lock_timeout"))
	require.Equal(t, "15s", setting(t, pool, "idle_in_transaction_session_timeout"))
	require.EqualValues(t, 8, pool.Config().MaxConns)
	require.Equal(t, 5*time.Second, pool.Config().ConnConfig.ConnectTimeout)

	own, err := url.Parse(location)
	require.NoError(t, err)
	values := own.Query()
	for name, value := range map[string]string{
		"statement_timeout": "77s", "application_name": "mine", "connect_timeout": "9",
		"pool_max_conns": "3", "pool_max_conn_lifetime": "7m",
	} {
		values.Set(name, value)
	}
	own.RawQuery = values.Encode()
	pool = open(t, own.String(), postgres.WithApplicationName("yours"))
	require.Equal(t, "77s", setting(t, pool, "statement_timeout"))
	require.Equal(t, "yours", setting(t, pool, "application_name"))
	require.EqualValues(t, 3, pool.Config().MaxConns)
	require.Equal(t, 7*time.Minute, pool.Config().MaxConnLifetime)
	require.Equal(t, 9*time.Second, pool.Config().ConnConfig.ConnectTimeout)

	pool = open(t, own.String(), postgres.WithMaxConns(2))
	require.EqualValues(t, 2, pool.Config().MaxConns)
}

type countingTracer struct{ statements int }

func (c *countingTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.statements++
	return ctx
}

func (c *countingTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Proves that a tracer sees the statements.
func TestOpenTracer(t *testing.T) {
	tracer := &countingTracer{}
	pool := open(t, stacktest.Database(t), postgres.WithTracer(tracer))
	before := tracer.statements
	_, err := postgres.NewRuntimeRecords(pool).List(t.Context())
	require.NoError(t, err)
	require.Greater(t, tracer.statements, before)
}

// Proves that no error of the package shows the password: neither of opening
// nor of a call whose connection fails.
func TestErrorsHideThePassword(t *testing.T) {
	location, err := url.Parse(stacktest.Database(t))
	require.NoError(t, err)
	const password = "hush-hush"
	location.User = url.UserPassword(location.User.Username(), password)

	for name, databaseURL := range map[string]string{
		"refused":     location.String(),
		"unreadable":  "postgres://me:" + password + "@127.0.0.1:port/x",
		"odd":         "postgres://me:" + password + "@[::1/x",
		"bad setting": "postgres://me:" + password + "@127.0.0.1/x?pool_max_conns=many",
		"unreachable": "postgres://me:" + password + "@127.0.0.1:1/x",
		"keywords":    "user=me password=" + password + " port=none",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := postgres.Open(t.Context(), databaseURL)
			require.Error(t, err)
			require.NotContains(t, err.Error(), password)
		})
	}

	pool, err := pgxpool.New(t.Context(), location.String())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = postgres.NewRuntimeRecords(pool).Get(t.Context(), "g")
	require.ErrorContains(t, err, "authentication failed")
	require.NotContains(t, err.Error(), password)
}

// Proves that a pool outlives a crash of the server: the calls in between fail
// with an unknown outcome, and after the restart each stale connection costs at
// most one failed call.
func TestPoolRecoversAfterRestart(t *testing.T) {
	dir := stacktest.Dir(t)
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Dir: dir, Progress: t.Output()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.NoError(t, server.CreateDatabase(t.Context(), "gamemaster"))
	location := server.URL("gamemaster")
	_, err = migrations.Up(t.Context(), location)
	require.NoError(t, err)
	pool := open(t, location)
	store := postgres.NewRuntimeRecords(pool)
	require.NoError(t, store.Insert(t.Context(), newRecord("g")))

	require.NoError(t, server.Kill())
	_, err = store.Get(t.Context(), "g")
	requireUnknown(t, err)

	server, err = devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Dir: dir, Port: server.Port(), Progress: t.Output()})
	require.NoError(t, err)
	require.Equal(t, location, server.URL("gamemaster"), "same port, same password")
	for range int(pool.Config().MaxConns) + 1 {
		if _, err = store.Get(t.Context(), "g"); err == nil {
			break
		}
		requireUnknown(t, err)
	}
	require.NoError(t, err)
}

// requireUnknown asks for an error that says nothing about the outcome.
func requireUnknown(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	for _, sentinel := range []error{
		runtime.ErrNotFound, runtime.ErrConflict, runtime.ErrInvalidTransition, ports.ErrInvalidInput,
		engineversion.ErrNotFound, engineversion.ErrConflict, engineversion.ErrInUse, engineversion.ErrDeprecated,
		drift.ErrNotFound, history.ErrNotFound, history.ErrTooLarge,
	} {
		require.NotErrorIs(t, err, sentinel)
	}
}

// everyMethod calls each method of the seven stores, with input that is valid
// for the game "g" in running.
func everyMethod(pool *pgxpool.Pool) map[string]func(context.Context) error {
	records, versions, log := postgres.NewRuntimeRecords(pool), postgres.NewEngineVersions(pool), postgres.NewOperationLog(pool)
	keys, fences, watch := postgres.NewIdempotencyKeys(pool), postgres.NewFences(pool), postgres.NewDrift(pool)
	histories := postgres.NewHistories(pool)
	return map[string]func(context.Context) error{
		"Get":    func(ctx context.Context) error { _, err := records.Get(ctx, "g"); return err },
		"Insert": func(ctx context.Context) error { return records.Insert(ctx, newRecord("other")) },
		"UpdateStatus": func(ctx context.Context) error {
			return records.UpdateStatus(ctx, ports.UpdateStatusInput{GameID: "g", ExpectedFrom: runtime.StatusRunning, To: runtime.StatusStopped, Now: moment})
		},
		"UpdateScheduling": func(ctx context.Context) error {
			return records.UpdateScheduling(ctx, ports.UpdateSchedulingInput{GameID: "g", CurrentTurn: 9, Now: moment})
		},
		"UpdateImage": func(ctx context.Context) error {
			return records.UpdateImage(ctx, ports.UpdateImageInput{GameID: "g", ExpectedStatus: runtime.StatusRunning, CurrentImageRef: "engine:9", CurrentEngineVersion: "9.0.0", Now: moment})
		},
		"UpdateEngineHealth": func(ctx context.Context) error {
			return records.UpdateEngineHealth(ctx, ports.UpdateEngineHealthInput{GameID: "g", EngineHealthSummary: "ill", Now: moment})
		},
		"Delete":         func(ctx context.Context) error { return records.Delete(ctx, "g") },
		"ListDueRunning": func(ctx context.Context) error { _, err := records.ListDueRunning(ctx, moment); return err },
		"ListByStatus": func(ctx context.Context) error {
			_, err := records.ListByStatus(ctx, runtime.StatusRunning)
			return err
		},
		"List": func(ctx context.Context) error { _, err := records.List(ctx); return err },
		"PageRuntimes": func(ctx context.Context) error {
			_, err := records.PageRuntimes(ctx, ports.RuntimePageInput{Limit: 1})
			return err
		},
		"PageDueRunning": func(ctx context.Context) error {
			_, err := records.PageDueRunning(ctx, ports.DuePageInput{At: moment, Limit: 1})
			return err
		},
		"Register": func(ctx context.Context) error {
			_, err := records.Register(ctx, registration("other"))
			return err
		},
		"versions.Get": func(ctx context.Context) error { _, err := versions.Get(ctx, "1.0.0"); return err },
		"versions.Insert": func(ctx context.Context) error {
			return versions.Insert(ctx, engineversion.EngineVersion{Version: "1.0.0", ImageRef: "engine:1", Status: engineversion.StatusActive})
		},
		"versions.List": func(ctx context.Context) error { _, err := versions.List(ctx); return err },
		"versions.PutImage": func(ctx context.Context) error {
			_, _, err := versions.PutImage(ctx, ports.PutImageInput{Version: "1.0.0", ImageRef: "engine:1", Now: moment})
			return err
		},
		"versions.SetStatus": func(ctx context.Context) error {
			_, err := versions.SetStatus(ctx, ports.SetVersionStatusInput{Version: "1.0.0", Status: engineversion.StatusActive, Now: moment})
			return err
		},
		"versions.Users": func(ctx context.Context) error {
			_, err := versions.Users(ctx, ports.VersionUsersInput{Version: "1.0.0", Limit: 1})
			return err
		},
		"log.PageOperations": func(ctx context.Context) error {
			_, err := log.PageOperations(ctx, ports.OperationPageInput{Limit: 1})
			return err
		},
		"keys.Claim": func(ctx context.Context) error { _, err := keys.Claim(ctx, newClaim("k")); return err },
		"keys.Settle": func(ctx context.Context) error {
			return keys.Settle(ctx, ports.SettleInput{Caller: "me", Key: "k", PatchID: "p", RunID: "r"})
		},
		"keys.Release":    func(ctx context.Context) error { return keys.Release(ctx, "me", "k", "c") },
		"keys.KeepResult": func(ctx context.Context) error { return keys.KeepResult(ctx, "me", "k", []byte("{}")) },
		"keys.Prune":      func(ctx context.Context) error { _, err := keys.Prune(ctx, moment, 1); return err },
		"fences.Next":     func(ctx context.Context) error { _, err := fences.Next(ctx, "g"); return err },
		"drift.Note":      func(ctx context.Context) error { return watch.Note(ctx, found(0, newFinding("g", drift.Missing))) },
		"drift.Finish":    func(ctx context.Context) error { return watch.Finish(ctx, newPass("run", 0)) },
		"drift.PageDrift": func(ctx context.Context) error {
			_, err := watch.PageDrift(ctx, ports.DriftPageInput{Limit: 1})
			return err
		},
		"drift.CountDrift":  func(ctx context.Context) error { _, err := watch.CountDrift(ctx); return err },
		"drift.LastPass":    func(ctx context.Context) error { _, err := watch.LastPass(ctx); return err },
		"histories.Keep":    func(ctx context.Context) error { return histories.Keep(ctx, newHistory("p", "r"), []byte("{}")) },
		"histories.Unkept":  func(ctx context.Context) error { _, err := histories.Unkept(ctx, nil); return err },
		"histories.Miss":    func(ctx context.Context) error { return histories.Miss(ctx, history.Ref{RunID: "r"}, "x") },
		"histories.Missed":  func(ctx context.Context) error { _, err := histories.Missed(ctx, 1); return err },
		"histories.Mark":    func(ctx context.Context) error { _, err := histories.Mark(ctx, "x"); return err },
		"histories.SetMark": func(ctx context.Context) error { return histories.SetMark(ctx, "x", moment) },
		"histories.List":    func(ctx context.Context) error { _, err := histories.ListHistories(ctx, "p", 1); return err },
		"histories.Did":     func(ctx context.Context) error { _, err := histories.ListInterventions(ctx, "p", 1); return err },
		"histories.Read":    func(ctx context.Context) error { _, err := histories.ReadHistory(ctx, "p", "r", 1); return err },
		"histories.Prune":   func(ctx context.Context) error { _, err := histories.PruneHistories(ctx, moment, 1); return err },
		"log.VerifyChain": func(ctx context.Context) error {
			_, err := log.VerifyChain(ctx, "", func(operation.ChainFault) {})
			return err
		},
		"log.Append":     func(ctx context.Context) error { _, err := log.Append(ctx, newEntry("g", "p", "r")); return err },
		"log.ListByGame": func(ctx context.Context) error { _, err := log.ListByGame(ctx, "g", 10); return err },
		"log.ListByPatch": func(ctx context.Context) error {
			_, err := log.ListByPatch(ctx, "p")
			return err
		},
	}
}

// Proves that a cancelled caller gets context.Canceled from every method, and
// that nothing was written.
func TestCancelledContext(t *testing.T) {
	pool := newPool(t)
	records := postgres.NewRuntimeRecords(pool)
	require.NoError(t, records.Insert(t.Context(), newRecord("g")))
	before, err := records.List(t.Context())
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range everyMethod(pool) {
		err := call(ctx)
		require.ErrorIs(t, err, context.Canceled, name)
		requireUnknown(t, err)
	}

	after, err := records.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
	versions, err := postgres.NewEngineVersions(pool).List(t.Context())
	require.NoError(t, err)
	require.Empty(t, versions)
	entries, err := postgres.NewOperationLog(pool).ListByGame(t.Context(), "g", 10)
	require.NoError(t, err)
	require.Empty(t, entries)
	for _, table := range []string{"idempotency_keys", "runtime_fences", "drift_findings", "drift_passes", "run_histories", "run_history_misses", "run_history_marks", "run_interventions"} {
		require.Zero(t, count(t, pool, table), table)
	}
}

// Proves that a server that does not answer makes every method fail with an
// unknown outcome, never with a sentinel.
func TestUnreachableServer(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	pool, err := pgxpool.New(t.Context(), "postgres://me@"+address+"/x?sslmode=disable")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	for name, call := range everyMethod(pool) {
		t.Run(name, func(t *testing.T) { requireUnknown(t, call(t.Context())) })
	}
}

// requireConstraint asks for the refusal by one constraint.
func requireConstraint(t *testing.T, err error, constraint string) {
	t.Helper()
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, constraint, refused.ConstraintName)
}

func newEntry(gameID, patchID, runID string) operation.OperationEntry {
	finished := moment.Add(time.Second)
	return operation.OperationEntry{
		GameID: gameID, OpKind: operation.OpKindPatch, OpSource: operation.OpSourceAdminRest, SourceRef: "req-1", Actor: "ann@desk",
		Outcome: operation.OutcomeFailure, ErrorCode: "conflict", ErrorMessage: "status changed",
		StartedAt: moment, FinishedAt: &finished, PatchID: patchID, RunID: runID,
		Reason: "hotfix", FromVersion: "1.4.2", FromImageRef: "engine:1.4.2",
		ToVersion: "1.4.3", ToImageRef: "engine:1.4.3", Undo: "put back",
	}
}

func newRecord(gameID string) runtime.RuntimeRecord {
	return runtime.RuntimeRecord{
		GameID: gameID, Status: runtime.StatusRunning, CurrentImageRef: "engine:1.4.2", CurrentEngineVersion: "1.4.2",
		CreatedAt: moment, UpdatedAt: moment,
	}
}
