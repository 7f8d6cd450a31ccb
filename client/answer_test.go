package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/client"
)

// TestProblem proves that a problem can be told by its type, carries everything
// that was answered, and reads well.
func TestProblem(t *testing.T) {
	t.Parallel()
	c := newClient(t, answering(reply{
		status: http.StatusBadRequest, kind: kindProblem + "; charset=utf-8", retryAfter: "3",
		body: `{"type":"urn:x","title":"The request is not valid","status":400,"detail":"version: is required (and 1 more, see errors)",
			"instance":"/x","code":"invalid_request","request_id":"5f0c8b1e","patch_id":"demo-1.x","undo":{"line":"recreated"},
			"errors":[{"field":"version","detail":"is required"},{"field":"reason","detail":"is too long"}],"from_the_future":1}`,
	}))
	err := fmt.Errorf("wrapped: %w", patch(t.Context(), c))
	var got *client.Error
	require.ErrorAs(t, err, &got)
	require.Equal(t, http.StatusBadRequest, got.HTTPStatus)
	require.Equal(t, 3*time.Second, got.RetryAfter)
	require.Equal(t, "demo-1.x", got.PatchID)
	require.Equal(t, "recreated", got.Undo.Line)
	require.Len(t, got.Errors, 2)
	require.Equal(t, "invalid_request: version: is required (and 1 more, see errors); reason: is too long (HTTP 400, request 5f0c8b1e)", got.Error())
	require.True(t, client.IsCode(err, client.CodeConflict, client.CodeInvalidRequest))
	require.False(t, client.IsCode(err, client.CodeConflict))
	require.False(t, client.IsCode(errors.New("another"), client.CodeConflict))
	require.False(t, client.IsTemporary(err))
}

// TestWrongAnswers proves that an answer which the API cannot have given is an
// error that names its status, and never an empty record.
func TestWrongAnswers(t *testing.T) {
	t.Parallel()
	page := "<h1>secret " + strings.Repeat("x", 1000) + "</h1>"
	for _, row := range []struct {
		name  string
		use   use
		reply reply
		says  []string
	}{
		{"a proxy's page", get, reply{status: 502, kind: "text/html; charset=utf-8", body: page}, []string{"HTTP 502", "text/html", "no problem of the API"}},
		{"plain text", get, reply{status: 431, kind: "text/plain", body: "431 Request Header Fields Too Large"}, []string{"HTTP 431", "text/plain"}},
		{"a problem of another program", get, reply{status: 404, kind: kindProblem, body: `{"title":"secret"}`}, []string{"HTTP 404", "no problem of the API"}},
		{"half a problem", get, reply{status: 404, kind: kindProblem, body: `{"code":`}, []string{"HTTP 404"}},
		{"no content type", get, reply{status: 200, body: `{"game_id":"demo-1"}`}, []string{"HTTP 200", "no content type"}},
		{"a page", get, reply{status: 200, kind: "text/html", body: page}, []string{"HTTP 200", "not JSON"}},
		{"half an answer", get, reply{status: 200, kind: kindJSON, body: `{"game_id":`}, []string{"HTTP 200", "not what the operation answers"}},
		{"another answer", get, reply{status: 200, kind: kindJSON, body: `{"runtimes":[]}`}, []string{"HTTP 200", "not what the operation answers"}},
		{"a plan for a patch", patch, reply{status: 200, kind: kindJSON, body: `{"dry_run":true,"checks":[]}`}, []string{"not what the operation answers"}},
		{"a patch for a plan", plan, reply{status: 200, kind: kindJSON, body: closedPatch}, []string{"not what the operation answers"}},
		{"something for nothing", remove, reply{status: 200, kind: "text/html", body: page}, []string{"HTTP 200"}},
		{"a put page", put, reply{status: 200, kind: "text/html", body: page}, []string{"HTTP 200"}},
		{"too much", get, reply{status: 200, kind: kindJSON, body: strings.Repeat(" ", 8<<20+1)}, []string{"larger than 8 MiB"}},
		{"a redirect", get, reply{status: 301, kind: "text/html"}, []string{"HTTP 301", "redirect"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := row.use(t.Context(), newClient(t, answering(row.reply), client.WithRetries(0)))
			var wrong *client.AnswerError
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, row.reply.status, wrong.HTTPStatus)
			for _, says := range row.says {
				require.ErrorContains(t, err, says)
			}
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

// TestLargeAnswer proves that a page as large as the API gives is read.
func TestLargeAnswer(t *testing.T) {
	t.Parallel()
	row := `{"game_id":"demo-1","error_message":"` + strings.Repeat("x", 2000) + `"}`
	c := newClient(t, pagesOf(`{"operations":[`+strings.Repeat(row+",", 999)+row+`]}`))
	page, err := c.ListOperations(t.Context(), client.ListOperationsParams{Limit: 1000})
	require.NoError(t, err)
	require.Len(t, page.Operations, 1000)
}

// TestRedirect proves that a redirect is not followed, also when the program's
// http.Client would: the token would go along, and a POST become a GET.
func TestRedirect(t *testing.T) {
	t.Parallel()
	elsewhere := answering(ok(closedPatch))
	stranger := httptest.NewServer(elsewhere)
	t.Cleanup(stranger.Close)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		follower := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		c := newClient(t, http.RedirectHandler(stranger.URL, status), client.WithHTTPClient(follower))
		for _, use := range []use{get, patch} {
			var wrong *client.AnswerError
			require.ErrorAs(t, use(t.Context(), c), &wrong)
			require.Equal(t, status, wrong.HTTPStatus)
		}
		require.NoError(t, follower.CheckRedirect(nil, nil), "the program's own client was changed")
	}
	require.Zero(t, elsewhere.tries())
}

// TestReadiness proves that not being ready is told as an answer, at once, and
// that any other fault is still one.
func TestReadiness(t *testing.T) {
	t.Parallel()
	s := answering(reply{status: 503, kind: kindJSON, body: `{"status":"not_ready","checks":{"temporal":"failing"}}`})
	got, err := newClient(t, s).GetReadiness(t.Context())
	require.NoError(t, err)
	require.Equal(t, "failing", got.Checks["temporal"])
	require.Equal(t, 1, s.tries())

	_, err = newClient(t, answering(later())).GetReadiness(t.Context())
	require.True(t, client.IsCode(err, client.CodeServiceUnavailable))
}

// TestPutTells proves that a version that is new is told from one that was there.
func TestPutTells(t *testing.T) {
	t.Parallel()
	for status, isNew := range map[int]bool{http.StatusCreated: true, http.StatusOK: false} {
		c := newClient(t, answering(reply{status: status, kind: kindJSON, body: `{"version":"1.4.3"}`}))
		got, created, err := c.PutEngineVersion(t.Context(), version, imageRef)
		require.NoError(t, err)
		require.Equal(t, version, got.Version)
		require.Equal(t, isNew, created)
	}
}

// TestTokenIsNotTold proves that no error of any kind repeats the token.
func TestTokenIsNotTold(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	})
	lost := answering(reply{lost: true})
	faults := []error{
		get(t.Context(), newClient(t, echo)),
		get(t.Context(), newClient(t, lost)),
		patch(t.Context(), newClient(t, http.RedirectHandler("http://other.example/", http.StatusFound))),
		get(t.Context(), newClient(t, echo, client.WithTokenSource(func(context.Context) (string, error) { return token + "\r\nX: y", nil }))),
	}
	_, err := client.New("http://gamemaster.example", client.WithToken(token))
	faults = append(faults, err)
	_, err = client.New("https://gamemaster.example", client.WithToken(token+"\n"))
	faults = append(faults, err)
	require.Equal(t, all, lost.tries())
	for _, header := range lost.sent("Authorization") {
		require.Equal(t, "Bearer "+token, header)
	}
	for _, err := range faults {
		require.Error(t, err)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), token)
	}
}

// TestPathsStayThemselves proves that no value makes a request one of another
// path, and that one which could not is sent as it is.
func TestPathsStayThemselves(t *testing.T) {
	t.Parallel()
	var paths []string
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.EscapedPath())
		w.WriteHeader(http.StatusNoContent)
	}))
	for _, id := range []string{"", ".", ".."} {
		require.ErrorContains(t, c.DeleteRuntime(t.Context(), id), "game_id")
	}
	for _, id := range []string{"a/b", "a?b", "a%2Fb", "../a", "a b"} {
		require.NoError(t, c.DeleteRuntime(t.Context(), id))
	}
	const runtimes = "/api/v1/internal/runtimes/"
	require.Equal(t, []string{runtimes + "a%2Fb", runtimes + "a%3Fb", runtimes + "a%252Fb", runtimes + "..%2Fa", runtimes + "a%20b"}, paths)
}

// TestWalkFails proves that a walk gives what it has read, then the error, and
// ends; and that it does not go round for ever.
func TestWalkFails(t *testing.T) {
	t.Parallel()
	first := ok(`{"runtimes":[{"game_id":"a"},{"game_id":"b"}],"next_cursor":"next"}`)
	for _, row := range []struct {
		name   string
		second reply
		says   string
		read   []string
	}{
		{"refused", problem(http.StatusForbidden, "forbidden"), "forbidden", []string{"a", "b"}},
		{"in a circle", first, "own cursor", []string{"a", "b"}},
	} {
		var read []string
		var failed error
		c := newClient(t, answering(first, row.second))
		for record, err := range c.AllRuntimes(t.Context(), client.ListRuntimesParams{}) {
			require.NoError(t, failed, "something came after the error")
			if err != nil {
				require.Zero(t, record)
				failed = err
				continue
			}
			read = append(read, record.GameID)
		}
		require.ErrorContains(t, failed, row.says, row.name)
		require.Equal(t, row.read, read, row.name)
	}
}
