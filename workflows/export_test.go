package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/worker"
	"galaxy/gamemaster/workflows"
)

// archive is a Temporal that has pages of one closed run each, and the store that
// their histories go to.
type archive struct {
	ports.HistoryStore
	pages int
	mark  time.Time
	// since is what was asked for on each page, and kept are the runs in order.
	since []time.Time
	kept  []string
	// down fails the store's mark.
	down error
}

func (a *archive) Mark(context.Context, string) (time.Time, error)    { return a.mark, a.down }
func (a *archive) Missed(context.Context, int) ([]history.Ref, error) { return nil, nil }
func (a *archive) SetMark(_ context.Context, _ string, mark time.Time) error {
	a.mark = mark
	return nil
}
func (a *archive) Keep(_ context.Context, run history.Run, _ []byte) error {
	a.kept = append(a.kept, run.RunID)
	return nil
}
func (a *archive) Replay([]byte) error { return nil }
func (a *archive) Unkept(_ context.Context, runs []history.Ref) ([]history.Ref, error) {
	return runs, nil
}

func (a *archive) History(_ context.Context, run history.Ref, _ int) (history.Run, []byte, error) {
	return history.Run{Ref: run}, []byte("{}"), nil
}

func (a *archive) PageClosed(_ context.Context, since time.Time, token []byte) (history.ClosedPage, error) {
	a.since = append(a.since, since)
	n, _ := strconv.Atoi(string(token))
	page := history.ClosedPage{Runs: []history.Ref{{WorkflowID: "w", RunID: fmt.Sprint(n)}}}
	if n+1 < a.pages {
		page.NextPageToken = []byte(strconv.Itoa(n + 1))
	}
	return page, nil
}

// pass carries one pass out at an instant, run by run, and returns how many runs
// it took.
func (a *archive) pass(t *testing.T, at time.Time) (progress workflows.ExportProgress, runs int, err error) {
	t.Helper()
	steps, err := activities.NewExport(activities.ExportDependencies{Histories: a, Runs: a, Replayer: a})
	require.NoError(t, err)
	input := workflows.ExportInput{Name: "export-histories"}
	for {
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
		env := suite.NewTestWorkflowEnvironment()
		env.SetStartTime(at)
		worker.RegisterExport(env, steps)
		env.ExecuteWorkflow(workflows.ExportHistoriesType, input)
		require.True(t, env.IsWorkflowCompleted())
		runs++
		var next *workflow.ContinueAsNewError
		if err := env.GetWorkflowError(); !errors.As(err, &next) {
			if err == nil {
				require.NoError(t, env.GetWorkflowResult(&progress))
			}
			return progress, runs, err
		}
		require.Equal(t, workflows.ExportHistoriesType, next.WorkflowType.Name)
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &input))
	}
}

// TestExportHistories proves that a pass walks through all pages, also over many
// runs, and that the next one goes on shortly before where it began; and that the
// first of an hour looks back over a day and a half.
func TestExportHistories(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 15, 0, 0, time.UTC)
	a := &archive{pages: 250}
	progress, runs, err := a.pass(t, began)
	require.NoError(t, err)
	require.Equal(t, 3, runs)
	require.Equal(t, 250, progress.Pages)
	require.Equal(t, activities.ExportCounts{Exported: 250}, progress.Counts)
	require.Len(t, a.kept, 250)
	for n, run := range a.kept {
		require.Equal(t, strconv.Itoa(n), run, "in order, none twice")
		require.True(t, a.since[n].IsZero(), "the first pass reaches back as far as Temporal does")
	}
	require.Equal(t, began.Add(-10*time.Minute), a.mark)

	a.pages = 1
	for _, row := range []struct{ at, since time.Time }{
		{began.Add(time.Minute), began.Add(-10 * time.Minute)},
		{began.Add(54 * time.Minute), began.Add(-9 * time.Minute)},
		{began.Add(55 * time.Minute), began.Add(55*time.Minute - 36*time.Hour)},
		{began.Add(56 * time.Minute), began.Add(45 * time.Minute)},
		{began.Add(1000 * time.Hour), began.Add(46 * time.Minute)},
	} {
		_, _, err := a.pass(t, row.at)
		require.NoError(t, err)
		require.Equal(t, row.since, a.since[len(a.since)-1].UTC(), row.at)
		require.Equal(t, row.at.Add(-10*time.Minute), a.mark.UTC())
	}
}

// TestExportFails proves that a pass whose store stays away closes as Failed with
// its code, and leaves the mark where it was.
func TestExportFails(t *testing.T) {
	a := &archive{pages: 1, down: errors.New("down")}
	_, _, err := a.pass(t, time.Date(2026, 1, 2, 3, 15, 0, 0, time.UTC))
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	require.Equal(t, string(patch.CodeServiceUnavailable), application.Type())
	require.True(t, a.mark.IsZero())
	require.Empty(t, a.kept)
}
