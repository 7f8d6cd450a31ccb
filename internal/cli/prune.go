package cli

import (
	"context"
	"log/slog"
	"time"

	"galaxy/gamemaster/internal/ports"
)

const (
	// keyRetention is how long an Idempotency-Key is remembered: the contract
	// promises 30 days, and a day more makes up for clocks and zones.
	keyRetention = 31 * 24 * time.Hour

	// pruneInterval and pruneBatch keep the work small: a busy month has some
	// million keys, of which an hour's share goes at a time, a thousand to a
	// statement so that none holds its locks for long.
	pruneInterval = time.Hour
	pruneBatch    = 1000

	// pruneTimeout bounds one batch.
	pruneTimeout = 10 * time.Second
)

// pruneKeys removes Idempotency-Keys that are older than is promised, now and
// every hour, until ctx ends. Several processes do no harm to each other.
func pruneKeys(ctx context.Context, keys ports.IdempotencyKeyStore, logger *slog.Logger) {
	ticker := time.NewTicker(pruneInterval)
	defer ticker.Stop()
	for {
		removed, err := pruneOnce(ctx, keys, time.Now().Add(-keyRetention))
		switch {
		case err != nil && ctx.Err() == nil:
			logger.Warn("prune idempotency keys", "err", err.Error())
		case removed > 0:
			logger.Info("pruned idempotency keys", "removed", removed)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// pruneOnce removes all keys from before the instant, batch by batch.
func pruneOnce(ctx context.Context, keys ports.IdempotencyKeyStore, before time.Time) (removed int, err error) {
	for {
		batch, cancel := context.WithTimeout(ctx, pruneTimeout)
		n, err := keys.Prune(batch, before, pruneBatch)
		cancel()
		removed += n
		if err != nil || n < pruneBatch {
			return removed, err
		}
	}
}
