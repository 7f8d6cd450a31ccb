package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/adapters/mocks"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret    = "canary-token-of-admin"
	patchPath = "/api/v1/internal/runtimes/demo-1/patch"
	goodBody  = `{"version":"1.4.3"}`
)

// fakePatcher records what reaches it and answers as its functions say.
type fakePatcher struct {
	start func(context.Context, patch.Request) (patch.Handle, error)
	await func(context.Context, patch.Handle) (patch.Result, error)
	look  func(context.Context, string) (patch.View, error)

	mu     sync.Mutex
	starts []patch.Request
	awaits []patch.Handle
	looks  []string
}

func (fake *fakePatcher) Start(ctx context.Context, request patch.Request) (patch.Handle, error) {
	fake.mu.Lock()
	fake.starts = append(fake.starts, request)
	fake.mu.Unlock()
	if fake.start != nil {
		return fake.start(ctx, request)
	}
	return handleFor(request.PatchID), nil
}

func (fake *fakePatcher) Await(ctx context.Context, handle patch.Handle) (patch.Result, error) {
	fake.mu.Lock()
	fake.awaits = append(fake.awaits, handle)
	fake.mu.Unlock()
	if fake.await != nil {
		return fake.await(ctx, handle)
	}
	return success(handle), nil
}

func (fake *fakePatcher) Look(ctx context.Context, patchID string) (patch.View, error) {
	fake.mu.Lock()
	fake.looks = append(fake.looks, patchID)
	fake.mu.Unlock()
	if fake.look != nil {
		return fake.look(ctx, patchID)
	}
	return patch.View{}, patch.ErrNotFound
}

func (fake *fakePatcher) untouched(t *testing.T) {
	t.Helper()
	fake.mu.Lock()
	defer fake.mu.Unlock()
	require.Empty(t, fake.starts, "Start was called")
	require.Empty(t, fake.awaits, "Await was called")
	require.Empty(t, fake.looks, "Look was called")
}

func handleFor(patchID string) patch.Handle {
	gameID, _ := patch.GameOf(patchID)
	return patch.Handle{PatchID: patchID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-1"}
}

var (
	moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	from   = patch.Image{Version: "1.4.2", ImageRef: "engine:1.4.2"}
	to     = patch.Image{Version: "1.4.3", ImageRef: "engine:1.4.3"}
)

func record(gameID string) runtime.RuntimeRecord {
	return runtime.RuntimeRecord{
		GameID: gameID, Status: runtime.StatusRunning,
		CurrentImageRef: to.ImageRef, CurrentEngineVersion: to.Version,
		CreatedAt: moment, UpdatedAt: moment,
	}
}

func success(handle patch.Handle) patch.Result {
	row := record(handle.GameID)
	return patch.Result{
		PatchID: handle.PatchID, GameID: handle.GameID, WorkflowID: handle.WorkflowID, RunID: handle.RunID,
		Outcome: operation.OutcomeSuccess, From: from, To: to, Runtime: &row,
		StartedAt: moment, FinishedAt: moment.Add(time.Second),
	}
}

// house is a server with everything behind it.
type house struct {
	patcher    *fakePatcher
	runtimes   *mocks.MockRuntimeRecordStore
	operations *mocks.MockOperationLogStore
	server     *api.Server
	log        *lockedBuffer
	url        string
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

// build makes a server that is not listening. The mocks fail the test on any
// call that it did not announce.
func build(t *testing.T, change ...func(*api.Options)) *house {
	t.Helper()
	controller := gomock.NewController(t)
	h := &house{
		patcher:    &fakePatcher{},
		runtimes:   mocks.NewMockRuntimeRecordStore(controller),
		operations: mocks.NewMockOperationLogStore(controller),
		log:        &lockedBuffer{},
	}
	options := api.Options{
		Patcher: h.patcher, Runtimes: h.runtimes, Operations: h.operations,
		Tokens: tokens(t, "admin", secret),
		Logger: slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
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

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func tokens(t *testing.T, name, token string) api.Tokens {
	t.Helper()
	parsed, err := api.ParseTokens(name + ":" + digest(token))
	require.NoError(t, err)
	return parsed
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	closes bool // the server ends the connection
}

func (r reply) decode(t *testing.T, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.body), into), r.body)
}

// problem checks what every problem has and returns it.
func (r reply) problem(t *testing.T) api.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", r.header.Get("Content-Type"), r.body)
	var problem api.Problem
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

// ask is a request of a caller who may pass. Headers are name, value, name, …
func ask(t *testing.T, method, target, body string, headers ...string) *http.Request {
	t.Helper()
	request := httptest.NewRequest(method, target, strings.NewReader(body))
	request.RequestURI = ""
	request.Header.Set("Authorization", "Bearer "+secret)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	return request
}

// do sends over the network.
func (h *house) do(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	request := ask(t, method, h.url+path, body, headers...)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	return readReply(t, response)
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
	return readReply(t, response)
}

// rawRequest is a request for raw, with the headers that let it pass.
func rawRequest(method, target, body string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + secret +
		"\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body
}

func readReply(t *testing.T, response *http.Response) reply {
	t.Helper()
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{status: response.StatusCode, header: response.Header, body: string(body), closes: response.Close}
}
