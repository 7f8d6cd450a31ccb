package drill

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Collect gathers the evidence of the games, the logs from when the first of them
// was made. It is to be called when they have settled.
func (c *Cell) Collect(ctx context.Context, games ...*Game) (Evidence, error) {
	evidence := Evidence{Secrets: c.Stack.secrets()}
	if len(games) > 0 {
		evidence.Logs = append(c.Stack.logsSince(games[0].began), c.logsBefore(games[0].began)...)
	}
	for _, g := range games {
		game, err := c.collect(ctx, g)
		if err != nil {
			return Evidence{}, fmt.Errorf("collect the evidence of %s: %w", g.ID, err)
		}
		evidence.Games = append(evidence.Games, game)
		g.mu.Lock()
		faults := slices.Clone(g.faults)
		g.mu.Unlock()
		for _, fault := range faults {
			fired, err := fault.fired(ctx)
			if err != nil {
				return Evidence{}, fmt.Errorf("ask for fault %s: %w", fault.name, err)
			}
			evidence.Faults = append(evidence.Faults, PlannedFault{Name: fault.name, Layer: fault.layer, Fired: fired})
		}
	}
	return evidence, c.collectWatch(ctx, &evidence)
}

// logsBefore returns what is left of what the cell's own processes wrote before
// that: what they should not tell, they tell most easily when they start.
func (c *Cell) logsBefore(at places) []Log {
	var logs []Log
	for _, process := range slices.Concat(c.Workers, c.APIs) {
		book := process.options.Log
		logs = append(logs, Log{Process: book.name, Text: book.before(at[book])})
	}
	return logs
}

func (c *Cell) collect(ctx context.Context, g *Game) (GameEvidence, error) {
	g.mu.Lock()
	game := GameEvidence{
		GameID: g.ID, Initial: g.Initial, Moves: slices.Clone(g.moves), Turns: slices.Clone(g.turns), Terminations: g.terminations,
		Asks: slices.Clone(g.asks), Expect: g.expect,
	}
	g.mu.Unlock()
	for _, collect := range []func(context.Context, *GameEvidence) error{
		c.collectRecord, c.collectRows, c.collectRest, c.collectManager, c.collectRuns,
	} {
		if err := collect(ctx, &game); err != nil {
			return GameEvidence{}, err
		}
	}
	return game, nil
}

func (c *Cell) collectManager(ctx context.Context, game *GameEvidence) (err error) {
	if game.Container, err = c.Stack.Simulator.Container(ctx, game.GameID); err != nil {
		return err
	}
	game.Calls, err = c.Stack.Simulator.Calls(ctx, game.GameID)
	return err
}

func (c *Cell) collectRecord(ctx context.Context, game *GameEvidence) error {
	rows, err := c.pool.Query(ctx, `SELECT game_id, status, current_image_ref, current_engine_version, created_at, updated_at
		FROM runtime_records WHERE game_id = $1`, game.GameID)
	if err != nil {
		return err
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (record runtime.RuntimeRecord, err error) {
		return record, row.Scan(&record.GameID, &record.Status, &record.CurrentImageRef, &record.CurrentEngineVersion,
			&record.CreatedAt, &record.UpdatedAt)
	})
	if err == nil && len(records) == 1 {
		game.Record = &records[0]
	}
	return err
}

func (c *Cell) collectRows(ctx context.Context, game *GameEvidence) error {
	rows, err := c.pool.Query(ctx, `SELECT id, game_id, op_kind, op_source, source_ref, actor, outcome, error_code,
		error_message, started_at, finished_at, patch_id, run_id, reason, noop, from_version, from_image_ref,
		to_version, to_image_ref, undo FROM operation_log WHERE game_id = $1 ORDER BY id`, game.GameID)
	if err != nil {
		return err
	}
	game.Rows, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (entry operation.OperationEntry, err error) {
		return entry, row.Scan(&entry.ID, &entry.GameID, &entry.OpKind, &entry.OpSource, &entry.SourceRef, &entry.Actor,
			&entry.Outcome, &entry.ErrorCode, &entry.ErrorMessage, &entry.StartedAt, &entry.FinishedAt, &entry.PatchID,
			&entry.RunID, &entry.Reason, &entry.Noop, &entry.FromVersion, &entry.FromImageRef, &entry.ToVersion,
			&entry.ToImageRef, &entry.Undo)
	})
	return err
}

// collectRest reads fence, keys and open findings.
func (c *Cell) collectRest(ctx context.Context, game *GameEvidence) error {
	err := c.pool.QueryRow(ctx, "SELECT coalesce(max(fence), 0) FROM runtime_fences WHERE game_id = $1", game.GameID).Scan(&game.Fence)
	if err != nil {
		return err
	}
	rows, err := c.pool.Query(ctx, "SELECT key, patch_id, run_id FROM idempotency_keys WHERE starts_with(patch_id, $1) ORDER BY created_at", game.GameID+".")
	if err != nil {
		return err
	}
	if game.Keys, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Key]); err != nil {
		return err
	}
	rows, err = c.pool.Query(ctx, `SELECT id, game_id, kind FROM drift_findings
		WHERE game_id = $1 AND resolved_at IS NULL`, game.GameID)
	if err != nil {
		return err
	}
	game.Findings, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (finding drift.Finding, err error) {
		return finding, row.Scan(&finding.ID, &finding.GameID, &finding.Kind)
	})
	return err
}

// collectWatch finds out whether a whole pass of the watch began after the last
// run had ended.
func (c *Cell) collectWatch(ctx context.Context, evidence *Evidence) error {
	passes := 0
	for _, game := range evidence.Games {
		for _, run := range game.Runs {
			if run.Status == RunOpen {
				return nil
			}
			err := c.pool.QueryRow(ctx, "SELECT count(*) FROM drift_passes WHERE started_at > $1", run.EndedAt).Scan(&passes)
			if err != nil || passes == 0 {
				return err
			}
		}
	}
	evidence.Watched = passes > 0
	return nil
}
