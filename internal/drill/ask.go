package drill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

const (
	// askWait is how long an answer is held back for the end of a patch: one that
	// nothing keeps is over by then, and all others are looked at, which sees more
	// of them than the wait does.
	askWait = 3 * time.Second
	// askPause is the pause before a request is sent again that got no answer.
	askPause = 200 * time.Millisecond
)

// Patch asks for a patch until there is an answer that says something, waits for
// its end, or until it needs an operator, and returns it as it was seen last. A
// refusal without a run is returned as the zero Patch with its Code; it is no
// error of the verb.
func (g *Game) Patch(version string) client.Patch {
	return g.PatchWith(client.PatchRequest{Version: version})
}

// PatchWith is [Game.Patch] with a whole request.
func (g *Game) PatchWith(request client.PatchRequest) (seen client.Patch) {
	g.do("patch to "+request.Version, func(ctx context.Context) (err error) {
		seen, err = g.patch(ctx, request, rand.Text())
		return err
	})
	return seen
}

// Asked is a patch that was asked for while the case goes on.
type Asked struct {
	done chan struct{}
	seen client.Patch
}

// Wait waits for what [Game.Patch] returns.
func (a *Asked) Wait() client.Patch {
	<-a.done
	return a.seen
}

// PatchAsync is [Game.Patch] beside whatever the case does next. The end of the
// case waits for it.
func (g *Game) PatchAsync(version string) *Asked {
	return g.PatchAsyncWith(client.PatchRequest{Version: version}, rand.Text())
}

// PatchAsyncWith is [Game.PatchAsync] with a whole request and its
// Idempotency-Key.
func (g *Game) PatchAsyncWith(request client.PatchRequest, key string) *Asked {
	asked := &Asked{done: make(chan struct{})}
	ends := g.begins()
	g.pending.Go(func() {
		defer close(asked.done)
		defer ends()
		g.do("patch to "+request.Version, func(ctx context.Context) (err error) {
			asked.seen, err = g.patch(ctx, request, key)
			return err
		})
	})
	return asked
}

// Reconcile asks for record and container to be brought together; what it
// returns is as with [Game.Patch].
func (g *Game) Reconcile(mode client.ReconcileMode) (seen client.Patch) {
	g.do("reconcile", func(ctx context.Context) (err error) {
		seen, err = g.ask(ctx, Ask{}, func(api *client.Client) (client.Patch, error) {
			return api.Reconcile(ctx, g.ID, client.ReconcileRequest{Mode: mode, Reason: "drill"}, client.ReconcileOptions{Wait: new(askWait)})
		})
		return err
	})
	return seen
}

func (g *Game) patch(ctx context.Context, request client.PatchRequest, key string) (client.Patch, error) {
	return g.ask(ctx, Ask{Version: request.Version, Force: request.Force, Key: key}, func(api *client.Client) (client.Patch, error) {
		return api.Patch(ctx, g.ID, request, client.PatchOptions{IdempotencyKey: key, Wait: new(askWait)})
	})
}

// ask sends a request to the cell's APIs in turn, until one has answered.
func (g *Game) ask(ctx context.Context, asked Ask, send func(*client.Client) (client.Patch, error)) (client.Patch, error) {
	defer g.begins()()
	for try := 0; ; try++ {
		ask := readAnswer(send(g.cell.clients[try%len(g.cell.clients)]))
		ask.Version, ask.Force, ask.Key = asked.Version, asked.Force, asked.Key
		g.mu.Lock()
		g.asks = append(g.asks, ask)
		g.mu.Unlock()
		switch ask.Answer {
		case AnswerOpen, AnswerEnded:
			return g.follow(ctx, ask.PatchID)
		case AnswerRefused:
			return client.Patch{Code: client.Code(ask.Code)}, nil
		case AnswerUnknown:
		}
		if err := pause(ctx, askPause); err != nil {
			return client.Patch{}, fmt.Errorf("no answer: %w; the last was: %s", err, ask.Error)
		}
	}
}

// readAnswer tells what an answer to a patch promises.
func readAnswer(answered client.Patch, err error) Ask {
	if err == nil {
		ask := Ask{Answer: AnswerOpen, PatchID: answered.PatchID, RunID: answered.RunID}
		if answered.State == client.StateClosed {
			ask.Answer = AnswerEnded
			ask.Outcome, ask.Code = operation.Outcome(answered.Outcome), patch.Code(answered.Code)
		}
		return ask
	}
	ask := Ask{Answer: AnswerUnknown, Error: err.Error()}
	problem, ok := errors.AsType[*client.Error](err)
	if !ok {
		return ask
	}
	ask.PatchID, ask.RunID, ask.Code = problem.PatchID, problem.RunID, patch.Code(problem.Code)
	switch {
	case problem.RunID != "":
		ask.Answer, ask.Outcome = AnswerEnded, operation.OutcomeFailure
	case !client.IsTemporary(err) && problem.HTTPStatus < 500:
		ask.Answer, ask.PatchID = AnswerRefused, ""
	}
	return ask
}

// follow looks at a patch until it has ended or needs an operator. The end that
// it is told is an answer like any other.
func (g *Game) follow(ctx context.Context, patchID string) (seen client.Patch, err error) {
	try := 0
	err = until(ctx, "patch "+patchID+" has ended", func(ctx context.Context) (bool, error) {
		api := g.cell.clients[try%len(g.cell.clients)]
		try++
		// An API that is down or cannot tell is asked again, or another one.
		if looked, err := api.GetPatch(ctx, patchID); err == nil {
			seen = looked
		}
		return seen.State == client.StateClosed || seen.Phase == string(patch.PhaseNeedsOperator), nil
	})
	if seen.State == client.StateClosed {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.asks = append(g.asks, readAnswer(seen, nil))
	}
	return seen, err
}

// open returns the game's open patch, or the zero Patch.
func (g *Game) open(ctx context.Context) (client.Patch, error) {
	page, err := g.cell.clients[0].ListPatches(ctx, client.ListPatchesParams{GameID: g.ID, State: client.StateOpen})
	if err != nil || len(page.Patches) == 0 {
		return client.Patch{}, err
	}
	return g.cell.clients[0].GetPatch(ctx, page.Patches[0].PatchID)
}

// AwaitOpen waits until a patch of the game is open, whether or not a worker has
// seen it yet.
func (g *Game) AwaitOpen() {
	g.Until("a patch is open", func(ctx context.Context) (bool, error) {
		open, err := g.open(ctx)
		return err == nil && open.PatchID != "", nil
	})
}

// AwaitStep waits until the game's open patch is at the step, an activity's name,
// or behind so many attempts at it.
func (g *Game) AwaitStep(step string, attempts int) {
	g.Until(fmt.Sprintf("the patch is at %s, attempt %d", step, attempts), func(ctx context.Context) (bool, error) {
		open, err := g.open(ctx)
		return err == nil && open.Step == step && open.Attempts >= attempts, nil
	})
}

// AwaitPhase waits until the game's open patch is in the phase.
func (g *Game) AwaitPhase(phase patch.Phase) {
	g.Until("the patch is in phase "+string(phase), func(ctx context.Context) (bool, error) {
		// An API that is down is asked again.
		open, err := g.open(ctx)
		return err == nil && open.Phase == string(phase), nil
	})
}

// Cancel asks the game's open patch to stop.
func (g *Game) Cancel(reason string) {
	g.do("cancel", func(ctx context.Context) error {
		open, err := g.open(ctx)
		if err == nil {
			_, err = g.cell.clients[0].CancelPatch(ctx, open.PatchID, reason)
		}
		return err
	})
}
