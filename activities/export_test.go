package activities_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/adapters/mocks"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// exportRig runs the steps of the export over mocked ports.
type exportRig struct {
	histories *mocks.MockHistoryStore
	runs      *mocks.MockClosedRuns
	replayer  *mocks.MockReplayer
	export    *activities.Export
	env       *testsuite.TestActivityEnvironment
	// kept and missed are what the store was told, by run.
	kept   map[string]history.Run
	missed map[string]string
}

func newExportRig(t *testing.T) *exportRig {
	t.Helper()
	ctrl := gomock.NewController(t)
	r := &exportRig{
		histories: mocks.NewMockHistoryStore(ctrl), runs: mocks.NewMockClosedRuns(ctrl), replayer: mocks.NewMockReplayer(ctrl),
		kept: map[string]history.Run{}, missed: map[string]string{},
	}
	var err error
	r.export, err = activities.NewExport(activities.ExportDependencies{Histories: r.histories, Runs: r.runs, Replayer: r.replayer})
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	r.env = suite.NewTestActivityEnvironment()
	r.env.RegisterActivity(r.export)
	r.histories.EXPECT().Miss(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, run history.Ref, reason string) error {
		r.missed[run.RunID] = reason
		return nil
	}).AnyTimes()
	r.replayer.EXPECT().Replay(gomock.Any()).DoAndReturn(func(document []byte) error {
		if string(document) == "odd" {
			return errors.New("nondeterministic")
		}
		return nil
	}).AnyTimes()
	return r
}

// keeps lets the store keep what comes, but for the runs of refused.
func (r *exportRig) keeps(refused map[string]error) {
	r.histories.EXPECT().Keep(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, run history.Run, _ []byte) error {
		if err := refused[run.RunID]; err != nil {
			return err
		}
		r.kept[run.RunID] = run
		return nil
	}).AnyTimes()
}

// has lets Temporal have one run.
func (r *exportRig) has(run, document string, err error) {
	ref := history.Ref{WorkflowID: "w", RunID: run}
	r.runs.EXPECT().History(gomock.Any(), ref, history.MaxSize).Return(history.Run{Ref: ref, PatchID: "p"}, []byte(document), err).AnyTimes()
}

// TestExportPage proves that runs which are not kept yet are, with the verdict of
// their replay, and that one which Temporal has forgotten, which is too large or
// which no row can hold is noted and keeps no other from it.
func TestExportPage(t *testing.T) {
	r := newExportRig(t)
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var all []history.Ref
	for _, run := range []string{"kept", "fine", "gone", "odd", "large", "spoiled", "last"} {
		all = append(all, history.Ref{WorkflowID: "w", RunID: run})
	}
	r.runs.EXPECT().PageClosed(gomock.Any(), since, []byte("token")).Return(history.ClosedPage{Runs: all, NextPageToken: []byte("next")}, nil)
	r.histories.EXPECT().Unkept(gomock.Any(), all).Return(all[1:], nil)
	r.has("fine", "{}", nil)
	r.has("gone", "", history.ErrNotFound)
	r.has("odd", "odd", nil)
	r.has("large", "", history.ErrTooLarge)
	r.has("spoiled", "{}", nil)
	r.has("last", "{}", nil)
	r.keeps(map[string]error{"spoiled": ports.ErrInvalidInput})
	value, err := r.env.ExecuteActivity(r.export.ExportPage, activities.ExportPageInput{Since: since, PageToken: []byte("token")})
	require.NoError(t, err)
	var result activities.ExportPageResult
	require.NoError(t, value.Get(&result))
	require.Equal(t, activities.ExportPageResult{
		Counts: activities.ExportCounts{Exported: 3, Unreplayable: 1, Missed: 3}, NextPageToken: []byte("next"), Attempt: 1,
	}, result)
	require.Len(t, r.kept, 3)
	require.Empty(t, r.kept["fine"].ReplayError)
	require.Equal(t, "nondeterministic", r.kept["odd"].ReplayError)
	require.Contains(t, r.kept, "last")
	require.Len(t, r.missed, 3)
	require.Equal(t, history.ErrTooLarge.Error(), r.missed["large"])
}

// TestExportIsTriedAgain proves that a store or a Temporal that is away has the
// step tried again, rather than all its runs noted as missed.
func TestExportIsTriedAgain(t *testing.T) {
	away := &patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "Temporal is away"}
	one := []history.Ref{{WorkflowID: "w", RunID: "r"}}
	for name, arrange := range map[string]func(*exportRig){
		"no list": func(r *exportRig) {
			r.runs.EXPECT().PageClosed(gomock.Any(), gomock.Any(), gomock.Any()).Return(history.ClosedPage{}, away)
		},
		"no store": func(r *exportRig) {
			r.runs.EXPECT().PageClosed(gomock.Any(), gomock.Any(), gomock.Any()).Return(history.ClosedPage{Runs: one}, nil)
			r.histories.EXPECT().Unkept(gomock.Any(), gomock.Any()).Return(nil, errDown)
		},
		"no history": func(r *exportRig) {
			r.runs.EXPECT().PageClosed(gomock.Any(), gomock.Any(), gomock.Any()).Return(history.ClosedPage{Runs: one}, nil)
			r.histories.EXPECT().Unkept(gomock.Any(), gomock.Any()).Return(one, nil)
			r.has("r", "", away)
		},
		"not kept": func(r *exportRig) {
			r.runs.EXPECT().PageClosed(gomock.Any(), gomock.Any(), gomock.Any()).Return(history.ClosedPage{Runs: one}, nil)
			r.histories.EXPECT().Unkept(gomock.Any(), gomock.Any()).Return(one, nil)
			r.has("r", "{}", nil)
			r.keeps(map[string]error{"r": errDown})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newExportRig(t)
			arrange(r)
			_, err := r.env.ExecuteActivity(r.export.ExportPage, activities.ExportPageInput{})
			requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
			require.Empty(t, r.missed)
		})
	}
}

// TestBeginExport proves that a pass begins with what was missed and goes on from
// the mark, and that its end sets that.
func TestBeginExport(t *testing.T) {
	r := newExportRig(t)
	mark := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.histories.EXPECT().Mark(gomock.Any(), "name").Return(mark, nil)
	r.histories.EXPECT().Missed(gomock.Any(), 50).Return([]history.Ref{{WorkflowID: "w", RunID: "late"}, {WorkflowID: "w", RunID: "gone"}}, nil)
	r.has("late", "{}", nil)
	r.has("gone", "", history.ErrNotFound)
	r.keeps(nil)
	value, err := r.env.ExecuteActivity(r.export.BeginExport, activities.BeginExportInput{Name: "name"})
	require.NoError(t, err)
	var result activities.BeginExportResult
	require.NoError(t, value.Get(&result))
	require.Equal(t, activities.BeginExportResult{Mark: mark, Counts: activities.ExportCounts{Exported: 1, Missed: 1}, Attempt: 1}, result)
	require.Contains(t, r.kept, "late")

	r.histories.EXPECT().SetMark(gomock.Any(), "name", mark).Return(nil)
	_, err = r.env.ExecuteActivity(r.export.FinishExport, activities.FinishExportInput{Name: "name", Mark: mark})
	require.NoError(t, err)
	r.histories.EXPECT().SetMark(gomock.Any(), "name", mark).Return(errDown)
	_, err = r.env.ExecuteActivity(r.export.FinishExport, activities.FinishExportInput{Name: "name", Mark: mark})
	requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
}
