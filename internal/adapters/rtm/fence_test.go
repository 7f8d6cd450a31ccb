package rtm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/ports"
)

var fence = ports.RTMFenceInput{GameID: game, Fence: 7}

const inForce = `{"game_id":"game-1","fence":7}`

// What a fence puts on the wire is what the contract says, and only its own
// answer is a success.
func TestFenceRequest(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read body: %v", err)
		}
		for what, pair := range map[string][2]string{
			"request":      {r.Method + " " + r.RequestURI, "PUT /api/v1/internal/runtimes/a%2Fb/fence"},
			"body":         {string(body), `{"fence":9007199254740991}`},
			"content type": {r.Header.Get("Content-Type"), "application/json"},
			"key":          {r.Header.Get("Idempotency-Key"), ""},
			"length":       {fmt.Sprint(r.ContentLength), fmt.Sprint(len(body))},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s = %q, want %q", what, pair[0], pair[1])
			}
		}
		answering(http.StatusOK, `{"game_id":"a/b","fence":9007199254740991,"more":1}`)(w, r)
	})
	if err := client.Fence(t.Context(), ports.RTMFenceInput{GameID: "a/b", Fence: 1<<53 - 1}); err != nil {
		t.Errorf("Fence: %v", err)
	}
}

// Every status there can be has one verdict for a fence; those by which a
// manager without fencing is known are an answer and no failure of the call.
func TestFenceVerdicts(t *testing.T) {
	var status int
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answering(status, `{"error":{"code":"the_code","message":"The message."}}`)(w, r)
	})
	for status = 300; status <= 599; status++ {
		err := client.Fence(t.Context(), fence)
		switch {
		case status == 404 || status == 405 || status == 501:
			if !errors.Is(err, ports.ErrFenceUnsupported) || errors.Is(err, ports.ErrRTMRejected) || errors.Is(err, ports.ErrRTMUnavailable) {
				t.Errorf("%d = %v, want ErrFenceUnsupported alone", status, err)
			}
			continue
		case status == 408 || status == 425 || status == 429 || status >= 500 && status != 505:
			wantKind(t, err, ports.ErrRTMUnavailable)
		default:
			wantKind(t, err, ports.ErrRTMRejected)
		}
		if errors.Is(err, ports.ErrFenced) || errors.Is(err, ports.ErrFenceUnsupported) {
			t.Errorf("%d = %v, want nothing said of fencing", status, err)
		}
	}
}

// Only a 412 with the contract's code says that a higher number was seen: the
// caller concludes from it that the call can never land. Its status is kept.
func TestFenced(t *testing.T) {
	const envelope = `{"error":{"code":%q,"message":"The message."}}`
	for name, test := range map[string]struct {
		status int
		body   string
		fenced bool
	}{
		"stale":        {412, fmt.Sprintf(envelope, "stale_fence"), true},
		"other code":   {412, fmt.Sprintf(envelope, "precondition_failed"), false},
		"no code":      {412, "", false},
		"other status": {409, fmt.Sprintf(envelope, "stale_fence"), false},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, answering(test.status, test.body))
			for op, err := range map[string]error{
				"patch": client.Patch(t.Context(), input), "fence": client.Fence(t.Context(), fence),
			} {
				failure := wantKind(t, err, ports.ErrRTMRejected)
				if errors.Is(err, ports.ErrFenced) != test.fenced || failure.Status != test.status {
					t.Errorf("%s: error = %+v, want fenced = %t", op, failure, test.fenced)
				}
			}
			if _, err := client.Inspect(t.Context(), game); errors.Is(err, ports.ErrFenced) {
				t.Errorf("inspect, which carries no number: %v", err)
			}
		})
	}
}

// A success that does not name the game and the number leaves open whether the
// number is in force.
func TestUnreadableFence(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"empty":        answering(http.StatusOK, ""),
		"garbage":      answering(http.StatusOK, "\x00\xffgarbage"),
		"null":         answering(http.StatusOK, "null"),
		"other game":   answering(http.StatusOK, strings.Replace(inForce, game, "game-2", 1)),
		"no game":      answering(http.StatusOK, `{"fence":7}`),
		"lower number": answering(http.StatusOK, strings.Replace(inForce, "7", "6", 1)),
		"higher":       answering(http.StatusOK, strings.Replace(inForce, "7", "8", 1)),
		"no number":    answering(http.StatusOK, `{"game_id":"game-1"}`),
		"text number":  answering(http.StatusOK, strings.Replace(inForce, "7", `"7"`, 1)),
		"trailing":     answering(http.StatusOK, inForce+inForce),
		"too long":     answering(http.StatusOK, inForce+strings.Repeat(" ", 64<<10)),
		"201":          answering(http.StatusCreated, inForce),
		"202, not yet": answering(http.StatusAccepted, inForce),
		"204":          answering(http.StatusNoContent, ""),
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4096")
			_, _ = w.Write([]byte(inForce))
		},
	} {
		t.Run(name, func(t *testing.T) {
			failure := wantKind(t, serve(t, handler).Fence(t.Context(), fence), ports.ErrRTMUnavailable)
			if failure.Status/100 != 2 || failure.Err == nil || !strings.Contains(failure.Error(), "unreadable") {
				t.Errorf("failure = %+v, want the status and why", failure)
			}
		})
	}
	if err := serve(t, answering(http.StatusOK, inForce)).Fence(t.Context(), fence); err != nil {
		t.Errorf("the whole answer: %v", err)
	}
}

// A fence that cannot be sent is refused for good before anything is sent.
func TestUnsendableFence(t *testing.T) {
	client := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.RequestURI) })
	for _, bad := range []ports.RTMFenceInput{
		{GameID: "", Fence: 1}, {GameID: " ", Fence: 1}, {GameID: ".", Fence: 1}, {GameID: "..", Fence: 1},
		{GameID: game}, {GameID: game, Fence: -1}, {GameID: game, Fence: 1 << 53},
	} {
		if failure := wantKind(t, client.Fence(t.Context(), bad), ports.ErrRTMRejected); failure.Status != 0 {
			t.Errorf("%+v: status = %d, want 0", bad, failure.Status)
		}
	}
}

// A fence has a deadline of its own, which is neither that of a patch nor the
// caller's; the caller's end stays visible; and one fence is one request.
func TestFenceDeadlines(t *testing.T) {
	silent := drained(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server, _, requests := countingServer(t, func(w http.ResponseWriter, request int64) {
		if request > 1 {
			reset(w)
			return
		}
		answering(http.StatusOK, inForce)(w, nil)
	})
	within(t, 4*time.Second, func() { // the default is 5 s, a patch has 30 s
		err := clientOf(t, serverOf(t, silent), rtm.Options{FenceTimeout: 50 * time.Millisecond}).Fence(t.Context(), fence)
		wantKind(t, err, ports.ErrRTMUnavailable)
		if errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 50ms") {
			t.Errorf("error = %v, want the client's own deadline", err)
		}
	})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	err := serve(t, silent).Fence(cancelled, fence)
	wantKind(t, err, ports.ErrRTMUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	client := clientOf(t, server, rtm.Options{})
	if err := client.Fence(t.Context(), fence); err != nil {
		t.Errorf("first fence: %v", err)
	}
	wantKind(t, client.Fence(t.Context(), fence), ports.ErrRTMUnavailable)
	if requests.Load() != 2 {
		t.Errorf("%d requests for two fences", requests.Load())
	}
}

// Whether a manager knows fencing numbers is asked without changing anything,
// and told from every status there can be.
func TestKnowsFences(t *testing.T) {
	var status int
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if want := "PUT /api/v1/internal/runtimes/_/fence"; err != nil || r.Method+" "+r.RequestURI != want || string(body) != `{"fence":0}` {
			t.Errorf("%s %s %s, %v", r.Method, r.RequestURI, body, err)
		}
		answering(status, `{"error":{"code":"the_code","message":"The message."}}`)(w, r)
	})
	for status = 200; status <= 599; status++ {
		knows, err := client.KnowsFences(t.Context())
		switch {
		case status == 404 || status == 405 || status == 501:
			if knows || err != nil {
				t.Errorf("%d = %v, %v, want that it knows none", status, knows, err)
			}
		case status >= 500 || status < 400 || status == 401 || status == 403:
			if knows || !errors.Is(err, ports.ErrRTMUnavailable) && !errors.Is(err, ports.ErrRTMRejected) {
				t.Errorf("%d = %v, %v, want an error", status, knows, err)
			}
		case !knows || err != nil:
			t.Errorf("%d = %v, %v, want that it knows them", status, knows, err)
		}
	}
	if knows, err := serve(t, answering(200, `{"game_id":"_","fence":0}`)).KnowsFences(t.Context()); !knows || err != nil {
		t.Errorf("one that takes any number = %v, %v, want that it knows them", knows, err)
	}
	for _, status := range []int{400, 412, 422} {
		if knows, err := serve(t, answering(status, `{"code":"unauthorized"}`)).KnowsFences(t.Context()); knows || err == nil {
			t.Errorf("%d of something else = %v, %v, want an error", status, knows, err)
		}
	}
}
