package drill_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/drill"
)

// TestSmoke proves that the product keeps its promises when nothing much happens:
// thirty patches of ten games, over two workers and two APIs, with a Runtime
// Manager that stumbles now and then.
func TestSmoke(t *testing.T) {
	cell, err := stack.NewCell(t.Context(), drill.CellOptions{Workers: 2, APIs: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cell.Close()) })

	stumbles := []rtmsim.Fault{
		{Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 500, Times: 1},
		{Op: rtmsim.OpPatch, Mode: rtmsim.ModeReset, Times: 1},
		{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenReset, Times: 1},
	}
	games := make([]*drill.Game, 10)
	var patching []*drill.Asked
	for i := range games {
		games[i], err = cell.NewGame(t.Context(), fmt.Sprintf("smoke-%d", i), drill.FirstVersion)
		require.NoError(t, err)
		games[i].Expect(drill.Success("1.4.5").After(3))
		if i < len(stumbles) {
			games[i].RTM(stumbles[i])
		}
		patching = append(patching, games[i].PatchAsync("1.4.3"))
	}
	for _, version := range []string{"1.4.4", "1.4.5"} {
		for i, game := range games {
			require.EqualValues(t, "success", patching[i].Wait().Outcome)
			patching[i] = game.PatchAsync(version)
		}
	}
	violations, err := cell.Judge(t.Context(), games...)
	require.NoError(t, err)
	require.Empty(t, violations, drill.Tell(violations))
}
