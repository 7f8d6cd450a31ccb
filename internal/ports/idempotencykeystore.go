package ports

import (
	"context"
	"errors"
	"fmt"
	"time"
)

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_idempotencykeystore.go -package=mocks galaxy/gamemaster/internal/ports IdempotencyKeyStore

// IdempotencyKeyStore keeps what each Idempotency-Key of each caller stands
// for. A key is claimed before its patch is started, by one request at a time;
// once the run is known it is settled for good.
type IdempotencyKeyStore interface {
	// Claim notes the key with its request, or finds it. Of requests that come
	// at once one is told Claimed; the others find what that one has made of
	// the key so far. A claim that was neither settled nor released within its
	// lease, because its process died, goes to the next request of the same
	// fingerprint, with the patch id that was noted first. Times are those of
	// the database, so that callers' clocks need not agree.
	Claim(ctx context.Context, input ClaimInput) (IdempotencyKey, error)

	// Settle notes the run that the key stands for; the first one stays. A key
	// that is gone is left so. With a claim it is [ErrClaimLost] when the key
	// stands for anything else afterwards.
	Settle(ctx context.Context, input SettleInput) error

	// Release forgets a key whose claim came to no run, so that it is as good as
	// new. A claim that is another's by now, or settled, is left alone.
	Release(ctx context.Context, caller, key, claim string) error

	// KeepResult notes how the run ended, as JSON; the first result stays. A key
	// that is gone, or not settled, is left so.
	KeepResult(ctx context.Context, caller, key string, result []byte) error

	// Prune removes at most limit keys that were noted before the instant, and
	// returns how many.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// ClaimInput is a request that came with a key.
type ClaimInput struct {
	// Caller is who sent it; keys of different callers are different keys.
	Caller string
	// Key is the Idempotency-Key; 1 to 255 bytes.
	Key string
	// Fingerprint stands for everything that the request asks for; 32 bytes.
	Fingerprint []byte
	// PatchID becomes the key's patch, if the key is new.
	PatchID string
	// Lease is how long the claim keeps others from starting the patch.
	Lease time.Duration
}

// Validate reports the first reason why the key cannot be claimed.
func (input ClaimInput) Validate() error {
	const op = "claim idempotency key"
	const fingerprint, maxKey = 32, 255
	switch {
	case blank(input.Caller):
		return errors.New(op + ": caller must not be empty")
	case input.Key == "" || len(input.Key) > maxKey:
		return fmt.Errorf("%s: key is %d bytes long, want 1 to %d", op, len(input.Key), maxKey)
	case len(input.Fingerprint) != fingerprint:
		return fmt.Errorf("%s: fingerprint is %d bytes long, want %d", op, len(input.Fingerprint), fingerprint)
	case blank(input.PatchID):
		return errors.New(op + ": patch id must not be empty")
	case input.Lease <= 0:
		return fmt.Errorf("%s: lease is %s, want more than nothing", op, input.Lease)
	}
	return nil
}

// ErrClaimLost says that a key was not settled under a claim: the claim is over,
// or the key stands for another run by now.
var ErrClaimLost = errors.New("the claim of the idempotency key is lost")

// SettleInput names the run that a key stands for.
type SettleInput struct {
	Caller, Key string
	// Claim is the claim under which that was found out. Empty is any, for a run
	// that carries the key's own patch out: it can be no other.
	Claim string
	// PatchID and RunID are those of the run that carries the request out; of a
	// request that joined, they are the other one's.
	PatchID, RunID string
}

// Validate reports the first reason why the key cannot be settled.
func (input SettleInput) Validate() error {
	const op = "settle idempotency key"
	switch {
	case blank(input.PatchID):
		return errors.New(op + ": patch id must not be empty")
	case blank(input.RunID):
		return errors.New(op + ": run id must not be empty")
	}
	return nil
}

// IdempotencyKey is what is known of a key.
type IdempotencyKey struct {
	// Fingerprint is that of the request that came first.
	Fingerprint []byte
	// PatchID is the patch that the key stands for, or is to stand for.
	PatchID string
	// RunID is empty until the key is settled.
	RunID string
	// Result is how the run ended, as JSON; nil while that is not noted.
	Result []byte
	// Claim names the claim of this request; empty when it has none: the key is
	// settled, the fingerprint is another, or another request holds the claim.
	Claim string
	// ClaimedFor is how long another request may hold the claim yet; zero
	// unless one does.
	ClaimedFor time.Duration
}

// Settled reports whether the run is known.
func (key IdempotencyKey) Settled() bool { return key.RunID != "" }
