package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// RandomOptions say what a random drill is.
type RandomOptions struct {
	// Binary is the gamemaster under test.
	Binary string
	// Patches are how many patches are asked for, and Seed chooses them and all
	// that happens to them.
	Patches int
	Seed    uint64
	// For is how long new patches are asked for and new hazards strike; what is
	// under way then is brought to its end. Zero is without an end.
	For time.Duration
	// Progress is told every second how far it has come, by one goroutine; nil is
	// nobody.
	Progress func(Progress)
	// Notes gets notes on what takes long; nil is none.
	Notes io.Writer
}

// flying is how many patches are under way at once: most of them wait for a
// retry or an answer, and two cores are busy with as many.
const flying = 24

const (
	// drainBudget bounds the wait for patches under way when no new ones are asked
	// for: the budgets of two rounds of a recreate and its undo, and a minute for
	// the machine.
	drainBudget = 5 * time.Minute
	// progressEvery is from one report of progress to the next.
	progressEvery = time.Second
)

// patientBudgets outlast every hazard with what it leaves behind, so that what is
// open when it strikes comes to its end by itself: a worker that was killed is
// missed after ten seconds, a call that hangs is given up after thirty. The watch
// makes its passes as often as it can, since it writes the rows of what was ended
// from outside.
func patientBudgets() []string {
	return []string{
		"GAMEMASTER_STORE_BUDGET=60s", "GAMEMASTER_MANAGER_BUDGET=90s", "GAMEMASTER_UNDO_BUDGET=90s",
		"GAMEMASTER_WATCH_INTERVAL=10s",
	}
}

// trial is a random drill under way.
type trial struct {
	options RandomOptions
	plan    plan
	tally   *tally
	dealer  *dealer
	stack   *Stack
	cell    *Cell
	// games are those of the plan; probes has one for each hazard.
	games, probes []*Game
	workers       *workerPlan
}

// Random breaks the whole product at random for a while, on a stack of its own:
// two workers and two APIs with links between them and the servers, many games
// that are patched at once, faults that strike one patch, hazards that strike
// everything and are healed again, and operators who meddle. In the end
// everything is healed and settled, and what is left is checked.
//
// The same seed chooses the same patches and the same faults. When each of them
// comes to pass beside the others is the machine's.
//
// The report is that of the whole drill. The error says that the drill itself
// failed, so that nothing is known.
func Random(ctx context.Context, options RandomOptions) (report RandomReport, err error) {
	t := &trial{
		options: options, plan: newPlan(options.Seed, options.Patches), tally: newTally(options.Patches), workers: &workerPlan{},
	}
	t.dealer = newDealer(t.plan.Patches)
	defer t.watch()()
	t.tally.at("starting")
	if t.stack, err = Start(ctx, Options{Binary: options.Binary, Durable: true, Progress: options.Notes}); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, t.stack.Close()) }()
	t.cell, err = t.stack.NewCell(ctx, CellOptions{Workers: 2, APIs: 2, Links: true, Environ: patientBudgets()})
	if err != nil {
		return report, err
	}
	t.workers.files = t.cell.faults.files
	if err := t.makeGames(ctx); err != nil {
		return report, err
	}
	worked := time.Now()
	resume := t.workers.resumeStopped(ctx)
	err = t.work(ctx)
	resume()
	worth := seconds(time.Since(worked))
	if err == nil {
		err = t.settle(ctx)
	}
	if err != nil {
		return report, err
	}
	promises, runs, err := t.check(ctx)
	if err != nil {
		return report, err
	}
	report = t.tally.report(options.Seed)
	report.Promises, report.Patches.Runs, report.WorkSeconds = promises, runs, worth
	report.judge()
	t.tally.at("done")
	return report, nil
}

// watch tells the progress until what it returns is called, and once more then.
func (t *trial) watch() (stop func()) {
	if t.options.Progress == nil {
		return func() {}
	}
	over := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() {
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				t.options.Progress(t.tally.progress(t.options.Seed))
			case <-over:
				t.options.Progress(t.tally.progress(t.options.Seed))
				return
			}
		}
	})
	return func() {
		close(over)
		told.Wait()
	}
}

// gamesAtOnce is how many games are made, settled or looked at side by side.
const gamesAtOnce = 8

// makeGames makes the games of the plan, and those that are asked after heals.
func (t *trial) makeGames(ctx context.Context) error {
	t.tally.at("making games")
	t.games, t.probes = make([]*Game, len(t.plan.Games)), make([]*Game, len(t.plan.Hazards))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(gamesAtOnce)
	add := func(into **Game, name, version string) {
		group.Go(func() error {
			if err := groupCtx.Err(); err != nil {
				return err
			}
			// The game outlives the group.
			game, err := t.cell.NewGame(ctx, name, version)
			if err != nil {
				return err
			}
			// Others meddle with it, so that it may end anywhere, as long as it is told.
			game.Expect(Expect{}.Differing())
			*into = game
			return nil
		})
	}
	for i, version := range t.plan.Games {
		add(&t.games[i], fmt.Sprintf("game-%d", i), version)
	}
	for i := range t.plan.Hazards {
		add(&t.probes[i], fmt.Sprintf("probe-%d", i), FirstVersion)
	}
	return group.Wait()
}

// work asks for the patches, and has the hazards strike, until there are no more
// or the time is over.
func (t *trial) work(ctx context.Context) error {
	t.tally.at("patching")
	whole := ctx
	if t.options.For > 0 {
		timer := time.AfterFunc(t.options.For, t.dealer.close)
		defer timer.Stop()
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.options.For+drainBudget)
		defer cancel()
	}
	defer context.AfterFunc(ctx, t.dealer.close)()
	askers, hazards := errgroup.Group{}, errgroup.Group{}
	striking, stop := context.WithCancel(ctx)
	defer stop()
	hazards.Go(func() error {
		defer t.dealer.admit(len(t.plan.Patches))
		return t.strikeAll(striking)
	})
	for range flying {
		askers.Go(func() error {
			for {
				next, more := t.dealer.next()
				if !more {
					return nil
				}
				t.carryOut(ctx, next)
				t.dealer.done(next.Game)
			}
		})
	}
	err := askers.Wait()
	// A hazard that is in force is healed all the same.
	t.dealer.close()
	// What is still under way then is no failure of the drill: it is looked at.
	return errors.Join(err, hazards.Wait(), context.Cause(whole))
}

// dealer hands out the patches in their order, never two of one game at a time.
// All methods are safe for concurrent use.
type dealer struct {
	mu    sync.Mutex
	moved *sync.Cond
	left  []plannedPatch
	busy  map[int]bool
	dealt int
	// limit is the number of the first patch that is not to be asked for yet.
	limit int
}

func newDealer(patches []plannedPatch) *dealer {
	d := &dealer{left: append([]plannedPatch{}, patches...), busy: map[int]bool{}}
	d.moved = sync.NewCond(&d.mu)
	return d
}

// next waits for a patch of a game that is free; false when there are no more.
func (d *dealer) next() (plannedPatch, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.left) > 0 {
		for i, patch := range d.left {
			if patch.Number >= d.limit {
				break
			}
			if !d.busy[patch.Game] {
				d.left = append(d.left[:i], d.left[i+1:]...)
				d.busy[patch.Game] = true
				d.dealt++
				return patch, true
			}
		}
		d.moved.Wait()
	}
	return plannedPatch{}, false
}

// done says that the game is free again.
func (d *dealer) done(game int) { d.change(func() { delete(d.busy, game) }) }

// admit lets patches below that number be asked for.
func (d *dealer) admit(limit int) { d.change(func() { d.limit = max(d.limit, limit) }) }

// close hands out nothing more.
func (d *dealer) close() { d.change(func() { d.left = nil }) }

func (d *dealer) change(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	d.moved.Broadcast()
}

// place returns how many patches have been handed out, and whether there are
// more.
func (d *dealer) place() (dealt int, more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dealt, len(d.left) > 0
}
