package cli_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
)

// TestKeepWatchTriesUntilTemporalIsThere proves that a worker which starts before
// Temporal keeps the watch as soon as that is up, and asks less and less often
// until then.
func TestKeepWatchTriesUntilTemporalIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var tries []time.Duration
		done := cli.TryUntilDone(t.Context(), slog.New(slog.DiscardHandler), func(ctx context.Context) error {
			tries = append(tries, time.Since(began))
			deadline, bounded := ctx.Deadline()
			require.True(t, bounded)
			require.Equal(t, 10*time.Second, time.Until(deadline))
			if len(tries) < 9 {
				return errors.New("connection refused")
			}
			return nil
		})
		require.True(t, done)
		require.Equal(t, []time.Duration{
			0, 1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second,
			63 * time.Second, 123 * time.Second, 183 * time.Second,
		}, tries)
	})
}

// TestKeepWatchEndsWithItsWorker proves that a worker which stops does not wait
// for a Temporal that is away.
func TestKeepWatchEndsWithItsWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		require.False(t, cli.TryUntilDone(ctx, slog.New(slog.DiscardHandler), func(context.Context) error {
			return errors.New("connection refused")
		}))
		require.Equal(t, 5*time.Second, time.Since(began))
	})
}
