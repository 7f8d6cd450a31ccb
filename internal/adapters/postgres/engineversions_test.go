package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/ports"
)

func newVersion(version string) engineversion.EngineVersion {
	return engineversion.EngineVersion{
		Version: version, ImageRef: "engine:" + version, Status: engineversion.StatusActive, CreatedAt: moment, UpdatedAt: moment,
	}
}

// Proves that a version comes back as it was registered, that a second one
// under its name does not replace it, and that zero times become now.
func TestVersionInsertAndGet(t *testing.T) {
	store := postgres.NewEngineVersions(newPool(t))
	_, err := store.Get(t.Context(), "1.4.2")
	require.ErrorIs(t, err, engineversion.ErrNotFound)

	version := newVersion("1.4.2")
	version.Status = engineversion.StatusDeprecated
	require.NoError(t, store.Insert(t.Context(), version))
	version.CreatedAt, version.UpdatedAt = stored, stored
	got, err := store.Get(t.Context(), "1.4.2")
	require.NoError(t, err)
	require.Equal(t, version, got)

	require.ErrorIs(t, store.Insert(t.Context(), newVersion("1.4.2")), engineversion.ErrConflict)
	got, err = store.Get(t.Context(), "1.4.2")
	require.NoError(t, err)
	require.Equal(t, version, got)

	timeless := newVersion("1.4.3")
	timeless.CreatedAt, timeless.UpdatedAt = time.Time{}, time.Time{}
	require.NoError(t, store.Insert(t.Context(), timeless))
	got, err = store.Get(t.Context(), "1.4.3")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), got.CreatedAt, time.Hour)
	require.Equal(t, got.CreatedAt, got.UpdatedAt)
	require.Equal(t, time.UTC, got.CreatedAt.Location())

	_, err = store.Get(t.Context(), "1.4.2+build")
	require.ErrorIs(t, err, engineversion.ErrNotFound, "build metadata makes another version")
}

// Proves the order by precedence, which is not that of the letters; what cannot
// be read comes first and does not break the list.
func TestVersionList(t *testing.T) {
	pool := newPool(t)
	store := postgres.NewEngineVersions(pool)
	none, err := store.List(t.Context())
	require.NoError(t, err)
	require.NotNil(t, none)
	require.Empty(t, none)

	want := []string{
		"99999999999999999999.0.0", "1.2.0-alpha.2", "1.2.0-alpha.10", "1.2.0-rc.1", "1.2.0", "1.2.0+a", "1.2.0+b", "1.2.9", "1.2.10", "1.10.0", "2.0.0",
	}
	_, err = pool.Exec(t.Context(), "INSERT INTO engine_versions (version, image_ref, status) VALUES ($1, 'engine', 'active')", want[0])
	require.NoError(t, err)
	for _, n := range []int{9, 3, 7, 1, 5, 10, 2, 8, 4, 6} {
		require.NoError(t, store.Insert(t.Context(), newVersion(want[n])))
	}
	versions, err := store.List(t.Context())
	require.NoError(t, err)
	var got []string
	for _, version := range versions {
		got = append(got, version.Version)
	}
	require.Equal(t, want, got)
}

// Proves that a version that cannot be registered is called invalid, with the
// reason, and that nothing is registered.
func TestVersionInvalidInput(t *testing.T) {
	store := postgres.NewEngineVersions(newPool(t))
	for name, change := range map[string]func(*engineversion.EngineVersion){
		"version": func(v *engineversion.EngineVersion) { v.Version = "v1.0.0" },
		"nul":     func(v *engineversion.EngineVersion) { v.Version = "1.0.0\x00" },
		"image":   func(v *engineversion.EngineVersion) { v.ImageRef = " " },
		"text":    func(v *engineversion.EngineVersion) { v.ImageRef = "engine\x00" },
		"status":  func(v *engineversion.EngineVersion) { v.Status = "retired" },
	} {
		version := newVersion("1.0.0")
		change(&version)
		require.ErrorIs(t, store.Insert(t.Context(), version), ports.ErrInvalidInput, name)
	}
	require.ErrorIs(t, store.Insert(t.Context(), newVersion("1.0")), engineversion.ErrInvalidSemver)
	_, err := store.Get(t.Context(), "1.0.0\x00")
	require.ErrorIs(t, err, ports.ErrInvalidInput)
	versions, err := store.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, versions)
}
