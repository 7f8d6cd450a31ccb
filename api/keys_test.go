package api_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// claimed is the Claim of a key that nobody has.
func claimed(_ context.Context, input ports.ClaimInput) (ports.IdempotencyKey, error) {
	return ports.IdempotencyKey{Fingerprint: input.Fingerprint, PatchID: input.PatchID, Claim: "claim"}, nil
}

// keyStore is a store of keys in a real Postgres, that tells what it is asked.
type keyStore struct {
	*postgres.IdempotencyKeys
	pool *pgxpool.Pool
	// asked are the requests that asked for a key, by the patch id that each
	// brings along; when there are as many as expected, all is closed.
	asked    sync.Map
	requests atomic.Int32
	expected int32
	all      chan struct{}
	// last is the claim that was asked for last.
	last atomic.Pointer[ports.ClaimInput]
}

func (s *keyStore) Claim(ctx context.Context, input ports.ClaimInput) (ports.IdempotencyKey, error) {
	s.last.Store(&input)
	key, err := s.IdempotencyKeys.Claim(ctx, input)
	if _, again := s.asked.LoadOrStore(input.PatchID, true); !again && s.requests.Add(1) == s.expected {
		close(s.all)
	}
	return key, err
}

func newKeyStore(t *testing.T) *keyStore {
	t.Helper()
	pool, err := postgres.Open(t.Context(), stacktest.Database(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return &keyStore{IdempotencyKeys: postgres.NewIdempotencyKeys(pool), pool: pool, all: make(chan struct{})}
}

// rows counts the keys.
func (s *keyStore) rows(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, s.pool.QueryRow(t.Context(), "SELECT count(*) FROM idempotency_keys").Scan(&n))
	return n
}

// again claims the key that was asked for last once more, as another request
// would.
func (s *keyStore) again(t *testing.T) ports.IdempotencyKey {
	t.Helper()
	input := *s.last.Load()
	input.PatchID = patch.NewID("demo-1")
	key, err := s.IdempotencyKeys.Claim(t.Context(), input)
	require.NoError(t, err)
	return key
}

// keyed is a house, a process of its own, on a store of keys.
func keyed(t *testing.T, keys ports.IdempotencyKeyStore, change ...func(*api.Options)) *house {
	t.Helper()
	return build(t, append(change, func(o *api.Options) { o.Stores.Keys = keys })...)
}

// post asks for a patch under a key.
func (h *house) post(t testing.TB, key, body string, headers ...string) reply {
	t.Helper()
	return h.call(t, http.MethodPost, patchPath, body, append(headers, "Idempotency-Key", key)...)
}

// Of fifty requests with one key that come at once, to two processes, one starts
// the patch; all get the same answer.
func TestOneKeyIsOnePatch(t *testing.T) {
	const requests = 50
	for prefer, status := range map[string]int{"wait=30": http.StatusOK, "respond-async": http.StatusAccepted} {
		t.Run(prefer, func(t *testing.T) {
			keys := newKeyStore(t)
			keys.expected = requests
			houses := []*house{keyed(t, keys), keyed(t, keys)}
			for _, h := range houses {
				h.patcher.start = func(ctx context.Context, request patch.Request) (patch.Handle, error) {
					// It takes until all of them have asked.
					select {
					case <-keys.all:
						return handleFor(request.PatchID), nil
					case <-time.After(5 * time.Second):
						// A loaded machine: the others come when it has started.
						return handleFor(request.PatchID), nil
					case <-ctx.Done():
						return patch.Handle{}, ctx.Err()
					}
				}
			}
			answers := make(chan reply, requests)
			for i := range requests {
				go func() { answers <- houses[i%2].post(t, "k", goodBody, "Prefer", prefer) }()
			}
			first := <-answers
			require.Equal(t, status, first.status, first.body)
			for range requests - 1 {
				got := <-answers
				require.Equal(t, status, got.status, got.body)
				require.JSONEq(t, first.body, got.body)
				require.Equal(t, first.header.Get("Location"), got.header.Get("Location"))
			}
			started := append(houses[0].patcher.started(), houses[1].patcher.started()...)
			require.Len(t, started, 1)
			require.Contains(t, first.body, started[0].PatchID)
			require.Equal(t, 1, keys.rows(t))
		})
	}
}

// How a request is written does not make it another one: the order of its keys,
// white space, a default that is spelled out, a key in quotes or bare.
func TestEqualRequestsAreOne(t *testing.T) {
	keys := newKeyStore(t)
	h := keyed(t, keys)
	first := h.post(t, `a"b\c`, `{"version":"1.4.3","reason":"r"}`)
	require.Equal(t, http.StatusOK, first.status, first.body)
	for key, body := range map[string]string{
		`a"b\c`:          " {\n\"reason\" : \"r\",\t\"version\":\"1.4.3\"}\r\n",
		`"a\"b\\c"`:      `{"version":"1.4.3","reason":"\u0072","force":false,"dry_run":false,"source_ref":""}`,
		`"a\"b\\\u0063"`: "",
	} {
		if body == "" {
			h.post(t, key, goodBody).blames(t, "Idempotency-Key")
			continue
		}
		got := h.post(t, key, body)
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.JSONEq(t, first.body, got.body)
	}
	require.Len(t, h.patcher.starts, 1)
}

// The key of another request is refused, whatever is other about it; that of
// another caller is another key.
func TestKeyOfAnotherRequest(t *testing.T) {
	keys := newKeyStore(t)
	h := keyed(t, keys, passing(t, tokenOf("other", "token-of-somebody-else", auth.Scopes()...)))
	require.Equal(t, http.StatusOK, h.post(t, "k", goodBody).status)
	for path, bodies := range map[string][]string{
		patchPath:           {`{"version":"1.4.4"}`, `{"version":"1.4.3","force":true}`, `{"version":"1.4.3","expected_version":"1.4.2"}`, `{"version":"1.4.3","reason":"x"}`},
		games + "/g2/patch": {goodBody},
		demo + "/rollback":  {`{"to":"1.4.3"}`},
	} {
		for _, body := range bodies {
			problem := h.call(t, http.MethodPost, path, body, "Idempotency-Key", "k").refused(t, http.StatusUnprocessableEntity, "idempotency_key_reused")
			require.Equal(t, "Idempotency-Key", problem.Errors[0].Field)
			require.Empty(t, problem.PatchID)
		}
	}
	require.Len(t, h.patcher.starts, 1)

	got := h.post(t, "k", `{"version":"1.4.4"}`, "Authorization", "Bearer token-of-somebody-else")
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.Len(t, h.patcher.starts, 2)
	require.Equal(t, "other", h.patcher.starts[1].Actor)
	require.NotEqual(t, h.patcher.starts[0].PatchID, h.patcher.starts[1].PatchID)
}

// A key that stands for a patch is answered with it by another process: while
// the patch is open by waiting for it, and by its result once that was kept,
// without a patcher, which may have forgotten it.
func TestSettledKeyStartsNothing(t *testing.T) {
	failure := patch.Result{
		Outcome: operation.OutcomeFailure, Code: patch.CodeConflict, Message: "it changed",
		Undo: &patch.Undo{Line: patch.LineRecreated, Row: from},
	}
	for name, end := range map[string]func(patch.Handle) patch.Result{
		"success": success, "failure": func(patch.Handle) patch.Result { return failure },
	} {
		t.Run(name, func(t *testing.T) {
			keys := newKeyStore(t)
			first := keyed(t, keys)
			joined := handleFor(patch.NewID("demo-1"))
			first.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) { return joined, nil }
			require.Equal(t, http.StatusAccepted, first.post(t, "k", goodBody, "Prefer", "respond-async").status)

			second := keyed(t, keys)
			second.patcher.await = func(_ context.Context, handle patch.Handle) (patch.Result, error) { return end(handle), nil }
			told := second.post(t, "k", goodBody)
			require.Contains(t, told.body, joined.PatchID)
			require.Empty(t, second.patcher.starts)
			joined.Joined = true
			require.Equal(t, []patch.Handle{joined}, second.patcher.awaits)

			third := keyed(t, keys)
			again := third.post(t, "k", goodBody, "X-Request-Id", told.header.Get("X-Request-Id"), "Prefer", "respond-async")
			require.Equal(t, told.status, again.status, again.body)
			require.JSONEq(t, told.body, again.body)
			require.Empty(t, again.header.Get("Preference-Applied"))
			third.patcher.untouched(t)
		})
	}
}

// What a rollback under a key leads to is looked up once: a repetition goes where
// the first one went, however the game has moved since.
func TestRollbackUnderAKeyIsLookedUpOnce(t *testing.T) {
	keys := newKeyStore(t)
	h := keyed(t, keys)
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil)
	h.audit.EXPECT().PageOperations(gomock.Any(), gomock.Any()).Return(moves("1.4.2", "1.4.3"), nil)
	var first reply
	for i := range 2 {
		got := h.call(t, http.MethodPost, demo+"/rollback", `{"to":"previous"}`, "Idempotency-Key", "k")
		require.Equal(t, http.StatusOK, got.status, got.body)
		if i == 0 {
			first = got
		}
		require.JSONEq(t, first.body, got.body)
	}
	require.Len(t, h.patcher.starts, 1)
	require.Equal(t, "1.4.2", h.patcher.starts[0].Version)

	// One that leads nowhere frees its key.
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(runtime.RuntimeRecord{}, runtime.ErrNotFound)
	h.call(t, http.MethodPost, demo+"/rollback", `{"to":"1.4.1"}`, "Idempotency-Key", "k2").refused(t, http.StatusNotFound, "runtime_not_found")
	require.NotEmpty(t, keys.again(t).Claim)
}

// A dry run does not look at the key: neither is it noted nor is one that stands
// for something told.
func TestDryRunLeavesTheKeyAlone(t *testing.T) {
	keys := newKeyStore(t)
	h := keyed(t, keys)
	h.willing()
	plan := h.post(t, "k", `{"version":"1.4.3","dry_run":true}`)
	require.Contains(t, plan.body, `"allowed":true`)
	require.Zero(t, keys.rows(t))
	require.Equal(t, http.StatusOK, h.post(t, "k", goodBody).status)
	require.JSONEq(t, plan.body, h.post(t, "k", `{"version":"1.4.3","dry_run":true}`).body)
	require.Len(t, h.patcher.starts, 1)
}

// A caller who goes away while the patch is started does not keep its run from
// being noted.
func TestKeyIsSettledBehindTheCaller(t *testing.T) {
	keys := newKeyStore(t)
	h := keyed(t, keys)
	ctx, leave := context.WithCancel(t.Context())
	h.patcher.start = func(_ context.Context, request patch.Request) (patch.Handle, error) {
		leave()
		return handleFor(request.PatchID), nil
	}
	h.patcher.await = untilDone
	h.serve(t, ask(t, http.MethodPost, patchPath, goodBody, "Idempotency-Key", "k").WithContext(ctx))
	key := keys.again(t)
	require.True(t, key.Settled())
	require.Equal(t, h.patcher.starts[0].PatchID, key.PatchID)
}

// Without its store no request with a key starts anything; what only could not
// be noted behind the answer is in the log, and the answer stands.
func TestKeysAreUnreachable(t *testing.T) {
	h := build(t)
	h.keys.EXPECT().Claim(gomock.Any(), gomock.Any()).Return(ports.IdempotencyKey{}, errors.New("canary"))
	got := h.post(t, "k", goodBody)
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	require.NotContains(t, got.body, "canary")
	h.patcher.untouched(t)

	h.keys.EXPECT().Claim(gomock.Any(), gomock.Any()).DoAndReturn(claimed)
	h.keys.EXPECT().Settle(gomock.Any(), gomock.Any()).Return(errors.New("canary-settle"))
	h.keys.EXPECT().KeepResult(gomock.Any(), "admin", "k", gomock.Any()).Return(errors.New("canary-keep"))
	require.Equal(t, http.StatusOK, h.post(t, "k", goodBody).status)
	require.Contains(t, h.log.String(), "settle an idempotency key: canary-settle")
	require.Contains(t, h.log.String(), "canary-keep")

	h.keys.EXPECT().Claim(gomock.Any(), gomock.Any()).DoAndReturn(claimed)
	h.keys.EXPECT().Release(gomock.Any(), "admin", "k", "claim").Return(errors.New("canary-release"))
	h.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) {
		return patch.Handle{}, &patch.Refusal{Code: patch.CodePatchInProgress, Message: "wait", PatchID: somePatch}
	}
	h.post(t, "k", goodBody).refused(t, http.StatusConflict, "patch_in_progress")
	require.Contains(t, h.log.String(), "canary-release")
}
