package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// sight is what there was to see of a game.
type sight int

const (
	// sawNothing: Runtime Manager did not tell.
	sawNothing sight = iota
	// sawBoth: record and container.
	sawBoth
	// sawMotion: a patch of the game is open, or its record moves.
	sawMotion
	// sawNoRow: the record is gone.
	sawNoRow
)

// sighting is one look at a game.
type sighting struct {
	what sight
	// finding is set with sawBoth; its kind may be in_sync.
	finding drift.Finding
	// heals says that a reconciliation can heal the finding.
	heals bool
}

// look compares a record with its container. An error that wraps one of Runtime
// Manager's says that its container cannot be told of.
func (w *Watch) look(ctx context.Context, row runtime.RuntimeRecord) (sighting, error) {
	container, err := w.container(ctx, row.GameID)
	if err != nil {
		return sighting{}, err
	}
	if seen := compare(row, container); !seen.finding.Kind.IsDifference() {
		return seen, nil
	}
	return w.lookAgain(ctx, row.GameID)
}

// steadyLooks is how often a record is looked at that does not stand still: a
// write comes every few minutes, so that the second look is already one too
// many.
const steadyLooks = 3

// lookAgain looks closely at a game that seemed to differ. The page was read a
// while ago, and a patch moves container and row one after the other: the
// difference counts only when the row was the same before and after the look at
// the container, and no patch was open before and after that. A patch that
// began, was compensated and ended within one look at the container is not
// noticed; the next pass resolves what is found then.
func (w *Watch) lookAgain(ctx context.Context, gameID string) (sighting, error) {
	if open, err := w.hasOpen(ctx, gameID); err != nil || open {
		return sighting{what: sawMotion}, err
	}
	for range steadyLooks {
		seen, steady, err := w.lookSteadily(ctx, gameID)
		if err != nil {
			return sighting{}, err
		}
		if !steady {
			continue
		}
		if !seen.finding.Kind.IsDifference() {
			return seen, nil
		}
		if open, err := w.hasOpen(ctx, gameID); err != nil || open {
			return sighting{what: sawMotion}, err
		}
		if seen.heals {
			tried, err := w.triedOfLate(ctx, gameID)
			seen.heals = err == nil && !tried
			return seen, err
		}
		return seen, nil
	}
	return sighting{what: sawMotion}, nil
}

// healAgain is how long a game is left alone whose healing failed: what Runtime
// Manager refused five minutes ago it will mostly refuse again, and each try
// leaves a failed run and an audit row.
const healAgain = time.Hour

// triedOfLate reports whether the game's latest operation is a healing of the
// watch that failed not long ago.
func (w *Watch) triedOfLate(ctx context.Context, gameID string) (bool, error) {
	rows, err := w.log.ListByGame(ctx, gameID, 1)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	last := rows[0]
	return last.OpKind == operation.OpKindReconcile && last.OpSource == operation.OpSourceSystem &&
		last.Outcome == operation.OutcomeFailure && time.Since(last.StartedAt) < healAgain, nil
}

// lookSteadily reads the row before and after the look at the container; steady
// is false when it has moved.
func (w *Watch) lookSteadily(ctx context.Context, gameID string) (seen sighting, steady bool, err error) {
	before, err := w.runtimes.Get(ctx, gameID)
	if errors.Is(err, runtime.ErrNotFound) {
		return sighting{what: sawNoRow}, true, nil
	}
	if err != nil {
		return sighting{}, false, err
	}
	container, err := w.container(ctx, gameID)
	if err != nil {
		return sighting{}, false, err
	}
	after, err := w.runtimes.Get(ctx, gameID)
	if errors.Is(err, runtime.ErrNotFound) {
		return sighting{what: sawNoRow}, true, nil
	}
	if err != nil {
		return sighting{}, false, err
	}
	steady = before.Status == after.Status && patch.ImageOf(before) == patch.ImageOf(after)
	return compare(after, container), steady, nil
}

func compare(row runtime.RuntimeRecord, container drift.Container) sighting {
	kind := drift.Judge(row, container)
	return sighting{
		what: sawBoth,
		finding: drift.Finding{
			GameID: row.GameID, Kind: kind, RecordStatus: row.Status,
			RecordVersion: row.CurrentEngineVersion, RecordImageRef: row.CurrentImageRef, Container: container,
		},
		// Runtime Manager can recreate a container, but neither make one that is
		// missing nor stop one that is extra. Where a turn is being generated, the
		// container is left to a later pass.
		heals: kind == drift.ImageDrift && patch.Decided(&row) == patch.LineFollowRow,
	}
}

// container returns the zero value when there is none.
func (w *Watch) container(ctx context.Context, gameID string) (drift.Container, error) {
	container, err := w.rtm.Inspect(ctx, gameID)
	if errors.Is(err, ports.ErrContainerNotFound) {
		return drift.Container{}, nil
	}
	if err != nil {
		return drift.Container{}, err
	}
	return drift.Container{
		ImageRef: container.ImageRef, Status: container.Status, Running: container.Status == ports.ContainerRunning,
	}, nil
}

// runsPatience bounds one question to Temporal, which is answered within
// milliseconds; its client would try again by itself for much longer.
const runsPatience = 5 * time.Second

func (w *Watch) hasOpen(ctx context.Context, gameID string) (bool, error) {
	asking, cancel := context.WithTimeout(ctx, runsPatience)
	defer cancel()
	open, err := w.runs.HasOpen(asking, gameID)
	return open, ofRuns(ctx, "ask for an open patch", err)
}

// ofRuns is an error of Temporal on its way through a step. Its code, if it has
// one, is the one of a request to a patch, which is not to be tried again; a
// step of the watch is.
func ofRuns(ctx context.Context, what string, err error) error {
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s: %v", what, err) //nolint:errorlint // Cut on purpose; see above.
}
