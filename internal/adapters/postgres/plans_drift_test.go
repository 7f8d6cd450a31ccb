package postgres_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/ports"
)

// Forty thousand findings, one in twenty of which is open: of those one in a
// hundred, and one in four hundred of the others, is of a rare kind. A game that
// comes and goes has every other one.
var driftRows = []string{
	`INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version, created_at, updated_at)
		SELECT 'g' || n, 'running', 'engine:1', '1.0.0', now(), now() FROM generate_series(1, 40000) AS n`,
	`INSERT INTO drift_findings (game_id, kind, record_status, record_version, record_image_ref, first_seen_at, last_seen_at, resolved_at)
		SELECT 'g' || CASE WHEN n % 20 = 0 THEN n WHEN n % 2 = 0 THEN 20 ELSE n % 499 END,
			CASE WHEN n % 2000 = 0 OR n % 400 = 7 THEN 'extra' WHEN n % 2 = 0 THEN 'missing' ELSE 'image_drift' END,
			'running', '1.0.0', 'engine:1', now(), now(),
			CASE WHEN n % 20 <> 0 THEN timestamptz '2031-01-01 00:00Z' + n * interval '1 second' END FROM generate_series(1, 40000) AS n`,
	`INSERT INTO drift_passes SELECT 'run-' || n, now(), timestamptz '2031-01-01 00:00Z' + n * interval '1 second', 0, 0, 0, 0, 0, 0, 0
		FROM generate_series(1, 20000) AS n`,
	`INSERT INTO runtime_fences SELECT 'g' || n, n, now() FROM generate_series(1, 20000) AS n`,
	"VACUUM ANALYZE runtime_records", "VACUUM ANALYZE drift_findings", "VACUUM ANALYZE drift_passes", "VACUUM ANALYZE runtime_fences",
}

// Proves that every page of findings is a range of the index that has its order
// and its conditions, wherever it begins.
func TestPagesOfDriftAreIndexRanges(t *testing.T) {
	pool := newPool(t)
	fill(t, pool, driftRows...)
	for _, c := range []struct {
		name, index string
		input       ports.DriftPageInput
		sorts       bool // so few rows that they may as well be fetched and sorted
	}{
		{"first open", "drift_findings_open", ports.DriftPageInput{}, false},
		{"middle open", "drift_findings_open", ports.DriftPageInput{BelowID: 20_000}, false},
		{"first of all", "drift_findings_pkey", ports.DriftPageInput{Resolved: true}, false},
		{"middle of all", "drift_findings_pkey", ports.DriftPageInput{Resolved: true, BelowID: 20_000}, false},
		// Of a kind that is not rare, the list itself has enough in every part of it.
		{"first open of a rare kind", "drift_findings_open_by_kind", ports.DriftPageInput{Kind: drift.Extra}, false},
		{"middle open of a rare kind", "drift_findings_open_by_kind", ports.DriftPageInput{Kind: drift.Extra, BelowID: 20_000}, false},
		{"first of a rare kind", "drift_findings_by_kind", ports.DriftPageInput{Kind: drift.Extra, Resolved: true}, false},
		{"middle of a rare kind", "drift_findings_by_kind", ports.DriftPageInput{Kind: drift.Extra, Resolved: true, BelowID: 20_000}, false},
		{"open of a game that comes and goes", "drift_findings_one_open", ports.DriftPageInput{GameID: "g20"}, true},
		{"first of a game", "drift_findings_by_game", ports.DriftPageInput{GameID: "g7", Resolved: true}, true},
		{"middle of a game", "drift_findings_by_game", ports.DriftPageInput{GameID: "g7", Resolved: true, BelowID: 20_000}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.input.Limit = 5
			statement, arguments := postgres.DriftPage(c.input)
			plan := explain(t, begin(t, pool, "SELECT"), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) "+statement, arguments)
			require.Regexp(t, `\b`+c.index+`\b`, plan)
			require.NotContains(t, plan, "Seq Scan on")
			require.NotContains(t, plan, "Rows Removed")
			require.NotContains(t, plan, "never executed", "the rows are there")
			if !c.sorts {
				require.NotContains(t, plan, "Sort")
			}
		})
	}
}

// Proves that what the watch writes, drops and counts, and what fences take, is
// found by an index: with a plan for all values, and, for a page of a thousand
// games, with one for its own.
func TestPlansOfDriftAndFences(t *testing.T) {
	pool := newPool(t)
	fill(t, pool, driftRows...)
	var page []drift.Finding
	var games []string
	var kinds []drift.Kind
	for n := range 1000 {
		finding := newFinding(fmt.Sprintf("g%d", 20*n), drift.ImageDrift)
		page, games, kinds = append(page, finding), append(games, finding.GameID), append(kinds, finding.Kind)
	}
	for _, c := range []struct {
		name, statement, index string
		arguments              []any
	}{
		{"fence", postgres.TakeFenceSQL, "runtime_fences_pkey", []any{"g7", 1}},
		{"resolve seen", postgres.ResolveSeenSQL, "drift_findings_(one_)?open", []any{games, kinds, stored}},
		{"open found", postgres.OpenFoundSQL, "drift_findings_one_open", append(postgres.ColumnsOf(page), stored)},
		{"drop findings", postgres.DropFindingsSQL, "drift_findings_by_resolved", []any{stored.AddDate(-100, 0, 0), 100}},
		{"drop passes", postgres.DropPassesSQL, "drift_passes_by_finish", []any{stored.AddDate(-100, 0, 0), 100, "run"}},
		{"count", postgres.CountDriftSQL, "drift_findings_open", nil},
		{"last pass", postgres.LastPassSQL, "drift_passes_by_finish", nil},
	} {
		for _, mode := range []string{"force_generic_plan", "force_custom_plan"} {
			t.Run(c.name+" "+mode, func(t *testing.T) {
				plan := explain(t, begin(t, pool, "SET LOCAL plan_cache_mode = "+mode), "EXPLAIN "+c.statement, c.arguments)
				require.Regexp(t, c.index, plan)
				require.NotContains(t, plan, "Seq Scan on")
			})
		}
	}
	// Whose game is gone is looked for among the open findings; how their games
	// are looked up may depend on how many those are.
	plan := explain(t, begin(t, pool, "SELECT"), "EXPLAIN "+postgres.ResolveGoneSQL, []any{stored, postgres.SweepBatch})
	require.NotContains(t, plan, "Seq Scan on drift_findings")
	require.Contains(t, plan, "Anti Join")
}
