package api_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/adapters/mocks"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// withKeys is a store of keys that answers every claim with key.
func withKeys(t *testing.T, key ports.IdempotencyKey) (*mocks.MockIdempotencyKeyStore, func(*api.Options)) {
	t.Helper()
	keys := mocks.NewMockIdempotencyKeyStore(gomock.NewController(t))
	keys.EXPECT().Claim(gomock.Any(), gomock.Any()).AnyTimes().DoAndReturn(
		func(_ context.Context, input ports.ClaimInput) (ports.IdempotencyKey, error) {
			key.Fingerprint = input.Fingerprint
			return key, nil
		})
	return keys, func(o *api.Options) { o.Stores.Keys = keys }
}

// Who waits for another request's start in vain is told the patch that the key
// stands for, not one that nobody will ever start.
func TestWaiterIsToldThePatchOfTheKey(t *testing.T) {
	noted := patch.NewID("demo-1")
	synctest.Test(t, func(t *testing.T) {
		_, held := withKeys(t, ports.IdempotencyKey{PatchID: noted, ClaimedFor: time.Minute})
		h := build(t, held)
		began := time.Now()
		got := h.post(t, "k", goodBody)
		require.Equal(t, api.KeyTimeout, time.Since(began))
		require.Equal(t, http.StatusServiceUnavailable, got.status)
		require.Equal(t, noted, got.problem(t).PatchID)
		require.Empty(t, h.patcher.starts)
	})
}

// Who waits for another request's start when the server stops is sent to
// another server at once.
func TestDrainSendsWaitersForAKeyAway(t *testing.T) {
	noted := patch.NewID("demo-1")
	synctest.Test(t, func(t *testing.T) {
		_, held := withKeys(t, ports.IdempotencyKey{PatchID: noted, ClaimedFor: time.Minute})
		r := run(t, held)
		answer := r.post(t, "Idempotency-Key", "k")
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.end())
		require.Less(t, time.Since(began), time.Second)
		got := <-answer
		require.Equal(t, http.StatusServiceUnavailable, got.status)
		require.NotEmpty(t, got.header.Get("Retry-After"))
		require.Contains(t, got.body, noted)
	})
}

// A key whose run Temporal has forgotten is answered with what any run of the
// patch has left, and that is kept; when none has left anything, nobody is told
// that the patch is open.
func TestForgottenRunOfAKey(t *testing.T) {
	settled := ports.IdempotencyKey{PatchID: patch.NewID("demo-1"), RunID: "run-forgotten"}
	forgotten := func(context.Context, patch.Handle) (patch.Result, error) { return patch.Result{}, patch.ErrNotFound }

	keys, change := withKeys(t, settled)
	h := build(t, change)
	h.patcher.await = forgotten
	ended := success(handleFor(settled.PatchID))
	h.patcher.look = viewing(patch.View{Handle: handleFor(settled.PatchID), Result: &ended}, nil)
	keys.EXPECT().KeepResult(gomock.Any(), gomock.Any(), "k", gomock.Any()).Return(nil)
	got := h.post(t, "k", goodBody)
	require.Equal(t, http.StatusOK, got.status, got.body)

	_, change = withKeys(t, settled)
	h = build(t, change)
	h.patcher.await = forgotten
	got = h.post(t, "k", goodBody)
	require.Equal(t, http.StatusNotFound, got.status)
	require.EqualValues(t, "patch_not_found", got.problem(t).Code)
}

// The lease covers what is done under it, and the times of a connection and of
// clients cover what a request may take.
func TestTimesFitIntoEachOther(t *testing.T) {
	require.Greater(t, api.ClaimLease, api.LookTimeout+api.StartTimeout)
	require.GreaterOrEqual(t, api.KeyTimeout, api.ClaimLease+api.LookTimeout+api.StartTimeout)
	longest := api.RequestTimeout + api.KeyTimeout + api.NoteTimeout + api.MaxWait + api.LookTimeout + api.NoteTimeout
	require.Greater(t, api.WriteTimeout, longest)
	require.GreaterOrEqual(t, client.RequestTimeout, api.WriteTimeout)
	require.Greater(t, api.DrainTimeout, api.RequestTimeout+api.LookTimeout+api.StartTimeout+2*api.NoteTimeout)
	require.Less(t, api.DrainTimeout, 30*time.Second)
}

// The fingerprint of a request stays what it is for as long as keys are kept:
// were it another in the next release, every key of before would look reused.
func TestFingerprintsStay(t *testing.T) {
	full := contract.PatchRequest{
		Version: "1.4.3", ExpectedVersion: "1.4.2", DryRun: true, Force: true, Reason: "r", SourceRef: "s", OpSource: "system",
	}
	back := contract.RollbackRequest{
		To: "previous", ExpectedVersion: "1.4.2", DryRun: true, Reason: "r", SourceRef: "s", OpSource: "system",
	}
	for _, kept := range []struct {
		want string
		sum  [32]byte
	}{
		{"d5114c71f7bd78693c39a1de2dad464bbe11d5f016bb4c143c51aaf4336621b4", api.Fingerprint("patch", "demo-1", full)},
		{"616e743de73e0c48e04cfc36ca1f0fe211c7f065440d447e0ed78019b4566f11", api.Fingerprint("rollback", "demo-1", back)},
		{"20bbc7f3b3acfc2bcc27e01c74479a7b9a5efad554554c997e7d9c696a3a7867", api.Fingerprint("patch", "demo-1", contract.PatchRequest{Version: "1.4.3"})},
	} {
		require.Equal(t, kept.want, hex.EncodeToString(kept.sum[:]))
	}
	// What it is made of, for whoever has to make it elsewhere.
	encoded, err := json.Marshal(full)
	require.NoError(t, err)
	require.JSONEq(t, `{"version":"1.4.3","expected_version":"1.4.2","dry_run":true,"force":true,"reason":"r","source_ref":"s","op_source":"system"}`,
		string(encoded))
}

// A claim whose answer comes so late that another request may have taken it over
// starts nothing any more.
func TestLateClaimStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := mocks.NewMockIdempotencyKeyStore(gomock.NewController(t))
		keys.EXPECT().Claim(gomock.Any(), gomock.Any()).DoAndReturn(
			func(ctx context.Context, input ports.ClaimInput) (ports.IdempotencyKey, error) {
				<-time.After(api.ClaimLease)
				return claimed(ctx, input)
			})
		h := keyed(t, keys)
		got := h.post(t, "k", goodBody)
		require.Equal(t, http.StatusServiceUnavailable, got.status)
		require.NotEmpty(t, got.problem(t).PatchID)
		require.Empty(t, h.patcher.starts)
	})
}

// Those who wait for another request's start are counted among those who wait.
func TestWaitersForAKeyAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, held := withKeys(t, ports.IdempotencyKey{PatchID: patch.NewID("demo-1"), ClaimedFor: time.Minute})
		r := run(t, held, func(o *api.Options) { o.MaxWaiting = 1 })
		first := r.post(t, "Idempotency-Key", "k")
		synctest.Wait()
		began := time.Now()
		require.Equal(t, http.StatusServiceUnavailable, (<-r.post(t, "Idempotency-Key", "k")).status)
		require.Zero(t, time.Since(began))
		require.NoError(t, r.end())
		require.Equal(t, http.StatusServiceUnavailable, (<-first).status)
	})
}
