package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// PatchDone is the 200 of a patch that succeeded.
type PatchDone struct {
	PatchID    string            `json:"patch_id"`
	WorkflowID string            `json:"workflow_id"`
	RunID      string            `json:"run_id"`
	Outcome    operation.Outcome `json:"outcome"`
	// Noop says that the game was on the version already.
	Noop bool        `json:"noop"`
	From patch.Image `json:"from"`
	To   patch.Image `json:"to"`
	// Runtime is the record after the patch.
	Runtime *runtime.RuntimeRecord `json:"runtime"`
}

// PatchAccepted is the 202 of a patch that is still open. The answer's Location
// says where to look.
type PatchAccepted struct {
	PatchID    string `json:"patch_id"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// State is "open".
	State string `json:"state"`
}

// Values of state.
const (
	stateOpen   = "open"
	stateClosed = "closed"
)

const patchesPath = "/api/v1/internal/patches/"

func patchPath(patchID string) string { return patchesPath + patchID }

// patchRuntime starts or joins a patch and waits for it as long as the caller
// prefers: 200 when it succeeded, 202 when it is still open, otherwise the
// problem of its code.
func (server *Server) patchRuntime(c *gin.Context) {
	request, problem := patchRequest(c)
	if problem != nil {
		server.refuse(c, *problem)
		return
	}
	handle, err := server.start(c, request)
	if err != nil {
		server.refuseStart(c, request, err)
		return
	}
	preference := preferenceOf(c.Request.Header)
	if preference.applied != "" {
		c.Header("Preference-Applied", preference.applied)
	}
	if preference.wait == 0 {
		server.accept(c, handle)
		return
	}
	result, err := server.await(c, handle, preference.wait)
	switch reason, refused := errors.AsType[*patch.Refusal](err); {
	case err == nil:
		server.conclude(c, handle, result)
	case refused && reason.Code != patch.CodeServiceUnavailable:
		server.refuse(c, told(reason).of(handle))
	default:
		// Whatever keeps us from seeing its end, the patch goes on: the
		// truth is that it was accepted and where to look for it.
		server.accept(c, handle)
	}
}

// start starts the patch within bounded time. A patch that a repeated
// Idempotency-Key stands for is not started again, however it ended: the games
// may have moved on since, and the caller only wants to know.
func (server *Server) start(c *gin.Context, request patch.Request) (patch.Handle, error) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), startTimeout)
	defer cancel()
	if c.GetHeader(headerIdempotencyKey) != "" {
		view, err := server.patcher.Look(ctx, request.PatchID)
		if err == nil && versionOf(view) != request.Version {
			return patch.Handle{}, &patch.Refusal{
				Code:    codeKeyReused,
				Message: fmt.Sprintf("the key belongs to a request for version %q, take another for this one", versionOf(view)),
				Field:   headerIdempotencyKey, PatchID: request.PatchID,
			}
		}
		if !errors.Is(err, patch.ErrNotFound) {
			return view.Handle, err
		}
	}
	return server.patcher.Start(ctx, request)
}

// refuseStart answers why a patch could not be started. Why a service is
// unavailable is logged, not told: its words name hosts and ports.
func (server *Server) refuseStart(c *gin.Context, request patch.Request, err error) {
	reason, refused := errors.AsType[*patch.Refusal](err)
	switch {
	case refused && reason.Code == patch.CodeServiceUnavailable && reason.PatchID == "":
		server.unavailable(c, "start the patch", err)
	case refused && reason.Code != patch.CodeServiceUnavailable:
		problem := told(reason)
		if reason.PatchID != "" {
			problem.WorkflowID = patch.WorkflowID(request.GameID)
		}
		server.refuse(c, problem)
	case refused, errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		server.fault(c, "start the patch", err)
		// A call without an answer may have had its effect, hence the id.
		problem := refusal(patch.CodeServiceUnavailable,
			"whether the patch was started is not known; look at patch_id, or send the request again")
		problem.PatchID = request.PatchID
		server.refuse(c, problem)
	default:
		server.refuse(c, refusal(patch.CodeInternalError, "start the patch: "+err.Error()))
	}
}

// versionOf is the version that the patch of view was asked for.
func versionOf(view patch.View) string {
	switch {
	case view.Result != nil:
		return view.Result.To.Version
	case view.State != nil:
		return view.State.To.Version
	default:
		return ""
	}
}

// await waits for the end of the run: until wait has passed, the client is gone
// or the server drains. An error that has another cause is logged.
func (server *Server) await(c *gin.Context, handle patch.Handle, wait time.Duration) (patch.Result, error) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), wait)
	defer cancel()
	unhook := context.AfterFunc(server.stopping, cancel)
	defer unhook()
	result, err := server.patcher.Await(ctx, handle)
	if err != nil && ctx.Err() == nil && !errors.Is(err, patch.ErrStillOpen) {
		server.fault(c, "await patch", err)
	}
	return result, err
}

// accept answers that the patch is under way and where to look for it.
func (server *Server) accept(c *gin.Context, handle patch.Handle) {
	c.Header("Location", patchPath(handle.PatchID))
	c.Header("Retry-After", retryAccepted)
	server.reply(c, http.StatusAccepted, PatchAccepted{
		PatchID:    handle.PatchID,
		WorkflowID: handle.WorkflowID,
		RunID:      handle.RunID,
		State:      stateOpen,
	})
}

// conclude answers how the patch ended.
func (server *Server) conclude(c *gin.Context, handle patch.Handle, result patch.Result) {
	handle = handleOf(handle, result)
	if !result.IsSuccess() {
		problem := told(&patch.Refusal{Code: result.Code, Message: result.Message, Field: result.Field})
		problem.Undo = result.Undo
		server.refuse(c, problem.of(handle))
		return
	}
	server.reply(c, http.StatusOK, PatchDone{
		PatchID:    handle.PatchID,
		WorkflowID: handle.WorkflowID,
		RunID:      handle.RunID,
		Outcome:    result.Outcome,
		Noop:       result.Noop,
		From:       result.From,
		To:         result.To,
		Runtime:    result.Runtime,
	})
}

// handleOf names the run that gave result, which after a reset is another one
// than the handle's.
func handleOf(handle patch.Handle, result patch.Result) patch.Handle {
	if result.RunID != "" {
		handle.RunID = result.RunID
	}
	if result.PatchID != "" {
		handle.PatchID = result.PatchID
	}
	return handle
}

// fault logs an error of something that this server depends on, unless it is
// only that the client went away.
func (server *Server) fault(c *gin.Context, doing string, err error) {
	level := slog.LevelWarn
	if gone(c) {
		level = slog.LevelDebug
	}
	server.logger.LogAttrs(c.Request.Context(), level, doing,
		slog.String("request_id", requestID(c)), slog.String("err", err.Error()))
}
