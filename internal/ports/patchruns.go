package ports

import (
	"context"
	"time"

	"galaxy/gamemaster/internal/domain/patch"
)

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_patchruns.go -package=mocks galaxy/gamemaster/internal/ports PatchRuns

// PatchRuns tells of the runs that hold games, as Temporal knows them.
type PatchRuns interface {
	// HasOpen reports whether a patch or reconciliation of gameID is open now.
	HasOpen(ctx context.Context, gameID string) (bool, error)

	// PageEnded returns a page of the runs that were terminated, or timed out, at
	// or after since; pageToken is that of the page before, empty for the first.
	PageEnded(ctx context.Context, since time.Time, pageToken []byte) (patch.EndedPage, error)
}
