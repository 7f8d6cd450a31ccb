package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

const patchesPath = "/api/v1/internal/patches/"

func patchPath(patchID string) string { return patchesPath + patchID }

// PatchRuntime starts or joins a patch and waits for it as long as the caller
// prefers: 200 when it succeeded, 202 when it is still open, otherwise the
// problem of its code. A dry run answers the plan.
func (server *Server) PatchRuntime(
	ctx context.Context, request contract.PatchRuntimeRequestObject,
) (contract.PatchRuntimeResponseObject, error) {
	a, problem := askedPatch(ctx, request)
	if problem != nil {
		return nil, problem
	}
	told, err := server.patch(ctx, a)
	switch {
	case err != nil:
		return nil, err
	case told.accepted != nil:
		return contract.PatchRuntime202JSONResponse{PatchAcceptedJSONResponse: *told.accepted}, nil
	}
	answer, err := told.answer()
	return contract.PatchRuntime200JSONResponse{
		Body: answer, Headers: contract.PatchRuntime200ResponseHeaders{PreferenceApplied: told.applied},
	}, err
}

// RollbackRuntime is PatchRuntime to a version that is looked up.
func (server *Server) RollbackRuntime(
	ctx context.Context, request contract.RollbackRuntimeRequestObject,
) (contract.RollbackRuntimeResponseObject, error) {
	a, problem := askedRollback(ctx, request)
	if problem != nil {
		return nil, problem
	}
	told, err := server.patch(ctx, a)
	switch {
	case err != nil:
		return nil, err
	case told.accepted != nil:
		return contract.RollbackRuntime202JSONResponse{PatchAcceptedJSONResponse: *told.accepted}, nil
	}
	answer, err := told.answer()
	return contract.RollbackRuntime200JSONResponse{
		Body: answer, Headers: contract.RollbackRuntime200ResponseHeaders{PreferenceApplied: told.applied},
	}, err
}

// patchTold is the answer to a request for a patch: one of plan, closed and
// accepted.
type patchTold struct {
	plan     *contract.PatchPlan
	closed   *contract.Patch
	accepted *contract.PatchAcceptedJSONResponse
	applied  *string
}

// answer is the body of a 200.
func (told patchTold) answer() (answer contract.PatchAnswer, err error) {
	if told.plan != nil {
		err = answer.FromPatchPlan(*told.plan)
	} else {
		err = answer.FromPatch(*told.closed)
	}
	if err != nil {
		return answer, fmt.Errorf("encode an answer: %w", err)
	}
	return answer, nil
}

// patch does what was asked for and waits as long as the caller prefers.
func (server *Server) patch(ctx context.Context, a asked) (patchTold, error) {
	if a.dryRun {
		return server.planned(ctx, a)
	}
	started, err := server.begin(ctx, a, callerOf(ctx).Name)
	if err != nil {
		return patchTold{}, err
	}
	if started.result != nil {
		about(ctx, started.handle)
		return server.concluded(started.handle, *started.result, nil)
	}
	return server.outcome(ctx, a, started.handle)
}

// outcome waits for the end of a run as long as the caller prefers.
func (server *Server) outcome(ctx context.Context, a asked, handle patch.Handle) (patchTold, error) {
	about(ctx, handle)
	caller := callerOf(ctx).Name
	wait, applied, done := server.patience(preferenceOf(a.prefer))
	defer done()
	if wait == 0 {
		return server.accepted(a.open(handle), applied), nil
	}
	result, err := server.await(ctx, handle, wait)
	switch reason, refused := errors.AsType[*patch.Refusal](err); {
	case err == nil:
		server.keep(ctx, a, caller, result)
		return server.concluded(handle, result, applied)
	case refused && reason.Code != patch.CodeServiceUnavailable:
		return patchTold{}, told(reason).of(handle)
	case errors.Is(err, patch.ErrNotFound):
		return server.forgotten(ctx, a, caller, handle)
	default:
		// Whatever keeps us from seeing its end, the patch goes on: the
		// truth is that it was accepted and where to look for it.
		return server.accepted(a.open(handle), applied), nil
	}
}

// forgotten is the answer for a key whose run Temporal has forgotten: any run
// of the patch that left an audit row tells how it ended.
func (server *Server) forgotten(ctx context.Context, a asked, caller string, handle patch.Handle) (patchTold, error) {
	view, err := server.look(ctx, handle.PatchID)
	if err != nil {
		return patchTold{}, patcherFault("look at the patch", err).of(handle)
	}
	if view.Result == nil {
		return server.accepted(a.open(view.Handle), nil), nil
	}
	server.keep(ctx, a, caller, *view.Result)
	return server.concluded(view.Handle, *view.Result, nil)
}

// planned is the answer to a dry run.
func (server *Server) planned(ctx context.Context, a asked) (patchTold, error) {
	request, err := server.target(ctx, a)
	if err != nil {
		return patchTold{}, err
	}
	plan, err := server.plan(ctx, request)
	if err != nil {
		return patchTold{}, err
	}
	return patchTold{plan: &plan}, nil
}

// concluded tells how the patch ended.
func (server *Server) concluded(handle patch.Handle, result patch.Result, applied *string) (patchTold, error) {
	handle = handleOf(handle, result)
	if !result.IsSuccess() {
		p := told(&patch.Refusal{Code: result.Code, Message: result.Message, Field: result.Field}).of(handle)
		p.Undo = undoOf(result.Undo)
		return patchTold{}, p
	}
	closed := server.linked(closedPatch(handle, result))
	return patchTold{closed: &closed, applied: applied}, nil
}

// accepted tells that the patch is under way and where to look for it.
func (server *Server) accepted(open contract.Patch, applied *string) patchTold {
	location, retryAfter := patchPath(open.PatchID), retryAccepted
	return patchTold{accepted: &contract.PatchAcceptedJSONResponse{
		Body: server.linked(open),
		Headers: contract.PatchAcceptedResponseHeaders{
			Location: &location, RetryAfter: &retryAfter, PreferenceApplied: applied,
		},
	}}
}

// patience returns how long a caller may wait. While as many wait as may, that
// is not at all. The caller is done when done was called.
func (server *Server) patience(preferred preference) (wait time.Duration, applied *string, done func()) {
	if preferred.applied != "" {
		applied = &preferred.applied
	}
	if preferred.wait == 0 {
		return 0, applied, func() {}
	}
	if done = server.takeWaiting(); done == nil {
		return 0, nil, func() {}
	}
	return preferred.wait, applied, done
}

// takeWaiting makes room for a caller who waits, until done is called; nil when
// there is none.
func (server *Server) takeWaiting() (done func()) {
	select {
	case server.waiting <- struct{}{}:
		return func() { <-server.waiting }
	default:
		return nil
	}
}

// await waits for the end of the run: until wait has passed, the client is gone
// or the server drains. An error that has another cause is logged.
func (server *Server) await(ctx context.Context, handle patch.Handle, wait time.Duration) (patch.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	unhook := context.AfterFunc(server.stopping, cancel)
	defer unhook()
	result, err := server.patcher.Await(ctx, handle)
	if err != nil && ctx.Err() == nil && !errors.Is(err, patch.ErrStillOpen) {
		server.logger.LogAttrs(ctx, slog.LevelWarn, "dependency failed",
			slog.String("patch_id", handle.PatchID), slog.String("err", "await patch: "+err.Error()))
	}
	return result, err
}

// GetPatch answers a patch as it stands.
func (server *Server) GetPatch(
	ctx context.Context, request contract.GetPatchRequestObject,
) (contract.GetPatchResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	view, err := server.patcher.Look(ctx, request.PatchID)
	if err != nil {
		return nil, patcherFault("look at the patch", err)
	}
	if view.Result != nil {
		told := closedPatch(view.Handle, *view.Result)
		told.Actor = view.Actor
		return contract.GetPatch200JSONResponse{Body: server.linked(told)}, nil
	}
	return contract.GetPatch200JSONResponse{Body: server.linked(lookedAt(view))}, nil
}

// ListPatches answers a page of patches, newest first: open ones as Temporal
// lists them, closed ones from the audit log.
func (server *Server) ListPatches(
	ctx context.Context, request contract.ListPatchesRequestObject,
) (contract.ListPatchesResponseObject, error) {
	params := request.Params
	if params.GameID != "" && !callerOf(ctx).MaySee(params.GameID) {
		return nil, forbiddenGame()
	}
	if params.State != contract.StateClosed {
		return server.listOpen(ctx, params)
	}
	rows, next, err := server.operationRows(ctx, ports.OperationPageInput{GameID: params.GameID}, params.Cursor, params.Limit)
	if err != nil {
		return nil, err
	}
	return contract.ListPatches200JSONResponse{Body: contract.PatchPage{Patches: each(rows, server.patchOfEntry), NextCursor: next}}, nil
}

// patchOfEntry tells a closed patch by its audit row.
func (server *Server) patchOfEntry(entry operation.OperationEntry) contract.Patch {
	result := patch.ResultOf(entry)
	told := closedPatch(patch.Handle{
		PatchID: result.PatchID, GameID: result.GameID, WorkflowID: result.WorkflowID, RunID: result.RunID,
	}, result)
	told.Actor = entry.Actor
	return server.linked(told)
}

func (server *Server) listOpen(ctx context.Context, params contract.ListPatchesParams) (contract.ListPatchesResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	place, problem := placeOf(params.Cursor, listOpen, pageToken)
	if problem != nil {
		return nil, problem
	}
	query := patch.OpenQuery{GameID: params.GameID, GamePrefixes: callerOf(ctx).Games, Limit: pageSize(params.Limit)}
	if place != nil {
		query.PageToken = place.Page
	}
	open, err := server.patcher.ListOpen(ctx, query)
	if err != nil {
		return nil, patcherFault("list the open patches", err)
	}
	page := contract.PatchPage{Patches: each(open.Patches, server.patchOfOpen)}
	if len(open.NextPageToken) > 0 {
		page.NextCursor = encodeCursor(cursor{Page: open.NextPageToken, List: listOpen})
	}
	return contract.ListPatches200JSONResponse{Body: page}, nil
}

func (server *Server) patchOfOpen(open patch.Open) contract.Patch {
	told := openPatch(open.Handle, nil)
	told.Phase, told.To = string(open.Phase), contract.Image{Version: open.Version}
	return server.linked(listed(told, open))
}

// listed adds what a list knows of an open patch, and its run does not tell.
func listed(told contract.Patch, open patch.Open) contract.Patch {
	told.Actor, told.StartedAt, told.Mode = open.Actor, open.StartedAt, contract.ReconcileMode(open.Mode)
	if open.Reconciles {
		told.Kind = string(operation.OpKindReconcile)
	}
	return told
}

// lookedAt tells an open patch as it stands.
func lookedAt(view patch.View) contract.Patch {
	told := openPatch(view.Handle, view.State)
	if view.Open != nil {
		told = listed(told, *view.Open)
	}
	return told
}
