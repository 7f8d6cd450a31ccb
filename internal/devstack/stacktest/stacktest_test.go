package stacktest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/migrations"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// Proves that every test gets a migrated database of its own, which is gone
// when the test ends, even while somebody is connected.
func TestDatabase(t *testing.T) {
	var first string
	t.Run("used", func(t *testing.T) {
		first = stacktest.Database(t)
		second := stacktest.Database(t)
		require.NotEqual(t, first, second)
		pending, err := migrations.Pending(t.Context(), first)
		require.NoError(t, err)
		require.Zero(t, pending)

		conn, err := pgx.Connect(context.Background(), first)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "INSERT INTO engine_versions (version, image_ref, status) VALUES ('1.0.0', 'engine:1.0.0', 'active')")
		require.NoError(t, err)
	})
	_, err := pgx.Connect(t.Context(), first)
	require.ErrorContains(t, err, "does not exist")
}

func BenchmarkDatabase(b *testing.B) {
	stacktest.Database(b)
	for b.Loop() {
		stacktest.Database(b)
	}
}
