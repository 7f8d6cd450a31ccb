package drill

import (
	"context"
	"time"

	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/domain/patch"
)

// The statements of a patch, as regular expressions over their text.
const (
	readsRecord   = `SELECT .* FROM runtime_records WHERE game_id`
	takesFence    = `INSERT INTO runtime_fences`
	rotatesRecord = `UPDATE runtime_records`
	writesRow     = `INSERT INTO operation_log`
)

// storeFaults is every way in which a statement of ours can go wrong once, and
// be over after that.
func storeFaults() []pgfault.Fault {
	return []pgfault.Fault{
		{Mode: pgfault.CutBefore},
		{Mode: pgfault.CutAfter},
		{Mode: pgfault.Error, Code: "40001"},
		{Mode: pgfault.Error, Code: "40P01"},
		{Mode: pgfault.Error, Code: "57P01"},
		{Mode: pgfault.Error, Code: "53100"},
		{Mode: pgfault.ErrorAfter, Code: "57014"},
		{Mode: pgfault.Hang},
		{Mode: pgfault.HangAfter},
		{Mode: pgfault.Slow, Delay: 1500 * time.Millisecond},
		{Mode: pgfault.Late, Delay: 6 * time.Second},
	}
}

// storeCases are about Postgres: cut before the statement and after its commit,
// with the errors that it has for being busy, shut down or full, hanging, late.
func storeCases() []Case {
	var cases []Case
	for _, step := range []struct{ name, sql string }{
		{"load", readsRecord}, {"take_fence", takesFence}, {"rotate", rotatesRecord}, {"audit", writesRow},
	} {
		for _, fault := range storeFaults() {
			fault.SQL, fault.Times = step.sql, 1
			cases = append(cases, Case{
				Name: named(step.name, fault.Mode, fault.Code), Layer: LayerStore, Expect: patched(),
				Run: put(func(g *Game) { g.SQL(fault) }),
			})
		}
	}
	return append(cases, downForLong()...)
}

// downForLong are faults of a statement that outlast a budget.
func downForLong() []Case {
	down := func(sql, code string, times int) func(g *Game) {
		return func(g *Game) { g.SQL(pgfault.Fault{SQL: sql, Mode: pgfault.Error, Code: code, Times: times}) }
	}
	return []Case{
		{
			Name: "load_down_beyond_the_budget", Layer: LayerStore, Expect: refused(0),
			Run: put(down(readsRecord, "57P03", 0)),
		},
		{
			Name: "take_fence_down_beyond_the_budget", Layer: LayerStore, Expect: refused(0),
			Run: put(down(takesFence, "53100", 0)),
		},
		{
			Name: "rotate_down_beyond_the_budget", Layer: LayerStore, Expect: refused(2),
			Run: put(down(rotatesRecord, "53100", 0)),
		},
		{
			Name: "rotate_committed_and_never_told", Layer: LayerStore, Expect: patched(),
			Run: put(func(g *Game) { g.SQL(pgfault.Fault{SQL: rotatesRecord, Mode: pgfault.ErrorAfter, Code: "08006"}) }),
		},
		{
			Name: "audit_full_disk_for_a_while", Layer: LayerStore, Expect: patched(),
			Run: put(down(writesRow, "53100", 6)),
		},
		{
			Name: "audit_written_and_not_told_thrice", Layer: LayerStore, Expect: patched(),
			Run: put(func(g *Game) { g.SQL(pgfault.Fault{SQL: writesRow, Mode: pgfault.CutAfter, Times: 3}) }),
		},
		{
			Name: "rotate_late_after_the_next_patch", Layer: LayerStore, Expect: Success("1.4.4").After(2),
			Run: func(_ *Cell, g *Game) {
				late := g.SQL(pgfault.Fault{SQL: rotatesRecord, Mode: pgfault.Late, Delay: 9 * time.Second, Times: 1})
				g.Patch(target)
				g.Patch("1.4.4")
				g.awaitCommitted(late)
			},
		},
		{
			Name: "undo_store_down_then_retried", Layer: LayerStore, Expect: Failure(FirstVersion, patch.CodeConflict).After(2),
			Run: func(_ *Cell, g *Game) {
				// The number of the recreate was taken before.
				contested(g, func(g *Game) { g.SQL(pgfault.Fault{SQL: takesFence, Mode: pgfault.Error, Code: "53100"}) })
				g.AwaitPhase(patch.PhaseNeedsOperator)
				g.ClearSQL()
				g.Retry("the disk has room again")
			},
		},
	}
}

// awaitCommitted waits until the server has carried out a statement that met the
// named fault.
func (g *Game) awaitCommitted(name string) {
	g.Until("the statement that met "+name+" is carried out", func(context.Context) (bool, error) {
		for _, report := range g.cell.WorkerDB.Faults() {
			if report.Name == name {
				return report.Committed > 0, nil
			}
		}
		return false, nil
	})
}

// ClearSQL ends the faults of the game's statements. That they fired is
// remembered.
func (g *Game) ClearSQL() {
	g.do("clear the faults of statements", func(ctx context.Context) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, fault := range g.faults {
			if fault.layer != LayerStore && fault.layer != LayerAPI {
				continue
			}
			// What is cleared is forgotten by the proxy.
			fired, err := fault.fired(ctx)
			if err != nil {
				return err
			}
			fault.fired = func(context.Context) (int, error) { return fired, nil }
			g.cell.WorkerDB.ClearFault(fault.name)
			g.cell.APIDB.ClearFault(fault.name)
		}
		return nil
	})
}
