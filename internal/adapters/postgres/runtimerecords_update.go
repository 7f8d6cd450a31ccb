package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// A compare-and-swap is one statement that returns what it judged by, or no row:
//
//	held     waits for the row's lock and reads the status behind it, which is
//	         the newest committed one and cannot change before we are done
//	entry    waits for a change of the image of the version that is written, and
//	         keeps others from beginning: either that change finds the record
//	         or this one finds the change
//	other    is there when the registry has another image for the version than
//	         the one that is written; a version without an entry is not held to
//	         any image
//	fenced   is there when the fencing number is the last one that was given
//	         out; it waits for one that is being given out, and keeps others from
//	         being, so that whoever takes the next one finds the change
//	changed  changes the row if its status is the expected one, it holds what it
//	         has to, the number is the last one, and there is no other image
//
// So each answer is true at one instant, the one at which the locks were got: no
// row → not found; another status or image → conflict; otherwise → changed. A
// plain UPDATE with an EXISTS beside it would not do: the EXISTS looks at the
// snapshot of the statement's start, and a row that is deleted while the UPDATE
// waits for its lock would be reported as a conflict with a row that is gone.
// A row that is inserted after the statement began is not seen by any part of
// it, and "not found" was true when it began.
//
// Parameters 1 and 2 are game id and expected status; image and version say
// which ones are written, and either may be null; holds is the condition on the
// row, which is called stored; fence is the fencing number, and zero is none.
func compareAndSwap(image, version, holds, fence, set string) string {
	return `WITH held AS (
			SELECT game_id, status, ` + holds + ` AS holds FROM runtime_records AS stored WHERE game_id = $1 FOR NO KEY UPDATE
		), entry AS (
			SELECT image_ref FROM engine_versions WHERE version = ` + version + ` FOR SHARE
		), other AS (
			SELECT FROM entry WHERE image_ref <> ` + image + `
		), fenced AS (
			SELECT FROM runtime_fences WHERE game_id = $1 AND fence = ` + fence + ` FOR SHARE
		), judged AS (
			SELECT held.*, ` + fence + ` = 0 OR EXISTS (SELECT FROM fenced) AS lasts FROM held
		), changed AS (
			UPDATE runtime_records AS r SET ` + set + `
			FROM judged WHERE r.game_id = judged.game_id AND judged.status = $2 AND judged.holds AND judged.lasts AND NOT EXISTS (SELECT FROM other)
		)
		SELECT status, holds, lasts, EXISTS (SELECT FROM other) FROM judged`
}

// verdict is what a compare-and-swap judged by.
type verdict struct {
	held       runtime.Status
	holds      bool
	lasts      bool
	otherImage bool
}

func scanVerdict(row pgx.CollectableRow) (v verdict, err error) {
	return v, row.Scan(&v.held, &v.holds, &v.lasts, &v.otherImage)
}

var (
	// started_at keeps the first start; stopped_at and finished_at are those
	// of the latest stop and finish.
	updateStatus = query[verdict]{
		"update runtime status",
		compareAndSwap("$6", "$7", "true", "0", `
				status = $3,
				updated_at = $4,
				started_at = CASE WHEN $3 = 'running' THEN coalesce(r.started_at, $4) ELSE r.started_at END,
				stopped_at = CASE WHEN $3 = 'stopped' THEN $4 ELSE r.stopped_at END,
				finished_at = CASE WHEN $3 = 'finished' THEN $4 ELSE r.finished_at END,
				engine_health = coalesce($5, r.engine_health),
				current_image_ref = coalesce($6, r.current_image_ref),
				current_engine_version = coalesce($7, r.current_engine_version)`),
		scanVerdict,
	}

	updateImage = query[verdict]{
		"update runtime image",
		compareAndSwap("$3", "$4", `($6 = ''
				OR (stored.current_image_ref = $6 AND stored.current_engine_version = $7)
				OR (stored.current_image_ref = $3 AND stored.current_engine_version = $4))`, "$8::bigint", `
				current_image_ref = $3,
				current_engine_version = $4,
				updated_at = $5`),
		scanVerdict,
	}

	updateScheduling = command{
		"update runtime scheduling",
		`UPDATE runtime_records
			SET next_generation_at = $2, skip_next_tick = $3, current_turn = $4, updated_at = $5
			WHERE game_id = $1`,
	}

	updateEngineHealth = command{
		"update runtime engine health",
		`UPDATE runtime_records SET engine_health = $2, updated_at = $3 WHERE game_id = $1`,
	}
)

// UpdateStatus moves one record to another status, if its stored status is
// input.ExpectedFrom, else [runtime.ErrConflict]; [runtime.ErrNotFound] when
// there is no row. started_at is set by the first move to running and kept
// afterwards, stopped_at and finished_at by every move there.
//
// It does not recognise its own earlier success: after a lost reply, the second
// call finds the new status and returns [runtime.ErrConflict].
func (s *RuntimeRecords) UpdateStatus(ctx context.Context, input ports.UpdateStatusInput) error {
	if err := input.Validate(); err != nil {
		return invalid(err)
	}
	if err := checkText(updateStatus.op, input.GameID, deref(input.EngineHealthSummary),
		deref(input.CurrentImageRef), deref(input.CurrentEngineVersion)); err != nil {
		return err
	}
	return s.swap(ctx, updateStatus, guard{input.GameID, input.ExpectedFrom},
		input.To, stamp(input.Now), input.EngineHealthSummary, input.CurrentImageRef, input.CurrentEngineVersion)
}

// UpdateImage rotates current_image_ref and current_engine_version if the
// stored status is input.ExpectedStatus, else [runtime.ErrConflict];
// [runtime.ErrNotFound] when there is no row, and [engineversion.ErrConflict]
// when the registry has another image for the version by now: no record may
// name a version beside its image. A call that is repeated after a lost reply
// succeeds, also with an expected image.
func (s *RuntimeRecords) UpdateImage(ctx context.Context, input ports.UpdateImageInput) error {
	if err := input.Validate(); err != nil {
		return invalid(err)
	}
	if err := checkText(updateImage.op, input.GameID, input.CurrentImageRef, input.CurrentEngineVersion,
		input.ExpectedImageRef, input.ExpectedEngineVersion); err != nil {
		return err
	}
	return s.swap(ctx, updateImage, guard{input.GameID, input.ExpectedStatus},
		input.CurrentImageRef, input.CurrentEngineVersion, stamp(input.Now), input.ExpectedImageRef, input.ExpectedEngineVersion, input.Fence)
}

// UpdateScheduling overwrites the three scheduling columns from any status;
// [runtime.ErrNotFound] when there is no row.
func (s *RuntimeRecords) UpdateScheduling(ctx context.Context, input ports.UpdateSchedulingInput) error {
	if err := input.Validate(); err != nil {
		return invalid(err)
	}
	if err := checkText(updateScheduling.op, input.GameID); err != nil {
		return err
	}
	return s.overwrite(ctx, updateScheduling, input.GameID,
		stampOrNull(input.NextGenerationAt), input.SkipNextTick, input.CurrentTurn, stamp(input.Now))
}

// UpdateEngineHealth overwrites engine_health from any status;
// [runtime.ErrNotFound] when there is no row.
func (s *RuntimeRecords) UpdateEngineHealth(ctx context.Context, input ports.UpdateEngineHealthInput) error {
	if err := input.Validate(); err != nil {
		return invalid(err)
	}
	if err := checkText(updateEngineHealth.op, input.GameID, input.EngineHealthSummary); err != nil {
		return err
	}
	return s.overwrite(ctx, updateEngineHealth, input.GameID, input.EngineHealthSummary, stamp(input.Now))
}

// guard is what a compare-and-swap compares.
type guard struct {
	gameID   string
	expected runtime.Status
}

// swap runs a compare-and-swap: statement takes the game id and the expected
// status, then the values.
func (s *RuntimeRecords) swap(ctx context.Context, statement query[verdict], g guard, values ...any) error {
	judged, err := statement.one(ctx, s.pool, append([]any{g.gameID, g.expected}, values...)...)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%s of %q: %w", statement.op, g.gameID, runtime.ErrNotFound)
	case err != nil:
		return err
	case judged.held != g.expected:
		return fmt.Errorf("%s of %q: status is %q, expected %q: %w",
			statement.op, g.gameID, judged.held, g.expected, runtime.ErrConflict)
	case !judged.lasts:
		return fmt.Errorf("%s of %q: %w", statement.op, g.gameID, ports.ErrStaleFence)
	case !judged.holds:
		return fmt.Errorf("%s of %q: it holds another image or version than expected: %w",
			statement.op, g.gameID, runtime.ErrConflict)
	case judged.otherImage:
		return fmt.Errorf("%s of %q: the registry has another image for the version: %w",
			statement.op, g.gameID, engineversion.ErrConflict)
	}
	return nil
}

// overwrite runs an update that nothing guards: statement takes the game id,
// then the values.
func (s *RuntimeRecords) overwrite(ctx context.Context, statement command, gameID string, values ...any) error {
	updated, err := statement.run(ctx, s.pool, append([]any{gameID}, values...)...)
	if err != nil {
		return err
	}
	if updated == 0 {
		return fmt.Errorf("%s of %q: %w", statement.op, gameID, runtime.ErrNotFound)
	}
	return nil
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
