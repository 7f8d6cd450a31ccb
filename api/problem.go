package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/patch"
)

// Codes of refusals at the door, beside those of a patch.
const (
	codeNotFound         patch.Code = "not_found"
	codePatchNotFound    patch.Code = "patch_not_found"
	codePatchClosed      patch.Code = "patch_closed"
	codeInDoubt          patch.Code = "in_doubt"
	codeNotInDoubt       patch.Code = "not_in_doubt"
	codeNoPrevious       patch.Code = "no_previous_version"
	codeRuntimeExists    patch.Code = "runtime_exists"
	codeStatusConflict   patch.Code = "status_conflict"
	codeBadTransition    patch.Code = "invalid_transition"
	codeVersionInUse     patch.Code = "engine_version_in_use"
	codeMethodNotAllowed patch.Code = "method_not_allowed"
	codeUnauthorized     patch.Code = "unauthorized"
	codeForbidden        patch.Code = "forbidden"
	codeTooManyRequests  patch.Code = "too_many_requests"
	codeMisdirected      patch.Code = "misdirected_request"
	codeBodyTooLarge     patch.Code = "body_too_large"
	codeUnsupportedMedia patch.Code = "unsupported_media_type"
	codeRequestTimeout   patch.Code = "request_timeout"
	codeKeyReused        patch.Code = "idempotency_key_reused"
)

// answer is how REST tells a code.
type answer struct {
	status int
	title  string
}

// answers has every code; one that is missing is an internal error.
var answers = map[patch.Code]answer{
	patch.CodeInvalidRequest:        {http.StatusBadRequest, "The request is not valid"},
	patch.CodeRuntimeNotFound:       {http.StatusNotFound, "There is no such runtime"},
	patch.CodeEngineVersionNotFound: {http.StatusNotFound, "The engine version is not registered or not active"},
	patch.CodeRuntimeNotRunning:     {http.StatusConflict, "The runtime is not running"},
	patch.CodeSemverPatchOnly:       {http.StatusUnprocessableEntity, "Only the patch number may change"},
	patch.CodePreconditionFailed:    {http.StatusPreconditionFailed, "The runtime is on another version than expected"},
	patch.CodeConflict:              {http.StatusConflict, "The runtime changed during the patch"},
	patch.CodePatchInProgress:       {http.StatusConflict, "Another patch of the game is open"},
	patch.CodeCancelled:             {http.StatusConflict, "The patch was cancelled"},
	patch.CodeTerminated:            {http.StatusConflict, "An operator terminated the run"},
	patch.CodeServiceUnavailable:    {http.StatusServiceUnavailable, "A service that is needed is unavailable"},
	patch.CodeInternalError:         {http.StatusInternalServerError, "Something went wrong inside"},

	codeNotFound:         {http.StatusNotFound, "There is nothing here"},
	codePatchNotFound:    {http.StatusNotFound, "There is no such patch"},
	codePatchClosed:      {http.StatusConflict, "The patch has ended"},
	codeInDoubt:          {http.StatusConflict, "The patch waits for an operator"},
	codeNotInDoubt:       {http.StatusConflict, "The patch waits for no operator"},
	codeNoPrevious:       {http.StatusConflict, "No earlier version is known"},
	codeRuntimeExists:    {http.StatusConflict, "The game has a record already"},
	codeStatusConflict:   {http.StatusConflict, "The stored status is another one"},
	codeBadTransition:    {http.StatusUnprocessableEntity, "No runtime may make this move"},
	codeVersionInUse:     {http.StatusConflict, "The image of a version that runs cannot change"},
	codeMethodNotAllowed: {http.StatusMethodNotAllowed, "The method is not allowed here"},
	codeUnauthorized:     {http.StatusUnauthorized, "Who calls is not known"},
	codeForbidden:        {http.StatusForbidden, "The caller may not do this"},
	codeTooManyRequests:  {http.StatusTooManyRequests, "The caller sends too many requests"},
	codeMisdirected:      {http.StatusMisdirectedRequest, "The request was meant for another host"},
	codeBodyTooLarge:     {http.StatusRequestEntityTooLarge, "The body is too large"},
	codeUnsupportedMedia: {http.StatusUnsupportedMediaType, "The body has an unsupported form"},
	codeKeyReused:        {http.StatusUnprocessableEntity, "The Idempotency-Key belongs to another request"},
	codeRequestTimeout:   {http.StatusRequestTimeout, "The body took too long to arrive"},
}

// typePrefix makes a code a problem type URI. It names and locates nothing.
const typePrefix = "urn:galaxy:gamemaster:problem:"

// problem is an answer from 400 up before it is written: who refuses gives
// Code, Detail and what else is known, and [Server.refuse] fills in the rest.
// It is the error that handlers return.
type problem struct {
	contract.Problem
	// cause is what is logged about it and not told.
	cause error
	// retryAfter, in seconds, and challenge, the WWW-Authenticate, are told when
	// they are not empty.
	retryAfter, challenge string
}

// Error says code and detail.
func (p *problem) Error() string { return string(p.Code) + ": " + p.Detail }

func refusal(code patch.Code, detail string) *problem {
	return &problem{Problem: contract.Problem{Code: contract.ProblemCode(code), Detail: detail}}
}

// faulty is a problem with one field of the request.
func faulty(code patch.Code, field, detail string) *problem {
	p := refusal(code, field+": "+detail)
	p.Errors = []contract.FieldError{{Field: field, Detail: detail}}
	return p
}

// mend is the invalid_request problem of one field.
func mend(field, detail string) *problem {
	return invalid(contract.FieldError{Field: field, Detail: detail})
}

// invalid is the invalid_request problem of mistakes, of which there is at
// least one.
func invalid(mistakes ...contract.FieldError) *problem {
	p := faulty(patch.CodeInvalidRequest, mistakes[0].Field, mistakes[0].Detail)
	p.Errors = mistakes
	if more := len(mistakes) - 1; more > 0 {
		p.Detail += fmt.Sprintf(" (and %d more, see errors)", more)
	}
	return p
}

// told is the problem of a refusal that a patch or a patcher gave.
func told(reason *patch.Refusal) *problem {
	p := refusal(reason.Code, reason.Message)
	p.PatchID = reason.PatchID
	if reason.Field != "" {
		detail := strings.TrimPrefix(reason.Message, reason.Field+": ")
		p.Errors = []contract.FieldError{{Field: reason.Field, Detail: detail}}
	}
	return p
}

// unavailable is the problem of something that this server depends on and that
// failed; the cause is logged and not told, because its words name hosts.
func unavailable(doing string, cause error) *problem {
	p := refusal(patch.CodeServiceUnavailable, "a service that is needed is unavailable, try again")
	p.cause = fmt.Errorf("%s: %w", doing, cause)
	return p
}

// internal is the problem of what must not happen.
func internal(doing string, cause error) *problem {
	return refusal(patch.CodeInternalError, doing+": "+cause.Error())
}

// of adds the run that handle names.
func (p *problem) of(handle patch.Handle) *problem {
	p.PatchID, p.WorkflowID, p.RunID = handle.PatchID, handle.WorkflowID, handle.RunID
	return p
}

// refuse answers p and ends the handling. An internal or unknown error is logged
// with its detail and told without.
func (server *Server) refuse(c *gin.Context, p problem) {
	code := patch.Code(p.Code)
	known, ok := answers[code]
	if !ok || code == patch.CodeInternalError {
		server.blame(c, p)
		p.Code, p.Errors = contract.ProblemCode(patch.CodeInternalError), nil
		p.Detail = concealed
		known = answers[patch.CodeInternalError]
	}
	if p.cause != nil {
		server.fault(c, p.cause)
	}
	p.Type = typePrefix + string(p.Code)
	p.Title = known.title
	p.Status = known.status
	p.RequestID = requestID(c)
	p.RunURL = server.runPages.page(p.WorkflowID, p.RunID)
	p.Instance = c.Request.URL.EscapedPath()
	if p.PatchID != "" {
		p.Instance = patchPath(p.PatchID)
	}
	if p.challenge == "" && known.status == http.StatusForbidden {
		p.challenge = challenge + insufficientScope
	}
	if p.challenge != "" {
		c.Header("WWW-Authenticate", p.challenge)
	}
	switch {
	case p.retryAfter != "":
		c.Header("Retry-After", p.retryAfter)
	case known.status == http.StatusServiceUnavailable:
		c.Header("Retry-After", retryUnavailable)
	}
	server.write(c, content{status: known.status, kind: "application/problem+json", body: p.Problem})
	c.Abort()
}

// fail answers the error of a handler.
func (server *Server) fail(c *gin.Context, err error) {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = internal("handle the request", err)
	}
	server.refuse(c, *p)
}

// blame logs what a problem is about to conceal.
func (server *Server) blame(c *gin.Context, p problem) {
	server.logger.LogAttrs(c.Request.Context(), slog.LevelError, "internal error",
		slog.String("request_id", requestID(c)), slog.String("code", string(p.Code)),
		slog.String("detail", p.Detail), slog.String("patch_id", p.PatchID),
		slog.String("run_id", p.RunID))
}

// fault logs an error of something that this server depends on, unless it is
// only that the client went away.
func (server *Server) fault(c *gin.Context, cause error) {
	level := slog.LevelWarn
	if gone(c) {
		level = slog.LevelDebug
	}
	server.logger.LogAttrs(c.Request.Context(), level, "dependency failed",
		slog.String("request_id", requestID(c)), slog.String("err", cause.Error()))
}

// concealed stands in for the detail of an internal error, which may name
// hosts, queries or worse.
const concealed = "the detail is in the logs, under the request_id or the patch_id"

// shown returns the message of a failure as a caller may see it.
func shown(code patch.Code, message string) string {
	if code == patch.CodeInternalError && message != "" {
		return concealed
	}
	return message
}

// content is an answer that can be written.
type content struct {
	status int
	kind   string
	body   any
}

// write encodes first and writes then, so that no half answer goes out under a
// good status. That the client is gone is no news.
func (server *Server) write(c *gin.Context, answer content) {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(answer.body); err != nil {
		// Only a bug, such as a year of five digits in a record, gets here.
		panic(fmt.Errorf("encode answer: %w", err))
	}
	c.Header("Content-Type", answer.kind)
	c.Writer.WriteHeader(answer.status)
	_, _ = c.Writer.Write(encoded.Bytes())
}
