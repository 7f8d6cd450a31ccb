package cli_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
)

// TestDrillIsAskedForRightly proves that a drill which could prove nothing is
// refused before anything is started, with the flag that is to be mended.
func TestDrillIsAskedForRightly(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		args []string
		says string
	}{
		{[]string{"--patches", "0"}, "--patches is 0, want 1 to"},
		{[]string{"--patches=-1"}, "--patches is -1, want 1 to"},
		{[]string{"--patches", "1000000000"}, "--patches is 1000000000, want 1 to"},
		{[]string{"--minutes", "0"}, "--minutes is 0, want 1 to"},
		{[]string{"--minutes=-3"}, "--minutes is -3, want 1 to"},
		{[]string{"--seed=-1"}, "--seed"},
		{[]string{"--seed", "luck"}, "--seed"},
		{[]string{"--colour"}, "--colour"},
	} {
		code, stdout, stderr := cli.Shell{}.Run(append([]string{"drill"}, row.args...)...)
		require.Equal(t, cli.ExitUsage, code, "%v: %s", row.args, stderr)
		require.Contains(t, stderr, row.says)
		require.Empty(t, stdout)
	}
	_, help, _ := cli.Shell{}.Run("drill", "--help")
	require.Contains(t, help, "interleaving: that is the machine")
}

// TestDrillTellsItsSeedFirst proves that a drill which comes to nothing has told
// how to run it again all the same, a random seed included, and that with --json
// nothing but JSON is ever on the output.
func TestDrillTellsItsSeedFirst(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	shell := cli.Shell{Context: over}
	code, stdout, stderr := shell.Run("drill", "--patches", "7", "--seed", "42", "--minutes", "3")
	require.Equal(t, cli.ExitFailed, code)
	require.Regexp(t, `^seed 42; again: gamemaster drill --patches 7 --seed 42 --minutes 3\n`, stdout)
	require.Contains(t, stderr, "the drill came to no end")
	_, first, _ := shell.Run("drill")
	_, other, _ := shell.Run("drill")
	require.Regexp(t, `^seed \d+; again: gamemaster drill --patches 200 --seed \d+ --minutes 10\n`, first)
	require.NotEqual(t, first, other)
	code, stdout, stderr = shell.Run("drill", "--json")
	require.Equal(t, cli.ExitFailed, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "again: gamemaster drill")
}

// TestDrillIsDrawnInPlace proves that a screen shows one table, drawn over the
// one before, and that anything else gets lines.
func TestDrillIsDrawnInPlace(t *testing.T) {
	t.Parallel()
	screen := cli.DrillFrames(true, 3)
	require.Len(t, screen, 3)
	require.NotContains(t, screen[0], "\x1b")
	for _, frame := range screen[1:] {
		require.Regexp(t, `^\x1b\[\d+A\r\x1b\[J`, frame)
		require.Contains(t, frame, "succeeded")
	}
	lines := cli.DrillFrames(false, 3)
	require.NotContains(t, lines[0], "\x1b")
	require.Regexp(t, `^.*patching: 1 of 10 patches.*\n$`, lines[0])
	require.Empty(t, lines[1]+lines[2], "the others come too soon")
}

// TestDrillReportIsJSON proves that the report reads as JSON with stable names.
func TestDrillReportIsJSON(t *testing.T) {
	t.Parallel()
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(cli.DrillJSON()), &fields))
	for _, name := range []string{"seed", "verdict", "patches", "faults", "faults_fired", "promises", "recovery", "seconds"} {
		require.Contains(t, fields, name)
	}
}
