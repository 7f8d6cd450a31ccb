package api

import (
	"context"
	"time"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/ports"
)

// ListRuntimeOperations answers a page of a game's audit rows, newest first.
func (server *Server) ListRuntimeOperations(
	ctx context.Context, request contract.ListRuntimeOperationsRequestObject,
) (contract.ListRuntimeOperationsResponseObject, error) {
	page, err := server.pageOperations(ctx, ports.OperationPageInput{GameID: request.GameID},
		request.Params.Cursor, request.Params.Limit)
	return contract.ListRuntimeOperations200JSONResponse{OperationPageReadJSONResponse: page}, err
}

// ListOperations answers a page of all games' audit rows, newest first.
func (server *Server) ListOperations(
	ctx context.Context, request contract.ListOperationsRequestObject,
) (contract.ListOperationsResponseObject, error) {
	params := request.Params
	input := ports.OperationPageInput{
		Outcome: operation.Outcome(params.Outcome), ErrorCode: params.ErrorCode,
		Since: instant(params.Since), Until: instant(params.Until),
	}
	if input.Since != nil && input.Until != nil && !input.Since.Before(*input.Until) {
		return nil, mend("until", "want an instant after since")
	}
	page, err := server.pageOperations(ctx, input, params.Cursor, params.Limit)
	return contract.ListOperations200JSONResponse{OperationPageReadJSONResponse: page}, err
}

// instant is nil for a time that was not given.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	utc := t.UTC()
	return &utc
}

func (server *Server) pageOperations(
	ctx context.Context, input ports.OperationPageInput, cursor string, limit int,
) (contract.OperationPageReadJSONResponse, error) {
	entries, next, err := server.operationRows(ctx, input, cursor, limit)
	return contract.OperationPageReadJSONResponse{
		Body: contract.OperationPage{Operations: each(entries, operationOf), NextCursor: next},
	}, err
}

// operationRows reads a page of the audit log and the cursor of the next one.
func (server *Server) operationRows(
	ctx context.Context, input ports.OperationPageInput, after string, limit int,
) (rows []operation.OperationEntry, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	place, problem := placeOf(after, listOperations, timeAndID)
	if problem != nil {
		return nil, "", problem
	}
	size := pageSize(limit)
	input.GamePrefixes, input.Limit = callerOf(ctx).Games, size+1
	if place != nil {
		input.After = &ports.OperationPosition{StartedAt: place.Time, ID: place.ID}
	}
	entries, err := server.operations.PageOperations(ctx, input)
	if err != nil {
		return nil, "", storeFault("list operations", err)
	}
	rows, more := cut(entries, size)
	if more {
		last := rows[len(rows)-1]
		next = encodeCursor(cursor{Time: last.StartedAt, ID: last.ID, List: listOperations})
	}
	return rows, next, nil
}
