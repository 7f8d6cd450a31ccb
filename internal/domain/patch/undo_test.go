package patch_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/patch"
)

// TestDecisionsAreBounded proves that a result holds the last decisions however
// many there were, and that the audit row tells the one that counts.
func TestDecisionsAreBounded(t *testing.T) {
	undo := patch.Undo{Line: patch.LineAbandoned}
	for range patch.MaxRetries {
		undo.Take(patch.Decision{Update: "retry", Command: patch.Command{Actor: "ann", Reason: strings.Repeat("x", patch.MaxReason)}})
	}
	undo.Take(patch.Decision{Update: "abandon", Command: patch.Command{Actor: "bob", Reason: "host is gone"}})
	require.Len(t, undo.Decisions, patch.MaxDecisions)
	require.Equal(t, patch.MaxRetries+1, undo.Decided)
	sentence := undo.Sentence()
	require.True(t, strings.HasPrefix(sentence, `abandoned, container may differ from the row; abandon by "bob": host is gone; retry by "ann"`), sentence)
	require.Contains(t, sentence, "and 181 before")
	require.Less(t, len(sentence), 10_000)
}
