package patch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// TestLineTold proves that the line of an undo can be read back from the
// sentence of its audit row, for every line that ends an undo, and from no other
// sentence.
func TestLineTold(t *testing.T) {
	t.Parallel()
	for _, line := range []patch.Line{
		patch.LineLeftAlone, patch.LineInLine, patch.LineRecreated, patch.LineMissing, patch.LineAbandoned,
	} {
		undo := patch.Undo{
			Line: line, RowStatus: runtime.StatusRunning, Row: patch.Image{Version: "1.4.2", ImageRef: "img:1.4.2"}, Container: "img:1.4.3",
			Decisions: []patch.Decision{{Update: "abandon", Command: patch.Command{Actor: "ann", Reason: "container left alone"}}},
		}
		require.Equal(t, line, patch.LineTold(undo.Sentence()), undo.Sentence())
		require.Contains(t, patch.ToldLines(), line)
	}
	require.Len(t, patch.ToldLines(), 5)
	for _, sentence := range []string{"", string(patch.LineWaitForTurn), string(patch.LineFollowRow), "the container left alone"} {
		require.Empty(t, patch.LineTold(sentence))
	}
}
