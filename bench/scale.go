package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"galaxy/gamemaster/bench/measure"
	"galaxy/gamemaster/bench/report"
)

// scalePlan says between which fleets the cost of the stores is measured.
type scalePlan struct {
	// few and many are the runtimes in each; no many leaves it out.
	few, many int
	rounds    int
	// batches of batch calls are made in turns on the one fleet and on the other.
	batches, batch int
}

const (
	// scaleFew is the small fleet: what the product is tried with.
	scaleFew = 1000
	// scaleMany is the large one of a full run.
	scaleMany = 1_000_000
)

// usualScale has a thousand calls of each kind in a round, so that the median of
// one is steady to a few hundredths, and short batches, so that whatever else the
// machine does befalls both fleets alike.
func usualScale(many int) scalePlan {
	return scalePlan{few: scaleFew, many: many, rounds: 5, batches: 50, batch: 20}
}

// shortScale uses every part and measures nothing well.
func shortScale() scalePlan {
	return scalePlan{few: 100, many: 2000, rounds: 2, batches: 4, batch: 5}
}

// measureScale measures what the product's own stores take of a few runtimes and
// of many, in two databases of the one Postgres.
func (s *stack) measureScale(ctx context.Context, p scalePlan, r *report.Report) (err error) {
	if p.many == 0 {
		return nil
	}
	var fleets [2]*fleet
	defer func() {
		for _, f := range fleets {
			if f != nil {
				f.close()
			}
		}
	}()
	for i, size := range []int{p.few, p.many} {
		if fleets[i], err = s.openFleet(ctx, size, p.few); err != nil {
			return fmt.Errorf("a fleet of %d runtimes: %w", size, err)
		}
	}
	scale := &report.Scale{Few: p.few, Many: p.many}
	calls := fleetCalls()
	for _, c := range calls {
		scale.Calls = append(scale.Calls, report.ScaleCall{Name: c.name})
	}
	for round := range p.rounds {
		s.tell("%d and %d runtimes, round %d of %d", p.few, p.many, round+1, p.rounds)
		// What the round before left is cleared away, as autovacuum would have done
		// by the time that so much has changed in a fleet at work.
		for _, f := range fleets {
			if err := f.vacuum(ctx); err != nil {
				return err
			}
		}
		for i, c := range calls {
			measured, err := p.take(ctx, c, fleets)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			scale.Calls[i].Rounds = append(scale.Calls[i].Rounds, measured)
		}
	}
	r.Scale = scale
	return nil
}

// take makes one kind of call on both fleets, batch by batch, the first one being
// the other in every next turn. A batch before the first is not counted: in it
// statements are prepared, and Postgres settles for a plan.
func (p scalePlan) take(ctx context.Context, c fleetCall, fleets [2]*fleet) (report.ScaleRound, error) {
	var times [2][]time.Duration
	turn := []int{0, 1}
	for batch := range p.batches + 1 {
		for _, i := range turn {
			took, err := c.repeat(ctx, fleets[i], p.batch)
			if err != nil {
				return report.ScaleRound{}, fmt.Errorf("of %d runtimes: %w", fleets[i].size, err)
			}
			if batch > 0 {
				times[i] = append(times[i], took...)
			}
		}
		slices.Reverse(turn)
	}
	return report.ScaleRound{Few: measure.LatencyOf(times[0]), Many: measure.LatencyOf(times[1])}, nil
}

// repeat makes n calls and returns how long each took.
func (c fleetCall) repeat(ctx context.Context, f *fleet, n int) ([]time.Duration, error) {
	times := make([]time.Duration, n)
	for i := range times {
		call, err := c.prepare(ctx, f)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		err = call()
		times[i] = time.Since(began)
		if err != nil {
			return nil, err
		}
	}
	return times, nil
}

// errShortPage would make two pages of different length look alike.
var errShortPage = errors.New("a page is not full")
