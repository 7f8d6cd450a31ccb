package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/patch"
)

// untilDone is the Await of a patch that does not end.
func untilDone(ctx context.Context, _ patch.Handle) (patch.Result, error) {
	<-ctx.Done()
	return patch.Result{}, patch.ErrStillOpen
}

// The wait is what the caller prefers, to the second: ten by default, sixty at
// most, none for respond-async; what is malformed counts as not said. The 202
// says where to look and when.
func TestPreferSaysHowLongToWait(t *testing.T) {
	for name, test := range map[string]struct {
		prefer  []string
		wait    time.Duration
		applied string
	}{
		"nothing":            {nil, 10 * time.Second, ""},
		"wait":               {[]string{"wait=3"}, 3 * time.Second, "wait=3"},
		"quoted":             {[]string{`wait="3"`}, 3 * time.Second, "wait=3"},
		"spaces and case":    {[]string{" Wait = 3 ;x=y"}, 3 * time.Second, "wait=3"},
		"zero":               {[]string{"wait=0"}, 0, "wait=0"},
		"the most":           {[]string{"wait=60"}, 60 * time.Second, "wait=60"},
		"more than the most": {[]string{"wait=61"}, 60 * time.Second, "wait=60"},
		"far more":           {[]string{"wait=" + strings.Repeat("9", 99)}, 60 * time.Second, "wait=60"},
		"async":              {[]string{"respond-async"}, 0, "respond-async"},
		"async and wait":     {[]string{"respond-async, wait=4"}, 4 * time.Second, "respond-async, wait=4"},
		"two headers":        {[]string{"wait=4", "respond-async"}, 4 * time.Second, "respond-async, wait=4"},
		"the first counts":   {[]string{"wait=4, wait=5"}, 4 * time.Second, "wait=4"},
		"comma in quotes":    {[]string{`x="a,wait=5,\"b", wait=4`}, 4 * time.Second, "wait=4"},
		"negative":           {[]string{"wait=-1"}, 10 * time.Second, ""},
		"fraction":           {[]string{"wait=1.5"}, 10 * time.Second, ""},
		"word":               {[]string{"wait=long"}, 10 * time.Second, ""},
		"no value":           {[]string{"wait"}, 10 * time.Second, ""},
		"empty value":        {[]string{"wait="}, 10 * time.Second, ""},
		"open quote":         {[]string{`wait="3`}, 10 * time.Second, ""},
		"async with a value": {[]string{"respond-async=no"}, 10 * time.Second, ""},
		"unknown":            {[]string{"handling=strict"}, 10 * time.Second, ""},
		"rubbish":            {[]string{`;;,,=,"`}, 10 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := build(t)
				h.patcher.await = untilDone
				var headers []string
				for _, value := range test.prefer {
					headers = append(headers, "Prefer", value)
				}
				began := time.Now()
				got := h.call(t, http.MethodPost, patchPath, goodBody, headers...)
				require.Equal(t, test.wait, time.Since(began))

				require.Equal(t, http.StatusAccepted, got.status)
				require.Equal(t, test.applied, got.header.Get("Preference-Applied"))
				require.Equal(t, "1", got.header.Get("Retry-After"))
				id := h.patcher.starts[0].PatchID
				require.Equal(t, "/api/v1/internal/patches/"+id, got.header.Get("Location"))
				require.JSONEq(t, `{"patch_id":"`+id+`","workflow_id":"patch-runtime/demo-1","run_id":"run-1",`+
					`"game_id":"demo-1","state":"open"}`, got.body)
				if test.wait == 0 {
					require.Empty(t, h.patcher.awaits)
				}
			})
		})
	}
}

// A result that comes while the caller waits is told the moment it is there.
func TestPatchAnswersAsSoonAsItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		h.patcher.await = func(ctx context.Context, handle patch.Handle) (patch.Result, error) {
			select {
			case <-time.After(7 * time.Second):
				return success(handle), nil
			case <-ctx.Done():
				return patch.Result{}, patch.ErrStillOpen
			}
		}
		began := time.Now()
		got := h.call(t, http.MethodPost, patchPath, goodBody, "Prefer", "wait=30")
		require.Equal(t, 7*time.Second, time.Since(began))
		require.Equal(t, http.StatusOK, got.status)
		require.Equal(t, "wait=30", got.header.Get("Preference-Applied"))
	})
}

// A start that hangs is given up, and its caller is told that it may have had
// its effect.
func TestStartIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		h.patcher.start = func(ctx context.Context, _ patch.Request) (patch.Handle, error) {
			<-ctx.Done()
			return patch.Handle{}, ctx.Err()
		}
		began := time.Now()
		got := h.call(t, http.MethodPost, patchPath, goodBody)
		require.Equal(t, 8*time.Second, time.Since(began))
		require.Equal(t, http.StatusServiceUnavailable, got.status)
		require.Contains(t, got.body, h.patcher.starts[0].PatchID)
	})
}

// A caller who goes away while waiting ends the wait, not the patch, and
// leaves nothing in the log above debug.
func TestClientThatGoesAwayMakesNoNoise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		ctx, leave := context.WithCancel(t.Context())
		h.patcher.await = func(ctx context.Context, _ patch.Handle) (patch.Result, error) {
			leave()
			<-ctx.Done()
			return patch.Result{}, ctx.Err()
		}
		began := time.Now()
		got := h.serve(t, ask(t, http.MethodPost, patchPath, goodBody).WithContext(ctx))
		require.Zero(t, time.Since(began))
		require.Equal(t, http.StatusAccepted, got.status)
		require.Contains(t, h.log.String(), `"level":"DEBUG"`)
		for _, level := range []string{"INFO", "WARN", "ERROR"} {
			require.NotContains(t, h.log.String(), level)
		}
	})
}
