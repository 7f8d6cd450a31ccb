package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/tools/common/schema"
	sqltool "go.temporal.io/server/tools/sql"
)

// laySchema does what temporal-sql-tool does as a program of its own: the tables of versions, then each version that is
// missing, from the files that the server's module embeds. Unlike there, all versions are one transaction: a start that
// is killed half-way leaves a database that the next one can go on with.
func laySchema(ctx context.Context, o *options, conf *config.SQL, schemaName string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("schema of database %s: %w", conf.DatabaseName, err)
		}
	}()
	logger := newLogger(o)
	tool, err := sqltool.NewConnection(conf, logger)
	if err != nil {
		return err
	}
	defer tool.Close()
	if err := schema.NewSetupSchemaTask(tool, &schema.SetupConfig{InitialVersion: "0.0"}, logger).Run(); err != nil {
		return err
	}
	conn, err := connectPostgres(ctx, o, conf.DatabaseName)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // nothing after a commit
	updates := &schemaUpdates{Connection: tool, ctx: ctx, tx: tx}
	if err := schema.NewUpdateSchemaTask(updates, &schema.UpdateConfig{SchemaName: schemaName}, logger).Run(); err != nil {
		return cmp.Or(updates.failed, err)
	}
	return tx.Commit(ctx)
}

// schemaUpdates has the changes of a schema made in a transaction. Only the log of updates is written outside of it.
type schemaUpdates struct {
	*sqltool.Connection
	ctx    context.Context // the tool's interface has none
	tx     pgx.Tx
	failed error // the first; the tool goes on after some, to be told only that the transaction is aborted
}

// Exec makes indexes without CONCURRENTLY, which no transaction may contain: there is no server to be kept waiting.
func (s *schemaUpdates) Exec(statement string, args ...any) error {
	_, err := s.tx.Exec(s.ctx, strings.Replace(statement, " CONCURRENTLY", "", 1), args...)
	s.failed = cmp.Or(s.failed, err)
	return err
}

// UpdateSchemaVersion relies on the row that the setup has made.
func (s *schemaUpdates) UpdateSchemaVersion(version, minCompatible string) error {
	return s.Exec("UPDATE schema_version SET creation_time = now() AT TIME ZONE 'UTC', curr_version = $1, "+
		"min_compatible_version = $2 WHERE version_partition = 0 AND db_name = current_database()", version, minCompatible)
}
