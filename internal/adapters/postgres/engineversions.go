package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/ports"
)

// EngineVersions implements [ports.EngineVersionStore] on engine_versions.
type EngineVersions struct {
	pool *pgxpool.Pool
}

var _ ports.EngineVersionStore = (*EngineVersions)(nil)

// NewEngineVersions returns a store on pool, which the caller keeps and closes.
func NewEngineVersions(pool *pgxpool.Pool) *EngineVersions { return &EngineVersions{pool: pool} }

const versionColumns = `version, image_ref, status, created_at, updated_at`

var (
	getVersion = query[engineversion.EngineVersion]{
		"get engine version",
		`SELECT ` + versionColumns + ` FROM engine_versions WHERE version = $1`,
		scanVersion,
	}

	insertVersion = command{
		"insert engine version",
		`INSERT INTO engine_versions (` + versionColumns + `)
			VALUES ($1, $2, $3, coalesce($4, now()), coalesce($5, now()))
			ON CONFLICT (version) DO NOTHING`,
	}

	listVersions = query[engineversion.EngineVersion]{
		"list engine versions",
		`SELECT ` + versionColumns + ` FROM engine_versions`,
		scanVersion,
	}
)

// Get returns the entry of version, or [engineversion.ErrNotFound]. Versions
// are compared letter by letter: build metadata makes another version.
func (s *EngineVersions) Get(ctx context.Context, version string) (engineversion.EngineVersion, error) {
	if err := checkText(getVersion.op, version); err != nil {
		return engineversion.EngineVersion{}, err
	}
	found, err := getVersion.one(ctx, s.pool, version)
	if errors.Is(err, pgx.ErrNoRows) {
		return engineversion.EngineVersion{}, fmt.Errorf("%s %q: %w", getVersion.op, version, engineversion.ErrNotFound)
	}
	return found, err
}

// Insert registers version, or returns [engineversion.ErrConflict] when it is
// registered already, whatever the image. Zero times mean the server's now.
func (s *EngineVersions) Insert(ctx context.Context, version engineversion.EngineVersion) error {
	if err := version.Validate(); err != nil {
		return invalid(err)
	}
	if err := checkText(insertVersion.op, version.ImageRef); err != nil {
		return err
	}
	inserted, err := insertVersion.run(ctx, s.pool,
		version.Version, version.ImageRef, version.Status, stampUnlessZero(version.CreatedAt), stampUnlessZero(version.UpdatedAt))
	if err != nil {
		return err
	}
	if inserted == 0 {
		return fmt.Errorf("%s %q: %w", insertVersion.op, version.Version, engineversion.ErrConflict)
	}
	return nil
}

// List returns every registered version by semver precedence, lowest first;
// versions that differ in build metadata only, which has no precedence, in the
// order of their letters.
func (s *EngineVersions) List(ctx context.Context) ([]engineversion.EngineVersion, error) {
	versions, err := listVersions.all(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(versions, byPrecedence)
	return versions, nil
}

// byPrecedence puts versions that cannot be read first. The schema keeps most
// of them out, but not numbers beyond 64 bits.
func byPrecedence(a, b engineversion.EngineVersion) int {
	left, leftErr := engineversion.ParseSemver(a.Version)
	right, rightErr := engineversion.ParseSemver(b.Version)
	switch {
	case leftErr != nil && rightErr == nil:
		return -1
	case leftErr == nil && rightErr != nil:
		return 1
	case leftErr == nil && rightErr == nil:
		if order := left.Compare(right); order != 0 {
			return order
		}
	}
	return strings.Compare(a.Version, b.Version)
}

func scanVersion(row pgx.CollectableRow) (engineversion.EngineVersion, error) {
	var v engineversion.EngineVersion
	err := row.Scan(&v.Version, &v.ImageRef, &v.Status, &v.CreatedAt, &v.UpdatedAt)
	v.CreatedAt, v.UpdatedAt = v.CreatedAt.UTC(), v.UpdatedAt.UTC()
	return v, err
}

func stampUnlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return stampOrNull(&t)
}
