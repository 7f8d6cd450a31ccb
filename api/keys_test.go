package api_test

import (
	"context"

	"galaxy/gamemaster/internal/ports"
)

// claimed is the Claim of a key that nobody has.
func claimed(_ context.Context, input ports.ClaimInput) (ports.IdempotencyKey, error) {
	return ports.IdempotencyKey{Fingerprint: input.Fingerprint, PatchID: input.PatchID, Claim: "claim"}, nil
}
