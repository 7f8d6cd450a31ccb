package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// RegisterRuntime installs the record of a game that has none. It is sent once:
// when its answer is lost, [Client.GetRuntime] tells whether it came through.
//
// Codes: CodeRuntimeExists, CodeEngineVersionNotFound, CodeInvalidRequest.
func (c *Client) RegisterRuntime(ctx context.Context, request RegisterRuntime) (Runtime, error) {
	return ask[Runtime](ctx, c, registerRuntimeCall(request))
}

// ListRuntimes returns a page of runtimes, newest first.
func (c *Client) ListRuntimes(ctx context.Context, params ListRuntimesParams) (RuntimePage, error) {
	return ask[RuntimePage](ctx, c, listRuntimesCall(params))
}

// AllRuntimes walks through the runtimes, newest first, from the page of
// params.Cursor on; params.Limit is the size of a page. An error ends it.
func (c *Client) AllRuntimes(ctx context.Context, params ListRuntimesParams) iter.Seq2[Runtime, error] {
	return pages(params.Cursor, func(cursor string) ([]Runtime, string, error) {
		asked := params
		asked.Cursor = cursor
		page, err := c.ListRuntimes(ctx, asked)
		return page.Runtimes, page.NextCursor, err
	})
}

// ListDueRuntimes returns a page of the running games whose turn is due at
// params.At, the longest overdue first.
func (c *Client) ListDueRuntimes(ctx context.Context, params ListDueRuntimesParams) (RuntimePage, error) {
	return ask[RuntimePage](ctx, c, listDueRuntimesCall(params))
}

// AllDueRuntimes walks through the running games whose turn is due at params.At,
// the longest overdue first. All pages need the same instant; a zero one is this
// machine's time at the first page.
func (c *Client) AllDueRuntimes(ctx context.Context, params ListDueRuntimesParams) iter.Seq2[Runtime, error] {
	return func(yield func(Runtime, error) bool) {
		asked := params
		if asked.At.IsZero() {
			asked.At = time.Now()
		}
		pages(asked.Cursor, func(cursor string) ([]Runtime, string, error) {
			asked.Cursor = cursor
			page, err := c.ListDueRuntimes(ctx, asked)
			return page.Runtimes, page.NextCursor, err
		})(yield)
	}
}

// GetRuntime reads the record of a game.
//
// Codes: CodeRuntimeNotFound.
func (c *Client) GetRuntime(ctx context.Context, gameID string) (Runtime, error) {
	return ask[Runtime](ctx, c, getRuntimeCall(gameID))
}

// DeleteRuntime removes the record of a game, if there is one. Its container is
// left alone.
func (c *Client) DeleteRuntime(ctx context.Context, gameID string) error {
	got, err := c.send(ctx, deleteRuntimeCall(gameID))
	if err == nil && got.status != http.StatusNoContent {
		err = got.wrong(unexpected, nil)
	}
	return err
}

// UpdateRuntimeStatus moves a game from one status to another and returns the
// record after it. It is sent once: sent again after it came through, it would
// be refused with CodeStatusConflict.
//
// Codes: CodeStatusConflict, CodeInvalidTransition, CodeRuntimeNotFound.
func (c *Client) UpdateRuntimeStatus(ctx context.Context, gameID string, update UpdateStatus) (Runtime, error) {
	return ask[Runtime](ctx, c, updateRuntimeStatusCall(gameID, update))
}

// UpdateRuntimeScheduling overwrites when the next turn is due, whether it is
// skipped and how many there were, and returns the record after it.
//
// Codes: CodeRuntimeNotFound.
func (c *Client) UpdateRuntimeScheduling(ctx context.Context, gameID string, scheduling Scheduling) (Runtime, error) {
	return ask[Runtime](ctx, c, updateRuntimeSchedulingCall(gameID, scheduling))
}

// UpdateRuntimeEngineHealth overwrites the health summary, which an empty one
// clears, and returns the record after it.
//
// Codes: CodeRuntimeNotFound.
func (c *Client) UpdateRuntimeEngineHealth(ctx context.Context, gameID, summary string) (Runtime, error) {
	return ask[Runtime](ctx, c, updateRuntimeEngineHealthCall(gameID, EngineHealth{EngineHealth: summary}))
}
