package postgres_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/ports"
)

// lease is longer than any test takes, so that a claim only ends where a test
// ends it.
const lease = time.Hour

func newClaim(key string) ports.ClaimInput {
	return ports.ClaimInput{Caller: "me", Key: key, Fingerprint: bytes.Repeat([]byte{1}, 32), PatchID: "p", Lease: lease}
}

func newKeys(t *testing.T) (*postgres.IdempotencyKeys, *pgxpool.Pool) {
	t.Helper()
	pool := newPool(t)
	return postgres.NewIdempotencyKeys(pool), pool
}

func claim(t *testing.T, keys *postgres.IdempotencyKeys, input ports.ClaimInput) ports.IdempotencyKey {
	t.Helper()
	key, err := keys.Claim(t.Context(), input)
	require.NoError(t, err)
	return key
}

func settle(t *testing.T, keys *postgres.IdempotencyKeys, patchID, runID string) {
	t.Helper()
	require.NoError(t, keys.Settle(t.Context(), ports.SettleInput{Caller: "me", Key: "k", PatchID: patchID, RunID: runID}))
}

func execute(t *testing.T, pool *pgxpool.Pool, statement string, arguments ...any) {
	t.Helper()
	_, err := pool.Exec(t.Context(), statement, arguments...)
	require.NoError(t, err)
}

// requireHeld asks for a key that another request holds.
func requireHeld(t *testing.T, key ports.IdempotencyKey) {
	t.Helper()
	require.Empty(t, key.Claim)
	require.False(t, key.Settled())
	require.Positive(t, key.ClaimedFor)
	require.LessOrEqual(t, key.ClaimedFor, lease)
}

// Proves a key's life: claimed, held against others, settled for good, with the
// result that was noted first.
func TestKeyLife(t *testing.T) {
	keys, _ := newKeys(t)
	first := claim(t, keys, newClaim("k"))
	require.NotEmpty(t, first.Claim)
	require.Equal(t, ports.IdempotencyKey{Fingerprint: newClaim("k").Fingerprint, PatchID: "p", Claim: first.Claim}, first)

	again := newClaim("k")
	again.PatchID = "p2"
	held := claim(t, keys, again)
	requireHeld(t, held)
	require.Greater(t, held.ClaimedFor, lease/2)
	require.Equal(t, "p", held.PatchID)

	require.NoError(t, keys.KeepResult(t.Context(), "me", "k", []byte(`{"too": "early"}`)))
	settle(t, keys, "other-patch", "run-1")
	settle(t, keys, "p", "run-2")
	want := ports.IdempotencyKey{Fingerprint: first.Fingerprint, PatchID: "other-patch", RunID: "run-1"}
	require.Equal(t, want, claim(t, keys, again), "the first run stays, and there was no result before it")
	require.True(t, want.Settled())

	for _, result := range []string{`{"ok": true, "n": 1}`, `null`} {
		require.NoError(t, keys.KeepResult(t.Context(), "me", "k", []byte(result)))
	}
	kept := claim(t, keys, again)
	require.JSONEq(t, `{"n":1,"ok":true}`, string(kept.Result))
	kept.Result = nil
	require.Equal(t, want, kept)
}

// Proves that keys of different callers are different keys, and so are those of
// one caller to the letter.
func TestKeysAreTheCallers(t *testing.T) {
	keys, pool := newKeys(t)
	for _, names := range [][2]string{{"me", "k"}, {"you", "k"}, {"me", "K"}, {"me", "k "}, {"mek", " "}, {"me", strings.Repeat("ü", 127)}} {
		input := newClaim(names[1])
		input.Caller = names[0]
		require.NotEmpty(t, claim(t, keys, input).Claim, names)
	}
	require.Equal(t, 6, count(t, pool, "idempotency_keys"))
}

// Proves that a key with another request behind it is never claimed, whether it
// is held, run out or settled, and that it says whose it is.
func TestClaimWithAnotherFingerprint(t *testing.T) {
	keys, pool := newKeys(t)
	first := claim(t, keys, newClaim("k"))
	other := newClaim("k")
	other.Fingerprint = bytes.Repeat([]byte{2}, 32)
	refused := func() ports.IdempotencyKey {
		key := claim(t, keys, other)
		require.Empty(t, key.Claim)
		require.Equal(t, first.Fingerprint, key.Fingerprint)
		return key
	}
	require.Positive(t, refused().ClaimedFor)
	execute(t, pool, "UPDATE idempotency_keys SET claimed_until = now() - interval '1 day'")
	require.Zero(t, refused().ClaimedFor)
	settle(t, keys, "p", "r")
	require.Equal(t, "r", refused().RunID)
}

// Proves that a key which was given back is as good as new, for any request.
func TestClaimOfAReleasedKey(t *testing.T) {
	keys, _ := newKeys(t)
	first := claim(t, keys, newClaim("k"))
	require.NoError(t, keys.Release(t.Context(), "me", "k", first.Claim))
	other := newClaim("k")
	other.Fingerprint, other.PatchID = bytes.Repeat([]byte{2}, 32), "other"
	got := claim(t, keys, other)
	require.NotEmpty(t, got.Claim)
	require.Equal(t, other.Fingerprint, got.Fingerprint)
	require.Equal(t, "other", got.PatchID)
}

// Proves that of fifty requests that come at once exactly one gets the claim,
// and that all are told of its patch: with a new key, with one whose lease has
// run out, and with one that was given back. No row of the three, settled, is
// claimed again.
func TestClaimAtOnce(t *testing.T) {
	keys, pool := newKeys(t)
	const callers = 50
	race := func() (winner string) {
		found := make([]ports.IdempotencyKey, callers)
		for _, err := range atOnce(callers, func(i int) (err error) {
			input := newClaim("k")
			input.PatchID = fmt.Sprintf("p%d", i)
			found[i], err = keys.Claim(t.Context(), input)
			return err
		}) {
			require.NoError(t, err)
		}
		for _, key := range found {
			require.Equal(t, found[0].PatchID, key.PatchID)
			if key.Claim == "" {
				requireHeld(t, key)
				continue
			}
			require.Empty(t, winner, "two claims")
			require.Zero(t, key.ClaimedFor)
			winner = key.Claim
		}
		require.NotEmpty(t, winner, "no claim")
		return winner
	}
	first := race()
	patchID := claim(t, keys, newClaim("k")).PatchID

	execute(t, pool, "UPDATE idempotency_keys SET claimed_until = now() - interval '1 second'")
	second := race()
	require.NotEqual(t, first, second)
	require.Equal(t, patchID, claim(t, keys, newClaim("k")).PatchID, "the patch that was noted first")

	require.NoError(t, keys.Release(t.Context(), "me", "k", first), "no longer its to give back")
	requireHeld(t, claim(t, keys, newClaim("k")))
	require.NoError(t, keys.Release(t.Context(), "me", "k", second))
	race()

	settle(t, keys, patchID, "r")
	for _, err := range atOnce(callers, func(int) error {
		key, err := keys.Claim(t.Context(), newClaim("k"))
		if err == nil && (key.Claim != "" || key.ClaimedFor != 0 || key.RunID != "r") {
			err = fmt.Errorf("a settled key was told as %+v", key)
		}
		return err
	}) {
		require.NoError(t, err)
	}
}

// Proves that a lease is judged when the key's row is reached, not when the
// request began: here another request has taken the key over in between, or was
// about to and let the lease end.
func TestClaimBehindATakeOver(t *testing.T) {
	for _, row := range []struct {
		until string
		held  bool
	}{{"clock_timestamp() + interval '10 seconds'", true}, {"clock_timestamp()", false}} {
		t.Run(row.until, func(t *testing.T) { claimBehindATakeOver(t, row.until, row.held) })
	}
}

func claimBehindATakeOver(t *testing.T, until string, held bool) {
	keys, pool := newKeys(t)
	claim(t, keys, newClaim("k"))
	execute(t, pool, "UPDATE idempotency_keys SET claimed_until = now() - interval '1 second'")
	other := begin(t, pool, "UPDATE idempotency_keys SET claim = 'theirs'")
	result := make(chan ports.IdempotencyKey, 1)
	go func() {
		key, err := keys.Claim(t.Context(), newClaim("k"))
		if err != nil {
			t.Error(err)
		}
		result <- key
	}()
	awaitLockWait(t, pool)
	_, err := other.Exec(t.Context(), "UPDATE idempotency_keys SET claimed_until = "+until)
	require.NoError(t, err)
	require.NoError(t, other.Commit(t.Context()))
	require.Equal(t, held, (<-result).Claim == "")
}

// Proves that a claim waits for one that is not committed yet, and gets the key
// if that one comes to nothing.
func TestClaimBehindAnotherWriter(t *testing.T) {
	for name, end := range map[string]bool{"committed": true, "rolled back": false} {
		t.Run(name, func(t *testing.T) {
			keys, pool := newKeys(t)
			other := begin(t, pool, `INSERT INTO idempotency_keys (caller, key, fingerprint, patch_id, run_id)
				VALUES ('me', 'k', decode(repeat('01', 32), 'hex'), 'theirs', 'r')`)
			result := make(chan ports.IdempotencyKey, 1)
			go func() {
				key, err := keys.Claim(t.Context(), newClaim("k"))
				if err != nil {
					t.Error(err)
				}
				result <- key
			}()
			awaitLockWait(t, pool)
			if end {
				require.NoError(t, other.Commit(t.Context()))
			} else {
				require.NoError(t, other.Rollback(t.Context()))
			}
			key := <-result
			require.Equal(t, end, key.Settled())
			require.Equal(t, end, key.Claim == "")
		})
	}
}

// Proves that a claim whose reply was lost is nobody's until its lease ends.
func TestClaimReplyLost(t *testing.T) {
	location := stacktest.Database(t)
	pool := open(t, location)
	direct := postgres.NewIdempotencyKeys(pool)
	proxy, through := newLossyProxy(t, location)
	keys := postgres.NewIdempotencyKeys(open(t, through))
	proxy.spared.Store(1) // the look for the key
	proxy.armed.Store(true)
	_, err := keys.Claim(t.Context(), newClaim("k"))
	requireUnknown(t, err)
	requireHeld(t, claim(t, direct, newClaim("k")))
	execute(t, pool, "UPDATE idempotency_keys SET claimed_until = now()")
	require.NotEmpty(t, claim(t, direct, newClaim("k")).Claim)
}

// Proves that of several runs that settle a key, and of several results, exactly
// one is kept, whole.
func TestSettleAndKeepResultAtOnce(t *testing.T) {
	keys, _ := newKeys(t)
	claim(t, keys, newClaim("k"))
	for _, err := range atOnce(20, func(i int) error {
		return keys.Settle(t.Context(), ports.SettleInput{Caller: "me", Key: "k", PatchID: fmt.Sprintf("p%d", i), RunID: fmt.Sprintf("r%d", i)})
	}) {
		require.NoError(t, err)
	}
	settled := claim(t, keys, newClaim("k"))
	require.Equal(t, strings.TrimPrefix(settled.PatchID, "p"), strings.TrimPrefix(settled.RunID, "r"))
	for _, err := range atOnce(20, func(i int) error {
		return keys.KeepResult(t.Context(), "me", "k", fmt.Appendf(nil, `{"n":%d}`, i))
	}) {
		require.NoError(t, err)
	}
	kept := claim(t, keys, newClaim("k")).Result
	require.NoError(t, keys.KeepResult(t.Context(), "me", "k", []byte(`{"n":99}`)))
	require.Equal(t, kept, claim(t, keys, newClaim("k")).Result)
}

// Proves that a key that is gone stays so, whatever is noted of it.
func TestKeysThatAreGone(t *testing.T) {
	keys, pool := newKeys(t)
	settle(t, keys, "p", "r")
	require.NoError(t, keys.KeepResult(t.Context(), "me", "k", []byte("{}")))
	require.NoError(t, keys.Release(t.Context(), "me", "k", "c"))
	require.Zero(t, count(t, pool, "idempotency_keys"))
}

// Proves that pruning takes the oldest keys first, at most so many, none that is
// not older than the instant, and passes over one that somebody works on.
func TestPruneKeys(t *testing.T) {
	keys, pool := newKeys(t)
	for n := range 10 {
		claim(t, keys, newClaim(fmt.Sprintf("k%d", n)))
		execute(t, pool, "UPDATE idempotency_keys SET created_at = $1 WHERE key = $2", at(n), fmt.Sprintf("k%d", n))
	}
	prune := func(limit int) int {
		pruned, err := keys.Prune(t.Context(), at(8), limit)
		require.NoError(t, err)
		return pruned
	}
	left := func() (names string) {
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT string_agg(key, ' ' ORDER BY key) FROM idempotency_keys").Scan(&names))
		return names
	}
	require.Equal(t, 3, prune(3))
	require.Equal(t, "k3 k4 k5 k6 k7 k8 k9", left())
	other := begin(t, pool, "UPDATE idempotency_keys SET run_id = 'r', claim = NULL, claimed_until = NULL WHERE key = 'k4'")
	require.Equal(t, 4, prune(100))
	require.Equal(t, "k4 k8 k9", left())
	require.NoError(t, other.Commit(t.Context()))
	require.Equal(t, 1, prune(100))
	require.Zero(t, prune(100))
	require.Equal(t, "k8 k9", left())
	require.NotEmpty(t, claim(t, keys, newClaim("k0")).Claim, "a key that was pruned is new")
}

// Proves that pruners at work together take every key once.
func TestPruneAtOnce(t *testing.T) {
	keys, pool := newKeys(t)
	execute(t, pool, `INSERT INTO idempotency_keys (caller, key, fingerprint, patch_id, created_at)
		SELECT 'me', n::text, decode(repeat('01', 32), 'hex'), 'p', now() - interval '1 day' FROM generate_series(1, 1000) AS n`)
	pruned := make([]int, 8)
	for _, err := range atOnce(len(pruned), func(i int) (err error) {
		pruned[i], err = keys.Prune(t.Context(), time.Now(), 100)
		return err
	}) {
		require.NoError(t, err)
	}
	sum := 0
	for _, n := range pruned {
		require.LessOrEqual(t, n, 100)
		sum += n
	}
	require.Positive(t, sum)
	require.Equal(t, 1000-sum, count(t, pool, "idempotency_keys"))
}

// Proves that what cannot be noted is called invalid, with its reason, and that
// no key is left by it.
func TestKeyInvalidInput(t *testing.T) {
	keys, pool := newKeys(t)
	const nul, mangled = "a\x00b", "a\xffb"
	for name, change := range map[string]func(*ports.ClaimInput){
		"caller":          func(in *ports.ClaimInput) { in.Caller = " " },
		"caller nul":      func(in *ports.ClaimInput) { in.Caller = nul },
		"caller too long": func(in *ports.ClaimInput) { in.Caller = strings.Repeat("c", 257) },
		"no key":          func(in *ports.ClaimInput) { in.Key = "" },
		"key nul":         func(in *ports.ClaimInput) { in.Key = nul },
		"key mangled":     func(in *ports.ClaimInput) { in.Key = mangled },
		"key too long":    func(in *ports.ClaimInput) { in.Key = strings.Repeat("k", 256) },
		"fingerprint":     func(in *ports.ClaimInput) { in.Fingerprint = in.Fingerprint[1:] },
		"patch":           func(in *ports.ClaimInput) { in.PatchID = "" },
		"patch nul":       func(in *ports.ClaimInput) { in.PatchID = nul },
		"lease":           func(in *ports.ClaimInput) { in.Lease = 0 },
	} {
		input := newClaim("k")
		change(&input)
		_, err := keys.Claim(t.Context(), input)
		require.ErrorIs(t, err, ports.ErrInvalidInput, name)
	}
	require.Zero(t, count(t, pool, "idempotency_keys"))

	_, pruneErr := keys.Prune(t.Context(), moment, 0)
	for name, err := range map[string]error{
		"settle run":   keys.Settle(t.Context(), ports.SettleInput{Caller: "me", Key: "k", PatchID: "p"}),
		"settle patch": keys.Settle(t.Context(), ports.SettleInput{Caller: "me", Key: "k", RunID: "r"}),
		"settle nul":   keys.Settle(t.Context(), ports.SettleInput{Caller: "me", Key: nul, PatchID: "p", RunID: "r"}),
		"release":      keys.Release(t.Context(), "me", "k", nul),
		"result key":   keys.KeepResult(t.Context(), mangled, "k", []byte("{}")),
		"no result":    keys.KeepResult(t.Context(), "me", "k", nil),
		"not JSON":     keys.KeepResult(t.Context(), "me", "k", []byte("{")),
		"prune limit":  pruneErr,
	} {
		require.ErrorIs(t, err, ports.ErrInvalidInput, name)
	}
}

// Proves that JSON which Postgres cannot keep is invalid input too.
func TestKeepResultRefusedBySchema(t *testing.T) {
	keys, _ := newKeys(t)
	claim(t, keys, newClaim("k"))
	settle(t, keys, "p", "r")
	require.ErrorIs(t, keys.KeepResult(t.Context(), "me", "k", []byte(`{"a":"\u0000"}`)), ports.ErrInvalidInput)
}
