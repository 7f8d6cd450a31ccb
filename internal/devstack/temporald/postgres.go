package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/iancoleman/strcase"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence"
	"go.temporal.io/server/common/persistence/serialization"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql/driver"
)

const (
	// postgresBudget bounds all that is done to the databases before the server starts. A first start makes two and lays
	// some thirty versions of a schema in one or two seconds; the rest is for a busy machine and for the wait below.
	postgresBudget = 40 * time.Second

	// lockPatience is a little more than a server takes to stop that was told so a moment ago. One that was killed gives
	// its lock back as soon as Postgres sees its connection end.
	lockPatience = stopTimeout + 2*time.Second
	lockEvery    = 50 * time.Millisecond

	// lockKey is the advisory lock of a running server in its database; any number that others do not use there.
	lockKey = 7233

	// Connections per service and database, of which each of four services has a pool: together just below the 100 that
	// Postgres allows by default. Temporal's own configuration for Postgres has 20 and 2. A server with 32 callers has
	// been seen to use less than 60.
	historyConns    = 20
	visibilityConns = 4

	// visibilitySuffix is how Temporal's own configuration names the second database; the second file of SQLite has it
	// too.
	visibilitySuffix = "_visibility"
)

// openPostgres makes the two databases ready that a server on Postgres has: they are created when missing, their schema
// is laid or brought up to date, and no other server has them. Each step leaves what the next start can go on from.
func openPostgres(o *options) (_ *store, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), postgresBudget)
	defer cancel()
	name := o.database()
	st := &store{
		conf:       postgresConfig(o, name, historyConns),
		visibility: postgresConfig(o, name+visibilitySuffix, visibilityConns),
	}
	if err := ensureDatabase(ctx, o, st.conf.DatabaseName); err != nil {
		return nil, err
	}
	lock, err := lockDatabase(ctx, o, st.conf.DatabaseName)
	if err != nil {
		return nil, err
	}
	st.unlock = func() { _ = lock.Close(context.Background()) }
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	if err := ensureDatabase(ctx, o, st.visibility.DatabaseName); err != nil {
		return nil, err
	}
	if err := laySchema(ctx, o, st.conf, "postgresql/v12/temporal"); err != nil {
		return nil, err
	}
	if err := laySchema(ctx, o, st.visibility, "postgresql/v12/visibility"); err != nil {
		return nil, err
	}
	st.shards, err = chooseShards(ctx, st.conf, o.shards)
	return st, err
}

// postgresConfig leaves addresses and secrets to the connect function, which takes the URL as it is: the plugin's own way
// through separate fields cannot carry every user name and password, and the server logs its configuration.
func postgresConfig(o *options, database string, conns int) *config.SQL {
	return &config.SQL{
		PluginName:   postgresql.PluginNamePGX,
		DatabaseName: database,
		Connect: func(conf *config.SQL) (*sqlx.DB, error) {
			db, err := (&driver.PGXDriver{}).CreateConnection(databaseURL(o, conf.DatabaseName))
			if err != nil {
				return nil, err
			}
			db.SetMaxOpenConns(conns)
			db.SetMaxIdleConns(conns)
			db.MapperFunc(strcase.ToSnake) // columns for fields, as the plugin's own connections have it
			return db, nil
		},
	}
}

// databaseURL is the given URL with another database. The password comes from the environment.
func databaseURL(o *options, database string) string {
	location := *o.dbURL
	location.Path, location.RawPath = "/"+database, ""
	return location.String()
}

func connectPostgres(ctx context.Context, o *options, database string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, databaseURL(o, database))
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	return conn, nil
}

// ensureDatabase asks for the right to create databases only when there is none to connect to.
func ensureDatabase(ctx context.Context, o *options, name string) error {
	conn, err := connectPostgres(ctx, o, name)
	if err == nil {
		return conn.Close(ctx)
	}
	if !refusedWith(err, "3D000") { // no such database
		return err
	}
	conn, err = connectPostgres(ctx, o, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	if err != nil && !refusedWith(err, "42P04", "23505") { // there by now: another server's start was faster
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

func refusedWith(err error, codes ...string) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	for _, code := range codes {
		if refused.Code == code {
			return true
		}
	}
	return false
}

// lockDatabase keeps a second server out, which Temporal would let in: each takes the other for gone and its shards for
// its own. The lock is the returned connection's and ends with it, however this process ends; a restart of Postgres ends
// it too.
func lockDatabase(ctx context.Context, o *options, name string) (*pgx.Conn, error) {
	conn, err := connectPostgres(ctx, o, name)
	if err != nil {
		return nil, err
	}
	patience := time.NewTimer(lockPatience)
	defer patience.Stop()
	for {
		// A waiting query would be a transaction, which the laying of the schema would wait for in turn.
		var locked bool
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", lockKey).Scan(&locked); err != nil {
			_ = conn.Close(ctx)
			return nil, fmt.Errorf("lock database %s: %w", name, err)
		}
		if locked {
			return conn, nil
		}
		select {
		case <-patience.C:
			_ = conn.Close(ctx)
			return nil, fmt.Errorf("database %s is in use by another server", name)
		case <-time.After(lockEvery):
		}
	}
}

// chooseShards returns the number of shards that the database has, else the wanted one, else the default. A workflow's
// shard is a hash modulo their number, so with another one the server would look for it in the wrong place; Temporal
// itself would only log that it goes on with the old number.
func chooseShards(ctx context.Context, conf *config.SQL, wanted int) (int32, error) {
	present, err := presentShards(ctx, conf)
	switch {
	case err != nil:
		return 0, fmt.Errorf("number of shards of database %s: %w", conf.DatabaseName, err)
	case present == 0 && wanted == 0:
		return defaultShards, nil
	case present == 0:
		return int32(wanted), nil
	case wanted != 0 && present != int32(wanted):
		return 0, fmt.Errorf("database %s has %d history shards for life, not %d: leave --shards out or use a new database",
			conf.DatabaseName, present, wanted)
	}
	return present, nil
}

// presentShards is 0 when no server has run on the database yet.
func presentShards(ctx context.Context, conf *config.SQL) (int32, error) {
	db, err := openSQL(conf)
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	row, err := db.GetClusterMetadata(ctx, &sqlplugin.ClusterMetadataFilter{ClusterName: clusterName})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	cluster, err := serialization.NewSerializer().DeserializeClusterMetadata(persistence.NewDataBlob(row.Data, row.DataEncoding))
	if err != nil {
		return 0, err
	}
	return cluster.GetHistoryShardCount(), nil
}

// parsePostgresURL checks the URL of --db-url. No error repeats it: who gets it wrong may well have written the password
// there.
func parsePostgresURL(text string) (*url.URL, error) {
	location, err := url.Parse(text)
	if err != nil || (location.Scheme != "postgres" && location.Scheme != "postgresql") {
		return nil, errors.New("--db-url: want postgres://USER@HOST:PORT/DATABASE")
	}
	query := location.Query()
	if _, given := location.User.Password(); given || query.Has("password") {
		return nil, errors.New("--db-url: the password belongs in $PGPASSWORD; whoever is on this machine can read arguments")
	}
	if query.Has("dbname") || query.Has("database") {
		return nil, errors.New("--db-url: the database belongs in the path, for there are two of them")
	}
	return location, nil
}
