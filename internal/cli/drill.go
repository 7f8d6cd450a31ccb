package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"galaxy/gamemaster/internal/drill"
)

// Bounds of a drill: the histories and logs of more patches than that would fill
// the memory of a small machine, and more minutes are a day.
const (
	maxDrillPatches = 100_000
	maxDrillMinutes = 24 * 60
)

type drillCommand struct {
	Patches int     `help:"How many patches to ask for." default:"200"`
	Seed    *uint64 `help:"Chooses the patches and what goes wrong: the same seed, the same ones. When each comes to pass beside the others is the machine's. Random by default."`
	Minutes int     `help:"Stop asking for new patches after so many minutes; what is open is brought to its end." default:"10"`
	JSON    bool    `help:"Print the report as JSON, and nothing else." name:"json"`
}

// Help is what --help says besides.
func (c *drillCommand) Help() string {
	return `Starts a Postgres, a Temporal, a Runtime Manager simulator, two workers and two APIs of this very program,
asks for patches and breaks all of it meanwhile. In the end everything is healed, and what is left is checked:
no patch lost, no container recreated twice, no difference between record and container without an explanation.

The same seed chooses the same patches and the same faults, but not the same interleaving: that is the machine's.

The environment is left out of it. Exits with 0 when every promise was kept, and with 1 otherwise.`
}

// Run breaks the product on a throw-away stack, and fails when that shows.
func (c *drillCommand) Run(p *process) error {
	if err := c.check(); err != nil {
		return misused(err)
	}
	seed := c.seed()
	told := io.Writer(p.stdout)
	if c.JSON {
		told = p.stderr
	}
	fmt.Fprintf(told, "seed %d; again: gamemaster drill --patches %d --seed %d --minutes %d\n", seed, c.Patches, seed, c.Minutes)
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	view := newDrillView(told, p.bold && !c.JSON)
	report, err := drill.Random(p.ctx, drill.RandomOptions{
		Binary: binary, Patches: c.Patches, Seed: seed, For: time.Duration(c.Minutes) * time.Minute,
		Progress: view.show, Notes: p.stderr,
	})
	if err != nil {
		return fmt.Errorf("the drill came to no end: %w", err)
	}
	if c.JSON {
		err = printJSON(p.stdout, report)
	} else {
		view.clear()
		report.WriteTable(p.stdout, false)
		report.WriteSummary(p.stdout)
	}
	if err == nil && report.Verdict != drill.Pass {
		err = errors.New("the product did not keep its promises")
	}
	return err
}

func (c *drillCommand) check() error {
	if c.Patches < 1 || c.Patches > maxDrillPatches {
		return fmt.Errorf("--patches is %d, want 1 to %d", c.Patches, maxDrillPatches)
	}
	if c.Minutes < 1 || c.Minutes > maxDrillMinutes {
		return fmt.Errorf("--minutes is %d, want 1 to %d", c.Minutes, maxDrillMinutes)
	}
	return nil
}

// seed is what was asked for, or a new one, short enough to be typed.
func (c *drillCommand) seed() uint64 {
	if c.Seed != nil {
		return *c.Seed
	}
	return uint64(rand.Uint32())
}

// drillPause is from one line of progress to the next where there is no screen.
const drillPause = 5 * time.Second

// drillView shows how a drill goes on: on a screen a table that is drawn in
// place, elsewhere a line now and then.
type drillView struct {
	screen
	// live says that there is a screen.
	live bool
	last time.Time
}

func newDrillView(out io.Writer, live bool) *drillView {
	return &drillView{screen: screen{out: out}, live: live}
}

// show shows the progress.
func (v *drillView) show(progress drill.Progress) {
	if !v.live {
		if now := time.Now(); now.Sub(v.last) >= drillPause {
			v.last = now
			fmt.Fprintln(v.out, progress)
		}
		return
	}
	var frame bytes.Buffer
	progress.Report.WriteTable(&frame, true)
	// In short lines: one that a narrow screen breaks would stay there.
	patches := progress.Report.Patches
	fmt.Fprintln(&frame, cell(fmt.Sprintf("%.0f s  %s: %d of %d patches, %d under way, %d succeeded",
		progress.Report.Seconds, progress.Stage, progress.Ended, patches.Planned, progress.Flying, patches.Succeeded), screenWidth))
	fmt.Fprintln(&frame, cell("now: "+cmp.Or(progress.Hazard, "no hazard"), screenWidth))
	v.draw(strings.Split(strings.TrimSuffix(frame.String(), "\n"), "\n"))
}
