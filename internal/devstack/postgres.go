// Package devstack starts what gamemaster needs around it on one machine: a
// real Postgres and a real Temporal with its UI, as child processes that end
// with their parent. It serves the demo, the dev command and the tests; nothing
// here is meant for production.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// postgresStartBudget bounds initdb and start. Two cores need about a
	// second; the rest is for crash recovery of a kept directory and for a
	// machine that is busy compiling.
	postgresStartBudget = 60 * time.Second

	// postgresStopGrace is how long a fast shutdown may take. It rolls back
	// what is open and writes a checkpoint: well under a second for a
	// development database, more on a slow disk.
	postgresStopGrace = 15 * time.Second

	// postgresUser is the superuser of every server started here.
	postgresUser = "gamemaster"
)

// PostgresOptions says which server [StartPostgres] starts.
type PostgresOptions struct {
	// Dir keeps the data between runs: the server's files, its password and a
	// lock. It is made when missing. Empty means a throw-away directory that
	// is not synced to disk and is removed by Close.
	Dir string
	// Port to listen on at 127.0.0.1; 0 lets the kernel choose a free one.
	Port int
	// Progress gets a line for anything that takes long, such as a download;
	// nil means standard error.
	Progress io.Writer
}

// Postgres is a running server. Only this machine reaches it, and only with
// the password in its URL: connections are TCP on 127.0.0.1, scram-sha-256.
type Postgres struct {
	home     *postgresHome
	process  *process
	port     int
	password string

	closing  sync.Once
	closeErr error
}

// StartPostgres starts a server and returns when it answers. The context
// bounds the start only; the server runs until Close or Kill, or until this
// process dies: then the kernel stops it (Linux), or the next start on the same
// directory does.
//
// Errors name what stands in the way and what mends it: no Postgres installed,
// an address in use, a data directory in use by another gamemaster, a directory
// that the server's user cannot enter.
func StartPostgres(ctx context.Context, o PostgresOptions) (_ *Postgres, err error) {
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	p := &Postgres{port: o.Port}
	if err := p.choosePort(); err != nil {
		return nil, err // a port that is taken is told at once, not after initdb
	}
	owner, err := findPostgresOwner()
	if err != nil {
		return nil, err
	}
	home, err := openPostgresHome(o, owner)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, home.Close())
		}
	}()
	if err := home.stopOrphan(ctx, o.Progress); err != nil {
		return nil, err
	}
	bin, err := findPostgresBinaries(home, o.Progress)
	if err != nil {
		return nil, err
	}
	// From here on: a download may take as long as the caller lets it.
	ctx, cancel := context.WithTimeout(ctx, postgresStartBudget)
	defer cancel()
	p.home = home
	if p.password, err = home.initialise(ctx, bin); err != nil {
		return nil, err
	}
	if err := p.launch(ctx, bin, o.Port); err != nil {
		return nil, err
	}
	if !home.throwAway {
		// The lock says that a server runs here. When the server has ended by
		// itself, the directory is free for the next one.
		go func() {
			<-p.process.Done()
			_ = home.lock.Unlock()
		}()
	}
	return p, nil
}

// URL returns the connection string of a database on the server, password
// included: not for logs.
func (p *Postgres) URL(database string) string {
	return (&url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(postgresUser, p.password),
		Host:     p.address(),
		Path:     "/" + database,
		RawQuery: "sslmode=disable", // it never leaves the machine
	}).String()
}

// CreateDatabase makes an empty database; nil also when there is one already.
func (p *Postgres) CreateDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("create database %q: %w", name, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "42P04" || refused.Code == "23505") {
		return nil // there already: before this call, or made by a racing one
	}
	if err != nil {
		return fmt.Errorf("create database %q: %w", name, err)
	}
	return nil
}

// Done is closed when the server has ended, whoever ended it.
func (p *Postgres) Done() <-chan struct{} { return p.process.Done() }

// Err returns how the server ended, with the last of its log; nil while it
// runs and after an orderly end.
func (p *Postgres) Err() error { return p.process.Err() }

// PID returns the process id of the server.
func (p *Postgres) PID() int { return p.process.PID() }

// Port returns the port on 127.0.0.1 that the server listens on.
func (p *Postgres) Port() int { return p.port }

// Close stops the server the fast way (SIGINT: open transactions are rolled
// back, everything committed is kept), kills it when that takes too long, and
// removes a throw-away directory. Further calls return the first one's result.
func (p *Postgres) Close() error {
	p.closing.Do(func() {
		p.closeErr = errors.Join(p.process.Stop(syscall.SIGINT, postgresStopGrace), p.home.Close())
	})
	return p.closeErr
}

// Kill ends the server with SIGKILL, as a crash would, and returns when it is
// gone. A kept directory can be started again; Close still has to be called.
func (p *Postgres) Kill() error {
	if err := p.process.Kill(); err != nil {
		return err
	}
	if p.home.throwAway {
		return nil
	}
	return p.home.lock.Unlock()
}

func (p *Postgres) address() string { return "127.0.0.1:" + strconv.Itoa(p.port) }
