package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/patch"
)

// busyFor has no worker take up the recreate in the first turns, and keeps the
// input of each turn.
func busyFor(turns int, inputs *[]activities.PatchContainerInput) func(*testsuite.TestWorkflowEnvironment) {
	return func(env *testsuite.TestWorkflowEnvironment) {
		env.OnActivity("PatchContainer", mock.Anything, mock.Anything).Return(
			func(_ context.Context, in activities.PatchContainerInput) (activities.PatchContainerResult, error) {
				*inputs = append(*inputs, in)
				if len(*inputs) <= turns {
					return activities.PatchContainerResult{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
				}
				return activities.PatchContainerResult{RunID: "default-test-run-id", At: time.Now(), Attempt: 1}, nil
			})
	}
}

// TestRecreateWaitsItsTurn proves that a patch whose recreate found no free slot
// of a worker waits on and ends well, by one key and with a fencing number of each
// turn.
func TestRecreateWaitsItsTurn(t *testing.T) {
	w := newWorld()
	var inputs []activities.PatchContainerInput
	o := w.run(t, input(), busyFor(3, &inputs))
	require.NoError(t, o.err)
	require.True(t, o.result.IsSuccess())
	require.Len(t, inputs, 4)
	for i := range inputs[1:] {
		require.Equal(t, inputs[i].IdempotencyKey, inputs[i+1].IdempotencyKey)
		require.Less(t, inputs[i].Fence, inputs[i+1].Fence)
	}
	require.Equal(t, newImage, w.row.CurrentImageRef)
	checkAudit(t, w, o.result)
}

// TestRecreateWaitsNotForEver proves that a patch which no worker ever had a slot
// for is told so, with container and record in line.
func TestRecreateWaitsNotForEver(t *testing.T) {
	w := newWorld()
	var inputs []activities.PatchContainerInput
	o := w.run(t, input(), busyFor(1000, &inputs))
	require.Len(t, inputs, 5)
	require.Equal(t, patch.CodeServiceUnavailable, o.result.Code)
	require.Contains(t, o.result.Message, "no worker had a free slot")
	require.True(t, w.inLine())
	require.Empty(t, w.recreates)
	checkAudit(t, w, o.result)
}

// TestRecreateThatFailedWaitsNot proves that a recreate which failed and found no
// slot for its next attempt is not scheduled anew: what it did is to be undone.
func TestRecreateThatFailedWaitsNot(t *testing.T) {
	w := newWorld()
	turns := 0
	o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.OnActivity("PatchContainer", mock.Anything, mock.Anything).Return(
			func(context.Context, activities.PatchContainerInput) (activities.PatchContainerResult, error) {
				turns++
				last := temporal.NewApplicationError("HTTP 503", string(patch.CodeServiceUnavailable))
				return activities.PatchContainerResult{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, last)
			})
	})
	require.Equal(t, 1, turns)
	require.Equal(t, patch.CodeServiceUnavailable, o.result.Code)
	require.NotNil(t, o.result.Undo)
	require.True(t, w.inLine())
}
