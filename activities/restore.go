package activities

import (
	"context"
	"errors"
	"fmt"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// RestoreContainerInput asks for the container to be brought in line with the
// row.
type RestoreContainerInput struct {
	GameID string `json:"game_id"`
	// IdempotencyKey is the same on every attempt; see [patch.IdempotencyKey].
	IdempotencyKey string `json:"idempotency_key"`
	// Plan is what the run had planned.
	Plan patch.Plan `json:"plan"`
	// Fence is that of [Activities.TakeFence].
	Fence int64 `json:"fence"`
	// FirstRunID is the run that was started; it is another than the step's own
	// run after a reset, and then what the run knows of its calls is not all.
	FirstRunID string `json:"first_run_id,omitempty"`
	// Untouched says that the run made no call for a recreate: then a turn that
	// is being generated is none of its business.
	Untouched bool `json:"untouched,omitempty"`
	// Refused says that Runtime Manager answered the only call of the run with a
	// refusal, or that there was none: a container that is missing now was
	// missing before.
	Refused bool `json:"refused,omitempty"`
	// RotationTried says that the run tried to write the plan into the row, and
	// does not know whether it took place.
	RotationTried bool `json:"rotation_tried,omitempty"`
}

// RestoreContainerResult is what was seen and done.
type RestoreContainerResult struct {
	Undo patch.Undo `json:"undo"`
	// Stands says that the patch turned out to have been done; see
	// [patch.Stands].
	Stands  bool `json:"stands,omitempty"`
	Attempt int  `json:"attempt"`
}

// RestoreContainer makes the container match the row as it is now: it has
// Runtime Manager refuse what is still under way for the game, reads the row,
// follows the undo table, and reads both again before it calls it done. A
// stopped or missing game is left alone. While a turn is generated, or while
// either side still moves, it fails for now with service_unavailable, and so
// does everything else that keeps it from being sure. Runtime Manager's
// refusal is final, and so is a game that was stopped while its container was
// being recreated: somebody has to stop it again.
func (a *Activities) RestoreContainer(ctx context.Context, input RestoreContainerInput) (RestoreContainerResult, error) {
	const op = "restore container"
	ctx, done := alive(ctx)
	defer done()

	undo, err := a.restore(ctx, input)
	if err != nil {
		return RestoreContainerResult{}, failed(ctx, op, err)
	}
	undo.RunID = runID(ctx)
	return RestoreContainerResult{
		Undo: undo, Stands: input.RotationTried && patch.Stands(input.Plan, undo), Attempt: attempt(ctx),
	}, nil
}

func (a *Activities) restore(ctx context.Context, input RestoreContainerInput) (undo patch.Undo, err error) {
	// Whatever the run knows of its calls: a refusal may be the word of a proxy,
	// and attempts are counted anew when an operator resets the step.
	fence, err := a.fence(ctx, input.GameID, input.Fence)
	if err != nil {
		return undo, err
	}
	sure := !tookOver(ctx, input.FirstRunID)
	undo, err = a.look(ctx, input.GameID)
	if errors.Is(err, errTurnInProgress) && input.Untouched && sure {
		undo, err = a.leaveToTurn(ctx, input.GameID, undo)
	}
	if err != nil {
		return undo, err
	}
	if undo.Line == patch.LineFollowRow && undo.Container == "" && input.Refused && sure {
		undo.Line = patch.LineMissing
	}
	if undo.Line == patch.LineFollowRow {
		if undo, err = a.recreate(ctx, input, undo); err != nil {
			return undo, err
		}
	}
	undo.Fence = fence
	return undo, nil
}

// leaveToTurn is for a run that made no call: the turn is none of its business,
// as far as the container is what the row says.
func (a *Activities) leaveToTurn(ctx context.Context, gameID string, undo patch.Undo) (patch.Undo, error) {
	container, err := a.inspect(ctx, gameID)
	if err != nil {
		return undo, err
	}
	undo.Container = container.ImageRef
	if !container.Runs(undo.Row.ImageRef) {
		return undo, errTurnInProgress
	}
	undo.Line = patch.LineLeftAlone
	return undo, nil
}

// look reads the row and, where the row's line asks for it, the container. The
// line is LineFollowRow only when the container has to be recreated.
func (a *Activities) look(ctx context.Context, gameID string) (patch.Undo, error) {
	row, err := a.runtimes.Get(ctx, gameID)
	if errors.Is(err, runtime.ErrNotFound) {
		return a.lookAtAlone(ctx, gameID, patch.Undo{Line: patch.Decided(nil)})
	}
	if err != nil {
		return patch.Undo{}, err
	}
	undo := patch.Undo{Line: patch.Decided(&row), RowStatus: row.Status, Row: patch.ImageOf(row)}
	if undo.Line == patch.LineWaitForTurn {
		return undo, errTurnInProgress
	}
	if undo.Line != patch.LineFollowRow {
		return a.lookAtAlone(ctx, gameID, undo)
	}
	container, err := a.inspect(ctx, gameID)
	if err != nil {
		return undo, err
	}
	undo.Container = container.ImageRef
	if container.Runs(row.CurrentImageRef) {
		undo.Line = patch.LineInLine
	}
	return undo, nil
}

// lookAtAlone tells what runs of a game that is stopped or gone; nothing is done
// about it.
func (a *Activities) lookAtAlone(ctx context.Context, gameID string, undo patch.Undo) (patch.Undo, error) {
	container, err := a.inspect(ctx, gameID)
	if err == nil && container.Status == ports.ContainerRunning {
		undo.Container = container.ImageRef
	}
	return undo, err
}

// recreate puts the container on the row's image and looks at both again, since
// either may have moved meanwhile.
func (a *Activities) recreate(ctx context.Context, input RestoreContainerInput, seen patch.Undo) (patch.Undo, error) {
	err := a.rtm.Patch(ctx, ports.RTMPatchInput{
		GameID:         input.GameID,
		ImageRef:       seen.Row.ImageRef,
		IdempotencyKey: patch.RestoreKey(input.IdempotencyKey, input.Plan, seen.Row),
		Fence:          patch.Fence(input.Fence, attempt(ctx)),
	})
	if err != nil {
		return seen, err
	}
	now, err := a.look(ctx, input.GameID)
	if err != nil {
		return seen, err
	}
	if now.Line == patch.LineFollowRow {
		return seen, fmt.Errorf("%w: row is on %s, container on %q", errOutOfLine, now.Row.ImageRef, now.Container)
	}
	if now.Line == patch.LineLeftAlone && now.Container == "" && now.RowStatus != "" {
		// Stopped in the same moment, container and all.
		return now, nil
	}
	if now.Line != patch.LineInLine {
		return seen, fmt.Errorf("%w: row is %q by now", errStartedStopped, now.RowStatus)
	}
	now.Line = patch.LineRecreated
	now.Container = seen.Container
	return now, nil
}
