package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gofrs/flock"
)

// postgresHome is the directory of one server:
//
//	lock      held (flock) by the gamemaster that runs the server
//	password  of the superuser, readable by this process's user only
//	data      the server's own files, owned by the server's user
//
// A throw-away home is such a directory in the temporary directory, with its
// lock beside it, so that whoever removes the directory can hold the lock.
type postgresHome struct {
	root      string
	data      string
	lock      *flock.Flock
	owner     postgresOwner
	throwAway bool
}

// openPostgresHome makes the directory where it is missing and locks it.
func openPostgresHome(o PostgresOptions, owner postgresOwner) (*postgresHome, error) {
	if o.Dir == "" {
		removeAbandonedHomes(o.Progress)
		return newThrowAwayHome(owner)
	}
	root, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("postgres data directory: %w", err)
	}
	if err := makeEnterable(root, owner); err != nil {
		return nil, err
	}
	// One name for one directory: an orphan is recognised by it.
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, fmt.Errorf("postgres data directory: %w", err)
	}
	if err := owner.checkEnterable(root); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(root, "lock"))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the postgres data directory: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("data directory %s is in use by another gamemaster", root)
	}
	return &postgresHome{root: root, data: filepath.Join(root, "data"), lock: lock, owner: owner}, nil
}

// makeEnterable makes dir when it is missing. The server's user has to pass
// through it, but not to read it.
func makeEnterable(dir string, owner postgresOwner) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	mode := os.FileMode(0o700)
	if owner.credential != nil {
		mode = 0o711
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return fmt.Errorf("make the postgres data directory: %w", err)
	}
	// Again, because the umask may have taken the bits away.
	if err := os.Chmod(dir, mode); err != nil {
		return fmt.Errorf("make the postgres data directory: %w", err)
	}
	return nil
}

// Close gives the directory free, and removes a throw-away one.
func (h *postgresHome) Close() error {
	if !h.throwAway {
		return h.lock.Close()
	}
	// The lock's file goes while the lock is held; see newThrowAwayHome.
	return errors.Join(os.RemoveAll(h.root), removeIfThere(h.lock.Path()), h.lock.Close())
}

func (h *postgresHome) passwordFile() string { return filepath.Join(h.root, "password") }

// initialise makes the data directory where it is missing and returns the
// superuser's password. An initdb that was interrupted leaves nothing behind
// that the next one could take for a data directory.
func (h *postgresHome) initialise(ctx context.Context, bin postgresBinaries) (string, error) {
	if _, err := os.Stat(h.data); err == nil {
		password, err := os.ReadFile(h.passwordFile())
		if err != nil {
			return "", fmt.Errorf("the password of the data directory %s is lost; remove the directory to start anew: %w", h.root, err)
		}
		return strings.TrimSpace(string(password)), nil
	}
	password := rand.Text()
	if err := os.WriteFile(h.passwordFile(), []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the postgres password: %w", err)
	}
	draft := h.data + ".new"
	if err := os.RemoveAll(draft); err != nil {
		return "", fmt.Errorf("remove an unfinished data directory: %w", err)
	}
	if err := os.Mkdir(draft, 0o700); err != nil {
		return "", fmt.Errorf("make the postgres data directory: %w", err)
	}
	if err := h.owner.own(draft); err != nil {
		return "", err
	}
	if err := h.runInitdb(ctx, bin, draft, password); err != nil {
		return "", err
	}
	if err := os.Rename(draft, h.data); err != nil {
		return "", fmt.Errorf("make the postgres data directory: %w", err)
	}
	return password, nil
}

func (h *postgresHome) runInitdb(ctx context.Context, bin postgresBinaries, draft, password string) error {
	// initdb reads the password as the server's user, who may not read ours.
	handover := filepath.Join(h.root, "password.initdb")
	if err := os.WriteFile(handover, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("hand the password to initdb: %w", err)
	}
	defer func() { _ = os.Remove(handover) }()
	if err := h.owner.own(handover); err != nil {
		return err
	}
	arguments := []string{
		"--pgdata=" + draft, "--username=" + postgresUser, "--pwfile=" + handover,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
	}
	if h.throwAway {
		arguments = append(arguments, "--no-sync")
	}
	child, err := startProcess(processOptions{
		Name: "initdb", Path: bin.program("initdb"), Args: arguments,
		Env: postgresEnvironment(), Dir: h.root, Credential: h.owner.credential,
	})
	if err != nil {
		return err
	}
	select {
	case <-child.Done():
		return child.Err()
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("initdb: %w", ctx.Err()), child.Kill())
	}
}

// stopOrphan ends a server that still runs on the directory although its
// gamemaster is gone (the caller holds the lock, so it is): two servers on one
// directory would destroy it.
func (h *postgresHome) stopOrphan(ctx context.Context, progress io.Writer) error {
	lines := h.pidFile()
	if len(lines) == 0 {
		return nil
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil || pid <= 1 {
		return nil //nolint:nilerr // Postgres judges a damaged file itself
	}
	if !h.isServer(pid) {
		if syscall.Kill(pid, 0) == nil {
			// The number went to some other process, as it does when a
			// container restarts. Postgres would take that one for a server
			// and refuse; the true one is long gone.
			return removeIfThere(filepath.Join(h.data, "postmaster.pid"))
		}
		return nil
	}
	fmt.Fprintf(progress, "postgres: stopping the server (pid %d) that an earlier gamemaster left on %s\n", pid, h.root)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the orphaned postgres (pid %d) of %s: %w", pid, h.root, err)
		}
		if h.awaitGone(ctx, pid) {
			return nil
		}
	}
	return fmt.Errorf("the orphaned postgres (pid %d) of %s does not stop", pid, h.root)
}

// awaitGone waits for a server that is not our child, as long as a fast
// shutdown may take.
func (h *postgresHome) awaitGone(ctx context.Context, pid int) bool {
	ctx, cancel := context.WithTimeout(ctx, postgresStopGrace)
	defer cancel()
	for h.isServer(pid) {
		if !pause(ctx, postgresPoll) {
			return false
		}
	}
	return true
}

// isServer reports whether the process is a Postgres on this very directory.
func (h *postgresHome) isServer(pid int) bool {
	command := processCommand(pid)
	return strings.Contains(command, "postgres") && strings.Contains(command, "-D "+h.data+" ")
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
