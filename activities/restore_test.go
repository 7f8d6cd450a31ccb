package activities_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// newFencedRig is a rig whose Runtime Manager takes every fencing number.
func newFencedRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.rtm.EXPECT().Fence(gomock.Any(), gomock.Any()).Return(nil).AnyTimes()
	return r
}

// TestRestoreContainer proves that the undo believes what it sees after the
// recreate and not the answer to it.
func TestRestoreContainer(t *testing.T) {
	in := activities.RestoreContainerInput{GameID: "g", IdempotencyKey: "p/r/restore", Plan: plan, Fence: 9}
	on := func(image string) ports.Container {
		return ports.Container{GameID: "g", ImageRef: image, Status: "running"}
	}

	t.Run("no container is recreated on the row's image", func(t *testing.T) {
		r := newFencedRig(t)
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil).Times(2)
		gomock.InOrder(
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(ports.Container{}, ports.ErrContainerNotFound),
			r.rtm.EXPECT().Patch(gomock.Any(), ports.RTMPatchInput{GameID: "g", ImageRef: "old", IdempotencyKey: "p/r/restore", Fence: 9}).Return(nil),
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("old"), nil),
		)
		value, err := r.do(r.steps.RestoreContainer, in)
		require.NoError(t, err)
		var result activities.RestoreContainerResult
		require.NoError(t, value.Get(&result))
		require.Equal(t, patch.LineRecreated, result.Undo.Line)
	})
	t.Run("no container, and the only call refused: there was none before", func(t *testing.T) {
		r := newFencedRig(t)
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil)
		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(ports.Container{}, ports.ErrContainerNotFound)
		value, err := r.do(r.steps.RestoreContainer, activities.RestoreContainerInput{GameID: "g", IdempotencyKey: "k", Refused: true})
		require.NoError(t, err)
		var result activities.RestoreContainerResult
		require.NoError(t, value.Get(&result))
		require.Equal(t, patch.LineMissing, result.Undo.Line)
	})
	t.Run("a recreate that changed nothing is tried again", func(t *testing.T) {
		r := newFencedRig(t)
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil).Times(2)
		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new"), nil).Times(2)
		r.rtm.EXPECT().Patch(gomock.Any(), gomock.Any()).Return(nil)
		_, err := r.do(r.steps.RestoreContainer, in)
		require.Contains(t, requireFailure(t, err, patch.CodeServiceUnavailable, true, false).message, "not in line")
	})
	t.Run("a row that moved meanwhile is followed by the next attempt", func(t *testing.T) {
		r := newFencedRig(t)
		moved := running
		moved.CurrentImageRef = "newer"
		gomock.InOrder(
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil),
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(moved, nil),
		)
		gomock.InOrder(
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new"), nil),
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("old"), nil),
		)
		r.rtm.EXPECT().Patch(gomock.Any(), gomock.Any()).Return(nil)
		_, err := r.do(r.steps.RestoreContainer, in)
		requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
	})
	t.Run("a game stopped in the middle is a person's matter", func(t *testing.T) {
		r := newFencedRig(t)
		stopped := running
		stopped.Status = runtime.StatusStopped
		gomock.InOrder(
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil),
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(stopped, nil),
		)
		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new"), nil).Times(2)
		r.rtm.EXPECT().Patch(gomock.Any(), gomock.Any()).Return(nil)
		_, err := r.do(r.steps.RestoreContainer, in)
		require.Contains(t, requireFailure(t, err, patch.CodeServiceUnavailable, false, false).message, "stop the container")
	})
	t.Run("a game stopped in the middle, container and all, is left alone", func(t *testing.T) {
		r := newFencedRig(t)
		stopped := running
		stopped.Status = runtime.StatusStopped
		gomock.InOrder(
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil),
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(stopped, nil),
		)
		gomock.InOrder(
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new"), nil),
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(ports.Container{GameID: "g", ImageRef: "old", Status: "exited"}, nil),
		)
		r.rtm.EXPECT().Patch(gomock.Any(), gomock.Any()).Return(nil)
		_, err := r.do(r.steps.RestoreContainer, in)
		require.NoError(t, err)
	})
	t.Run("what may be under way is refused before anything is believed", func(t *testing.T) {
		for _, row := range []struct {
			answer error
			fence  int64
		}{{nil, 9}, {ports.ErrFenceUnsupported, 0}} {
			r := newRig(t)
			gomock.InOrder(
				r.rtm.EXPECT().Fence(gomock.Any(), ports.RTMFenceInput{GameID: "g", Fence: 9}).Return(row.answer),
				r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil),
				r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("old"), nil),
			)
			value, err := r.do(r.steps.RestoreContainer, in)
			require.NoError(t, err)
			var result activities.RestoreContainerResult
			require.NoError(t, value.Get(&result))
			require.Equal(t, row.fence, result.Undo.Fence)
		}
		r := newRig(t)
		r.rtm.EXPECT().Fence(gomock.Any(), gomock.Any()).Return(&ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 503})
		_, err := r.do(r.steps.RestoreContainer, in)
		requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
	})
	t.Run("a turn is waited for, without touching Runtime Manager", func(t *testing.T) {
		r := newFencedRig(t)
		generating := running
		generating.Status = runtime.StatusGenerationInProgress
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(generating, nil)
		_, err := r.do(r.steps.RestoreContainer, in)
		require.Equal(t, 5*time.Second, requireFailure(t, err, patch.CodeServiceUnavailable, true, true).delay)
	})
	t.Run("a turn is no business of a run that called for no recreate", func(t *testing.T) {
		r := newFencedRig(t)
		generating := running
		generating.Status = runtime.StatusGenerationInProgress
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(generating, nil).Times(3)
		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("old"), nil)
		untouched := in
		untouched.Untouched, untouched.FirstRunID = true, testRun
		_, err := r.do(r.steps.RestoreContainer, untouched)
		require.NoError(t, err)

		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new"), nil)
		_, err = r.do(r.steps.RestoreContainer, untouched)
		require.Contains(t, requireFailure(t, err, patch.CodeServiceUnavailable, true, true).message, "turn", "somebody made the call")

		untouched.FirstRunID = "the-run-before"
		_, err = r.do(r.steps.RestoreContainer, untouched)
		require.Contains(t, requireFailure(t, err, patch.CodeServiceUnavailable, true, true).message, "turn", "the run before may have")
	})
	t.Run("another image gets another key", func(t *testing.T) {
		r := newFencedRig(t)
		moved := running
		moved.CurrentImageRef = "newer"
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(moved, nil).Times(2)
		gomock.InOrder(
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new"), nil),
			r.rtm.EXPECT().Patch(gomock.Any(), gomock.Cond(func(in ports.RTMPatchInput) bool {
				return in.ImageRef == "newer" && in.IdempotencyKey != "p/r/restore" && strings.HasPrefix(in.IdempotencyKey, "p/r/restore/")
			})).Return(nil),
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("newer"), nil),
		)
		_, err := r.do(r.steps.RestoreContainer, in)
		require.NoError(t, err)
	})
	t.Run("a stopped game is never touched", func(t *testing.T) {
		for _, status := range []runtime.Status{runtime.StatusStopped, runtime.StatusFinished} {
			r := newFencedRig(t)
			stopped := running
			stopped.Status = status
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(stopped, nil)
			r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new"), nil)
			value, err := r.do(r.steps.RestoreContainer, in)
			require.NoError(t, err)
			var result activities.RestoreContainerResult
			require.NoError(t, value.Get(&result))
			require.Equal(t, patch.LineLeftAlone, result.Undo.Line)
			require.Contains(t, result.Undo.Sentence(), "container runs new", "what is left running is told")
		}
	})
}
