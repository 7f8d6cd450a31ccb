package starter_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/domain/patch"
)

// TestCancelReason proves what goes into the history, and that it fits in
// without losing who it was.
func TestCancelReason(t *testing.T) {
	long := strings.Repeat("ä", patch.MaxReason/2)
	for _, row := range []struct{ actor, reason, want string }{
		{"ann", "wrong game", "ann: wrong game"},
		{"ann", "", "ann"},
		{"ann", long, "ann: " + strings.Repeat("ä", 497)},
	} {
		s, temporal := newStarter(t)
		answer := described(t, "1.4.3", false, running)
		answer.WorkflowExecutionInfo.FirstRunId = "run-0"
		temporal.On("DescribeWorkflowExecution", mock.Anything, patch.WorkflowID(gameID), "").Return(answer, nil)
		temporal.On("CancelWorkflowWithOptions", mock.Anything, client.CancelWorkflowOptions{
			WorkflowID: patch.WorkflowID(gameID), RunID: "run-1", FirstExecutionRunID: "run-0", Reason: row.want,
		}).Return(nil).Once()
		handle, err := s.Cancel(t.Context(), openID, patch.Command{Actor: row.actor, Reason: row.reason})
		require.NoError(t, err)
		require.Equal(t, patch.Handle{PatchID: openID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-1"}, handle)
	}
}

// TestCancelLost proves what is told when the run ended between the look and the
// call, and when the call itself got no answer.
func TestCancelLost(t *testing.T) {
	s, temporal := newStarter(t)
	temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(described(t, "1.4.3", false, running), nil)
	temporal.On("CancelWorkflowWithOptions", mock.Anything, mock.Anything).Return(serviceerror.NewNotFound("another run")).Once()
	_, err := s.Cancel(t.Context(), openID, patch.Command{Actor: "ann"})
	require.ErrorIs(t, err, patch.ErrClosed)

	temporal.On("CancelWorkflowWithOptions", mock.Anything, mock.Anything).Return(serviceerror.NewUnavailable("away")).Once()
	_, err = s.Cancel(t.Context(), openID, patch.Command{Actor: "ann"})
	requireRefusal(t, err, patch.CodeServiceUnavailable)
}

// TestCancelAsksForWhoItIs proves that nobody is cancelled by nobody, and that
// Temporal is not asked for what is no patch id.
func TestCancelAsksForWhoItIs(t *testing.T) {
	s, _ := newStarter(t)
	_, err := s.Cancel(t.Context(), openID, patch.Command{Reason: "wrong game"})
	require.Equal(t, "actor", requireRefusal(t, err, patch.CodeInvalidRequest).Field)
	_, err = s.Cancel(t.Context(), "no such shape", patch.Command{Actor: "ann"})
	require.ErrorIs(t, err, patch.ErrNotFound)
}
