package api_test

import (
	"bytes"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/domain/patch"
)

// document is the contract as it is written.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	loaded, err := openapi3.NewLoader().LoadFromData(api.Document)
	require.NoError(t, err)
	return loaded
}

// operations yields every operation of the document, by "METHOD /path".
func operations(loaded *openapi3.T) map[string]*openapi3.Operation {
	all := map[string]*openapi3.Operation{}
	for path, item := range loaded.Paths.Map() {
		for method, described := range item.Operations() {
			all[method+" "+path] = described
		}
	}
	return all
}

// The document is one, and all that it shows as an example is what it allows.
func TestDocumentIsValid(t *testing.T) {
	loaded := document(t)
	require.NoError(t, loaded.Validate(t.Context(),
		openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation(), openapi3.EnableSchemaDefaultsValidation()))
	// Examples have to be looked at: one that is wrong is found.
	broken := bytes.Replace(api.Document, []byte("code: patch_closed"), []byte("code: patch_clothed"), 1)
	require.NotEqual(t, api.Document, broken)
	spoilt, err := openapi3.NewLoader().LoadFromData(broken)
	require.NoError(t, err)
	require.ErrorContains(t, spoilt.Validate(t.Context(), openapi3.EnableExamplesValidation()), "patch_clothed")
}

// Every route is an operation of the document and every operation a route,
// except for the document itself and its pages.
func TestRoutesAreTheOperations(t *testing.T) {
	var described, served []string
	for name := range operations(document(t)) {
		described = append(described, name)
	}
	braces := strings.NewReplacer(":game_id", "{game_id}", ":patch_id", "{patch_id}", ":version", "{version}")
	for _, served1 := range build(t).server.Routes() {
		served = append(served, served1.Method+" "+braces.Replace(served1.Path))
	}
	require.ElementsMatch(t, append(described, "GET /openapi.yaml", "GET /docs", "GET /docs/*page"), served)
}

// The codes of the contract are those of a patch and of the door, no more and no
// less; each is told in one way.
func TestCodesAreTheContracts(t *testing.T) {
	var listed, known []string
	for _, code := range document(t).Components.Schemas["ProblemCode"].Value.Enum {
		listed = append(listed, code.(string))
	}
	for code := range api.Answers() {
		known = append(known, code)
	}
	require.ElementsMatch(t, listed, known)
	for _, code := range patch.Codes() {
		require.Contains(t, known, string(code))
	}
}

// Every code has an example under an operation's response with its status, told
// as the server tells it; those that no operation answers have one beside them.
func TestEveryCodeHasAnExample(t *testing.T) {
	loaded, shown := document(t), map[string]bool{}
	look := func(where, status string, response *openapi3.Response) {
		media := response.Content["application/problem+json"]
		if media == nil {
			return
		}
		require.NotEmpty(t, media.Examples, where)
		for name, example := range media.Examples {
			told := example.Value.Value.(map[string]any)
			code, _ := told["code"].(string)
			want, known := api.Answers()[code]
			require.True(t, known, "%s: %s", where, code)
			require.Equal(t, code, name, where)
			require.Equal(t, want.Title, told["title"], where)
			require.EqualValues(t, want.Status, told["status"], where)
			require.Equal(t, status, strconv.Itoa(want.Status), where)
			require.Equal(t, "urn:galaxy:gamemaster:problem:"+code, told["type"], where)
			shown[code] = true
		}
	}
	for name, described := range operations(loaded) {
		for status, response := range described.Responses.Map() {
			look(name, status, response.Value)
		}
	}
	for name, status := range map[string]string{"NotFound": "404", "MethodNotAllowed": "405", "MisdirectedRequest": "421"} {
		look(name, status, loaded.Components.Responses[name].Value)
	}
	for code := range api.Answers() {
		require.True(t, shown[code], "no example of %s", code)
	}
}

// Every operation names the scope that it takes or is public, and says how it is
// refused; the public ones are the probes alone.
func TestEveryOperationNamesItsScope(t *testing.T) {
	for name, described := range operations(document(t)) {
		if name == "GET /healthz" || name == "GET /readyz" {
			require.NotNil(t, described.Security, name)
			require.Empty(t, *described.Security, name)
			continue
		}
		require.Nil(t, described.Security, name)
		scope, _ := described.Extensions["x-scope"].(string)
		require.True(t, slices.Contains(auth.Scopes(), auth.Scope(scope)), name)
		for _, status := range []int{400, 401, 403, 429, 500, 503} {
			require.NotNil(t, described.Responses.Status(status), "%s: %d", name, status)
		}
		if described.RequestBody != nil {
			for _, status := range []int{408, 413, 415} {
				require.NotNil(t, described.Responses.Status(status), "%s: %d", name, status)
			}
		}
	}
}

// changed is a server whose document has one text in the place of another.
func changed(t *testing.T, old, replacement string) (*house, error) {
	t.Helper()
	text := bytes.Replace(api.Document, []byte(old), []byte(replacement), 1)
	require.NotEqual(t, api.Document, text)
	h, options := furnish(t)
	server, err := api.NewWith(options, text)
	h.server = server
	return h, err
}

const scopeOfDelete = "      description: Also answered with 204 when there is none. The container, if there is one, is left alone.\n      x-scope: runtime:admin\n"

// An operation without a scope is nobody's, also not one's who has all of them.
func TestRouteWithoutScopeIsRefused(t *testing.T) {
	h, err := changed(t, scopeOfDelete, "")
	require.NoError(t, err)
	problem := h.call(t, http.MethodDelete, "/api/v1/internal/runtimes/demo-1", "").refused(t, http.StatusForbidden, "forbidden")
	require.Contains(t, problem.Detail, "names no scope")
}

// A document that is broken, or says of an operation what is not possible, makes
// no server.
func TestBrokenDocumentMakesNoServer(t *testing.T) {
	for fault, replacement := range map[string]string{
		"want one of [runtime:read":        "      x-scope: runtime:root\n",
		"x-scope is 7":                     "      x-scope: 7\n",
		"open to everybody and names a sc": "      x-scope: runtime:admin\n      security: []\n",
		"read openapi.yaml":                "      x-scope: [\n",
		"check openapi.yaml":               "      x-scope: runtime:admin\n      parameters: [{name: a, in: nowhere}]\n",
	} {
		_, err := changed(t, scopeOfDelete, replacement)
		require.ErrorContains(t, err, fault)
	}
}

// The document and the pages that show it are open to everybody, as they are in
// the program, and the pages load nothing from elsewhere.
func TestDocumentsAreServed(t *testing.T) {
	h := open(t)
	got := h.do(t, http.MethodGet, "/openapi.yaml", "", "Authorization", "none")
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, string(api.Document), got.body)
	require.Equal(t, "application/yaml", got.header.Get("Content-Type"))

	got = h.do(t, http.MethodGet, "/docs", "", "Authorization", "none")
	require.Equal(t, http.StatusMovedPermanently, got.status)
	require.Equal(t, "/docs/", got.header.Get("Location"))

	got = h.do(t, http.MethodGet, "/docs/", "", "Authorization", "none")
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, got.body, "/openapi.yaml")
	require.Contains(t, got.header.Get("Content-Security-Policy"), "default-src 'self'")
	require.Equal(t, "DENY", got.header.Get("X-Frame-Options"))
	parts := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(got.body, -1)
	require.GreaterOrEqual(t, len(parts), 3)
	for _, part := range parts {
		require.True(t, strings.HasPrefix(part[1], "/docs/"), part[1])
		require.Equal(t, http.StatusOK, h.do(t, http.MethodGet, part[1], "").status, part[1])
	}
	for _, path := range []string{"/docs/nothing", "/docs/..%2f..%2fetc/passwd", "/docs/../openapi.go"} {
		require.Equal(t, http.StatusNotFound, h.raw(t, rawRequest("GET", path, "")).status, path)
	}
}
