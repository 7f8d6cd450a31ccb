// Package measure holds the pure parts of the benchmark: what a row of times
// comes to, how a ratio is taken, and what a history costs.
package measure

import (
	"math"
	"slices"
	"time"
)

// Latency says how a row of times is spread. The zero value is that of none.
type Latency struct {
	N   int           `json:"n"`
	P50 time.Duration `json:"p50_ns"`
	P95 time.Duration `json:"p95_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

// LatencyOf sums up times, which it sorts. A percentile is the smallest time that
// so many percent of all do not exceed: one that was seen, not one in between.
func LatencyOf(times []time.Duration) Latency {
	if len(times) == 0 {
		return Latency{}
	}
	slices.Sort(times)
	at := func(percent float64) time.Duration {
		rank := int(math.Ceil(percent / 100 * float64(len(times))))
		return times[max(rank, 1)-1]
	}
	return Latency{N: len(times), P50: at(50), P95: at(95), P99: at(99), Max: times[len(times)-1]}
}
