package measure_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/bench/measure"
)

// TestLatencyOf proves that percentiles are times that were seen, by nearest
// rank, whatever the order they came in.
func TestLatencyOf(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[len(hundred)-1-i] = time.Duration(i + 1)
	}
	for name, row := range map[string]struct {
		times []time.Duration
		want  measure.Latency
	}{
		"none":    {nil, measure.Latency{}},
		"one":     {[]time.Duration{7}, measure.Latency{N: 1, P50: 7, P95: 7, P99: 7, Max: 7}},
		"two":     {[]time.Duration{9, 1}, measure.Latency{N: 2, P50: 1, P95: 9, P99: 9, Max: 9}},
		"hundred": {hundred, measure.Latency{N: 100, P50: 50, P95: 95, P99: 99, Max: 100}},
	} {
		require.Equal(t, row.want, measure.LatencyOf(row.times), name)
	}
}
