package postgres_test

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// Forty thousand games and as many entries, two hundred of each of one team, which
// lie scattered among the others.
var teamRows = []string{
	`INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version, next_generation_at, created_at, updated_at)
		SELECT CASE WHEN n % 200 = 7 THEN 'team_a-' ELSE 'g' END || n, CASE WHEN n % 9 = 0 THEN 'stopped' ELSE 'running' END, 'engine:1', '1.0.' || n % 20,
			timestamptz '2031-01-01 00:00Z' + n * interval '1 second',
			timestamptz '2031-01-01 00:00Z' - n * interval '1 second', now() FROM generate_series(1, 40000) AS n`,
	`INSERT INTO operation_log (game_id, op_kind, op_source, outcome, error_code, started_at, patch_id, run_id)
		SELECT CASE WHEN n % 200 = 7 THEN 'team_a-' ELSE 'g' END || n % 4000, 'patch', 'system', CASE WHEN n % 9 = 0 THEN 'failure' ELSE 'success' END,
			CASE WHEN n % 9 = 0 THEN 'conflict' ELSE '' END,
			timestamptz '2031-01-01 00:00Z' - n * interval '1 second', 'p' || n, 'r' FROM generate_series(1, 40000) AS n`,
	"VACUUM ANALYZE runtime_records", "VACUUM ANALYZE operation_log",
}

// teamGames is how many records and entries teamRows have of the team.
const teamGames = 200

// Proves that a page for who may see few games costs what there is of those games
// and not of all, wherever it begins and whatever else it asks for: Postgres looks
// them up by how their ids begin, also where the database's order of letters is not
// that of their bytes.
func TestPagesOfFewGames(t *testing.T) {
	newYear := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, collate := range map[string]string{
		"bytes": "SELECT", "language": `ALTER TABLE runtime_records ALTER game_id TYPE text COLLATE "und-x-icu"; ALTER TABLE operation_log ALTER game_id TYPE text COLLATE "und-x-icu"`,
	} {
		pool := newPool(t)
		fill(t, pool, append([]string{collate}, teamRows...)...)
		prefixes := []string{"team_a-", "nobody-"}
		runtimes := func(status runtime.Status, after *ports.RuntimePosition) (string, []any) {
			return postgres.RuntimePage(ports.RuntimePageInput{Status: status, GamePrefixes: prefixes, After: after, Limit: 100})
		}
		due := func(after *ports.DuePosition) (string, []any) {
			return postgres.DuePage(ports.DuePageInput{At: stored, GamePrefixes: prefixes, After: after, Limit: 100})
		}
		operations := func(outcome operation.Outcome, after *ports.OperationPosition) (string, []any) {
			return postgres.OperationPage(ports.OperationPageInput{Outcome: outcome, GamePrefixes: prefixes, After: after, Limit: 100})
		}
		for _, c := range []struct {
			name, index string
			statement   func() (string, []any)
		}{
			{"first", "runtime_records_(pkey|by_game)", func() (string, []any) { return runtimes("", nil) }},
			{"middle", "runtime_records_(pkey|by_game)", func() (string, []any) {
				return runtimes("", &ports.RuntimePosition{CreatedAt: newYear.Add(-20_000e9), GameID: "g20000"})
			}},
			{"first of a status", "runtime_records_(pkey|by_game)", func() (string, []any) { return runtimes(runtime.StatusStopped, nil) }},
			{"first due", "runtime_records_(pkey|by_game)", func() (string, []any) { return due(nil) }},
			{"middle due", "runtime_records_(pkey|by_game)", func() (string, []any) {
				return due(&ports.DuePosition{NextGenerationAt: newYear.Add(20_000e9), GameID: "g20000"})
			}},
			{"first operations", "operation_log_by_game(_start)?", func() (string, []any) { return operations("", nil) }},
			{"middle operations", "operation_log_by_game(_start)?", func() (string, []any) {
				return operations("", &ports.OperationPosition{StartedAt: newYear.Add(-20_000e9), ID: 20_000})
			}},
			{"first failures", "operation_log_by_game(_start)?", func() (string, []any) { return operations(operation.OutcomeFailure, nil) }},
		} {
			t.Run(name+" "+c.name, func(t *testing.T) {
				statement, arguments := c.statement()
				plan := explain(t, begin(t, pool, "SELECT"), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) "+statement, arguments)
				require.Regexp(t, `\b`+c.index+`\b`, plan)
				require.NotContains(t, plan, "Seq Scan on")
				for _, removed := range regexp.MustCompile(`Rows Removed by Filter: (\d+)`).FindAllStringSubmatch(plan, -1) {
					rows, err := strconv.Atoi(removed[1])
					require.NoError(t, err)
					require.LessOrEqual(t, rows, teamGames, plan)
				}
			})
		}
	}
}
