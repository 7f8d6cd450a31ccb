package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/api/contract"
)

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	closes bool // the server ends the connection
}

// readReply reads an answer and holds it to the contract, so that every test
// proves that what it got is what the document promises.
func readReply(t testing.TB, request *http.Request, response *http.Response) reply {
	t.Helper()
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	got := reply{status: response.StatusCode, header: response.Header, body: string(body), closes: response.Close}
	require.NotEmpty(t, got.header.Get("X-Request-Id"))
	got.keeps(t, request)
	return got
}

func (r reply) decode(t testing.TB, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.body), into), r.body)
}

// problem checks what every problem has and returns it.
func (r reply) problem(t testing.TB) contract.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", r.header.Get("Content-Type"), r.body)
	var problem contract.Problem
	r.decode(t, &problem)
	require.Equal(t, r.status, problem.Status)
	require.Equal(t, "urn:galaxy:gamemaster:problem:"+string(problem.Code), problem.Type)
	require.NotEmpty(t, problem.Title)
	require.NotEmpty(t, problem.Detail)
	require.NotEmpty(t, problem.Instance)
	require.Equal(t, r.header.Get("X-Request-Id"), problem.RequestID)
	require.Equal(t, "no-store", r.header.Get("Cache-Control"))
	require.Equal(t, "nosniff", r.header.Get("X-Content-Type-Options"))
	return problem
}

// refused checks that the answer is this problem, and returns it.
func (r reply) refused(t testing.TB, status int, code string) contract.Problem {
	t.Helper()
	require.Equal(t, status, r.status, r.body)
	problem := r.problem(t)
	require.Equal(t, code, string(problem.Code), r.body)
	return problem
}

// blames checks that the answer is a 400 that names the field first.
func (r reply) blames(t testing.TB, field string) contract.Problem {
	t.Helper()
	problem := r.refused(t, http.StatusBadRequest, "invalid_request")
	require.NotEmpty(t, problem.Errors, r.body)
	require.Equal(t, field, problem.Errors[0].Field, r.body)
	require.NotEmpty(t, problem.Errors[0].Detail)
	return problem
}

// promised is the document, in which objects have no other members than those
// it lists: an answer must not tell more than was promised.
var promised = sync.OnceValue(func() *openapi3.T {
	document, err := openapi3.NewLoader().LoadFromData(api.Document)
	if err != nil {
		panic(err)
	}
	for _, schema := range document.Components.Schemas {
		if schema.Value.Type.Is(openapi3.TypeObject) {
			schema.Value.AdditionalProperties = openapi3.BoolSchema{Has: new(bool)}
		}
	}
	return document
})

// keeps checks the answer against the document: its status is one of the
// operation's, its body fits the schema, and its headers are there. What is no
// operation is answered with a problem, or is a document.
func (r reply) keeps(t testing.TB, request *http.Request) {
	t.Helper()
	if request.Method == http.MethodHead {
		require.Empty(t, r.body)
		return
	}
	path := request.URL.EscapedPath()
	if request.URL.Opaque != "" {
		path = request.URL.Opaque
	}
	template, item := pathOf(path)
	if item == nil || item.GetOperation(request.Method) == nil || r.status == http.StatusMisdirectedRequest {
		r.keepsProblem(t, path)
		return
	}
	described := item.GetOperation(request.Method)
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request,
			Route:   &routers.Route{Spec: promised(), Path: template, PathItem: item, Method: request.Method, Operation: described},
		},
		Status: r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader([]byte(r.body))),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	require.NoError(t, err, "%s %s: %d: %s", request.Method, path, r.status, r.body)
	for name := range described.Responses.Status(r.status).Value.Headers {
		if name != "Preference-Applied" { // only where something was preferred
			require.NotEmpty(t, r.header.Get(name), "%s of %s %s: %d", name, request.Method, path, r.status)
		}
	}
}

// keepsProblem checks an answer to what is no operation.
func (r reply) keepsProblem(t testing.TB, path string) {
	t.Helper()
	if path == "/openapi.yaml" || strings.HasPrefix(path, "/docs") {
		return
	}
	var body any
	r.decode(t, &body)
	schema := promised().Components.Schemas["Problem"].Value
	require.NoError(t, schema.VisitJSON(body, openapi3.VisitAsResponse()), "%s: %d: %s", path, r.status, r.body)
}

// pathOf finds the document's path of a request; one without parameters comes
// before one with them. It is written anew here, so that the server's router is
// not judged by itself.
func pathOf(path string) (string, *openapi3.PathItem) {
	parts := strings.Split(path, "/")
	var found string
	for template := range promised().Paths.Map() {
		if fits(strings.Split(template, "/"), parts) && (found == "" || strings.Count(template, "{") < strings.Count(found, "{")) {
			found = template
		}
	}
	if found == "" {
		return "", nil
	}
	return found, promised().Paths.Value(found)
}

func fits(template, parts []string) bool {
	if len(template) != len(parts) {
		return false
	}
	for i, part := range template {
		if part != parts[i] && !strings.HasPrefix(part, "{") {
			return false
		}
	}
	return true
}
