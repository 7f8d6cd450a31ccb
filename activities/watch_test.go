package activities_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/adapters/mocks"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// watchRig runs the steps of the watch over mocked ports.
type watchRig struct {
	t        *testing.T
	pages    *mocks.MockRuntimePager
	runtimes *mocks.MockRuntimeRecordStore
	rtm      *mocks.MockRTMClient
	drift    *mocks.MockDriftStore
	runs     *mocks.MockPatchRuns
	log      *mocks.MockOperationLogStore
	watch    *activities.Watch
	env      *testsuite.TestActivityEnvironment
	// noted is what the store was told of the page.
	noted *ports.NoteDriftInput
	// rows are the game's latest audit rows.
	rows []operation.OperationEntry
}

func newWatchRig(t *testing.T) *watchRig {
	t.Helper()
	ctrl := gomock.NewController(t)
	r := &watchRig{
		t: t, pages: mocks.NewMockRuntimePager(ctrl), runtimes: mocks.NewMockRuntimeRecordStore(ctrl),
		rtm: mocks.NewMockRTMClient(ctrl), drift: mocks.NewMockDriftStore(ctrl),
		runs: mocks.NewMockPatchRuns(ctrl), log: mocks.NewMockOperationLogStore(ctrl),
	}
	r.log.EXPECT().ListByGame(gomock.Any(), gomock.Any(), 1).
		DoAndReturn(func(context.Context, string, int) ([]operation.OperationEntry, error) { return r.rows, nil }).AnyTimes()
	var err error
	r.watch, err = activities.NewWatch(r.dependencies())
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	r.env = suite.NewTestActivityEnvironment()
	r.env.RegisterActivity(r.watch)
	return r
}

func (r *watchRig) dependencies() activities.WatchDependencies {
	return activities.WatchDependencies{
		RuntimePages: r.pages, RuntimeRecords: r.runtimes, RTM: r.rtm, Drift: r.drift, Runs: r.runs, OperationLogs: r.log,
	}
}

// page lets the store have one page, and expects that it is noted.
func (r *watchRig) page(rows ...runtime.RuntimeRecord) {
	r.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).Return(rows, nil)
	r.drift.EXPECT().Note(gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, input ports.NoteDriftInput) error {
		require.NoError(r.t, input.Validate())
		r.noted = &input
		return nil
	}).MaxTimes(1)
}

func (r *watchRig) check(size, heal int) (activities.CheckPageResult, error) {
	value, err := r.env.ExecuteActivity(r.watch.CheckPage, activities.CheckPageInput{Size: size, Heal: heal})
	if err != nil {
		return activities.CheckPageResult{}, err
	}
	var result activities.CheckPageResult
	require.NoError(r.t, value.Get(&result))
	return result, nil
}

// onImage is a container that is up.
func onImage(image string) ports.Container {
	return ports.Container{GameID: "g", ImageRef: image, Status: ports.ContainerRunning}
}

// errSilent is a call to Runtime Manager without an answer.
var errSilent = &ports.RTMError{Kind: ports.ErrRTMUnavailable, Err: errDown}

// TestNewWatchNamesWhatIsMissing proves that no watch is built over a nil port.
func TestNewWatchNamesWhatIsMissing(t *testing.T) {
	r := newWatchRig(t)
	for want, spoil := range map[string]func(*activities.WatchDependencies){
		"nil runtime pages":   func(d *activities.WatchDependencies) { d.RuntimePages = nil },
		"nil runtime records": func(d *activities.WatchDependencies) { d.RuntimeRecords = nil },
		"nil rtm client":      func(d *activities.WatchDependencies) { d.RTM = nil },
		"nil drift store":     func(d *activities.WatchDependencies) { d.Drift = nil },
		"nil patch runs":      func(d *activities.WatchDependencies) { d.Runs = nil },
		"nil operation logs":  func(d *activities.WatchDependencies) { d.OperationLogs = nil },
	} {
		deps := r.dependencies()
		spoil(&deps)
		_, err := activities.NewWatch(deps)
		require.ErrorContains(t, err, want)
	}
}

// TestCheckPageAsksBehindThePosition proves that a page begins where the one
// before ended, and that only a full page is followed by another.
func TestCheckPageAsksBehindThePosition(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for size, next := range map[int]*activities.PagePosition{
		2: {CreatedAt: at.Add(-2), GameID: "b"},
		3: nil,
	} {
		r := newWatchRig(t)
		rows := []runtime.RuntimeRecord{running, running}
		rows[0].GameID, rows[1].GameID = "a", "b"
		rows[0].CreatedAt, rows[1].CreatedAt = at.Add(-1), at.Add(-2)
		r.pages.EXPECT().PageRuntimes(gomock.Any(), ports.RuntimePageInput{
			After: &ports.RuntimePosition{CreatedAt: at, GameID: "z"}, Limit: size,
		}).Return(rows, nil)
		r.rtm.EXPECT().Inspect(gomock.Any(), gomock.Any()).Return(onImage("old"), nil).Times(2)
		r.drift.EXPECT().Note(gomock.Any(), gomock.Any()).Return(nil)
		value, err := r.env.ExecuteActivity(r.watch.CheckPage, activities.CheckPageInput{
			Size: size, After: &activities.PagePosition{CreatedAt: at, GameID: "z"},
		})
		require.NoError(t, err)
		var result activities.CheckPageResult
		require.NoError(t, value.Get(&result))
		require.Equal(t, next, result.Next)
		require.Equal(t, drift.Counts{Checked: 2, InSync: 2}, result.Counts)
	}
}

// TestCheckPageSecondLook proves when a record that seems to differ counts, and
// by which row it is judged.
func TestCheckPageSecondLook(t *testing.T) {
	rotated, stopped := running, running
	rotated.CurrentImageRef, rotated.CurrentEngineVersion = "new", "1.4.3"
	stopped.Status = runtime.StatusStopped
	in := func(counts drift.Counts) drift.Counts { counts.Checked = 1; return counts }
	for _, row := range []struct {
		what string
		// containers are what is seen one after the other; opens whether a patch is
		// open, rows what the row says.
		containers []ports.Container
		opens      []bool
		rows       []runtime.RuntimeRecord
		counts     drift.Counts
		heals      bool
	}{
		{"in sync at once", []ports.Container{onImage("old")}, nil, nil, in(drift.Counts{InSync: 1}), false},
		{
			"it stays", []ports.Container{onImage("new"), onImage("new")}, []bool{false, false},
			[]runtime.RuntimeRecord{running, running}, in(drift.Counts{ImageDrift: 1}), true,
		},
		{
			"a patch is open", []ports.Container{onImage("new")}, []bool{true}, nil, drift.Counts{Skipped: 1}, false,
		},
		{
			"a patch began meanwhile", []ports.Container{onImage("new"), onImage("new")}, []bool{false, true},
			[]runtime.RuntimeRecord{running, running}, drift.Counts{Skipped: 1}, false,
		},
		{
			"the page was old", []ports.Container{onImage("new"), onImage("new")}, []bool{false},
			[]runtime.RuntimeRecord{rotated, rotated}, in(drift.Counts{InSync: 1}), false,
		},
		{
			"the container came back", []ports.Container{onImage("new"), onImage("old")}, []bool{false},
			[]runtime.RuntimeRecord{running, running}, in(drift.Counts{InSync: 1}), false,
		},
		{
			"the game was stopped meanwhile", []ports.Container{onImage("new"), onImage("new")}, []bool{false, false},
			[]runtime.RuntimeRecord{stopped, stopped}, in(drift.Counts{Extra: 1}), false,
		},
		{
			"a patch within the look", []ports.Container{onImage("new"), onImage("old"), onImage("new")}, []bool{false},
			[]runtime.RuntimeRecord{running, rotated, rotated, rotated}, in(drift.Counts{InSync: 1}), false,
		},
		{
			"it never stands still",
			[]ports.Container{onImage("new"), onImage("x"), onImage("x"), onImage("x")}, []bool{false},
			[]runtime.RuntimeRecord{running, rotated, running, rotated, running, rotated}, drift.Counts{Skipped: 1}, false,
		},
	} {
		t.Run(row.what, func(t *testing.T) {
			r := newWatchRig(t)
			r.page(running)
			inOrder(r.rtm.EXPECT().Inspect(gomock.Any(), "g"), row.containers)
			inOrder(r.runs.EXPECT().HasOpen(gomock.Any(), "g"), row.opens)
			inOrder(r.runtimes.EXPECT().Get(gomock.Any(), "g"), row.rows)
			result, err := r.check(10, 10)
			require.NoError(t, err)
			require.Equal(t, row.counts, result.Counts)
			require.Equal(t, row.heals, len(result.Heal) == 1)
			require.Equal(t, int(row.counts.ImageDrift+row.counts.Extra), len(r.noted.Found))
			require.Equal(t, int(row.counts.InSync), len(r.noted.InSync))
			if row.heals {
				game, ok := patch.GameOf(result.Heal[0].PatchID)
				require.True(t, ok)
				require.Equal(t, "g", game)
				require.Equal(t, drift.Finding{
					GameID: "g", Kind: drift.ImageDrift, RecordStatus: runtime.StatusRunning,
					RecordVersion: "1.4.2", RecordImageRef: "old",
					Container: drift.Container{ImageRef: "new", Status: "running", Running: true},
				}, r.noted.Found[0])
			}
		})
	}
}

// inOrder lets a mocked call about a game return the values one after the
// other, and no more than those.
func inOrder[T any](call *gomock.Call, values []T) {
	next := 0
	call.DoAndReturn(func(context.Context, string) (T, error) {
		next++
		return values[next-1], nil
	}).Times(len(values))
}

// TestCheckPageOfGoneRecords proves that a record which went away while it was
// looked at counts for nothing.
func TestCheckPageOfGoneRecords(t *testing.T) {
	for reads := range 2 {
		r := newWatchRig(t)
		r.page(running)
		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(ports.Container{}, ports.ErrContainerNotFound).MinTimes(1)
		r.runs.EXPECT().HasOpen(gomock.Any(), "g").Return(false, nil)
		gone := r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(runtime.RuntimeRecord{}, fmt.Errorf("get: %w", runtime.ErrNotFound))
		if reads > 0 {
			gone.After(r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil))
		}
		result, err := r.check(10, 10)
		require.NoError(t, err)
		require.Zero(t, result.Counts)
		require.Empty(t, r.noted.Found)
		require.Empty(t, r.noted.InSync)
	}
}

// TestCheckPageHealsWhatCanBeHealed proves that only a container on the wrong
// image is given back, of a game whose row lets it be recreated now, and no more
// than are asked for.
func TestCheckPageHealsWhatCanBeHealed(t *testing.T) {
	for _, row := range []struct {
		status    runtime.Status
		container ports.Container
		heal      int
		kind      drift.Kind
		heals     bool
	}{
		{runtime.StatusRunning, onImage("new"), 1, drift.ImageDrift, true},
		{runtime.StatusEngineUnreachable, onImage("new"), 1, drift.ImageDrift, true},
		{runtime.StatusGenerationInProgress, onImage("new"), 1, drift.ImageDrift, false},
		{runtime.StatusRunning, onImage("new"), 0, drift.ImageDrift, false},
		{runtime.StatusRunning, ports.Container{}, 1, drift.Missing, false},
		{runtime.StatusStopped, onImage("old"), 1, drift.Extra, false},
	} {
		t.Run(fmt.Sprintf("%s %s", row.status, row.kind), func(t *testing.T) {
			r := newWatchRig(t)
			record := running
			record.Status = row.status
			r.page(record)
			var err error
			if row.container.ImageRef == "" {
				err = ports.ErrContainerNotFound
			}
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(row.container, err).Times(2)
			r.runs.EXPECT().HasOpen(gomock.Any(), "g").Return(false, nil).Times(2)
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(record, nil).Times(2)
			result, err := r.check(10, row.heal)
			require.NoError(t, err)
			require.Equal(t, row.kind, r.noted.Found[0].Kind)
			require.Equal(t, row.heals, len(result.Heal) == 1)
		})
	}
}

// fleet is n records of running games.
func fleet(n int) []runtime.RuntimeRecord {
	rows := make([]runtime.RuntimeRecord, n)
	for i := range rows {
		rows[i] = running
		rows[i].GameID = fmt.Sprintf("g%d", i)
	}
	return rows
}

// TestCheckPageUnknown proves that a container which Runtime Manager does not
// tell of is no finding, ends none, and does not keep the others from being
// compared; not even when it refuses all calls.
func TestCheckPageUnknown(t *testing.T) {
	for what, row := range map[string]struct {
		err error
		// one of so many is not told of.
		one  int
		want drift.Counts
	}{
		"one is not told of":  {errSilent, 40, drift.Counts{Checked: 39, InSync: 39, Unknown: 1}},
		"some here and there": {errSilent, 4, drift.Counts{Checked: 30, InSync: 30, Unknown: 10}},
		"all are refused":     {&ports.RTMError{Kind: ports.ErrRTMRejected, Status: 403}, 1, drift.Counts{Unknown: 40}},
	} {
		t.Run(what, func(t *testing.T) {
			r := newWatchRig(t)
			rows := fleet(40)
			r.page(rows...)
			r.rtm.EXPECT().Inspect(gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, game string) (ports.Container, error) {
				i := slices.IndexFunc(rows, func(record runtime.RuntimeRecord) bool { return record.GameID == game })
				if i%row.one == 0 {
					return ports.Container{}, row.err
				}
				return onImage("old"), nil
			}).Times(len(rows))
			result, err := r.check(100, 0)
			require.NoError(t, err)
			require.Equal(t, row.want, result.Counts)
			require.False(t, result.Silent)
			require.Len(t, r.noted.InSync, int(row.want.InSync))
			require.Empty(t, r.noted.Found)
		})
	}
}

// TestCheckPageGivesUpOnASilentManager proves that a page is not asked for to
// its end when Runtime Manager is down, and is tried again when that said so.
func TestCheckPageGivesUpOnASilentManager(t *testing.T) {
	r := newWatchRig(t)
	r.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).Return(fleet(500), nil)
	var calls atomic.Int64
	r.rtm.EXPECT().Inspect(gomock.Any(), gomock.Any()).DoAndReturn(func(context.Context, string) (ports.Container, error) {
		calls.Add(1)
		return ports.Container{}, &ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 503, RetryAfter: 7 * time.Second}
	}).AnyTimes()
	_, err := r.check(500, 0)
	got := requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
	require.Contains(t, got.message, "503")
	require.Equal(t, 7*time.Second, got.delay)
	require.Less(t, calls.Load(), int64(20))
}

// TestCheckPageFaults proves that a store or Temporal that does not answer fails
// the page for now: an answer that is missing must not look like a game that is
// in sync, nor like one with a patch.
func TestCheckPageFaults(t *testing.T) {
	refusal := &patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "Temporal is away"}
	for what, arrange := range map[string]func(*watchRig){
		"the page": func(r *watchRig) {
			r.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).Return(nil, errDown)
		},
		"the open patch": func(r *watchRig) {
			r.page(running)
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(onImage("new"), nil)
			r.runs.EXPECT().HasOpen(gomock.Any(), "g").Return(false, refusal)
		},
		"the row": func(r *watchRig) {
			r.page(running)
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(onImage("new"), nil)
			r.runs.EXPECT().HasOpen(gomock.Any(), "g").Return(false, nil)
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(runtime.RuntimeRecord{}, errDown)
		},
		"the findings": func(r *watchRig) {
			r.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).Return(nil, nil)
			r.drift.EXPECT().Note(gomock.Any(), gomock.Any()).Return(errDown)
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newWatchRig(t)
			arrange(r)
			_, err := r.check(10, 0)
			requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
			require.Nil(t, r.noted)
		})
	}
}
