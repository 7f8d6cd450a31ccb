package matrix_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/drill"
	"galaxy/gamemaster/internal/drill/drilltest"
)

// leastCases is how many named faults the matrix has at least.
const leastCases = 240

// matrixBudget bounds the whole matrix; it is only ever reached by a failure.
const matrixBudget = 25 * time.Minute

// TestMatrix proves, for every fault that is known by name, that the patch ends
// as its case says, and that no promise of the checker is broken. One case runs
// by its name: go test ./internal/drill/matrix -run 'TestMatrix/^NAME$'
func TestMatrix(t *testing.T) {
	cases := chosen(t)
	ctx, cancel := context.WithTimeout(t.Context(), matrixBudget)
	defer cancel()
	suite := drill.Suite{Binary: binary, Progress: t.Output(), Done: func(report drill.Report) {
		// Hundreds of lines that all is well hide the one that matters.
		if report.Failed() || testing.Verbose() {
			t.Log(report.String())
		}
	}}
	reports, err := suite.Run(ctx, cases)
	require.NoError(t, err)
	told := map[string]drill.Report{}
	for _, report := range reports {
		told[report.Case] = report
	}
	for _, drilled := range cases {
		t.Run(drilled.Name, func(t *testing.T) {
			report, ran := told[drilled.Name]
			require.True(t, ran, "it never ran")
			if report.Failed() {
				t.Fatalf("%s\nagain: go test ./internal/drill/matrix -run 'TestMatrix/^%s$'\n%s", report, drilled.Name, report.Logs)
			}
		})
	}
}

// chosen are the cases that -run asks for.
func chosen(t *testing.T) []drill.Case {
	t.Helper()
	pattern := drilltest.Asked(t)
	var cases []drill.Case
	for _, drilled := range drill.Cases() {
		if pattern.MatchString(drilled.Name) {
			cases = append(cases, drilled)
		}
	}
	require.NotEmpty(t, cases, "no case is called so")
	return cases
}

// TestCasesAreNamed proves that every case can be run by its name, and that the
// matrix does not shrink.
func TestCasesAreNamed(t *testing.T) {
	names := map[string]bool{}
	for _, drilled := range drill.Cases() {
		require.Regexp(t, `^[a-z0-9_]+$`, drilled.Name)
		require.False(t, names[drilled.Name], "%s is there twice", drilled.Name)
		names[drilled.Name] = true
		require.NotNil(t, drilled.Run, drilled.Name)
		require.NotEmpty(t, drilled.Layer, drilled.Name)
	}
	require.GreaterOrEqual(t, len(names), leastCases)
}
