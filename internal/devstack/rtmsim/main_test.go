package rtmsim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// A fault must not leave a request behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	game     = "game-1"
	oldImage = "registry.test/engine:1.2.3"
	newImage = "registry.test/engine:1.2.4"
	contract = "/api/v1/internal/runtimes/"
)

// bench is a simulator behind a real server.
type bench struct {
	*testing.T
	sim    *rtmsim.Simulator
	server *httptest.Server
	url    string
	client *http.Client
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return benchOf(t, rtmsim.New())
}

func benchOf(t *testing.T, sim *rtmsim.Simulator) *bench {
	t.Helper()
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	t.Cleanup(sim.Close) // before the server, which waits for its requests
	return &bench{T: t, sim: sim, server: server, url: server.URL, client: server.Client()}
}

// running is a bench with one game on oldImage.
func running(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.must(b.sim.PutRuntime(game, oldImage, ""))
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// answer is what came back from the server.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends one request; headers are pairs.
func (b *bench) ask(method, path, body string, headers ...string) answer {
	b.Helper()
	got, err := b.try(method, path, body, headers...)
	if err != nil {
		b.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func (b *bench) try(method, path, body string, headers ...string) (answer, error) {
	b.Helper()
	response, err := b.client.Do(b.request(method, path, body, headers...))
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, strings.TrimSpace(string(content))}, err
}

func (b *bench) request(method, path, body string, headers ...string) *http.Request {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), method, b.url+path, strings.NewReader(body))
	b.must(err)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	request.GetBody = nil // one request is one request
	return request
}

// nowhere takes an answer that nobody reads.
type nowhere struct{}

func (nowhere) Header() http.Header               { return http.Header{} }
func (nowhere) Write(content []byte) (int, error) { return len(content), nil }
func (nowhere) WriteHeader(int)                   {}

func (b *bench) patch(gameID, image, key string) answer {
	b.Helper()
	return b.ask("POST", contract+gameID+"/patch", `{"image_ref":"`+image+`"}`, "Idempotency-Key", key)
}

// patchAs is patch with a fencing number.
func (b *bench) patchAs(fence int64, image, key string) answer {
	b.Helper()
	return b.ask("POST", contract+game+"/patch", `{"image_ref":"`+image+`"}`,
		"Idempotency-Key", key, "Fencing-Token", strconv.FormatInt(fence, 10))
}

func (b *bench) fence(gameID string, fence int64) answer {
	b.Helper()
	return b.ask("PUT", contract+gameID+"/fence", fmt.Sprintf(`{"fence":%d}`, fence))
}

// wantFenced checks that a call was refused for its number.
func (b *bench) wantFenced(got answer) {
	b.Helper()
	b.wantError(got, 412, "stale_fence", "a later call")
}

// wantError checks status and code of an error envelope and that its message
// says so much.
func (b *bench) wantError(got answer, status int, code, message string) {
	b.Helper()
	var envelope struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(got.body), &envelope); err != nil {
		b.Errorf("answer %d %q is no error envelope: %v", got.status, got.body, err)
		return
	}
	if got.status != status || envelope.Error.Code != code || !strings.Contains(envelope.Error.Message, message) {
		b.Errorf("answer = %d %s, want %d %s with %q", got.status, got.body, status, code, message)
	}
	if got.header.Get("Content-Type") != "application/json" {
		b.Errorf("content type = %q", got.header.Get("Content-Type"))
	}
}

func (b *bench) wantAnswer(got answer, status int, body string) {
	b.Helper()
	if got.status != status || got.body != body {
		b.Errorf("answer = %d %s, want %d %s", got.status, got.body, status, body)
	}
}

// wantRuntime checks image and number of recreates of the game.
func (b *bench) wantRuntime(image string, recreates int) {
	b.Helper()
	found, ok := b.sim.Runtime(game)
	if !ok || found.ImageRef != image || found.Recreates != recreates || len(found.History) != recreates {
		b.Errorf("runtime = %+v, want %s after %d recreates", found, image, recreates)
	}
}
