package api

import (
	"context"
	"errors"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/ports"
)

// ListDrift answers a page of what the watch found, newest first, and which pass
// of it finished last.
func (server *Server) ListDrift(
	ctx context.Context, request contract.ListDriftRequestObject,
) (contract.ListDriftResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	params := request.Params
	if params.GameID != "" && !callerOf(ctx).MaySee(params.GameID) {
		return nil, forbiddenGame()
	}
	place, problem := placeOf(params.Cursor, listDrift, onlyID)
	if problem != nil {
		return nil, problem
	}
	size := pageSize(params.Limit)
	input := ports.DriftPageInput{
		GameID: params.GameID, Kind: drift.Kind(params.Kind), Resolved: params.Resolved,
		GamePrefixes: callerOf(ctx).Games, Limit: size + 1,
	}
	if place != nil {
		input.BelowID = place.ID
	}
	// The pass before the findings: those of the pass that is told are there then.
	last, err := server.lastPass(ctx)
	if err != nil {
		return nil, err
	}
	found, err := server.drift.PageDrift(ctx, input)
	if err != nil {
		return nil, storeFault("list drift", err)
	}
	rows, more := cut(found, size)
	page := contract.DriftPage{Findings: each(rows, findingOf), LastPass: last}
	if more {
		page.NextCursor = encodeCursor(cursor{ID: rows[len(rows)-1].ID, List: listDrift})
	}
	return contract.ListDrift200JSONResponse{Body: page}, nil
}

// lastPass tells the pass that finished last; nil while none has. What it came
// to is of the whole fleet, and so not told to a caller who is limited to some
// games.
func (server *Server) lastPass(ctx context.Context) (*contract.DriftPass, error) {
	pass, err := server.drift.LastPass(ctx)
	switch {
	case errors.Is(err, drift.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, storeFault("read the last pass", err)
	}
	told := passOf(pass)
	if callerOf(ctx).Limited() {
		told.Counts = nil
	}
	return &told, nil
}
