package devstack

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// temporaldCompileStop is how long the go command may take to remove its
// temporary files after a cancelled build.
const temporaldCompileStop = 10 * time.Second

// compileTemporald builds the server with the go command: first it learns how
// much there is to do, fetching modules on the way, then it does it.
func compileTemporald(ctx context.Context, source, target string, out io.Writer) error {
	progress := newTemporaldProgress(out)
	defer progress.stop()
	// A package is stale when the build cache has no up-to-date result for it:
	// these are the ones the build will go through and name.
	// The flags of both steps must agree on what a package's result depends on.
	listing, err := runTemporaldGo(ctx, source, progress.fetching,
		"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", ".")
	if err != nil {
		return err
	}
	progress.begin(len(strings.Fields(listing)))
	_, err = runTemporaldGo(ctx, source, progress.built,
		"build", "-v", "-buildvcs=false", "-ldflags=-s -w", "-o", target, ".")
	return err
}

// runTemporaldGo runs the go command in the server's module, hands each line of
// its standard error to note and returns its standard output.
func runTemporaldGo(ctx context.Context, dir string, note func(line string), args ...string) (string, error) {
	command, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("%w; or %w", err, errTemporaldMend)
	}
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir = dir
	cmd.Env = temporaldGoEnv()
	// The compilers are the go command's children, so a cancelled build
	// interrupts the whole group; the go command cleans up after itself then.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = temporaldCompileStop

	var output bytes.Buffer
	cmd.Stdout = &output
	lines, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	said := noteTemporaldLines(lines, note)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("go %s: %w; it wrote:\n%s", args[0], err, said)
	}
	return output.String(), nil
}

// noteTemporaldLines reads to the end and returns the last lines, which in a
// failed build are the ones that say why.
func noteTemporaldLines(r io.Reader, note func(line string)) string {
	var tail tailBuffer
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		note(scanner.Text())
		_, _ = tail.Write(append(scanner.Bytes(), '\n'))
	}
	_, _ = io.Copy(io.Discard, r) // a line too long for the scanner must not block the writer
	return tail.String()
}

// temporaldGoEnv is the environment with the settings taken out that are meant
// for the product's own module: its flags (-mod=vendor, tags), a workspace, a
// cross-compilation. The SQLite driver is pure Go, so no C compiler is needed.
func temporaldGoEnv() []string {
	return append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
}
