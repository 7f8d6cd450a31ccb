package drill

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Game is one game of a cell, and what is done to it. Its verbs make up a case:
// they keep the first error and do nothing after it, so that a case can be
// written without looking at each; [Game.Err] tells it.
type Game struct {
	// ID is unique over all cells, which share Runtime Manager and Temporal.
	ID      string
	Initial patch.Image

	cell *Cell
	// began is where the logs were when the game was made.
	began places
	// ctx is the case's: every verb is bound by it.
	ctx     context.Context
	pending sync.WaitGroup

	mu   sync.Mutex
	err  error
	asks []Ask
	// asking is how many requests are being sent or followed.
	asking int
	moves  []Move
	turns  []Turn
	faults []*planned
	// terminations are how many runs were ended from outside.
	terminations int
	// toxics are what the links call the faults of that name.
	toxics map[string]string
	expect Expect
}

// planned is a fault that has been put, and how to find out whether it fired.
type planned struct {
	name  string
	layer Layer
	fired func(context.Context) (int, error)
}

// NewGame makes a game that runs version, with its record and its container. The
// context bounds its verbs too. The name goes into its id, so that it can be
// found in logs and in Temporal.
func (c *Cell) NewGame(ctx context.Context, name, version string) (*Game, error) {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	// 64 characters are what a game id may have, and the chance is 9 of them.
	id := strings.Trim(name[:min(len(name), 50)], "-") + "-" + strings.ToLower(rand.Text()[:8])
	if !runtime.ValidGameID(id) {
		return nil, fmt.Errorf("%q makes no game id", name)
	}
	g := &Game{ID: id, Initial: Image(version), cell: c, began: c.Stack.logPlaces(), ctx: ctx}
	if err := g.insertRecord(version); err != nil {
		return nil, err
	}
	return g, c.Stack.Simulator.Control().PutRuntime(ctx, id, g.Initial.ImageRef, "")
}

// insertRecord registers the game, past all proxies.
func (g *Game) insertRecord(version string) error {
	_, err := g.cell.pool.Exec(g.ctx, `INSERT INTO runtime_records
		(game_id, status, current_image_ref, current_engine_version, created_at, updated_at, started_at)
		VALUES ($1, 'running', $2, $3, now(), now(), now())`, g.ID, Image(version).ImageRef, version)
	return err
}

// Context returns the context of the game's verbs.
func (g *Game) Context() context.Context { return g.ctx }

// Cell returns where the game is.
func (g *Game) Cell() *Cell { return g.cell }

// Err returns the first error of a verb.
func (g *Game) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Expect says what is allowed, for games outside of a [Case].
func (g *Game) Expect(expect Expect) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expect = expect
}

// do carries out a verb, unless one before has failed.
func (g *Game) do(what string, verb func(context.Context) error) {
	if g.Err() == nil {
		g.keep(what, verb(g.ctx))
	}
}

// keep keeps the first error.
func (g *Game) keep(what string, err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = fmt.Errorf("%s: %s: %w", g.ID, what, err)
	}
}

// Plan notes a fault that somebody else has put; fired tells how often it has
// struck. It returns the name for [Game.AwaitFired].
func (g *Game) Plan(layer Layer, name string, fired func(context.Context) (int, error)) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	name = fmt.Sprintf("%s/%d-%s", g.ID, len(g.faults)+1, name)
	g.faults = append(g.faults, &planned{name, layer, fired})
	return name
}

// Did notes something that the case did by itself, such as to kill a process,
// which counts as a fault that fired; err is how it went.
func (g *Game) Did(layer Layer, what string, err error) {
	g.do(what, func(context.Context) error { return err })
	if err == nil {
		g.Plan(layer, what, func(context.Context) (int, error) { return 1, nil })
	}
}

// AwaitFired waits until the named fault has fired.
func (g *Game) AwaitFired(name string) {
	g.do("wait for fault "+name, func(ctx context.Context) error {
		g.mu.Lock()
		i := slices.IndexFunc(g.faults, func(fault *planned) bool { return fault.name == name })
		if i < 0 {
			g.mu.Unlock()
			return fmt.Errorf("there is none of that name")
		}
		fault := g.faults[i]
		g.mu.Unlock()
		return g.await(ctx, "it has fired", func(ctx context.Context) (bool, error) {
			fired, err := fault.fired(ctx)
			return fired > 0, err
		})
	})
}

// Until waits until reached says so; the game's context bounds it.
func (g *Game) Until(what string, reached func(context.Context) (bool, error)) {
	g.do("wait until "+what, func(ctx context.Context) error { return g.await(ctx, what, reached) })
}

// idleBudget is how long a case waits on when all that it asked for has ended.
// What still moves by itself then, such as a statement that lands late, takes a
// few seconds; a case that waits for more has missed what it waits for.
const idleBudget = time.Minute

// await is until, which gives up when all that was asked for has been over for
// long.
func (g *Game) await(ctx context.Context, what string, reached func(context.Context) (bool, error)) error {
	var since time.Time
	return until(ctx, what, func(ctx context.Context) (bool, error) {
		done, err := reached(ctx)
		switch {
		case done || err != nil:
			return done, err
		case !g.over():
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > idleBudget:
			return false, fmt.Errorf("it never came to that %s: all that was asked for had ended %s before", what, idleBudget)
		}
		return false, nil
	})
}

// over reports whether nothing of what was asked for goes on.
func (g *Game) over() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asking > 0 || len(g.asks) == 0 {
		return false
	}
	last := g.asks[len(g.asks)-1].Answer
	return last == AnswerEnded || last == AnswerRefused
}

// begins notes that a request is being sent or followed, until ends is called.
func (g *Game) begins() (ends func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.asking--
	}
}

func (g *Game) move(move Move) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.moves = append(g.moves, move)
}

const (
	// firstLook is the pause after the first look at something that is waited
	// for: a small part of what anything here takes.
	firstLook = 20 * time.Millisecond
	// longestLook keeps the looks of dozens of games from being what the machine is
	// busy with.
	longestLook = 250 * time.Millisecond
)

// until looks again and again until reached says so, it fails, or ctx ends.
func until(ctx context.Context, what string, reached func(context.Context) (bool, error)) error {
	for look := firstLook; ; look = min(look*5/4, longestLook) {
		done, err := reached(ctx)
		if done || (err != nil && ctx.Err() == nil) {
			return err
		}
		if err := pause(ctx, look); err != nil {
			return fmt.Errorf("it never came to that %s: %w", what, err)
		}
	}
}

// pause returns the error of ctx when that ends first.
func pause(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
