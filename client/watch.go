package client

import (
	"context"
	"fmt"
	"iter"
	"time"
)

const (
	// watchFirst is the pause between looks at the beginning: often enough to see
	// phases that last seconds, seldom enough for a hundred watchers.
	watchFirst = 250 * time.Millisecond
	// watchLongest is the pause between looks at a patch that takes minutes,
	// because the services that it needs are down.
	watchLongest = 5 * time.Second
	// watchShare makes the pauses a tenth of what has passed, so that the end is
	// seen by as much too late.
	watchShare = 10
	// watchFaults is how many looks in a row may find nobody, each after retries
	// of its own: with the pauses between them they last about half a minute,
	// which a restart of every instance in turn takes. A server that takes
	// connections and says nothing holds each look for ReadTimeout.
	watchFaults = 6
)

// WatchPatch looks at a patch again and again, and ends after the look that sees
// it closed. An error, which comes with the zero Patch, ends it too; the patch
// goes on all the same. Looks that find the API unavailable for a while are
// passed over.
func (c *Client) WatchPatch(ctx context.Context, patchID string) iter.Seq2[Patch, error] {
	return func(yield func(Patch, error) bool) {
		began := time.Now()
		for faults := 0; ; {
			var pause time.Duration
			patch, err := c.GetPatch(ctx, patchID)
			switch {
			case err == nil:
				if !yield(patch, nil) || patch.State == StateClosed {
					return
				}
				faults = 0
				pause = min(max(watchFirst, time.Since(began)/watchShare), watchLongest)
			case faults+1 < watchFaults && IsTemporary(err) && retryAfterOf(err) <= maxRetryAfter:
				pause = c.pause(faults, err)
				faults++
			default:
				yield(Patch{}, fmt.Errorf("look at patch %s: %w", patchID, err))
				return
			}
			if cut := sleep(ctx, pause); cut != nil {
				yield(Patch{}, fmt.Errorf("look at patch %s: %w", patchID, cut))
				return
			}
		}
	}
}

// AwaitPatch waits until the patch is closed and returns it; that it failed is
// told by its Outcome and Code, and no error. With an error it returns the patch
// as it was seen last.
func (c *Client) AwaitPatch(ctx context.Context, patchID string) (Patch, error) {
	var seen Patch
	for patch, err := range c.WatchPatch(ctx, patchID) {
		if err != nil {
			return seen, err
		}
		seen = patch
	}
	return seen, nil
}
