package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// RuntimeRecords implements [ports.RuntimeRecordStore] on runtime_records.
type RuntimeRecords struct {
	pool *pgxpool.Pool
}

var _ ports.RuntimeRecordStore = (*RuntimeRecords)(nil)

// NewRuntimeRecords returns a store on pool, which the caller keeps and closes.
func NewRuntimeRecords(pool *pgxpool.Pool) *RuntimeRecords { return &RuntimeRecords{pool: pool} }

const recordColumns = `game_id, status, current_image_ref, current_engine_version, engine_health,
	next_generation_at, skip_next_tick, current_turn, created_at, updated_at, started_at, stopped_at, finished_at`

var (
	getRecord = query[runtime.RuntimeRecord]{
		"get runtime record",
		`SELECT ` + recordColumns + ` FROM runtime_records WHERE game_id = $1`,
		scanRecord,
	}

	insertRecord = command{
		"insert runtime record",
		`INSERT INTO runtime_records (` + recordColumns + `)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			ON CONFLICT (game_id) DO NOTHING`,
	}

	deleteRecord = command{
		"delete runtime record",
		`DELETE FROM runtime_records WHERE game_id = $1`,
	}

	// Each order is that of an index, down to the last column: rows of one
	// instant do not change places between two calls.
	listDueRunning = query[runtime.RuntimeRecord]{
		"list due runtime records",
		`SELECT ` + recordColumns + ` FROM runtime_records
			WHERE status = 'running' AND next_generation_at <= $1
			ORDER BY next_generation_at, game_id`,
		scanRecord,
	}

	listByStatus = query[runtime.RuntimeRecord]{
		"list runtime records by status",
		`SELECT ` + recordColumns + ` FROM runtime_records
			WHERE status = $1
			ORDER BY created_at DESC, game_id`,
		scanRecord,
	}

	listRecords = query[runtime.RuntimeRecord]{
		"list runtime records",
		`SELECT ` + recordColumns + ` FROM runtime_records ORDER BY created_at DESC, game_id`,
		scanRecord,
	}
)

// Get returns the record of gameID, or [runtime.ErrNotFound].
func (s *RuntimeRecords) Get(ctx context.Context, gameID string) (runtime.RuntimeRecord, error) {
	if err := checkText(getRecord.op, gameID); err != nil {
		return runtime.RuntimeRecord{}, err
	}
	record, err := getRecord.one(ctx, s.pool, gameID)
	if errors.Is(err, pgx.ErrNoRows) {
		return runtime.RuntimeRecord{}, fmt.Errorf("%s %q: %w", getRecord.op, gameID, runtime.ErrNotFound)
	}
	return record, err
}

// Insert installs record, or returns [runtime.ErrConflict] when the game has a
// row already, which stays as it is. It does not look at the registry: an image
// that the caller read there may be another's by now. Register does.
func (s *RuntimeRecords) Insert(ctx context.Context, record runtime.RuntimeRecord) error {
	if err := record.Validate(); err != nil {
		return invalid(err)
	}
	if err := checkText(insertRecord.op, record.CurrentImageRef, record.CurrentEngineVersion, record.EngineHealth); err != nil {
		return err
	}
	inserted, err := insertRecord.run(ctx, s.pool,
		record.GameID, record.Status, record.CurrentImageRef, record.CurrentEngineVersion, record.EngineHealth,
		stampOrNull(record.NextGenerationAt), record.SkipNextTick, record.CurrentTurn,
		stamp(record.CreatedAt), stamp(record.UpdatedAt),
		stampOrNull(record.StartedAt), stampOrNull(record.StoppedAt), stampOrNull(record.FinishedAt))
	if err != nil {
		return err
	}
	if inserted == 0 {
		return fmt.Errorf("%s %q: %w", insertRecord.op, record.GameID, runtime.ErrConflict)
	}
	return nil
}

// Delete removes the record of gameID; nil also when there is none.
func (s *RuntimeRecords) Delete(ctx context.Context, gameID string) error {
	if err := checkText(deleteRecord.op, gameID); err != nil {
		return err
	}
	_, err := deleteRecord.run(ctx, s.pool, gameID)
	return err
}

// ListDueRunning returns every running record with next_generation_at <= now,
// by next_generation_at and then game id; empty, not nil, when there is none.
func (s *RuntimeRecords) ListDueRunning(ctx context.Context, now time.Time) ([]runtime.RuntimeRecord, error) {
	return listDueRunning.all(ctx, s.pool, stamp(now))
}

// ListByStatus returns every record with that status, newest first and then by
// game id. An unknown status is invalid input, not an empty list.
func (s *RuntimeRecords) ListByStatus(ctx context.Context, status runtime.Status) ([]runtime.RuntimeRecord, error) {
	if !status.IsKnown() {
		return nil, invalid(fmt.Errorf("%s: status %q is unsupported", listByStatus.op, status))
	}
	return listByStatus.all(ctx, s.pool, status)
}

// List returns every record, newest first and then by game id.
func (s *RuntimeRecords) List(ctx context.Context) ([]runtime.RuntimeRecord, error) {
	return listRecords.all(ctx, s.pool)
}

func scanRecord(row pgx.CollectableRow) (runtime.RuntimeRecord, error) {
	var r runtime.RuntimeRecord
	err := row.Scan(recordFields(&r)...)
	return inUTC(r), err
}

// recordFields are where recordColumns go.
func recordFields(r *runtime.RuntimeRecord) []any {
	return []any{
		&r.GameID, &r.Status, &r.CurrentImageRef, &r.CurrentEngineVersion, &r.EngineHealth,
		&r.NextGenerationAt, &r.SkipNextTick, &r.CurrentTurn,
		&r.CreatedAt, &r.UpdatedAt, &r.StartedAt, &r.StoppedAt, &r.FinishedAt,
	}
}

func inUTC(r runtime.RuntimeRecord) runtime.RuntimeRecord {
	r.CreatedAt, r.UpdatedAt = r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	r.NextGenerationAt = utc(r.NextGenerationAt)
	r.StartedAt, r.StoppedAt, r.FinishedAt = utc(r.StartedAt), utc(r.StoppedAt), utc(r.FinishedAt)
	return r
}
