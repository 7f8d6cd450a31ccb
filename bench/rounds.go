package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"galaxy/gamemaster/bench/report"
)

// round is one window of every rival at one cell, directly after one another.
type round struct {
	cell   report.PlannedCell
	number int
	// order has the rivals by their place in the block.
	order []int
}

// rounds are those of the block, cell after cell, those that are judged first: many
// callers can be too much for a busy machine, which ends the run. Each round begins
// with another rival than the one before, so that none is always behind the same
// one.
func (b block) rounds() []round {
	cells := slices.Clone(b.cells)
	slices.SortStableFunc(cells, func(a, b report.PlannedCell) int { return rank(a.Cell) - rank(b.Cell) })
	var list []round
	for _, c := range cells {
		for number := range c.Rounds {
			r := round{cell: c, number: number}
			for i := range b.rivals {
				r.order = append(r.order, (number+i)%len(b.rivals))
			}
			list = append(list, r)
		}
	}
	return list
}

// rank is 0 for a cell with a bound.
func rank(c report.Cell) int {
	if report.Judged(c) {
		return 0
	}
	return 1
}

// openPlaces starts all rivals of a block. Those that were started are returned
// with an error as well.
func (s *stack) openPlaces(ctx context.Context, p plan, b block) ([]*place, error) {
	callers := 0
	for _, c := range b.cells {
		callers = max(callers, c.Callers)
	}
	var places []*place
	for _, rival := range b.rivals {
		opened, err := s.openPlace(ctx, placeOptions{rival: rival, setting: b.setting, callers: callers, fleet: p.fleet, quiet: true})
		if err != nil {
			return places, fmt.Errorf("%s: %w", rival.name, err)
		}
		places = append(places, opened)
	}
	return places, nil
}

func closePlaces(places []*place) error {
	var faults []error
	for _, p := range places {
		faults = append(faults, p.close())
	}
	return errors.Join(faults...)
}

// measureBeside measures one window of the rival that is on turn, and what the
// others take of the machine meanwhile.
func measureBeside(ctx context.Context, places []*place, on int, t turn, c report.Cell) (report.Result, error) {
	others := func() float64 {
		total := 0.0
		for i, p := range places {
			if i != on {
				total += p.cpu()
			}
		}
		return total
	}
	before, began := others(), time.Now()
	result, err := places[on].measure(ctx, t, c)
	result.Beside = (others() - before) / time.Since(began).Seconds()
	return result, err
}
