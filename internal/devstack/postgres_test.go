package devstack_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack"
)

func startPostgres(t *testing.T, o devstack.PostgresOptions) *devstack.Postgres {
	t.Helper()
	if o.Progress == nil {
		o.Progress = t.Output()
	}
	server, err := devstack.StartPostgres(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server
}

// enterableDir is t.TempDir for a server that runs as another user, which the
// directories of package testing keep out.
func enterableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gamemaster-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	_, err := connect(t, url).Exec(t.Context(), statement)
	require.NoError(t, err)
}

func scanInt(t *testing.T, url, query string) int {
	t.Helper()
	var value int
	require.NoError(t, connect(t, url).QueryRow(t.Context(), query).Scan(&value))
	return value
}

// Proves that a throw-away server answers on the loopback address only, makes
// databases as often as it is asked to, and leaves nothing behind.
func TestPostgresThrowAway(t *testing.T) {
	temp := enterableDir(t)
	t.Setenv("TMPDIR", temp)
	server := startPostgres(t, devstack.PostgresOptions{})

	require.NoError(t, server.CreateDatabase(t.Context(), `game"master`))
	require.NoError(t, server.CreateDatabase(t.Context(), `game"master`))
	require.Equal(t, 1, scanInt(t, server.URL(`game"master`), "SELECT 1"))

	var listen, sockets string
	row := connect(t, server.URL("postgres")).QueryRow(t.Context(),
		"SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')")
	require.NoError(t, row.Scan(&listen, &sockets))
	require.Equal(t, "127.0.0.1", listen)
	require.Empty(t, sockets)

	require.NoError(t, server.Close())
	require.NoError(t, server.Close(), "Close is idempotent")
	<-server.Done()
	require.NoError(t, server.Err())
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Proves that a local user without the password stays outside.
func TestPostgresWantsItsPassword(t *testing.T) {
	server := startPostgres(t, devstack.PostgresOptions{})
	for _, user := range []*url.Userinfo{url.User("gamemaster"), url.UserPassword("gamemaster", "gamemaster")} {
		stranger, err := url.Parse(server.URL("postgres"))
		require.NoError(t, err)
		stranger.User = user
		_, err = pgx.Connect(t.Context(), stranger.String())
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "28P01", refused.Code)
	}
}

// Proves that committed data outlives an orderly stop and a kill -9, under the
// same password, in a directory whose secrets others cannot read.
func TestPostgresKeepsItsData(t *testing.T) {
	dir := filepath.Join(enterableDir(t), "kept")
	server := startPostgres(t, devstack.PostgresOptions{Dir: dir})
	execute(t, server.URL("postgres"), "CREATE TABLE kept AS SELECT 41 AS value")
	require.NoError(t, server.Close())

	server = startPostgres(t, devstack.PostgresOptions{Dir: dir})
	execute(t, server.URL("postgres"), "UPDATE kept SET value = 42")
	require.NoError(t, server.Kill())
	<-server.Done()
	require.Error(t, server.Err())

	server = startPostgres(t, devstack.PostgresOptions{Dir: dir})
	require.Equal(t, 42, scanInt(t, server.URL("postgres"), "SELECT value FROM kept"))

	secret, err := os.Stat(filepath.Join(dir, "password"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), secret.Mode().Perm())
}

// Proves that one directory never has two servers, and that a second
// gamemaster is told so.
func TestPostgresDirectoryInUse(t *testing.T) {
	dir := enterableDir(t)
	startPostgres(t, devstack.PostgresOptions{Dir: dir})
	alias := filepath.Join(enterableDir(t), "alias")
	require.NoError(t, os.Symlink(dir, alias))

	for _, path := range []string{dir, alias} {
		_, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Dir: path, Progress: io.Discard})
		require.EqualError(t, err, "data directory "+dir+" is in use by another gamemaster")
	}
}

// Proves that servers on directories of their own do not meet.
func TestPostgresTwoAtOnce(t *testing.T) {
	servers := make(chan *devstack.Postgres, 2)
	failures := make(chan error, 2)
	for range 2 {
		go func() {
			server, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Progress: io.Discard})
			servers <- server
			failures <- err
		}()
	}
	first, second := <-servers, <-servers
	require.NoError(t, errors.Join(<-failures, <-failures))
	t.Cleanup(func() { require.NoError(t, errors.Join(first.Close(), second.Close())) })
	require.NotEqual(t, first.Port(), second.Port())
	execute(t, first.URL("postgres"), "CREATE TABLE mine (id int)")
	require.Zero(t, scanInt(t, second.URL("postgres"), "SELECT count(*) FROM pg_class WHERE relname = 'mine'"))
}

// Proves that a wanted port that is taken is named, before anything is made.
func TestPostgresPortTaken(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	_, err = devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Port: port, Progress: io.Discard})
	require.EqualError(t, err, fmt.Sprintf("address 127.0.0.1:%d is already in use (postgres)", port))
}

// Proves that a wanted port that is free is used.
func TestPostgresFixedPort(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	server := startPostgres(t, devstack.PostgresOptions{Port: port})
	require.Equal(t, port, server.Port())
}

// Proves that a cancelled start leaves no server and no files.
func TestPostgresCancelledStart(t *testing.T) {
	temp := enterableDir(t)
	t.Setenv("TMPDIR", temp)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{Progress: io.Discard})
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Proves that a PG_BIN without a server is named and not passed over.
func TestPostgresWrongBinaries(t *testing.T) {
	t.Setenv("PG_BIN", t.TempDir())
	_, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Progress: io.Discard})
	require.ErrorContains(t, err, "PG_BIN is ")
}

// Proves that a directory made by another Postgres version is named, not
// ruined.
func TestPostgresOtherMajorVersion(t *testing.T) {
	dir := enterableDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("7\n"), 0o600))
	_, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Dir: dir, Progress: io.Discard})
	require.ErrorContains(t, err, "was made by Postgres 7 and only ")
}

// Proves that root is told which directory its server cannot pass through, and
// how to mend it.
func TestPostgresDirectoryBehindClosedDoor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as another user")
	}
	closed := filepath.Join(enterableDir(t), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	_, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Dir: filepath.Join(closed, "data"), Progress: io.Discard})
	require.ErrorContains(t, err, "cannot enter "+closed+": run `chmod o+x "+closed+"`")
}

// Proves that an initdb that was cut short does not spoil the next start.
func TestPostgresUnfinishedInitdb(t *testing.T) {
	dir := enterableDir(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "password"), []byte("old\n"), 0o600))
	server := startPostgres(t, devstack.PostgresOptions{Dir: dir})
	require.Equal(t, 1, scanInt(t, server.URL("postgres"), "SELECT 1"))
}

// Proves that a stale pid file whose number now belongs to a stranger, as after
// a container restart, does not hinder the start, and does the stranger no harm.
func TestPostgresStalePidFile(t *testing.T) {
	dir := enterableDir(t)
	server := startPostgres(t, devstack.PostgresOptions{Dir: dir})
	require.NoError(t, server.Kill())
	stranger := exec.Command("sleep", "600")
	require.NoError(t, stranger.Start())
	t.Cleanup(func() { _ = stranger.Process.Kill(); _ = stranger.Wait() })

	path := filepath.Join(dir, "data", "postmaster.pid")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(content), "\n")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, "%d\n%s", stranger.Process.Pid, rest), 0o600))

	startPostgres(t, devstack.PostgresOptions{Dir: dir})
	require.NoError(t, stranger.Process.Signal(syscall.Signal(0)))
}

// TestPostgresOwnerProcess is not a test: it is the gamemaster that the tests
// below kill. It prints its server's URL and process id and waits for its end.
func TestPostgresOwnerProcess(t *testing.T) {
	dir, isChild := os.LookupEnv("GAMEMASTER_TEST_POSTGRES_OWNER")
	if !isChild {
		t.Skip("started by other tests")
	}
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Dir: dir})
	require.NoError(t, err)
	fmt.Printf("READY %s %d\n", server.URL("postgres"), server.PID())
	select {}
}

// killedOwner starts a gamemaster of its own with a server, lets use it and
// kills the gamemaster with SIGKILL.
func killedOwner(t *testing.T, dir string, use func(url string)) (serverPID int) {
	t.Helper()
	owner := exec.Command(os.Args[0], "-test.run=^TestPostgresOwnerProcess$")
	owner.Env = append(os.Environ(), "GAMEMASTER_TEST_POSTGRES_OWNER="+dir)
	owner.Stderr = t.Output()
	output, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	var url string
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "READY %s %d", &url, &serverPID); err == nil {
			break
		}
	}
	require.NotEmpty(t, url, "the owner never got ready")
	use(url)
	require.NoError(t, owner.Process.Kill())
	_ = owner.Wait()
	return serverPID
}

// Proves that a gamemaster killed with SIGKILL leaves data that the next one
// takes over, never with two servers on the directory.
func TestPostgresOwnerKilled(t *testing.T) {
	dir := enterableDir(t)
	orphan := killedOwner(t, dir, func(url string) {
		execute(t, url, "CREATE TABLE kept AS SELECT 42 AS value")
	})
	server := startPostgres(t, devstack.PostgresOptions{Dir: dir})
	require.NotEqual(t, orphan, server.PID())
	require.Equal(t, 42, scanInt(t, server.URL("postgres"), "SELECT value FROM kept"))
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", orphan))
	require.NotContains(t, string(command), dir, "the orphan is gone")
}

// Proves that the throw-away directory of a killed gamemaster is removed by the
// next start, and that the one of a living gamemaster is not.
func TestPostgresAbandonedThrowAway(t *testing.T) {
	temp := enterableDir(t)
	t.Setenv("TMPDIR", temp)
	living := startPostgres(t, devstack.PostgresOptions{})
	killedOwner(t, "", func(url string) { execute(t, url, "SELECT 1") })
	require.Len(t, throwAways(t, temp), 2)

	startPostgres(t, devstack.PostgresOptions{})
	require.Len(t, throwAways(t, temp), 2, "the living one's and the new one's")
	require.Equal(t, 1, scanInt(t, living.URL("postgres"), "SELECT 1"))
}

func throwAways(t *testing.T, temp string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(temp, "gamemaster-postgres-*.lock"))
	require.NoError(t, err)
	return found
}
