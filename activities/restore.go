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
	// Quiet says that the run made no call to Runtime Manager that could be under
	// way. Otherwise they are fenced off before anything is believed, also when
	// the only one was answered with a refusal: that may be the word of a proxy.
	Quiet bool `json:"quiet,omitempty"`
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
	return RestoreContainerResult{
		Undo: undo, Stands: input.RotationTried && patch.Stands(input.Plan, undo), Attempt: attempt(ctx),
	}, nil
}

func (a *Activities) restore(ctx context.Context, input RestoreContainerInput) (undo patch.Undo, err error) {
	var fence int64
	if !input.Quiet || attempt(ctx) > 1 {
		if fence, err = a.fence(ctx, input.GameID, input.Fence); err != nil {
			return undo, err
		}
	}
	undo, err = a.look(ctx, input.GameID)
	if errors.Is(err, errTurnInProgress) && input.Untouched {
		undo.Line, err = patch.LineLeftAlone, nil
	}
	if err != nil {
		return undo, err
	}
	if undo.Line == patch.LineFollowRow && undo.Container == "" && input.Refused {
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

// look reads the row and, where the row's line asks for it, the container. The
// line is LineFollowRow only when the container has to be recreated.
func (a *Activities) look(ctx context.Context, gameID string) (patch.Undo, error) {
	row, err := a.runtimes.Get(ctx, gameID)
	if errors.Is(err, runtime.ErrNotFound) {
		return patch.Undo{Line: patch.Decided(nil)}, nil
	}
	if err != nil {
		return patch.Undo{}, err
	}
	undo := patch.Undo{Line: patch.Decided(&row), RowStatus: row.Status, Row: patch.ImageOf(row)}
	if undo.Line == patch.LineWaitForTurn {
		return undo, errTurnInProgress
	}
	if undo.Line != patch.LineFollowRow {
		// Nothing is done about it, but what runs of a stopped game is told.
		if container, err := a.inspect(ctx, gameID); err == nil && container.Status == ports.ContainerRunning {
			undo.Container = container.ImageRef
		}
		return undo, nil
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
