package devstack_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"galaxy/gamemaster/internal/devstack"
)

// Postgres keeps finished and waiting workflows through a crash of the server, and
// a restart adds a search attribute that came later. The server makes its
// databases itself.
func TestTemporalPostgresSurvivesKill(t *testing.T) {
	requireSurvivesKill(t, devstack.TemporalOptions{Database: temporalPostgres(t), Headless: true})
}

// A server on Postgres serves its UI and search attributes of every type as soon
// as it is ready, and shows its password to nobody.
func TestTemporalPostgresServes(t *testing.T) {
	database := temporalPostgres(t)
	server := startTemporal(t, devstack.TemporalOptions{
		Database: database, Shards: 2, Namespace: "game", SearchAttributes: map[string]string{
			"AKeyword": "Keyword", "AList": "KeywordList", "AText": "Text", "AnInt": "Int", "ADouble": "Double",
			"ABool": "Bool", "ATime": "Datetime",
		},
	})
	c := temporalClient(t, server, "game")
	runTemporalWorker(t, c)
	options := client.StartWorkflowOptions{ID: "hello", TaskQueue: temporalQueue}
	options.TypedSearchAttributes = temporal.NewSearchAttributes(
		temporal.NewSearchAttributeKeyKeyword("AKeyword").ValueSet("chess"),
		temporal.NewSearchAttributeKeyKeywordList("AList").ValueSet([]string{"one", "two"}),
		temporal.NewSearchAttributeKeyString("AText").ValueSet("some words"),
		temporal.NewSearchAttributeKeyInt64("AnInt").ValueSet(7),
		temporal.NewSearchAttributeKeyFloat64("ADouble").ValueSet(0.5),
		temporal.NewSearchAttributeKeyBool("ABool").ValueSet(true),
		temporal.NewSearchAttributeKeyTime("ATime").ValueSet(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
	)
	run, err := c.ExecuteWorkflow(t.Context(), options, greet, "world")
	require.NoError(t, err, "search attributes given at start are usable at once")
	require.NoError(t, run.Get(t.Context(), nil))
	for _, query := range []string{
		`AKeyword = "chess"`, `AList = "two"`, `AText = "words"`, `AnInt > 6`, `ADouble < 0.6`, `ABool = true`,
		`ATime < "2026-01-03T00:00:00Z"`,
	} {
		requireFound(t, c, query, "hello")
	}
	requireFound(t, c, `AKeyword = "go"`)
	require.Contains(t, httpBody(t, server.UIURL()+"/api/v1/namespaces/game"), `"game"`)

	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", server.PID()))
	if err == nil { // where there are such files
		require.Contains(t, string(arguments), "--db-url")
		require.NotContains(t, string(arguments), passwordOf(t, database))
	}
}

// What would spoil the databases, or cannot work, is refused with the reason, and
// without the password.
func TestTemporalPostgresRefuses(t *testing.T) {
	database := temporalPostgres(t)
	options := devstack.TemporalOptions{
		Database: database, Shards: 2, Headless: true, SearchAttributes: map[string]string{"GameID": "Keyword"},
	}
	first := startTemporal(t, options)
	requireRefused := func(o devstack.TemporalOptions, reason string) {
		t.Helper()
		o.Headless = true
		_, err := devstack.StartTemporal(t.Context(), o)
		require.ErrorContains(t, err, reason)
		if o.Database != "" {
			require.NotContains(t, err.Error(), passwordOf(t, o.Database))
		}
	}
	requireRefused(options, "database temporal is in use by another server")
	require.NoError(t, first.Close())

	requireRefused(devstack.TemporalOptions{Database: database, Shards: 3}, "has 2 history shards for life, not 3")
	requireRefused(devstack.TemporalOptions{
		Database: database, SearchAttributes: map[string]string{"GameID": "Int"},
	}, "search attribute GameID is Keyword in the database, not Int")
	requireRefused(devstack.TemporalOptions{Database: database, Dir: t.TempDir()}, "want one of them")
	requireRefused(devstack.TemporalOptions{Shards: 2}, "--shards goes with --db-url")

	location, err := url.Parse(database)
	require.NoError(t, err)
	location.User = url.UserPassword(location.User.Username(), "a wrong+one%")
	requireRefused(devstack.TemporalOptions{Database: location.String()}, "password authentication failed")
	location.Host = freeAddress(t)
	requireRefused(devstack.TemporalOptions{Database: location.String()}, "connection refused")
}

// A schema that could not be laid to its end leaves nothing that is in the way of
// the next start.
func TestTemporalPostgresSchemaIsWholeOrAbsent(t *testing.T) {
	postgres := ownPostgres(t)
	require.NoError(t, postgres.CreateDatabase(t.Context(), "temporal"))
	conn, err := pgx.Connect(t.Context(), postgres.URL("temporal"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	// One of the last tables that a version adds.
	_, err = conn.Exec(t.Context(), "CREATE TABLE nexus_endpoints (mine int)")
	require.NoError(t, err)
	options := devstack.TemporalOptions{Database: postgres.URL("temporal"), Headless: true}
	_, err = devstack.StartTemporal(t.Context(), options)
	require.ErrorContains(t, err, `schema of database temporal: ERROR: relation "nexus_endpoints" already exists`)

	_, err = conn.Exec(t.Context(), "DROP TABLE nexus_endpoints")
	require.NoError(t, err)
	startTemporal(t, options)
}

// temporalPostgres returns the URL of a database that a server may make on a
// Postgres of the test's own, which takes all that is made there with it.
func temporalPostgres(t *testing.T) string {
	t.Helper()
	return ownPostgres(t).URL("temporal")
}

func ownPostgres(t *testing.T) *devstack.Postgres {
	t.Helper()
	postgres, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Close()) })
	return postgres
}

func passwordOf(t *testing.T, database string) string {
	t.Helper()
	location, err := url.Parse(database)
	require.NoError(t, err)
	password, given := location.User.Password()
	require.True(t, given)
	return password
}
