package drill_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/drill"
)

// good is a report of a drill in which all went well.
func good() drill.RandomReport {
	return drill.RandomReport{
		Seed: 7,
		Patches: drill.PatchCounts{
			Planned: 10, Begun: 10, Asked: 11, Accepted: 10, Succeeded: 9, Failed: map[patch.Code]int{patch.CodeConflict: 1},
			Refused: map[patch.Code]int{patch.CodePatchInProgress: 1},
		},
		Faults: []drill.FaultCount{
			{Layer: drill.LayerWorker, Kind: "kill_before", Put: 2, Fired: 2, Succeeded: 2},
			{Layer: drill.LayerManager, Kind: "slow", Put: 2, Fired: 1, Succeeded: 1, Failed: 1},
			{Layer: drill.LayerManager, Kind: "hang", Put: 1, Fired: 1, Failed: 1},
		},
	}
}

// heals are that many recoveries, the slowest of which took so long.
func heals(n int, slowest float64) (each []drill.Recovered) {
	for range n - 1 {
		each = append(each, drill.Recovered{Hazard: "quick", Seconds: 0.5})
	}
	return append(each, drill.Recovered{Hazard: "slow", Seconds: slowest})
}

// TestVerdict proves what a drill passes and fails by: each broken promise counts
// for what it is, and a recovery that takes too long is one.
func TestVerdict(t *testing.T) {
	t.Parallel()
	passed := drill.ReportOf(good(), heals(10, 3))
	require.Equal(t, drill.Pass, passed.Verdict)
	require.Empty(t, passed.Reasons)
	require.Equal(t, 5, passed.FaultsPut)
	require.Equal(t, 4, passed.FaultsFired)

	lost := drill.Violation{Check: "accepted_has_one_row", GameID: "g", Detail: "no run"}
	doubled := drill.Violation{Check: "direction_once", GameID: "g", Detail: "twice"}
	unexplained := drill.Violation{Check: "record_container_agree", GameID: "g", Detail: "differs"}
	stuck := drill.Violation{Check: "nothing_stuck", GameID: "g", Detail: "open"}
	for _, row := range []struct {
		report drill.RandomReport
		reason string
	}{
		{drill.ReportOf(good(), heals(10, 3), lost), "1 lost"},
		{drill.ReportOf(good(), heals(10, 3), doubled, doubled), "2 doubled"},
		{drill.ReportOf(good(), heals(10, 3), unexplained), "1 differences without an explanation"},
		{drill.ReportOf(good(), heals(10, 3), stuck), "nothing_stuck was broken 1 times"},
		{drill.ReportOf(good(), heals(10, 31)), "recovery took 31.0 s"},
		{drill.ReportOf(good(), append(heals(200, 3), drill.Recovered{Never: true, Seconds: 1})), "nothing succeeded after 1 heals"},
		{drill.ReportOf(drill.RandomReport{}, nil), "no patch succeeded"},
	} {
		require.Equal(t, drill.Fail, row.report.Verdict, row.reason)
		require.Len(t, row.report.Reasons, 1)
		require.Contains(t, row.report.Reasons[0], row.reason)
	}
	require.Equal(t, []drill.Broken{
		{Check: "direction_once", GameID: "g", Detail: "twice", Story: "its story"}, {Check: "direction_once", GameID: "g", Detail: "twice"},
	}, drill.ReportOf(good(), nil, doubled, doubled).Promises.Broken)
}

// TestRecovery proves that percentiles are told by the nearest rank, so that one
// slow heal in a hundred is forgiven and two are not.
func TestRecovery(t *testing.T) {
	t.Parallel()
	report := drill.ReportOf(good(), heals(100, 40))
	require.Equal(t, drill.Pass, report.Verdict, report.Reasons)
	require.InDelta(t, 0.5, report.Recovery.P50, 0)
	require.InDelta(t, 0.5, report.Recovery.P99, 0)
	require.InDelta(t, 40, report.Recovery.Max, 0)
	report = drill.ReportOf(good(), append(heals(99, 40), heals(1, 41)...))
	require.Equal(t, drill.Fail, report.Verdict)
	require.InDelta(t, 40, report.Recovery.P99, 0)
}

// TestReportIsTold proves that table and summary have every figure, and that the
// table for a screen has a row for each layer only.
func TestReportIsTold(t *testing.T) {
	t.Parallel()
	report := drill.ReportOf(good(), heals(10, 3), drill.Violation{Check: "nothing_stuck", GameID: "g", Detail: "open"})
	report.Notes = []string{"one was not put"}
	var table, screen, summary strings.Builder
	report.WriteTable(&table, false)
	report.WriteTable(&screen, true)
	report.WriteSummary(&summary)
	lines := strings.Split(table.String(), "\n")
	require.Contains(t, lines[3], "manager")
	require.Regexp(t, `hang.* 1 .* 1 .* 0 .* 1 .* 0 .* 0 `, lines[3], "the layers in their order")
	require.Contains(t, table.String(), "kill_before")
	require.NotContains(t, screen.String(), "kill_before")
	require.Contains(t, screen.String(), "kinds: 2")
	for _, text := range []string{
		"begun 10 of 10, asked 11, accepted 10, succeeded 9", "conflict 1", "patch_in_progress 1", "put 5, fired 4", "lost 0, doubled 0",
		"nothing_stuck 1", "p50 0.5 s, p99 3.0 s", "one was not put", "BROKEN       nothing_stuck g: open", "  | its story",
		"FAIL; nothing_stuck was broken 1 times",
	} {
		require.Contains(t, summary.String(), text)
	}
}
