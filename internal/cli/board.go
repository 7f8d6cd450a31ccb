package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"galaxy/gamemaster/client"
)

type patchesWatchCommand struct {
	IDs  []string `arg:"" optional:"" name:"id" help:"Patches to watch until they have ended; without any, all open ones until interrupted."`
	Game string   `help:"Only open patches of that game."`
	remote
}

// Run shows patches live on a terminal, and elsewhere a line for each phase and
// each end. One patch ends it as gamemaster patch does, several as the worst of
// them; a watch over the open ones ends with an interrupt, which is no failure.
func (c *patchesWatchCommand) Run(p *process) error {
	switch {
	case c.Game != "" && len(c.IDs) > 0:
		return misused(errors.New("--game is for the open patches of a game, not for patches that are named"))
	case c.JSON && len(c.IDs) != 1:
		return misused(errors.New("--json tells of one patch, name it; the open ones are: gamemaster patches list --json"))
	case slices.Contains(c.IDs, ""):
		return misused(errors.New("<id> is empty"))
	}
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		if len(c.IDs) == 1 {
			seen, err := games.GetPatch(ctx, c.IDs[0])
			return follow(ctx, p, games, started{seen, err, c.JSON, true})
		}
		b := &board{
			p: p, games: games, ids: slices.Compact(slices.Sorted(slices.Values(c.IDs))), game: c.Game,
			screen: screen{out: p.stdout}, known: map[string]client.Patch{}, over: map[string]bool{},
		}
		return b.watch(ctx)
	})
}

const (
	// lookEvery is from one look at all patches to the next: seldom enough for a
	// handful of people who watch the same hundred patches.
	lookEvery = 2 * time.Second

	// maxLooked is how many patches are looked at one by one: what a screen shows,
	// far below what the API lets a caller ask in a second or two. Of the others
	// there is what a list tells.
	maxLooked = 20

	// boardFaults is how many looks in a row may find nobody, each after retries of
	// its own, before the watch ends: about as long as a restart takes.
	boardFaults = 6
)

// board shows several patches.
type board struct {
	p     *process
	games *client.Client
	// ids are the patches to watch to their end; without any it is the open ones,
	// of one game when that is set.
	ids    []string
	game   string
	screen screen
	// known are the open patches as they were seen last, by their id; a run that
	// was started by hand has none, and goes by its workflow's.
	known map[string]client.Patch
	// over are those of ids that are not watched any more.
	over map[string]bool
	// worst is the error of the worst end.
	worst error
}

func (b *board) watch(ctx context.Context) error {
	for faults := 0; ; {
		seen, err := b.look(ctx)
		switch {
		case ctx.Err() != nil:
			return b.interrupted(ctx)
		case err != nil && (!client.IsTemporary(err) || faults+1 == boardFaults):
			return err
		case err != nil:
			faults++
		default:
			faults = 0
			b.show(seen)
			if len(b.ids) > 0 && len(b.over) == len(b.ids) {
				return b.worst
			}
		}
		if b.pause(ctx) != nil {
			return b.interrupted(ctx)
		}
	}
}

// interrupted is the end of a watch that nobody wants any more.
func (b *board) interrupted(ctx context.Context) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("stopped looking; the patches go on: %w", ctx.Err())
	case len(b.ids) > 0:
		return &exit{ExitUnavailable, errors.New("stopped looking; the patches go on")}
	}
	return nil
}

// pause waits for the next look, and has the times go on meanwhile.
func (b *board) pause(ctx context.Context) error {
	ticker := time.NewTicker(drawEvery)
	defer ticker.Stop()
	for waited := time.Duration(0); waited < lookEvery; waited += drawEvery {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			b.draw()
		}
	}
	return nil
}

// look returns the patches as they stand.
func (b *board) look(ctx context.Context) ([]client.Patch, error) {
	if len(b.ids) > 0 {
		return b.each(ctx, slices.DeleteFunc(slices.Clone(b.ids), func(id string) bool { return b.over[id] }))
	}
	page, err := b.games.ListPatches(ctx, client.ListPatchesParams{GameID: b.game, State: client.StateOpen, Limit: maxPage})
	if err != nil {
		return nil, err
	}
	var ids []string
	var seen []client.Patch
	listed := map[string]bool{}
	for _, open := range page.Patches {
		listed[idOf(open)] = true
		if open.PatchID != "" && len(ids) < maxLooked {
			ids = append(ids, open.PatchID)
		} else {
			seen = append(seen, open)
		}
	}
	for id, gone := range b.known {
		switch {
		case listed[id]:
		case gone.PatchID == "":
			delete(b.known, id)
		default:
			ids = append(ids, id)
		}
	}
	looked, err := b.each(ctx, ids)
	return append(looked, seen...), err
}

func (b *board) each(ctx context.Context, ids []string) ([]client.Patch, error) {
	looked := make([]client.Patch, 0, len(ids))
	for _, id := range ids {
		seen, err := b.games.GetPatch(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("look at patch %s: %w", id, err)
		}
		looked = append(looked, seen)
	}
	return looked, nil
}

func idOf(seen client.Patch) string { return cmp.Or(seen.PatchID, seen.WorkflowID) }

// show tells what is new.
func (b *board) show(seen []client.Patch) {
	var news []string
	for _, now := range seen {
		before, known := b.known[idOf(now)]
		named := len(b.ids) > 0
		switch {
		case now.State == client.StateClosed:
			// The list lags behind: one that ended before it was ever seen is none of ours.
			if known || named {
				news = append(news, b.end(now))
			}
			delete(b.known, idOf(now))
		case named && waitsForOperator(now):
			// For as long as it takes; nobody is to wait for that at a prompt.
			news = append(news, told(now, now.Phase, "an operator has to decide: "+decide("retry", now.PatchID)))
			b.leave(now, &exit{ExitUnavailable, fmt.Errorf("patch %s waits for an operator: retry or abandon it", now.PatchID)})
			delete(b.known, idOf(now))
		default:
			if !b.p.live && now.Phase != "" && now.Phase != before.Phase {
				news = append(news, told(now, now.Phase, now.Doing))
			}
			b.known[idOf(now)] = now
		}
	}
	if len(news) > 0 {
		b.screen.clear()
		for _, line := range news {
			fmt.Fprintln(b.p.stdout, line)
		}
	}
	b.draw()
}

// told is a line about a patch, with its time: who reads it may do so later.
func told(seen client.Patch, state, words string) string {
	return strings.TrimRight(cell(fmt.Sprintf("%s %s %s: %s %s", textOf(time.Now()), seen.GameID, idOf(seen), state, words), maxTold), " ")
}

// maxTold bounds a line of news, in characters.
const maxTold = 400

// end tells how a patch ended, and keeps the worst end.
func (b *board) end(ended client.Patch) string {
	err := endOf(ended)
	b.leave(ended, err)
	if err != nil {
		return told(ended, "ended", err.Error())
	}
	return told(ended, "done", done(ended))
}

// leave ends the watch over a patch. A failure is worse than a refusal, and both
// are than one that an operator has to decide about.
func (b *board) leave(seen client.Patch, err error) {
	if slices.Contains(b.ids, seen.PatchID) {
		b.over[seen.PatchID] = true
	}
	rank := map[int]int{ExitDone: 0, ExitUnavailable: 1, ExitRefused: 2, ExitFailed: 3}
	if rank[exitCode(err)] > rank[exitCode(b.worst)] {
		b.worst = err
	}
}

// draw draws the open patches in place, the longest first, where there is a
// screen.
func (b *board) draw() {
	if !b.p.live {
		return
	}
	b.p.drawing.Store(true)
	now := time.Now()
	open := slices.SortedFunc(maps.Values(b.known), func(a, b client.Patch) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), strings.Compare(idOf(a), idOf(b)))
	})
	columns, height := b.p.extent()
	// A line of how many there are is left room for.
	lines, shown := boardOf(open, now, columns, height-1)
	summary := fmt.Sprintf("%s  open: %d", textOf(now), len(open))
	if more := len(open) - shown; more > 0 {
		summary += fmt.Sprintf(", %d of them not shown", more)
	}
	b.screen.draw(b.p.fit(append(lines, summary)))
}

// reasonLines is how many lines the reason of one wait may take: on a terminal of
// 80 columns an error with its status has room in two, and a screen still shows
// eight patches.
const reasonLines = 2

// boardOf lays out as many of the patches as fit in height lines, below a header:
// a line for each, and below that for what it waits. A column of its own would
// be the one that a narrow terminal cuts off, and it is what people look for.
func boardOf(open []client.Patch, now time.Time, columns, height int) (lines []string, shown int) {
	if len(open) == 0 {
		return nil, 0
	}
	// Those beyond cannot fit, whatever they wait for.
	open = open[:min(len(open), max(height-1, 1))]
	var frame bytes.Buffer
	rows := &tables[client.Patch]{out: &frame, listing: listing[client.Patch]{
		columns: []string{"GAME", "TO", "PHASE", "DOES", "TRIED", "FOR"},
		row: func(seen client.Patch) []string {
			return []string{
				plain(seen.GameID), cell(seen.To.Version, 20), phaseOrNone(seen), cell(cmp.Or(seen.Doing, seen.Step), 32), tried(seen),
				times(seen, now),
			}
		},
	}}
	for _, seen := range open {
		// Into memory.
		_ = rows.add(seen)
	}
	rows.flush()
	laid := strings.Split(strings.TrimSuffix(frame.String(), "\n"), "\n")
	lines = laid[:1:1]
	for i, seen := range open {
		row := append([]string{laid[i+1]}, titled("  waits for: ", waitsFor(seen, now), columns, reasonLines)...)
		if shown > 0 && len(lines)+len(row) > height {
			break
		}
		lines = append(lines, row...)
		shown++
	}
	return lines, shown
}

func tried(seen client.Patch) string {
	if seen.Attempts == 0 {
		return ""
	}
	return strconv.Itoa(seen.Attempts)
}
