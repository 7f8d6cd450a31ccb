package measure

import "slices"

// Spread is what a figure came to over several rounds. N is zero when it was not
// measured.
type Spread struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf sums up the values of the rounds, in any order. The median of an even
// number is the mean of the two in the middle.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	median := sorted[half]
	if len(sorted)%2 == 0 {
		median = (sorted[half-1] + sorted[half]) / 2
	}
	return Spread{N: len(sorted), Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// RatioOf sums up what over is in parts of under, round by round: both were
// measured seconds apart in the same round, so that a machine that was slow then
// was slow for both. The rounds are the keys; one that only one of the two has,
// or in which under is zero, counts for nothing.
func RatioOf(over, under map[int]float64) Spread {
	var ratios []float64
	for round, value := range over {
		if base := under[round]; base != 0 {
			ratios = append(ratios, value/base)
		}
	}
	return SpreadOf(ratios)
}
