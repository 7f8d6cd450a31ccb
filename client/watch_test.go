package client_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/client"
)

// TestAwait proves that a patch is looked at until it is closed, through an
// outage of the API, more and more seldom, and that its failure is an answer.
func TestAwait(t *testing.T) {
	t.Parallel()
	failed := ok(`{"patch_id":"demo-1.x","workflow_id":"w","run_id":"r","game_id":"demo-1","state":"closed","outcome":"failure","code":"conflict"}`)
	for _, row := range []struct {
		name    string
		replies []reply
		code    client.Code
		// looks, and what the pauses between them come to.
		looks          int
		least, longest time.Duration
	}{
		{"closed already", []reply{ok(closedPatch)}, "", 1, 0, 0},
		{"soon", []reply{ok(openPatch), ok(openPatch), ok(closedPatch)}, "", 3, 500 * time.Millisecond, 500 * time.Millisecond},
		{"a failure", []reply{ok(openPatch), failed}, client.CodeConflict, 2, 250 * time.Millisecond, 250 * time.Millisecond},
		{"an outage", append(append([]reply{ok(openPatch)}, slices.Repeat([]reply{later()}, 5*all)...), ok(closedPatch)), "", 5*all + 2, 10 * time.Second, time.Minute},
		{
			"two outages", slices.Concat(
				[]reply{ok(openPatch)}, slices.Repeat([]reply{later()}, 5*all), []reply{ok(openPatch)},
				slices.Repeat([]reply{later()}, 5*all), []reply{ok(closedPatch)}),
			"", 10*all + 3, 20 * time.Second, 2 * time.Minute,
		},
		{"a long one", append(slices.Repeat([]reply{ok(openPatch)}, 100), ok(closedPatch)), "", 101, 3 * time.Minute, 6 * time.Minute},
	} {
		s := answering(row.replies...)
		inTime(t, s, func(t *testing.T, c *client.Client) {
			began := time.Now()
			patch, err := c.AwaitPatch(t.Context(), patchID)
			require.NoError(t, err, row.name)
			require.Equal(t, client.StateClosed, patch.State, row.name)
			require.Equal(t, row.code, patch.Code, row.name)
			require.Equal(t, row.looks, s.tries(), row.name)
			require.GreaterOrEqual(t, time.Since(began), row.least, row.name)
			require.LessOrEqual(t, time.Since(began), row.longest, row.name)
		})
	}
}

// TestAwaitEnds proves when a patch is not looked at any longer, and that it is
// told as it was seen last.
func TestAwaitEnds(t *testing.T) {
	t.Parallel()
	inTime(t, answering(ok(openPatch), problem(http.StatusNotFound, "patch_not_found")), func(t *testing.T, c *client.Client) {
		seen, err := c.AwaitPatch(t.Context(), patchID)
		require.True(t, client.IsCode(err, client.CodePatchNotFound))
		require.ErrorContains(t, err, patchID)
		require.Equal(t, client.StateOpen, seen.State)
	})
	gone := answering(ok(openPatch), later())
	inTime(t, gone, func(t *testing.T, c *client.Client) {
		began := time.Now()
		_, err := c.AwaitPatch(t.Context(), patchID)
		require.True(t, client.IsTemporary(err))
		require.Equal(t, 6*all+1, gone.tries())
		require.GreaterOrEqual(t, time.Since(began), 15*time.Second)
		require.LessOrEqual(t, time.Since(began), time.Minute)
	})
	tomorrow := later()
	tomorrow.retryAfter = "86400"
	closing := answering(ok(openPatch), tomorrow)
	inTime(t, closing, func(t *testing.T, c *client.Client) {
		_, err := c.AwaitPatch(t.Context(), patchID)
		require.True(t, client.IsTemporary(err))
		require.Equal(t, 2, closing.tries())
	})
	inTime(t, answering(ok(openPatch)), func(t *testing.T, c *client.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		seen, err := c.AwaitPatch(ctx, patchID)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Equal(t, client.StateOpen, seen.State)
	})
}

// TestWatchIsLeft proves that nobody looks any more when the range is left.
func TestWatchIsLeft(t *testing.T) {
	t.Parallel()
	s := answering(ok(openPatch))
	for patch, err := range newClient(t, s).WatchPatch(t.Context(), patchID) {
		require.NoError(t, err)
		require.Equal(t, client.StateOpen, patch.State)
		break
	}
	require.Equal(t, 1, s.tries())
}
