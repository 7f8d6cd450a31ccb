package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// dead leaves a key behind as a process does that died after it claimed it: for
// a moment yet, the claim is held. It returns the patch id that was noted.
func dead(t *testing.T, keys *keyStore) string {
	t.Helper()
	// What the request stands for is not for a test to know, so it is sent to a
	// server that cannot start anything and keeps its claim.
	h := keyed(t, keys)
	h.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) {
		return patch.Handle{}, context.DeadlineExceeded
	}
	h.post(t, "k", goodBody).refused(t, http.StatusServiceUnavailable, "service_unavailable")
	input := *keys.last.Load()
	_, err := keys.pool.Exec(t.Context(), "DELETE FROM idempotency_keys")
	require.NoError(t, err)
	input.PatchID, input.Lease = patch.NewID("demo-1"), 200*time.Millisecond
	key, err := keys.IdempotencyKeys.Claim(t.Context(), input)
	require.NoError(t, err)
	require.NotEmpty(t, key.Claim)
	return input.PatchID
}

// The key of a process that died is taken over when its lease is over. What it
// began is looked for first: a patch that is there is the answer, open or ended;
// one that is not is started under the id that was noted; and while nobody can
// tell, nothing is started.
func TestKeyOfTheDeadIsTakenOver(t *testing.T) {
	for name, test := range map[string]struct {
		look          func(patchID string) (patch.View, error)
		status        int
		starts, waits int
	}{
		"it began": {func(patchID string) (patch.View, error) {
			return patch.View{Handle: handleFor(patchID), State: &patch.State{}}, nil
		}, http.StatusOK, 0, 1},
		"it ended": {func(patchID string) (patch.View, error) {
			result := success(handleFor(patchID))
			return patch.View{Handle: handleFor(patchID), Result: &result}, nil
		}, http.StatusOK, 0, 0},
		"it did not begin": {func(string) (patch.View, error) { return patch.View{}, patch.ErrNotFound }, http.StatusOK, 1, 1},
		"nobody knows":     {func(string) (patch.View, error) { return patch.View{}, context.DeadlineExceeded }, http.StatusServiceUnavailable, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			keys := newKeyStore(t)
			noted := dead(t, keys)
			h := keyed(t, keys)
			h.patcher.look = func(_ context.Context, patchID string) (patch.View, error) { return test.look(patchID) }
			got := h.post(t, "k", goodBody)
			require.Equal(t, test.status, got.status, got.body)
			require.Contains(t, got.body, noted)
			require.Equal(t, []string{noted}, h.patcher.looks)
			require.Len(t, h.patcher.starts, test.starts)
			require.Len(t, h.patcher.awaits, test.waits)
			for _, request := range h.patcher.starts {
				require.Equal(t, noted, request.PatchID)
			}
			key := keys.again(t)
			require.Equal(t, test.status == http.StatusOK, key.Settled())
			require.Equal(t, test.status == http.StatusOK, key.Result != nil)
		})
	}
}

// A refusal before the patch began leaves the key as good as new, at once: any
// request may come with it and start its patch.
func TestRefusalFreesTheKey(t *testing.T) {
	keys := newKeyStore(t)
	h := keyed(t, keys)
	other := patch.NewID("demo-1")
	for _, refusal := range []*patch.Refusal{
		{Code: patch.CodePatchInProgress, Message: "wait", PatchID: other},
		{Code: patch.CodeServiceUnavailable, Message: "could not be sent"},
		{Code: patch.CodeInvalidRequest, Message: "no", Field: "reason"},
	} {
		h.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) { return patch.Handle{}, refusal }
		require.Equal(t, codeTable[refusal.Code], h.post(t, "k", goodBody).status)
	}
	h.patcher.start = nil
	began := time.Now()
	require.Equal(t, http.StatusOK, h.post(t, "k", `{"version":"1.4.4"}`).status)
	require.Less(t, time.Since(began), 10*time.Second, "the lease was waited for")
	require.Equal(t, http.StatusUnprocessableEntity, h.post(t, "k", goodBody).status)
}

// A request that joined another patch is told of it only when its key stands for
// that one: by the key's own id nobody would find it, so that a repeat after its
// end would start a second one.
func TestJoinIsNotedBeforeItIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		settles []error
		status  int
	}{
		"at once":        {[]error{nil}, http.StatusOK},
		"after a while":  {[]error{errors.New("canary"), errors.New("canary"), nil}, http.StatusOK},
		"by another one": {[]error{errors.New("canary"), ports.ErrClaimLost}, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			h.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) {
				joined := handleFor(somePatch)
				joined.Joined = true
				return joined, nil
			}
			h.keys.EXPECT().Claim(gomock.Any(), gomock.Any()).DoAndReturn(claimed)
			for _, err := range test.settles {
				h.keys.EXPECT().Settle(gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, input ports.SettleInput) error {
					require.Equal(t, "claim", input.Claim)
					require.Equal(t, somePatch, input.PatchID)
					return err
				})
			}
			h.keys.EXPECT().KeepResult(gomock.Any(), "admin", "k", gomock.Any()).MaxTimes(1)
			got := h.post(t, "k", goodBody)
			require.Equal(t, test.status, got.status, got.body)
			require.Contains(t, got.body, somePatch)
			require.NotContains(t, got.body, "canary")
		})
	}
}

// A start that may have had its effect keeps the claim until the lease is over,
// so that nobody starts a second patch meanwhile, and its answer names the patch.
func TestUncertainStartKeepsTheClaim(t *testing.T) {
	for name, err := range map[string]error{
		"timeout":     context.DeadlineExceeded,
		"gone":        context.Canceled,
		"unavailable": &patch.Refusal{Code: patch.CodeServiceUnavailable, PatchID: somePatch},
		"other":       errors.New("canary"),
		"internal":    &patch.Refusal{Code: patch.CodeInternalError, Message: "canary"},
	} {
		t.Run(name, func(t *testing.T) {
			keys := newKeyStore(t)
			h := keyed(t, keys)
			h.patcher.start = func(context.Context, patch.Request) (patch.Handle, error) { return patch.Handle{}, err }
			got := h.post(t, "k", goodBody)
			require.GreaterOrEqual(t, got.status, 500)
			if got.status == http.StatusServiceUnavailable {
				require.Equal(t, h.patcher.starts[0].PatchID, got.problem(t).PatchID)
			}
			held := keys.again(t)
			require.Empty(t, held.Claim)
			require.False(t, held.Settled())
			require.Greater(t, held.ClaimedFor, 5*time.Second)
		})
	}
}
