package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"galaxy/gamemaster/internal/domain/patch"
)

// Codes of refusals at the door, beside those of a patch.
const (
	codeNotFound         patch.Code = "not_found"
	codePatchNotFound    patch.Code = "patch_not_found"
	codeMethodNotAllowed patch.Code = "method_not_allowed"
	codeUnauthorized     patch.Code = "unauthorized"
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
	patch.CodeConflict:              {http.StatusConflict, "The runtime changed during the patch"},
	patch.CodePatchInProgress:       {http.StatusConflict, "Another patch of the game is open"},
	patch.CodeCancelled:             {http.StatusConflict, "The patch was cancelled"},
	patch.CodeServiceUnavailable:    {http.StatusServiceUnavailable, "A service that is needed is unavailable"},
	patch.CodeInternalError:         {http.StatusInternalServerError, "Something went wrong inside"},

	codeNotFound:         {http.StatusNotFound, "There is nothing here"},
	codePatchNotFound:    {http.StatusNotFound, "There is no such patch"},
	codeMethodNotAllowed: {http.StatusMethodNotAllowed, "The method is not allowed here"},
	codeUnauthorized:     {http.StatusUnauthorized, "A valid token is needed"},
	codeMisdirected:      {http.StatusMisdirectedRequest, "The request was meant for another host"},
	codeBodyTooLarge:     {http.StatusRequestEntityTooLarge, "The body is too large"},
	codeUnsupportedMedia: {http.StatusUnsupportedMediaType, "The body has an unsupported form"},
	codeKeyReused:        {http.StatusUnprocessableEntity, "The Idempotency-Key belongs to another request"},
	codeRequestTimeout:   {http.StatusRequestTimeout, "The body took too long to arrive"},
}

// typePrefix makes a code a problem type URI. It names and locates nothing.
const typePrefix = "urn:galaxy:gamemaster:problem:"

// Problem is the body of every answer from 400 up (RFC 9457), sent as
// application/problem+json.
type Problem struct {
	// Type is a URN that ends in Code.
	Type string `json:"type"`
	// Title says what Code means, the same words for every occurrence.
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong this time and how to mend it.
	Detail string `json:"detail"`
	// Instance is the patch's path when a patch is concerned, otherwise the
	// path of the request.
	Instance string `json:"instance"`
	// Code is stable and for programs; see [patch.Code] for those of a patch.
	Code patch.Code `json:"code"`
	// RequestID finds the request in the logs.
	RequestID string `json:"request_id"`

	// PatchID, WorkflowID and RunID name the run that was refused or failed,
	// or the open one that stands in the way; empty when there is none.
	PatchID    string `json:"patch_id,omitempty"`
	WorkflowID string `json:"workflow_id,omitempty"`
	RunID      string `json:"run_id,omitempty"`

	// Errors names what is to be mended in the request.
	Errors []FieldError `json:"errors,omitempty"`
	// Undo is what the compensation did; nil when there was none.
	Undo *patch.Undo `json:"undo,omitempty"`
}

// FieldError is one mistake in a request.
type FieldError struct {
	// Field is a key of the body, of the query or of the path, a header's
	// name, or "body" for the body as a whole.
	Field string `json:"field"`
	// Detail says what is wrong with it and what is wanted.
	Detail string `json:"detail"`
}

func refusal(code patch.Code, detail string) Problem {
	return Problem{Code: code, Detail: detail}
}

// faulty is a problem with one field of the request.
func faulty(code patch.Code, field, detail string) Problem {
	return Problem{
		Code:   code,
		Detail: field + ": " + detail,
		Errors: []FieldError{{Field: field, Detail: detail}},
	}
}

// invalid is the invalid_request problem of mistakes, of which there is at
// least one.
func invalid(mistakes ...FieldError) Problem {
	problem := faulty(patch.CodeInvalidRequest, mistakes[0].Field, mistakes[0].Detail)
	problem.Errors = mistakes
	if more := len(mistakes) - 1; more > 0 {
		problem.Detail += fmt.Sprintf(" (and %d more, see errors)", more)
	}
	return problem
}

// told is the problem of a refusal that a patch or a patcher gave.
func told(reason *patch.Refusal) Problem {
	problem := refusal(reason.Code, reason.Message)
	problem.PatchID = reason.PatchID
	if reason.Field != "" {
		detail := strings.TrimPrefix(reason.Message, reason.Field+": ")
		problem.Errors = []FieldError{{Field: reason.Field, Detail: detail}}
	}
	return problem
}

// of adds the run that handle names.
func (problem Problem) of(handle patch.Handle) Problem {
	problem.PatchID, problem.WorkflowID, problem.RunID = handle.PatchID, handle.WorkflowID, handle.RunID
	return problem
}

// refuse answers problem and ends the handling. The caller gives Code, Detail
// and what else is known; the rest is filled in. An internal or unknown error
// is logged with its detail and told without.
func (server *Server) refuse(c *gin.Context, problem Problem) {
	known, ok := answers[problem.Code]
	if !ok || problem.Code == patch.CodeInternalError {
		server.blame(c, problem)
		problem.Code, problem.Errors = patch.CodeInternalError, nil
		problem.Detail = concealed
		known = answers[patch.CodeInternalError]
	}
	problem.Type = typePrefix + string(problem.Code)
	problem.Title = known.title
	problem.Status = known.status
	problem.RequestID = requestID(c)
	problem.Instance = c.Request.URL.EscapedPath()
	if problem.PatchID != "" {
		problem.Instance = patchPath(problem.PatchID)
	}
	if known.status == http.StatusServiceUnavailable {
		c.Header("Retry-After", retryUnavailable)
	}
	server.write(c, content{status: known.status, kind: "application/problem+json", body: problem})
	c.Abort()
}

// blame logs what a problem is about to conceal.
func (server *Server) blame(c *gin.Context, problem Problem) {
	server.logger.LogAttrs(c.Request.Context(), slog.LevelError, "internal error",
		slog.String("request_id", requestID(c)), slog.String("code", string(problem.Code)),
		slog.String("detail", problem.Detail), slog.String("patch_id", problem.PatchID),
		slog.String("run_id", problem.RunID))
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

// reply answers body as JSON.
func (server *Server) reply(c *gin.Context, status int, body any) {
	server.write(c, content{status: status, kind: "application/json", body: body})
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
