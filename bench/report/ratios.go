package report

import (
	"slices"
	"strings"
	"time"

	"galaxy/gamemaster/bench/measure"
)

// ratio is one of the bounds that the product is held to. None is a time.
type ratio struct {
	Name  string  `json:"name"`
	Bound float64 `json:"bound"`
	// AtLeast says that the figure has to reach the bound, and otherwise not to
	// exceed it.
	AtLeast  bool           `json:"at_least,omitempty"`
	Measured measure.Spread `json:"measured"`
	// Verdict is of the median: ok, missed, or not measured.
	Verdict string `json:"verdict"`
}

// The verdicts of a ratio.
const (
	verdictOK     = "ok"
	verdictMissed = "missed"
	verdictNone   = "not measured"
)

// ManagerDelay is how long a recreate takes where it is not to be at once.
const ManagerDelay = 200 * time.Millisecond

// OwnPrefix is what the settings of the product begin with.
const OwnPrefix = "ours"

// Judged tells whether a bound is on what is measured at the cell, with Temporal in
// the setting that the ratios are of.
func Judged(c Cell) bool {
	one, many, delayed := judgedCells(c.Temporal)
	return c == one || c == many || c == delayed
}

// judgedCells are those of the bounds that windows in turns are held to.
func judgedCells(temporal string) (one, many, delayed Cell) {
	return Cell{Temporal: temporal, Callers: 1}, Cell{Temporal: temporal, Callers: 32},
		Cell{Temporal: temporal, Callers: 1, Delay: ManagerDelay}
}

// judged gives the ratio its verdict.
func (r ratio) judged() ratio {
	switch {
	case r.Measured.N == 0:
		r.Verdict = verdictNone
	case (r.AtLeast && r.Measured.Median >= r.Bound) || (!r.AtLeast && r.Measured.Median <= r.Bound):
		r.Verdict = verdictOK
	default:
		r.Verdict = verdictMissed
	}
	return r
}

// ratios are the bounds, for each setting of the product.
func (r *Report) ratios() []ratio {
	one, many, delayed := judgedCells(r.Plan.Blocks[0].Temporal)
	var list []ratio
	for _, name := range r.Plan.Blocks[0].Rivals {
		if !strings.HasPrefix(name, OwnPrefix) {
			continue
		}
		list = append(list,
			ratio{Name: name + ": p50 to saga, 1 caller", Bound: 0.4, Measured: r.ratio(name, sagaName, one, p50)},
			ratio{Name: name + ": patches/s to saga, 32 callers", Bound: 2, AtLeast: true, Measured: r.ratio(name, sagaName, many, perSecond)},
			ratio{Name: name + ": p50 to floor, 1 caller, delay 200 ms", Bound: 1.15, Measured: r.ratio(name, floorName, delayed, p50)},
			ratio{Name: name + ": history events per patch", Bound: 18, Measured: r.costFigure(name, func(c Cost) float64 { return c.Events })},
			ratio{Name: name + ": actions per patch", Bound: 5, Measured: r.costFigure(name, func(c Cost) float64 { return c.Actions })},
			ratio{Name: name + ": p99 to p50, 8 callers, steady", Bound: 5, Measured: r.steadyTail(name)},
		)
	}
	list = append(list, r.scaleRatios()...)
	for i := range list {
		list[i] = list[i].judged()
	}
	return list
}

func (r *Report) costFigure(rival string, figure func(Cost) float64) measure.Spread {
	i := slices.IndexFunc(r.Costs, func(c Cost) bool { return c.Rival == rival })
	if i < 0 {
		return measure.Spread{}
	}
	return measure.SpreadOf([]float64{figure(r.Costs[i])})
}

// steadyTail is how much longer the slowest hundredth takes in the long windows.
func (r *Report) steadyTail(rival string) measure.Spread {
	var tails []float64
	for _, result := range r.Steady {
		if result.Rival == rival {
			tails = append(tails, p99(result)/p50(result))
		}
	}
	return measure.SpreadOf(tails)
}

// Missed tells whether the product keeps any of its bounds not.
func (r *Report) Missed() bool {
	return slices.ContainsFunc(r.Ratios, func(ratio ratio) bool { return ratio.Verdict == verdictMissed })
}
