package cli_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
)

// TestClockFinding proves that a clock is judged by what it said and not by how
// long the answer took.
func TestClockFinding(t *testing.T) {
	t.Parallel()
	asked := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, row := range []struct {
		name         string
		there, after time.Duration
		ok           bool
		says         string
	}{
		{"the same", time.Millisecond, 2 * time.Millisecond, true, "within 2ms"},
		{"a slow answer", 4 * time.Second, 5 * time.Second, true, "within 5s"},
		{"within the bound", -2 * time.Second, time.Millisecond, true, "within 2.001s"},
		{"ahead", 3 * time.Second, time.Millisecond, false, "2.999s ahead of"},
		{"behind", -3 * time.Second, time.Millisecond, false, "3s behind"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ok, seen, mend := cli.ClockFinding(asked, asked.Add(row.there), asked.Add(row.after))
			require.Equal(t, row.ok, ok, seen)
			require.Contains(t, seen, row.says)
			require.Equal(t, row.ok, mend == "")
		})
	}
}
