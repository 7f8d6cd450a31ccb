package patch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/patch"
)

// TestFence proves that attempts of a step rise, and never reach the number of
// the next step, however many there are.
func TestFence(t *testing.T) {
	const base = 1_780_000_000_000_000
	require.EqualValues(t, base, patch.Fence(base, 1))
	require.EqualValues(t, base+1, patch.Fence(base, 2))
	require.Less(t, patch.Fence(base, 1<<40), int64(base+patch.FenceStep))
	require.EqualValues(t, base, patch.Fence(base, 0), "attempts count from one; anything else is the first")
}
