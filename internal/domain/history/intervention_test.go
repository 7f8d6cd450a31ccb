package history_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/history"
)

// Proves that whatever somebody wrote fits the columns, and that what fits is
// left as it is.
func TestStorable(t *testing.T) {
	fine := history.Intervention{PatchID: "p", RunID: "r", EventID: 1, Action: history.ActionCancel, By: "ann", Reason: "wröng"}
	require.Equal(t, fine, fine.Storable())
	odd := history.Intervention{
		PatchID: strings.Repeat("p", 300), By: "a\x00" + strings.Repeat("ü", history.MaxBy), Reason: "\xff" + strings.Repeat("x", history.MaxReason),
	}.Storable()
	require.Len(t, odd.PatchID, 256)
	require.True(t, strings.HasPrefix(odd.By, "a\uFFFDü"), odd.By)
	require.LessOrEqual(t, len(odd.By), history.MaxBy)
	require.True(t, strings.HasPrefix(odd.Reason, "\uFFFDx"), odd.Reason)
	require.Len(t, odd.Reason, history.MaxReason)
}
