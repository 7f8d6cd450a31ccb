package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// caseBudget bounds one case, from its game to its evidence. It is only ever
// reached by a failure: the longest wait for a fault to heal is a budget of the
// cell, and two of them in a row take two minutes, before the time that a busy
// machine needs to start processes again and again.
const caseBudget = 5 * time.Minute

// afterBudget bounds the look at what a case has left that did not come to its
// end.
const afterBudget = 20 * time.Second

// Report is what became of a case.
type Report struct {
	Case   string
	Layer  Layer
	GameID string
	Took   time.Duration
	// Violations are the promises that were broken.
	Violations []Violation
	// Err says that the case could not be carried out, or never settled.
	Err error
	// Logs are the lines of all processes that are about the game; only of a case
	// that failed.
	Logs string
}

// Failed reports whether anything is wrong.
func (report Report) Failed() bool { return report.Err != nil || len(report.Violations) > 0 }

// String tells the report: in one line when all is well.
func (report Report) String() string {
	if !report.Failed() {
		return fmt.Sprintf("ok   %s (%s, %s)", report.Case, report.Layer, report.Took.Round(time.Millisecond))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "FAIL %s (%s, %s), game %s\n", report.Case, report.Layer, report.Took.Round(time.Millisecond), report.GameID)
	if report.Err != nil {
		fmt.Fprintf(&b, "     error: %s\n", report.Err)
	}
	for _, violation := range report.Violations {
		fmt.Fprintf(&b, "     %s\n", violation)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Drill carries out one case in the cell and checks what it has left. It never
// fails by itself: whatever went wrong is in the report.
func (c *Cell) Drill(ctx context.Context, drilled Case) (report Report) {
	began := time.Now()
	report = Report{Case: drilled.Name, Layer: drilled.Layer}
	defer func() {
		report.Took = time.Since(began)
		if report.Failed() && report.GameID != "" {
			report.Logs = c.Stack.LogsAbout(report.GameID)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, caseBudget)
	defer cancel()
	from := drilled.From
	if from == "" {
		from = FirstVersion
	}
	g, err := c.NewGame(ctx, drilled.Name, from)
	if err != nil {
		report.Err = err
		return report
	}
	report.GameID = g.ID
	g.Expect(drilled.Expect)
	drilled.Run(c, g)
	report.Violations, report.Err = c.Judge(ctx, g)
	return report
}

// Judge waits until the games have settled, and checks what they have left. The
// error is the first of their verbs, or says that they never settled; what there
// is to see is checked all the same.
func (c *Cell) Judge(ctx context.Context, games ...*Game) ([]Violation, error) {
	faults := []error{c.Settle(ctx, games...)}
	for _, g := range games {
		faults = append(faults, g.Err())
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), afterBudget)
		defer cancel()
	}
	evidence, err := c.Collect(ctx, games...)
	if err != nil {
		return nil, errors.Join(append(faults, err)...)
	}
	for _, g := range games {
		faults = append(faults, g.tidy(ctx))
	}
	return Check(evidence), errors.Join(faults...)
}

// tidy ends the faults that were put for the game.
func (g *Game) tidy(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, fault := range g.faults {
		g.cell.WorkerDB.ClearFault(fault.name)
		g.cell.APIDB.ClearFault(fault.name)
	}
	return g.cell.Stack.Simulator.Control().DeleteFaultsOf(ctx, g.ID)
}

// Suite carries out many cases as fast as two cores allow.
type Suite struct {
	// Binary is the gamemaster under test.
	Binary string
	// Progress gets notes on what takes long; nil is none.
	Progress io.Writer
	// Done is called with every report as it comes, by one goroutine at a time;
	// nil is nobody.
	Done func(Report)

	mu      sync.Mutex
	reports []Report
}

const (
	// sharedAtOnce is how many cases of [RoomShared] run side by side. Most of
	// their time they wait for a retry.
	sharedAtOnce = 24
	// roughAtOnce is how many of [RoomRough] do. Each kills a worker under all the
	// others, which then wait for it to be missed: more at once take longer each,
	// and all of them together no less.
	roughAtOnce = 8
	// cellsAtOnce is how many cells of their own run at once: each is three
	// processes that start.
	cellsAtOnce = 3
)

// Run carries out the cases and returns the reports in the order in which they
// came. The error says that the surroundings failed, and not a case.
func (s *Suite) Run(ctx context.Context, cases []Case) ([]Report, error) {
	rooms := map[Room][]Case{}
	for _, drilled := range cases {
		rooms[drilled.Room] = append(rooms[drilled.Room], drilled)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	if len(rooms[RoomShared])+len(rooms[RoomRough])+len(rooms[RoomCell]) > 0 {
		group.Go(func() error { return s.runTogether(groupCtx, rooms) })
	}
	if len(rooms[RoomStack]) > 0 {
		group.Go(func() error { return s.runAlone(groupCtx, rooms[RoomStack]) })
	}
	err := group.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports, err
}

// runTogether carries out the cases that leave the servers alone, on one stack.
func (s *Suite) runTogether(ctx context.Context, rooms map[Room][]Case) (err error) {
	stack, err := Start(ctx, Options{Binary: s.Binary, Progress: s.Progress})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	group, groupCtx := errgroup.WithContext(ctx)
	for room, shared := range sharedCells() {
		if cases := rooms[room]; len(cases) > 0 {
			group.Go(func() error { return s.runInOne(groupCtx, stack, shared, cases) })
		}
	}
	group.Go(func() error {
		cells, cellsCtx := errgroup.WithContext(groupCtx)
		cells.SetLimit(cellsAtOnce)
		for _, drilled := range rooms[RoomCell] {
			cells.Go(func() error { return s.runInCell(cellsCtx, stack, drilled) })
		}
		return cells.Wait()
	})
	return group.Wait()
}

// sharedCell is a cell that many cases share, atOnce of them at a time.
type sharedCell struct {
	atOnce  int
	options CellOptions
}

func sharedCells() map[Room]sharedCell {
	return map[Room]sharedCell{
		RoomShared: {atOnce: sharedAtOnce, options: CellOptions{Workers: 2, APIs: 2}},
		// A worker that was killed is missed after ten seconds at the earliest, and
		// many are.
		RoomRough: {atOnce: roughAtOnce, options: CellOptions{Workers: 2, APIs: 2, Environ: []string{
			"GAMEMASTER_STORE_BUDGET=60s", "GAMEMASTER_MANAGER_BUDGET=60s", "GAMEMASTER_UNDO_BUDGET=60s",
		}}},
	}
}

// runInOne carries out cases side by side in one cell.
func (s *Suite) runInOne(ctx context.Context, stack *Stack, shared sharedCell, cases []Case) error {
	cell, err := stack.NewCell(ctx, shared.options)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(shared.atOnce)
	for _, drilled := range cases {
		group.Go(func() error { s.done(cell.Drill(ctx, drilled)); return nil })
	}
	return group.Wait()
}

// runInCell carries out a case in a cell of its own.
func (s *Suite) runInCell(ctx context.Context, stack *Stack, drilled Case) error {
	cell, err := stack.NewCell(ctx, CellOptions{Workers: 2, Links: true})
	if err != nil {
		return err
	}
	s.done(cell.Drill(ctx, drilled))
	return cell.Close()
}

// runAlone carries out the cases that break servers, one after another, on a
// stack of their own.
func (s *Suite) runAlone(ctx context.Context, cases []Case) (err error) {
	stack, err := Start(ctx, Options{Binary: s.Binary, Durable: true, Progress: s.Progress})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	for _, drilled := range cases {
		if err := s.runInCell(ctx, stack, drilled); err != nil {
			return err
		}
		// A case that failed half-way may have left something down.
		if err := stack.Up(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Up starts the servers that are down, and has those go on that are paused.
func (s *Stack) Up(ctx context.Context) error {
	err := errors.Join(s.Postgres.Start(ctx), s.Temporal.Start(ctx), s.Simulator.process.Start())
	return errors.Join(err, s.Postgres.Resume(), s.Temporal.Resume(), s.Simulator.Resume(), s.Simulator.Start(ctx))
}

func (s *Suite) done(report Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, report)
	if s.Done != nil {
		s.Done(report)
	}
}
