package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/patch"
)

// A sane request id is taken over, any other is replaced; it is in the answer
// and in the log.
func TestRequestID(t *testing.T) {
	for given, kept := range map[string]bool{
		"A-z.0_9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, `a"b`: false, "é": false,
	} {
		h := open(t)
		got := h.do(t, http.MethodGet, "/healthz", "", "X-Request-Id", given)
		id := got.header.Get("X-Request-Id")
		if kept {
			require.Equal(t, given, id)
		} else {
			require.NoError(t, uuid.Validate(id))
		}
		require.Contains(t, h.log.String(), `"request_id":"`+id+`"`)
	}
}

// The log has who, what and how it ended, and nothing that was sent: no
// token, no body, no query, no path that was not checked.
func TestAccessLog(t *testing.T) {
	h := open(t)
	h.do(t, http.MethodPost, patchPath, `{"version":"1.4.3","reason":"canary"}`, "X-Request-Id", "r-1", "Cookie", "canary")
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(h.log.String()), &line))
	require.Contains(t, line, "duration")
	delete(line, "duration")
	delete(line, "time")
	patchID, _ := line["patch_id"].(string)
	require.True(t, strings.HasPrefix(patchID, "demo-1."), patchID)
	delete(line, "patch_id")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "request", "method": "POST", "route": "/api/v1/internal/runtimes/:game_id/patch",
		"status": 200.0, "request_id": "r-1", "caller": "admin", "game_id": "demo-1",
		"workflow_id": "patch-runtime/demo-1", "run_id": "run-1",
	}, line)

	h.do(t, http.MethodPost, "/api/v1/internal/runtimes/CANARY/patch", goodBody)
	h.do(t, http.MethodGet, "/canary?canary=1", "")
	h.do(t, http.MethodGet, "/api/v1/internal/patches/"+somePatch, "")
	require.NotContains(t, strings.ToLower(h.log.String()), "canary")
	require.NotContains(t, h.log.String(), secret)
	require.Equal(t, 2, strings.Count(h.log.String(), `"game_id":"demo-1"`))
}

// A panic is a 500 problem without its words; they and the stack are in the
// log, and the server goes on.
func TestPanicBecomesAProblem(t *testing.T) {
	h := open(t)
	h.patcher.look = func(context.Context, string) (patch.View, error) { panic("canary") }
	got := h.do(t, http.MethodGet, "/api/v1/internal/patches/"+somePatch, "")
	got.refused(t, http.StatusInternalServerError, "internal_error")
	require.NotContains(t, got.body, "canary")
	require.Contains(t, h.log.String(), "panic: canary")
	require.Contains(t, h.log.String(), "middleware_test.go")
	require.Contains(t, h.log.String(), `"status":500`)
	require.Equal(t, http.StatusOK, h.do(t, http.MethodGet, "/healthz", "").status)
}

// A panic that means to cut the connection does so.
func TestAbortIsPassedOn(t *testing.T) {
	h := build(t)
	h.patcher.look = func(context.Context, string) (patch.View, error) { panic(http.ErrAbortHandler) }
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		h.server.ServeHTTP(httptest.NewRecorder(), ask(t, http.MethodGet, "/api/v1/internal/patches/"+somePatch, ""))
	})
}

// failingBody is a body that breaks off with err.
type failingBody struct{ err error }

func (body failingBody) Read([]byte) (int, error) { return 0, body.err }

// A body that breaks off or does not come in time is the client's to mend.
func TestBodyThatDoesNotArrive(t *testing.T) {
	for err, status := range map[error]int{
		io.ErrUnexpectedEOF:    http.StatusBadRequest,
		errors.New("reset"):    http.StatusBadRequest,
		os.ErrDeadlineExceeded: http.StatusRequestTimeout,
	} {
		h := build(t)
		request := ask(t, http.MethodPost, patchPath, goodBody)
		request.Body = io.NopCloser(failingBody{err})
		got := h.serve(t, request)
		require.Equal(t, status, got.status)
		require.Equal(t, "body", got.problem(t).Errors[0].Field)
		h.patcher.untouched(t)
	}
}
