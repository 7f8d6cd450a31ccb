package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/ports"
)

var _ ports.DriftPager = (*Drift)(nil)

const (
	findingColumns = `id, game_id, kind, record_status, record_version, record_image_ref,
		container_image_ref, container_status, container_running, first_seen_at, last_seen_at, resolved_at`

	passColumns = `id, started_at, finished_at, checked, in_sync, image_drift, missing, extra, skipped, unknown`
)

var (
	pagesOfDrift = pages[drift.Finding]{"page drift", findingColumns, "drift_findings", "id DESC", scanFinding}

	countDrift = query[openOfKind]{
		"count drift",
		`SELECT kind, count(*) FROM drift_findings WHERE resolved_at IS NULL GROUP BY kind`,
		pgx.RowToStructByPos[openOfKind],
	}

	lastPass = query[drift.Pass]{
		"read last pass",
		`SELECT ` + passColumns + ` FROM drift_passes ORDER BY finished_at DESC, id DESC LIMIT 1`,
		scanPass,
	}
)

// openOfKind is how many findings of a kind are open.
type openOfKind struct {
	Kind drift.Kind
	Open int64
}

// PageDrift returns at most input.Limit findings, the highest id first, which is
// the one that was opened last; empty, not nil, when there is none. A finding
// that is neither resolved nor dropped meanwhile is on exactly one page.
func (s *Drift) PageDrift(ctx context.Context, input ports.DriftPageInput) ([]drift.Finding, error) {
	if err := input.Validate(); err != nil {
		return nil, invalid(err)
	}
	if err := checkText(pagesOfDrift.op, append(slices.Clone(input.GamePrefixes), input.GameID)...); err != nil {
		return nil, err
	}
	return pagesOfDrift.read(ctx, s.pool, driftPage(input))
}

func driftPage(input ports.DriftPageInput) page {
	c := &conditions{}
	if !input.Resolved {
		c.add("resolved_at IS NULL")
	}
	if input.GameID != "" {
		c.add("game_id = " + c.bind(input.GameID))
	}
	if input.Kind != "" {
		c.add("kind = " + c.bind(input.Kind))
	}
	c.addGamePrefixes(input.GamePrefixes)
	if input.BelowID > 0 {
		c.add("id < " + c.bind(input.BelowID))
	}
	if input.GameID != "" && input.Resolved {
		// Two ranges, because the game's open finding has an index of its own: if
		// the one of the others had it too, Postgres would take that one for a
		// game's open finding, and pass over all that the game ever had.
		return pagesOfDrift.page(c, input.Limit, "resolved_at IS NULL", "resolved_at IS NOT NULL")
	}
	return pagesOfDrift.page(c, input.Limit)
}

// CountDrift returns how many findings of each kind are open, zero included.
func (s *Drift) CountDrift(ctx context.Context) (map[drift.Kind]int64, error) {
	found, err := countDrift.all(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	counts := map[drift.Kind]int64{}
	for _, kind := range drift.Kinds() {
		counts[kind] = 0
	}
	for _, kind := range found {
		counts[kind.Kind] = kind.Open
	}
	return counts, nil
}

// LastPass returns the pass that finished last, or [drift.ErrNotFound] when none
// has finished, or all that did are dropped.
func (s *Drift) LastPass(ctx context.Context) (drift.Pass, error) {
	pass, err := lastPass.one(ctx, s.pool)
	if errors.Is(err, pgx.ErrNoRows) {
		return drift.Pass{}, fmt.Errorf("%s: %w", lastPass.op, drift.ErrNotFound)
	}
	return pass, err
}

func scanFinding(row pgx.CollectableRow) (drift.Finding, error) {
	var f drift.Finding
	err := row.Scan(&f.ID, &f.GameID, &f.Kind, &f.RecordStatus, &f.RecordVersion, &f.RecordImageRef,
		&f.Container.ImageRef, &f.Container.Status, &f.Container.Running, &f.FirstSeenAt, &f.LastSeenAt, &f.ResolvedAt)
	f.FirstSeenAt, f.LastSeenAt, f.ResolvedAt = f.FirstSeenAt.UTC(), f.LastSeenAt.UTC(), utc(f.ResolvedAt)
	return f, err
}

func scanPass(row pgx.CollectableRow) (drift.Pass, error) {
	var pass drift.Pass
	var finished time.Time
	err := row.Scan(&pass.ID, &pass.StartedAt, &finished,
		&pass.Checked, &pass.InSync, &pass.ImageDrift, &pass.Missing, &pass.Extra, &pass.Skipped, &pass.Unknown)
	finished = finished.UTC()
	pass.StartedAt, pass.FinishedAt = pass.StartedAt.UTC(), &finished
	return pass, err
}
