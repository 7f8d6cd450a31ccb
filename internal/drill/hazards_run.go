package drill

import (
	"context"
	"fmt"
	"time"
)

const (
	// healBudget bounds the heal of a hazard: a server that was killed comes back
	// in seconds.
	healBudget = 90 * time.Second
	// probeBudget bounds the wait for the patch after a heal: beyond it nobody
	// would call it recovered.
	probeBudget = 2 * time.Minute
)

// strikeAll has the hazards strike one after another, each when its patch is
// about to be asked for and the one before has been recovered from. It ends when
// no patch is left. The error says that a hazard could not be healed.
func (t *trial) strikeAll(ctx context.Context) error {
	for i, p := range t.plan.Hazards {
		t.dealer.admit(p.Before)
		if !t.reached(ctx, p.Before) {
			// That the drill is over is told by whoever ended it.
			return nil
		}
		if i+1 < len(t.plan.Hazards) {
			t.dealer.admit(t.plan.Hazards[i+1].Before)
		} else {
			t.dealer.admit(len(t.plan.Patches))
		}
		if err := t.strike(ctx, i, p); err != nil {
			return err
		}
	}
	return nil
}

// reached waits until the patch of that number is about to be asked for; false
// when no patch is left, or the drill is broken off.
func (t *trial) reached(ctx context.Context, number int) bool {
	more := true
	err := until(ctx, "the patch before the hazard is asked for", func(context.Context) (bool, error) {
		var dealt int
		dealt, more = t.dealer.place()
		// Those of games that are busy are still to come; but for the first ones,
		// something is to be under way.
		return !more || dealt >= max(number-flying, number/2), nil
	})
	return err == nil && more
}

// strike has one hazard strike, heals it, and waits until the product has
// recovered.
func (t *trial) strike(ctx context.Context, i int, p plannedHazard) error {
	h, kind := hazardOf(p), faultKind{p.Layer, p.Kind}
	t.tally.under(p.String())
	defer t.tally.under("")
	t.tally.putAll(kind)
	began := time.Now()
	met, err := h.strike(ctx, t.cell, p)
	if err != nil {
		t.tally.note("hazard %s: %s", p, err)
	}
	if h.heal != nil {
		// Cut short when the drill is broken off.
		_ = pause(ctx, p.Lasts)
		if err := t.heal(ctx, h, p); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
	case met == nil:
		t.tally.fired(kind, 1)
	default:
		t.tally.fired(kind, met())
	}
	t.tally.under("recovering from " + p.String())
	t.probe(ctx, t.probes[i], Recovered{Hazard: p.String(), Down: seconds(time.Since(began))})
	return nil
}

// heal ends a hazard, also when the drill is broken off meanwhile: a server that
// is paused could not be stopped.
func (t *trial) heal(ctx context.Context, h hazard, p plannedHazard) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healBudget)
	defer cancel()
	var last error
	err := until(ctx, p.String()+" is healed", func(ctx context.Context) (bool, error) {
		last = h.heal(ctx, t.cell, p)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("hazard %s: %w: %w", p, err, last)
	}
	return nil
}

// probe asks for a patch until it has succeeded, and notes how long it took.
func (t *trial) probe(ctx context.Context, g *Game, recovered Recovered) {
	ctx, cancel := context.WithTimeout(ctx, probeBudget)
	defer cancel()
	healed := time.Now()
	for try := 0; ; try++ {
		e := t.asks(ctx, g, request{version: probeTarget, key: fmt.Sprintf("%s-%d", g.ID, try), api: try})
		if e.accepted && !e.open && e.code == "" {
			break
		}
		if pause(ctx, askPause) != nil {
			recovered.Never = true
			break
		}
	}
	recovered.Seconds = seconds(time.Since(healed))
	t.tally.recovered(recovered)
}

// probeTarget is where the games are patched to that are asked after heals.
const probeTarget = "1.4.3"
