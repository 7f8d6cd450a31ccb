package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/api/contract"
)

// check is a check that ends with err at once.
func check(name string, err error) api.Check {
	return api.Check{Name: name, Check: func(context.Context) error { return err }}
}

func checking(checks ...api.Check) func(*api.Options) {
	return func(o *api.Options) { o.Checks = checks }
}

// probe asks for path without a token.
func (h *house) probe(t testing.TB, path string) reply {
	t.Helper()
	return h.serve(t, httptest.NewRequest(http.MethodGet, path, nil))
}

// Alive is alive, whatever is missing.
func TestHealthz(t *testing.T) {
	h := build(t, checking(check("postgres", errors.New("down"))))
	got := h.probe(t, "/healthz")
	require.Equal(t, http.StatusOK, got.status)
	require.JSONEq(t, `{"status":"ok"}`, got.body)
}

// Ready names every part; not ready says which is missing. Why is for the log,
// once for every change: its words name hosts.
func TestReadyz(t *testing.T) {
	h := build(t, checking(check("postgres", nil), check("temporal", nil)))
	got := h.probe(t, "/readyz")
	require.Equal(t, http.StatusOK, got.status)
	require.JSONEq(t, `{"status":"ready","checks":{"postgres":"ok","temporal":"ok"}}`, got.body)

	panicking := api.Check{Name: "rtm", Check: func(context.Context) error { panic("oh") }}
	h = build(t, checking(check("postgres", nil), check("temporal", errors.New("no route to canary")), panicking))
	got = h.probe(t, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.JSONEq(t, `{"status":"not_ready","checks":{"postgres":"ok","temporal":"failing","rtm":"failing"}}`, got.body)
	h.probe(t, "/readyz")
	require.Equal(t, 1, strings.Count(h.log.String(), "no route to canary"))
	require.Contains(t, h.log.String(), "the check panicked: oh")
	require.Contains(t, h.log.String(), `"level":"WARN","msg":"readiness"`)

	require.JSONEq(t, `{"status":"ready","checks":{}}`, build(t).probe(t, "/readyz").body)
}

// Checks run at once, each for two seconds at most, even one that does not
// listen.
func TestReadyzIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		deaf := api.Check{Name: "deaf", Check: func(context.Context) error { <-release; return nil }}
		slow := func(name string) api.Check {
			return api.Check{Name: name, Check: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		}
		h := build(t, checking(deaf, slow("a"), slow("b"), check("c", nil)))
		began := time.Now()
		got := h.probe(t, "/readyz")
		require.Equal(t, 2*time.Second, time.Since(began))
		require.Equal(t, http.StatusServiceUnavailable, got.status)
		var report contract.Readiness
		got.decode(t, &report)
		require.Equal(t, "failing", report.Checks["deaf"])
		require.Contains(t, h.log.String(), "no answer within 2s")
		require.Equal(t, "ok", report.Checks["c"])
		close(release)
	})
}

// However many probe, the parts are asked once a second.
func TestReadyzIsCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		h := build(t, checking(api.Check{Name: "postgres", Check: func(context.Context) error {
			asked.Add(1)
			time.Sleep(100 * time.Millisecond) // of the bubble's clock
			return nil
		}}))
		for range 50 {
			go h.probe(t, "/readyz")
		}
		synctest.Wait()
		require.Equal(t, http.StatusOK, h.probe(t, "/readyz").status)
		require.EqualValues(t, 1, asked.Load())
		time.Sleep(time.Second)
		h.probe(t, "/readyz")
		require.EqualValues(t, 2, asked.Load())
	})
}

// A process without a REST door answers its probes the same way: 200, and 503
// with the part that is missing.
func TestProbesOfAWorker(t *testing.T) {
	var missing error
	server := httptest.NewServer(api.Probes([]api.Check{{Name: "temporal", Check: func(context.Context) error { return missing }}}))
	t.Cleanup(server.Close)
	probe := func(path string) (int, string) {
		response, err := http.Get(server.URL + path)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(text)
	}
	status, text := probe("/readyz")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"status":"ready","checks":{"temporal":"ok"}}`, text)

	missing = errors.New("gone")
	server.Config.Handler = api.Probes([]api.Check{{Name: "temporal", Check: func(context.Context) error { return missing }}})
	status, text = probe("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.JSONEq(t, `{"status":"not_ready","checks":{"temporal":"gone"}}`, text)
	status, _ = probe("/healthz")
	require.Equal(t, http.StatusOK, status)
}
