package e2e_test

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/starter"
)

// TestOneKeyIsOnePatch proves that fifty parallel posts of one key, to two APIs
// and with force, so that nothing else would keep them apart, are one patch and
// one recreate, and that all fifty get its answer.
func TestOneKeyIsOnePatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.url
	r.startAPI()
	r.startWorker()
	game := r.game()
	const posts = 50
	results := make(chan result, posts)
	for i := range posts {
		caller := *r
		if i%2 == 0 {
			caller.url = first
		}
		go func() {
			a, err := caller.try(t.Context(), http.MethodPost, base+"/runtimes/"+game+"/patch",
				`{"version":"1.4.3","force":true}`, "Prefer: wait=60", "Idempotency-Key: one")
			results <- result{a, err}
		}()
	}
	patches := map[any]int{}
	for range posts {
		a := await(t, results)
		require.Equal(t, http.StatusOK, a.status, a.body)
		patches[a.body["patch_id"]]++
	}
	require.Len(t, patches, 1)
	require.Len(t, r.audit(game), 1)
	r.requireInLine(game, "1.4.3", 1)
}

// TestKeyOfADeadProcess proves that a key whose process died between noting it
// and starting the patch is taken over by the next request with it, under the
// patch id that was noted; and that one whose process died right after the start
// finds what was started.
func TestKeyOfADeadProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	keys := postgres.NewIdempotencyKeys(r.pool)
	body := `{"version":"1.4.3"}`
	for _, started := range []bool{false, true} {
		game := r.game()
		noted := patch.NewID(game)
		// As the API does it; then it dies.
		claimed, err := keys.Claim(t.Context(), ports.ClaimInput{
			Caller: everything().name, Key: "k-" + game, Fingerprint: fingerprint(t, game, body), PatchID: noted, Lease: time.Second,
		})
		require.NoError(t, err)
		require.NotEmpty(t, claimed.Claim)
		if started {
			_, err := r.starter(starter.DialOptions()...).Start(t.Context(), patch.Request{PatchID: noted, GameID: game, Version: "1.4.3"})
			require.NoError(t, err)
		}
		a := r.call(http.MethodPost, base+"/runtimes/"+game+"/patch", body, "Prefer: wait=60", "Idempotency-Key: k-"+game)
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, noted, a.body["patch_id"])
		require.Len(t, r.audit(game), 1)
		r.requireInLine(game, "1.4.3", 1)
	}
}

// fingerprint is what the API notes of a request for a patch.
func fingerprint(t *testing.T, game, body string) []byte {
	t.Helper()
	encoded, err := json.Marshal([]any{"patch", game, json.RawMessage(body)})
	require.NoError(t, err)
	sum := sha256.Sum256(encoded)
	return sum[:]
}

// TestKeysOfCallers proves that the same key of two callers is two keys, that
// another request under a used key is refused, and that a refusal without a run
// does not use up its key.
func TestKeysOfCallers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	other := everything()
	other.name, other.token = "other", "another-token-of-the-tests"
	r.admit(everything(), other)
	game := r.game()
	mine := r.patch(game, "1.4.3", "Idempotency-Key: k")
	require.Equal(t, http.StatusOK, mine.status, mine.body)

	as := *r
	as.token = other.token
	var theirs answer
	require.Eventually(t, func() bool { // the auth file is read again within a second
		theirs = as.patch(game, "1.4.4", "Idempotency-Key: k")
		return theirs.status != http.StatusUnauthorized
	}, patience, waitTick)
	require.Equal(t, http.StatusOK, theirs.status, theirs.body)
	require.NotEqual(t, mine.body["patch_id"], theirs.body["patch_id"])
	require.Equal(t, "other", r.audit(game)[0].Actor)

	reused := r.call(http.MethodPost, base+"/runtimes/"+game+"/patch", `{"version":"1.4.3","force":true}`, "Idempotency-Key: k")
	require.Equal(t, http.StatusUnprocessableEntity, reused.status)
	require.Equal(t, patch.Code("idempotency_key_reused"), reused.code())
	again := r.patch(game, "1.4.3", `Idempotency-Key: "k"`)
	require.Equal(t, http.StatusOK, again.status)
	require.Equal(t, mine.body["patch_id"], again.body["patch_id"], "the first answer, though the game has moved on")

	r.slowPatch(game, 1500)
	open := r.patchBeside(game, "1.4.2")
	r.awaitCall(game)
	refused := r.patch(game, "1.4.3", "Idempotency-Key: later")
	require.Equal(t, patch.CodePatchInProgress, refused.code())
	require.Equal(t, http.StatusOK, await(t, open).status)
	later := r.patch(game, "1.4.3", "Idempotency-Key: later")
	require.Equal(t, http.StatusOK, later.status, later.body)
}
