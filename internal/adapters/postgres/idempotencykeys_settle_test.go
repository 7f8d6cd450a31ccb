package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/ports"
)

// Proves that a claim settles its key while it lasts and once only, that a reply
// which was lost can be asked for again, and that who has lost it is told.
func TestSettleUnderAClaim(t *testing.T) {
	keys, pool := newKeys(t)
	settle := func(claim, patchID string) error {
		return keys.Settle(t.Context(), ports.SettleInput{Caller: "me", Key: "k", Claim: claim, PatchID: patchID, RunID: "run"})
	}
	require.ErrorIs(t, settle("claim", "joined"), ports.ErrClaimLost, "there is no key")
	first := claim(t, keys, newClaim("k"))
	execute(t, pool, "UPDATE idempotency_keys SET claimed_until = clock_timestamp()")
	second := claim(t, keys, newClaim("k"))
	require.NotEmpty(t, second.Claim)

	require.ErrorIs(t, settle(first.Claim, "joined"), ports.ErrClaimLost, "another request has taken over")
	require.False(t, claim(t, keys, newClaim("k")).Settled())
	for range 2 {
		require.NoError(t, settle(second.Claim, "joined"))
	}
	require.ErrorIs(t, settle(second.Claim, "another"), ports.ErrClaimLost)
	require.NoError(t, settle(first.Claim, "joined"), "the key stands for what the late one has found")
	require.Equal(t, "joined", claim(t, keys, newClaim("k")).PatchID)
}
