package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/internal/ports"
)

type pruneCommand struct {
	HistoriesOlderThan time.Duration `required:"" help:"Drop exported histories of runs that closed longer ago than that, such as 17520h for two years. The audit log keeps a row of each run."`
}

// minHistories is the least that histories are kept: longer than any retention
// that a namespace is likely to have, since a run that Temporal still has would be
// exported again.
const minHistories = 90 * 24 * time.Hour

// historyBatch is how many histories go in one statement: at some kilobytes each
// it takes a fraction of a second.
const historyBatch = 1000

// Run drops the histories, batch by batch; what is gone stays gone when it is
// interrupted. A Postgres that does not answer, or not to the end, has the exit
// code of what may be tried again.
func (c *pruneCommand) Run(p *process) error {
	if c.HistoriesOlderThan < minHistories {
		return misused(fmt.Errorf("--histories-older-than: %s, want at least %s", c.HistoriesOlderThan, minHistories))
	}
	settings, err := config.Load(p.environ, config.NeedDatabase)
	if err != nil {
		return refused(err)
	}
	pool, err := postgres.Open(p.ctx, settings.DatabaseURL, postgres.WithApplicationName("gamemaster-prune"), postgres.WithMaxConns(1))
	if err != nil {
		return &exit{ExitUnavailable, fmt.Errorf("DATABASE_URL: %w", err)}
	}
	defer pool.Close()
	histories, before := postgres.NewHistories(pool), time.Now().Add(-c.HistoriesOlderThan)
	for removed := 0; ; {
		n, err := histories.PruneHistories(p.ctx, before, historyBatch)
		removed += n
		if err != nil || n < historyBatch {
			fmt.Fprintf(p.stdout, "dropped %d histories of runs that closed before %s\n", removed, textOf(before))
			if err != nil {
				return &exit{ExitUnavailable, fmt.Errorf("not all histories could be dropped: %w", err)}
			}
			return nil
		}
	}
}

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
