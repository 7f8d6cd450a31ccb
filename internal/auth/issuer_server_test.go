package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// The keys of the tests; making one takes long.
var (
	firstKey  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	secondKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	curveKey  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// issuerServer is an issuer: a real server with discovery and keys.
type issuerServer struct {
	*httptest.Server

	mutex sync.Mutex
	// down hangs up without an answer.
	down bool
	// keys are published; answers replace what is served at a path.
	keys    []jose.JSONWebKey
	answers map[string]func(http.ResponseWriter, *http.Request)
	hits    map[string]int
}

const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/keys"
)

// issue starts an issuer that has published the first key as "one".
func issue(t testing.TB) *issuerServer {
	t.Helper()
	server := newIssuer()
	server.Server = httptest.NewServer(server)
	t.Cleanup(server.Close)
	return server
}

func newIssuer() *issuerServer {
	return &issuerServer{
		keys:    []jose.JSONWebKey{{Key: firstKey().Public(), KeyID: "one", Algorithm: "RS256", Use: "sig"}},
		answers: map[string]func(http.ResponseWriter, *http.Request){}, hits: map[string]int{},
	}
}

func (s *issuerServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.hits[r.URL.Path]++
	if s.down {
		panic(http.ErrAbortHandler)
	}
	if answer := s.answers[r.URL.Path]; answer != nil {
		answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case discoveryPath:
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.URL, "jwks_uri": s.URL + keysPath})
	case keysPath:
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: s.keys})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *issuerServer) goDown(down bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.down = down
}

func (s *issuerServer) publish(keys ...jose.JSONWebKey) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.keys = keys
}

// answer serves something else at a path; a zero status serves what is right.
func (s *issuerServer) answer(path string, status int, body string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if status == 0 {
		delete(s.answers, path)
		return
	}
	s.answers[path] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", keysPath)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func (s *issuerServer) hit(path string) int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.hits[path]
}

// policy is a policy with this issuer and more lines of its entry.
func (s *issuerServer) policy(lines ...string) string {
	text := "oidc:\n- issuer: " + s.URL + "\n  audience: gamemaster\n"
	for _, line := range lines {
		text += "  " + line + "\n"
	}
	return text
}

// said are claims of a token.
type said map[string]any

// claims returns those of a token that passes for an hour, changed as told; nil
// takes a claim away.
func (s *issuerServer) claims(now time.Time, changes said) said {
	all := said{
		"iss": s.URL, "sub": "alice", "aud": "gamemaster", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "scope": "openid runtime:read",
	}
	for name, value := range changes {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	return all
}

// sign returns a token with claims.
func sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, kid string, claims any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	require.NoError(t, err)
	payload, ok := claims.(string)
	if !ok {
		payload = string(must(json.Marshal(claims)))
	}
	signed, err := signer.Sign([]byte(payload))
	require.NoError(t, err)
	return must(signed.CompactSerialize())
}

// good returns a token that passes, signed with the first key and changed as
// told.
func (s *issuerServer) good(t *testing.T, d *door, changes said) string {
	t.Helper()
	return sign(t, jose.RS256, firstKey(), "one", s.claims(d.clock.now(), changes))
}

// spoil returns the token with its last characters replaced by others.
func spoil(token string) string {
	head, signature := token[:strings.LastIndex(token, ".")+1], token[strings.LastIndex(token, ".")+1:]
	return head + strings.Repeat("A", len(signature))
}

// public returns a public key as it is published.
func public(kid string, key any) jose.JSONWebKey {
	published := jose.JSONWebKey{Key: key, KeyID: kid, Use: "sig"}
	if !published.Valid() {
		panic(fmt.Sprintf("key %s is not valid", kid))
	}
	return published
}
