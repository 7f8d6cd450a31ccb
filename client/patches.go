package client

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"strconv"
	"time"
)

// MaxWait is the longest that the API holds an answer back for the end of a
// patch.
const MaxWait = time.Minute

// Previous is the [RollbackRequest] target that the API looks up: what the game
// ran before.
const Previous = "previous"

// PatchOptions say how a patch is asked for. The zero value does for most.
type PatchOptions struct {
	// IdempotencyKey makes a request that is repeated, now or in another process,
	// the same patch. An empty one is a random key, which covers the retries of
	// this one call.
	IdempotencyKey string
	// Wait is how long the answer is held back for the end of the patch, in whole
	// seconds, rounded up, at most [MaxWait]. 0 is answered at once, nil after
	// the API's own 10 seconds at the latest. The http.Client has to be as
	// patient.
	Wait *time.Duration
}

// headers are the options as they are sent.
func (o PatchOptions) headers() (key, prefer string) {
	if key = o.IdempotencyKey; key == "" {
		key = rand.Text()
	}
	return key, preferOf(o.Wait)
}

// preferOf is a wait as it is sent.
func preferOf(wait *time.Duration) string {
	switch {
	case wait == nil:
		return ""
	case *wait <= 0:
		return "respond-async"
	}
	seconds := (min(*wait, MaxWait) + time.Second - 1) / time.Second
	return "wait=" + strconv.Itoa(int(seconds))
}

// errDryRun keeps a request that was meant to touch nothing from being carried
// out, and one that was meant to be carried out from being looked at only.
var errDryRun = errors.New("dry_run: is not for this method, ask for a plan instead")

// Patch moves a running game to another patch of its engine, or joins the open
// patch of the same version. The patch that it returns has succeeded, or is
// still open when its State is StateOpen; [Client.AwaitPatch] waits for its end.
// One that was refused or failed is an [*Error]; with a PatchID in it there is a
// patch to look at.
//
// Codes: CodeRuntimeNotFound, CodeEngineVersionNotFound, CodeRuntimeNotRunning,
// CodeSemverPatchOnly, CodePreconditionFailed, CodePatchInProgress, CodeConflict,
// CodeCancelled, CodeTerminated, CodeIdempotencyKeyReused, CodeServiceUnavailable.
func (c *Client) Patch(ctx context.Context, gameID string, request PatchRequest, options PatchOptions) (Patch, error) {
	if request.DryRun {
		return Patch{}, errDryRun
	}
	key, prefer := options.headers()
	return ask[Patch](ctx, c, patchRuntimeCall(gameID, PatchRuntimeParams{IdempotencyKey: key, Prefer: prefer}, request))
}

// PlanPatch tells what [Client.Patch] would do, and touches nothing. A plan that
// is not allowed is an answer and no error.
func (c *Client) PlanPatch(ctx context.Context, gameID string, request PatchRequest) (PatchPlan, error) {
	request.DryRun = true
	asked := patchRuntimeCall(gameID, PatchRuntimeParams{}, request)
	asked.repeatable = true
	return ask[PatchPlan](ctx, c, asked)
}

// Rollback patches a game back to [Previous] or to a version that is lower than
// the current one. What it returns is as with [Client.Patch].
//
// Codes: those of Patch, and CodeNoPreviousVersion.
func (c *Client) Rollback(ctx context.Context, gameID string, request RollbackRequest, options PatchOptions) (Patch, error) {
	if request.DryRun {
		return Patch{}, errDryRun
	}
	key, prefer := options.headers()
	return ask[Patch](ctx, c, rollbackRuntimeCall(gameID, RollbackRuntimeParams{IdempotencyKey: key, Prefer: prefer}, request))
}

// PlanRollback tells what [Client.Rollback] would do, and touches nothing.
//
// Codes: CodeNoPreviousVersion.
func (c *Client) PlanRollback(ctx context.Context, gameID string, request RollbackRequest) (PatchPlan, error) {
	request.DryRun = true
	asked := rollbackRuntimeCall(gameID, RollbackRuntimeParams{}, request)
	asked.repeatable = true
	return ask[PatchPlan](ctx, c, asked)
}

// GetPatch looks at a patch. That the patch failed is told by its Outcome and
// Code, and no error.
//
// Codes: CodePatchNotFound.
func (c *Client) GetPatch(ctx context.Context, patchID string) (Patch, error) {
	return ask[Patch](ctx, c, getPatchCall(patchID))
}

// GetPatchHistory reads every event of a run of a patch, the latest run's when
// runID is empty; also of a run that Temporal has forgotten. The events are in
// History, as the Temporal SDKs write and read them.
//
// Codes: CodePatchNotFound.
func (c *Client) GetPatchHistory(ctx context.Context, patchID, runID string) (PatchHistory, error) {
	return ask[PatchHistory](ctx, c, getPatchHistoryCall(patchID, GetPatchHistoryParams{RunID: runID}))
}

// CancelPatch asks an open patch to stop and returns it as it stood; an empty
// reason is none. One that has changed the record already goes on to its end.
// When a first answer was lost, CodePatchClosed may mean that it was stopped. One
// that waits for an operator is not stopped: see [Client.RetryPatch] and
// [Client.AbandonPatch].
//
// Codes: CodePatchClosed, CodeInDoubt, CodePatchNotFound.
func (c *Client) CancelPatch(ctx context.Context, patchID, reason string) (Patch, error) {
	asked := cancelPatchCall(patchID, CancelRequest{Reason: reason})
	asked.repeatable = true
	return ask[Patch](ctx, c, asked)
}

// RetryPatch has a patch that waits for an operator try again to bring container
// and record together, and returns it as soon as it has taken that; reason is
// required. Sent twice it may have the patch try twice, which does no harm, so
// that it is sent again when its answer is lost. CodeNotInDoubt or
// CodePatchClosed may then mean that the first one was taken: look at the patch.
//
// Codes: CodeNotInDoubt, CodePatchClosed, CodePatchNotFound.
func (c *Client) RetryPatch(ctx context.Context, patchID, reason string) (Patch, error) {
	asked := retryPatchCall(patchID, OperatorCommand{Reason: reason})
	asked.repeatable = true
	return ask[Patch](ctx, c, asked)
}

// AbandonPatch has a patch that waits for an operator end as the failure that it
// is, with container and record left as they are; reason is required. It is sent
// again when its answer is lost, since it can only end this one patch.
// CodePatchClosed may then mean that the first one was taken.
//
// Codes: CodeNotInDoubt, CodePatchClosed, CodePatchNotFound.
func (c *Client) AbandonPatch(ctx context.Context, patchID, reason string) (Patch, error) {
	asked := abandonPatchCall(patchID, OperatorCommand{Reason: reason})
	asked.repeatable = true
	return ask[Patch](ctx, c, asked)
}

// ListPatches returns a page of patches, newest first: the open ones, unless
// params.State is StateClosed.
func (c *Client) ListPatches(ctx context.Context, params ListPatchesParams) (PatchPage, error) {
	return ask[PatchPage](ctx, c, listPatchesCall(params))
}

// AllPatches walks through the patches of one state, newest first, from the page
// of params.Cursor on; params.Limit is the size of a page. An error ends it.
func (c *Client) AllPatches(ctx context.Context, params ListPatchesParams) iter.Seq2[Patch, error] {
	return pages(params.Cursor, func(cursor string) ([]Patch, string, error) {
		asked := params
		asked.Cursor = cursor
		page, err := c.ListPatches(ctx, asked)
		return page.Patches, page.NextCursor, err
	})
}
