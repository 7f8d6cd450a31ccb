// Package stacktest gives tests a real Postgres: one throw-away server per test
// process, started by the first test that asks, and a freshly migrated database
// per test; and it builds the gamemaster that tests run as processes. It is for
// tests only; nothing else may import it.
//
// With GAMEMASTER_TEST_DATABASE_URL set, the server at that URL is used instead
// of an own one; its user has to be allowed to create databases.
package stacktest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"galaxy/gamemaster/internal/devstack"
	"galaxy/gamemaster/migrations"
)

// serverVariable names a server to use instead of an own one.
const serverVariable = "GAMEMASTER_TEST_DATABASE_URL"

// patience bounds what is done for one test: making a database takes some ten
// milliseconds, a start about a second; the rest is for a machine on which all
// packages are compiled and tested at once.
const patience = 2 * time.Minute

var (
	server   = sync.OnceValues(startServer)
	template = sync.OnceValues(makeTemplate)

	// started is what Run has to stop; nil until a test asked for a server.
	startedMu sync.Mutex
	started   *devstack.Postgres
)

// Main runs the tests of a package, stops the server if one was started, and
// ends the process with the tests' status. Call it from TestMain:
//
//	func TestMain(m *testing.M) { stacktest.Main(m) }
//
// A package that forgets it leaves the stopping to the kernel (Linux) and the
// directory to the next start.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is [Main] without the end of the process, for a TestMain that has more
// to do, such as a look for leaked goroutines.
func Run(m interface{ Run() int }) (status int) {
	status = m.Run()
	startedMu.Lock()
	defer startedMu.Unlock()
	if started == nil {
		return status
	}
	if err := started.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "stacktest:", err)
		return max(status, 1)
	}
	return status
}

// Postgres returns the test process's own server, which is shared by its tests
// and therefore not to be closed or killed. The test is skipped when an outside
// server is set.
func Postgres(t testing.TB) *devstack.Postgres {
	t.Helper()
	if os.Getenv(serverVariable) != "" {
		t.Skipf("%s is set: there is no server of our own", serverVariable)
	}
	own, err := server()
	if err != nil {
		t.Fatalf("stacktest: start postgres: %v", err)
	}
	return own
}

// Database makes an empty database with the newest schema for this test and
// returns its URL, password included. It is dropped when the test ends, whoever
// is still connected.
func Database(t testing.TB) string {
	t.Helper()
	source, err := template()
	if err != nil {
		t.Fatalf("stacktest: template database: %v", err)
	}
	return makeDatabase(t, source)
}

// EmptyDatabase is [Database] without the schema, for tests of the migrations.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	return makeDatabase(t, "template1")
}

func makeDatabase(t testing.TB, source string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	name := "test_" + strings.ToLower(rand.Text())
	if err := administer(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(source)); err != nil {
		t.Fatalf("stacktest: make the test's database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := administer(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
			t.Errorf("stacktest: drop the test's database: %v", err)
		}
	})
	location, err := databaseURL(name)
	if err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	return location
}

// Dir makes a directory that is removed when the test ends, as t.TempDir does,
// but one that a server running as another user may pass through: as root, it
// serves as [devstack.PostgresOptions].Dir.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gamemaster-test-")
	if err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("stacktest: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	return dir
}

func startServer() (*devstack.Postgres, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	own, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{})
	if err != nil {
		return nil, err
	}
	startedMu.Lock()
	defer startedMu.Unlock()
	started = own
	return own, nil
}

// makeTemplate returns the name of a migrated database that nobody connects to.
// It is named for the schema, so on an outside server it is made once and left
// for the next test process on purpose. It gets its name only when it is whole:
// of several processes at work, one wins the name and the others use it.
func makeTemplate() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	name := "gamemaster_template_" + migrations.Digest()
	exists, err := databaseExists(ctx, name)
	if err != nil || exists {
		return name, err
	}
	draft := name + "_" + strings.ToLower(rand.Text()[:8])
	if err := administer(ctx, "CREATE DATABASE "+quote(draft)); err != nil {
		return "", err
	}
	location, err := databaseURL(draft)
	if err == nil {
		_, err = migrations.Up(ctx, location)
	}
	if err == nil {
		err = administer(ctx, "ALTER DATABASE "+quote(draft)+" RENAME TO "+quote(name))
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "42P04" {
			err = administer(ctx, "DROP DATABASE "+quote(draft))
			return name, err
		}
	}
	if err != nil {
		return "", errors.Join(err, administer(ctx, "DROP DATABASE IF EXISTS "+quote(draft)+" WITH (FORCE)"))
	}
	return name, nil
}

func databaseExists(ctx context.Context, name string) (bool, error) {
	conn, err := connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(ctx) }()
	var exists bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	return exists, err
}

// administer runs one statement that works on whole databases.
func administer(ctx context.Context, statement string) error {
	conn, err := connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

func connect(ctx context.Context) (*pgx.Conn, error) {
	location := os.Getenv(serverVariable)
	if location == "" {
		own, err := server()
		if err != nil {
			return nil, err
		}
		location = own.URL("postgres")
	}
	return pgx.Connect(ctx, location)
}

// databaseURL returns the URL of another database on the server in use.
func databaseURL(name string) (string, error) {
	outside := os.Getenv(serverVariable)
	if outside == "" {
		own, err := server()
		if err != nil {
			return "", err
		}
		return own.URL(name), nil
	}
	location, err := url.Parse(outside)
	if err != nil || location.Scheme == "" {
		return "", fmt.Errorf("%s is not a URL", serverVariable)
	}
	location.Path = "/" + name
	return location.String(), nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
