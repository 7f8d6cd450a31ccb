package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

var _ ports.RuntimeRegistrar = (*RuntimeRecords)(nil)

// registration is what the version's row said, and the record if it was
// inserted.
type registration struct {
	status engineversion.Status
	record *runtime.RuntimeRecord
}

// version holds the row until the record is committed: PutImage and SetStatus
// wait, and if one of them came first, the row is read as they left it.
var registerRecord = query[registration]{
	"register runtime record",
	`WITH version AS (
			SELECT version, image_ref, status FROM engine_versions WHERE version = $1 FOR SHARE
		), inserted AS (
			INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version,
				created_at, updated_at, started_at, stopped_at, finished_at)
			SELECT $2, $3, version.image_ref, version.version, $4, $4, $5, $6, $7
			FROM version WHERE version.status = 'active'
			ON CONFLICT (game_id) DO NOTHING
			RETURNING ` + recordColumns + `
		)
		SELECT version.status, inserted.*
		FROM version LEFT JOIN inserted ON true`,
	scanRegistration,
}

// Register installs the record of a game that runs a registered version, with
// the registry's image, and returns it as stored. It returns
// [engineversion.ErrNotFound] when the version is not registered,
// [engineversion.ErrDeprecated] when it is not active and [runtime.ErrConflict]
// when the game has a record already, which stays as it is.
//
// It does not recognise its own earlier success: after a lost reply, the second
// call returns [runtime.ErrConflict], and the caller has to read.
func (s *RuntimeRecords) Register(ctx context.Context, input ports.RegisterInput) (runtime.RuntimeRecord, error) {
	if err := input.Validate(); err != nil {
		return runtime.RuntimeRecord{}, invalid(err)
	}
	if err := checkText(registerRecord.op, input.EngineVersion); err != nil {
		return runtime.RuntimeRecord{}, err
	}
	started, stopped, finished := firstTimes(input.Status, stamp(input.Now))
	found, err := registerRecord.one(ctx, s.pool,
		input.EngineVersion, input.GameID, input.Status, stamp(input.Now), started, stopped, finished)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = engineversion.ErrNotFound
	case err != nil:
		return runtime.RuntimeRecord{}, err
	case found.record != nil:
		return *found.record, nil
	case found.status != engineversion.StatusActive:
		err = engineversion.ErrDeprecated
	default:
		err = runtime.ErrConflict
	}
	return runtime.RuntimeRecord{}, fmt.Errorf("%s %q on %q: %w", registerRecord.op, input.GameID, input.EngineVersion, err)
}

// firstTimes are the times of a record that begins in status: it got there now,
// and what is running, or was until something befell it, has been started.
func firstTimes(status runtime.Status, now time.Time) (started, stopped, finished *time.Time) {
	switch status {
	case runtime.StatusRunning, runtime.StatusGenerationInProgress, runtime.StatusGenerationFailed, runtime.StatusEngineUnreachable:
		started = &now
	case runtime.StatusStopped:
		stopped = &now
	case runtime.StatusFinished:
		finished = &now
	case runtime.StatusStarting:
	}
	return started, stopped, finished
}

// scanRegistration reads the status in front and, unless its columns are all
// NULL, the record behind it.
func scanRegistration(row pgx.CollectableRow) (found registration, err error) {
	if columns := row.RawValues(); columns[1] == nil {
		into := make([]any, len(columns)) // nil passes over a column
		into[0] = &found.status
		return found, row.Scan(into...)
	}
	record, err := scanRecord(behind{row, &found.status})
	found.record = &record
	return found, err
}

// behind is a row without its first column, which goes to first.
type behind struct {
	pgx.CollectableRow
	first any
}

func (b behind) Scan(rest ...any) error {
	return b.CollectableRow.Scan(append([]any{b.first}, rest...)...)
}
