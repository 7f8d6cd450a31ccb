package report

import (
	"fmt"
	"io"

	"galaxy/gamemaster/bench/measure"
)

// Scale is what the calls of the product's stores take of a few runtimes and of
// many.
type Scale struct {
	// Few and Many are how many runtimes are in either database.
	Few   int         `json:"few"`
	Many  int         `json:"many"`
	Calls []ScaleCall `json:"calls"`
}

// ScaleCall is one kind of call.
type ScaleCall struct {
	Name   string       `json:"name"`
	Rounds []ScaleRound `json:"rounds"`
}

// ScaleRound is what the calls of one round took, which were made in turns.
type ScaleRound struct {
	Few  measure.Latency `json:"few"`
	Many measure.Latency `json:"many"`
}

// scaleBound is how much more a call may cost with a million runtimes than with a
// thousand: an index is one or two levels deeper, and its pages are not all in
// memory.
const scaleBound = 1.5

// scaleRatios are of the medians, round by round.
func (r *Report) scaleRatios() []ratio {
	if r.Scale == nil {
		return nil
	}
	var list []ratio
	for _, c := range r.Scale.Calls {
		list = append(list, ratio{
			Name:  fmt.Sprintf("%d runtimes to %d: %s", r.Scale.Many, r.Scale.Few, c.Name),
			Bound: scaleBound, Measured: measure.RatioOf(c.figure(manyOf, median), c.figure(fewOf, median)),
		})
	}
	return list
}

// figure returns one of the times in seconds, round by round.
func (c ScaleCall) figure(side func(ScaleRound) measure.Latency, of func(measure.Latency) float64) map[int]float64 {
	found := map[int]float64{}
	for i, round := range c.Rounds {
		found[i] = of(side(round))
	}
	return found
}

func fewOf(r ScaleRound) measure.Latency  { return r.Few }
func manyOf(r ScaleRound) measure.Latency { return r.Many }

func median(l measure.Latency) float64 { return l.P50.Seconds() }
func tail(l measure.Latency) float64   { return l.P95.Seconds() }

func (s *Scale) write(out io.Writer) {
	table(out, "call\tfew p50\tmany p50\tmany/few\tfew p95\tmany p95\tmany/few\tn", func(w io.Writer) {
		for _, c := range s.Calls {
			n := 0
			for _, round := range c.Rounds {
				n += round.Many.N
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", c.Name,
				c.spread(fewOf, median), c.spread(manyOf, median), c.ratio(median),
				c.spread(fewOf, tail), c.spread(manyOf, tail), c.ratio(tail), n)
		}
	})
}

func (c ScaleCall) ratio(of func(measure.Latency) float64) string {
	return spread(measure.RatioOf(c.figure(manyOf, of), c.figure(fewOf, of)), 1)
}

func (c ScaleCall) spread(side func(ScaleRound) measure.Latency, of func(measure.Latency) float64) string {
	var values []float64
	for _, value := range c.figure(side, of) {
		values = append(values, value)
	}
	return spread(measure.SpreadOf(values), 1e3)
}
