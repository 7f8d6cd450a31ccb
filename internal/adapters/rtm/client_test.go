package rtm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/ports"
)

// What is on the wire is what the contract says, nothing less.
func TestPatchRequest(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read body: %v", err)
		}
		for what, pair := range map[string][2]string{
			"request":      {r.Method + " " + r.RequestURI, "POST /api/v1/internal/runtimes/a%2Fb/patch"},
			"body":         {string(body), `{"image_ref":"` + image + `"}`},
			"key":          {r.Header.Get("Idempotency-Key"), "k/1"},
			"fence":        {strings.Join(r.Header.Values("Fencing-Token"), ","), "9007199254740991"},
			"content type": {r.Header.Get("Content-Type"), "application/json"},
			"accept":       {r.Header.Get("Accept"), "application/json"},
			"user agent":   {r.UserAgent(), "gamemaster"},
			"length":       {fmt.Sprint(r.ContentLength), fmt.Sprint(len(body))},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s = %q, want %q", what, pair[0], pair[1])
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	patch := ports.RTMPatchInput{GameID: "a/b", ImageRef: image, IdempotencyKey: "k/1", Fence: 1<<53 - 1}
	if err := client.Patch(t.Context(), patch); err != nil {
		t.Errorf("Patch: %v", err)
	}
}

func TestInspectRequest(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got, want := r.Method+" "+r.RequestURI, "GET /api/v1/internal/runtimes/"+game; got != want {
			t.Errorf("request = %q, want %q", got, want)
		}
		if r.Header.Get("Idempotency-Key") != "" || r.Header.Get("Fencing-Token") != "" || r.Header.Get("Content-Type") != "" || r.ContentLength > 0 {
			t.Errorf("an inspect carries no key, no number and no body: %v", r.Header)
		}
		answering(http.StatusOK, `{"game_id":"game-1","image_ref":"`+image+`","status":"stopped","more":1}`)(w, r)
	})
	container, err := client.Inspect(t.Context(), game)
	if want := (ports.Container{GameID: game, ImageRef: image, Status: "stopped"}); err != nil || container != want {
		t.Errorf("Inspect = %+v, %v, want %+v", container, err, want)
	}
}

// What cannot be sent is refused for good before anything is sent.
func TestUnsendableInput(t *testing.T) {
	client := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.RequestURI) })
	for name, change := range map[string]func(*ports.RTMPatchInput){
		"no game":     func(in *ports.RTMPatchInput) { in.GameID = " " },
		"dot":         func(in *ports.RTMPatchInput) { in.GameID = "." },
		"dots":        func(in *ports.RTMPatchInput) { in.GameID = ".." },
		"no image":    func(in *ports.RTMPatchInput) { in.ImageRef = "" },
		"not UTF-8":   func(in *ports.RTMPatchInput) { in.ImageRef = "\xff" },
		"long image":  func(in *ports.RTMPatchInput) { in.ImageRef = strings.Repeat("i", 1025) },
		"no key":      func(in *ports.RTMPatchInput) { in.IdempotencyKey = "" },
		"long key":    func(in *ports.RTMPatchInput) { in.IdempotencyKey = strings.Repeat("k", 256) },
		"newline key": func(in *ports.RTMPatchInput) { in.IdempotencyKey = "a\nb" },
		"foreign key": func(in *ports.RTMPatchInput) { in.IdempotencyKey = "é" },
		"no fence":    func(in *ports.RTMPatchInput) { in.Fence = 0 },
		"minus fence": func(in *ports.RTMPatchInput) { in.Fence = -1 },
		"large fence": func(in *ports.RTMPatchInput) { in.Fence = 1 << 53 },
	} {
		changed := input
		change(&changed)
		if failure := wantKind(t, client.Patch(t.Context(), changed), ports.ErrRTMRejected); failure.Status != 0 {
			t.Errorf("%s: status = %d, want 0", name, failure.Status)
		}
	}
	for _, id := range []string{"", " ", ".", ".."} {
		_, err := client.Inspect(t.Context(), id)
		wantKind(t, err, ports.ErrRTMRejected)
	}
}

// A redirect is a refusal, also one that net/http could not parse; nobody is
// sent elsewhere with the key and the image.
func TestRedirectIsNotFollowed(t *testing.T) {
	target := serverOf(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("redirected to %s", r.RequestURI) })
	for _, location := range []string{target.URL, "http://[broken", ""} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			client := serve(t, answering(status, "", "Location", location))
			if failure := wantKind(t, client.Patch(t.Context(), input), ports.ErrRTMRejected); failure.Status != status {
				t.Errorf("patch: status = %d, want %d", failure.Status, status)
			}
			_, err := client.Inspect(t.Context(), game)
			wantKind(t, err, ports.ErrRTMRejected)
		}
	}
}

// Runtime Manager is reached directly whatever the environment says. The
// transport is looked at, since net/http reads the variables once per process
// and never applies them to a loopback address.
func TestNoProxy(t *testing.T) {
	if rtm.NewTransport(rtm.DefaultCalls).Proxy != nil {
		t.Error("the client's own transport asks for a proxy")
	}
}

// countingServer counts the connections and the requests that reach handler.
func countingServer(t *testing.T, handler func(w http.ResponseWriter, request int64)) (*httptest.Server, *atomic.Int64, *atomic.Int64) {
	t.Helper()
	var connections, requests atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		handler(w, requests.Add(1))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server, &connections, &requests
}

// Bodies are read to their end: calls in a row share one connection, whatever
// they are answered.
func TestConnectionIsReused(t *testing.T) {
	statuses := []int{200, 204, 400, 404, 503, 302}
	server, connections, _ := countingServer(t, func(w http.ResponseWriter, request int64) {
		status := statuses[int(request)%len(statuses)]
		body := strings.Repeat("x", 60<<10)
		if status == http.StatusNoContent {
			body = ""
		}
		answering(status, body)(w, nil)
	})
	client := clientOf(t, server, rtm.Options{})
	for range 3 * len(statuses) {
		_ = client.Patch(t.Context(), input)
		_, _ = client.Inspect(t.Context(), game)
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}

// net/http would send a POST with an Idempotency-Key once more when a reused
// connection breaks. One Patch is one request.
func TestPatchIsSentOnce(t *testing.T) {
	server, connections, requests := countingServer(t, func(w http.ResponseWriter, request int64) {
		if request > 1 {
			reset(w)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	client := clientOf(t, server, rtm.Options{})
	if err := client.Patch(t.Context(), input); err != nil {
		t.Fatalf("first patch: %v", err)
	}
	failure := wantKind(t, client.Patch(t.Context(), input), ports.ErrRTMUnavailable)
	if failure.Status != 0 || failure.Err == nil {
		t.Errorf("failure = %+v, want no status and the transport's error", failure)
	}
	if connections.Load() != 1 || requests.Load() != 2 {
		t.Errorf("%d connections and %d requests, want 1 and 2", connections.Load(), requests.Load())
	}
}

// reset cuts the connection without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func TestNobodyListens(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	client := clientOf(t, server, rtm.Options{})
	wantKind(t, client.Patch(t.Context(), input), ports.ErrRTMUnavailable)
	_, err := client.Inspect(t.Context(), game)
	wantKind(t, err, ports.ErrRTMUnavailable)
	wantKind(t, client.Ping(t.Context()), ports.ErrRTMUnavailable)
}

// Many callers share a client and its pool without mixing up their answers.
func TestConcurrentUse(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimPrefix(r.URL.Path, "/api/v1/internal/runtimes/")
		answering(http.StatusOK, fmt.Sprintf(`{"game_id":%q,"image_ref":%q,"status":"running"}`, id, "image-"+id))(w, r)
	})
	var callers sync.WaitGroup
	for caller := range 16 {
		callers.Go(func() {
			id := fmt.Sprintf("game-%d", caller)
			for range 20 {
				container, err := client.Inspect(t.Context(), id)
				if err != nil || !container.Runs("image-"+id) {
					t.Errorf("Inspect(%s) = %+v, %v", id, container, err)
				}
			}
		})
	}
	callers.Wait()
}

// Any answer below 500 proves that something is there.
func TestPing(t *testing.T) {
	for status, reachable := range map[int]bool{
		200: true, 204: true, 302: true, 400: true, 401: true, 404: true, 429: true, 500: false, 503: false, 501: false,
	} {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if want := "/api/v1/internal/runtimes/_"; r.RequestURI != want {
				t.Errorf("asked %s, want %s", r.RequestURI, want)
			}
			w.WriteHeader(status)
		})
		err := client.Ping(t.Context())
		if (err == nil) != reachable {
			t.Errorf("%d: Ping = %v", status, err)
		}
		if err != nil && !errors.Is(err, ports.ErrRTMUnavailable) && !errors.Is(err, ports.ErrRTMRejected) {
			t.Errorf("%d: Ping = %v, want an error of the port", status, err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := serve(t, answering(200, "")).Ping(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Ping = %v", err)
	}
}

// Only a refusal in the contract's envelope is Runtime Manager's; what else
// speaks HTTP, or lets nobody in, is not.
func TestRecognize(t *testing.T) {
	const envelope = `{"error":{"code":"runtime_not_found","message":"no container"}}`
	for _, row := range []struct {
		status int
		body   string
		known  bool
	}{
		{404, envelope, true}, {400, envelope, true}, {429, envelope, true},
		{401, envelope, false}, {403, envelope, false}, {500, envelope, false}, {503, "", false},
		{404, `{"type":"about:blank","code":"not_found"}`, false}, {404, "404 page not found", false}, {404, "", false},
		{401, `{"code":"unauthorized"}`, false}, {200, "<html>", false}, {200, envelope, false}, {302, "", false}, {204, "", false},
	} {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if want := "/api/v1/internal/runtimes/_"; r.RequestURI != want {
				t.Errorf("asked %s, want %s", r.RequestURI, want)
			}
			answering(row.status, row.body)(w, r)
		})
		err := client.Recognize(t.Context())
		if (err == nil) != row.known {
			t.Errorf("%d %s: Recognize = %v", row.status, row.body, err)
		}
		if err != nil && !errors.Is(err, ports.ErrRTMUnavailable) && !errors.Is(err, ports.ErrRTMRejected) {
			t.Errorf("%d: Recognize = %v, want an error of the port", row.status, err)
		}
	}
}
