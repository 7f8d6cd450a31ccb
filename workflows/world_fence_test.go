package workflows_test

import (
	"context"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

func (w worldFences) Next(context.Context, string) (fence int64, err error) {
	err = w.do("NextFence", func() error {
		w.fence += patch.FenceStep
		fence = w.fence
		return nil
	})
	return fence, err
}

// admit is what Runtime Manager does with a fencing number.
func (w *world) admit(fence int64) error {
	if fence < w.fenced && !w.unfenced {
		return &ports.RTMError{Kind: ports.ErrRTMRejected, Status: 412, Err: ports.ErrFenced}
	}
	w.fenced = max(w.fenced, fence)
	return nil
}

func (w worldRTM) Fence(_ context.Context, input ports.RTMFenceInput) error {
	return w.do("Fence", func() error {
		if w.unfenced {
			return ports.ErrFenceUnsupported
		}
		return w.admit(input.Fence)
	})
}
