package drill

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"galaxy/gamemaster/internal/domain/patch"
)

// WriteTable writes faults against patches as a table: a row for each kind, or
// for each layer when a whole table would not fit on a screen.
func (r RandomReport) WriteTable(out io.Writer, byLayer bool) {
	writer := table.NewWriter()
	writer.SetStyle(table.StyleLight)
	writer.Style().Format.Header, writer.Style().Format.Footer = text.FormatDefault, text.FormatDefault
	writer.AppendHeader(table.Row{"layer", "fault", "put", "fired", "succeeded", "failed", "refused", "unknown"})
	counts := r.Faults
	if byLayer {
		counts = perLayer(counts)
	}
	for i, c := range counts {
		if !byLayer && i > 0 && counts[i-1].Layer != c.Layer {
			writer.AppendSeparator()
		}
		writer.AppendRow(table.Row{c.Layer, c.Kind, c.Put, c.Fired, c.Succeeded, c.Failed, c.Refused, c.Unknown})
	}
	p := r.Patches
	writer.AppendFooter(table.Row{"all", "patches", r.FaultsPut, r.FaultsFired, p.Succeeded, total(p.Failed), total(p.Refused), p.Unanswered + p.Open})
	fmt.Fprintln(out, writer.Render())
}

// perLayer adds the counts of each layer up.
func perLayer(counts []FaultCount) (layers []FaultCount) {
	for _, c := range counts {
		if n := len(layers); n == 0 || layers[n-1].Layer != c.Layer {
			layers = append(layers, FaultCount{Layer: c.Layer})
		}
		sum := &layers[len(layers)-1]
		// How many kinds there are is all that is left of them.
		sum.Kind = strings.TrimSpace(sum.Kind + " ·")
		sum.Put, sum.Fired = sum.Put+c.Put, sum.Fired+c.Fired
		sum.Succeeded, sum.Failed = sum.Succeeded+c.Succeeded, sum.Failed+c.Failed
		sum.Refused, sum.Unknown = sum.Refused+c.Refused, sum.Unknown+c.Unknown
	}
	for i := range layers {
		layers[i].Kind = fmt.Sprintf("kinds: %d", strings.Count(layers[i].Kind, "·"))
	}
	return layers
}

func total(counts map[patch.Code]int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// byCode tells counts by code, the same ones always in the same words.
func byCode(counts map[patch.Code]int) string {
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", code, counts[code]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// WriteSummary writes what the drill came to, without the table.
func (r RandomReport) WriteSummary(out io.Writer) {
	p := r.Patches
	fmt.Fprintf(out, "patches      begun %d of %d, asked %d, accepted %d, succeeded %d, left open %d, never answered %d; runs %d\n",
		p.Begun, p.Planned, p.Asked, p.Accepted, p.Succeeded, p.Open, p.Unanswered, p.Runs)
	fmt.Fprintf(out, "failed       %s\n", byCode(p.Failed))
	fmt.Fprintf(out, "refused      %s\n", byCode(p.Refused))
	fmt.Fprintf(out, "answers      %d said nothing, and the same was asked again\n", p.UnknownAnswers)
	fmt.Fprintf(out, "faults       put %d, fired %d\n", r.FaultsPut, r.FaultsFired)
	fmt.Fprintf(out, "promises     lost %d, doubled %d, unexplained differences %d of %d", r.Promises.Lost, r.Promises.Doubled,
		r.Promises.Unexplained, r.Promises.Differences)
	for _, check := range slices.Sorted(maps.Keys(r.Promises.Other)) {
		fmt.Fprintf(out, ", %s %d", check, r.Promises.Other[check])
	}
	fmt.Fprintf(out, "\nrecovery     p50 %.1f s, p99 %.1f s, max %.1f s after %d heals, never after %d\n",
		r.Recovery.P50, r.Recovery.P99, r.Recovery.Max, len(r.Recovery.Each), r.Recovery.Never)
	fmt.Fprintf(out, "time         %.0f s, %.0f s of them for the patches\n", r.Seconds, r.WorkSeconds)
	for _, note := range r.Notes {
		fmt.Fprintf(out, "note         %s\n", note)
	}
	for _, broken := range r.Promises.Broken {
		fmt.Fprintf(out, "BROKEN       %s %s: %s\n", broken.Check, broken.GameID, broken.Detail)
		if broken.Story != "" {
			fmt.Fprintln(out, indented(broken.Story))
		}
	}
	fmt.Fprintf(out, "verdict      %s\n", strings.Join(append([]string{string(r.Verdict)}, r.Reasons...), "; "))
}

func indented(story string) string {
	return "  | " + strings.ReplaceAll(strings.TrimSpace(story), "\n", "\n  | ")
}

// String tells the progress in one line.
func (p Progress) String() string {
	counts := p.Report.Patches
	line := fmt.Sprintf("%4.0f s  %s: %d of %d patches, %d under way, %d succeeded, %d failed, %d refused; faults %d put, %d fired",
		p.Report.Seconds, p.Stage, p.Ended, counts.Planned, p.Flying, counts.Succeeded, total(counts.Failed), total(counts.Refused),
		p.Report.FaultsPut, p.Report.FaultsFired)
	if p.Hazard != "" {
		line += "; " + p.Hazard
	}
	return line
}
