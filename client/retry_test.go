package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/client"
)

// use asks for one operation.
type use func(context.Context, *client.Client) error

func get(ctx context.Context, c *client.Client) error {
	_, err := c.GetRuntime(ctx, gameID)
	return err
}

func put(ctx context.Context, c *client.Client) error {
	_, _, err := c.PutEngineVersion(ctx, version, imageRef)
	return err
}

func remove(ctx context.Context, c *client.Client) error { return c.DeleteRuntime(ctx, gameID) }

func register(ctx context.Context, c *client.Client) error {
	_, err := c.RegisterRuntime(ctx, client.RegisterRuntime{GameID: gameID, EngineVersion: version})
	return err
}

func move(ctx context.Context, c *client.Client) error {
	_, err := c.UpdateRuntimeStatus(ctx, gameID, client.UpdateStatus{ExpectedFrom: client.RuntimeStarting, To: client.RuntimeRunning})
	return err
}

func deprecate(ctx context.Context, c *client.Client) error {
	_, err := c.DeprecateEngineVersion(ctx, version)
	return err
}

func activate(ctx context.Context, c *client.Client) error {
	_, err := c.ActivateEngineVersion(ctx, version)
	return err
}

func cancel(ctx context.Context, c *client.Client) error {
	_, err := c.CancelPatch(ctx, patchID, "")
	return err
}

func again(ctx context.Context, c *client.Client) error {
	_, err := c.RetryPatch(ctx, patchID, "it is back")
	return err
}

func abandon(ctx context.Context, c *client.Client) error {
	_, err := c.AbandonPatch(ctx, patchID, "it is gone")
	return err
}

func reconcile(ctx context.Context, c *client.Client) error {
	_, err := c.Reconcile(ctx, gameID, client.ReconcileRequest{Mode: client.ModeAdopt}, client.ReconcileOptions{})
	return err
}

func drifted(ctx context.Context, c *client.Client) error {
	_, err := c.ListDrift(ctx, client.ListDriftParams{})
	return err
}

func patch(ctx context.Context, c *client.Client) error {
	_, err := c.Patch(ctx, gameID, client.PatchRequest{Version: version}, client.PatchOptions{})
	return err
}

func rollback(ctx context.Context, c *client.Client) error {
	_, err := c.Rollback(ctx, gameID, client.RollbackRequest{To: client.Previous}, client.PatchOptions{})
	return err
}

func plan(ctx context.Context, c *client.Client) error {
	_, err := c.PlanPatch(ctx, gameID, client.PatchRequest{Version: version})
	return err
}

func planBack(ctx context.Context, c *client.Client) error {
	_, err := c.PlanRollback(ctx, gameID, client.RollbackRequest{To: client.Previous})
	return err
}

// all is the number of tries without options.
const all = 4

// TestWhatIsRetried proves which answers are asked for again, and of which
// operations.
func TestWhatIsRetried(t *testing.T) {
	t.Parallel()
	busy := problem(http.StatusTooManyRequests, "too_many_requests")
	page := reply{status: http.StatusBadGateway, kind: "text/html", body: "<h1>Bad Gateway</h1>"}
	lost := reply{lost: true}
	ended := later()
	ended.body = `{"code":"service_unavailable","detail":"told","patch_id":"` + patchID + `","run_id":"r"}`
	unsure := later()
	unsure.body = `{"code":"service_unavailable","detail":"told","patch_id":"` + patchID + `"}`
	tomorrow := later()
	tomorrow.retryAfter = "86400"
	for _, row := range []struct {
		name  string
		use   use
		reply reply
		tries int
	}{
		{"read, later", get, later(), all},
		{"read, gateway timeout", get, problem(http.StatusGatewayTimeout, "service_unavailable"), all},
		{"read, a proxy's page", get, page, all},
		{"read, lost", get, lost, all},
		{"put", put, later(), all},
		{"delete", remove, later(), all},
		{"deprecate", deprecate, later(), all},
		{"activate", activate, lost, all},
		{"cancel", cancel, page, all},
		{"retry", again, later(), all},
		{"retry, lost", again, lost, all},
		{"abandon", abandon, later(), all},
		{"abandon, lost", abandon, lost, all},
		{"reconcile", reconcile, later(), all},
		{"reconcile, lost", reconcile, lost, all},
		{"reconcile that may have been started", reconcile, unsure, all},
		{"drift", drifted, later(), all},
		{"patch", patch, later(), all},
		{"patch, lost", patch, lost, all},
		{"patch that may have been started", patch, unsure, all},
		{"rollback", rollback, later(), all},
		{"plan", plan, later(), all},
		{"plan of a rollback", planBack, lost, all},
		{"register, too many", register, busy, all},
		{"move, too many", move, busy, all},

		{"register, later", register, later(), 1},
		{"register, a proxy's page", register, page, 1},
		{"register, lost", register, lost, 1},
		{"move, later", move, later(), 1},
		{"move, lost", move, lost, 1},
		{"patch that has ended", patch, ended, 1},
		{"reconcile that has ended", reconcile, ended, 1},
		{"retry in no doubt", again, problem(http.StatusConflict, "not_in_doubt"), 1},
		{"abandon what has ended", abandon, problem(http.StatusConflict, "patch_closed"), 1},
		{"read, tomorrow", get, tomorrow, 1},
		{"read, internal error", get, problem(http.StatusInternalServerError, "internal_error"), 1},
		{"read, not found", get, problem(http.StatusNotFound, "runtime_not_found"), 1},
		{"patch, conflict", patch, problem(http.StatusConflict, "conflict"), 1},
		{"patch, key of another", patch, problem(http.StatusUnprocessableEntity, "idempotency_key_reused"), 1},
		{"read, not JSON", get, reply{status: http.StatusOK, kind: "text/html", body: "<h1>Hello</h1>"}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := answering(row.reply)
			require.Error(t, row.use(t.Context(), newClient(t, s)))
			require.Equal(t, row.tries, s.tries())
		})
	}
}

// TestRetryIsTheSamePatch proves that all tries of one call carry one key, those
// of another call another one, and that a key that is given is taken.
func TestRetryIsTheSamePatch(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]use{"patch": patch, "rollback": rollback} {
		s := answering(later(), reply{lost: true}, later(), ok(openPatch), later(), ok(openPatch))
		c := newClient(t, s)
		require.NoError(t, use(t.Context(), c), name)
		require.NoError(t, use(t.Context(), c), name)
		keys := s.sent("Idempotency-Key")
		require.Len(t, keys, 6)
		require.GreaterOrEqual(t, len(keys[0]), 26, "a key that is guessed is another caller's patch")
		require.Equal(t, []string{keys[0], keys[4]}, slices.Compact(slices.Clone(keys)), name)
	}

	s := answering(later(), ok(openPatch))
	_, err := newClient(t, s).Patch(t.Context(), gameID, client.PatchRequest{Version: version}, client.PatchOptions{IdempotencyKey: "ticket-7"})
	require.NoError(t, err)
	require.Equal(t, []string{"ticket-7", "ticket-7"}, s.sent("Idempotency-Key"))
}

// TestWait proves how the wait for a patch is asked for.
func TestWait(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		wait *time.Duration
		sent string
	}{
		{nil, ""},
		{new(time.Duration(0)), "respond-async"},
		{new(-time.Second), "respond-async"},
		{new(time.Millisecond), "wait=1"},
		{new(30 * time.Second), "wait=30"},
		{new(time.Hour), "wait=60"},
	} {
		s := answering(ok(closedPatch))
		got, err := newClient(t, s).Patch(t.Context(), gameID, client.PatchRequest{Version: version}, client.PatchOptions{Wait: row.wait})
		require.NoError(t, err)
		require.Equal(t, client.StateClosed, got.State)
		require.Equal(t, []string{row.sent}, s.sent("Prefer"))

		s = answering(ok(closedPatch))
		got, err = newClient(t, s).Reconcile(t.Context(), gameID, client.ReconcileRequest{Mode: client.ModeEnforce}, client.ReconcileOptions{Wait: row.wait})
		require.NoError(t, err)
		require.Equal(t, client.StateClosed, got.State)
		require.Equal(t, []string{row.sent}, s.sent("Prefer"))
		require.Equal(t, []string{""}, s.sent("Idempotency-Key"))
	}
}

// TestUnsentIsRetried proves that a request for which no connection came about
// is sent again, whatever the operation, and that one side's distrust is not.
func TestUnsentIsRetried(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		fault error
		tries int32
	}{
		{"refused", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, all},
		{"TLS alert", &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, 1},
	} {
		var dials atomic.Int32
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, row.fault
		}}
		c, err := client.New("http://127.0.0.1:1", client.WithHTTPClient(&http.Client{Transport: transport}), soon())
		require.NoError(t, err)
		err = register(t.Context(), c)
		require.ErrorIs(t, err, client.ErrNoAnswer, row.name)
		require.Equal(t, row.tries == all, client.IsTemporary(err), row.name)
		require.Equal(t, row.tries, dials.Load(), row.name)
	}
}

// TestRetriesOption proves that the number of retries can be chosen, none
// included.
func TestRetriesOption(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{0, 1, 7} {
		s := answering(later())
		require.Error(t, get(t.Context(), newClient(t, s, client.WithRetries(retries))))
		require.Equal(t, retries+1, s.tries())
	}
}

// inTime runs a test in which time passes as soon as everybody waits for it.
func inTime(t *testing.T, s *script, test func(t *testing.T, c *client.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := client.New("http://127.0.0.1:1", client.WithHTTPClient(&http.Client{Transport: s}))
		require.NoError(t, err)
		test(t, c)
	})
}

// TestPauses proves that the pauses grow, that chance is in them, and that they
// are no shorter than Retry-After, in seconds or as a date.
func TestPauses(t *testing.T) {
	t.Parallel()
	took := map[time.Duration]bool{}
	for range 10 {
		inTime(t, answering(later()), func(t *testing.T, c *client.Client) {
			began := time.Now()
			require.Error(t, get(t.Context(), c))
			passed := time.Since(began)
			require.GreaterOrEqual(t, passed, 1750*time.Millisecond)
			require.LessOrEqual(t, passed, 3500*time.Millisecond)
			took[passed] = true
		})
	}
	require.Greater(t, len(took), 1, "every client comes back at the same moment")

	seconds := later()
	seconds.retryAfter = "7"
	inTime(t, answering(seconds, later(), later()), func(t *testing.T, c *client.Client) {
		began := time.Now()
		err := get(t.Context(), c)
		require.GreaterOrEqual(t, time.Since(began), 7*time.Second)
		var refused *client.Error
		require.ErrorAs(t, err, &refused)
		require.Zero(t, refused.RetryAfter, "that of the last answer")
	})

	dated := answering(later(), later(), later())
	inTime(t, dated, func(t *testing.T, c *client.Client) {
		began := time.Now()
		dated.replies[0].retryAfter = began.Add(20 * time.Second).UTC().Format(http.TimeFormat)
		require.Error(t, get(t.Context(), c))
		require.GreaterOrEqual(t, time.Since(began), 19*time.Second)
	})
}

// TestContextEnds proves that a pause ends with its context, and that one that
// would last beyond the deadline is not begun; the answer is told either way.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	slow := later()
	slow.retryAfter = "30"
	inTime(t, answering(slow), func(t *testing.T, c *client.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		err := get(ctx, c)
		require.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, err, context.Canceled)
		require.True(t, client.IsCode(err, client.CodeServiceUnavailable))
	})
	inTime(t, answering(slow), func(t *testing.T, c *client.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 29*time.Second)
		defer cancel()
		began := time.Now()
		err := get(ctx, c)
		require.Zero(t, time.Since(began))
		var refused *client.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, 30*time.Second, refused.RetryAfter)
	})
	never := answering(later())
	inTime(t, never, func(t *testing.T, c *client.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := get(ctx, c)
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, client.IsTemporary(err))
		require.Zero(t, never.tries())
	})
}

// TestTokenSource proves that every try has a token of its own, and that no
// request is sent without one when there is none to be had.
func TestTokenSource(t *testing.T) {
	t.Parallel()
	s := answering(later(), later(), ok(`{"game_id":"demo-1"}`))
	given := []string{"first", "second", "third"}
	next := func(context.Context) (string, error) {
		token := given[0]
		given = given[1:]
		return token, nil
	}
	require.NoError(t, get(t.Context(), newClient(t, s, client.WithTokenSource(next))))
	require.Equal(t, []string{"Bearer first", "Bearer second", "Bearer third"}, s.sent("Authorization"))

	none := errors.New("the issuer is down")
	s = answering(ok(`{}`))
	err := get(t.Context(), newClient(t, s, client.WithTokenSource(func(context.Context) (string, error) { return "", none })))
	require.ErrorIs(t, err, none)
	err = get(t.Context(), newClient(t, s, client.WithTokenSource(func(context.Context) (string, error) { return "a b", nil })))
	require.ErrorContains(t, err, "visible ASCII")
	require.Zero(t, s.tries())
}
