package matrix_test

import (
	"context"
	"testing"

	"galaxy/gamemaster/internal/drill/drilltest"
)

// binary is the gamemaster under test.
var binary string

func TestMain(m *testing.M) {
	drilltest.Main(m, func(_ context.Context, built string) (func() error, error) {
		binary = built
		return func() error { return nil }, nil
	})
}
