package drill_test

import (
	"context"
	"testing"

	"galaxy/gamemaster/internal/drill"
	"galaxy/gamemaster/internal/drill/drilltest"
)

// binary is the gamemaster under test, and stack what all tests share.
var (
	binary string
	stack  *drill.Stack
)

func TestMain(m *testing.M) {
	drilltest.Main(m, func(ctx context.Context, built string) (func() error, error) {
		binary = built
		return drilltest.Start(&stack)(ctx, built)
	})
}
