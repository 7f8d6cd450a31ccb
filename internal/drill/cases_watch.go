package drill

import (
	"context"
	"time"
)

// watchCases are about what is left to the watch: runs that were ended from
// outside, and containers that were moved behind everybody's back. A pass looks at
// every game there is, so that each case has a cell to itself.
func watchCases() []Case {
	return []Case{
		{
			Name: "terminated_and_watched", Layer: LayerOperator, Room: RoomCell, Expect: Expect{Version: FirstVersion}.Differing(),
			Run: func(_ *Cell, g *Game) {
				g.terminateHeld()
				g.Watch()
			},
		},
		{
			Name: "terminated_and_healed", Layer: LayerOperator, Room: RoomCell, Expect: Success(FirstVersion).After(2),
			Run: func(_ *Cell, g *Game) {
				g.terminateHeld()
				g.heal()
			},
		},
		{
			Name: "container_moved_and_healed", Layer: LayerWriter, Room: RoomCell, Expect: Success(target).After(2),
			Run: func(_ *Cell, g *Game) {
				g.Patch(target)
				g.PutContainer("1.4.7", "")
				g.Did(LayerWriter, "move the container", nil)
				g.heal()
			},
		},
		{
			Name: "container_gone_and_watched", Layer: LayerWriter, Room: RoomCell, Expect: Success(target).After(1).Differing(),
			Run: func(_ *Cell, g *Game) {
				g.Patch(target)
				g.DeleteContainer()
				g.Did(LayerWriter, "delete the container", nil)
				g.Watch()
			},
		},
	}
}

// terminateHeld terminates the game's patch in the middle of its recreate, and
// waits until that has landed and Temporal lists the end of the run.
func (g *Game) terminateHeld() {
	asked, hold := holding(g)
	g.Terminate("drill")
	g.Did(LayerOperator, "terminate", nil)
	g.Land(hold)
	asked.Wait()
	g.rest(3 * time.Second)
}

// heal has the watch put the container right, waits for the end of that, and has
// the watch pass once more, which finds everything in order.
func (g *Game) heal() {
	g.Heal()
	g.Until("the reconciliation has ended", func(ctx context.Context) (bool, error) {
		rests, _ := g.cell.rests(ctx, g.ID)
		return rests, nil
	})
	g.Watch()
}
