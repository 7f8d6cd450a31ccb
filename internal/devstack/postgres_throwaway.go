package devstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gofrs/flock"
)

const (
	throwAwayPrefix = "gamemaster-postgres-"
	throwAwayLock   = ".lock"
)

// newThrowAwayHome makes a locked directory for one run. The lock is taken
// before the directory exists, so that nobody can find it unlocked and remove
// it as abandoned.
func newThrowAwayHome(owner postgresOwner) (*postgresHome, error) {
	temp, err := filepath.EvalSymlinks(os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("temporary directory: %w", err)
	}
	if err := owner.checkEnterable(temp); err != nil {
		return nil, err
	}
	for {
		file, err := os.CreateTemp(temp, throwAwayPrefix+"*"+throwAwayLock)
		if err != nil {
			return nil, fmt.Errorf("make a throw-away directory: %w", err)
		}
		if err := file.Close(); err != nil {
			return nil, fmt.Errorf("make a throw-away directory: %w", err)
		}
		lock := flock.New(file.Name())
		if locked, err := lock.TryLock(); err != nil {
			return nil, fmt.Errorf("lock a throw-away directory: %w", err)
		} else if !locked || !holdsItsPath(lock) {
			// A cleaner was quicker than our lock; it removes the file.
			_ = lock.Close()
			continue
		}
		root := strings.TrimSuffix(file.Name(), throwAwayLock)
		home := &postgresHome{root: root, data: filepath.Join(root, "data"), lock: lock, owner: owner, throwAway: true}
		if err := makeEnterable(root, owner); err != nil {
			_ = home.Close()
			return nil, err
		}
		return home, nil
	}
}

// removeAbandonedHomes removes the throw-away directories of processes that
// were killed: the kernel has released their locks. It is housekeeping, so what
// it cannot remove it leaves to the next start.
func removeAbandonedHomes(progress io.Writer) {
	temp, err := filepath.EvalSymlinks(os.TempDir())
	if err != nil {
		return
	}
	locks, _ := filepath.Glob(filepath.Join(temp, throwAwayPrefix+"*"+throwAwayLock))
	for _, path := range locks {
		// The temporary directory is open to everybody: only a plain file of
		// our own user is one of ours.
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || !isMine(info) {
			continue
		}
		removeAbandonedHome(path, progress)
	}
}

func removeAbandonedHome(lockPath string, progress io.Writer) {
	lock := flock.New(lockPath)
	defer func() { _ = lock.Close() }()
	if locked, err := lock.TryLock(); err != nil || !locked {
		return
	}
	root := strings.TrimSuffix(lockPath, throwAwayLock)
	home := &postgresHome{root: root, data: filepath.Join(root, "data")}
	// Where the kernel does not stop orphans, the server may still run.
	if err := home.stopOrphan(context.Background(), progress); err != nil {
		return
	}
	if err := os.RemoveAll(root); err != nil {
		return
	}
	_ = removeIfThere(lockPath)
}

// holdsItsPath reports whether the locked file still is the one at its path,
// and not one that was removed in the meantime.
func holdsItsPath(lock *flock.Flock) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(lock.Path())
	return err == nil && os.SameFile(held, there)
}

func isMine(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
