package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"galaxy/gamemaster/bench/report"
	"galaxy/gamemaster/internal/devstack/rtmsim"
)

const (
	// openAskers ask at once for the patches that are to be open together.
	openAskers = 32
	// openBudget is what Runtime Manager gets for one patch: it is held until all are
	// open, which on a slow machine takes longer than the default of two minutes.
	openBudget = "GAMEMASTER_MANAGER_BUDGET=2h"
	// heldFault is what keeps them open.
	heldFault = "open"
)

// measureOpen has so many patches of the product open at once, while Runtime
// Manager holds every recreate, then lets go and waits until all have ended well.
// Only the product can be asked without waiting for the answer.
func (s *stack) measureOpen(ctx context.Context, p plan, b block, r *report.Report) error {
	if p.open == 0 {
		return nil
	}
	for _, rival := range b.rivals {
		if !strings.HasPrefix(rival.name, report.OwnPrefix) {
			continue
		}
		s.tell("%d patches open at once: %s", p.open, rival.name)
		measured, err := s.takeOpen(ctx, rival, b.setting, p)
		if err != nil {
			return fmt.Errorf("%s, %d patches open: %w", rival.name, p.open, err)
		}
		r.Open = append(r.Open, measured)
	}
	return nil
}

func (s *stack) takeOpen(ctx context.Context, r rival, setting temporalSetting, plan plan) (_ report.Open, err error) {
	p, err := s.openPlace(ctx, placeOptions{
		rival: r, setting: setting, callers: (plan.open + gamesPerCaller - 1) / gamesPerCaller,
		fleet: plan.fleet, environ: []string{openBudget},
	})
	if err != nil {
		return report.Open{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	// Rested means warm: pools are filled and caches are there.
	if err := p.patchMany(ctx, costWarmUp); err != nil {
		return report.Open{}, err
	}
	measured := report.Open{Rival: r.name, Patches: plan.open, Rested: p.costs()}
	if err := p.control.PutFault(ctx, rtmsim.Fault{
		GameID: rtmsim.AnyGame, Op: rtmsim.OpPatch, Mode: rtmsim.ModeHeld, Name: heldFault,
	}); err != nil {
		return report.Open{}, err
	}
	began := time.Now()
	if err := p.beginAll(ctx, plan.open); err != nil {
		return report.Open{}, err
	}
	measured.AskedIn, measured.Repeated = time.Since(began), p.repeated()
	if measured.AtOnce, err = p.countOpen(ctx, plan.open); err != nil {
		return report.Open{}, err
	}
	measured.Full = p.costs()
	released := time.Now()
	if err := p.control.ClearFaults(ctx); err != nil {
		return report.Open{}, err
	}
	if err := p.awaitRows(ctx, openTimeout); err != nil {
		return report.Open{}, err
	}
	measured.EndedIn = time.Since(released)
	if err := p.check(ctx); err != nil {
		return report.Open{}, err
	}
	measured.After = p.costs()
	return measured, nil
}

// repeated counts the requests that were sent again.
func (p *place) repeated() int {
	n := 0
	for _, c := range p.callers {
		n += c.repeated
	}
	return n
}

// openTimeout bounds the time to ask for all, and the wait for the end of all:
// thousands of patches at the ten a second that a slow machine manages.
const openTimeout = 30 * time.Minute

// beginAll asks for one patch of each of n games and waits for none of them.
func (p *place) beginAll(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(openAskers)
	for i, c := range p.callers {
		group.Go(func() error {
			for k, g := range c.games {
				if i*gamesPerCaller+k >= n {
					return nil
				}
				if err := c.begin(ctx, g); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// beginPause is between two requests for the same patch, when a server was too busy
// to take it: it gets rid of some work meanwhile.
const beginPause = 2 * time.Second

// begin asks for a patch without waiting for it. It counts as answered: the check
// at the end shows whether it was done. Asked again, the product takes it for the
// same patch, since the game has it open.
func (c *caller) begin(ctx context.Context, g *game) error {
	version := g.other()
	for {
		status, body, err := c.send(ctx, g, version, "respond-async")
		switch {
		case err != nil:
			return err
		case status == http.StatusAccepted:
			g.version = version
			c.patches++
			return nil
		case status != http.StatusServiceUnavailable:
			return fmt.Errorf("begin of %s to %s: HTTP %d: %s", g.id, version, status, body)
		}
		c.repeated++
		select {
		case <-ctx.Done():
			return fmt.Errorf("begin of %s to %s: %w; HTTP %d: %s", g.id, version, ctx.Err(), status, body)
		case <-time.After(beginPause):
		}
	}
}

const (
	// listLag is how long Temporal's lists get to show what was started: they are
	// written behind the runs, by a twentieth of a second on an idle machine.
	listLag = 5 * time.Second
	// listLook is the pause between two counts of thousands of runs, which the
	// server is not to be busy with while it writes them.
	listLook = 100 * time.Millisecond
)

// countOpen counts the runs that are open, of which want were begun.
func (p *place) countOpen(ctx context.Context, want int) (int, error) {
	connection, err := p.dialTemporal(ctx)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	for began := time.Now(); ; {
		counted, err := connection.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Query: "ExecutionStatus = 'Running' AND WorkflowType = 'PatchRuntime'",
		})
		n := int(counted.GetCount())
		if err != nil || n >= want || time.Since(began) > listLag {
			return n, err
		}
		select {
		case <-ctx.Done():
			return n, ctx.Err()
		case <-time.After(listLook):
		}
	}
}
