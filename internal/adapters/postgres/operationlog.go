package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/ports"
)

// OperationLog implements [ports.OperationLogStore] on operation_log.
type OperationLog struct {
	pool *pgxpool.Pool
	// appended hears of every row that was written; may be nil.
	appended func(operation.OperationEntry)
}

var _ ports.OperationLogStore = (*OperationLog)(nil)

// NewOperationLog returns a store on pool, which the caller keeps and closes.
func NewOperationLog(pool *pgxpool.Pool) *OperationLog { return &OperationLog{pool: pool} }

// OnAppended has hear told of every entry whose row this store wrote, once: not
// of one that was in the log already, and not of one whose reply was lost. It
// returns the store, and is to be called before the store is used.
func (s *OperationLog) OnAppended(hear func(operation.OperationEntry)) *OperationLog {
	s.appended = hear
	return s
}

const entryColumns = `game_id, op_kind, op_source, source_ref, actor, outcome, error_code, error_message,
	started_at, finished_at, patch_id, run_id, reason, noop,
	from_version, from_image_ref, to_version, to_image_ref, undo`

var (
	appendEntry = query[int64]{
		"append operation log",
		`WITH appended AS (
			INSERT INTO operation_log (` + entryColumns + `)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
				ON CONFLICT (patch_id, run_id) WHERE patch_id <> '' DO NOTHING
				RETURNING id, run_id
		)
		SELECT id FROM appended, LATERAL pg_notify('` + outcomeChannel + `', run_id)`,
		pgx.RowTo[int64],
	}

	// The condition on '' here and below is the index's own: with a parameter,
	// Postgres cannot know that it holds.
	findEntry = query[int64]{
		"append operation log",
		`SELECT id FROM operation_log WHERE patch_id = $1 AND run_id = $2 AND patch_id <> ''`,
		pgx.RowTo[int64],
	}

	listByGame = query[operation.OperationEntry]{
		"list operations by game",
		`SELECT id, ` + entryColumns + ` FROM operation_log WHERE game_id = $1 ORDER BY id DESC LIMIT $2`,
		scanEntry,
	}

	listByPatch = query[operation.OperationEntry]{
		"list operations by patch",
		`SELECT id, ` + entryColumns + ` FROM operation_log
			WHERE patch_id = $1 AND patch_id <> '' ORDER BY id DESC`,
		scanEntry,
	}
)

// Append writes entry, whose ID is not looked at, and returns the id of its
// row, of which [Outcomes] hears once it is committed. An entry whose (PatchID, RunID) is in the log already is not written
// again, even if the rest differs: the id of the first row comes back.
func (s *OperationLog) Append(ctx context.Context, entry operation.OperationEntry) (int64, error) {
	if err := entry.Validate(); err != nil {
		return 0, invalid(err)
	}
	if err := checkText(appendEntry.op, entry.GameID, entry.SourceRef, entry.Actor, entry.ErrorCode, entry.ErrorMessage,
		entry.PatchID, entry.RunID, entry.Reason, entry.FromVersion, entry.FromImageRef, entry.ToVersion, entry.ToImageRef, entry.Undo); err != nil {
		return 0, err
	}
	id, err := appendEntry.one(ctx, s.pool,
		entry.GameID, entry.OpKind, entry.OpSource, entry.SourceRef, entry.Actor, entry.Outcome, entry.ErrorCode, entry.ErrorMessage,
		stamp(entry.StartedAt), stampOrNull(entry.FinishedAt), entry.PatchID, entry.RunID, entry.Reason, entry.Noop,
		entry.FromVersion, entry.FromImageRef, entry.ToVersion, entry.ToImageRef, entry.Undo)
	if errors.Is(err, pgx.ErrNoRows) {
		// A statement of its own: the row may have been committed after the
		// snapshot of the first one. Rows are never removed, so it is there.
		return findEntry.one(ctx, s.pool, entry.PatchID, entry.RunID)
	}
	if err == nil && s.appended != nil {
		s.appended(entry)
	}
	return id, err
}

// ListByGame returns at most limit entries of gameID, newest first; a negative
// limit is invalid input.
func (s *OperationLog) ListByGame(ctx context.Context, gameID string, limit int) ([]operation.OperationEntry, error) {
	if limit < 0 {
		return nil, invalid(fmt.Errorf("%s: limit must not be negative", listByGame.op))
	}
	if err := checkText(listByGame.op, gameID); err != nil {
		return nil, err
	}
	return listByGame.all(ctx, s.pool, gameID, limit)
}

// ListByPatch returns the entries of patchID, one per run, newest first. Entries
// without a patch id are nobody's: an empty one finds nothing.
func (s *OperationLog) ListByPatch(ctx context.Context, patchID string) ([]operation.OperationEntry, error) {
	if err := checkText(listByPatch.op, patchID); err != nil {
		return nil, err
	}
	return listByPatch.all(ctx, s.pool, patchID)
}

func scanEntry(row pgx.CollectableRow) (operation.OperationEntry, error) {
	var e operation.OperationEntry
	err := row.Scan(entryFields(&e)...)
	e.StartedAt, e.FinishedAt = e.StartedAt.UTC(), utc(e.FinishedAt)
	return e, err
}

// entryFields are where the id and entryColumns go.
func entryFields(e *operation.OperationEntry) []any {
	return []any{
		&e.ID, &e.GameID, &e.OpKind, &e.OpSource, &e.SourceRef, &e.Actor, &e.Outcome, &e.ErrorCode, &e.ErrorMessage,
		&e.StartedAt, &e.FinishedAt, &e.PatchID, &e.RunID, &e.Reason, &e.Noop,
		&e.FromVersion, &e.FromImageRef, &e.ToVersion, &e.ToImageRef, &e.Undo,
	}
}
