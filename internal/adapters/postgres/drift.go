package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/ports"
)

// Drift implements [ports.DriftStore] and [ports.DriftPager] on drift_findings
// and drift_passes.
type Drift struct {
	pool *pgxpool.Pool
}

var _ ports.DriftStore = (*Drift)(nil)

// NewDrift returns a store on pool, which the caller keeps and closes.
func NewDrift(pool *pgxpool.Pool) *Drift { return &Drift{pool: pool} }

const (
	noteDriftOp  = "note drift"
	finishPassOp = "finish pass"

	// noteLockID names the advisory lock that pages are noted under, one at a
	// time; beside the one of the migrations.
	noteLockID = 7_205_934_002

	// sweepBatch bounds the rows that one statement of Finish changes: ten
	// thousand take a fraction of a second, far from the limit of a statement.
	// With all at once, a fleet that drifted as a whole would leave more than
	// ten seconds' worth to drop, and no pass would ever end again.
	sweepBatch = 10_000
)

var (
	// Two workers may note one page at once, the second being the retry of a
	// first that is not dead, and each may have seen something else. Row locks
	// alone would let them deadlock, or overlook the finding that the other one
	// has just opened. A page takes milliseconds, so taking turns costs nothing.
	// The wait for the turn ends with the limit of every lock.
	lockNotes = command{noteDriftOp, `SELECT pg_advisory_xact_lock($1)`}

	// A statement of its own behind the lock: it sees what the page before left.
	resolveSeen = command{
		noteDriftOp,
		`UPDATE drift_findings AS open SET resolved_at = $3
			FROM unnest($1::text[], $2::text[]) AS seen (game_id, kind)
			WHERE open.game_id = seen.game_id AND open.resolved_at IS NULL AND open.kind <> seen.kind`,
	}

	// And one behind that, because a game that has another difference now needs
	// its open finding out of the way first.
	openFound = command{
		noteDriftOp,
		`INSERT INTO drift_findings (game_id, kind, record_status, record_version, record_image_ref,
				container_image_ref, container_status, container_running, first_seen_at, last_seen_at)
			SELECT found.*, $9::timestamptz, $9::timestamptz
			FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[]) AS found
			ON CONFLICT (game_id) WHERE resolved_at IS NULL DO UPDATE SET
				record_status = excluded.record_status,
				record_version = excluded.record_version,
				record_image_ref = excluded.record_image_ref,
				container_image_ref = excluded.container_image_ref,
				container_status = excluded.container_status,
				container_running = excluded.container_running,
				last_seen_at = excluded.last_seen_at`,
	}

	// Rows that a page is being noted on are left to the next pass: to wait for
	// them in an order that is not theirs could deadlock.
	resolveGone = command{
		finishPassOp,
		`UPDATE drift_findings SET resolved_at = $1 WHERE id IN (
			SELECT id FROM drift_findings AS open
			WHERE resolved_at IS NULL AND NOT EXISTS (SELECT FROM runtime_records AS r WHERE r.game_id = open.game_id)
			LIMIT $2 FOR UPDATE SKIP LOCKED)`,
	}

	keepPass = command{
		finishPassOp,
		`INSERT INTO drift_passes (` + passColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT (id) DO UPDATE SET
				started_at = excluded.started_at,
				finished_at = excluded.finished_at,
				checked = excluded.checked,
				in_sync = excluded.in_sync,
				image_drift = excluded.image_drift,
				missing = excluded.missing,
				extra = excluded.extra,
				skipped = excluded.skipped,
				unknown = excluded.unknown`,
	}

	dropFindings = command{
		finishPassOp,
		`DELETE FROM drift_findings WHERE id IN (
			SELECT id FROM drift_findings WHERE resolved_at < $1
			ORDER BY resolved_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
	}

	dropPasses = command{
		finishPassOp,
		`DELETE FROM drift_passes WHERE id IN (
			SELECT id FROM drift_passes WHERE finished_at < $1 AND id <> $3
			ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
	}
)

// Note writes what a page of a pass came to, whole or not at all. Pages are
// noted one after the other, whoever notes them, and the one that is noted last
// counts, whatever its time. A page that names a game twice is
// [ports.ErrInvalidInput]. After a lost reply it is noted again: that changes
// nothing but the time of the last sighting.
func (s *Drift) Note(ctx context.Context, input ports.NoteDriftInput) error {
	if err := input.Validate(); err != nil {
		return invalid(err)
	}
	if err := checkPage(input); err != nil {
		return err
	}
	if len(input.Found)+len(input.InSync) == 0 {
		return nil
	}
	games, kinds := sightings(input)
	now := stamp(input.Now)
	return transact(ctx, s.pool, noteDriftOp, func(tx pgx.Tx) error {
		if _, err := lockNotes.run(ctx, tx, noteLockID); err != nil {
			return err
		}
		if _, err := resolveSeen.run(ctx, tx, games, kinds, now); err != nil {
			return err
		}
		if len(input.Found) == 0 {
			return nil
		}
		_, err := openFound.run(ctx, tx, append(columnsOf(input.Found), now)...)
		return err
	})
}

// checkPage refuses what cannot be stored, and a game that is told of twice:
// one game cannot differ in two ways, nor differ and be in sync.
func checkPage(input ports.NoteDriftInput) error {
	named := make(map[string]bool, len(input.Found)+len(input.InSync))
	name := func(gameID string, texts ...string) error {
		if named[gameID] {
			return invalid(fmt.Errorf("%s: game %q is named twice", noteDriftOp, gameID))
		}
		named[gameID] = true
		return checkText(noteDriftOp, append(texts, gameID)...)
	}
	for _, f := range input.Found {
		if err := name(f.GameID, string(f.RecordStatus), f.RecordVersion, f.RecordImageRef, f.Container.ImageRef, f.Container.Status); err != nil {
			return err
		}
	}
	for _, gameID := range input.InSync {
		if err := name(gameID); err != nil {
			return err
		}
	}
	return nil
}

// sightings returns every game of the page and how it was found.
func sightings(input ports.NoteDriftInput) (games []string, kinds []drift.Kind) {
	for _, finding := range input.Found {
		games, kinds = append(games, finding.GameID), append(kinds, finding.Kind)
	}
	for _, gameID := range input.InSync {
		games, kinds = append(games, gameID), append(kinds, drift.InSync)
	}
	return games, kinds
}

// columnsOf returns the findings column by column, in the order in which
// openFound takes them.
func columnsOf(found []drift.Finding) []any {
	column := func(of func(drift.Finding) string) []string {
		values := make([]string, len(found))
		for i, finding := range found {
			values[i] = of(finding)
		}
		return values
	}
	running := make([]bool, len(found))
	for i, finding := range found {
		running[i] = finding.Container.Running
	}
	return []any{
		column(func(f drift.Finding) string { return f.GameID }),
		column(func(f drift.Finding) string { return string(f.Kind) }),
		column(func(f drift.Finding) string { return string(f.RecordStatus) }),
		column(func(f drift.Finding) string { return f.RecordVersion }),
		column(func(f drift.Finding) string { return f.RecordImageRef }),
		column(func(f drift.Finding) string { return f.Container.ImageRef }),
		column(func(f drift.Finding) string { return f.Container.Status }),
		running,
	}
}

// Finish resolves the open findings of games that have no record any more, keeps
// the summary of the pass, and drops what is older than input.KeepSince, but
// never the pass itself. Each is a step of its own, so that no statement grows
// with the fleet; Finish goes on where it was left when it is called again.
// Findings that another call works on are passed over until the next pass.
func (s *Drift) Finish(ctx context.Context, input ports.FinishPassInput) error {
	if err := input.Validate(); err != nil {
		return invalid(err)
	}
	pass := input.Pass
	if err := checkText(finishPassOp, pass.ID); err != nil {
		return err
	}
	if err := s.sweep(ctx, resolveGone, stamp(*pass.FinishedAt)); err != nil {
		return err
	}
	if _, err := keepPass.run(ctx, s.pool, pass.ID, stamp(pass.StartedAt), stamp(*pass.FinishedAt),
		pass.Checked, pass.InSync, pass.ImageDrift, pass.Missing, pass.Extra, pass.Skipped, pass.Unknown); err != nil {
		return err
	}
	before := stampUp(input.KeepSince)
	if err := s.sweep(ctx, dropFindings, before); err != nil {
		return err
	}
	return s.sweep(ctx, dropPasses, before, pass.ID)
}

// sweep runs statement batch by batch until it finds less than a batch: it takes
// the instant, the batch's size and the rest.
func (s *Drift) sweep(ctx context.Context, statement command, instant any, rest ...any) error {
	for {
		touched, err := statement.run(ctx, s.pool, append([]any{instant, sweepBatch}, rest...)...)
		if err != nil || touched < sweepBatch {
			return err
		}
	}
}
