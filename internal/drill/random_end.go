package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"galaxy/gamemaster/client"
)

const (
	// settleBudget bounds the wait for what is open when everything is healed: two
	// rounds of the longest budget, and a minute for the machine.
	settleBudget = 4 * time.Minute
	// passBudget bounds the wait for a pass of the watch, which begins every ten
	// seconds. The first after a trouble may be one that is still under way.
	passBudget = 2 * time.Minute
)

// settle heals everything, and waits until nothing moves any more. What needs an
// operator is tried again.
func (t *trial) settle(ctx context.Context) error {
	t.tally.at("healing")
	ctx, cancel := context.WithTimeout(ctx, settleBudget)
	defer cancel()
	if err := t.healAll(ctx); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	t.tally.at("settling")
	var group errgroup.Group
	group.SetLimit(gamesAtOnce)
	for _, g := range t.everyGame() {
		group.Go(func() error {
			if err := t.settleGame(ctx, g); err != nil {
				// It is a violation, and what there is to see of it is collected.
				t.tally.note("settle %s: %s", g.ID, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// healAll ends every fault, and starts whatever is down.
func (t *trial) healAll(ctx context.Context) error {
	err := t.stack.Up(ctx)
	for _, process := range slices.Concat(t.cell.Workers, t.cell.APIs) {
		// One that is down is started, one that is paused goes on.
		err = errors.Join(err, process.Start(), process.Resume())
	}
	t.cell.WorkerDB.ClearFaults()
	t.cell.APIDB.ClearFaults()
	_, told := t.stack.Simulator.Fired(ctx)
	return errors.Join(err, told, t.stack.Simulator.Control().ClearFaults(ctx))
}

func (t *trial) everyGame() []*Game { return slices.Concat(t.games, t.probes) }

// settleGame waits until nothing of the game moves any more.
func (t *trial) settleGame(ctx context.Context, g *Game) error {
	for try := 0; ; try++ {
		if err := t.cell.settle(ctx, g); err != nil {
			return err
		}
		api := t.cell.clients[try%len(t.cell.clients)]
		page, err := api.ListPatches(ctx, client.ListPatchesParams{GameID: g.ID, State: client.StateOpen})
		if err == nil && len(page.Patches) == 0 {
			return nil
		}
		if err == nil {
			t.retry(ctx, api, page.Patches[0].PatchID)
		}
		if err := pause(ctx, followMost); err != nil {
			return err
		}
	}
}

// awaitWatch waits for a pass of the watch that begins from now on.
func (t *trial) awaitWatch(ctx context.Context) error {
	t.tally.at("waiting for the watch")
	ctx, cancel := context.WithTimeout(ctx, passBudget)
	defer cancel()
	var now time.Time
	if err := t.cell.pool.QueryRow(ctx, "SELECT now()").Scan(&now); err != nil {
		return err
	}
	return until(ctx, "the watch passes", func(ctx context.Context) (passed bool, err error) {
		return passed, t.cell.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM drift_passes WHERE started_at > $1)", now).Scan(&passed)
	})
}

// checkWatch is the name of the promise that the watch goes on passing whatever
// has been.
const checkWatch = "watch_passes"

// check collects the evidence and holds it against the promises, one game after
// another: the histories of thousands of patches need not be there at once.
func (t *trial) check(ctx context.Context) (promises Promises, runs int, err error) {
	watched := t.awaitWatch(ctx)
	if ctx.Err() != nil {
		return promises, 0, context.Cause(ctx)
	}
	t.tally.at("checking")
	secrets := t.stack.secrets()
	if watched != nil {
		promises.count([]Violation{{Check: checkWatch, Detail: watched.Error()}}, "")
	}
	promises.count(Check(Evidence{Logs: t.stack.logsSince(places{}), Secrets: secrets}), "")
	var mu sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(gamesAtOnce)
	stories := 0
	for _, g := range t.everyGame() {
		group.Go(func() error {
			game, err := t.cell.collect(groupCtx, g)
			if err != nil {
				return fmt.Errorf("collect the evidence of %s: %w", g.ID, err)
			}
			violations := Check(Evidence{Games: []GameEvidence{game}, Secrets: secrets, Watched: watched == nil})
			mu.Lock()
			defer mu.Unlock()
			runs += len(game.Runs)
			if difference(game).IsDifference() {
				promises.Differences++
			}
			story := ""
			if len(violations) > 0 && stories < maxStories {
				stories++
				story = t.story(game)
			}
			promises.count(violations, story)
			return nil
		})
	}
	return promises, runs, group.Wait()
}

const (
	// maxStories is how many games are told in full: who looks for the fault looks
	// at a few of them.
	maxStories = 5
	// maxStoryLogs bounds the logs in a story, in bytes.
	maxStoryLogs = 64 << 10
)

// story tells all that is known of a game.
func (t *trial) story(game GameEvidence) string {
	var b strings.Builder
	line := func(format string, arguments ...any) { fmt.Fprintf(&b, format+"\n", arguments...) }
	line("game %s, first on %s; container %s", game.GameID, game.Initial.Version, describe(game.Container))
	if game.Record != nil {
		line("record %s on %s", game.Record.Status, game.Record.CurrentEngineVersion)
	}
	for _, ask := range game.Asks {
		line("ask %s key %s: %s patch %s run %s %s %s %s", ask.Version, ask.Key, ask.Answer, ask.PatchID, ask.RunID, ask.Outcome, ask.Code, ask.Error)
	}
	for _, run := range game.Runs {
		line("run %s of %s to %s: %s, reset of %q, from %s to %s", run.RunID, run.PatchID, run.Version, run.Status, run.ResetOf,
			run.StartedAt.Format(time.TimeOnly+".000"), run.EndedAt.Format(time.TimeOnly+".000"))
		if run.Result != nil {
			line("  %s %s %s, undo %+v", run.Result.Outcome, run.Result.Code, run.Result.Message, run.Result.Undo)
		}
	}
	for _, call := range game.Calls {
		line("call %+v", call)
	}
	for _, row := range game.Rows {
		line("row %d of %s run %s: %s %s, %s to %s, noop %t, %s", row.ID, row.PatchID, row.RunID, row.Outcome, row.ErrorCode,
			row.FromVersion, row.ToVersion, row.Noop, row.Undo)
	}
	for _, finding := range game.Findings {
		line("finding %+v", finding)
	}
	var logs strings.Builder
	for text := range strings.Lines(t.stack.LogsAbout(game.GameID)) {
		// Who looked at it is no part of the story.
		if !strings.Contains(text, `"method":"GET"`) {
			logs.WriteString(text)
		}
	}
	told := logs.String()
	line("%s", told[max(len(told)-maxStoryLogs, 0):])
	return b.String()
}
