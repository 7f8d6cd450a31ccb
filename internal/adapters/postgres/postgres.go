// Package postgres keeps runtime records, engine versions, the audit log, the
// Idempotency-Keys, the fencing numbers, what the watch found and the histories of
// closed runs in Postgres. Its seven stores implement the ports of the same names. Each call is one statement
// (Append may need a second one to read), so that every method is as atomic as
// its statement. PutImage and Note are transactions of a few, in which nothing
// but the database is waited for, and Finish is a row of statements that may be
// left after any of them. VerifyChain reads in one transaction.
//
// Times are stored in microseconds, which is what Postgres keeps: finer digits
// are cut off on the way in, and everything comes back in UTC.
//
// Errors are of three kinds: the sentinels of the domain packages (the answer
// is known), [ports.ErrInvalidInput] (nothing was touched and another try cannot
// help), and anything else: the outcome is unknown, a change may have been
// committed and its reply lost. They never contain the password.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/ports"
)

const (
	// defaultMaxConns: a statement holds its connection for one to ten
	// milliseconds, so eight carry some hundreds of patches a second, while
	// ten processes still fit into the hundred connections that a Postgres
	// allows when nobody has changed it.
	defaultMaxConns = 8

	// connectTimeout bounds one attempt to connect. Within a data centre that
	// takes milliseconds; a packet lost twice costs three seconds.
	connectTimeout = 5 * time.Second

	// maxConnLifetime makes the pool follow a fail-over or a moved address
	// within the hour; the jitter keeps all connections from going at once.
	maxConnLifetime       = time.Hour
	maxConnLifetimeJitter = 10 * time.Minute

	// maxConnIdleTime lets go of idle connections before the load balancers in
	// between silently forget them (350 s is a common limit).
	maxConnIdleTime = 5 * time.Minute

	// healthCheckPeriod is how often the pool looks for connections that are
	// past the two limits above; it needs to be small against them only.
	healthCheckPeriod = 30 * time.Second

	// statementTimeout ends a statement on the server also when this process
	// is gone. All of ours take milliseconds; the longest list may take more
	// when the disk is cold. Callers' deadlines are shorter or about the same.
	statementTimeout = 10 * time.Second

	// lockTimeout ends the wait for a row. Our own statements hold a row for
	// milliseconds; who holds it for seconds is a person at a prompt, and then
	// an error that is retried serves better than connections piling up.
	lockTimeout = 3 * time.Second

	// idleInTransactionTimeout protects others from us: no code here waits for
	// anything else inside a transaction, so one that stands still belongs to a
	// hung process.
	idleInTransactionTimeout = 15 * time.Second
)

// Option changes how [Open] sets up the pool.
type Option func(*pgxpool.Config)

// WithMaxConns sets the size of the pool; the default is 8.
func WithMaxConns(n int32) Option {
	return func(config *pgxpool.Config) { config.MaxConns = n }
}

// WithStatementTimeout ends statements earlier than after the default ten
// seconds.
func WithStatementTimeout(timeout time.Duration) Option {
	return func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["statement_timeout"] = milliseconds(timeout)
	}
}

// WithApplicationName sets the name under which the connections show up in
// pg_stat_activity; the default is "gamemaster".
func WithApplicationName(name string) Option {
	return func(config *pgxpool.Config) { config.ConnConfig.RuntimeParams["application_name"] = name }
}

// WithTracer has every statement reported to tracer.
func WithTracer(tracer pgx.QueryTracer) Option {
	return func(config *pgxpool.Config) { config.ConnConfig.Tracer = tracer }
}

// Open makes a pool for databaseURL and connects once, so that a wrong URL
// shows at the start. Settings in the URL (connect_timeout, statement_timeout,
// application_name, pool_max_conns and so on) win over the defaults here, and
// options win over both. The limits are start-up parameters of the session; a
// PgBouncer in between has to be told to let them pass.
//
// A pool outlives restarts of the server: connections that broke are replaced
// by the calls that meet them, each of which returns an error of unknown
// outcome. The caller closes the pool.
func Open(ctx context.Context, databaseURL string, options ...Option) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		// pgx's own text quotes the URL and hides passwords at best effort
		// only.
		return nil, errors.New("open the database: the URL cannot be read, want postgres://user:password@host:port/database")
	}
	if err := setDefaults(config, databaseURL); err != nil {
		return nil, err
	}
	for _, option := range options {
		option(config)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reach the database: %w", err)
	}
	return pool, nil
}

// setDefaults fills in what the URL leaves open.
func setDefaults(config *pgxpool.Config, databaseURL string) error {
	// pgx keeps what it does not know, the pool's settings among it, in the
	// parameters of the session; the pool has taken its own out by now.
	plain, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return errors.New("open the database: the URL cannot be read")
	}
	unset := func(name string) bool {
		_, set := plain.RuntimeParams[name]
		return !set
	}
	if unset("pool_max_conns") {
		config.MaxConns = defaultMaxConns
	}
	if unset("pool_max_conn_lifetime") {
		config.MaxConnLifetime = maxConnLifetime
	}
	if unset("pool_max_conn_lifetime_jitter") {
		config.MaxConnLifetimeJitter = maxConnLifetimeJitter
	}
	if unset("pool_max_conn_idle_time") {
		config.MaxConnIdleTime = maxConnIdleTime
	}
	if unset("pool_health_check_period") {
		config.HealthCheckPeriod = healthCheckPeriod
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	for name, value := range map[string]string{
		"application_name":                    "gamemaster",
		"timezone":                            "UTC",
		"statement_timeout":                   milliseconds(statementTimeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleInTransactionTimeout),
	} {
		if unset(name) {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// querier and executor are where a statement runs: the pool, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error)
}

type executor interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
}

// transact runs work in one transaction, which is committed if work returns
// nil. Each statement in it sees what was committed when it began, also where
// the server's own setting is another: the work relies on it. The error is
// work's own, or says that the outcome is unknown.
func transact(ctx context.Context, pool *pgxpool.Pool, op string, work func(pgx.Tx) error) error {
	var refused error
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		refused = work(tx)
		return refused
	})
	if err != nil && refused == nil {
		return failed(op, err)
	}
	return err
}

// query is a statement that returns rows of one kind.
type query[T any] struct {
	op   string // what errors call it
	sql  string
	scan pgx.RowToFunc[T]
}

// one returns the single row, or [pgx.ErrNoRows] as it is; other errors are
// ready for the caller.
func (q query[T]) one(ctx context.Context, on querier, arguments ...any) (row T, err error) {
	rows, err := on.Query(ctx, q.sql, arguments...)
	if err == nil {
		row, err = pgx.CollectExactlyOneRow(rows, q.scan)
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		err = failed(q.op, err)
	}
	return row, err
}

// all returns every row; empty, not nil, when there is none.
func (q query[T]) all(ctx context.Context, on querier, arguments ...any) (all []T, err error) {
	rows, err := on.Query(ctx, q.sql, arguments...)
	if err == nil {
		all, err = pgx.CollectRows(rows, q.scan)
	}
	if err != nil {
		return nil, failed(q.op, err)
	}
	return all, nil
}

// command is a statement that returns nothing but how many rows it touched.
type command struct {
	op  string
	sql string
}

func (c command) run(ctx context.Context, on executor, arguments ...any) (touched int64, err error) {
	tag, err := on.Exec(ctx, c.sql, arguments...)
	if err != nil {
		return 0, failed(c.op, err)
	}
	return tag.RowsAffected(), nil
}

// invalid wraps the reason of a Validate, whose own sentinels stay visible.
func invalid(reason error) error {
	return fmt.Errorf("%w: %w", ports.ErrInvalidInput, reason)
}

// checkText refuses what Postgres cannot store as text. The driver's error
// would look like a fault that may pass.
func checkText(op string, texts ...string) error {
	for _, text := range texts {
		if strings.IndexByte(text, 0) >= 0 {
			return invalid(fmt.Errorf("%s: text with a NUL byte", op))
		}
		if !utf8.ValidString(text) {
			return invalid(fmt.Errorf("%s: text that is not UTF-8", op))
		}
	}
	return nil
}

// failed wraps an error of the driver. A row that the schema refuses is invalid
// input that Validate let pass; trying again cannot help.
func failed(op string, err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refusesRow(refused.Code) {
		return invalid(fmt.Errorf("%s: %w", op, err))
	}
	return fmt.Errorf("%s: %w", op, err)
}

// refusesRow reports whether the SQLSTATE is about the values themselves:
// class 22 (data exception), a missing or forbidden value, or one too large for
// an index.
func refusesRow(sqlState string) bool {
	switch sqlState {
	case "23502", "23514", "54000":
		return true
	}
	return strings.HasPrefix(sqlState, "22")
}

// stamp is a time as it is stored.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func stampOrNull(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	stamped := stamp(*t)
	return &stamped
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	in := t.UTC()
	return &in
}
