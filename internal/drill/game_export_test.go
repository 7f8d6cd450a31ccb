package drill

import "context"

// AskedGame is a game of which was asked what the answers tell.
func AskedGame(ctx context.Context, answers ...Answer) *Game {
	g := &Game{ID: "asked", ctx: ctx}
	for _, answer := range answers {
		g.asks = append(g.asks, Ask{Answer: answer})
	}
	return g
}
