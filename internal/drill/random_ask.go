package drill

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/domain/patch"
)

// request is one request for a patch, until it is answered.
type request struct {
	version, key string
	force        bool
	// api is which one is asked first.
	api int
}

// carryOut has one planned patch happen, with everything that is planned for it,
// and returns when it is over.
func (t *trial) carryOut(ctx context.Context, p plannedPatch) {
	g := t.games[p.Game]
	flight := t.tally.begin()
	placed := t.place(ctx, g, p, flight)
	over, end := context.WithCancel(ctx)
	var first ending
	var asking, acting errgroup.Group
	asking.Go(func() error {
		first = t.ask(ctx, g, request{version: p.Version, key: p.Key, force: p.Force, api: p.API})
		return nil
	})
	if p.Second != nil {
		asking.Go(func() error {
			t.askSecond(ctx, g, p)
			return nil
		})
	}
	if p.Act != nil {
		acting.Go(func() error {
			t.act(ctx, over, g, *p.Act, flight)
			return nil
		})
	}
	// None of them fails; what they came to is counted.
	_ = asking.Wait()
	end()
	_ = acting.Wait()
	t.take(ctx, g, placed)
	t.tally.end(flight, first)
}

// askSecond sends the second request of a patch.
func (t *trial) askSecond(ctx context.Context, g *Game, p plannedPatch) {
	again := request{version: p.Version, key: p.Key, force: p.Force, api: p.API + 1}
	switch p.Second.Kind {
	case secondSameVersion:
		again.key = p.Second.Key
	case secondOtherVersion:
		again.key, again.version = p.Second.Key, p.Second.Version
	}
	if pause(ctx, p.Second.After) == nil {
		t.ask(ctx, g, again)
	}
}

// ask asks until there is an answer, and follows the patch to its end.
func (t *trial) ask(ctx context.Context, g *Game, r request) (e ending) {
	defer func() { t.tally.asked(e) }()
	return t.asks(ctx, g, r)
}

// asks is ask without being counted.
func (t *trial) asks(ctx context.Context, g *Game, r request) ending {
	for try := r.api; ; try++ {
		api := t.cell.clients[try%len(t.cell.clients)]
		ask := readAnswer(api.Patch(ctx, g.ID, client.PatchRequest{Version: r.version, Force: r.force},
			client.PatchOptions{IdempotencyKey: r.key, Wait: new(patientWait)}))
		ask.Version, ask.Force, ask.Key = r.version, r.force, r.key
		g.keepAsk(ask)
		switch ask.Answer {
		case AnswerEnded:
			return ending{accepted: true, answered: true, code: ask.Code}
		case AnswerOpen:
			return t.follow(ctx, g, ask.PatchID)
		case AnswerRefused:
			return ending{answered: true, code: ask.Code}
		case AnswerUnknown:
			t.tally.unknown()
		}
		if pause(ctx, askPause) != nil {
			return ending{}
		}
	}
}

// keepAsk keeps an answer as evidence.
func (g *Game) keepAsk(ask Ask) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asks = append(g.asks, ask)
}

const (
	// patientWait is how long an answer is held back for the end of a patch. It is
	// longer than most of them take, since each look costs a worker a task, and the
	// drill is to keep two cores busy with patches.
	patientWait = 6 * time.Second
	// followFirst and followMost are from one look at a patch to the next: one
	// that is open after the wait for it takes seconds, and dozens are looked at.
	followFirst = 250 * time.Millisecond
	followMost  = time.Second
)

// retryInDoubt is what an operator does about a patch that waits for one.
const retryInDoubt = "retry_in_doubt"

// follow looks at a patch until it has ended. One that needs an operator gets
// one: it is tried again until it ends.
func (t *trial) follow(ctx context.Context, g *Game, patchID string) ending {
	look := followFirst
	for try := 0; ; try++ {
		api := t.cell.clients[try%len(t.cell.clients)]
		// An API that is down or cannot tell is asked again, or another one.
		seen, err := api.GetPatch(ctx, patchID)
		switch {
		case err != nil:
		case seen.State == client.StateClosed:
			g.keepAsk(readAnswer(seen, nil))
			return ending{accepted: true, answered: true, code: patch.Code(seen.Code)}
		case seen.Phase == string(patch.PhaseNeedsOperator):
			t.retry(ctx, api, patchID)
		}
		if pause(ctx, look) != nil {
			return ending{accepted: true, answered: true, open: true}
		}
		look = min(look*5/4, followMost)
	}
}

// retry has an operator try a patch again that is in doubt.
func (t *trial) retry(ctx context.Context, api *client.Client, patchID string) {
	kind := faultKind{LayerOperator, retryInDoubt}
	if _, err := api.RetryPatch(ctx, patchID, "drill"); err == nil {
		t.tally.put(nil, kind)
		t.tally.fired(kind, 1)
	}
}
