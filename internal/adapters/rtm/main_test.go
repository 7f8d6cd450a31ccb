package rtm_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/ports"
)

// No call may leave a goroutine behind, also not the ones that were cut off.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	game  = "game-1"
	image = "registry.test/engine:1.2.4"
)

var input = ports.RTMPatchInput{GameID: game, ImageRef: image, IdempotencyKey: "patch-1/run-1/patch", Fence: 7}

// serve starts a real server and returns a client of it.
func serve(t *testing.T, handler http.HandlerFunc) *rtm.Client {
	t.Helper()
	return clientOf(t, serverOf(t, handler), rtm.Options{})
}

func serverOf(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func clientOf(t *testing.T, server *httptest.Server, options rtm.Options) *rtm.Client {
	t.Helper()
	if options.BaseURL == "" {
		options.BaseURL = server.URL
	}
	client, err := rtm.New(options)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(client.Close)
	return client
}

// answering is a handler with one answer.
func answering(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// wantKind checks that err is an RTMError of exactly one kind and returns it.
func wantKind(t *testing.T, err, kind error) ports.RTMError {
	t.Helper()
	failure, ok := errors.AsType[*ports.RTMError](err)
	if !ok {
		t.Fatalf("error = %#v, want a *ports.RTMError", err)
	}
	for _, sentinel := range []error{ports.ErrRTMUnavailable, ports.ErrRTMRejected, ports.ErrContainerNotFound} {
		if got, want := errors.Is(err, sentinel), errors.Is(kind, sentinel); got != want {
			t.Fatalf("errors.Is(%v, %v) = %t, want %t", err, sentinel, got, want)
		}
	}
	return *failure
}

// within fails the test when the calls took so long that a deadline other than
// the expected one must have ended them.
func within(t *testing.T, limit time.Duration, calls func()) {
	t.Helper()
	start := time.Now()
	calls()
	if took := time.Since(start); took > limit {
		t.Errorf("took %s, want less than %s", took, limit)
	}
}
