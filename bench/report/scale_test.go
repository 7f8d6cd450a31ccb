package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/bench/measure"
	"galaxy/gamemaster/bench/report"
)

// TestScale proves that the calls of the stores are held to their bound by the
// ratios of the medians, round by round, and that the table has both.
func TestScale(t *testing.T) {
	took := func(p50, p95 time.Duration) measure.Latency {
		return measure.Latency{N: 10, P50: p50 * time.Millisecond, P95: p95 * time.Millisecond}
	}
	r := report.New(report.Plan{Blocks: []report.Block{{Temporal: "sqlite"}}})
	r.Scale = &report.Scale{Few: 1000, Many: 4000, Calls: []report.ScaleCall{
		{Name: "load", Rounds: []report.ScaleRound{{Few: took(2, 5), Many: took(3, 20)}, {Few: took(200, 500), Many: took(300, 2000)}}},
		{Name: "list", Rounds: []report.ScaleRound{{Few: took(10, 10), Many: took(16, 10)}}},
		{Name: "swap"},
	}}
	r.SumUp()
	verdicts := map[string]string{}
	for _, ratio := range r.Ratios {
		verdicts[ratio.Name] = ratio.Verdict
	}
	require.Equal(t, map[string]string{
		"4000 runtimes to 1000: load": "ok",
		"4000 runtimes to 1000: list": "missed",
		"4000 runtimes to 1000: swap": "not measured",
	}, verdicts)

	var out strings.Builder
	r.Write(&out)
	lines := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		lines[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, want := range []string{
		"The stores' calls with 1000 runtimes and with 4000",
		"load 101 [2.00-200] 152 [3.00-300] 1.50 [1.50-1.50] 252 [5.00-500] 1010 [20-2000] 4.00 [4.00-4.00] 20",
		"swap - - - - - - 0",
		"4000 runtimes to 1000: list at most 1.5 1.60 missed",
	} {
		require.True(t, lines[want], "no line %q in\n%s", want, out.String())
	}
}
