package activities_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// TestCheckPageLeavesAloneWhatFailed proves that a game whose healing failed not
// long ago is found, and not healed again at once.
func TestCheckPageLeavesAloneWhatFailed(t *testing.T) {
	failed := operation.OperationEntry{
		GameID: "g", OpKind: operation.OpKindReconcile, OpSource: operation.OpSourceSystem,
		Outcome: operation.OutcomeFailure, StartedAt: time.Now().Add(-time.Minute),
	}
	long, mine, fine := failed, failed, failed
	long.StartedAt = time.Now().Add(-2 * time.Hour)
	mine.OpSource = operation.OpSourceAdminRest
	fine.Outcome = operation.OutcomeSuccess
	for what, row := range map[string]struct {
		last  operation.OperationEntry
		heals bool
	}{"it failed": {failed, false}, "long ago": {long, true}, "a person's": {mine, true}, "it went well": {fine, true}} {
		t.Run(what, func(t *testing.T) {
			r := newWatchRig(t)
			r.rows = []operation.OperationEntry{row.last}
			r.page(running)
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(onImage("new"), nil).Times(2)
			r.runs.EXPECT().HasOpen(gomock.Any(), "g").Return(false, nil).Times(2)
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil).Times(2)
			result, err := r.check(10, 1)
			require.NoError(t, err)
			require.EqualValues(t, 1, result.Counts.ImageDrift)
			require.Equal(t, row.heals, len(result.Heal) == 1)
		})
	}
}

// TestCheckPageOfAWrongSize proves that a page that cannot be asked for is not
// asked for again and again.
func TestCheckPageOfAWrongSize(t *testing.T) {
	r := newWatchRig(t)
	r.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).Return(nil, fmt.Errorf("%w: limit", ports.ErrInvalidInput))
	_, err := r.check(-1, 0)
	requireFailure(t, err, patch.CodeInternalError, false, false)
}

// TestCheckPageIsHandedBack proves that a page which is cut because its worker
// stops, or is cancelled, is not taken for one that Runtime Manager left
// unanswered.
func TestCheckPageIsHandedBack(t *testing.T) {
	t.Parallel()
	r := newWatchRig(t)
	r.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).Return(fleet(20), nil)
	stop := make(chan struct{})
	r.env.SetWorkerStopChannel(stop)
	close(stop)
	r.rtm.EXPECT().Inspect(gomock.Any(), gomock.Any()).DoAndReturn(func(ctx context.Context, _ string) (ports.Container, error) {
		<-ctx.Done()
		return ports.Container{}, &ports.RTMError{Kind: ports.ErrRTMUnavailable, Err: ctx.Err()}
	}).MinTimes(1)
	_, err := r.check(20, 0)
	var application *temporal.ApplicationError
	require.True(t, errors.As(err, &application))
	require.False(t, application.NonRetryable())
	require.Contains(t, application.Message(), "the worker is stopping")
}
