package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"galaxy/gamemaster/bench/report"
)

// stage measures something with Temporal in one setting.
type stage func(context.Context, plan, block, *report.Report) error

// measureAll measures block after block, and in the first one also what is not
// measured in turns: before them what is counted, since it takes a minute and does
// not fail on a busy machine.
func (s *stack) measureAll(ctx context.Context, p plan, r *report.Report) error {
	for i, b := range p.blocks {
		stages := []stage{s.measureBlock}
		if i == 0 {
			stages = []stage{s.count, s.measureBlock, s.measureGrowth, s.measureSteady, s.measureOpen, s.measureProfiles}
		}
		for _, measure := range stages {
			if err := measure(ctx, p, b, r); err != nil {
				return fmt.Errorf("temporal on %s: %w", b.setting.name, err)
			}
		}
	}
	return nil
}

// measureBlock starts all rivals, and has them take turns of one window each: a
// machine that changes its speed within minutes is then about as fast for all of a
// round.
func (s *stack) measureBlock(ctx context.Context, p plan, b block, r *report.Report) (err error) {
	s.tell("temporal on %s: starting %d rivals", b.setting.name, len(b.rivals))
	places, err := s.openPlaces(ctx, p, b)
	defer func() { err = errors.Join(err, closePlaces(places)) }()
	if err != nil {
		return err
	}
	for _, round := range b.rounds() {
		s.tell("temporal on %s, delay %s, %d callers: round %d of %d",
			b.setting.name, round.cell.Delay, round.cell.Callers, round.number+1, round.cell.Rounds)
		for _, on := range round.order {
			result, err := measureBeside(ctx, places, on, turn{round: round.number, fleet: p.fleet, warmUp: p.warmUp, length: p.length}, round.cell.Cell)
			if err != nil {
				return err
			}
			r.Results = append(r.Results, result)
		}
		if load, ok := loadAverage(); ok {
			r.Machine.Load = append(r.Machine.Load, load)
		}
	}
	for _, place := range places {
		if err := place.check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// count counts what one patch takes of each rival.
func (s *stack) count(ctx context.Context, p plan, b block, r *report.Report) error {
	for _, rival := range b.rivals {
		s.tell("counting: %s", rival.name)
		c, err := s.costOf(ctx, rival, b.setting, p.fleet)
		if err != nil {
			return err
		}
		r.Costs = append(r.Costs, c)
	}
	return nil
}

// measureGrowth measures every rival beside few other games and beside many.
func (s *stack) measureGrowth(ctx context.Context, p plan, b block, r *report.Report) error {
	for _, fleet := range p.fleets {
		for _, rival := range b.rivals {
			s.tell("beside %d other games: %s", fleet, rival.name)
			results, err := s.take(ctx, turn{
				rival: rival, setting: b.setting, fleet: fleet, warmUp: p.warmUp, length: p.length,
				cells: cells(b.setting, []int{growthCallers}, 0),
			})
			if err != nil {
				return err
			}
			r.Growth = append(r.Growth, results...)
		}
	}
	return nil
}

// measureSteady measures the product for long enough that a stall which comes once
// in minutes shows.
func (s *stack) measureSteady(ctx context.Context, p plan, b block, r *report.Report) error {
	if p.steady == 0 {
		return nil
	}
	for _, rival := range b.rivals {
		if !strings.HasPrefix(rival.name, report.OwnPrefix) {
			continue
		}
		s.tell("for %s at a stretch: %s", p.steady, rival.name)
		results, err := s.take(ctx, turn{
			rival: rival, setting: b.setting, fleet: p.fleet, warmUp: p.warmUp, length: p.steady,
			cells: cells(b.setting, []int{steadyCallers}, 0),
		})
		if err != nil {
			return err
		}
		r.Steady = append(r.Steady, results...)
	}
	return nil
}

// tell says what is under way.
func (s *stack) tell(format string, args ...any) {
	fmt.Fprintf(s.progress, time.Now().Format(time.TimeOnly)+"  "+format+"\n", args...)
}
