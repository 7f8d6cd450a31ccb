// Package drilltest is what the tests of the drill share: the gamemaster that
// they run, and what they begin and end with. They are several packages because
// each of them takes minutes, and go test gives a package ten. It is for tests
// only; nothing else may import it.
package drilltest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/drill"
)

// startBudget bounds the first build of the Temporal server, on two cores that
// compile other packages as well.
const startBudget = 20 * time.Minute

// Main builds the gamemaster under test, hands its path to begin, runs the tests
// and what begin returned, and ends the process with their status, which is a
// failure as well when a goroutine of the harness has survived.
func Main(m *testing.M, begin func(ctx context.Context, binary string) (end func() error, err error)) {
	status, err := run(m, begin)
	if err == nil && status == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "drill:", err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M, begin func(context.Context, string) (func() error, error)) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startBudget)
	defer cancel()
	dir, err := os.MkdirTemp("", "gamemaster-drill-test-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// Without the race detector, also when the tests have it: the processes of the
	// end-to-end tests run the same code with it, and here dozens of them are
	// started and killed, which takes twice the processor time with it.
	binary, err := stacktest.BuildGamemaster(ctx, dir)
	if err != nil {
		return 1, err
	}
	end, err := begin(ctx, binary)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, end()) }()
	return m.Run(), nil
}

// Start is a begin for [Main] that starts a stack and keeps it in stack.
func Start(stack **drill.Stack) func(ctx context.Context, binary string) (func() error, error) {
	return func(ctx context.Context, binary string) (end func() error, err error) {
		if *stack, err = drill.Start(ctx, drill.Options{Binary: binary, Progress: os.Stderr}); err != nil {
			return nil, err
		}
		return (*stack).Close, nil
	}
}

// Asked is what -run says behind the name of the test itself, so that what takes
// long is done for those subtests only that will be looked at.
func Asked(t *testing.T) *regexp.Regexp {
	t.Helper()
	_, name, _ := strings.Cut(flag.Lookup("test.run").Value.String(), "/")
	pattern, err := regexp.Compile(name)
	if err != nil {
		t.Fatalf("-run: %v", err)
	}
	return pattern
}
