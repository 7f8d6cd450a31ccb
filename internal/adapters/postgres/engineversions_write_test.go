package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// Proves that a version is registered as active, that its image can change while
// no game runs it, that the same image is no change, and that neither touches
// the status.
func TestPutImage(t *testing.T) {
	store := postgres.NewEngineVersions(newPool(t))
	put := func(imageRef string, now time.Time) (engineversion.EngineVersion, bool) {
		entry, created, err := store.PutImage(t.Context(), ports.PutImageInput{Version: "1.4.2", ImageRef: imageRef, Now: now})
		require.NoError(t, err)
		kept, err := store.Get(t.Context(), "1.4.2")
		require.NoError(t, err)
		require.Equal(t, kept, entry, "what is returned is what is stored")
		return entry, created
	}
	want := newVersion("1.4.2")
	want.ImageRef, want.CreatedAt, want.UpdatedAt = "engine:a", stored, stored
	entry, created := put("engine:a", moment)
	require.Equal(t, want, entry)
	require.True(t, created)

	entry, created = put("engine:a", at(1))
	require.Equal(t, want, entry, "updated_at included")
	require.False(t, created)

	_, err := store.SetStatus(t.Context(), ports.SetVersionStatusInput{Version: "1.4.2", Status: engineversion.StatusDeprecated, Now: at(2)})
	require.NoError(t, err)
	want.ImageRef, want.Status, want.UpdatedAt = "engine:b", engineversion.StatusDeprecated, at(3)
	entry, created = put("engine:b", at(3))
	require.Equal(t, want, entry)
	require.False(t, created)
}

// Proves that the image of a version that a record names, in whatever status,
// stays as it is, until the last such record is gone; and that records may name
// a version before it is registered.
func TestPutImageInUse(t *testing.T) {
	records, pool := newStore(t)
	store := postgres.NewEngineVersions(pool)
	for _, status := range runtime.Statuses() {
		record := newRecord("g")
		record.Status = status
		record.CurrentEngineVersion = "1.0.0-" + strings.ReplaceAll(string(status), "_", "-")
		insert(t, records, record)
		input := ports.PutImageInput{Version: record.CurrentEngineVersion, ImageRef: "engine:a", Now: moment}
		before, created, err := store.PutImage(t.Context(), input)
		require.NoError(t, err)
		require.True(t, created)

		input.ImageRef, input.Now = "engine:b", at(1)
		_, _, err = store.PutImage(t.Context(), input)
		require.ErrorIs(t, err, engineversion.ErrInUse)
		require.NotErrorIs(t, err, ports.ErrInvalidInput)
		after, err := store.Get(t.Context(), input.Version)
		require.NoError(t, err)
		require.Equal(t, before, after)
		input.ImageRef = "engine:a"
		after, _, err = store.PutImage(t.Context(), input)
		require.NoError(t, err, "the same image is no change")
		require.Equal(t, before, after)

		require.NoError(t, records.Delete(t.Context(), "g"))
		input.ImageRef = "engine:b"
		after, _, err = store.PutImage(t.Context(), input)
		require.NoError(t, err)
		require.Equal(t, "engine:b", after.ImageRef)
	}
}

// Proves that of many that register one version at once exactly one is told that
// it is new, and that all are told what is stored.
func TestPutImageAtOnce(t *testing.T) {
	store := postgres.NewEngineVersions(newPool(t))
	const callers = 24
	entries, news := make([]engineversion.EngineVersion, callers), make([]bool, callers)
	results := atOnce(callers, func(i int) (err error) {
		entries[i], news[i], err = store.PutImage(t.Context(), putImage("engine:a"))
		return err
	})
	created := 0
	for i, err := range results {
		require.NoError(t, err)
		require.Equal(t, entries[0], entries[i])
		if news[i] {
			created++
		}
	}
	require.Equal(t, 1, created)
}

// Proves that an image that was put although the reply was lost is found there
// by the next try.
func TestPutImageReplyLost(t *testing.T) {
	location := stacktest.Database(t)
	direct := postgres.NewEngineVersions(open(t, location))
	proxy, through := newLossyProxy(t, location)
	store := postgres.NewEngineVersions(open(t, through))
	proxy.armed.Store(true)
	_, _, err := store.PutImage(t.Context(), putImage("engine:a"))
	requireUnknown(t, err)
	_, _, err = store.PutImage(t.Context(), putImage("engine:a"))
	require.NoError(t, err)
	requireImage(t, direct, "engine:a")
}

// Proves both moves of the status, that the same status changes nothing, and
// that a version that is not there is not found.
func TestSetVersionStatus(t *testing.T) {
	store := postgres.NewEngineVersions(newPool(t))
	want := newVersion("1.4.2")
	require.NoError(t, store.Insert(t.Context(), want))
	want.CreatedAt, want.UpdatedAt = stored, stored
	for n, status := range []engineversion.Status{
		engineversion.StatusActive, engineversion.StatusDeprecated, engineversion.StatusDeprecated, engineversion.StatusActive,
	} {
		if status != want.Status {
			want.Status, want.UpdatedAt = status, at(n)
		}
		got, err := store.SetStatus(t.Context(), ports.SetVersionStatusInput{Version: "1.4.2", Status: status, Now: at(n)})
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = store.Get(t.Context(), "1.4.2")
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := store.SetStatus(t.Context(), ports.SetVersionStatusInput{Version: "1.4.3", Status: engineversion.StatusActive, Now: moment})
	require.ErrorIs(t, err, engineversion.ErrNotFound)
}

// Proves that the users are counted all and named up to the limit, by game id,
// also those of a version that nobody registered or could.
func TestVersionUsers(t *testing.T) {
	records, pool := newStore(t)
	store := postgres.NewEngineVersions(pool)
	odd := strings.Repeat("odd ", 100)
	for n := range 7 {
		record := newRecord(fmt.Sprintf("g%d", 6-n))
		record.Status = runtime.Statuses()[n]
		insert(t, records, record)
	}
	for id, version := range map[string]string{"build": "1.4.2+build", "odd": odd} {
		record := newRecord(id)
		record.CurrentEngineVersion = version
		insert(t, records, record)
	}
	for _, c := range []struct {
		input ports.VersionUsersInput
		want  ports.VersionUsers
	}{
		{ports.VersionUsersInput{Version: "1.4.2", Limit: 3}, ports.VersionUsers{Count: 7, GameIDs: []string{"g0", "g1", "g2"}}},
		{ports.VersionUsersInput{Version: "1.4.2", Limit: 7}, ports.VersionUsers{Count: 7, GameIDs: []string{"g0", "g1", "g2", "g3", "g4", "g5", "g6"}}},
		{ports.VersionUsersInput{Version: "1.4.2", GamePrefixes: []string{"g6", "g5"}, Limit: 1}, ports.VersionUsers{Count: 2, GameIDs: []string{"g5"}}},
		{ports.VersionUsersInput{Version: odd, Limit: 10}, ports.VersionUsers{Count: 1, GameIDs: []string{"odd"}}},
		{ports.VersionUsersInput{Version: "9.9.9", Limit: 10}, ports.VersionUsers{GameIDs: []string{}}},
	} {
		got, err := store.Users(t.Context(), c.input)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}

// Proves that what cannot be put or set is called invalid, with its reason, and
// that nothing is registered.
func TestVersionWriteInvalidInput(t *testing.T) {
	store := postgres.NewEngineVersions(newPool(t))
	for name, change := range map[string]func(*ports.PutImageInput){
		"version": func(in *ports.PutImageInput) { in.Version = "1.0" },
		"nul":     func(in *ports.PutImageInput) { in.Version = "1.0.0\x00" },
		"image":   func(in *ports.PutImageInput) { in.ImageRef = " " },
		"text":    func(in *ports.PutImageInput) { in.ImageRef = "engine\x00" },
		"mangled": func(in *ports.PutImageInput) { in.ImageRef = "engine\xff" },
		"schema":  func(in *ports.PutImageInput) { in.ImageRef = "\v" },
		"now":     func(in *ports.PutImageInput) { in.Now = time.Time{} },
	} {
		input := putImage("engine:a")
		change(&input)
		_, _, err := store.PutImage(t.Context(), input)
		require.ErrorIs(t, err, ports.ErrInvalidInput, name)
	}
	_, _, err := store.PutImage(t.Context(), ports.PutImageInput{Version: "1.0", ImageRef: "engine", Now: moment})
	require.ErrorIs(t, err, engineversion.ErrInvalidSemver)
	for name, input := range map[string]ports.SetVersionStatusInput{
		"status": {Version: "1.0.0", Status: "retired", Now: moment},
		"now":    {Version: "1.0.0", Status: engineversion.StatusActive},
		"nul":    {Version: "1.0.0\x00", Status: engineversion.StatusActive, Now: moment},
	} {
		_, err := store.SetStatus(t.Context(), input)
		require.ErrorIs(t, err, ports.ErrInvalidInput, name)
	}
	versions, err := store.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, versions)
}
