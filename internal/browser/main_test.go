//go:build browser

package browser_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"galaxy/gamemaster/internal/devstack/stacktest"
)

// patience bounds every wait of a test; it is only ever reached by a failure.
const patience = 90 * time.Second

// waitTick is how often a condition is looked at while it is waited for: each look
// has the browser lay out the page, on the cores that everything else needs too.
const waitTick = 200 * time.Millisecond

// buildBudget bounds the first build of the Temporal server, on two cores that
// compile other packages as well.
const buildBudget = 20 * time.Minute

// stack is what all tests share; each has a game of its own there.
var stack *dev

// chromium is the context of the browser that all tests share; each has tabs of
// its own.
var chromium context.Context

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildBudget)
	defer cancel()
	dir, err := os.MkdirTemp("", "gamemaster-browser-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stop, err := startChromium(dir + "/profile")
	if err != nil {
		return 1, err
	}
	defer stop()
	binary, err := stacktest.BuildGamemaster(ctx, dir)
	if err != nil {
		return 1, err
	}
	// Postgres refuses root and is run by another user, who has to pass.
	const passable = 0o755
	if err := os.Chmod(dir, passable); err != nil {
		return 1, err
	}
	if stack, err = startDev(ctx, binary, dir+"/data"); err != nil {
		return 1, err
	}
	defer func() {
		if err = errors.Join(err, stack.Close()); status != 0 {
			fmt.Fprintf(os.Stderr, "gamemaster dev:\n%s", stack.log.Bytes())
		}
	}()
	return m.Run(), nil
}

// startChromium starts the browser, with an empty profile in dir and nothing that
// calls home.
func startChromium(dir string) (stop func(), err error) {
	path, err := chromiumPath()
	if err != nil {
		return nil, err
	}
	// Without a sandbox, which root cannot have: it only ever sees this machine.
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.WindowSize(width, height),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		cancelAllocator()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	chromium = ctx
	return func() {
		cancel()
		cancelAllocator()
	}, nil
}

// chromiumPath finds the browser. That there is none is a failure and no skip: a
// test that was not run must not look like one that passed.
func chromiumPath() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium; install it (Debian: apt-get install chromium)")
}
