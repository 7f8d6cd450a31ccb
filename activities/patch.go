package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// PatchContainerInput asks for one recreate.
type PatchContainerInput struct {
	GameID string     `json:"game_id"`
	Plan   patch.Plan `json:"plan"`
	// IdempotencyKey is the same on every attempt; see [patch.IdempotencyKey].
	IdempotencyKey string `json:"idempotency_key"`
	// Fence is that of [Activities.TakeFence].
	Fence int64 `json:"fence"`
	// FirstRunID is the run that was started; it is another than the step's own
	// run after a reset.
	FirstRunID string `json:"first_run_id"`
}

// PatchContainerResult says how the container came to run the target.
type PatchContainerResult struct {
	// FoundDone says that an earlier attempt had done it, though its answer
	// was lost.
	FoundDone bool `json:"found_done,omitempty"`
	// RunID is the run that had it done; after a reset it is another than the
	// run that goes on from here.
	RunID string `json:"run_id"`
	// At is when, by the clock of the worker. It becomes updated_at of the record,
	// by which a run knows its own write.
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
}

// PatchContainer has Runtime Manager recreate the container on the target
// image. Before every attempt it reads the row, because the game may have been
// stopped or moved since the plan was made. Before every attempt but the first,
// and before the first one of a run that took another's place after a reset, it
// asks what the container runs, because it may have been done already; and
// after it, because an answer is not the container. It fails
// for good with conflict or runtime_not_found, and with service_unavailable: for
// good when Runtime Manager refused, for now otherwise.
func (a *Activities) PatchContainer(ctx context.Context, input PatchContainerInput) (PatchContainerResult, error) {
	const op = "rtm patch"
	ctx, done := alive(ctx)
	defer done()

	if err := a.stillHolds(ctx, input.GameID, input.Plan); err != nil {
		return PatchContainerResult{}, failed(ctx, op, err)
	}
	found, err := a.foundDone(ctx, input)
	if err != nil {
		return PatchContainerResult{}, failed(ctx, op, err)
	}
	if !found {
		if err := a.moveContainer(ctx, input); err != nil {
			return PatchContainerResult{}, failed(ctx, op, err)
		}
	}
	return PatchContainerResult{FoundDone: found, RunID: runID(ctx), At: time.Now().UTC(), Attempt: attempt(ctx)}, nil
}

// moveContainer recreates the container and looks whether it is true: a record
// that was rotated on the word of a Runtime Manager alone could differ from its
// container until the watch comes by.
func (a *Activities) moveContainer(ctx context.Context, input PatchContainerInput) error {
	target := input.Plan.To.ImageRef
	err := a.rtm.Patch(ctx, ports.RTMPatchInput{
		GameID:         input.GameID,
		ImageRef:       target,
		IdempotencyKey: input.IdempotencyKey,
		Fence:          patch.Fence(input.Fence, attempt(ctx)),
	})
	if err != nil {
		return err
	}
	container, err := a.inspect(ctx, input.GameID)
	if err == nil && !container.Runs(target) {
		err = fmt.Errorf("it is %q on %q", container.Status, container.ImageRef)
	}
	if err != nil {
		// Without a status: what became of the call is not known.
		return &ports.RTMError{Kind: ports.ErrRTMUnavailable, Err: fmt.Errorf("the container was said to be recreated on %q: %w", target, err)}
	}
	return nil
}

// foundDone looks whether an earlier attempt, or an earlier run, has recreated
// the container already.
func (a *Activities) foundDone(ctx context.Context, input PatchContainerInput) (bool, error) {
	reset := tookOver(ctx, input.FirstRunID)
	if attempt(ctx) == 1 && !reset {
		return false, nil
	}
	if reset {
		// What the run before it still has under way must not land behind the
		// look: that may be its undo.
		if _, err := a.fence(ctx, input.GameID, input.Fence); err != nil {
			return false, err
		}
	}
	if input.Plan.SameImage() {
		// The container ran the target's image to begin with, so that a look at it
		// proves nothing; there the idempotency key alone keeps it to one recreate.
		return false, nil
	}
	container, err := a.inspect(ctx, input.GameID)
	return err == nil && container.Runs(input.Plan.To.ImageRef), err
}

// stillHolds reads the row and refuses a plan that it has moved away from.
func (a *Activities) stillHolds(ctx context.Context, gameID string, plan patch.Plan) error {
	record, err := a.runtimes.Get(ctx, gameID)
	if err != nil {
		return err
	}
	return plan.StillHolds(record)
}

// inspect returns the zero Container, which runs nothing, when there is none.
func (a *Activities) inspect(ctx context.Context, gameID string) (ports.Container, error) {
	container, err := a.rtm.Inspect(ctx, gameID)
	if errors.Is(err, ports.ErrContainerNotFound) {
		return ports.Container{}, nil
	}
	return container, err
}

// UpdateImageInput asks for the rotation of the row.
type UpdateImageInput struct {
	// Record is the row as it was loaded.
	Record runtime.RuntimeRecord `json:"record"`
	Plan   patch.Plan            `json:"plan"`
	// PatchedBy is the run that recreated the container.
	PatchedBy string `json:"patched_by"`
	// Fence is that of the recreate; see [Activities.TakeFence].
	Fence int64 `json:"fence,omitempty"`
	// Now becomes updated_at: that of [PatchContainerResult], so that every attempt
	// writes the same row, also one in a task that is done again.
	Now time.Time `json:"now"`
}

// UpdateImageResult is the row after the rotation.
type UpdateImageResult struct {
	Record runtime.RuntimeRecord `json:"record"`
	// FoundDone says that an earlier attempt had written it, though its answer
	// was lost, or an earlier run.
	FoundDone bool `json:"found_done,omitempty"`
	// RunID is the run that wrote it; empty when it was written already.
	RunID string `json:"run_id,omitempty"`
	// Behind says that nothing was written, and that the container has to be looked
	// at first: the run was reset to behind the recreate, or another fencing number
	// has been given out since.
	Behind  bool `json:"behind,omitempty"`
	Attempt int  `json:"attempt"`
}

// UpdateImage rotates image and version of the row by compare-and-swap on its
// status. Before it, it looks whether another writer has put the row on another
// image; a row that is on the target already is an own write whose answer was
// lost, and a success. It fails for good with conflict or runtime_not_found, and
// for now with service_unavailable.
func (a *Activities) UpdateImage(ctx context.Context, input UpdateImageInput) (UpdateImageResult, error) {
	const op = "update runtime image"
	if input.PatchedBy != runID(ctx) {
		return UpdateImageResult{Behind: true, Attempt: attempt(ctx)}, nil
	}
	row, err := a.runtimes.Get(ctx, input.Record.GameID)
	if err != nil {
		return UpdateImageResult{}, failed(ctx, op, err)
	}
	if err := patch.SameGame(input.Record, row); err != nil {
		return UpdateImageResult{}, failed(ctx, op, err)
	}
	if input.Plan.Recorded(row) {
		return foundRecorded(ctx, input, row), nil
	}
	if err := input.Plan.StillHolds(row); err != nil {
		return UpdateImageResult{}, failed(ctx, op, err)
	}
	err = a.runtimes.UpdateImage(ctx, ports.UpdateImageInput{
		GameID:               input.Record.GameID,
		ExpectedStatus:       runtime.StatusRunning,
		CurrentImageRef:      input.Plan.To.ImageRef,
		CurrentEngineVersion: input.Plan.To.Version,
		// Not left to the look before it: a statement that was given up on may
		// arrive after the next patch of the game.
		ExpectedImageRef:      input.Plan.From.ImageRef,
		ExpectedEngineVersion: input.Plan.From.Version,
		Fence:                 input.Fence,
		Now:                   input.Now,
	})
	if errors.Is(err, ports.ErrStaleFence) {
		return UpdateImageResult{Behind: true, Attempt: attempt(ctx)}, nil
	}
	if errors.Is(err, engineversion.ErrConflict) {
		err = input.Plan.OtherImage()
	}
	if errors.Is(err, runtime.ErrConflict) {
		if row, err = a.runtimes.Get(ctx, input.Record.GameID); err == nil {
			return settleConflict(ctx, input, row)
		}
	}
	if err != nil {
		return UpdateImageResult{}, failed(ctx, op, err)
	}
	return UpdateImageResult{Record: input.rotated(row), RunID: runID(ctx), Attempt: attempt(ctx)}, nil
}

// foundRecorded is a row that is on the target before anything was written: by
// an earlier attempt of this run, whose time the row has, or by somebody else.
func foundRecorded(ctx context.Context, input UpdateImageInput, row runtime.RuntimeRecord) UpdateImageResult {
	result := UpdateImageResult{Record: row, FoundDone: true, Attempt: attempt(ctx)}
	if row.UpdatedAt.Sub(input.Now).Abs() <= storedPrecision {
		result.RunID = runID(ctx)
	}
	return result
}

// storedPrecision is that of the times of a stored row.
const storedPrecision = time.Microsecond

// settleConflict judges a row that lost the swap.
func settleConflict(ctx context.Context, input UpdateImageInput, row runtime.RuntimeRecord) (UpdateImageResult, error) {
	if input.Plan.Recorded(row) {
		return foundRecorded(ctx, input, row), nil
	}
	err := input.Plan.StillHolds(row)
	if err == nil {
		err = patch.LostSwap(row)
	}
	return UpdateImageResult{}, failed(ctx, "update runtime image", err)
}

// rotated is row after the rotation, which writes nothing else.
func (input UpdateImageInput) rotated(row runtime.RuntimeRecord) runtime.RuntimeRecord {
	row.CurrentImageRef, row.CurrentEngineVersion = input.Plan.To.ImageRef, input.Plan.To.Version
	row.UpdatedAt = input.Now.UTC().Truncate(storedPrecision)
	return row
}
