package postgres

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/ports"
)

// IdempotencyKeys implements [ports.IdempotencyKeyStore] on idempotency_keys.
type IdempotencyKeys struct {
	pool *pgxpool.Pool
}

var _ ports.IdempotencyKeyStore = (*IdempotencyKeys)(nil)

// NewIdempotencyKeys returns a store on pool, which the caller keeps and closes.
func NewIdempotencyKeys(pool *pgxpool.Pool) *IdempotencyKeys { return &IdempotencyKeys{pool: pool} }

const keyColumns = `fingerprint, patch_id, run_id, result, coalesce(claim, ''), claimed_until - clock_timestamp()`

var (
	// Most calls find a key that there is nothing to claim of: requests that wait
	// for another one's start, and repeats of what is settled. They write nothing.
	findKey = query[ports.IdempotencyKey]{
		"find idempotency key",
		`SELECT ` + keyColumns + ` FROM idempotency_keys WHERE caller = $1 AND key = $2`,
		scanKey,
	}

	// The key's row is locked before it is judged, so requests that come at once
	// are told one after the other, each of the row as the one before left it.
	// clock_timestamp() and not now(): a request that had to wait began before
	// the claim that it waited for. It is read once, so that claim and
	// claimed_until are of one verdict. What cannot be claimed is written back as
	// it is: that costs less than a second statement, between which and this one
	// the key might be pruned.
	claimKey = query[ports.IdempotencyKey]{
		"claim idempotency key",
		`INSERT INTO idempotency_keys AS k (caller, key, fingerprint, patch_id, claim, claimed_until)
			VALUES ($1, $2, $3, $4, $5, clock_timestamp() + $6::interval)
			ON CONFLICT (caller, key) DO UPDATE SET (claim, claimed_until) = (
				SELECT CASE WHEN free THEN excluded.claim ELSE k.claim END,
					CASE WHEN free THEN instant + $6::interval ELSE k.claimed_until END
				FROM (SELECT clock_timestamp() AS instant) AS clock, LATERAL (
					SELECT k.run_id = '' AND k.fingerprint = excluded.fingerprint
						AND (k.claim IS NULL OR k.claimed_until <= instant) AS free) AS verdict
			)
			RETURNING ` + keyColumns,
		scanKey,
	}

	// Settling again what was settled so changes nothing, and counts as done: its
	// reply may have been lost the first time.
	settleKey = command{
		"settle idempotency key",
		`UPDATE idempotency_keys SET patch_id = $3, run_id = $4, claim = NULL, claimed_until = NULL
			WHERE caller = $1 AND key = $2
				AND (run_id = '' AND (claim = $5 OR $5 = '') OR patch_id = $3 AND run_id = $4)`,
	}

	releaseKey = command{
		"release idempotency key",
		`DELETE FROM idempotency_keys WHERE caller = $1 AND key = $2 AND claim = $3 AND run_id = ''`,
	}

	keepResult = command{
		"keep result of idempotency key",
		`UPDATE idempotency_keys SET result = $3
			WHERE caller = $1 AND key = $2 AND run_id <> '' AND result IS NULL`,
	}

	// Pruners at work together take different keys; a key that is being claimed
	// is left to the next round.
	pruneKeys = command{
		"prune idempotency keys",
		`DELETE FROM idempotency_keys WHERE (caller, key) IN (
			SELECT caller, key FROM idempotency_keys WHERE created_at < $1
			ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
	}
)

// Claim notes the key with its request, or finds it. Of requests that come at
// once exactly one gets a claim, and so when a lease has run out; a key that is
// settled, or is another request's by its fingerprint, is never claimed again.
// After a lost reply the claim is nobody's until its lease ends.
func (s *IdempotencyKeys) Claim(ctx context.Context, input ports.ClaimInput) (ports.IdempotencyKey, error) {
	if err := input.Validate(); err != nil {
		return ports.IdempotencyKey{}, invalid(err)
	}
	if err := checkText(claimKey.op, input.Caller, input.Key, input.PatchID); err != nil {
		return ports.IdempotencyKey{}, err
	}
	found, err := findKey.one(ctx, s.pool, input.Caller, input.Key)
	switch {
	case err == nil && !claimable(found, input):
		return told(found, input), nil
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return ports.IdempotencyKey{}, err
	}
	claim := rand.Text()
	key, err := claimKey.one(ctx, s.pool, input.Caller, input.Key, input.Fingerprint, input.PatchID, claim, input.Lease)
	if err != nil {
		return ports.IdempotencyKey{}, err
	}
	if key.Claim == claim {
		key.ClaimedFor = 0
		return key, nil
	}
	return told(key, input), nil
}

// claimable reports whether the row, as it was when it was read, may be claimed.
func claimable(key ports.IdempotencyKey, input ports.ClaimInput) bool {
	return key.RunID == "" && bytes.Equal(key.Fingerprint, input.Fingerprint) && (key.Claim == "" || key.ClaimedFor <= 0)
}

// told is the row as a request is told of it that got no claim.
func told(key ports.IdempotencyKey, input ports.ClaimInput) ports.IdempotencyKey {
	switch {
	case key.Claim != "" && bytes.Equal(key.Fingerprint, input.Fingerprint):
		// Another's. If its lease ended just after the verdict, it is told as
		// about to end: zero would say that nobody holds the key.
		key.Claim, key.ClaimedFor = "", max(key.ClaimedFor, time.Microsecond)
	default:
		key.Claim, key.ClaimedFor = "", max(key.ClaimedFor, 0)
	}
	return key
}

// Settle notes the run that the key stands for, and ends the claim; the first
// run stays, and a key that is gone is left so: nil in either case without a
// claim, and [ports.ErrClaimLost] with one.
func (s *IdempotencyKeys) Settle(ctx context.Context, input ports.SettleInput) error {
	if err := input.Validate(); err != nil {
		return invalid(err)
	}
	if err := checkText(settleKey.op, input.Caller, input.Key, input.Claim, input.PatchID, input.RunID); err != nil {
		return err
	}
	settled, err := settleKey.run(ctx, s.pool, input.Caller, input.Key, input.PatchID, input.RunID, input.Claim)
	if err == nil && settled == 0 && input.Claim != "" {
		return fmt.Errorf("%s: %w", settleKey.op, ports.ErrClaimLost)
	}
	return err
}

// Release forgets the key, whatever it was for; nil also when the claim is not,
// or no longer, the key's.
func (s *IdempotencyKeys) Release(ctx context.Context, caller, key, claim string) error {
	if err := checkText(releaseKey.op, caller, key, claim); err != nil {
		return err
	}
	_, err := releaseKey.run(ctx, s.pool, caller, key, claim)
	return err
}

// KeepResult notes how the key's run ended. The first result stays, and a key
// that is gone or not settled has no run whose end it could be: nil in either
// case. What comes back from Claim is the same JSON, but not to the letter.
func (s *IdempotencyKeys) KeepResult(ctx context.Context, caller, key string, result []byte) error {
	if err := checkText(keepResult.op, caller, key); err != nil {
		return err
	}
	if !json.Valid(result) {
		return invalid(fmt.Errorf("%s: result is not JSON", keepResult.op))
	}
	_, err := keepResult.run(ctx, s.pool, caller, key, result)
	return err
}

// Prune removes at most limit keys that were noted before the instant, the
// oldest first, and returns how many. It takes settled and claimed ones alike:
// the instant has to be long past every lease. Keys that another call works on
// are passed over, so fewer than limit need not mean that none is left.
func (s *IdempotencyKeys) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit < 1 {
		return 0, invalid(fmt.Errorf("%s: limit is %d, want at least 1", pruneKeys.op, limit))
	}
	pruned, err := pruneKeys.run(ctx, s.pool, stamp(before), limit)
	return int(pruned), err
}

// scanKey leaves the row's claim in Claim, whoever's it is, and what is left of
// its lease in ClaimedFor.
func scanKey(row pgx.CollectableRow) (ports.IdempotencyKey, error) {
	var key ports.IdempotencyKey
	var left *time.Duration
	err := row.Scan(&key.Fingerprint, &key.PatchID, &key.RunID, &key.Result, &key.Claim, &left)
	if left != nil {
		key.ClaimedFor = *left
	}
	return key, err
}
