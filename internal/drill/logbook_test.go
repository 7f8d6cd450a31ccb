package drill_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/drill"
)

// TestLogBook proves that a log tells whether the beginning of what is asked for
// was dropped, and that the end is always there.
func TestLogBook(t *testing.T) {
	full := strings.Repeat("x", drill.MaxLog)
	for name, row := range map[string]struct {
		place     int
		chunks    []string
		want      string
		truncated bool
	}{
		"whole":                    {0, []string{"a\n", "b\n"}, "a\nb\n", false},
		"from a place on":          {2, []string{"a\n", "b\n"}, "b\n", false},
		"nothing yet":              {0, nil, "", false},
		"full":                     {0, []string{full}, full, false},
		"dropped":                  {0, []string{full, "end"}, full[:drill.MaxLog*3/4-len("end")] + "end", true},
		"dropped before the place": {drill.MaxLog, []string{full, "end"}, "end", false},
	} {
		t.Run(name, func(t *testing.T) {
			text, truncated := drill.KeptOf(row.place, row.chunks...)
			require.True(t, row.want == text, "%d bytes are kept, want %d", len(text), len(row.want))
			require.Equal(t, row.truncated, truncated)
		})
	}
}

// TestTruncatedLogIsTold proves that nobody takes a log for free of crashes whose
// beginning is gone.
func TestTruncatedLogIsTold(t *testing.T) {
	evidence := drill.Evidence{Logs: []drill.Log{{Process: "worker", Text: "all is well\n"}}}
	require.Empty(t, drill.Check(evidence))
	evidence.Logs[0].Truncated = true
	violations := drill.Check(evidence)
	require.Len(t, violations, 1)
	require.Equal(t, "no_crash", violations[0].Check)
	require.Contains(t, violations[0].String(), "worker")
}
