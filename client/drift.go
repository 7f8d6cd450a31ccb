package client

import (
	"context"
	"iter"
	"time"
)

// ListDrift returns a page of where records and containers differ, newest first:
// the open findings, and with params.Resolved the resolved ones as well. LastPass
// is nil while no pass of the watch has finished, so that nothing was looked for.
func (c *Client) ListDrift(ctx context.Context, params ListDriftParams) (DriftPage, error) {
	return ask[DriftPage](ctx, c, listDriftCall(params))
}

// AllDrift walks through the findings, newest first, from the page of
// params.Cursor on; params.Limit is the size of a page. An error ends it.
func (c *Client) AllDrift(ctx context.Context, params ListDriftParams) iter.Seq2[DriftFinding, error] {
	return pages(params.Cursor, func(cursor string) ([]DriftFinding, string, error) {
		asked := params
		asked.Cursor = cursor
		page, err := c.ListDrift(ctx, asked)
		return page.Findings, page.NextCursor, err
	})
}

// ReconcileOptions say how a reconciliation is asked for. The zero value does for
// most.
type ReconcileOptions struct {
	// Wait is as in [PatchOptions].
	Wait *time.Duration
}

// Reconcile brings a game's record and container together: with ModeEnforce the
// container follows the record, with ModeAdopt the record the container. It joins
// the open reconciliation of the same mode. The patch that it returns has
// succeeded, or is still open when its State is StateOpen; [Client.AwaitPatch]
// waits for its end. One that was refused or failed is an [*Error].
//
// It carries no Idempotency-Key and is sent again when its answer is lost: the
// second request joins the first one's run, or finds nothing left to do.
//
// Codes: CodeRuntimeNotFound, CodeEngineVersionNotFound, CodeRuntimeNotRunning,
// CodePatchInProgress, CodeConflict, CodeCancelled, CodeTerminated,
// CodeServiceUnavailable.
func (c *Client) Reconcile(ctx context.Context, gameID string, request ReconcileRequest, options ReconcileOptions) (Patch, error) {
	asked := reconcileRuntimeCall(gameID, ReconcileRuntimeParams{Prefer: preferOf(options.Wait)}, request)
	asked.repeatable = true
	return ask[Patch](ctx, c, asked)
}
