package drill_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/drill"
)

// binary is the gamemaster under test, and stack what all tests share.
var (
	binary string
	stack  *drill.Stack
)

// startBudget bounds the first build of the Temporal server, on two cores that
// compile other packages as well.
const startBudget = 20 * time.Minute

func TestMain(m *testing.M) {
	status, err := run(m)
	if err == nil && status == 0 {
		// Nothing of the harness may survive it.
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "drill:", err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (status int, err error) {
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
	if binary, err = stacktest.BuildGamemaster(ctx, dir); err != nil {
		return 1, err
	}
	if stack, err = drill.Start(ctx, drill.Options{Binary: binary, Progress: os.Stderr}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	return m.Run(), nil
}
