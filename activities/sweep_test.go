package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// TestSweepEnded proves that every ended run gets its row, one that no row can
// be about keeps no other from it, and a store that is away is tried again.
func TestSweepEnded(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ended := func(game, run string) patch.EndedRun {
		return patch.EndedRun{
			Handle:    patch.Handle{GameID: game, WorkflowID: patch.WorkflowID(game), RunID: run},
			StartedAt: began, EndedAt: began.Add(time.Minute),
		}
	}
	page := patch.EndedPage{Runs: []patch.EndedRun{ended("a", "1"), ended("", "2"), ended("b", "3")}, NextPageToken: []byte("next")}
	r := newWatchRig(t)
	r.runs.EXPECT().PageEnded(gomock.Any(), began, []byte("token")).Return(page, nil)
	var rows []operation.OperationEntry
	r.log.EXPECT().ListByPatch(gomock.Any(), gomock.Any()).DoAndReturn(func(context.Context, string) ([]operation.OperationEntry, error) {
		return rows, nil // those of other runs, and in the end its own
	}).Times(5)
	r.log.EXPECT().Append(gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, entry operation.OperationEntry) (int64, error) {
		rows = append(rows, entry)
		return 1, nil
	}).Times(2)
	input := activities.SweepEndedInput{Since: began, PageToken: []byte("token")}
	value, err := r.env.ExecuteActivity(r.watch.SweepEnded, input)
	require.NoError(t, err)
	var result activities.SweepEndedResult
	require.NoError(t, value.Get(&result))
	require.Equal(t, activities.SweepEndedResult{Runs: 3, NextPageToken: []byte("next"), Attempt: 1}, result)
	require.Equal(t, []operation.OperationEntry{patch.EndedEntry(page.Runs[0]), patch.EndedEntry(page.Runs[2])}, rows)

	r.runs.EXPECT().PageEnded(gomock.Any(), gomock.Any(), gomock.Any()).Return(page, nil)
	_, err = r.env.ExecuteActivity(r.watch.SweepEnded, input)
	require.NoError(t, err)
	require.Len(t, rows, 2, "each has its row already")

	rows = nil
	r.runs.EXPECT().PageEnded(gomock.Any(), gomock.Any(), gomock.Any()).Return(page, nil)
	r.log.EXPECT().Append(gomock.Any(), gomock.Any()).Return(int64(0), errDown)
	_, err = r.env.ExecuteActivity(r.watch.SweepEnded, input)
	requireFailure(t, err, patch.CodeServiceUnavailable, true, false)

	r.runs.EXPECT().PageEnded(gomock.Any(), gomock.Any(), gomock.Any()).
		Return(patch.EndedPage{}, &patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "Temporal is away"})
	_, err = r.env.ExecuteActivity(r.watch.SweepEnded, input)
	require.Contains(t, requireFailure(t, err, patch.CodeServiceUnavailable, true, false).message, "Temporal is away")
}

// TestFinishPass proves that the summary gets to the store as it is.
func TestFinishPass(t *testing.T) {
	r := newWatchRig(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	pass := drift.Pass{ID: "run", StartedAt: now, FinishedAt: &now, Counts: drift.Counts{Checked: 1, Missing: 1}}
	want := ports.FinishPassInput{Pass: pass, KeepSince: now.AddDate(0, -1, 0)}
	r.drift.EXPECT().Finish(gomock.Any(), want).Return(nil)
	input := activities.FinishPassInput{Pass: pass, KeepSince: want.KeepSince}
	_, err := r.env.ExecuteActivity(r.watch.FinishPass, input)
	require.NoError(t, err)
	r.drift.EXPECT().Finish(gomock.Any(), gomock.Any()).Return(errDown)
	_, err = r.env.ExecuteActivity(r.watch.FinishPass, input)
	requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
}
