package ports

import (
	"context"

	"galaxy/gamemaster/internal/domain/engineversion"
)

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_engineversionstore.go -package=mocks galaxy/gamemaster/internal/ports EngineVersionStore

// EngineVersionStore keeps the registry of engine versions.
type EngineVersionStore interface {
	// Get returns the entry of version, or [engineversion.ErrNotFound].
	Get(ctx context.Context, version string) (engineversion.EngineVersion, error)

	// Insert registers version, or returns [engineversion.ErrConflict] when it
	// is registered already.
	Insert(ctx context.Context, version engineversion.EngineVersion) error

	// List returns every registered version, by semver precedence, lowest
	// first.
	List(ctx context.Context) ([]engineversion.EngineVersion, error)
}
