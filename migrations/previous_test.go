package migrations_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/migrations"
)

// release is one whose database may be there when the newest schema comes, and
// which goes on working until the last of its processes is replaced.
type release struct {
	// version is the schema that it brought.
	version int64
	// rows fill its tables, and tables are those with the columns that it names.
	rows   []string
	tables map[string]string
	// counts are how many rows that makes.
	counts map[string]int
	// entry are the columns of the audit log that it writes and reads.
	entry []string
	// unknown are counts of what came after it: nothing is known of that.
	unknown []string
}

// releases are the ones before, the latest last.
func releases() map[string]release {
	return map[string]release{
		"first": {
			version: 1, rows: firstRows,
			tables: map[string]string{
				"runtime_records": recordColumns, "engine_versions": versionColumns, "operation_log": "id, " + firstEntryColumns,
			},
			counts: map[string]int{"runtime_records": 23, "engine_versions": 5, "operation_log": 16},
			entry:  columns(firstEntryColumns),
			unknown: append([]string{
				"SELECT count(*) FROM operation_log WHERE actor <> ''", "SELECT count(*) FROM idempotency_keys",
			}, unknownToAll...),
		},
		"rest": {
			version: 2, rows: slices.Concat(firstRows, restRows),
			tables: map[string]string{
				"runtime_records": recordColumns, "engine_versions": versionColumns, "operation_log": "id, actor, " + firstEntryColumns,
				"idempotency_keys": keyColumns,
			},
			counts:  map[string]int{"runtime_records": 23, "engine_versions": 5, "operation_log": 18, "idempotency_keys": 5},
			entry:   append(columns(firstEntryColumns), "actor"),
			unknown: unknownToAll,
		},
	}
}

// unknownToAll are the tables of this release.
var unknownToAll = []string{
	"SELECT count(*) FROM runtime_fences", "SELECT count(*) FROM drift_findings", "SELECT count(*) FROM drift_passes",
}

// snapshot is every row of the release, as text.
func (r release) snapshot(t *testing.T, conn *pgx.Conn) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for table, columns := range r.tables {
		rows, err := conn.Query(t.Context(), "SELECT row_text FROM (SELECT "+columns+" FROM "+table+") AS r, LATERAL (SELECT r::text) AS whole (row_text) ORDER BY row_text")
		require.NoError(t, err)
		found[table], err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
	}
	return found
}

// database is one as the release leaves it.
func (r release) database(t *testing.T) (url string, conn *pgx.Conn) {
	t.Helper()
	url = stacktest.EmptyDatabase(t)
	require.NoError(t, migrations.UpTo(t.Context(), url, r.version))
	conn = connect(t, url)
	for _, statement := range r.rows {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	return url, conn
}

// Proves that the migrations carry over a database that a release before has
// worked with: every row is there and the same to the letter, and what is new
// says that nothing is known.
func TestUpKeepsTheDataOfPreviousReleases(t *testing.T) {
	for name, release := range releases() {
		t.Run(name, func(t *testing.T) {
			url, conn := release.database(t)
			before := release.snapshot(t, conn)
			for table, count := range release.counts {
				require.Len(t, before[table], count, table)
			}
			require.Len(t, before, len(release.counts))
			pending, err := migrations.Pending(t.Context(), url)
			require.NoError(t, err)
			require.Positive(t, pending, "the database is that of the release before")

			applied, err := migrations.Up(t.Context(), url)
			require.NoError(t, err)
			require.Len(t, applied, pending)
			require.Equal(t, release.version+1, applied[0].Version)

			require.Equal(t, before, release.snapshot(t, conn))
			for _, question := range release.unknown {
				var known int
				require.NoError(t, conn.QueryRow(t.Context(), question).Scan(&known))
				require.Zero(t, known, question)
			}
		})
	}
}

// previous is a release at work, on a connection that it has had since before the
// migration.
type previous struct {
	release
	conn *pgx.Conn
}

func (p previous) insertRecord(t *testing.T, gameID, version string) {
	t.Helper()
	_, err := p.conn.Exec(t.Context(), insertRecordStatement,
		gameID, "running", "engine", version, "", nil, false, 0, "2031-01-01", "2031-01-01", nil, nil, nil)
	require.NoError(t, err)
}

func (p previous) appendEntry(t *testing.T, runID, code string) (id int64, err error) {
	t.Helper()
	values := []any{"g", "patch", "system", "", "failure", code, "", "2031-01-01", nil, "p", runID, "", false, "", "", "", "", "", "ann"}
	err = p.conn.QueryRow(t.Context(), appendStatement(p.entry), values[:len(p.entry)]...).Scan(&id)
	return id, err
}

// write does what the release does with a game.
func (p previous) write(t *testing.T, n string) {
	t.Helper()
	p.insertRecord(t, "game-"+n, "1.4.2")
	_, err := p.appendEntry(t, "run-"+n, "conflict")
	require.NoError(t, err)
	_, err = p.conn.Exec(t.Context(), "UPDATE runtime_records SET current_engine_version = '1.4.3' WHERE game_id = $1", "game-"+n)
	require.NoError(t, err)
	if p.tables["idempotency_keys"] == "" {
		return
	}
	_, err = p.conn.Exec(t.Context(), claimStatement, "me", n, make([]byte, 32), "p", "claim")
	require.NoError(t, err)
	_, err = p.conn.Exec(t.Context(), settleStatement, "me", n, "p", "run-"+n)
	require.NoError(t, err)
}

// kinds reads the log as the release does, and returns what its entries are.
func (p previous) kinds(t *testing.T) (kinds []string) {
	t.Helper()
	rows, err := p.conn.Query(t.Context(), byGameStatement(p.entry), "g", 100)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToMap)
	require.NoError(t, err)
	for _, entry := range found {
		require.Len(t, entry, len(p.entry)+1)
		kinds = append(kinds, entry["op_kind"].(string))
	}
	return kinds
}

// Proves that the releases before go on writing and reading while both run: a
// connection that they had before the migration, with statements that they
// prepared then, rows of any size that they could write then, and beside entries
// of a kind that they do not know.
func TestPreviousReleasesGoOnAfterUp(t *testing.T) {
	for name, release := range releases() {
		t.Run(name, func(t *testing.T) {
			url, conn := release.database(t)
			p := previous{release, conn}
			p.write(t, "before")
			require.Equal(t, []string{"patch"}, p.kinds(t))

			_, err := migrations.Up(t.Context(), url)
			require.NoError(t, err)
			_, err = connect(t, url).Exec(t.Context(), insertOperation+"('g', 'reconcile', 'system', 'success', '', now())")
			require.NoError(t, err)
			p.write(t, "after")
			require.Equal(t, []string{"patch", "reconcile", "patch"}, p.kinds(t), "newest first")
			var actors []string
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT array_agg(DISTINCT actor) FROM operation_log WHERE run_id LIKE 'run-after'").Scan(&actors))
			if slices.Contains(p.entry, "actor") {
				require.Equal(t, []string{"ann"}, actors)
			} else {
				require.Equal(t, []string{""}, actors)
			}
			_, err = p.appendEntry(t, "run-after", "conflict")
			require.ErrorIs(t, err, pgx.ErrNoRows, "a run leaves one row")

			var long string
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) AS n").Scan(&long))
			p.insertRecord(t, "long", long)
			_, err = p.appendEntry(t, "long", long)
			require.NoError(t, err)
		})
	}
}
