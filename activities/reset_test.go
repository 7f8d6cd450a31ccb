package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// TestPatchContainerAfterAReset proves that a run which took another's place
// has older calls refused and looks before it recreates anything.
func TestPatchContainerAfterAReset(t *testing.T) {
	in := activities.PatchContainerInput{GameID: "g", Plan: plan, IdempotencyKey: "p/r/patch", Fence: 7, FirstRunID: "the-run-before"}
	on := func(image string) ports.Container {
		return ports.Container{GameID: "g", ImageRef: image, Status: "running"}
	}
	for _, row := range []struct {
		name      string
		fence     error
		container ports.Container
		recreates bool
	}{
		{name: "done already", container: on("new")},
		{name: "not done, or undone", container: on("old"), recreates: true},
		{name: "no fencing numbers, done already", fence: ports.ErrFenceUnsupported, container: on("new")},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil)
			calls := []any{
				r.rtm.EXPECT().Fence(gomock.Any(), ports.RTMFenceInput{GameID: "g", Fence: 7}).Return(row.fence),
				r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(row.container, nil),
			}
			if row.recreates {
				calls = append(calls, r.rtm.EXPECT().Patch(gomock.Any(), gomock.Any()).Return(nil),
					r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new"), nil))
			}
			gomock.InOrder(calls...)
			value, err := r.do(r.steps.PatchContainer, in)
			require.NoError(t, err)
			var result activities.PatchContainerResult
			require.NoError(t, value.Get(&result))
			require.False(t, result.At.IsZero())
			result.At = time.Time{}
			require.Equal(t, activities.PatchContainerResult{FoundDone: !row.recreates, RunID: testRun, Attempt: 1}, result)
		})
	}
	t.Run("a look proves nothing when the image stays", func(t *testing.T) {
		r := newRig(t)
		same := in
		same.Plan = patch.Plan{Kind: patch.KindRecreate, From: plan.From, To: plan.From}
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil)
		r.rtm.EXPECT().Fence(gomock.Any(), gomock.Any()).Return(nil)
		r.rtm.EXPECT().Patch(gomock.Any(), gomock.Any()).Return(nil)
		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("old"), nil)
		_, err := r.do(r.steps.PatchContainer, same)
		require.NoError(t, err)
	})
	t.Run("nothing is believed while older calls cannot be refused", func(t *testing.T) {
		r := newRig(t)
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil)
		r.rtm.EXPECT().Fence(gomock.Any(), gomock.Any()).Return(&ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 503})
		_, err := r.do(r.steps.PatchContainer, in)
		requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
	})
}

// TestPatchContainerOfAResetStep proves that a step whose attempts an operator
// had counted anew goes on where it was: it looks before it calls, calls with a
// fencing number above those of its earlier attempts, and does not say of a
// failure that nothing was called.
func TestPatchContainerOfAResetStep(t *testing.T) {
	const earlier, base = 3, 100
	in := activities.PatchContainerInput{GameID: "g", Plan: plan, IdempotencyKey: "p/r/patch", Fence: base}
	on := func(image string) ports.Container {
		return ports.Container{GameID: "g", ImageRef: image, Status: "running"}
	}
	t.Run("not done yet", func(t *testing.T) {
		r := newRig(t)
		r.env.SetHeartbeatDetails(earlier)
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil)
		gomock.InOrder(
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("old"), nil),
			r.rtm.EXPECT().Patch(gomock.Any(), ports.RTMPatchInput{
				GameID: "g", ImageRef: "new", IdempotencyKey: in.IdempotencyKey, Fence: patch.Fence(base, earlier+1),
			}).Return(nil),
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new"), nil),
		)
		value, err := r.do(r.steps.PatchContainer, in)
		require.NoError(t, err)
		var result activities.PatchContainerResult
		require.NoError(t, value.Get(&result))
		require.False(t, result.At.IsZero())
		result.At = time.Time{}
		require.Equal(t, activities.PatchContainerResult{RunID: testRun, Attempt: earlier + 1}, result)
	})
	t.Run("the game was stopped meanwhile", func(t *testing.T) {
		r := newRig(t)
		r.env.SetHeartbeatDetails(earlier)
		stopped := running
		stopped.Status = runtime.StatusStopped
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(stopped, nil)
		_, err := r.do(r.steps.PatchContainer, in)
		var failure *temporal.ApplicationError
		require.ErrorAs(t, err, &failure)
		var details activities.FailureDetails
		require.NoError(t, failure.Details(&details))
		require.Equal(t, activities.FailureDetails{Attempt: earlier + 1}, details)
	})
}

// TestCountIsKept proves when Temporal is told the count of attempts: by a later
// attempt before it calls anybody, and by any with a failure that is tried again.
func TestCountIsKept(t *testing.T) {
	in := activities.PatchContainerInput{GameID: "g", Plan: plan, IdempotencyKey: "p/r/patch", Fence: 100}
	for name, row := range map[string]struct {
		earlier int
		err     error
		kept    []int
	}{
		"the first, well":            {0, nil, nil},
		"the first, to be repeated":  {0, &ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 503}, []int{1}},
		"the first, refused":         {0, &ports.RTMError{Kind: ports.ErrRTMRejected, Status: 409}, nil},
		"a later one":                {3, nil, []int{4}},
		"a later one, failing again": {3, &ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 503}, []int{4, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if row.earlier > 0 {
				r.env.SetHeartbeatDetails(row.earlier)
			}
			var kept []int
			r.env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
				var tried int
				require.NoError(t, details.Get(&tried))
				kept = append(kept, tried)
			})
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil)
			looked := r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(ports.Container{GameID: "g", ImageRef: "old", Status: "running"}, nil).AnyTimes()
			r.rtm.EXPECT().Patch(gomock.Any(), gomock.Any()).DoAndReturn(func(context.Context, ports.RTMPatchInput) error {
				if row.earlier > 0 {
					require.Equal(t, []int{row.earlier + 1}, kept, "told before the call")
				}
				looked.Return(ports.Container{GameID: "g", ImageRef: "new", Status: "running"}, nil)
				return row.err
			})
			_, err := r.do(r.steps.PatchContainer, in)
			require.Equal(t, row.err == nil, err == nil)
			require.Equal(t, row.kept, kept)
		})
	}
}

// TestUpdateImageBehindTheRecreate proves that a run which was reset to behind
// the recreate writes nothing before the container has been looked at.
func TestUpdateImageBehindTheRecreate(t *testing.T) {
	r := newRig(t)
	value, err := r.do(r.steps.UpdateImage, activities.UpdateImageInput{
		Record: running, Plan: plan, PatchedBy: "the-run-before", Now: time.Now(),
	})
	require.NoError(t, err)
	var result activities.UpdateImageResult
	require.NoError(t, value.Get(&result))
	require.True(t, result.Behind)
}

// TestAppendAfterAReset proves that the row of a run which took another's place
// tells a change exactly when no earlier row does.
func TestAppendAfterAReset(t *testing.T) {
	entry := operation.OperationEntry{
		GameID: "g", PatchID: "p", RunID: "r2", Outcome: operation.OutcomeSuccess,
		FromVersion: "1.4.2", FromImageRef: "old", ToVersion: "1.4.3", ToImageRef: "new",
	}
	before, other, refused, back := entry, entry, entry, entry
	before.RunID = "r1"
	refused.RunID, refused.Outcome = "r3", operation.OutcomeFailure
	other.PatchID, other.RunID = "q", "r4"
	back.PatchID, back.RunID, back.ToVersion, back.ToImageRef = "q", "r5", "1.4.2", "old"
	for _, row := range []struct {
		name    string
		earlier []operation.OperationEntry
		told    bool
	}{
		{"the run before told it, and another patch went on", []operation.OperationEntry{other, back, before}, true},
		{"none", nil, false},
		{"the run before told it", []operation.OperationEntry{refused, before}, true},
		{"the run before was refused", []operation.OperationEntry{refused}, false},
		{"its own row, whose answer was lost", []operation.OperationEntry{entry, before}, true},
		{"another patch made the same move", []operation.OperationEntry{other}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			want := entry
			if row.told {
				want.Noop, want.FromVersion, want.FromImageRef = true, "1.4.3", "new"
			}
			r.log.EXPECT().ListByGame(gomock.Any(), "g", gomock.Any()).Return(row.earlier, nil)
			r.log.EXPECT().Append(gomock.Any(), want).Return(int64(7), nil)
			value, err := r.do(r.steps.AppendOperationLog, activities.AppendOperationLogInput{Entry: entry, FirstRunID: "r1"})
			require.NoError(t, err)
			var result activities.AppendOperationLogResult
			require.NoError(t, value.Get(&result))
			require.Equal(t, row.told, result.Told)
		})
	}
}

// TestAppendOfOwnMove proves that the row of a run which wrote the record itself
// tells it, also after a reset to before another patch went back.
func TestAppendOfOwnMove(t *testing.T) {
	r := newRig(t)
	entry := operation.OperationEntry{GameID: "g", PatchID: "p", RunID: testRun, Outcome: operation.OutcomeSuccess, ToVersion: "1.4.3"}
	r.log.EXPECT().Append(gomock.Any(), entry).Return(int64(7), nil)
	_, err := r.do(r.steps.AppendOperationLog, activities.AppendOperationLogInput{Entry: entry, FirstRunID: "r1", MovedBy: testRun})
	require.NoError(t, err)
}

// TestTakeFence proves that the number is the store's.
func TestTakeFence(t *testing.T) {
	r := newRig(t)
	r.fences.EXPECT().Next(gomock.Any(), "g").Return(int64(1<<40), nil)
	value, err := r.do(r.steps.TakeFence, activities.TakeFenceInput{GameID: "g"})
	require.NoError(t, err)
	var result activities.TakeFenceResult
	require.NoError(t, value.Get(&result))
	require.Equal(t, activities.TakeFenceResult{Fence: 1 << 40, Attempt: 1}, result)

	r.fences.EXPECT().Next(gomock.Any(), "g").Return(int64(0), errDown)
	_, err = r.do(r.steps.TakeFence, activities.TakeFenceInput{GameID: "g"})
	requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
}
