package migrations

import (
	"context"
	"fmt"
)

// UpTo is Up, but ends with the given version: the schema of an earlier release.
func UpTo(ctx context.Context, databaseURL string, version int64) error {
	provider, err := open(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = provider.Close() }()
	if _, err := provider.UpTo(ctx, version); err != nil {
		return fmt.Errorf("migrate to %d: %w", version, err)
	}
	return nil
}
