package api_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// A caller who has sent a whole burst gets a 429 that says when the next request
// passes, and so it does; another caller is not held up, nor are probes, and
// strangers use up nobody's share.
func TestRateLimit(t *testing.T) {
	for _, test := range []struct {
		rate       float64
		retryAfter string
		passes     time.Duration
	}{{10, "1", 100 * time.Millisecond}, {0.1, "10", 10 * time.Second}, {0.4, "3", 2500 * time.Millisecond}} {
		t.Run(fmt.Sprint(test.rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const token = "token-of-somebody-else"
				h := build(t, passing(t, tokenOf("other", token, auth.ScopePatch)), func(o *api.Options) { o.Rate, o.Burst = test.rate, 3 })
				ask := func(headers ...string) reply { return h.call(t, http.MethodPost, patchPath, goodBody, headers...) }
				for range 3 {
					require.Equal(t, http.StatusUnauthorized, ask("Authorization", "Bearer nobody-at-all-knows-it").status)
					require.Equal(t, http.StatusOK, ask().status)
				}
				for range 2 { // what is refused does not count
					got := ask()
					got.refused(t, http.StatusTooManyRequests, "too_many_requests")
					require.Equal(t, test.retryAfter, got.header.Get("Retry-After"))
				}
				require.Len(t, h.patcher.starts, 3)
				require.Equal(t, http.StatusOK, ask("Authorization", "Bearer "+token).status)
				require.Equal(t, http.StatusOK, h.call(t, http.MethodGet, "/healthz", "").status)

				time.Sleep(test.passes - time.Millisecond) // of the bubble's clock
				require.Equal(t, http.StatusTooManyRequests, ask().status)
				time.Sleep(time.Millisecond)
				require.Equal(t, http.StatusOK, ask().status)
				require.Equal(t, http.StatusTooManyRequests, ask().status)
			})
		})
	}
}

// namingGate lets everybody pass as whoever X-Caller names.
type namingGate struct{}

func (namingGate) Authenticate(_ context.Context, request *http.Request) (auth.Caller, error) {
	return auth.Caller{Name: request.Header.Get("X-Caller"), Scopes: auth.Scopes()}, nil
}

// However many callers come by, those are forgotten who could send a whole burst
// again, and nobody else: who is held back stays so. While there are too many of
// those, who comes new shares one rate with others who do.
func TestIdleCallersAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, func(o *api.Options) {
			o.Gate, o.Rate, o.Burst, o.Logger = namingGate{}, 0.5, 1, slog.New(slog.DiscardHandler)
		})
		come := func(caller string) int {
			recorder := httptest.NewRecorder() // too many to hold them to the contract
			h.server.ServeHTTP(recorder, ask(t, http.MethodPost, patches+"/x/cancel", "", "X-Caller", caller))
			return recorder.Code
		}
		const most, passes = 10_000, http.StatusBadRequest
		for i := range most {
			require.Equal(t, passes, come(fmt.Sprint(i)))
		}
		require.Equal(t, passes, come("one of the crowd"))
		require.Equal(t, http.StatusTooManyRequests, come("another one"))
		require.Equal(t, most, h.server.CallersKept())

		time.Sleep(2 * time.Second) // of the bubble's clock: all may send again
		require.Equal(t, passes, come("0"))
		require.Equal(t, passes, come("somebody new"))
		require.Equal(t, 2, h.server.CallersKept())
		require.Equal(t, http.StatusTooManyRequests, come("0"))
		require.Equal(t, http.StatusTooManyRequests, come("somebody new"))
	})
}

// While as many callers wait as may, the next one gets its 202 at once and is
// told of no preference; when one is done, the next may wait.
func TestWaitingCallersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, func(o *api.Options) { o.MaxWaiting = 2 })
		end := make(chan struct{})
		h.patcher.await = func(ctx context.Context, handle patch.Handle) (patch.Result, error) {
			select {
			case <-end:
				return success(handle), nil
			case <-ctx.Done():
				return patch.Result{}, patch.ErrStillOpen
			}
		}
		answers := make(chan reply, 3)
		wait := func() { answers <- h.call(t, http.MethodPost, patchPath, goodBody, "Prefer", "wait=30") }
		go wait()
		go wait()
		synctest.Wait()
		began := time.Now()
		wait()
		got := <-answers
		require.Zero(t, time.Since(began))
		require.Equal(t, http.StatusAccepted, got.status)
		require.Empty(t, got.header.Get("Preference-Applied"))
		require.Contains(t, got.body, h.patcher.starts[2].PatchID)
		// Who waits for nothing takes nobody's place.
		require.Equal(t, "respond-async",
			h.call(t, http.MethodPost, patchPath, goodBody, "Prefer", "respond-async").header.Get("Preference-Applied"))

		end <- struct{}{}
		require.Equal(t, http.StatusOK, (<-answers).status)
		go wait()
		synctest.Wait()
		for range 2 {
			end <- struct{}{}
			require.Equal(t, http.StatusOK, (<-answers).status)
		}
		require.Len(t, h.patcher.awaits, 3)
	})
}

// meter notes what it hears.
type meter struct {
	mu    sync.Mutex
	heard []string
	took  []time.Duration
}

func (m *meter) Request(method, route string, status int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = append(m.heard, fmt.Sprintf("%s %s %d", method, route, status))
	m.took = append(m.took, took)
}

// Every request is heard of once, by its route and never by what the client made
// up, with its status also when it was refused or ended in a panic.
func TestMetricsHearOfEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &meter{}
		h := build(t, func(o *api.Options) { o.Metrics = heard })
		h.patcher.look = func(context.Context, string) (patch.View, error) { panic("oh") }
		h.patcher.await = func(_ context.Context, handle patch.Handle) (patch.Result, error) {
			time.Sleep(3 * time.Second) // of the bubble's clock
			return success(handle), nil
		}
		h.call(t, http.MethodPost, patchPath, goodBody)
		h.call(t, http.MethodPost, games+"/CANARY/patch", goodBody)
		h.call(t, http.MethodPost, patchPath, goodBody, "Authorization", "none")
		h.call(t, http.MethodGet, patches+"/"+somePatch, "")
		h.call(t, http.MethodGet, "/canary?a=b", "")
		h.call(t, "CANARY", "/healthz", "")
		h.call(t, http.MethodGet, "/healthz", "")
		const route = "/api/v1/internal/runtimes/:game_id/patch"
		require.Equal(t, []string{
			"POST " + route + " 200", "POST " + route + " 400", "POST " + route + " 401",
			"GET /api/v1/internal/patches/:patch_id 500", "GET  404", "other  405", "GET /healthz 200",
		}, heard.heard)
		require.Equal(t, []time.Duration{3 * time.Second, 0, 0, 0, 0, 0, 0}, heard.took)
	})
}

// breakingGate panics.
type breakingGate struct{}

func (breakingGate) Authenticate(context.Context, *http.Request) (auth.Caller, error) {
	panic("canary")
}

// Wherever it panics, the answer is a problem that tells nothing, and the server
// goes on; a record that cannot be told is no half answer either.
func TestPanicsBecomeProblems(t *testing.T) {
	h := build(t)
	h.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) { panic("canary") }
	h.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).Do(func(context.Context, ports.RuntimePageInput) { panic("canary") })
	untellable := record("demo-1")
	untellable.CreatedAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(untellable, nil)
	gated := build(t, func(o *api.Options) { o.Gate = breakingGate{} })
	for _, got := range []reply{
		h.call(t, http.MethodPost, patchPath, goodBody), h.call(t, http.MethodGet, games, ""),
		h.call(t, http.MethodGet, demo, ""), gated.call(t, http.MethodGet, demo, ""),
	} {
		got.refused(t, http.StatusInternalServerError, "internal_error")
		require.NotContains(t, got.body, "canary")
	}
	require.Contains(t, h.log.String(), "panic: canary")
	require.Contains(t, gated.log.String(), "panic: canary")
	require.Equal(t, http.StatusOK, h.call(t, http.MethodGet, "/healthz", "").status)
}
