package ports

import (
	"context"
	"fmt"
	"time"

	"galaxy/gamemaster/internal/domain/runtime"
)

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_runtimeregistrar.go -package=mocks galaxy/gamemaster/internal/ports RuntimeRegistrar

// RuntimeRegistrar takes games into the runtime records.
type RuntimeRegistrar interface {
	// Register installs the record of a game that runs a registered version, with
	// the image that the registry has for it, and returns it as stored. No change
	// of the version comes in between. It returns [engineversion.ErrNotFound]
	// when the version is not registered, [engineversion.ErrDeprecated] when it is
	// not active, and [runtime.ErrConflict] when the game has a record already.
	Register(ctx context.Context, input RegisterInput) (runtime.RuntimeRecord, error)
}

// RegisterInput asks for the record of one game.
type RegisterInput struct {
	// GameID is the game; see [runtime.ValidGameID] for its shape.
	GameID string
	// EngineVersion is the version that it runs; not empty.
	EngineVersion string
	// Status is where the game is in its life.
	Status runtime.Status
	// Now becomes created_at and updated_at and, by Status, started_at,
	// stopped_at or finished_at.
	Now time.Time
}

// Validate reports the first reason why the game cannot be registered.
func (input RegisterInput) Validate() error {
	const op = "register runtime record"
	switch {
	case !runtime.ValidGameID(input.GameID):
		return fmt.Errorf("%s: game id %q is not of the shape of one", op, input.GameID)
	case blank(input.EngineVersion):
		return fmt.Errorf("%s: engine version must not be empty", op)
	case !input.Status.IsKnown():
		return fmt.Errorf("%s: status %q is unsupported", op, input.Status)
	}
	return requireNow(op, input.Now)
}
