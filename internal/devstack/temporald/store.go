package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gofrs/flock"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	persistencesql "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/resolver"
	sqliteschema "go.temporal.io/server/schema/sqlite"
)

// store is the database the server runs on.
type store struct {
	conf       *config.SQL
	visibility *config.SQL // where lists and searches look; with SQLite the same database
	shards     int32
	unlock     func() // gives the database free that this process owns; nil in memory
}

// openStore makes the database ready: schema, namespaces and search attributes are in it before the server starts,
// because the server caches all three.
func openStore(o *options) (*store, error) {
	open := openMemory
	switch {
	case o.dbURL != nil:
		open = openPostgres
	case o.dbFile != "":
		open = openFile
	}
	st, err := open(o)
	if err != nil {
		return nil, err
	}
	if err := ensureNamespaces(context.Background(), st.conf, o); err != nil {
		st.close()
		return nil, err
	}
	return st, nil
}

// close gives the database free. The other connections end with the process; the SQLite plugin never closes its own.
func (st *store) close() {
	if st.unlock != nil {
		st.unlock()
	}
}

func (st *store) persistence() config.Persistence {
	const history, visibility = "history", "visibility"
	return config.Persistence{
		DefaultStore:     history,
		VisibilityStore:  visibility,
		NumHistoryShards: st.shards,
		DataStores:       map[string]config.DataStore{history: {SQL: st.conf}, visibility: {SQL: st.visibility}},
	}
}

// sqliteStore has one shard: SQLite writes one transaction at a time, whoever waits in line.
func sqliteStore(conf *config.SQL, unlock func()) *store {
	return &store{conf: conf, visibility: conf, shards: 1, unlock: unlock}
}

// openMemory names a shared in-memory database at random. The plugin lays its schema by itself.
func openMemory(o *options) (*store, error) {
	attributes := map[string]string{"mode": "memory", "cache": "shared"}
	maps.Copy(attributes, o.pragmas)
	return sqliteStore(&config.SQL{
		PluginName:        sqlite.PluginName,
		DatabaseName:      "temporald-" + strconv.FormatUint(rand.Uint64(), 36),
		ConnectAttributes: attributes,
	}, nil), nil
}

// openFile locks the file against a second server, which SQLite alone would let in to corrupt the first one's view, and
// lays the schema when it is missing. The write-ahead log with synchronous=normal keeps every commit through a kill of
// the process; only a power cut can lose the last ones.
func openFile(o *options) (*store, error) {
	path, err := filepath.Abs(o.dbFile)
	if err != nil {
		return nil, fmt.Errorf("database file: %w", err)
	}
	lock := flock.New(path + ".lock")
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking database file: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("database file %s is in use by another server", path)
	}
	attributes := map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "normal"}
	maps.Copy(attributes, o.pragmas)
	conf := &config.SQL{
		PluginName: sqlite.PluginName,
		// The name ends up in a URI, where a space, '%', '?' or '#' of a path would mean something else.
		DatabaseName:      (&url.URL{Path: path}).EscapedPath(),
		ConnectAttributes: attributes,
	}
	st := sqliteStore(conf, func() { _ = lock.Unlock() })
	if st.visibility, err = visibilityOf(conf, path); err == nil {
		err = ensureSchemas(conf, st.visibility)
	}
	if err != nil {
		st.close()
		return nil, fmt.Errorf("database file %s: %w", path, err)
	}
	return st, nil
}

// visibilityOf is where a server on the file looks for runs: beside it, in a file of its own. SQLite writes one
// transaction at a time in each, and what is written for lists is a third of all; no run has to wait for it there. A
// file that was begun without one, here or by start-dev, goes on as it is: its runs are listed in it. A second file
// without the first would list runs that are gone.
func visibilityOf(conf *config.SQL, path string) (*config.SQL, error) {
	beside := path + visibilitySuffix
	begun, err := exists(path)
	if err != nil {
		return nil, err
	}
	listed, err := exists(beside)
	switch {
	case err != nil:
		return nil, err
	case begun && !listed:
		return conf, nil
	case listed && !begun:
		return nil, fmt.Errorf("it is gone, and %s, which lists its runs, is left: bring it back, or remove that one too", beside)
	}
	visibility := *conf
	visibility.DatabaseName = (&url.URL{Path: beside}).EscapedPath()
	return &visibility, nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// ensureSchemas begins the file of the runs first: a process killed between the two leaves one that goes on alone.
func ensureSchemas(databases ...*config.SQL) error {
	for _, database := range databases {
		if err := ensureSchema(context.Background(), database.DatabaseName); err != nil {
			return err
		}
	}
	return nil
}

// ensureSchema lays the schema in one transaction, so that a process killed half-way leaves an empty file and not half
// a schema that every later start would trip over.
func ensureSchema(ctx context.Context, escapedPath string) (err error) {
	db, err := sql.Open("sqlite", "file:"+escapedPath+"?mode=rwc")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var tables int
	row := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'namespaces'")
	if err := row.Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return nil
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	if err := sqliteschema.SetupSchemaOnDB(schemaTx{tx: tx}); err != nil {
		return err
	}
	return tx.Commit()
}

// schemaTx lends a transaction to the schema loader, which needs nothing of the interface but Exec.
type schemaTx struct {
	sqlplugin.AdminDB
	tx *sql.Tx
}

func (s schemaTx) Exec(statement string, args ...any) error {
	_, err := s.tx.Exec(statement, args...)
	return err
}

// openSQL is the plugin's own connection to the database, shared with the server that starts later: in memory it is
// what keeps the database alive.
func openSQL(conf *config.SQL) (sqlplugin.DB, error) {
	return persistencesql.NewSQLDB(sqlplugin.DbKindMain, conf, resolver.NewNoopResolver(), log.NewNoopLogger(),
		metrics.NoopMetricsHandler)
}
