package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// PatchOpen is how GET /patches/{patch_id} tells a patch that has not ended.
type PatchOpen struct {
	PatchID    string `json:"patch_id"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	GameID     string `json:"game_id"`
	// State is "open".
	State string      `json:"state"`
	Phase patch.Phase `json:"phase"`
	// Step is the activity under way, "" when none is; Attempts counts its
	// tries.
	Step     string `json:"step"`
	Attempts int    `json:"attempts"`
	// LastError and Code are those of the latest failure, "" when there was
	// none.
	LastError string     `json:"last_error"`
	Code      patch.Code `json:"code,omitempty"`
	// From and To are empty until the version was validated.
	From patch.Image `json:"from"`
	To   patch.Image `json:"to"`
}

// PatchClosed is how GET /patches/{patch_id} tells a patch that has ended. It
// is a 200 also when the patch failed: the question was answered.
type PatchClosed struct {
	PatchID    string `json:"patch_id"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	GameID     string `json:"game_id"`
	// State is "closed".
	State   string            `json:"state"`
	Outcome operation.Outcome `json:"outcome"`
	// Code, Message and Field say why it failed; Field is what is to be mended.
	Code    patch.Code  `json:"code,omitempty"`
	Message string      `json:"message,omitempty"`
	Field   string      `json:"field,omitempty"`
	Noop    bool        `json:"noop"`
	From    patch.Image `json:"from"`
	To      patch.Image `json:"to"`
	// Runtime is the record right after the patch; missing when the patch
	// failed, or is so old that only its audit row is left.
	Runtime *runtime.RuntimeRecord `json:"runtime,omitempty"`
	// Undo is what the compensation did; missing when there was none.
	Undo       *patch.Undo `json:"undo,omitempty"`
	StartedAt  time.Time   `json:"started_at"`
	FinishedAt time.Time   `json:"finished_at"`
}

// showPatch answers 200 with [PatchOpen] or [PatchClosed], or 404
// patch_not_found.
func (server *Server) showPatch(c *gin.Context) {
	patchID := c.Param("patch_id")
	gameID, ok := patch.GameOf(patchID)
	if !ok {
		server.refuse(c, *mend("patch_id", "want a patch id as the answer to a request for a patch gives it"))
		return
	}
	if _, problem := query(c); problem != nil {
		server.refuse(c, *problem)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), readTimeout)
	defer cancel()
	view, err := server.patcher.Look(ctx, patchID)
	switch reason, refused := errors.AsType[*patch.Refusal](err); {
	case err == nil:
		server.reply(c, http.StatusOK, seen(gameID, view))
	case errors.Is(err, patch.ErrNotFound):
		server.refuse(c, refusal(codePatchNotFound, "no patch has this id"))
	case refused && reason.Code != patch.CodeServiceUnavailable:
		server.refuse(c, told(reason))
	default:
		server.unavailable(c, "look at the patch", err)
	}
}

// seen returns the answer for view.
func seen(gameID string, view patch.View) any {
	if view.Result != nil {
		return closedView(gameID, view.Handle, *view.Result)
	}
	// A run of which nothing is known but that it is open, because no worker
	// answers for it, is told without a phase.
	state := patch.State{}
	if view.State != nil {
		state = *view.State
	}
	return PatchOpen{
		PatchID:    view.Handle.PatchID,
		WorkflowID: view.Handle.WorkflowID,
		RunID:      view.Handle.RunID,
		GameID:     gameID,
		State:      stateOpen,
		Phase:      state.Phase,
		Step:       state.Step,
		Attempts:   state.Attempts,
		LastError:  shown(state.Code, state.LastError),
		Code:       state.Code,
		From:       state.From,
		To:         state.To,
	}
}

func closedView(gameID string, handle patch.Handle, result patch.Result) PatchClosed {
	handle = handleOf(handle, result)
	return PatchClosed{
		PatchID:    handle.PatchID,
		WorkflowID: handle.WorkflowID,
		RunID:      handle.RunID,
		GameID:     gameID,
		State:      stateClosed,
		Outcome:    result.Outcome,
		Code:       result.Code,
		Message:    shown(result.Code, result.Message),
		Field:      result.Field,
		Noop:       result.Noop,
		From:       result.From,
		To:         result.To,
		Runtime:    result.Runtime,
		Undo:       result.Undo,
		StartedAt:  result.StartedAt,
		FinishedAt: result.FinishedAt,
	}
}
