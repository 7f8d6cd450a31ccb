package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

func rotationTo(image string) ports.UpdateImageInput {
	return ports.UpdateImageInput{
		GameID: "g", ExpectedStatus: runtime.StatusRunning, CurrentImageRef: image, CurrentEngineVersion: "1.4.2", Now: time.Now(),
	}
}

// onOldVersion is a running game that is on a version of before.
func onOldVersion() runtime.RuntimeRecord {
	record := newRecord("g")
	record.Status, record.CurrentEngineVersion, record.CurrentImageRef = runtime.StatusRunning, "1.4.1", "engine:1.4.1"
	return record
}

// Proves that a record is not moved to a version beside the image that the
// registry has for it, and is left as it was.
func TestUpdateImageBesideTheRegistry(t *testing.T) {
	store, pool := newStore(t)
	require.NoError(t, postgres.NewEngineVersions(pool).Insert(t.Context(), newVersion("1.4.2")))
	insert(t, store, onOldVersion())
	before := get(t, store, "g")
	require.ErrorIs(t, store.UpdateImage(t.Context(), rotationTo("engine:other")), engineversion.ErrConflict)
	require.Equal(t, before, get(t, store, "g"))
	require.NoError(t, store.UpdateImage(t.Context(), rotationTo("engine:1.4.2")))
	require.Equal(t, "engine:1.4.2", get(t, store, "g").CurrentImageRef)
}

// Proves that a rotation which has to wait for a change of its version's image
// finds the change. The change is caught halfway, when it holds the version.
func TestUpdateImageBehindPutImage(t *testing.T) {
	store, pool := newStore(t)
	versions := postgres.NewEngineVersions(pool)
	require.NoError(t, versions.Insert(t.Context(), newVersion("1.4.2")))
	insert(t, store, onOldVersion())
	_, err := pool.Exec(t.Context(), `
		CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN new; END $$;
		CREATE TRIGGER halt BEFORE UPDATE ON engine_versions FOR EACH ROW EXECUTE FUNCTION halt()`)
	require.NoError(t, err)
	other := begin(t, pool, "SELECT pg_advisory_xact_lock(7)")
	rotated, put := make(chan error, 1), make(chan error, 1)
	go func() { _, _, err := versions.PutImage(t.Context(), putImage("engine:new")); put <- err }()
	awaitLockWaits(t, pool, 1)
	go func() { rotated <- store.UpdateImage(t.Context(), rotationTo("engine:1.4.2")) }()
	awaitLockWaits(t, pool, 2)
	require.NoError(t, other.Commit(t.Context()))

	require.NoError(t, <-put)
	require.ErrorIs(t, <-rotated, engineversion.ErrConflict)
	require.Equal(t, "engine:1.4.1", get(t, store, "g").CurrentImageRef)
	requireImage(t, versions, "engine:new")
}

// Proves that a change of the image which has to wait for a rotation to its
// version is refused. The rotation is caught halfway, when it holds both rows.
func TestPutImageBehindUpdateImage(t *testing.T) {
	store, pool := newStore(t)
	versions := postgres.NewEngineVersions(pool)
	require.NoError(t, versions.Insert(t.Context(), newVersion("1.4.2")))
	insert(t, store, onOldVersion())
	_, err := pool.Exec(t.Context(), `
		CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN new; END $$;
		CREATE TRIGGER halt BEFORE UPDATE ON runtime_records FOR EACH ROW EXECUTE FUNCTION halt()`)
	require.NoError(t, err)
	other := begin(t, pool, "SELECT pg_advisory_xact_lock(7)")
	rotated, put := make(chan error, 1), make(chan error, 1)
	go func() { rotated <- store.UpdateImage(t.Context(), rotationTo("engine:1.4.2")) }()
	awaitLockWaits(t, pool, 1)
	go func() { _, _, err := versions.PutImage(t.Context(), putImage("engine:new")); put <- err }()
	awaitLockWaits(t, pool, 2)
	require.NoError(t, other.Commit(t.Context()))

	require.NoError(t, <-rotated)
	require.ErrorIs(t, <-put, engineversion.ErrInUse)
	require.Equal(t, "engine:1.4.2", get(t, store, "g").CurrentImageRef)
	requireImage(t, versions, "engine:1.4.2")
}
