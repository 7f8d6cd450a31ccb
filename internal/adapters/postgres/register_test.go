package postgres_test

import (
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

func registration(gameID string) ports.RegisterInput {
	return ports.RegisterInput{GameID: gameID, EngineVersion: "1.4.2", Status: runtime.StatusRunning, Now: moment}
}

func putImage(imageRef string) ports.PutImageInput {
	return ports.PutImageInput{Version: "1.4.2", ImageRef: imageRef, Now: at(1)}
}

// Proves that a game is registered with the registry's image, in every status
// with the times of that status, and that the record is returned as it is
// stored.
func TestRegister(t *testing.T) {
	store, pool := newStore(t)
	require.NoError(t, postgres.NewEngineVersions(pool).Insert(t.Context(), newVersion("1.4.2")))
	for _, status := range runtime.Statuses() {
		input := registration(string(status))
		input.Status = status
		got, err := store.Register(t.Context(), input)
		require.NoError(t, err)
		want := runtime.RuntimeRecord{
			GameID: string(status), Status: status, CurrentImageRef: "engine:1.4.2", CurrentEngineVersion: "1.4.2",
			CreatedAt: stored, UpdatedAt: stored,
		}
		switch status {
		case runtime.StatusStopped:
			want.StoppedAt = &stored
		case runtime.StatusFinished:
			want.FinishedAt = &stored
		case runtime.StatusStarting:
		default:
			want.StartedAt = &stored
		}
		require.Equal(t, want, got)
		require.Equal(t, want, get(t, store, string(status)))
	}
}

// Proves each refusal by its sentinel, and that none leaves or changes a record.
func TestRegisterRefusals(t *testing.T) {
	store, pool := newStore(t)
	versions := postgres.NewEngineVersions(pool)
	old := newVersion("1.4.1")
	old.Status = engineversion.StatusDeprecated
	require.NoError(t, versions.Insert(t.Context(), newVersion("1.4.2")))
	require.NoError(t, versions.Insert(t.Context(), old))
	_, err := store.Register(t.Context(), registration("g"))
	require.NoError(t, err)
	before := get(t, store, "g")

	for _, c := range []struct {
		name   string
		change func(*ports.RegisterInput)
		want   error
	}{
		{"unregistered", func(in *ports.RegisterInput) { in.EngineVersion = "1.4.3" }, engineversion.ErrNotFound},
		{"not a version", func(in *ports.RegisterInput) { in.EngineVersion = "newest" }, engineversion.ErrNotFound},
		{"deprecated", func(in *ports.RegisterInput) { in.EngineVersion = "1.4.1" }, engineversion.ErrDeprecated},
		{"there already", func(in *ports.RegisterInput) { in.GameID, in.Status = "g", runtime.StatusStopped }, runtime.ErrConflict},
		{"game", func(in *ports.RegisterInput) { in.GameID = "Not An ID" }, ports.ErrInvalidInput},
		{"game with nul", func(in *ports.RegisterInput) { in.GameID = "a\x00b" }, ports.ErrInvalidInput},
		{"no version", func(in *ports.RegisterInput) { in.EngineVersion = " " }, ports.ErrInvalidInput},
		{"version with nul", func(in *ports.RegisterInput) { in.EngineVersion = "1.4.2\x00" }, ports.ErrInvalidInput},
		{"status", func(in *ports.RegisterInput) { in.Status = "paused" }, ports.ErrInvalidInput},
		{"now", func(in *ports.RegisterInput) { in.Now = time.Time{} }, ports.ErrInvalidInput},
	} {
		input := registration("other")
		c.change(&input)
		_, err := store.Register(t.Context(), input)
		require.ErrorIs(t, err, c.want, c.name)
	}
	all, err := store.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []runtime.RuntimeRecord{before}, all)
}

// Proves that of many that register one game, exactly one does.
func TestRegisterOneWinner(t *testing.T) {
	store, pool := newStore(t)
	require.NoError(t, postgres.NewEngineVersions(pool).Insert(t.Context(), newVersion("1.4.2")))
	results := atOnce(32, func(int) error { _, err := store.Register(t.Context(), registration("g")); return err })
	winners := 0
	for _, err := range results {
		if err == nil {
			winners++
			continue
		}
		require.ErrorIs(t, err, runtime.ErrConflict)
	}
	require.Equal(t, 1, winners)
}

// atOnce makes n calls at the same time and returns their errors.
func atOnce(n int, call func(int) error) []error {
	results := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			results[i] = call(i)
		})
	}
	close(start)
	wg.Wait()
	return results
}

// Proves that a change of the image waits for a game that is being registered
// and is then refused. The registration is caught halfway, behind another
// insert of the same game, when it holds the version already.
func TestPutImageBehindRegister(t *testing.T) {
	store, pool := newStore(t)
	versions := postgres.NewEngineVersions(pool)
	require.NoError(t, versions.Insert(t.Context(), newVersion("1.4.2")))
	other := begin(t, pool, `INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version, created_at, updated_at)
		VALUES ('g', 'running', 'engine:other', '9.9.9', now(), now())`)
	registered, put := make(chan error, 1), make(chan error, 1)
	go func() { _, err := store.Register(t.Context(), registration("g")); registered <- err }()
	awaitLockWaits(t, pool, 1)
	go func() { _, _, err := versions.PutImage(t.Context(), putImage("engine:new")); put <- err }()
	awaitLockWaits(t, pool, 2)
	require.NoError(t, other.Rollback(t.Context()))

	require.NoError(t, <-registered)
	require.ErrorIs(t, <-put, engineversion.ErrInUse)
	require.Equal(t, "engine:1.4.2", get(t, store, "g").CurrentImageRef)
	requireImage(t, versions, "engine:1.4.2")
}

// Proves that a game that is registered while the image changes gets the new
// one. The change is caught halfway, when it holds the version already.
func TestRegisterBehindPutImage(t *testing.T) {
	store, pool := newStore(t)
	versions := postgres.NewEngineVersions(pool)
	require.NoError(t, versions.Insert(t.Context(), newVersion("1.4.2")))
	_, err := pool.Exec(t.Context(), `
		CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN new; END $$;
		CREATE TRIGGER halt BEFORE UPDATE ON engine_versions FOR EACH ROW EXECUTE FUNCTION halt()`)
	require.NoError(t, err)
	other := begin(t, pool, "SELECT pg_advisory_xact_lock(7)")
	registered, put := make(chan error, 1), make(chan error, 1)
	go func() { _, _, err := versions.PutImage(t.Context(), putImage("engine:new")); put <- err }()
	awaitLockWaits(t, pool, 1)
	go func() { _, err := store.Register(t.Context(), registration("g")); registered <- err }()
	awaitLockWaits(t, pool, 2)
	require.NoError(t, other.Commit(t.Context()))

	require.NoError(t, <-put)
	require.NoError(t, <-registered)
	require.Equal(t, "engine:new", get(t, store, "g").CurrentImageRef)
	requireImage(t, versions, "engine:new")
}

// Proves that a change of the image that began first, but got the version's row
// after a game was registered on it, sees that game, whatever isolation the
// server has as its own.
func TestPutImageSeesWhoCameWhileItWaited(t *testing.T) {
	for _, isolation := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(isolation, func(t *testing.T) {
			location := stacktest.Database(t)
			pool := open(t, location)
			store := postgres.NewRuntimeRecords(pool)
			versions := postgres.NewEngineVersions(open(t, location+"&default_transaction_isolation="+url.PathEscape(isolation)))
			require.NoError(t, versions.Insert(t.Context(), newVersion("1.4.2")))
			other := begin(t, pool, "SELECT FROM engine_versions FOR SHARE")
			put := make(chan error, 1)
			go func() { _, _, err := versions.PutImage(t.Context(), putImage("engine:new")); put <- err }()
			awaitLockWaits(t, pool, 1)
			insert(t, store, newRecord("g"))
			require.NoError(t, other.Commit(t.Context()))
			require.ErrorIs(t, <-put, engineversion.ErrInUse)
			requireImage(t, versions, "engine:1.4.2")
		})
	}
}

// Proves that a game is not registered on a version whose deprecation it had to
// wait for.
func TestRegisterBehindSetStatus(t *testing.T) {
	store, pool := newStore(t)
	require.NoError(t, postgres.NewEngineVersions(pool).Insert(t.Context(), newVersion("1.4.2")))
	other := begin(t, pool, "UPDATE engine_versions SET status = 'deprecated'")
	registered := make(chan error, 1)
	go func() { _, err := store.Register(t.Context(), registration("g")); registered <- err }()
	awaitLockWait(t, pool)
	require.NoError(t, other.Commit(t.Context()))
	require.ErrorIs(t, <-registered, engineversion.ErrDeprecated)
	require.Zero(t, count(t, pool, "runtime_records"))
}

// Proves, over many rounds in any order, that no game is left with an image
// that the registry does not have for its version.
func TestPutImageAgainstRegister(t *testing.T) {
	const rounds, games, images = 20, 4, 4
	store, pool := newStore(t)
	versions := postgres.NewEngineVersions(pool)
	put, refused := 0, 0
	for round := range rounds {
		version := fmt.Sprintf("1.0.%d", round)
		require.NoError(t, versions.Insert(t.Context(), newVersion(version)))
		results := atOnce(games+images, func(i int) error {
			if i < games {
				input := registration(fmt.Sprintf("g%d-%d", round, i))
				input.EngineVersion = version
				_, err := store.Register(t.Context(), input)
				return err
			}
			_, _, err := versions.PutImage(t.Context(), ports.PutImageInput{Version: version, ImageRef: fmt.Sprintf("engine:new-%d", i), Now: moment})
			return err
		})
		for i, err := range results {
			switch {
			case i < games:
				require.NoError(t, err)
			case errors.Is(err, engineversion.ErrInUse):
				refused++
			default:
				require.NoError(t, err)
				put++
			}
		}
		registered, err := versions.Get(t.Context(), version)
		require.NoError(t, err)
		for i := range games {
			require.Equal(t, registered.ImageRef, get(t, store, fmt.Sprintf("g%d-%d", round, i)).CurrentImageRef)
		}
	}
	require.Equal(t, rounds*images, put+refused)
	require.Positive(t, refused)
}

func requireImage(t *testing.T, versions *postgres.EngineVersions, imageRef string) {
	t.Helper()
	entry, err := versions.Get(t.Context(), "1.4.2")
	require.NoError(t, err)
	require.Equal(t, imageRef, entry.ImageRef)
}
