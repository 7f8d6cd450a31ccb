package api

import (
	"context"
	"log/slog"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"galaxy/gamemaster/internal/domain/patch"
)

// subject is the run that a request turns out to be about, for its log line and
// its span. It belongs to the one goroutine of the request.
type subject struct{ patch.Handle }

type subjectKey struct{}

// withSubject makes room for the run in the request's context.
func withSubject(c *gin.Context) {
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), subjectKey{}, &subject{}))
}

// about notes the run that the request came to.
func about(ctx context.Context, handle patch.Handle) {
	if s, ok := ctx.Value(subjectKey{}).(*subject); ok {
		s.Handle = handle
	}
}

// subjectIDs are the ids of what the request is about, as far as they are known,
// under the keys that every log line and every span has them.
func subjectIDs(c *gin.Context) []slog.Attr {
	ids := patch.Handle{GameID: loggedGame(c)}
	if patchID := c.Param("patch_id"); ids.GameID != "" && patchID != "" {
		ids.PatchID, ids.WorkflowID = patchID, patch.WorkflowID(ids.GameID)
	}
	if s, ok := c.Request.Context().Value(subjectKey{}).(*subject); ok && s.PatchID != "" {
		ids = s.Handle
	}
	var known []slog.Attr
	for _, id := range []slog.Attr{
		slog.String("game_id", ids.GameID), slog.String("patch_id", ids.PatchID),
		slog.String("workflow_id", ids.WorkflowID), slog.String("run_id", ids.RunID),
	} {
		if id.Value.String() != "" {
			known = append(known, id)
		}
	}
	return known
}

// markSpan gives the span of the request, if there is one, the ids by which logs
// and traces find each other.
func markSpan(c *gin.Context, ids []slog.Attr) {
	span := trace.SpanFromContext(c.Request.Context())
	span.SetAttributes(attribute.String("request_id", requestID(c)))
	for _, id := range ids {
		span.SetAttributes(attribute.String(id.Key, id.Value.String()))
	}
}
