package api

import (
	"context"
	"errors"
	"time"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

const runtimesPath = "/api/v1/internal/runtimes/"

// reservedGameID is a possible game id that is a path of its own, so that a
// game of that name could not be read.
const reservedGameID = "due"

// RegisterRuntime installs the record of a game, on the image that the registry
// has for its version.
func (server *Server) RegisterRuntime(
	ctx context.Context, request contract.RegisterRuntimeRequestObject,
) (contract.RegisterRuntimeResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	gameID, status := request.Body.GameID, runtime.Status(request.Body.Status)
	switch {
	case gameID == reservedGameID:
		return nil, mend("game_id", "is reserved, want another")
	case !callerOf(ctx).MaySee(gameID):
		return nil, forbiddenGame()
	case status == "":
		status = runtime.StatusStarting
	}
	record, err := server.registrar.Register(ctx, ports.RegisterInput{
		GameID: gameID, EngineVersion: request.Body.EngineVersion, Status: status, Now: time.Now().UTC(),
	})
	switch {
	case errors.Is(err, runtime.ErrConflict):
		return nil, refusal(codeRuntimeExists, "there is a record of this game already; change it, or delete it first")
	case err != nil:
		return nil, versionFault(request.Body.EngineVersion, "register a runtime", err)
	}
	location := runtimesPath + gameID
	return contract.RegisterRuntime201JSONResponse{
		Body:    runtimeOf(record),
		Headers: contract.RegisterRuntime201ResponseHeaders{Location: &location},
	}, nil
}

// ListRuntimes answers a page of the records, newest first.
func (server *Server) ListRuntimes(
	ctx context.Context, request contract.ListRuntimesRequestObject,
) (contract.ListRuntimesResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	place, problem := placeOf(request.Params.Cursor, listRuntimes, timeAndKey)
	if problem != nil {
		return nil, problem
	}
	size := pageSize(request.Params.Limit)
	input := ports.RuntimePageInput{
		Status: runtime.Status(request.Params.Status), GamePrefixes: callerOf(ctx).Games, Limit: size + 1,
	}
	if place != nil {
		input.After = &ports.RuntimePosition{CreatedAt: place.Time, GameID: place.Key}
	}
	records, err := server.runtimePages.PageRuntimes(ctx, input)
	if err != nil {
		return nil, storeFault("list runtimes", err)
	}
	records, more := cut(records, size)
	page := contract.RuntimePage{Runtimes: each(records, runtimeOf)}
	if more {
		last := records[len(records)-1]
		page.NextCursor = encodeCursor(cursor{Time: last.CreatedAt, Key: last.GameID, List: listRuntimes})
	}
	return contract.ListRuntimes200JSONResponse{RuntimePageReadJSONResponse: contract.RuntimePageReadJSONResponse{Body: page}}, nil
}

// ListDueRuntimes answers a page of the running games whose turn is due, the
// longest overdue first.
func (server *Server) ListDueRuntimes(
	ctx context.Context, request contract.ListDueRuntimesRequestObject,
) (contract.ListDueRuntimesResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	place, problem := placeOf(request.Params.Cursor, listDue, timeAndKey)
	if problem != nil {
		return nil, problem
	}
	size, at := pageSize(request.Params.Limit), request.Params.At
	if at.IsZero() {
		if place != nil {
			// Now would be another instant on every page.
			return nil, mend("at", "is required with a cursor, want the instant of the first page")
		}
		at = time.Now()
	}
	input := ports.DuePageInput{At: at.UTC(), GamePrefixes: callerOf(ctx).Games, Limit: size + 1}
	if place != nil {
		input.After = &ports.DuePosition{NextGenerationAt: place.Time, GameID: place.Key}
	}
	records, err := server.runtimePages.PageDueRunning(ctx, input)
	if err != nil {
		return nil, storeFault("list due runtimes", err)
	}
	records, more := cut(records, size)
	page := contract.RuntimePage{Runtimes: each(records, runtimeOf)}
	if more {
		last := records[len(records)-1]
		page.NextCursor = encodeCursor(cursor{Time: *last.NextGenerationAt, Key: last.GameID, List: listDue})
	}
	return contract.ListDueRuntimes200JSONResponse{RuntimePageReadJSONResponse: contract.RuntimePageReadJSONResponse{Body: page}}, nil
}

// GetRuntime answers the record of a game.
func (server *Server) GetRuntime(
	ctx context.Context, request contract.GetRuntimeRequestObject,
) (contract.GetRuntimeResponseObject, error) {
	read, err := server.readRuntime(ctx, request.GameID)
	if err != nil {
		return nil, err
	}
	return contract.GetRuntime200JSONResponse{RuntimeReadJSONResponse: read}, nil
}

// readRuntime reads a record as the contract tells it.
func (server *Server) readRuntime(ctx context.Context, gameID string) (contract.RuntimeReadJSONResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	record, err := server.runtimes.Get(ctx, gameID)
	if err != nil {
		return contract.RuntimeReadJSONResponse{}, storeFault("read a runtime", err)
	}
	return contract.RuntimeReadJSONResponse{Body: runtimeOf(record)}, nil
}

// DeleteRuntime removes the record of a game, if there is one.
func (server *Server) DeleteRuntime(
	ctx context.Context, request contract.DeleteRuntimeRequestObject,
) (contract.DeleteRuntimeResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := server.runtimes.Delete(ctx, request.GameID); err != nil {
		return nil, storeFault("delete a runtime", err)
	}
	return contract.DeleteRuntime204Response{}, nil
}

// UpdateRuntimeStatus moves a game to another status by compare-and-swap, and
// answers the record after it.
func (server *Server) UpdateRuntimeStatus(
	ctx context.Context, request contract.UpdateRuntimeStatusRequestObject,
) (contract.UpdateRuntimeStatusResponseObject, error) {
	input, problem := statusInput(request)
	if problem != nil {
		return nil, problem
	}
	if err := server.update(ctx, func(ctx context.Context) error { return server.runtimes.UpdateStatus(ctx, input) }); err != nil {
		return nil, err
	}
	read, err := server.readChanged(ctx, request.GameID)
	return contract.UpdateRuntimeStatus200JSONResponse{RuntimeReadJSONResponse: read}, err
}

func statusInput(request contract.UpdateRuntimeStatusRequestObject) (ports.UpdateStatusInput, *problem) {
	body := request.Body
	input := ports.UpdateStatusInput{
		GameID: request.GameID, ExpectedFrom: runtime.Status(body.ExpectedFrom), To: runtime.Status(body.To),
		Now: time.Now().UTC(), EngineHealthSummary: body.EngineHealth,
	}
	if err := runtime.Transition(input.ExpectedFrom, input.To); err != nil {
		return input, faulty(codeBadTransition, "to", err.Error())
	}
	switch {
	case body.CurrentImageRef == "" && body.CurrentEngineVersion == "":
		return input, nil
	case body.CurrentImageRef == "":
		return input, mend("current_image_ref", "is required beside current_engine_version")
	case body.CurrentEngineVersion == "":
		return input, mend("current_engine_version", "is required beside current_image_ref")
	}
	if err := engineversion.CheckImageRef(body.CurrentImageRef); err != nil {
		return input, mend("current_image_ref", err.Error())
	}
	input.CurrentImageRef, input.CurrentEngineVersion = &body.CurrentImageRef, &body.CurrentEngineVersion
	return input, nil
}

// UpdateRuntimeScheduling overwrites the three scheduling columns.
func (server *Server) UpdateRuntimeScheduling(
	ctx context.Context, request contract.UpdateRuntimeSchedulingRequestObject,
) (contract.UpdateRuntimeSchedulingResponseObject, error) {
	err := server.update(ctx, func(ctx context.Context) error {
		return server.runtimes.UpdateScheduling(ctx, ports.UpdateSchedulingInput{
			GameID: request.GameID, NextGenerationAt: request.Body.NextGenerationAt,
			SkipNextTick: request.Body.SkipNextTick, CurrentTurn: int(request.Body.CurrentTurn), Now: time.Now().UTC(),
		})
	})
	if err != nil {
		return nil, err
	}
	read, err := server.readChanged(ctx, request.GameID)
	return contract.UpdateRuntimeScheduling200JSONResponse{RuntimeReadJSONResponse: read}, err
}

// UpdateRuntimeEngineHealth overwrites the health summary.
func (server *Server) UpdateRuntimeEngineHealth(
	ctx context.Context, request contract.UpdateRuntimeEngineHealthRequestObject,
) (contract.UpdateRuntimeEngineHealthResponseObject, error) {
	err := server.update(ctx, func(ctx context.Context) error {
		return server.runtimes.UpdateEngineHealth(ctx, ports.UpdateEngineHealthInput{
			GameID: request.GameID, EngineHealthSummary: request.Body.EngineHealth, Now: time.Now().UTC(),
		})
	})
	if err != nil {
		return nil, err
	}
	read, err := server.readChanged(ctx, request.GameID)
	return contract.UpdateRuntimeEngineHealth200JSONResponse{RuntimeReadJSONResponse: read}, err
}

// update makes one change of a record within bounded time.
func (server *Server) update(ctx context.Context, change func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := change(ctx)
	switch {
	case errors.Is(err, runtime.ErrConflict):
		return refusal(codeStatusConflict, "the stored status is not expected_from; read the runtime and decide again")
	case errors.Is(err, engineversion.ErrConflict):
		return mend("current_image_ref", "is not the image that the registry has for current_engine_version")
	}
	if err != nil {
		return storeFault("change a runtime", err)
	}
	return nil
}

// readChanged reads a record that was just changed. Should that fail, the answer
// says that the change was made all the same: it is not to be made again.
func (server *Server) readChanged(ctx context.Context, gameID string) (contract.RuntimeReadJSONResponse, error) {
	read, err := server.readRuntime(ctx, gameID)
	return read, changed(err)
}
