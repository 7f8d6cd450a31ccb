package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/auth"
)

// There is no server without an answer to who may pass, nor without anything it
// talks to, nor with limits that are none.
func TestNewFailsClosed(t *testing.T) {
	_, good := furnish(t)
	_, err := api.New(good)
	require.NoError(t, err)
	for fault, spoil := range map[string]func(*api.Options){
		"nil patcher":                           func(o *api.Options) { o.Patcher = nil },
		"nil runtimes":                          func(o *api.Options) { o.Stores.Runtimes = nil },
		"nil runtime pages":                     func(o *api.Options) { o.Stores.RuntimePages = nil },
		"nil registrar":                         func(o *api.Options) { o.Stores.Registrar = nil },
		"nil engine versions":                   func(o *api.Options) { o.Stores.Versions = nil },
		"nil operations":                        func(o *api.Options) { o.Stores.Operations = nil },
		"nil idempotency keys":                  func(o *api.Options) { o.Stores.Keys = nil },
		"nil drift":                             func(o *api.Options) { o.Stores.Drift = nil },
		"nil gate":                              func(o *api.Options) { o.Gate = nil },
		"lame duck time -1ns is negative":       func(o *api.Options) { o.LameDuck = -1 },
		"rate, burst and":                       func(o *api.Options) { o.Rate = -1 },
		"burst and the number":                  func(o *api.Options) { o.Burst = -1 },
		"waiting callers must not be negative":  func(o *api.Options) { o.MaxWaiting = -1 },
		`check "x" needs a name and a function`: func(o *api.Options) { o.Checks = []api.Check{{Name: "x"}} },
		`check "" needs a name`:                 func(o *api.Options) { o.Checks = []api.Check{check("", nil)} },
		`two readiness checks are named "x"`:    func(o *api.Options) { o.Checks = []api.Check{check("x", nil), check("x", nil)} },
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
		"wrong":          {"Bearer canary-token-of-nobody"},
		"longer":         {"Bearer " + secret + "x"},
		"shorter":        {"Bearer " + secret[1:]},
		"its own digest": {"Bearer " + auth.HashToken(secret)},
		"other scheme":   {"Basic " + secret},
		"no scheme":      {secret},
		"twice":          {"Bearer " + secret, "Bearer " + secret},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			for _, target := range []struct{ method, path string }{
				{http.MethodPost, patchPath},
				{http.MethodPost, "/api/v1/internal/runtimes//patch"},
				{http.MethodHead, "/api/v1/internal/runtimes/demo-1"},
				{http.MethodGet, "/api/v1/internal/patches/x"},
			} {
				request := ask(t, target.method, h.url+target.path, "")
				request.Header["Authorization"] = authorization
				got := h.send(t, request)
				require.Equal(t, http.StatusUnauthorized, got.status)
				challenge := got.header.Get("WWW-Authenticate")
				require.True(t, strings.HasPrefix(challenge, "Bearer "), challenge)
				require.Equal(t, authorization != nil, strings.Contains(challenge, "invalid_token"))
				if target.method != http.MethodHead {
					got.refused(t, http.StatusUnauthorized, "unauthorized")
					require.NotContains(t, got.body, "canary")
				}
			}
			h.patcher.untouched(t)
			require.NotContains(t, h.log.String(), "canary")
		})
	}
}

// deafGate is a gate that cannot tell who calls.
type deafGate struct{ err error }

func (gate deafGate) Authenticate(context.Context, *http.Request) (auth.Caller, error) {
	return auth.Caller{}, gate.err
}

// While nobody can say who calls, the answer is a 503 that says when to come
// again; why is in the log and not in the answer. Probes go on.
func TestUnreachableIssuer(t *testing.T) {
	h := open(t, func(o *api.Options) {
		o.Gate = deafGate{errors.Join(auth.ErrUnavailable, errors.New("dial canary.example"))}
	})
	got := h.do(t, http.MethodPost, patchPath, goodBody)
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	require.Equal(t, "5", got.header.Get("Retry-After"))
	require.Empty(t, got.header.Get("WWW-Authenticate"))
	require.NotContains(t, got.body, "canary")
	require.Contains(t, h.log.String(), "dial canary.example")
	require.Equal(t, http.StatusOK, h.do(t, http.MethodGet, "/healthz", "").status)
	h.patcher.untouched(t)
}

// An error that a gate must not give lets nobody pass, and is not told.
func TestGateThatBreaks(t *testing.T) {
	h := open(t, func(o *api.Options) { o.Gate = deafGate{errors.New("canary")} })
	got := h.do(t, http.MethodPost, patchPath, goodBody)
	got.refused(t, http.StatusUnauthorized, "unauthorized")
	require.NotContains(t, got.body, "canary")
	h.patcher.untouched(t)
}

// A token is replaced without a gap: two of one name pass side by side, as one
// caller.
func TestTokensRotate(t *testing.T) {
	h := open(t, passing(t, tokenOf("admin", "the-token-before-that", auth.Scopes()...)))
	for _, token := range []string{"Bearer " + secret, "bearer the-token-before-that"} {
		require.Equal(t, http.StatusOK, h.do(t, http.MethodPost, patchPath, goodBody, "Authorization", token).status)
	}
	require.Equal(t, "admin", h.patcher.starts[0].Actor)
	require.Equal(t, "admin", h.patcher.starts[1].Actor)
}

func loopbackOnly(o *api.Options) { o.LoopbackOnly = true }

// On a server whose token is no secret only requests to this machine by name
// pass, so that a page whose name was made to resolve to loopback does not;
// that goes for the probes and pages too.
func TestLoopbackOnlyAnswersLoopbackHosts(t *testing.T) {
	for host, status := range map[string]int{
		"localhost": 200, "LocalHost:8080": 200, "127.0.0.1": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "[::1]": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "10.0.0.1:8080": 421,
		"127.0.0.1.evil.example": 421, "0.0.0.0:8080": 421, "": 421, "[::]:80": 421,
	} {
		t.Run(host, func(t *testing.T) {
			h := open(t, loopbackOnly)
			rest := " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + secret +
				"\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
			got := h.raw(t, "POST "+patchPath+rest+"19\r\n\r\n"+goodBody)
			require.Equal(t, status, got.status, got.body)
			for _, path := range []string{"/healthz", "/openapi.yaml", "/docs/", "/nowhere"} {
				require.Equal(t, status == http.StatusMisdirectedRequest,
					h.raw(t, "GET "+path+rest+"0\r\n\r\n").status == http.StatusMisdirectedRequest, path)
			}
			if status == http.StatusOK {
				require.Len(t, h.patcher.starts, 1)
				return
			}
			require.Equal(t, "Host", got.refused(t, status, "misdirected_request").Errors[0].Field)
			h.patcher.untouched(t)
		})
	}
}

// The token is wanted on loopback as everywhere, and no form passes.
func TestLoopbackOnlyIsNotOpen(t *testing.T) {
	h := open(t, loopbackOnly)
	for authorization, status := range map[string]int{"": 401, "Authorization: Bearer " + secret + "\r\n": 415} {
		got := h.raw(t, "POST "+patchPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"+
			authorization+"Connection: close\r\nContent-Length: 19\r\n\r\n"+goodBody)
		require.Equal(t, status, got.status, got.body)
	}
	h.patcher.untouched(t)
}
