package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/bench/measure"
	"galaxy/gamemaster/bench/report"
)

// result is a window in which half the requests took p50 and the slowest p99.
func result(round int, rival string, c report.Cell, times latency, rate float64) report.Result {
	return report.Result{
		Round: round, Rival: rival, Cell: c,
		Window: report.Window{
			Latency:   measure.Latency{N: 10, P50: times.p50, P95: times.p99, P99: times.p99, Max: times.p99},
			PerSecond: rate, Patches: 10,
		},
		Processes: []report.Process{{Role: "worker", CPU: 0.002, RSS: 32 << 20, PeakRSS: 64 << 20}},
		Servers:   []report.Process{{Role: "postgres", CPU: 0.001}},
		Beside:    0.02,
	}
}

type latency struct{ p50, p99 time.Duration }

// sample is a report of two rounds, the second of which was twice as slow.
func sample() *report.Report {
	one := report.Cell{Temporal: "sqlite", Callers: 1}
	slow := report.Cell{Temporal: "sqlite", Callers: 1, Delay: report.ManagerDelay}
	many := report.Cell{Temporal: "sqlite", Callers: 32}
	r := report.New(report.Plan{
		Fleet:  5,
		Blocks: []report.Block{{Temporal: "sqlite", Rivals: []string{"floor", "saga", "ours"}, Cells: []report.PlannedCell{{one, 2}, {slow, 2}, {many, 2}}}},
	})
	for round, factor := range []time.Duration{1, 2} {
		r.Results = append(r.Results,
			result(round, "floor", one, latency{factor * 4 * time.Millisecond, 9 * time.Millisecond}, 200),
			result(round, "saga", one, latency{factor * 40 * time.Millisecond, 90 * time.Millisecond}, 20),
			result(round, "ours", one, latency{factor * 16 * time.Millisecond, 30 * time.Millisecond}, 50),
			result(round, "floor", slow, latency{factor * 200 * time.Millisecond, 210 * time.Millisecond}, 5),
			result(round, "ours", slow, latency{factor * 250 * time.Millisecond, 300 * time.Millisecond}, 4),
			result(round, "saga", many, latency{factor * time.Second, 2 * time.Second}, 40),
			result(round, "ours", many, latency{factor * time.Second, 2 * time.Second}, 100),
		)
	}
	r.Costs = []report.Cost{{Rival: "ours", Statements: 8, RoundTrips: 8, Events: 18, Actions: 5.5, Heartbeats: 1}}
	r.SumUp()
	return r
}

// TestRatios proves the verdict on each bound: at it is kept, beyond it is missed,
// and without figures there is none.
func TestRatios(t *testing.T) {
	r := sample()
	verdicts := map[string]string{}
	for _, ratio := range r.Ratios {
		verdicts[ratio.Name] = ratio.Verdict
	}
	require.Equal(t, map[string]string{
		"ours: p50 to saga, 1 caller":                "ok",
		"ours: patches/s to saga, 32 callers":        "ok",
		"ours: p50 to floor, 1 caller, delay 200 ms": "missed",
		"ours: history events per patch":             "ok",
		"ours: actions per patch":                    "missed",
		"ours: p99 to p50, 8 callers, steady":        "not measured",
	}, verdicts)
	require.True(t, r.Missed())

	calm := report.Cell{Temporal: "sqlite", Callers: 8}
	r.Steady = []report.Result{result(0, "ours", calm, latency{time.Millisecond, 5 * time.Millisecond}, 1)}
	r.SumUp()
	require.Equal(t, "ok", r.Ratios[len(r.Ratios)-1].Verdict)
}

// TestJudged proves that the cells with a bound are known, with Temporal in
// whatever setting, and that others are not taken for them.
func TestJudged(t *testing.T) {
	for _, c := range []struct {
		cell   report.Cell
		judged bool
	}{
		{report.Cell{Temporal: "sqlite", Callers: 1}, true},
		{report.Cell{Temporal: "postgres", Callers: 32}, true},
		{report.Cell{Temporal: "sqlite", Callers: 1, Delay: report.ManagerDelay}, true},
		{report.Cell{Temporal: "sqlite", Callers: 8}, false},
		{report.Cell{Temporal: "sqlite", Callers: 32, Delay: report.ManagerDelay}, false},
		{report.Cell{Temporal: "sqlite", Callers: 1, Delay: time.Second}, false},
	} {
		require.Equal(t, c.judged, report.Judged(c.cell), "%+v", c.cell)
	}
}

// TestRows proves that figures are medians over the rounds, and that ratios are
// taken within a round: the slow one does not touch them.
func TestRows(t *testing.T) {
	for _, row := range sample().Rows {
		if row.Rival != "ours" || row.Callers != 1 || row.Delay != 0 {
			continue
		}
		require.Equal(t, measure.Spread{N: 2, Median: 0.024, Min: 0.016, Max: 0.032}, row.P50)
		require.Equal(t, measure.Spread{N: 2, Median: 0.4, Min: 0.4, Max: 0.4}, row.P50ToSaga)
		require.Equal(t, measure.Spread{N: 2, Median: 4, Min: 4, Max: 4}, row.P50ToFloor)
		require.Equal(t, 20, row.Patches)
		return
	}
	t.Fatal("no row of ours at one caller")
}

// TestTables proves that the tables name units and rivals, show medians with their
// spread, and a dash for what was not measured.
func TestTables(t *testing.T) {
	var out strings.Builder
	sample().Write(&out)
	fields := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		fields[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, want := range []string{
		"Temporal on sqlite",
		"The rivals that were not on turn took 0.02 [0.02-0.02] of a processor.",
		"0s 1 ours 24 [16-32] 30 30 [30-30] 30 50 [50-50] 4.00 0.40 [0.40-0.40] 2.50 [2.50-2.50] 2 20",
		"200ms 1 ours 375 [250-500] 300 300 [300-300] 300 4.00 [4.00-4.00] 1.25 - - 2 20",
		"1 ours worker 32 [32-32] 64 [64-64] 2.00 [2.00-2.00]",
		"1 ours postgres - - 1.00 [1.00-1.00]",
		"ours 8.00 8.00 18 - 5.50 1.00 -",
		"ours: p50 to floor, 1 caller, delay 200 ms at most 1.15 1.25 [1.25-1.25] missed",
		"ours: patches/s to saga, 32 callers at least 2 2.50 [2.50-2.50] ok",
	} {
		require.True(t, fields[want], "no line %q in\n%s", want, out.String())
	}
	for line := range fields {
		require.False(t, strings.HasPrefix(line, "200ms 1 saga"), "nothing is shown of what was not measured: %s", line)
	}
}
