package auth_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/auth"
)

// While an issuer is down at the start nobody knows whether its tokens are
// right, which keeps nobody else out; once it is up they pass without a restart.
func TestIssuerDownAtStart(t *testing.T) {
	server := issue(t)
	server.goDown(true)
	d := hang(t, server.policy()+tokenPolicy(secret))
	require.Zero(t, server.hit(discoveryPath), "the issuer is asked before there is a token of it")
	good := server.good(t, d, nil)

	d.passes(t, secret, "admin")
	for range 20 {
		d.doubts(t, good, "discovery: "+strings.TrimPrefix(server.URL, "http://")+discoveryPath)
		d.passes(t, secret, "admin")
	}
	require.Equal(t, 1, server.hit(discoveryPath), "an issuer that is down is asked by everybody")

	server.goDown(false)
	d.doubts(t, good, "discovery")
	d.clock.pass(5 * time.Second)
	d.passes(t, good, "oidc:alice")
}

// The same holds when only the keys cannot be had: an answer that holds none is
// as good as no answer, and no answer is repeated in the error.
func TestKeysDownAtStart(t *testing.T) {
	for name, test := range map[string]struct {
		path   string
		status int
		body   string
		why    string
	}{
		"status":                {keysPath, http.StatusInternalServerError, "canary", "status 500"},
		"redirect":              {keysPath, http.StatusFound, "canary", "status 302"},
		"no content":            {keysPath, http.StatusNoContent, "", "status 204"},
		"not JSON":              {keysPath, http.StatusOK, "<canary>", "the keys cannot be read"},
		"no keys":               {keysPath, http.StatusOK, `{"canary":1}`, "the keys cannot be read"},
		"bad key":               {keysPath, http.StatusOK, `{"keys":[{"kty":"RSA","n":"canary"}]}`, "none of the keys can be used"},
		"secret key":            {keysPath, http.StatusOK, `{"keys":[{"kty":"oct","kid":"one","k":"Y2FuYXJ5"}]}`, "none of the keys can be used"},
		"oversized":             {keysPath, http.StatusOK, `{"keys":[],"canary":"` + strings.Repeat("x", 256<<10) + `"}`, "more than 262144 bytes"},
		"oversized document":    {discoveryPath, http.StatusOK, `{"canary":"` + strings.Repeat("x", 256<<10) + `"}`, "more than 262144 bytes"},
		"document not JSON":     {discoveryPath, http.StatusOK, "<canary>", "document cannot be read"},
		"document of other":     {discoveryPath, http.StatusOK, `{"issuer":"https://canary.example","jwks_uri":"https://canary.example"}`, "another issuer"},
		"document not there":    {discoveryPath, http.StatusNotFound, "canary", "status 404"},
		"document is elsewhere": {discoveryPath, http.StatusMovedPermanently, "canary", "status 301"},
	} {
		t.Run(name, func(t *testing.T) {
			server := issue(t)
			server.answer(test.path, test.status, test.body)
			d := hang(t, server.policy())
			good := server.good(t, d, nil)
			for range 5 {
				d.doubts(t, good, test.why)
			}
			_, err := d.ask(t, "Bearer "+good)
			require.NotContains(t, err.Error(), "canary")
			require.NotContains(t, d.log.String(), "canary")
			require.Equal(t, 1, server.hit(test.path))

			server.answer(test.path, 0, "")
			d.clock.pass(5 * time.Second)
			d.passes(t, good, "oidc:alice")
		})
	}
}

// A discovery document cannot send us to plain http, nowhere, or to what is no
// web address.
func TestDiscoveredKeys(t *testing.T) {
	for jwks, why := range map[string]string{
		"http://issuer.example/keys": "not https",
		"file:///etc/passwd":         "does not say where",
		"/keys":                      "does not say where",
		"":                           "does not say where",
		"ftp://127.0.0.1/keys":       "not https",
	} {
		server := issue(t)
		server.answer(discoveryPath, http.StatusOK, fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, server.URL, jwks))
		d := hang(t, server.policy())
		d.doubts(t, server.good(t, d, nil), why)
		require.Zero(t, server.hit(keysPath))
	}
}

// Keys at hand serve while the issuer is down; what would need new keys is in
// doubt then, and wrong again once the issuer has answered.
func TestIssuerDownLater(t *testing.T) {
	server := issue(t)
	d := hang(t, server.policy())
	good := server.good(t, d, nil)
	d.passes(t, good, "oidc:alice")
	server.goDown(true)
	for range 5 {
		d.passes(t, good, "oidc:alice")
	}
	stranger := sign(t, jose.RS256, secondKey(), "two", server.claims(d.clock.now(), nil))
	for range 5 {
		d.doubts(t, stranger, keysPath)
		d.passes(t, good, "oidc:alice")
		// The key that this one names is at hand, so that there is no doubt.
		d.refuses(t, spoil(good), "signature does not match")
	}
	require.Equal(t, 2, server.hit(keysPath))
	server.goDown(false)
	d.clock.pass(5 * time.Second)
	d.refuses(t, stranger, "signature does not match")
	d.passes(t, good, "oidc:alice")
}

// A key that the issuer has just begun to use is fetched, at once the first
// time and a few seconds later at most after that.
func TestKeysRotate(t *testing.T) {
	server := issue(t)
	d := hang(t, server.policy())
	old := server.good(t, d, nil)
	d.passes(t, old, "oidc:alice")

	server.publish(public("one", firstKey().Public()), public("two", secondKey().Public()))
	fresh := sign(t, jose.RS256, secondKey(), "two", server.claims(d.clock.now(), nil))
	d.passes(t, fresh, "oidc:alice")
	d.passes(t, old, "oidc:alice")
	require.Equal(t, 2, server.hit(keysPath))

	server.publish(public("three", curveKey().Public()))
	third := sign(t, jose.ES256, curveKey(), "three", server.claims(d.clock.now(), nil))
	d.refuses(t, third, "signature does not match")
	d.clock.pass(5 * time.Second)
	d.passes(t, third, "oidc:alice")
	d.refuses(t, old, "signature does not match")
	require.Equal(t, 3, server.hit(keysPath))
}

// Only public keys for signatures count, each for its algorithm if it has one;
// others beside them do no harm.
func TestKeysOfOtherUse(t *testing.T) {
	first := public("", firstKey().Public())
	for name, test := range map[string]struct {
		key    jose.JSONWebKey
		passes bool
	}{
		"for nothing said":      {jose.JSONWebKey{Key: first.Key, KeyID: "one"}, true},
		"for its algorithm":     {jose.JSONWebKey{Key: first.Key, KeyID: "one", Algorithm: "RS256", Use: "sig"}, true},
		"for another algorithm": {jose.JSONWebKey{Key: first.Key, KeyID: "one", Algorithm: "PS256"}, false},
		"for encryption":        {jose.JSONWebKey{Key: first.Key, KeyID: "one", Use: "enc"}, false},
		"private":               {jose.JSONWebKey{Key: firstKey(), KeyID: "one"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := issue(t)
			server.publish(public("two", secondKey().Public()), jose.JSONWebKey{Key: []byte("symmetric"), KeyID: "one"}, test.key)
			d := hang(t, server.policy())
			d.passes(t, sign(t, jose.RS256, secondKey(), "two", server.claims(d.clock.now(), nil)), "oidc:alice")
			if test.passes {
				d.passes(t, server.good(t, d, nil), "oidc:alice")
				return
			}
			d.refuses(t, server.good(t, d, nil), "signature does not match")
		})
	}
}

// However many tokens with unknown keys come, at once or over time, the issuer
// hears of few, they are all refused, and the right ones pass meanwhile.
func TestFloodOfUnknownKeys(t *testing.T) {
	server := issue(t)
	d := hang(t, server.policy())
	good := server.good(t, d, nil)
	d.passes(t, good, "oidc:alice")
	wrong := make([]string, 8)
	for i := range wrong {
		wrong[i] = sign(t, jose.RS256, secondKey(), fmt.Sprintf("kid-%d", i), server.claims(d.clock.now(), nil))
	}
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			_, err := d.Authenticate(t.Context(), request("Bearer "+wrong[i%len(wrong)]))
			if auth.Reason(err) == "" {
				t.Errorf("not refused: %v", err)
			}
			if _, err := d.Authenticate(t.Context(), request("Bearer "+good)); err != nil {
				t.Errorf("the right token: %v", err)
			}
		})
	}
	group.Wait()
	require.Equal(t, 2, server.hit(keysPath))
	for range 12 {
		d.clock.pass(5 * time.Second)
		for _, token := range wrong {
			d.refuses(t, token, "signature does not match")
		}
	}
	require.Equal(t, 14, server.hit(keysPath))
	require.Equal(t, 1, server.hit(discoveryPath))
}

// Requests that come while the first keys are on their way all get them, for
// one request to the issuer.
func TestFirstKeysAreShared(t *testing.T) {
	for range 10 {
		server := issue(t)
		d := hang(t, server.policy())
		good := server.good(t, d, nil)
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				if _, err := d.Authenticate(t.Context(), request("Bearer "+good)); err != nil {
					t.Errorf("the right token: %v", err)
				}
			})
		}
		group.Wait()
		require.Equal(t, 1, server.hit(discoveryPath))
		require.LessOrEqual(t, server.hit(keysPath), 2)
	}
}

// A key that the issuer has withdrawn passes for a quarter of an hour at most,
// though nothing else asks for new keys; while the issuer is down it still does.
func TestWithdrawnKey(t *testing.T) {
	server := issue(t)
	d := hang(t, server.policy())
	good := server.good(t, d, nil)
	d.passes(t, good, "oidc:alice")
	server.publish(public("two", secondKey().Public()))
	server.goDown(true)
	d.clock.pass(15*time.Minute - time.Second)
	d.passes(t, good, "oidc:alice")
	require.Zero(t, d.log.count("WARN"))

	d.clock.pass(time.Second)
	for range 5 {
		d.passes(t, good, "oidc:alice")
	}
	require.Equal(t, 1, d.log.count("WARN"))
	require.Equal(t, 2, server.hit(discoveryPath))

	server.goDown(false)
	d.clock.pass(time.Minute)
	d.refuses(t, good, "signature does not match")
	d.refuses(t, good, "signature does not match")
	d.passes(t, sign(t, jose.RS256, secondKey(), "two", server.claims(d.clock.now(), nil)), "oidc:alice")
	require.Equal(t, 1, d.log.count("WARN"))
}

// While discovery alone is down, new keys are fetched from where they were.
func TestDiscoveryDownLater(t *testing.T) {
	server := issue(t)
	d := hang(t, server.policy())
	good := server.good(t, d, nil)
	d.passes(t, good, "oidc:alice")
	server.answer(discoveryPath, http.StatusInternalServerError, "")
	d.clock.pass(15 * time.Minute)
	d.passes(t, good, "oidc:alice")
	require.Equal(t, 1, d.log.count("WARN"))
	server.publish(public("two", secondKey().Public()))
	d.passes(t, sign(t, jose.RS256, secondKey(), "two", server.claims(d.clock.now(), nil)), "oidc:alice")
	require.Equal(t, 2, server.hit(discoveryPath))
}

// While somebody renews the keys everybody else passes with the old ones.
func TestNobodyWaitsForRenewal(t *testing.T) {
	server := issue(t)
	d := hang(t, server.policy())
	good := server.good(t, d, nil)
	d.passes(t, good, "oidc:alice")

	asked, answer := make(chan struct{}), make(chan struct{})
	server.answers[discoveryPath] = func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-answer
		panic(http.ErrAbortHandler)
	}
	d.clock.pass(15 * time.Minute)
	done := make(chan error)
	go func() {
		_, err := d.Authenticate(t.Context(), request("Bearer "+good))
		done <- err
	}()
	<-asked
	start := time.Now()
	for range 5 {
		d.passes(t, good, "oidc:alice")
	}
	// An issuer is given five seconds, for which they would have had to wait.
	require.Less(t, time.Since(start), 4*time.Second)
	close(answer)
	require.NoError(t, <-done)
}

// A caller who goes away while somebody else fetches keys is in doubt; one who
// goes away while fetching does so to the end, and nobody else suffers.
func TestCallerGoesAway(t *testing.T) {
	server := issue(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	server.answers[keysPath] = func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: server.keys})
	}
	d := hang(t, server.policy())
	good := server.good(t, d, nil)

	first, leaveFirst := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := d.Authenticate(first, request("Bearer "+good))
		done <- err
	}()
	<-asked
	leaveFirst()
	second, leaveSecond := context.WithCancel(t.Context())
	leaveSecond()
	_, err := d.Authenticate(second, request("Bearer "+good))
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.ErrorIs(t, err, context.Canceled)
	close(answer)
	require.NoError(t, <-done)
	d.passes(t, good, "oidc:alice")
	require.Equal(t, 1, server.hit(keysPath))
}

// The issuer's https is checked: against the system's roots it fails, with the
// right ca_file it passes, also when the file is replaced.
func TestIssuerWithTLS(t *testing.T) {
	server := newIssuer()
	server.Server = httptest.NewUnstartedServer(server)
	// Handshakes are to fail, which need not be told.
	server.Config.ErrorLog = nolog
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))

	d := hang(t, server.policy())
	good := server.good(t, d, nil)
	d.doubts(t, good, "certificate")

	other := newAuthority(t, time.Now().Add(time.Hour))
	file := filepath.Join(filepath.Dir(d.path), "ca.pem")
	write(t, file, string(other.pem()))
	d.write(t, server.policy("ca_file: ca.pem"))
	d.clock.pass(time.Second)
	d.doubts(t, good, "certificate")

	write(t, file, ca)
	d.clock.pass(time.Second)
	d.passes(t, good, "oidc:alice")

	// A ca_file that is gone is a fault, and the policy in force stays.
	write(t, file, "")
	d.clock.pass(time.Second)
	d.passes(t, good, "oidc:alice")
	require.Equal(t, 1, d.log.count("ERROR"))
}

// An https issuer cannot send us to plain http, not even on loopback.
func TestNoPlainKeysOfHTTPS(t *testing.T) {
	plain := issue(t)
	server := newIssuer()
	server.Server = httptest.NewTLSServer(server)
	t.Cleanup(server.Close)
	server.answer(discoveryPath, http.StatusOK, string(must(json.Marshal(map[string]string{"issuer": server.URL, "jwks_uri": plain.URL + keysPath}))))
	d := &door{clock: newClock(), log: &journal{}, path: filepath.Join(t.TempDir(), "auth.yaml")}
	write(t, filepath.Join(filepath.Dir(d.path), "ca.pem"),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	d.write(t, server.policy("ca_file: ca.pem"))
	d.open(t)
	d.doubts(t, server.good(t, d, nil), "not https")
	require.Zero(t, plain.hit(keysPath))
}
