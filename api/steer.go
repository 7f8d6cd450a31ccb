package api

import (
	"context"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/patch"
)

// CancelPatch asks an open patch to stop.
func (server *Server) CancelPatch(
	ctx context.Context, request contract.CancelPatchRequestObject,
) (contract.CancelPatchResponseObject, error) {
	reason := ""
	if request.Body != nil {
		reason = request.Body.Reason
	}
	taken, err := server.steer(ctx, steering{"cancel the patch", server.patcher.Cancel}, request.PatchID, reason)
	return contract.CancelPatch202JSONResponse{PatchAcceptedJSONResponse: taken}, err
}

// RetryPatch has a patch that waits for an operator try again.
func (server *Server) RetryPatch(
	ctx context.Context, request contract.RetryPatchRequestObject,
) (contract.RetryPatchResponseObject, error) {
	taken, err := server.steer(ctx, steering{"retry the patch", server.patcher.Retry}, request.PatchID, request.Body.Reason)
	return contract.RetryPatch202JSONResponse{PatchAcceptedJSONResponse: taken}, err
}

// AbandonPatch has a patch that waits for an operator end as it stands.
func (server *Server) AbandonPatch(
	ctx context.Context, request contract.AbandonPatchRequestObject,
) (contract.AbandonPatchResponseObject, error) {
	taken, err := server.steer(ctx, steering{"abandon the patch", server.patcher.Abandon}, request.PatchID, request.Body.Reason)
	return contract.AbandonPatch202JSONResponse{PatchAcceptedJSONResponse: taken}, err
}

// steering is one way to steer an open patch.
type steering struct {
	doing   string
	command func(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error)
}

// steer gives a patch a command of the caller's, and answers where to look for
// what comes of it. Who commands is the one who was let in, never somebody whom
// the body names.
func (server *Server) steer(ctx context.Context, way steering, patchID, reason string) (contract.PatchAcceptedJSONResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	handle, err := way.command(ctx, patchID, patch.Command{Actor: callerOf(ctx).Name, Reason: reason})
	if err != nil {
		p := patcherFault(way.doing, err)
		p.PatchID = patchID
		return contract.PatchAcceptedJSONResponse{}, p
	}
	return *server.accepted(openPatch(handle, nil), nil).accepted, nil
}
