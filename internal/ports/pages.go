package ports

import (
	"context"
	"errors"
	"fmt"
	"time"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
)

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_runtimepager.go -package=mocks galaxy/gamemaster/internal/ports RuntimePager
//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_operationpager.go -package=mocks galaxy/gamemaster/internal/ports OperationPager

// MaxPage bounds the rows of one page: a thousand records are about half a
// megabyte, which every caller can hold; one more tells whether there is
// another page.
const MaxPage = 1001

// RuntimePager reads the runtime records page by page. A page begins behind a
// position, not at a number of rows, so that the last page costs what the first
// one does and rows that come meanwhile shift nothing.
type RuntimePager interface {
	// PageRuntimes returns at most input.Limit records by created_at, newest
	// first, and then by game id.
	PageRuntimes(ctx context.Context, input RuntimePageInput) ([]runtime.RuntimeRecord, error)

	// PageDueRunning returns at most input.Limit running records with
	// next_generation_at <= input.At, the longest overdue first, and then by
	// game id.
	PageDueRunning(ctx context.Context, input DuePageInput) ([]runtime.RuntimeRecord, error)
}

// RuntimePageInput asks for one page of runtime records.
type RuntimePageInput struct {
	// Status keeps the records of that status; empty keeps all.
	Status runtime.Status
	// GamePrefixes keeps the games whose id begins with one of them; empty
	// keeps all.
	GamePrefixes []string
	// After is the last record of the page before; nil asks for the first page.
	After *RuntimePosition
	// Limit is 1 to [MaxPage].
	Limit int
}

// RuntimePosition is the place of a record in the list.
type RuntimePosition struct {
	CreatedAt time.Time
	GameID    string
}

// Validate reports the first reason why there is no such page.
func (input RuntimePageInput) Validate() error {
	const op = "page runtime records"
	if input.Status != "" && !input.Status.IsKnown() {
		return fmt.Errorf("%s: status %q is unsupported", op, input.Status)
	}
	return checkLimit(op, input.Limit)
}

// DuePageInput asks for one page of the records whose turn is due.
type DuePageInput struct {
	// At is the instant at which they are due.
	At time.Time
	// GamePrefixes is as in [RuntimePageInput].
	GamePrefixes []string
	// After is the last record of the page before; nil asks for the first page.
	After *DuePosition
	// Limit is 1 to [MaxPage].
	Limit int
}

// DuePosition is the place of a record in the list of those that are due.
type DuePosition struct {
	NextGenerationAt time.Time
	GameID           string
}

// Validate reports the first reason why there is no such page.
func (input DuePageInput) Validate() error {
	const op = "page due runtime records"
	if input.At.IsZero() {
		return fmt.Errorf("%s: at must not be zero", op)
	}
	return checkLimit(op, input.Limit)
}

// OperationPager reads the audit log page by page.
type OperationPager interface {
	// PageOperations returns at most input.Limit entries by started_at, newest
	// first, and then by id, highest first.
	PageOperations(ctx context.Context, input OperationPageInput) ([]operation.OperationEntry, error)
}

// OperationPageInput asks for one page of the audit log. Conditions that are
// left out keep everything.
type OperationPageInput struct {
	GameID    string
	Outcome   operation.Outcome
	ErrorCode string
	// Since and Until bound started_at: at or after Since, before Until.
	Since, Until *time.Time
	// GamePrefixes is as in [RuntimePageInput].
	GamePrefixes []string
	// After is the last entry of the page before; nil asks for the first page.
	After *OperationPosition
	// Limit is 1 to [MaxPage].
	Limit int
}

// OperationPosition is the place of an entry in the list.
type OperationPosition struct {
	StartedAt time.Time
	ID        int64
}

// Validate reports the first reason why there is no such page.
func (input OperationPageInput) Validate() error {
	const op = "page operations"
	if input.Outcome != "" && !input.Outcome.IsKnown() {
		return fmt.Errorf("%s: outcome %q is unsupported", op, input.Outcome)
	}
	if input.Since != nil && input.Until != nil && !input.Since.Before(*input.Until) {
		return errors.New(op + ": since must be before until")
	}
	return checkLimit(op, input.Limit)
}

func checkLimit(op string, limit int) error {
	if limit < 1 || limit > MaxPage {
		return fmt.Errorf("%s: limit is %d, want 1 to %d", op, limit, MaxPage)
	}
	return nil
}
