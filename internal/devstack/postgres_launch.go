package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// postgresPortTries: a free port found by the kernel can be taken by
	// somebody else before the server binds it. That is rare; five times in a
	// row means something else is wrong.
	postgresPortTries = 5

	// postgresPoll is the pause between two looks at a server that is
	// starting or stopping: short against its second, long against the look.
	postgresPoll = 10 * time.Millisecond
)

var (
	errPostgresPortTaken = errors.New("port is taken")
	errPostgresDirBusy   = errors.New("data directory is still held by a dying server")
)

// launch starts the server and returns when it answers with its password.
func (p *Postgres) launch(ctx context.Context, bin postgresBinaries, fixedPort int) error {
	for try := 1; ; {
		p.port = fixedPort
		if err := p.choosePort(); err != nil {
			return err
		}
		err := p.launchOnce(ctx, bin)
		switch {
		case errors.Is(err, errPostgresPortTaken) && fixedPort == 0 && try < postgresPortTries:
			try++
		case errors.Is(err, errPostgresPortTaken):
			return fmt.Errorf("address %s is already in use (postgres)", p.address())
		case errors.Is(err, errPostgresDirBusy):
			// A postmaster that was killed leaves back ends that notice within
			// moments; Postgres refuses the directory until they are gone.
			if !pause(ctx, 10*postgresPoll) {
				return err
			}
		default:
			return err
		}
	}
}

// choosePort fills in a free port, or makes sure that the wanted one is free,
// which gives a better error than the server's own.
func (p *Postgres) choosePort() error {
	listener, err := net.Listen("tcp4", p.address())
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("address %s is already in use (postgres)", p.address())
	}
	if err != nil {
		return fmt.Errorf("postgres cannot listen on %s: %w", p.address(), err)
	}
	p.port = listener.Addr().(*net.TCPAddr).Port
	return listener.Close()
}

func (p *Postgres) launchOnce(ctx context.Context, bin postgresBinaries) error {
	child, err := startProcess(processOptions{
		Name:        "postgres",
		Path:        bin.program("postgres"),
		Args:        p.home.serverArguments(p.port),
		Env:         postgresEnvironment(),
		Dir:         p.home.root,
		Credential:  p.home.owner.credential,
		DeathSignal: p.home.deathSignal(),
	})
	if err != nil {
		return err
	}
	p.process = child
	err = p.awaitReady(ctx)
	if err == nil {
		return nil
	}
	if stopErr := child.Stop(syscall.SIGQUIT, postgresStopGrace); stopErr != nil {
		return errors.Join(err, stopErr)
	}
	return err
}

// awaitReady returns nil when the server accepts its password. It looks at the
// status line that the server itself keeps and connects only then, so that a
// stranger's server on the same port is never taken for it.
func (p *Postgres) awaitReady(ctx context.Context) error {
	for !p.home.isReady(p.process.PID()) {
		select {
		case <-p.process.Done():
			return p.startFailure()
		default:
		}
		if !pause(ctx, postgresPoll) {
			return fmt.Errorf("postgres did not get ready: %w%s", ctx.Err(), p.process.tail.quoted())
		}
	}
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("postgres is up but refuses the password in %s: %w", p.home.passwordFile(), err)
	}
	return conn.Close(ctx)
}

// startFailure says why a server that ended before it was ready did so.
func (p *Postgres) startFailure() error {
	said := p.process.Tail()
	switch {
	case strings.Contains(said, "Address already in use"):
		return errPostgresPortTaken
	case strings.Contains(said, "pre-existing shared memory block"),
		strings.Contains(said, `lock file "postmaster.pid" already exists`):
		return fmt.Errorf("%w: %s; it wrote:\n%s", errPostgresDirBusy, p.home.data, said)
	}
	if err := p.process.Err(); err != nil {
		return err
	}
	return fmt.Errorf("postgres ended before it was ready%s", p.process.tail.quoted())
}

// serverArguments returns the server's command line. TCP on the loopback
// address is the only way in: a Unix socket would need a directory, has a
// length limit and lets other local users knock.
func (h *postgresHome) serverArguments(port int) []string {
	settings := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=",
		// The stack's pools, a Temporal server on the same Postgres and the
		// packages of a test run together stay far below.
		"max_connections=200",
		"timezone=UTC",
		"log_timezone=UTC",
		"lc_messages=C", // the texts that startFailure looks for
	}
	if h.throwAway {
		// Nobody reads these files after a crash.
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	arguments := []string{"-D", h.data}
	for _, setting := range settings {
		arguments = append(arguments, "-c", setting)
	}
	return arguments
}

// deathSignal is what the server gets when this process dies: both let it
// remove its shared memory, which SIGKILL would leak; the first also writes a
// checkpoint, for data that is kept.
func (h *postgresHome) deathSignal() syscall.Signal {
	if h.throwAway {
		return syscall.SIGQUIT
	}
	return syscall.SIGINT
}

// isReady reports whether the server with that process id takes connections.
func (h *postgresHome) isReady(pid int) bool {
	lines := h.pidFile()
	const status = 7 // the eighth line, since Postgres 10
	return len(lines) > status && lines[0] == strconv.Itoa(pid) && lines[status] == "ready"
}

// pidFile returns the lines of postmaster.pid; nil when there is none.
func (h *postgresHome) pidFile() []string {
	content, err := os.ReadFile(filepath.Join(h.data, "postmaster.pid"))
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}

// postgresEnvironment is this process's environment without the variables
// that would point a Postgres program somewhere else, in the C locale.
func postgresEnvironment() []string {
	environment := []string{}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PG") && !strings.HasPrefix(variable, "LC_") {
			environment = append(environment, variable)
		}
	}
	return append(environment, "LC_ALL=C")
}

// pause waits for d and reports whether the context still stands.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
