package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"galaxy/gamemaster/bench/report"
)

// turn is one rival's row of windows, or its one in a round.
type turn struct {
	round   int
	rival   rival
	setting temporalSetting
	// fleet is how many other games are in the database.
	fleet  int
	cells  []report.Cell
	warmUp time.Duration
	length time.Duration
}

// take starts the rival, measures its cells one after the other, proves that what
// it answered is true, and stops it.
func (s *stack) take(ctx context.Context, t turn) (_ []report.Result, err error) {
	callers := 0
	for _, c := range t.cells {
		callers = max(callers, c.Callers)
	}
	p, err := s.openPlace(ctx, placeOptions{rival: t.rival, setting: t.setting, callers: callers, fleet: t.fleet})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var results []report.Result
	for _, c := range t.cells {
		r, err := p.measure(ctx, t, c)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, p.check(ctx)
}

// measure measures one window of the turn.
func (p *place) measure(ctx context.Context, t turn, c report.Cell) (report.Result, error) {
	if err := p.setDelay(ctx, c.Delay); err != nil {
		return report.Result{}, err
	}
	r := report.Result{Round: t.round, Rival: p.rival.name, Fleet: t.fleet, Cell: c}
	patches, before := p.patches(), p.costs()
	var err error
	if r.Window, err = measureWindow(ctx, p.callers[:c.Callers], t.warmUp, t.length); err != nil {
		return report.Result{}, fmt.Errorf("%s, %d callers, delay %s: %w", p.rival.name, c.Callers, c.Delay, err)
	}
	patches = p.patches() - patches
	after := p.costs()
	r.Stall = p.explain(ctx, r.Window)
	perPatch := func(before, after []report.Process) []report.Process {
		for i := range after {
			after[i].CPU = (after[i].CPU - before[i].CPU) / float64(patches)
		}
		return after
	}
	own := len(p.processes)
	if len(before) == len(after) && len(after) >= own {
		r.Processes, r.Servers = perPatch(before[:own], after[:own]), perPatch(before[own:], after[own:])
	}
	return r, nil
}

// costs are what the rival's processes and then the servers beside it have taken
// so far; empty where that cannot be known.
func (p *place) costs() []report.Process {
	var costs []report.Process
	for _, process := range p.processes {
		used, ok := usageOf(process.cmd.Process.Pid)
		if !ok {
			return nil
		}
		costs = append(costs, report.Process{Role: process.role, CPU: used.CPU, RSS: used.RSS, PeakRSS: used.PeakRSS})
	}
	if cpu, ok := cpuWithChildren(p.stack.postgres.PID()); ok {
		costs = append(costs, report.Process{Role: "postgres", CPU: cpu})
	}
	if p.temporal != nil {
		if used, ok := usageOf(p.temporal.PID()); ok {
			costs = append(costs, report.Process{Role: "temporal", CPU: used.CPU, RSS: used.RSS, PeakRSS: used.PeakRSS})
		}
	}
	return costs
}

// cpu is the processor time in seconds of everything that is the rival's alone;
// less than all of it where that cannot be known.
func (p *place) cpu() float64 {
	pids := []int{p.manager.cmd.Process.Pid}
	for _, process := range p.processes {
		pids = append(pids, process.cmd.Process.Pid)
	}
	if p.temporal != nil {
		pids = append(pids, p.temporal.PID())
	}
	total := 0.0
	for _, pid := range pids {
		used, _ := usageOf(pid)
		total += used.CPU
	}
	return total
}
