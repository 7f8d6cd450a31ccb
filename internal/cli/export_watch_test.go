package cli

import (
	"context"
	"log/slog"
)

// TryUntilDone is how a worker tries to keep the schedule of the watch.
func TryUntilDone(ctx context.Context, logger *slog.Logger, ensure func(context.Context) error) bool {
	return tryUntilDone(ctx, logger, ensure)
}
