package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

const (
	// temporaldVar names a ready binary: our own server or a recent official
	// Temporal CLI.
	temporaldVar = "GAMEMASTER_TEMPORALD"

	// temporaldModule is the module the server's source is looked up by.
	temporaldModule = "module galaxy/gamemaster"

	// temporaldLockRetry is how soon a waiting process sees that the build it
	// waits for is over.
	temporaldLockRetry = 200 * time.Millisecond

	// temporaldKeep is how long a binary of another version stays after its
	// last use: long enough to switch branches back and forth, short enough
	// that 150 MB each do not pile up.
	temporaldKeep = 14 * 24 * time.Hour

	temporaldPrefix  = "temporald-"
	temporaldPartial = ".partial"
)

// errTemporaldMend ends every error about a server that cannot be had.
var errTemporaldMend = errors.New("set $" + temporaldVar +
	" to a ready binary, or use a running server through $TEMPORAL_ADDRESS")

// temporaldCompile builds the server from its source into the file target.
type temporaldCompile func(ctx context.Context, source, target string, progress io.Writer) error

// temporaldBinary returns the path of the server's program, built now if need be.
func temporaldBinary(ctx context.Context, progress io.Writer) (string, error) {
	if path := os.Getenv(temporaldVar); path != "" {
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("$%s: %w", temporaldVar, err)
		}
		if info.IsDir() || info.Mode()&0o111 == 0 {
			return "", fmt.Errorf("$%s: %s is not a program", temporaldVar, path)
		}
		return path, nil
	}
	source, err := temporaldSource()
	if err != nil {
		return "", err
	}
	cache, err := temporaldCache()
	if err != nil {
		return "", err
	}
	return buildTemporaldOnce(ctx, source, cache, progress, compileTemporald)
}

// buildTemporaldOnce returns the binary of this source from the cache. When it is
// missing, one process builds it and all others wait. The binary appears under
// its name only when complete, so that no reader needs the lock.
func buildTemporaldOnce(
	ctx context.Context, source, cache string, progress io.Writer, compile temporaldCompile,
) (string, error) {
	hash, err := temporaldHash(source)
	if err != nil {
		return "", fmt.Errorf("read the Temporal server's source: %w", err)
	}
	binary := filepath.Join(cache, temporaldPrefix+hash)
	if temporaldCached(binary) {
		return binary, nil
	}
	unlock, err := lockTemporaldCache(ctx, cache, progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if temporaldCached(binary) {
		return binary, nil
	}
	cleanTemporaldCache(cache)
	partial := binary + temporaldPartial
	if err := compile(ctx, source, partial, progress); err != nil {
		_ = os.Remove(partial)
		return "", fmt.Errorf("build the Temporal server: %w", err)
	}
	if err := os.Rename(partial, binary); err != nil {
		return "", fmt.Errorf("build the Temporal server: %w", err)
	}
	return binary, nil
}

// temporaldCached tells whether the binary is there, and marks it as used.
func temporaldCached(binary string) bool {
	now := time.Now()
	return os.Chtimes(binary, now, now) == nil
}

// lockTemporaldCache takes the lock on the cache that the operating system
// releases with its process, however that ends.
func lockTemporaldCache(ctx context.Context, cache string, progress io.Writer) (unlock func(), err error) {
	lock := flock.New(filepath.Join(cache, "temporald.lock"))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		fmt.Fprintln(progress, "waiting for another process to finish building the Temporal server")
		_, err = lock.TryLockContext(ctx, temporaldLockRetry)
	}
	if err != nil {
		return nil, fmt.Errorf("wait for the Temporal server's build: %w", err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// cleanTemporaldCache removes what killed builds left behind and binaries long
// out of use. To be called with the lock held, so that nothing is half-built. It
// is only tidiness: what cannot be removed stays.
func cleanTemporaldCache(cache string) {
	files, _ := filepath.Glob(filepath.Join(cache, temporaldPrefix+"*"))
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		if strings.HasSuffix(file, temporaldPartial) || time.Since(info.ModTime()) > temporaldKeep {
			_ = os.Remove(file)
		}
	}
}

// temporaldHash covers what the binary is made of. The release of Go stands for
// the compiler: a program is as a rule started with the Go it was built with.
func temporaldHash(source string) (string, error) {
	files, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil {
		return "", err
	}
	files = slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, "_test.go") })
	files = append(files, filepath.Join(source, "go.mod"), filepath.Join(source, "go.sum"))
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, filepath.Base(file), len(content))
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// temporaldSource finds the server's source: in the checkout around the working
// directory, else where this program was compiled.
func temporaldSource() (string, error) {
	var candidates []string
	if dir, err := os.Getwd(); err == nil {
		if root, ok := temporaldModuleRoot(dir); ok {
			candidates = append(candidates, filepath.Join(root, "internal", "devstack", "temporald"))
		}
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		candidates = append(candidates, filepath.Join(filepath.Dir(file), "temporald"))
	}
	for _, dir := range candidates {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("the source of the Temporal server is not here: run inside the gamemaster checkout; or %w",
		errTemporaldMend)
}

// temporaldModuleRoot walks up to the directory of the product's go.mod.
func temporaldModuleRoot(dir string) (string, bool) {
	for {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		first, _, _ := strings.Cut(string(content), "\n")
		if err == nil && strings.TrimSpace(first) == temporaldModule {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

// temporaldCache returns the directory for binaries, made when missing. Without a
// home, or with one that cannot be written to, a private directory beside other
// temporary files serves.
func temporaldCache() (string, error) {
	if base, err := os.UserCacheDir(); err == nil {
		dir := filepath.Join(base, "gamemaster")
		if err := os.MkdirAll(dir, 0o755); err == nil {
			return dir, nil
		}
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("gamemaster-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a directory for the Temporal server's binary: %w; or %w", err, errTemporaldMend)
	}
	// Anyone can make a directory of this name first. A program is started from
	// it, so it must be ours and nobody else's to write to.
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(stat.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("directory %s belongs to or is open to someone else: remove it, set a home; or %w",
			dir, errTemporaldMend)
	}
	return dir, nil
}
