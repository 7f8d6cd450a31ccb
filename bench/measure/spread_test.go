package measure_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/bench/measure"
)

// TestSpreadOf proves the median of odd and even numbers of rounds, and that the
// caller's rounds stay in their order.
func TestSpreadOf(t *testing.T) {
	values := []float64{3, 1, 2}
	require.Equal(t, measure.Spread{N: 3, Median: 2, Min: 1, Max: 3}, measure.SpreadOf(values))
	require.Equal(t, []float64{3, 1, 2}, values)
	require.Equal(t, measure.Spread{N: 4, Median: 2.5, Min: 1, Max: 9}, measure.SpreadOf([]float64{9, 1, 3, 2}))
	require.Zero(t, measure.SpreadOf(nil))
}

// TestRatioOf proves that a ratio is taken within each round, so that a slow
// round does not distort it, and that a round which lacks one of the two counts
// for nothing.
func TestRatioOf(t *testing.T) {
	got := measure.RatioOf(
		map[int]float64{0: 10, 1: 100, 2: 40, 3: 7},
		map[int]float64{0: 20, 1: 200, 2: 100, 4: 7, 5: 0},
	)
	require.Equal(t, measure.Spread{N: 3, Median: 0.5, Min: 0.4, Max: 0.5}, got)
	require.Zero(t, measure.RatioOf(map[int]float64{0: 1}, map[int]float64{0: 0}))
}
