package ports

import (
	"context"
	"fmt"
	"time"

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

	// PutImage registers the version as active, or gives a registered one
	// another image and leaves its status. It returns the entry as it is then,
	// and whether it is new. An image that stays the same is no change; any
	// other is refused with [engineversion.ErrInUse] while a runtime record, of
	// whatever status, names the version.
	PutImage(ctx context.Context, input PutImageInput) (entry engineversion.EngineVersion, created bool, err error)

	// SetStatus activates or deprecates a version and returns the entry as it
	// is then, or [engineversion.ErrNotFound].
	SetStatus(ctx context.Context, input SetVersionStatusInput) (engineversion.EngineVersion, error)

	// Users returns who runs the version: how many games, and the first of them
	// by game id.
	Users(ctx context.Context, input VersionUsersInput) (VersionUsers, error)
}

// PutImageInput asks for the image of one version.
type PutImageInput struct {
	// Version is strict semver.
	Version string
	// ImageRef is the image; not empty.
	ImageRef string
	// Now becomes updated_at, and created_at of a new entry.
	Now time.Time
}

// Validate reports the first reason why the image cannot be put. A version that
// is none wraps [engineversion.ErrInvalidSemver].
func (input PutImageInput) Validate() error {
	const op = "put engine version"
	if _, err := engineversion.ParseSemver(input.Version); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if blank(input.ImageRef) {
		return fmt.Errorf("%s: image ref must not be empty", op)
	}
	return requireNow(op, input.Now)
}

// SetVersionStatusInput asks for the status of one version.
type SetVersionStatusInput struct {
	Version string
	Status  engineversion.Status
	// Now becomes updated_at, unless the status is that already.
	Now time.Time
}

// Validate reports the first reason why the status cannot be set.
func (input SetVersionStatusInput) Validate() error {
	const op = "set engine version status"
	if !input.Status.IsKnown() {
		return fmt.Errorf("%s: status %q is unsupported", op, input.Status)
	}
	return requireNow(op, input.Now)
}

// VersionUsersInput asks who runs a version.
type VersionUsersInput struct {
	Version string
	// GamePrefixes keeps the games whose id begins with one of them; empty
	// keeps all.
	GamePrefixes []string
	// Limit bounds the games that are named, 1 to [MaxPage].
	Limit int
}

// Validate reports the first reason why it cannot be told.
func (input VersionUsersInput) Validate() error {
	return checkLimit("users of an engine version", input.Limit)
}

// VersionUsers are the games whose record names a version, whatever their
// status.
type VersionUsers struct {
	// Count is how many there are.
	Count int
	// GameIDs are the first of them, by game id.
	GameIDs []string
}
