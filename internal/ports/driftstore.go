package ports

import (
	"context"
	"errors"
	"fmt"
	"time"

	"galaxy/gamemaster/internal/domain/drift"
)

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_driftstore.go -package=mocks galaxy/gamemaster/internal/ports DriftStore
//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_driftpager.go -package=mocks galaxy/gamemaster/internal/ports DriftPager

// DriftStore keeps what the watch found. A game has at most one open finding.
type DriftStore interface {
	// Note writes what a page of a pass came to. An open finding of the same
	// kind is seen again, one of another kind is resolved and a new one opened;
	// those of the games in input.InSync are resolved. Noted again, a page
	// changes nothing but the time of the last sighting.
	Note(ctx context.Context, input NoteDriftInput) error

	// Finish keeps the summary of a pass, resolves the open findings of games
	// that have no record any more, and drops resolved findings and passes of
	// before input.KeepSince. Finishing the same pass again overwrites its
	// summary.
	Finish(ctx context.Context, input FinishPassInput) error
}

// NoteDriftInput is what a page of a pass came to.
type NoteDriftInput struct {
	// Found are the differences; ID and the times of a finding are not looked at.
	Found []drift.Finding
	// InSync are the games that were seen to be in sync. Games in neither list
	// keep what they have.
	InSync []string
	// Now is the time of the sightings.
	Now time.Time
}

// Validate reports the first reason why the page cannot be noted.
func (input NoteDriftInput) Validate() error {
	const op = "note drift"
	for _, finding := range input.Found {
		if err := requireGameID(op, finding.GameID); err != nil {
			return err
		}
		if !finding.Kind.IsDifference() {
			return fmt.Errorf("%s: kind %q is no difference", op, finding.Kind)
		}
	}
	for _, gameID := range input.InSync {
		if err := requireGameID(op, gameID); err != nil {
			return err
		}
	}
	return requireNow(op, input.Now)
}

// FinishPassInput is the end of a pass.
type FinishPassInput struct {
	// Pass has its FinishedAt set.
	Pass drift.Pass
	// KeepSince is the oldest time of what is kept.
	KeepSince time.Time
}

// Validate reports the first reason why the pass cannot be finished.
func (input FinishPassInput) Validate() error {
	const op = "finish pass"
	switch {
	case blank(input.Pass.ID):
		return errors.New(op + ": pass id must not be empty")
	case input.Pass.StartedAt.IsZero() || input.Pass.FinishedAt == nil || input.Pass.FinishedAt.IsZero():
		return errors.New(op + ": started at and finished at must not be zero")
	}
	if input.KeepSince.IsZero() {
		return errors.New(op + ": keep since must not be zero")
	}
	return nil
}

// DriftPager reads what the watch found.
type DriftPager interface {
	// PageDrift returns at most input.Limit findings, the highest id first.
	PageDrift(ctx context.Context, input DriftPageInput) ([]drift.Finding, error)

	// CountDrift returns how many findings of each kind are open. Every kind of
	// [drift.Kinds] is in it.
	CountDrift(ctx context.Context) (map[drift.Kind]int64, error)

	// LastPass returns the pass that finished last, or [drift.ErrNotFound].
	LastPass(ctx context.Context) (drift.Pass, error)
}

// DriftPageInput asks for one page of findings. Conditions that are left out
// keep everything.
type DriftPageInput struct {
	GameID string
	Kind   drift.Kind
	// Resolved keeps the resolved findings as well as the open ones.
	Resolved bool
	// GamePrefixes is as in [RuntimePageInput].
	GamePrefixes []string
	// BelowID is the id of the last finding of the page before; zero asks for
	// the first page.
	BelowID int64
	// Limit is 1 to [MaxPage].
	Limit int
}

// Validate reports the first reason why there is no such page.
func (input DriftPageInput) Validate() error {
	const op = "page drift"
	if input.Kind != "" && !input.Kind.IsDifference() {
		return fmt.Errorf("%s: kind %q is unsupported", op, input.Kind)
	}
	if input.BelowID < 0 {
		return fmt.Errorf("%s: below id must not be negative", op)
	}
	return checkLimit(op, input.Limit)
}
