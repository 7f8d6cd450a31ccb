package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/adapters/mocks"
	"galaxy/gamemaster/internal/auth"
)

// secret is the token of a caller who may do everything. It must not be in any
// log line.
const secret = "canary-token-of-admin"

// house is a server with everything behind it.
type house struct {
	patcher   *fakePatcher
	runtimes  *mocks.MockRuntimeRecordStore
	pages     *mocks.MockRuntimePager
	registrar *mocks.MockRuntimeRegistrar
	versions  *mocks.MockEngineVersionStore
	audit     *mocks.MockOperationPager
	keys      *mocks.MockIdempotencyKeyStore
	drift     *mocks.MockDriftPager
	histories *mocks.MockHistoryStore
	server    *api.Server
	log       *lockedBuffer
	url       string
}

// lockedBuffer collects the log of a server that runs in other goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// furnish makes everything that is behind a server, and the options for it. The
// mocks fail the test on any call that it did not announce.
func furnish(t testing.TB) (*house, api.Options) {
	t.Helper()
	controller := gomock.NewController(t)
	h := &house{
		patcher:   &fakePatcher{},
		runtimes:  mocks.NewMockRuntimeRecordStore(controller),
		pages:     mocks.NewMockRuntimePager(controller),
		registrar: mocks.NewMockRuntimeRegistrar(controller),
		versions:  mocks.NewMockEngineVersionStore(controller),
		audit:     mocks.NewMockOperationPager(controller),
		keys:      mocks.NewMockIdempotencyKeyStore(controller),
		drift:     mocks.NewMockDriftPager(controller),
		histories: mocks.NewMockHistoryStore(controller),
		log:       &lockedBuffer{},
	}
	return h, api.Options{
		Patcher: h.patcher,
		Stores: api.Stores{
			Runtimes: h.runtimes, RuntimePages: h.pages, Registrar: h.registrar,
			Versions: h.versions, Operations: h.audit, Keys: h.keys, Drift: h.drift, Histories: h.histories,
		},
		Gate:   gateOf(t, tokenOf("admin", secret, auth.Scopes()...)),
		Logger: slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// build makes a server that is not listening.
func build(t testing.TB, change ...func(*api.Options)) *house {
	t.Helper()
	h, options := furnish(t)
	for _, apply := range change {
		apply(&options)
	}
	server, err := api.New(options)
	require.NoError(t, err)
	h.server = server
	return h
}

// open is build with a listener of its own.
func open(t *testing.T, change ...func(*api.Options)) *house {
	t.Helper()
	h := build(t, change...)
	listening := httptest.NewServer(h.server)
	t.Cleanup(listening.Close)
	h.url = listening.URL
	return h
}

// tokenOf is an entry of a policy.
func tokenOf(name, token string, scopes ...auth.Scope) auth.Token {
	return auth.Token{Name: name, SHA256: sha256.Sum256([]byte(token)), Scopes: scopes}
}

// gateOf is a real gate whose policy has these entries.
func gateOf(t testing.TB, tokens ...auth.Token) *auth.Gate {
	t.Helper()
	gate, err := auth.New(auth.Policy{Tokens: tokens}, auth.Options{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return gate
}

// passing lets these pass beside the admin.
func passing(t testing.TB, tokens ...auth.Token) func(*api.Options) {
	return func(o *api.Options) {
		o.Gate = gateOf(t, append(tokens, tokenOf("admin", secret, auth.Scopes()...))...)
	}
}

// ask is a request of a caller who may pass. Headers are name, value, name, …;
// an Authorization among them stands in for the admin's.
func ask(t testing.TB, method, target, body string, headers ...string) *http.Request {
	t.Helper()
	request := httptest.NewRequest(method, target, http.NoBody)
	request.RequestURI = ""
	if body != "" {
		request.Body, request.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	if len(request.Header.Values("Authorization")) == 0 {
		request.Header.Set("Authorization", "Bearer "+secret)
	}
	return request
}

// do sends over the network.
func (h *house) do(t testing.TB, method, path, body string, headers ...string) reply {
	t.Helper()
	return h.send(t, ask(t, method, h.url+path, body, headers...))
}

// send sends a request over the network.
func (h *house) send(t testing.TB, request *http.Request) reply {
	t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	require.NoError(t, err)
	return readReply(t, request, response)
}

// serve has the request answered without a network.
func (h *house) serve(t testing.TB, request *http.Request) reply {
	t.Helper()
	recorder := httptest.NewRecorder()
	h.server.ServeHTTP(recorder, request)
	return readReply(t, request, recorder.Result())
}

// call is serve of a request that ask makes.
func (h *house) call(t testing.TB, method, path, body string, headers ...string) reply {
	t.Helper()
	return h.serve(t, ask(t, method, path, body, headers...))
}

// raw sends bytes as they are, which the Go client would set right first.
func (h *house) raw(t *testing.T, text string) reply {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	method, rest, _ := strings.Cut(text, " ")
	target, _, _ := strings.Cut(rest, " ")
	request, err := http.NewRequestWithContext(context.Background(), method, h.url, http.NoBody)
	require.NoError(t, err)
	request.URL.Path, request.URL.RawPath = "", ""
	request.URL.Opaque, _, _ = strings.Cut(target, "?")
	return readReply(t, request, response)
}

// rawRequest is a request for raw, with the headers that let it pass.
func rawRequest(method, target, body string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + secret +
		"\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body
}
