package drill_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/drill"
)

// TestSimulatorIsKilledAgainAndAgain proves that a recreate which landed after
// the last look at a life's log is told as one of that life, so that those of
// later lives are not taken for others that it met.
func TestSimulatorIsKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	own, err := drill.Start(t.Context(), drill.Options{Binary: binary})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Close()) })
	cell, err := own.NewCell(t.Context(), drill.CellOptions{})
	require.NoError(t, err)
	game := newGame(t, cell, "unseen")
	game.Expect(drill.Success("1.4.5").After(3))

	slow := game.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeSlow, DelayMS: 1500, Times: 1})
	asked := game.PatchAsync("1.4.3")
	game.AwaitFired(slow)
	require.NoError(t, drill.EndUnseen(t.Context(), own.Simulator, func() {
		game.Until("the recreate has landed", func(ctx context.Context) (bool, error) {
			container, err := own.Simulator.Container(ctx, game.ID)
			return container.ImageRef == drill.Image("1.4.3").ImageRef, err
		})
	}))
	require.EqualValues(t, "success", asked.Wait().Outcome)
	require.EqualValues(t, "success", game.Patch("1.4.4").Outcome)
	require.NoError(t, drill.EndUnseen(t.Context(), own.Simulator, func() {
		require.EqualValues(t, "success", game.Patch("1.4.5").Outcome)
	}))
	require.NoError(t, game.Err())
	judge(t, cell, game)
	calls, err := own.Simulator.Calls(t.Context(), game.ID)
	require.NoError(t, err)
	var images []string
	var last int64
	for _, call := range calls {
		if call.Op == drill.OpPatch && call.Effect == drill.EffectApplied {
			require.Greater(t, call.Landing, last)
			images, last = append(images, call.Image), call.Landing
		}
	}
	require.Equal(t, []string{drill.Image("1.4.3").ImageRef, drill.Image("1.4.4").ImageRef, drill.Image("1.4.5").ImageRef}, images)
}
