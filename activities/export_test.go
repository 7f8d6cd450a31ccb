package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/adapters/mocks"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/internal/telemetry"
)

// exportRig runs the steps of the export over mocked ports.
type exportRig struct {
	histories *mocks.MockHistoryStore
	runs      *mocks.MockClosedRuns
	replayer  *mocks.MockReplayer
	export    *activities.Export
	env       *testsuite.TestActivityEnvironment
	log       bytes.Buffer
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
	suite.SetLogger(telemetry.ForTemporal(telemetry.NewLogger(&r.log, "json", slog.LevelWarn)))
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

// TestExportLogsTheRun proves that a line about a run which does not replay, or
// is not exported, has the ids of that run, its game's included, under the keys
// that every line has them under, and none of the pass.
func TestExportLogsTheRun(t *testing.T) {
	r := newExportRig(t)
	odd, gone := history.Ref{WorkflowID: "patch-runtime/g-1", RunID: "odd"}, history.Ref{WorkflowID: "patch-runtime/g-2", RunID: "gone"}
	all := []history.Ref{odd, gone}
	r.runs.EXPECT().PageClosed(gomock.Any(), gomock.Any(), gomock.Any()).Return(history.ClosedPage{Runs: all}, nil)
	r.histories.EXPECT().Unkept(gomock.Any(), all).Return(all, nil)
	r.runs.EXPECT().History(gomock.Any(), odd, history.MaxSize).Return(history.Run{Ref: odd, PatchID: "p"}, []byte("odd"), nil)
	r.runs.EXPECT().History(gomock.Any(), gone, history.MaxSize).Return(history.Run{}, nil, history.ErrNotFound)
	r.keeps(nil)
	_, err := r.env.ExecuteActivity(r.export.ExportPage, activities.ExportPageInput{})
	require.NoError(t, err)
	var told []map[string]any
	for line := range strings.Lines(r.log.String()) {
		var said map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &said))
		told = append(told, said)
	}
	require.Len(t, told, 2)
	for i, want := range []map[string]any{
		{"msg": "history does not replay", "game_id": "g-1", "workflow_id": "patch-runtime/g-1", "run_id": "odd", "patch_id": "p"},
		{"msg": "history is not exported, and tried again", "game_id": "g-2", "workflow_id": "patch-runtime/g-2", "run_id": "gone"},
	} {
		for key, value := range want {
			require.Equal(t, value, told[i][key], "%s of %v", key, told[i])
		}
		require.NotContains(t, told[i], "run_workflow_id")
	}
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
