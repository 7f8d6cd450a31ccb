package ports

import "context"

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_fencestore.go -package=mocks galaxy/gamemaster/internal/ports FenceStore

// FenceStore gives out fencing numbers.
type FenceStore interface {
	// Next returns a fencing number of gameID that is at least
	// [patch.FenceStep] above every one that was given out for the game before,
	// also before the game was deleted and registered anew, and before the
	// database was restored from a backup. It is positive and below 2^53, so that
	// every JSON reader can hold it.
	Next(ctx context.Context, gameID string) (int64, error)
}
