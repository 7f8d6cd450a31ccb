package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	persistencespb "go.temporal.io/server/api/persistence/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/serialization"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/searchattribute/sadefs"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ensureNamespaces creates the namespaces that are missing and adds missing search attributes to those that exist, so
// that an old database file serves a newer product.
func ensureNamespaces(ctx context.Context, conf *config.SQL, o *options) error {
	db, err := openSQL(conf)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer func() { _ = db.Close() }()
	for _, name := range o.namespaces {
		if err := ensureNamespace(ctx, db, conf, name, o); err != nil {
			return fmt.Errorf("namespace %q: %w", name, err)
		}
	}
	return nil
}

func ensureNamespace(ctx context.Context, db sqlplugin.DB, conf *config.SQL, name string, o *options) error {
	rows, err := db.SelectFromNamespace(ctx, sqlplugin.NamespaceFilter{Name: &name})
	if errors.Is(err, sql.ErrNoRows) || (err == nil && len(rows) == 0) {
		return createNamespace(conf, name, o)
	}
	if err != nil {
		return err
	}
	return updateNamespace(ctx, db, &rows[0], o)
}

func createNamespace(conf *config.SQL, name string, o *options) error {
	namespace, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, nil)
	if err != nil {
		return err
	}
	namespace.Detail.Config.Retention = durationpb.New(o.retention)
	if _, err := addSearchAttributes(namespace.Detail.Config, o.attributes); err != nil {
		return err
	}
	return sqliteschema.CreateNamespaces(conf, namespace)
}

// updateNamespace writes to the row directly, which is safe only because no server runs on this database yet.
func updateNamespace(ctx context.Context, db sqlplugin.DB, row *sqlplugin.NamespaceRow, o *options) error {
	serializer := serialization.NewSerializer()
	encoding, err := enumspb.EncodingTypeFromString(row.DataEncoding)
	if err != nil {
		return err
	}
	detail, err := serializer.NamespaceDetailFromBlob(&commonpb.DataBlob{Data: row.Data, EncodingType: encoding})
	if err != nil {
		return err
	}
	if detail.Config == nil {
		detail.Config = &persistencespb.NamespaceConfig{}
	}
	changed, err := addSearchAttributes(detail.Config, o.attributes)
	if err != nil {
		return err
	}
	if o.retentionSet && detail.Config.GetRetention().AsDuration() != o.retention {
		detail.Config.Retention, changed = durationpb.New(o.retention), true
	}
	if !changed {
		return nil
	}
	blob, err := serializer.NamespaceDetailToBlob(detail)
	if err != nil {
		return err
	}
	row.Data, row.DataEncoding = blob.GetData(), blob.GetEncodingType().String()
	_, err = db.UpdateNamespace(ctx, row)
	return err
}

// addSearchAttributes gives each wanted attribute that the namespace lacks a free column of its type. On SQL an
// attribute is an alias, per namespace, of one of a fixed number of columns per type; an alias in use never moves, for
// its column holds data.
func addSearchAttributes(
	conf *persistencespb.NamespaceConfig, wanted map[string]enumspb.IndexedValueType,
) (changed bool, err error) {
	columns := sadefs.GetDBIndexSearchAttributes(nil).CustomSearchAttributes
	if conf.CustomSearchAttributeAliases == nil {
		conf.CustomSearchAttributeAliases = map[string]string{}
	}
	aliases := conf.CustomSearchAttributeAliases
	present := map[string]string{} // attribute → column
	for column, name := range aliases {
		present[name] = column
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		column, ok := present[name]
		if ok && columns[column] != wanted[name] {
			return false, fmt.Errorf("search attribute %s is %s in the database, not %s: use another name or a new database",
				name, columns[column], wanted[name])
		}
		if ok {
			continue
		}
		column, ok = freeColumn(columns, aliases, wanted[name])
		if !ok {
			return false, fmt.Errorf("search attribute %s: no column of type %s is left", name, wanted[name])
		}
		aliases[column], changed = name, true
	}
	return changed, nil
}

func freeColumn(
	columns map[string]enumspb.IndexedValueType, aliases map[string]string, wanted enumspb.IndexedValueType,
) (string, bool) {
	for _, column := range slices.Sorted(maps.Keys(columns)) {
		if _, used := aliases[column]; !used && columns[column] == wanted {
			return column, true
		}
	}
	return "", false
}
