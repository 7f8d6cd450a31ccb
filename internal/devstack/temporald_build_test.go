package devstack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
)

// tinyModule is a program that builds in a second and stands for the server.
func tinyModule(t *testing.T, body string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module tiny\n\ngo 1.26\n",
		"go.sum":  "",
		"main.go": "package main\n\nfunc main() {" + body + "}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

// fakeCompile writes a file and counts.
func fakeCompile(count *atomic.Int32) temporaldCompile {
	return func(_ context.Context, _, target string, _ io.Writer) error {
		count.Add(1)
		return os.WriteFile(target, []byte("binary"), 0o700)
	}
}

// However many ask for the binary at once, one builds it; a second lock on the
// same file excludes a goroutine exactly as it excludes a process.
func TestTemporaldIsBuiltOnce(t *testing.T) {
	source, cache := tinyModule(t, ""), t.TempDir()
	entered, release := make(chan struct{}), make(chan struct{})
	var built atomic.Int32
	compile := func(ctx context.Context, source, target string, out io.Writer) error {
		if built.Load() == 0 {
			close(entered)
			<-release
		}
		return fakeCompile(&built)(ctx, source, target, out)
	}
	var group sync.WaitGroup
	ask := func(progress io.Writer) {
		path, err := buildTemporaldOnce(t.Context(), source, cache, progress, compile)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			t.Error(err)
		}
	}
	group.Go(func() { ask(io.Discard) })
	<-entered
	notes, written := io.Pipe()
	for range 8 {
		group.Go(func() { ask(written) })
	}
	note := make([]byte, 256)
	for range 8 { // all eight wait before the build may go on
		n, err := notes.Read(note)
		require.NoError(t, err)
		require.Equal(t, "waiting for another process to finish building the Temporal server\n", string(note[:n]))
	}
	close(release)
	group.Wait()
	require.EqualValues(t, 1, built.Load())
}

// Waiting for someone else's build ends with the context.
func TestTemporaldWaitIsCancelled(t *testing.T) {
	source, cache := tinyModule(t, ""), t.TempDir()
	unlock, err := lockTemporaldCache(t.Context(), cache, io.Discard)
	require.NoError(t, err)
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = buildTemporaldOnce(ctx, source, cache, io.Discard, fakeCompile(new(atomic.Int32)))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// A failed build leaves nothing that a later one could take for a binary.
func TestTemporaldFailedBuild(t *testing.T) {
	source, cache := tinyModule(t, ""), t.TempDir()
	broken := errors.New("no such import")
	_, err := buildTemporaldOnce(t.Context(), source, cache, io.Discard,
		func(_ context.Context, _, target string, _ io.Writer) error {
			return errors.Join(broken, os.WriteFile(target, []byte("half"), 0o700))
		})
	require.ErrorIs(t, err, broken)
	left, err := filepath.Glob(filepath.Join(cache, temporaldPrefix+"*"))
	require.NoError(t, err)
	require.Empty(t, left)

	var built atomic.Int32
	_, err = buildTemporaldOnce(t.Context(), source, cache, io.Discard, fakeCompile(&built))
	require.NoError(t, err)
	require.EqualValues(t, 1, built.Load())
}

// A change of the source makes another binary; the remains of a killed build and
// binaries long out of use go, one in use stays.
func TestTemporaldCacheIsTidied(t *testing.T) {
	source, cache := tinyModule(t, ""), t.TempDir()
	var built atomic.Int32
	build := func() string {
		path, err := buildTemporaldOnce(t.Context(), source, cache, io.Discard, fakeCompile(&built))
		require.NoError(t, err)
		return path
	}
	first := build()
	require.Equal(t, first, build())
	require.NoError(t, os.WriteFile(filepath.Join(source, "main.go"), []byte("package main\n"), 0o600))
	partial, old := filepath.Join(cache, "temporald-1"+temporaldPartial), filepath.Join(cache, "temporald-2")
	require.NoError(t, os.WriteFile(partial, nil, 0o600))
	require.NoError(t, os.WriteFile(old, nil, 0o600))
	long := time.Now().Add(-2 * temporaldKeep)
	require.NoError(t, os.Chtimes(old, long, long))

	require.NotEqual(t, first, build())
	require.EqualValues(t, 2, built.Load())
	require.FileExists(t, first)
	require.NoFileExists(t, partial)
	require.NoFileExists(t, old)
}

// The real build works under settings meant for another module, and reports.
func TestTemporaldCompiles(t *testing.T) {
	t.Setenv("GOFLAGS", "-mod=vendor -tags=other")
	t.Setenv("GOWORK", filepath.Join(t.TempDir(), "go.work"))
	t.Setenv("GOOS", "plan9")
	target := filepath.Join(t.TempDir(), "tiny")
	var progress bytes.Buffer
	require.NoError(t, compileTemporald(t.Context(), tinyModule(t, `print("tiny")`), target, &progress))
	require.Contains(t, progress.String(), "building the Temporal server (first time only)")
	output, err := exec.Command(target).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "tiny", string(output))
}

// What the compiler says is in the error; a cancelled build says so.
func TestTemporaldCompileErrors(t *testing.T) {
	target := filepath.Join(t.TempDir(), "tiny")
	err := compileTemporald(t.Context(), tinyModule(t, "undefinedName()"), target, io.Discard)
	require.ErrorContains(t, err, "undefined: undefinedName")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = compileTemporald(ctx, tinyModule(t, ""), target, io.Discard)
	require.ErrorIs(t, err, context.Canceled)
}

// The lines of a log name what is going on.
func TestTemporaldProgressWords(t *testing.T) {
	var out bytes.Buffer
	p := newTemporaldProgress(&out)
	p.fetching("go: downloading example.test/module v1.0.0")
	p.fetching("go: finding something")
	p.show()
	p.begin(3)
	p.built("example.test/module/a")
	p.built("# example.test/module/b")
	p.show()
	p.built("example.test/module/b")
	p.built("tiny")
	p.show()
	p.stop()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 4)
	for i, words := range []string{"a few minutes", "1 modules fetched", "1/3 packages", "linking"} {
		require.Contains(t, lines[i], words)
	}
}

// A listener is attributed to the process that holds it; where that cannot be
// known the answer is yes.
func TestTemporalListenerOwner(t *testing.T) {
	address, err := temporalAddress("test", "")
	require.NoError(t, err)
	require.True(t, listensAt(os.Getpid(), address), "nobody listens")
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err, "a port put to rest can be listened at")
	defer listener.Close()
	require.True(t, listensAt(os.Getpid(), address))

	other, err := startProcess(processOptions{Name: "other", Path: "/bin/sleep", Args: []string{"60"}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Kill() })
	if _, err := os.Stat("/proc/net/tcp"); err == nil {
		require.False(t, listensAt(other.PID(), address))
		foreign := &Temporal{process: other, address: address}
		require.ErrorIs(t, foreign.await(t.Context(), foreign.probeOwner), errTemporalPortLost)
	}
}

// The Go SDK's own way to start a dev server takes this binary.
func TestTemporaldServesSDKTestsuite(t *testing.T) {
	binary, err := temporaldBinary(t.Context(), os.Stderr)
	require.NoError(t, err)
	server, err := testsuite.StartDevServer(t.Context(), testsuite.DevServerOptions{
		ExistingPath: binary,
		DBFilename:   filepath.Join(t.TempDir(), "db"),
		EnableUI:     true,
		LogFormat:    "pretty",
		LogLevel:     "error",
		Stdout:       io.Discard,
		Stderr:       io.Discard,
		ExtraArgs:    []string{"--search-attribute", "GameID=keyword", "--ui-public-path", "/ui"},
	})
	require.NoError(t, err)
	defer server.Client().Close()
	require.NoError(t, server.Stop())
}
