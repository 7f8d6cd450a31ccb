package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
)

// Every malformed body is a 400 that names the field, and reaches nobody.
func TestMalformedBodiesAreRefused(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	for name, test := range map[string]struct{ body, field string }{
		"empty":                    {" ", "body"},
		"not JSON":                 {"version=1.4.3", "body"},
		"cut off":                  {`{"version":"1.4`, "body"},
		"cut off after a member":   {`{"version":"1.4.3"`, "body"},
		"comma at the end":         {`{"version":"1.4.3",}`, "body"},
		"no colon":                 {`{"version" "1.4.3"}`, "body"},
		"bare key":                 {`{version:"1.4.3"}`, "body"},
		"comment":                  {`{"version":"1.4.3"/**/}`, "body"},
		"byte order mark":          {"\ufeff" + goodBody, "body"},
		"array":                    {`[{"version":"1.4.3"}]`, "body"},
		"string":                   {`"1.4.3"`, "body"},
		"null":                     {`null`, "body"},
		"trailing bytes":           {goodBody + "x", "body"},
		"second object":            {goodBody + goodBody, "body"},
		"trailing brace":           {goodBody + "}", "body"},
		"trailing NUL":             {goodBody + "\x00", "body"},
		"invalid UTF-8":            {"{\"version\":\"1.4.3\xff\"}", "body"},
		"raw control character":    {"{\"version\":\"1.4.3\n\"}", "body"},
		"no version":               {`{}`, "version"},
		"no version, others":       {`{"force":true}`, "version"},
		"version null":             {`{"version":null}`, "version"},
		"version number":           {`{"version":1.4}`, "version"},
		"version boolean":          {`{"version":true}`, "version"},
		"version object":           {`{"version":{"version":"1.4.3"}}`, "version"},
		"version array":            {`{"version":["1.4.3"]}`, "version"},
		"version too long":         {`{"version":"` + long(engineversion.MaxLength+1) + `"}`, "version"},
		"version NUL":              {`{"version":"1.4.3\u0000"}`, "version"},
		"version newline":          {`{"version":"1.4.3\n"}`, "version"},
		"version DEL":              {"{\"version\":\"1.4.3\x7f\"}", "version"},
		"version C1 control":       {`{"version":"1.4.3\u0085"}`, "version"},
		"version half a surrogate": {`{"version":"1.4.3\ud800"}`, "version"},
		"version twice":            {`{"version":"1.4.3","version":"1.4.3"}`, "version"},
		"version twice, escaped":   {`{"version":"1.4.3","\u0076ersion":"1.4.4"}`, "version"},
		"other case":               {`{"Version":"1.4.3"}`, "Version"},
		"both cases":               {`{"version":"1.4.3","VERSION":"1.4.4"}`, "VERSION"},
		"other case by folding":    {`{"version":"1.4.3","ver\u017fion":"1.4.4"}`, "verſion"},
		"unknown key":              {`{"version":"1.4.3","image":"x"}`, "image"},
		"empty key":                {`{"version":"1.4.3","":1}`, ""},
		"nested unknown":           {`{"version":"1.4.3","x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, "body"},
		"nested":                   {`{"version":"1.4.3","x":[[{"y":[1]}]]}`, "x"},
		"source_ref too long":      {`{"version":"1.4.3","source_ref":"` + long(patch.MaxSourceRef+1) + `"}`, "source_ref"},
		"source_ref number":        {`{"version":"1.4.3","source_ref":7}`, "source_ref"},
		"source_ref tab":           {`{"version":"1.4.3","source_ref":"a\tb"}`, "source_ref"},
		"op_source NUL":            {`{"version":"1.4.3","op_source":"\u0000"}`, "op_source"},
		"op_source null":           {`{"version":"1.4.3","op_source":null}`, "op_source"},
		"reason too long":          {`{"version":"1.4.3","reason":"` + long(patch.MaxReason+1) + `"}`, "reason"},
		"reason NUL":               {`{"version":"1.4.3","reason":"\u0000"}`, "reason"},
		"reason escape sequence":   {`{"version":"1.4.3","reason":"\u001b[2J"}`, "reason"},
		"force string":             {`{"version":"1.4.3","force":"true"}`, "force"},
		"force number":             {`{"version":"1.4.3","force":1}`, "force"},
		"force null":               {`{"version":"1.4.3","force":null}`, "force"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			got := h.do(t, http.MethodPost, patchPath, test.body)
			require.Empty(t, got.blames(t, test.field).PatchID)
			h.patcher.untouched(t)
		})
	}
}

// Several mistakes are told together, and not more than can be read.
func TestMistakesAreToldTogether(t *testing.T) {
	h := open(t)
	problem := h.do(t, http.MethodPost, patchPath, `{"force":1,"Version":"x","reason":"\u0000"}`).problem(t)
	fields := []string{}
	for _, mistake := range problem.Errors {
		fields = append(fields, mistake.Field)
	}
	require.Equal(t, []string{"Version", "force", "reason", "version"}, fields)
	require.Contains(t, problem.Detail, "and 3 more")

	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf(`"k%d":0`, i))
	}
	problem = h.do(t, http.MethodPost, patchPath, "{"+strings.Join(many, ",")+"}").problem(t)
	require.Len(t, problem.Errors, 10)
	h.patcher.untouched(t)
}

// What is as large as allowed passes: the limits refuse nothing below them.
func TestLimitsAreInclusive(t *testing.T) {
	h := open(t)
	h.keys.EXPECT().Claim(gomock.Any(), gomock.Any()).DoAndReturn(claimed)
	h.keys.EXPECT().Settle(gomock.Any(), gomock.Any())
	h.keys.EXPECT().KeepResult(gomock.Any(), "admin", strings.Repeat("a", api.MaxIdempotencyKey), gomock.Any())
	fill := func(n int) string { return strings.Repeat("a", n) }
	body := fmt.Sprintf(`{"version":%q,"source_ref":%q,"reason":%q}`,
		fill(engineversion.MaxLength), fill(patch.MaxSourceRef), fill(patch.MaxReason))
	body += strings.Repeat(" ", api.MaxBody-len(body))
	got := h.do(t, http.MethodPost, patchPath, body, "Idempotency-Key", fill(api.MaxIdempotencyKey))
	require.Equal(t, http.StatusOK, got.status, got.body)
}

// Headers that say something else than a plain JSON body, and keys out of
// bounds, are refused by name.
func TestMalformedHeadersAreRefused(t *testing.T) {
	type header struct{ name, value string }
	for name, test := range map[string]struct {
		replace []header
		status  int
		code    string
		field   string
	}{
		"no content type":    {[]header{{"Content-Type", ""}}, 415, "unsupported_media_type", "Content-Type"},
		"form":               {[]header{{"Content-Type", "application/x-www-form-urlencoded"}}, 415, "unsupported_media_type", "Content-Type"},
		"text":               {[]header{{"Content-Type", "text/plain"}}, 415, "unsupported_media_type", "Content-Type"},
		"suffix":             {[]header{{"Content-Type", "application/jsonp"}}, 415, "unsupported_media_type", "Content-Type"},
		"other charset":      {[]header{{"Content-Type", "application/json; charset=utf-16"}}, 415, "unsupported_media_type", "Content-Type"},
		"broken type":        {[]header{{"Content-Type", "application/json; ;"}}, 415, "unsupported_media_type", "Content-Type"},
		"two types":          {[]header{{"Content-Type", "application/json"}, {"Content-Type", "text/plain"}}, 415, "unsupported_media_type", "Content-Type"},
		"gzip":               {[]header{{"Content-Encoding", "gzip"}}, 415, "unsupported_media_type", "Content-Encoding"},
		"identity":           {[]header{{"Content-Encoding", "identity"}}, 415, "unsupported_media_type", "Content-Encoding"},
		"empty key":          {[]header{{"Idempotency-Key", ""}}, 400, "invalid_request", "Idempotency-Key"},
		"empty quoted key":   {[]header{{"Idempotency-Key", `""`}}, 400, "invalid_request", "Idempotency-Key"},
		"long key":           {[]header{{"Idempotency-Key", strings.Repeat("k", 256)}}, 400, "invalid_request", "Idempotency-Key"},
		"key with a space":   {[]header{{"Idempotency-Key", "a b"}}, 400, "invalid_request", "Idempotency-Key"},
		"key not ASCII":      {[]header{{"Idempotency-Key", "clé"}}, 400, "invalid_request", "Idempotency-Key"},
		"key, open quote":    {[]header{{"Idempotency-Key", `"abc`}}, 400, "invalid_request", "Idempotency-Key"},
		"key, lone quote":    {[]header{{"Idempotency-Key", `"`}}, 400, "invalid_request", "Idempotency-Key"},
		"key, inner quote":   {[]header{{"Idempotency-Key", `"a"b"`}}, 400, "invalid_request", "Idempotency-Key"},
		"key, bad escape":    {[]header{{"Idempotency-Key", `"a\b"`}}, 400, "invalid_request", "Idempotency-Key"},
		"key, open escape":   {[]header{{"Idempotency-Key", `"a\"`}}, 400, "invalid_request", "Idempotency-Key"},
		"key with parameter": {[]header{{"Idempotency-Key", `"a";b=c`}}, 400, "invalid_request", "Idempotency-Key"},
		"two keys":           {[]header{{"Idempotency-Key", "a"}, {"Idempotency-Key", "a"}}, 400, "invalid_request", "Idempotency-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			request := ask(t, http.MethodPost, h.url+patchPath, goodBody)
			for _, replaced := range test.replace {
				request.Header.Del(replaced.name)
			}
			for _, replaced := range test.replace {
				if replaced.value != "" || replaced.name == "Idempotency-Key" {
					request.Header.Add(replaced.name, replaced.value)
				}
			}
			require.Equal(t, test.field, h.send(t, request).refused(t, test.status, test.code).Errors[0].Field)
			h.patcher.untouched(t)
		})
	}
}

// A content type may carry the charset that JSON has anyway.
func TestContentTypeMayHaveACharset(t *testing.T) {
	h := open(t)
	request := ask(t, http.MethodPost, h.url+patchPath, goodBody)
	request.Header.Set("Content-Type", `Application/JSON; charset="UTF-8"`)
	require.Equal(t, http.StatusOK, h.send(t, request).status)
}

// A body over 4 KiB is a 413 whether its length is announced or not, before
// it was sent, and the connection ends with it.
func TestLargeBodiesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"announced, not sent": "Content-Length: 52428800\r\n\r\n",
		"one byte too many":   "Content-Length: 4097\r\n\r\n" + goodBody + strings.Repeat(" ", 4097-len(goodBody)),
		"in chunks": "Transfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat(fmt.Sprintf("800\r\n%s\r\n", strings.Repeat(" ", 0x800)), 3),
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			got := h.raw(t, "POST "+patchPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+secret+
				"\r\nContent-Type: application/json\r\n"+text)
			problem := got.refused(t, http.StatusRequestEntityTooLarge, "body_too_large")
			require.Equal(t, "body", problem.Errors[0].Field)
			require.True(t, got.closes)
			h.patcher.untouched(t)
		})
	}
}

// A game id of another shape is a 400 that names it, however it is spelled;
// nothing that decodes to a slash or a dot gets out of its place in the path.
func TestBadGameIDsAreRefused(t *testing.T) {
	for _, id := range []string{
		"", "%00", "%20", "..%2f", "..", ".", "%2e%2e", "a%2Fb", "a%2fpatch%3f", "Demo-1", "demo.1", "-demo", "demo+1",
		"demo%0a", "d%C3%A9mo", "demo%FF", "demo;x", "demo%00", strings.Repeat("a", 65), "%252e",
	} {
		for _, request := range []string{
			rawRequest("POST", "/api/v1/internal/runtimes/"+id+"/patch", goodBody),
			rawRequest("GET", "/api/v1/internal/runtimes/"+id+"/operations", ""),
		} {
			t.Run(strings.Fields(request)[1], func(t *testing.T) {
				h := open(t)
				h.raw(t, request).blames(t, "game_id")
				h.patcher.untouched(t)
			})
		}
	}
}

// A path that only resembles a route is none: no slash is forgiven, no case,
// and no encoded slash makes two segments.
func TestPathsAreTakenAsSent(t *testing.T) {
	for target, status := range map[string]int{
		"/":                          404,
		"/api/v1/internal/runtimes/": 404,
		"/api/v1/internal/runtimes/demo-1/patch/":   404,
		"//api/v1/internal/runtimes/demo-1/patch":   404,
		"/API/v1/internal/runtimes/demo-1/patch":    404,
		"/api/v1/internal/x/../runtimes/d/patch":    404,
		"/api/v1/internal%2Fruntimes/demo-1/patch":  404,
		"/api/v1/internal/runtimes/demo-1%2Fpatch":  405,
		"/api/v1/internal/runtimes/demo-1/%70atch":  404,
		"/api/v1/internal/runtimes/demo-1/patch%3F": 404,
	} {
		t.Run(target, func(t *testing.T) {
			h := open(t)
			got := h.raw(t, rawRequest("POST", target, goodBody))
			require.Equal(t, status, got.status, got.body)
			got.problem(t)
			h.patcher.untouched(t)
		})
	}
}

// A known path with another method is a 405 that says which it takes.
func TestWrongMethod(t *testing.T) {
	h := open(t)
	for _, test := range []struct{ method, path, allow string }{
		{"GET", patchPath, "POST"},
		{"PUT", patchPath, "POST"},
		{"OPTIONS", patchPath, "POST"},
		{"PUT", "/api/v1/internal/runtimes", "GET, HEAD, POST"},
		{"POST", "/api/v1/internal/runtimes/demo-1", "GET, HEAD, DELETE"},
		{"BREW", "/healthz", "GET, HEAD"},
	} {
		got := h.do(t, test.method, test.path, "")
		got.refused(t, http.StatusMethodNotAllowed, "method_not_allowed")
		require.ElementsMatch(t, strings.Split(test.allow, ", "), strings.Split(got.header.Get("Allow"), ", "))
	}
	require.NotContains(t, h.log.String(), "BREW")
}

// A query where none belongs is refused, so that nobody believes in its effect.
func TestPatchTakesNoQuery(t *testing.T) {
	for _, target := range []string{"?version=1.4.4", "?a=1;b=2", "?%zz"} {
		h := open(t)
		got := h.raw(t, rawRequest("POST", patchPath+target, goodBody))
		require.Equal(t, http.StatusBadRequest, got.status, got.body)
		require.Len(t, got.problem(t).Errors, 1)
		h.patcher.untouched(t)
	}
}
