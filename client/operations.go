package client

import (
	"context"
	"iter"
)

// ListOperations returns a page of the audit log, newest first.
func (c *Client) ListOperations(ctx context.Context, params ListOperationsParams) (OperationPage, error) {
	return ask[OperationPage](ctx, c, listOperationsCall(params))
}

// AllOperations walks through the audit log, newest first, from the page of
// params.Cursor on; params.Limit is the size of a page. An error ends it.
func (c *Client) AllOperations(ctx context.Context, params ListOperationsParams) iter.Seq2[Operation, error] {
	return pages(params.Cursor, func(cursor string) ([]Operation, string, error) {
		asked := params
		asked.Cursor = cursor
		page, err := c.ListOperations(ctx, asked)
		return page.Operations, page.NextCursor, err
	})
}

// ListRuntimeOperations returns a page of a game's audit rows, newest first, also
// of a game that has no record any more.
func (c *Client) ListRuntimeOperations(ctx context.Context, gameID string, params ListRuntimeOperationsParams) (OperationPage, error) {
	return ask[OperationPage](ctx, c, listRuntimeOperationsCall(gameID, params))
}

// AllRuntimeOperations walks through a game's audit rows, newest first. An error
// ends it.
func (c *Client) AllRuntimeOperations(ctx context.Context, gameID string, params ListRuntimeOperationsParams) iter.Seq2[Operation, error] {
	return pages(params.Cursor, func(cursor string) ([]Operation, string, error) {
		asked := params
		asked.Cursor = cursor
		page, err := c.ListRuntimeOperations(ctx, gameID, asked)
		return page.Operations, page.NextCursor, err
	})
}
