package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/ports"
)

const putImageOp = "put engine version"

var (
	addVersion = query[engineversion.EngineVersion]{
		putImageOp,
		`INSERT INTO engine_versions (` + versionColumns + `)
			VALUES ($1, $2, 'active', $3, $3)
			ON CONFLICT (version) DO NOTHING
			RETURNING ` + versionColumns,
		scanVersion,
	}

	// Register holds the row FOR SHARE, which this waits for and keeps out.
	lockVersion = query[engineversion.EngineVersion]{
		putImageOp,
		`SELECT ` + versionColumns + ` FROM engine_versions WHERE version = $1 FOR UPDATE`,
		scanVersion,
	}

	// The condition on the length is the index's own; no version that can be
	// registered is longer.
	changeImage = query[engineversion.EngineVersion]{
		putImageOp,
		`UPDATE engine_versions SET image_ref = $2, updated_at = $3
			WHERE version = $1 AND NOT EXISTS (
				SELECT FROM runtime_records
				WHERE current_engine_version = $1 AND octet_length(current_engine_version) <= 128)
			RETURNING ` + versionColumns,
		scanVersion,
	}

	setVersionStatus = query[engineversion.EngineVersion]{
		"set engine version status",
		`UPDATE engine_versions
			SET status = $2, updated_at = CASE WHEN status = $2 THEN updated_at ELSE $3 END
			WHERE version = $1
			RETURNING ` + versionColumns,
		scanVersion,
	}
)

// PutImage registers the version as active, whoever names it already, or gives a
// registered one another image, if no runtime record names it, else
// [engineversion.ErrInUse]. The same image again is no change, so a call that is
// repeated after a lost reply succeeds, though with created false.
//
// A game that is registered at the same time gets either the image of before,
// and then the change is refused, or the new one: the version's row is locked
// first, and the records are looked at by a statement that begins after it.
func (s *EngineVersions) PutImage(ctx context.Context, input ports.PutImageInput) (entry engineversion.EngineVersion, created bool, err error) {
	if err := input.Validate(); err != nil {
		return engineversion.EngineVersion{}, false, invalid(err)
	}
	if err := checkText(putImageOp, input.ImageRef); err != nil {
		return engineversion.EngineVersion{}, false, err
	}
	err = transact(ctx, s.pool, putImageOp, func(tx pgx.Tx) (err error) {
		entry, created, err = putImage(ctx, tx, input)
		return err
	})
	if err != nil {
		return engineversion.EngineVersion{}, false, err
	}
	return entry, created, nil
}

func putImage(ctx context.Context, tx pgx.Tx, input ports.PutImageInput) (engineversion.EngineVersion, bool, error) {
	added, err := addVersion.one(ctx, tx, input.Version, input.ImageRef, stamp(input.Now))
	if !errors.Is(err, pgx.ErrNoRows) {
		return added, err == nil, err
	}
	held, err := lockVersion.one(ctx, tx, input.Version)
	if err != nil {
		// Also when there is no row: nothing here removes one, so a person did
		// it just now, and the next try finds what they left.
		return engineversion.EngineVersion{}, false, fmt.Errorf("%s %q: hold its row: %w", putImageOp, input.Version, err)
	}
	if held.ImageRef == input.ImageRef {
		return held, false, nil
	}
	// Planned for this version, as pages are: for one that many run, reading the
	// table until the first of them turns up is a good plan; for one that nobody
	// runs, it reads a whole fleet while the row is held.
	changed, err := changeImage.one(ctx, tx, pgx.QueryExecModeCacheDescribe, input.Version, input.ImageRef, stamp(input.Now))
	if errors.Is(err, pgx.ErrNoRows) {
		return engineversion.EngineVersion{}, false, fmt.Errorf("%s %q: %w", putImageOp, input.Version, engineversion.ErrInUse)
	}
	return changed, false, err
}

// SetStatus activates or deprecates a version and returns the entry as it is
// then, or [engineversion.ErrNotFound]. A status that it has already changes
// nothing, updated_at included.
func (s *EngineVersions) SetStatus(ctx context.Context, input ports.SetVersionStatusInput) (engineversion.EngineVersion, error) {
	if err := input.Validate(); err != nil {
		return engineversion.EngineVersion{}, invalid(err)
	}
	if err := checkText(setVersionStatus.op, input.Version); err != nil {
		return engineversion.EngineVersion{}, err
	}
	entry, err := setVersionStatus.one(ctx, s.pool, input.Version, input.Status, stamp(input.Now))
	if errors.Is(err, pgx.ErrNoRows) {
		return engineversion.EngineVersion{}, fmt.Errorf("%s of %q: %w", setVersionStatus.op, input.Version, engineversion.ErrNotFound)
	}
	return entry, err
}

const versionUsersOp = "list users of an engine version"

// Users returns how many games' records name the version, registered or not,
// and the first of them by game id, both at one instant.
func (s *EngineVersions) Users(ctx context.Context, input ports.VersionUsersInput) (ports.VersionUsers, error) {
	if err := input.Validate(); err != nil {
		return ports.VersionUsers{}, invalid(err)
	}
	if err := checkText(versionUsersOp, append([]string{input.Version}, input.GamePrefixes...)...); err != nil {
		return ports.VersionUsers{}, err
	}
	statement := versionUsers(input)
	return query[ports.VersionUsers]{versionUsersOp, statement.sql, scanUsers}.one(ctx, s.pool, statement.planned()...)
}

func versionUsers(input ports.VersionUsersInput) page {
	c := &conditions{}
	c.add("current_engine_version = " + c.bind(input.Version))
	if len(input.Version) <= engineversion.MaxLength {
		// The index's own condition.
		c.add("octet_length(current_engine_version) <= 128")
	}
	c.addGamePrefixes(input.GamePrefixes)
	count := pages[int]{columns: "count(*)", table: "runtime_records"}.rows(c.all)
	first := pages[string]{columns: "game_id", table: "runtime_records", order: "game_id"}.page(c, input.Limit)
	return page{"SELECT (" + count + "), ARRAY(" + first.sql + ")", first.arguments}
}

func scanUsers(row pgx.CollectableRow) (ports.VersionUsers, error) {
	var users ports.VersionUsers
	err := row.Scan(&users.Count, &users.GameIDs)
	return users, err
}
