package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"galaxy/gamemaster/bench/measure"
)

// Write prints the tables.
func (r *Report) Write(out io.Writer) {
	if r.Incomplete != "" {
		fmt.Fprintf(out, "INCOMPLETE: %s\n", r.Incomplete)
	}
	fmt.Fprintf(out, "%s, %d CPUs, %s, %s; windows of %s behind %s of warm-up, %d other games\n",
		r.Machine.OS, r.Machine.CPUs, r.Machine.Go, r.Machine.When.Format(time.DateTime), r.Plan.Length, r.Plan.WarmUp, r.Plan.Fleet)
	if loads := measure.SpreadOf(r.Machine.Load); loads.N > 0 {
		fmt.Fprintf(out, "The load average was %s.\n", spread(loads, 1))
	}
	if beside := r.beside(); beside.Max > 0 {
		fmt.Fprintf(out, "The rivals that were not on turn took %s of a processor.\n", spread(beside, 1))
	}
	fmt.Fprintln(out, "A figure is the median of the rounds [least to most]. Times are in ms, from request to answer.")
	for _, b := range r.Plan.Blocks {
		if !slices.ContainsFunc(r.Rows, func(row row) bool { return row.Temporal == b.Temporal }) {
			continue
		}
		fmt.Fprintf(out, "\nTemporal on %s\n", b.Temporal)
		r.writeTimes(out, b.Temporal)
	}
	if len(r.Steady) > 0 {
		fmt.Fprintln(out, "\nLong windows")
		r.writeSteady(out)
	}
	if len(r.Growth) > 0 {
		fmt.Fprintln(out, "\nBeside few and many other games")
		r.writeGrowth(out)
	}
	if len(r.Open) > 0 {
		fmt.Fprintln(out, "\nMany patches open at once")
		r.writeOpen(out)
	}
	if r.Scale != nil {
		fmt.Fprintf(out, "\nThe stores' calls with %d runtimes and with %d\n", r.Scale.Few, r.Scale.Many)
		r.Scale.write(out)
	}
	r.writeStalls(out)
	if len(r.Rows) > 0 {
		fmt.Fprintf(out, "\nMemory and processor time, Temporal on %s, no delay\n", r.Plan.Blocks[0].Temporal)
		r.writeUsage(out)
	}
	if len(r.Costs) > 0 {
		fmt.Fprintln(out, "\nOne patch, counted")
		r.writeCosts(out)
	}
	fmt.Fprintln(out, "\nRatios")
	r.writeRatios(out)
}

// beside is how many processors were busy with the rivals that were not on turn.
func (r *Report) beside() measure.Spread {
	var values []float64
	for _, result := range r.Results {
		values = append(values, result.Beside)
	}
	return measure.SpreadOf(values)
}

// table aligns rows of cells that are separated by tabs.
func table(out io.Writer, header string, rows func(w io.Writer)) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	rows(w)
	_ = w.Flush() // a terminal that cannot be written to has nobody to be told
}

func (r *Report) writeTimes(out io.Writer, temporal string) {
	table(out, "delay\tcallers\trival\tp50\tp95\tp99\tmax\tpatches/s\tp50/floor\tp50/saga\trate/saga\trounds\tn", func(w io.Writer) {
		for _, row := range r.Rows {
			if row.Temporal != temporal {
				continue
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", row.Delay, row.Callers, row.Rival,
				spread(row.P50, 1e3), middle(row.P95, 1e3), spread(row.P99, 1e3), middle(row.Max, 1e3), spread(row.PerSecond, 1),
				middle(row.P50ToFloor, 1), spread(row.P50ToSaga, 1), spread(row.RateToSaga, 1), row.P50.N, row.Patches)
		}
	})
}

// writeStalls tells where runs stood still that were far out of line.
func (r *Report) writeStalls(out io.Writer) {
	first := true
	for _, result := range slices.Concat(r.Results, r.Growth, r.Steady) {
		if result.Stall == "" {
			continue
		}
		if first {
			fmt.Fprintln(out, "\nStalls: the slowest request of a window, when it took more than ten times the median")
			first = false
		}
		fmt.Fprintf(out, "temporal on %s, delay %s, %d callers, %s: %s\n",
			result.Temporal, result.Delay, result.Callers, result.Rival, result.Stall)
	}
}

func (r *Report) writeSteady(out io.Writer) {
	table(out, "rival\tcallers\tp50\tp95\tp99\tmax\tpatches/s\tn", func(w io.Writer) {
		for _, s := range r.Steady {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\n", s.Rival, s.Callers,
				number(1e3*p50(s)), number(1e3*p95(s)), number(1e3*p99(s)), number(1e3*slowest(s)), number(s.PerSecond), s.Latency.N)
		}
	})
}

func (r *Report) writeGrowth(out io.Writer) {
	table(out, "other games\tcallers\trival\tp50\tp99\tpatches/s\tpeak MiB\tn", func(w io.Writer) {
		for _, g := range r.Growth {
			var peaks []string
			for _, process := range g.Processes {
				peaks = append(peaks, process.Role+" "+number(process.PeakRSS/mebibyte))
			}
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%d\n", g.Fleet, g.Callers, g.Rival,
				number(1e3*p50(g)), number(1e3*p99(g)), number(g.PerSecond), strings.Join(peaks, ", "), g.Latency.N)
		}
	})
}

func (r *Report) writeOpen(out io.Writer) {
	table(out, "rival\tasked for\topen at once\tprocess\trested MiB\tfull MiB\tKiB/open patch\tpeak MiB\tafter MiB\tasked in\tasked again\tended in", func(w io.Writer) {
		for _, o := range r.Open {
			for i, full := range o.Full {
				if i >= len(o.Rested) || i >= len(o.After) || full.RSS == 0 {
					continue
				}
				grown := (full.RSS - o.Rested[i].RSS) / float64(max(o.AtOnce, 1))
				fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", o.Rival, o.Patches, o.AtOnce, full.Role,
					number(o.Rested[i].RSS/mebibyte), number(full.RSS/mebibyte), number(grown/1024),
					number(o.After[i].PeakRSS/mebibyte), number(o.After[i].RSS/mebibyte),
					o.AskedIn.Round(time.Second/10), o.Repeated, o.EndedIn.Round(time.Second/10))
			}
		}
	})
}

const mebibyte = 1 << 20

func (r *Report) writeUsage(out io.Writer) {
	table(out, "callers\trival\tprocess\tresident MiB\tpeak MiB\tCPU ms/patch", func(w io.Writer) {
		for _, row := range r.Rows {
			if row.Temporal != r.Plan.Blocks[0].Temporal || row.Delay != 0 {
				continue
			}
			for _, c := range row.Costs {
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", row.Callers, row.Rival, c.Role,
					memory(c.RSS), memory(c.Peak), spread(c.CPU, 1e3))
			}
		}
	})
}

func (r *Report) writeCosts(out io.Writer) {
	table(out, "rival\tSQL statements\tround trips\thistory events\thistory bytes\tactions\tof them heartbeats\tserver's own count", func(w io.Writer) {
		for _, c := range r.Costs {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Rival, number(c.Statements), number(c.RoundTrips),
				orNone(c.Events), orNone(c.HistoryBytes), orNone(c.Actions), orNone(c.Heartbeats), orNone(c.ServerActions))
		}
	})
}

func (r *Report) writeRatios(out io.Writer) {
	table(out, "ratio\tbound\tmeasured\tverdict", func(w io.Writer) {
		for _, ratio := range r.Ratios {
			relation := "at most"
			if ratio.AtLeast {
				relation = "at least"
			}
			fmt.Fprintf(w, "%s\t%s %g\t%s\t%s\n", ratio.Name, relation, ratio.Bound, spread(ratio.Measured, 1), ratio.Verdict)
		}
	})
}

// none stands for what was not measured.
const none = "-"

// spread prints the median and the bounds of what was measured, times unit.
func spread(s measure.Spread, unit float64) string {
	if s.N < 2 {
		return middle(s, unit)
	}
	return fmt.Sprintf("%s [%s-%s]", number(s.Median*unit), number(s.Min*unit), number(s.Max*unit))
}

func middle(s measure.Spread, unit float64) string {
	if s.N == 0 {
		return none
	}
	return number(s.Median * unit)
}

func memory(s measure.Spread) string {
	if s.Max == 0 {
		return none
	}
	return spread(s, 1.0/mebibyte)
}

func orNone(f float64) string {
	if f == 0 {
		return none
	}
	return number(f)
}

// number prints three figures that count, and whole ones above that.
func number(f float64) string {
	switch {
	case f >= 100 || f == 0:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0")
	default:
		return fmt.Sprintf("%.2f", f)
	}
}
