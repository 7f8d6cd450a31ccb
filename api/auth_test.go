package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/domain/patch"
)

// A list of tokens is read whole or refused with the entry that is wrong, and
// no error repeats what was given: it may be a token.
func TestParseTokens(t *testing.T) {
	good := digest("one")
	for name, test := range map[string]struct{ text, fault string }{
		"empty":           {"", "empty"},
		"blank":           {"  ", "empty"},
		"no colon":        {"canary", "entry 1 has no colon"},
		"a token":         {"admin:canary", "digest of entry 1"},
		"short digest":    {"admin:" + good[2:], "digest of entry 1"},
		"long digest":     {"admin:" + good + "00", "digest of entry 1"},
		"not hex":         {"admin:" + strings.Repeat("z", 64), "digest of entry 1"},
		"second is wrong": {"admin:" + good + ",ops:canary", "digest of entry 2"},
		"comma at end":    {"admin:" + good + ",", "entry 2 has no colon"},
		"no name":         {":" + good, "name of entry 1"},
		"bad name":        {"ca nary:" + good, "name of entry 1"},
		"reserved name":   {"anonymous:" + good, "reserved"},
		"turned around":   {good + "canary:admin", "name of entry 1"},
		"same token":      {"admin:" + good + ",ops:" + strings.ToUpper(good), "entry 2 repeats"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := api.ParseTokens(test.text)
			require.ErrorContains(t, err, test.fault)
			require.NotContains(t, err.Error(), "canary")
			require.NotContains(t, err.Error(), good)
		})
	}

	parsed, err := api.ParseTokens(" admin:" + good + " , admin:" + strings.ToUpper(digest("two")) + " ")
	require.NoError(t, err)
	require.Len(t, parsed, 2)
	require.Equal(t, "2 tokens", fmt.Sprint(parsed))
	require.Equal(t, "admin", parsed[1].Name)
}

// There is no server without an answer to who may pass, nor with two of them,
// nor without what it talks to.
func TestNewFailsClosed(t *testing.T) {
	h := build(t)
	good := api.Options{
		Patcher: h.patcher, Runtimes: h.runtimes, Operations: h.operations, Tokens: tokens(t, "admin", secret),
	}
	_, err := api.New(good)
	require.NoError(t, err)
	for fault, spoil := range map[string]func(*api.Options){
		"nil patcher":    func(o *api.Options) { o.Patcher = nil },
		"nil runtimes":   func(o *api.Options) { o.Runtimes = nil },
		"nil operations": func(o *api.Options) { o.Operations = nil },
		"no tokens":      func(o *api.Options) { o.Tokens = nil },
		"exclude":        func(o *api.Options) { o.AllowAnonymous = true },
		"negative":       func(o *api.Options) { o.LameDuck = -1 },
		"needs a name":   func(o *api.Options) { o.Checks = []api.Check{{Name: "x"}} },
		"two readiness":  func(o *api.Options) { o.Checks = []api.Check{check("x", nil), check("x", nil)} },
	} {
		options := good
		spoil(&options)
		_, err := api.New(options)
		require.ErrorContains(t, err, fault)
	}
}

// Without the right token nothing passes, malformed or not, and nobody is
// asked; the challenge says what is wanted; the token is in no log.
func TestOnlyTokensPass(t *testing.T) {
	for name, authorization := range map[string][]string{
		"none":           nil,
		"empty":          {""},
		"scheme only":    {"Bearer"},
		"no token":       {"Bearer "},
		"wrong":          {"Bearer canary"},
		"longer":         {"Bearer " + secret + "x"},
		"shorter":        {"Bearer " + secret[1:]},
		"its own digest": {"Bearer " + digest(secret)},
		"other scheme":   {"Basic " + secret},
		"no scheme":      {secret},
		"twice":          {"Bearer " + secret, "Bearer " + secret},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			for target, method := range map[string]string{
				patchPath: http.MethodPost, "/api/v1/internal/runtimes//patch": http.MethodPost,
				"/api/v1/internal/runtimes": http.MethodGet, "/api/v1/internal/runtimes/demo-1": http.MethodHead,
				"/api/v1/internal/runtimes/demo-1/operations": http.MethodGet, "/api/v1/internal/patches/x": http.MethodGet,
			} {
				request := ask(t, method, h.url+target, "")
				request.Header["Authorization"] = authorization
				response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
				require.NoError(t, err)
				got := readReply(t, response)
				require.Equal(t, http.StatusUnauthorized, got.status)
				require.True(t, strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer"))
				if method != http.MethodHead {
					require.Equal(t, patch.Code("unauthorized"), got.problem(t).Code)
				}
			}
			h.patcher.untouched(t)
			require.NotContains(t, h.log.String(), "canary")
		})
	}
}

// A token is replaced without a gap: two of one name pass side by side.
func TestTokensRotate(t *testing.T) {
	h := open(t, func(o *api.Options) { o.Tokens = append(tokens(t, "admin", "older"), o.Tokens...) })
	for _, token := range []string{"Bearer " + secret, "bearer older"} {
		request := ask(t, http.MethodPost, h.url+patchPath, goodBody, "Idempotency-Key", "k")
		request.Header.Set("Authorization", token)
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, readReply(t, response).status)
	}
	require.Equal(t, h.patcher.starts[0].PatchID, h.patcher.starts[1].PatchID)
}

func anonymous(o *api.Options) { o.Tokens, o.AllowAnonymous = nil, true }

// Without tokens only requests to this machine by name pass, so that a page
// whose name was made to resolve to loopback does not; and no form passes.
func TestAnonymousIsForLoopbackOnly(t *testing.T) {
	for host, status := range map[string]int{
		"localhost": 200, "LocalHost:8080": 200, "127.0.0.1": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "[::1]": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "10.0.0.1:8080": 421,
		"127.0.0.1.evil.example": 421, "0.0.0.0:8080": 421, "": 421, "[::]:80": 421,
	} {
		t.Run(host, func(t *testing.T) {
			h := open(t, anonymous)
			got := h.raw(t, "POST "+patchPath+" HTTP/1.1\r\nHost: "+host+"\r\nContent-Type: application/json\r\n"+
				"Idempotency-Key: k\r\nConnection: close\r\nContent-Length: 19\r\n\r\n"+goodBody)
			require.Equal(t, status, got.status, got.body)
			if status == http.StatusOK {
				require.Equal(t, patch.DeriveID("demo-1", api.Anonymous, "k"), h.patcher.starts[0].PatchID)
				return
			}
			require.Equal(t, "Host", got.problem(t).Errors[0].Field)
			h.patcher.untouched(t)
		})
	}
	h := open(t, anonymous)
	got := h.raw(t, "POST "+patchPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"+
		"Connection: close\r\nContent-Length: 19\r\n\r\n"+goodBody)
	require.Equal(t, http.StatusUnsupportedMediaType, got.status)
	h.patcher.untouched(t)
}
