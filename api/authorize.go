package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/domain/patch"
)

// Gate says who a request comes from; [auth.Gate] is one.
type Gate interface {
	// Authenticate returns the caller, or an error that wraps
	// [auth.ErrNoCredentials], [auth.ErrUnknown] or [auth.ErrUnavailable].
	Authenticate(ctx context.Context, request *http.Request) (auth.Caller, error)
}

// admit lets a request of a known caller pass to an operation that the caller
// may use. It fails closed: an operation that names no scope is nobody's.
func (server *Server) admit(c *gin.Context) {
	op, known := server.contract.find(c.Request.Method, c.FullPath())
	if known && op.public {
		return
	}
	caller, err := server.gate.Authenticate(c.Request.Context(), c.Request)
	if err != nil {
		server.refuseStranger(c, err)
		return
	}
	c.Set(keyCaller, caller.Name)
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), callerKey{}, caller))
	if wait := server.limits.take(caller.Name); wait > 0 {
		server.refuse(c, *tooMany(server.limits, wait))
		return
	}
	if problem := authorize(caller, op, known, gameNamed(c)); problem != nil {
		server.refuse(c, *problem)
		return
	}
	if c.Request.Method == http.MethodGet {
		server.readInTurn(c, caller.Name)
	}
}

// readInTurn goes on with a read, unless the caller has too many under way.
func (server *Server) readInTurn(c *gin.Context, caller string) {
	done, may := server.limits.read(caller)
	if !may {
		server.refuse(c, *tooManyReads())
		return
	}
	defer done()
	c.Next()
}

// authorize refuses a caller that lacks the operation's scope, or may not see
// the game that the path names.
func authorize(caller auth.Caller, op endpoint, known bool, gameID string) *problem {
	switch {
	case !known || op.scope == "":
		return refusal(codeForbidden, "this operation names no scope, so that nobody may use it")
	case !caller.May(op.scope):
		p := refusal(codeForbidden, fmt.Sprintf("the scope %s is needed", op.scope))
		p.challenge = fmt.Sprintf(`%s%s, scope="%s"`, challenge, insufficientScope, op.scope)
		return p
	case gameID != "" && !caller.MaySee(gameID):
		return forbiddenGame()
	case caller.Limited() && len(caller.Games) == 0:
		// Stores take no prefix for every prefix.
		return forbiddenGame()
	}
	return nil
}

func forbiddenGame() *problem {
	return refusal(codeForbidden, "the caller is limited to other games")
}

// gameNamed returns the game that the path names, in whatever form; "" when it
// names none. A patch belongs to the game in its id; one whose id cannot be
// read is refused for that, later.
func gameNamed(c *gin.Context) string {
	if gameID := c.Param("game_id"); gameID != "" {
		return gameID
	}
	gameID, _ := patch.GameOf(c.Param("patch_id"))
	return gameID
}

// challenge is what a caller is asked for (RFC 6750).
const challenge = `Bearer realm="gamemaster"`

// insufficientScope is for callers who are known and may not do this.
const insufficientScope = `, error="insufficient_scope"`

func (server *Server) refuseStranger(c *gin.Context, err error) {
	switch {
	case errors.Is(err, auth.ErrUnavailable):
		server.refuse(c, *unavailable("authenticate", err))
	case errors.Is(err, auth.ErrNoCredentials):
		p := faulty(codeUnauthorized, "Authorization", "send Bearer with a token, or use a client certificate that is known")
		p.challenge = challenge
		server.refuse(c, *p)
	default:
		p := faulty(codeUnauthorized, "Authorization", strangerTold(err))
		p.challenge = challenge + `, error="invalid_token"`
		server.refuse(c, *p)
	}
}

// strangerTold says as much of the reason as is safe.
func strangerTold(err error) string {
	if reason := auth.Reason(err); reason != "" {
		return reason
	}
	return "the credentials are not known"
}

type callerKey struct{}

// callerOf returns who the request comes from.
func callerOf(ctx context.Context) auth.Caller {
	caller, _ := ctx.Value(callerKey{}).(auth.Caller)
	return caller
}
