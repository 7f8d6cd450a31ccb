// Package ports declares the interfaces through which Game Master reaches
// state and services outside itself. The adapters implement them; the
// activities and the API use them.
package ports

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"galaxy/gamemaster/internal/domain/runtime"
)

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_runtimerecordstore.go -package=mocks galaxy/gamemaster/internal/ports RuntimeRecordStore

// RuntimeRecordStore keeps the runtime records. It is the specification's port:
// every method returns the sentinels of package runtime, wrapped or bare, and
// any other error means that the outcome is unknown to the caller.
type RuntimeRecordStore interface {
	// Get returns the record of gameID, or [runtime.ErrNotFound].
	Get(ctx context.Context, gameID string) (runtime.RuntimeRecord, error)

	// Insert installs record, or returns [runtime.ErrConflict] when the game
	// has a row already.
	Insert(ctx context.Context, record runtime.RuntimeRecord) error

	// UpdateStatus moves one record to another status, if its stored status is
	// input.ExpectedFrom. A pair that [runtime.Transition] refuses never
	// reaches the store. It returns [runtime.ErrNotFound] when there is no row
	// and [runtime.ErrConflict] on a stale compare-and-swap.
	UpdateStatus(ctx context.Context, input UpdateStatusInput) error

	// UpdateScheduling overwrites next_generation_at, skip_next_tick and
	// current_turn together, whatever the status. It returns
	// [runtime.ErrNotFound] when there is no row.
	UpdateScheduling(ctx context.Context, input UpdateSchedulingInput) error

	// UpdateImage rotates current_image_ref and current_engine_version if the
	// stored status is input.ExpectedStatus; the status stays. It returns
	// [runtime.ErrNotFound] when there is no row and [runtime.ErrConflict] on
	// a stale compare-and-swap. Beyond the specification, the stored image and
	// version and a fencing number may be part of what is compared, and it returns
	// [ErrStaleFence] when the number is not the last one, and
	// [engineversion.ErrConflict] when the registry has another image for the
	// version.
	UpdateImage(ctx context.Context, input UpdateImageInput) error

	// UpdateEngineHealth overwrites engine_health from any status, so that
	// late observations of stopped and finished games are kept as well. It
	// returns [runtime.ErrNotFound] when there is no row.
	UpdateEngineHealth(ctx context.Context, input UpdateEngineHealthInput) error

	// Delete removes the record of gameID; nil also when there is none.
	Delete(ctx context.Context, gameID string) error

	// ListDueRunning returns every running record with
	// next_generation_at <= now, the longest overdue first.
	ListDueRunning(ctx context.Context, now time.Time) ([]runtime.RuntimeRecord, error)

	// ListByStatus returns every record with that status, newest first.
	ListByStatus(ctx context.Context, status runtime.Status) ([]runtime.RuntimeRecord, error)

	// List returns every record by created_at, newest first.
	List(ctx context.Context) ([]runtime.RuntimeRecord, error)
}

// UpdateStatusInput asks for one status move. A nil field leaves its column
// alone.
type UpdateStatusInput struct {
	// GameID names the record.
	GameID string
	// ExpectedFrom is the status that the caller believes to be stored.
	ExpectedFrom runtime.Status
	// To is the status to move to.
	To runtime.Status
	// Now becomes updated_at and, by To, started_at, stopped_at or
	// finished_at.
	Now time.Time
	// EngineHealthSummary, CurrentImageRef and CurrentEngineVersion are
	// written along with the status when they are not nil.
	EngineHealthSummary  *string
	CurrentImageRef      *string
	CurrentEngineVersion *string
}

// Validate reports the first reason why the move cannot be tried. A pair of
// statuses that is not allowed wraps [runtime.ErrInvalidTransition].
func (input UpdateStatusInput) Validate() error {
	const op = "update runtime status"
	if err := requireGameID(op, input.GameID); err != nil {
		return err
	}
	if !input.ExpectedFrom.IsKnown() {
		return fmt.Errorf("%s: expected from status %q is unsupported", op, input.ExpectedFrom)
	}
	if !input.To.IsKnown() {
		return fmt.Errorf("%s: to status %q is unsupported", op, input.To)
	}
	if err := runtime.Transition(input.ExpectedFrom, input.To); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := requireNow(op, input.Now); err != nil {
		return err
	}
	if input.CurrentImageRef != nil && blank(*input.CurrentImageRef) {
		return fmt.Errorf("%s: current image ref must not be empty when set", op)
	}
	if input.CurrentEngineVersion != nil && blank(*input.CurrentEngineVersion) {
		return fmt.Errorf("%s: current engine version must not be empty when set", op)
	}
	return nil
}

// UpdateSchedulingInput overwrites the scheduling columns of one record.
type UpdateSchedulingInput struct {
	// GameID names the record.
	GameID string
	// NextGenerationAt is the next turn's time; nil writes NULL.
	NextGenerationAt *time.Time
	// SkipNextTick overwrites the column.
	SkipNextTick bool
	// CurrentTurn overwrites the column; not negative.
	CurrentTurn int
	// Now becomes updated_at.
	Now time.Time
}

// Validate reports the first reason why the columns cannot be overwritten.
func (input UpdateSchedulingInput) Validate() error {
	const op = "update runtime scheduling"
	if err := requireGameID(op, input.GameID); err != nil {
		return err
	}
	if input.CurrentTurn < 0 {
		return fmt.Errorf("%s: current turn must not be negative", op)
	}
	if input.NextGenerationAt != nil && input.NextGenerationAt.IsZero() {
		return fmt.Errorf("%s: next generation at must not be zero when set", op)
	}
	return requireNow(op, input.Now)
}

// UpdateImageInput rotates image and version of one record, guarded by its
// status.
type UpdateImageInput struct {
	// GameID names the record.
	GameID string
	// ExpectedStatus is the status that the caller believes to be stored.
	ExpectedStatus runtime.Status
	// CurrentImageRef and CurrentEngineVersion are the new values; not empty.
	CurrentImageRef      string
	CurrentEngineVersion string
	// ExpectedImageRef and ExpectedEngineVersion are what the caller believes to
	// be stored; a row that holds the new values already passes as well. Both
	// empty, as the specification has it, whatever is stored is overwritten.
	ExpectedImageRef      string
	ExpectedEngineVersion string
	// Fence, when not zero, has to be the fencing number that was given out last
	// for the game, or the rotation comes to [ErrStaleFence]: a statement that was
	// given up on must not land after the undo took a number.
	Fence int64
	// Now becomes updated_at.
	Now time.Time
}

// Validate reports the first reason why the rotation cannot be tried.
func (input UpdateImageInput) Validate() error {
	const op = "update runtime image"
	if err := requireGameID(op, input.GameID); err != nil {
		return err
	}
	if !input.ExpectedStatus.IsKnown() {
		return fmt.Errorf("%s: expected status %q is unsupported", op, input.ExpectedStatus)
	}
	if blank(input.CurrentImageRef) {
		return fmt.Errorf("%s: current image ref must not be empty", op)
	}
	if blank(input.CurrentEngineVersion) {
		return fmt.Errorf("%s: current engine version must not be empty", op)
	}
	if blank(input.ExpectedImageRef) != blank(input.ExpectedEngineVersion) {
		return fmt.Errorf("%s: expected image ref and engine version go together", op)
	}
	return requireNow(op, input.Now)
}

// UpdateEngineHealthInput overwrites the health summary of one record.
type UpdateEngineHealthInput struct {
	// GameID names the record.
	GameID string
	// EngineHealthSummary is the new summary; empty clears it.
	EngineHealthSummary string
	// Now becomes updated_at.
	Now time.Time
}

// Validate reports the first reason why the summary cannot be overwritten.
func (input UpdateEngineHealthInput) Validate() error {
	const op = "update runtime engine health"
	if err := requireGameID(op, input.GameID); err != nil {
		return err
	}
	return requireNow(op, input.Now)
}

func requireGameID(op, gameID string) error {
	if blank(gameID) {
		return fmt.Errorf("%s: game id must not be empty", op)
	}
	return nil
}

func requireNow(op string, now time.Time) error {
	if now.IsZero() {
		return fmt.Errorf("%s: now must not be zero", op)
	}
	return nil
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// ErrStaleFence says that another fencing number has been given out for the game
// since: whatever the caller is about to write is not wanted any more.
var ErrStaleFence = errors.New("a later fencing number has been given out for the game")

// ErrInvalidInput says that an input's Validate refused it before anything was
// touched; stores wrap it around the reason, so that callers do not try again.
var ErrInvalidInput = errors.New("invalid input")
