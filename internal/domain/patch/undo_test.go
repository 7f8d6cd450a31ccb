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

// TestInheritedUndo proves that a run which a reset made does not tell an undo
// of the run before as its own, and still tells it by the words that others look
// for; and that an undo of which nobody knows whose it was is told as it is.
func TestInheritedUndo(t *testing.T) {
	undo := patch.Undo{Line: patch.LineRecreated, RunID: "first", Fence: 7}
	undo.Take(patch.Decision{Update: "retry", Command: patch.Command{Actor: "ann", Reason: "it is back"}})
	own := patch.Result{RunID: "first", Undo: &undo}.UndoSentence()
	require.Equal(t, undo.Sentence(), own)
	inherited := patch.Result{RunID: "second", Undo: &undo}.UndoSentence()
	require.Contains(t, inherited, `; that was the run before the reset; retry by "ann"`)
	require.Equal(t, patch.LineRecreated, patch.LineTold(inherited))
	undo.RunID = ""
	require.Equal(t, own, patch.Result{RunID: "second", Undo: &undo}.UndoSentence())
	require.Empty(t, patch.Result{RunID: "second"}.UndoSentence())
}
