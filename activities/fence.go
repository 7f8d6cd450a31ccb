package activities

import (
	"context"
	"errors"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// TakeFenceInput asks for a fencing number.
type TakeFenceInput struct {
	GameID string `json:"game_id"`
}

// TakeFenceResult is what the attempts of the next step are numbered from; see
// [patch.Fence].
type TakeFenceResult struct {
	Fence   int64 `json:"fence"`
	Attempt int   `json:"attempt"`
}

// TakeFence takes a number above all that the game's earlier calls to Runtime
// Manager can have carried. It is a step of its own, ahead of the one that
// calls: a number that the calling step took by itself could be taken by an
// attempt that had been given up on, after the undo took its own. It fails for
// now with service_unavailable.
func (a *Activities) TakeFence(ctx context.Context, input TakeFenceInput) (TakeFenceResult, error) {
	fence, err := a.fences.Next(ctx, input.GameID)
	if err != nil {
		return TakeFenceResult{}, failed(ctx, "take a fencing number", err)
	}
	return TakeFenceResult{Fence: fence, Attempt: attempt(ctx)}, nil
}

// FenceOffInput asks for older calls to be refused.
type FenceOffInput struct {
	GameID string `json:"game_id"`
	// Fence is that of [Activities.TakeFence].
	Fence int64 `json:"fence"`
}

// FenceOffResult is from which number on calls are let in; zero when Runtime
// Manager knows no such numbers.
type FenceOffResult struct {
	Fence   int64 `json:"fence,omitempty"`
	Attempt int   `json:"attempt"`
}

// FenceOff has Runtime Manager refuse whatever was asked of it for the game
// before, for a run that ends without knowing what became of its own call. It
// fails for now with service_unavailable.
func (a *Activities) FenceOff(ctx context.Context, input FenceOffInput) (FenceOffResult, error) {
	ctx, done := alive(ctx)
	defer done()
	fence, err := a.fence(ctx, input.GameID, input.Fence)
	if err != nil {
		return FenceOffResult{}, failed(ctx, "fence off older calls", err)
	}
	return FenceOffResult{Fence: fence, Attempt: attempt(ctx)}, nil
}

// fence has Runtime Manager refuse whatever was asked of it before this attempt
// of a step, and returns the number from which on calls are let in; zero when
// Runtime Manager knows no such numbers.
func (a *Activities) fence(ctx context.Context, gameID string, base int64) (int64, error) {
	number := patch.Fence(base, attempt(ctx))
	err := a.rtm.Fence(ctx, ports.RTMFenceInput{GameID: gameID, Fence: number})
	if errors.Is(err, ports.ErrFenceUnsupported) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return number, nil
}
