package planted_test

import (
	"testing"

	"galaxy/gamemaster/internal/drill"
	"galaxy/gamemaster/internal/drill/drilltest"
)

// stack is what all bugs share.
var stack *drill.Stack

func TestMain(m *testing.M) { drilltest.Main(m, drilltest.Start(&stack)) }
