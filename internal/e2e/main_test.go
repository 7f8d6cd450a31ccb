package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"galaxy/gamemaster/internal/devstack"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/workflows"
)

// binary is the gamemaster under test, built once for all tests.
var binary string

// temporal is the server that all tests share.
var temporal *devstack.Temporal

// buildBudget bounds the first build of the Temporal server, on two cores that
// compile other packages as well.
const buildBudget = 20 * time.Minute

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildBudget)
	defer cancel()
	dir, err := os.MkdirTemp("", "gamemaster-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if binary, err = stacktest.BuildGamemaster(ctx, dir, stacktest.RaceFlags...); err != nil {
		return 1, err
	}
	temporal, err = devstack.StartTemporal(ctx, devstack.TemporalOptions{
		Headless: true, SearchAttributes: workflows.SearchAttributes(),
	})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, temporal.Close()) }()
	return stacktest.Run(m), nil
}
