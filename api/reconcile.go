package api

import (
	"context"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// ReconcileRuntime starts or joins a reconciliation and waits for it as long as
// the caller prefers, as PatchRuntime does.
//
// It takes no Idempotency-Key: a request that is sent again joins the run that is
// open, or has record and container looked at anew, with nothing left to do.
func (server *Server) ReconcileRuntime(
	ctx context.Context, request contract.ReconcileRuntimeRequestObject,
) (contract.ReconcileRuntimeResponseObject, error) {
	handle, err := server.reconcile(ctx, askedReconcile(ctx, request))
	if err != nil {
		return nil, err
	}
	a := asked{mode: patch.Mode(request.Body.Mode), prefer: request.Params.Prefer}
	told, err := server.outcome(ctx, a, handle)
	switch {
	case err != nil:
		return nil, err
	case told.accepted != nil:
		return contract.ReconcileRuntime202JSONResponse{PatchAcceptedJSONResponse: *told.accepted}, nil
	}
	return contract.ReconcileRuntime200JSONResponse{
		Body: *told.closed, Headers: contract.ReconcileRuntime200ResponseHeaders{PreferenceApplied: told.applied},
	}, nil
}

// askedReconcile reads a request for a reconciliation.
func askedReconcile(ctx context.Context, request contract.ReconcileRuntimeRequestObject) patch.ReconcileRequest {
	body := request.Body
	return patch.ReconcileRequest{
		PatchID:   patch.NewID(request.GameID),
		GameID:    request.GameID,
		Mode:      patch.Mode(body.Mode),
		OpSource:  operation.OpSource(body.OpSource).OrDefault(),
		Actor:     callerOf(ctx).Name,
		SourceRef: orCaller(ctx, body.SourceRef),
		Reason:    body.Reason,
	}
}

// reconcile starts the reconciliation within bounded time. Every error is a
// [*problem].
func (server *Server) reconcile(ctx context.Context, request patch.ReconcileRequest) (patch.Handle, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	handle, err := server.patcher.Reconcile(ctx, request)
	if err != nil {
		return patch.Handle{}, startFault(request.PatchID, err)
	}
	return handle, nil
}
