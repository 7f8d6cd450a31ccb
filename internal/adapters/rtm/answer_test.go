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
	"unicode/utf8"

	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/ports"
)

const whole = `{"game_id":"game-1","image_ref":"` + image + `","status":"running"}`

// Every status there can be has one verdict, for a patch and for an inspect.
func TestVerdicts(t *testing.T) {
	var status int
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answering(status, `{"error":{"code":"the_code","message":"The message."}}`)(w, r)
	})
	for status = 300; status <= 599; status++ {
		kind := ports.ErrRTMRejected
		switch {
		case status == 408 || status == 425 || status == 429:
			kind = ports.ErrRTMUnavailable
		case status >= 500 && status != 501 && status != 505:
			kind = ports.ErrRTMUnavailable
		}
		failure := wantKind(t, client.Patch(t.Context(), input), kind)
		_, err := client.Inspect(t.Context(), game)
		switch status {
		case http.StatusNotFound:
			if !errors.Is(err, ports.ErrContainerNotFound) || errors.Is(err, ports.ErrRTMRejected) {
				t.Errorf("inspect: 404 = %v, want ErrContainerNotFound alone", err)
			}
		default:
			wantKind(t, err, kind)
		}
		if status == http.StatusNotModified { // has no body
			continue
		}
		if failure.Status != status || failure.Code != "the_code" || failure.Message != "The message." {
			t.Errorf("%d: failure = %+v", status, failure)
		}
	}
}

func TestPatchSucceeds(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"200":               answering(http.StatusOK, whole),
		"200, not running":  answering(http.StatusOK, strings.Replace(whole, "running", "starting", 1)),
		"200, more fields":  answering(http.StatusOK, strings.Replace(whole, "{", `{"more":[1],`, 1)+"\n"),
		"200, largest body": answering(http.StatusOK, whole+strings.Repeat(" ", 64<<10-len(whole))),
		"204":               answering(http.StatusNoContent, ""),
	} {
		if err := serve(t, handler).Patch(t.Context(), input); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A success that does not say what it should leaves open what happened, so it
// is no success and no refusal.
func TestUnreadableSuccess(t *testing.T) {
	cutShort := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4096")
		_, _ = w.Write([]byte(whole))
	}
	cutMidway := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(whole)) // complete to look at, but its end never came
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"empty":          answering(http.StatusOK, ""),
		"garbage":        answering(http.StatusOK, "\x00\xffgarbage"),
		"page":           answering(http.StatusOK, "<html>Welcome</html>", "Content-Type", "text/html"),
		"array":          answering(http.StatusOK, "["+whole+"]"),
		"null":           answering(http.StatusOK, "null"),
		"wrong type":     answering(http.StatusOK, `{"game_id":"game-1","image_ref":1,"status":"running"}`),
		"trailing":       answering(http.StatusOK, whole+whole),
		"half":           answering(http.StatusOK, whole[:len(whole)-2]),
		"too long":       answering(http.StatusOK, whole+strings.Repeat(" ", 64<<10)),
		"cut short":      cutShort,
		"cut midway":     cutMidway,
		"other game":     answering(http.StatusOK, strings.Replace(whole, game, "game-2", 1)),
		"no game":        answering(http.StatusOK, strings.Replace(whole, game, "", 1)),
		"no image":       answering(http.StatusOK, strings.Replace(whole, image, "", 1)),
		"no status":      answering(http.StatusOK, strings.Replace(whole, "running", "", 1)),
		"unprintable":    answering(http.StatusOK, strings.Replace(whole, "running", `run\nning`, 1)),
		"error in a 200": answering(http.StatusOK, `{"error":{"code":"x","message":"y"}}`),
		"201":            answering(http.StatusCreated, whole),
		"202, not yet":   answering(http.StatusAccepted, whole),
		"206, half":      answering(http.StatusPartialContent, whole),
		"299":            answering(299, whole),
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, handler)
			failure := wantKind(t, client.Patch(t.Context(), input), ports.ErrRTMUnavailable)
			if failure.Status < 200 || failure.Status > 299 || failure.Err == nil {
				t.Errorf("failure = %+v, want the status and why", failure)
			}
			_, err := client.Inspect(t.Context(), game)
			wantKind(t, err, ports.ErrRTMUnavailable)
		})
	}
	other := serve(t, answering(http.StatusOK, strings.Replace(whole, "1.2.4", "1.2.3", 1)))
	wantKind(t, other.Patch(t.Context(), input), ports.ErrRTMUnavailable)
	_, err := serve(t, answering(http.StatusNoContent, "")).Inspect(t.Context(), game)
	wantKind(t, err, ports.ErrRTMUnavailable)
}

// The status decides even when the explanation is missing.
func TestUnreadableFailure(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "page": "<html>", "other shape": `{"error":"no"}`, "too long": strings.Repeat("x", 70<<10),
	} {
		for status, kind := range map[int]error{409: ports.ErrRTMRejected, 502: ports.ErrRTMUnavailable} {
			failure := wantKind(t, serve(t, answering(status, body)).Patch(t.Context(), input), kind)
			if failure.Status != status || failure.Code != "" || failure.Message != "" || failure.Err != nil {
				t.Errorf("%s, %d: failure = %+v", name, status, failure)
			}
		}
	}
	cut := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4096")
		w.WriteHeader(http.StatusConflict)
	})
	wantKind(t, cut.Patch(t.Context(), input), ports.ErrRTMRejected)
}

// What Runtime Manager says ends up in logs and audit rows.
func TestFailureTextIsBounded(t *testing.T) {
	long := strings.Repeat("é", 500)
	body := fmt.Sprintf(`{"error":{"code":"a\u0000b\r\n","message":"\u202e%s"}}`, long)
	failure := wantKind(t, serve(t, answering(400, body)).Patch(t.Context(), input), ports.ErrRTMRejected)
	if failure.Code != "a b" {
		t.Errorf("code = %q, want %q", failure.Code, "a b")
	}
	if len(failure.Message) > 200 || !utf8.ValidString(failure.Message) || strings.ContainsRune(failure.Message, '\u202e') {
		t.Errorf("message = %q, want at most 200 printable bytes", failure.Message)
	}
	if !strings.HasPrefix(long, failure.Message) || len(failure.Message) < 190 {
		t.Errorf("message = %q, want the beginning of what was said", failure.Message)
	}
}

func TestRetryAfter(t *testing.T) {
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	for _, test := range []struct {
		value string
		want  time.Duration
	}{
		{"", 0}, {"0", 0}, {"7", 7 * time.Second}, {"300", 5 * time.Minute}, {"301", 5 * time.Minute},
		{"99999999999999999999999", 5 * time.Minute},
		{"-5", 0}, {"+5", 0}, {"1.5", 0}, {"soon", 0},
		{"Sun, 06 Nov 1994 08:49:47 GMT", 10 * time.Second},
		{"Sun Nov  6 08:49:47 1994", 10 * time.Second},
		{"Sun, 06 Nov 1994 09:49:37 GMT", 5 * time.Minute},
		{"Sun, 06 Nov 1994 08:49:27 GMT", 0},
	} {
		client := serve(t, answering(503, "", "Retry-After", test.value, "Date", date))
		failure := wantKind(t, client.Patch(t.Context(), input), ports.ErrRTMUnavailable)
		if failure.RetryAfter != test.want {
			t.Errorf("Retry-After %q = %s, want %s", test.value, failure.RetryAfter, test.want)
		}
	}
	refusal := serve(t, answering(409, "", "Retry-After", "7"))
	if failure := wantKind(t, refusal.Patch(t.Context(), input), ports.ErrRTMRejected); failure.RetryAfter != 0 {
		t.Errorf("a refusal asks to come back after %s", failure.RetryAfter)
	}
	// Without a Date of its own the answer is measured against this clock.
	soon := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		answering(429, "", "Retry-After", time.Now().UTC().Add(time.Hour).Format(http.TimeFormat))(w, r)
	})
	if failure := wantKind(t, soon.Patch(t.Context(), input), ports.ErrRTMUnavailable); failure.RetryAfter != 5*time.Minute {
		t.Errorf("RetryAfter = %s, want 5m", failure.RetryAfter)
	}
}

// A server that never answers, or never finishes its answer, costs the call's
// own deadline; that is not the caller's deadline.
func TestOwnDeadline(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	halfway := func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(whole))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	for name, handler := range map[string]http.HandlerFunc{"silent": silent, "halfway": halfway} {
		t.Run(name, func(t *testing.T) {
			client := clientOf(t, serverOf(t, drained(handler)), rtm.Options{
				PatchTimeout: 50 * time.Millisecond, InspectTimeout: 50 * time.Millisecond,
			})
			_, inspected := client.Inspect(t.Context(), game)
			for _, err := range []error{client.Patch(t.Context(), input), inspected} {
				wantKind(t, err, ports.ErrRTMUnavailable)
				if errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 50ms") {
					t.Errorf("error = %v, want the client's own deadline", err)
				}
				if timeout, ok := errors.AsType[interface {
					error
					Timeout() bool
				}](err); !ok || !timeout.Timeout() {
					t.Errorf("error = %v, want a timeout", err)
				}
			}
		})
	}
}

// drained reads the request first: net/http notices only then that a client
// went away.
func drained(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = r.Body.Close()
		handler(w, r)
	}
}

// The end of the caller's ctx stays visible, before and during the answer.
func TestCallersContext(t *testing.T) {
	for _, halfway := range []bool{false, true} {
		arrived := make(chan struct{}, 1)
		client := serve(t, drained(func(w http.ResponseWriter, r *http.Request) {
			if halfway {
				w.WriteHeader(http.StatusConflict)
				_ = http.NewResponseController(w).Flush()
			}
			arrived <- struct{}{}
			<-r.Context().Done()
		}))
		within(t, 20*time.Second, func() { // patch timeout is 30 s
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-arrived; cancel() }()
			err := client.Patch(ctx, input)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error = %v, want context.Canceled", err)
			}
		})
		ctx, cancel := context.WithDeadline(t.Context(), time.Now())
		defer cancel()
		err := client.Patch(ctx, input)
		wantKind(t, err, ports.ErrRTMUnavailable)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want context.DeadlineExceeded", err)
		}
	}
}

// body is an answer's body that calls a function when it is read.
type body struct {
	read   func() (int, error)
	closed *bool
}

func (b body) Read([]byte) (int, error) { return b.read() }
func (b body) Close() error             { *b.closed = true; return nil }

// A caller that leaves while the explanation of a refusal is read sees its own
// leaving; and the body is closed, whether it ends, breaks or has no end.
func TestBodyIsClosed(t *testing.T) {
	for name, test := range map[string]struct {
		read   func(cancel func()) (int, error)
		status int
		want   error
	}{
		"ends":     {func(func()) (int, error) { return 0, io.EOF }, 409, ports.ErrRTMRejected},
		"breaks":   {func(func()) (int, error) { return 0, io.ErrUnexpectedEOF }, 409, ports.ErrRTMRejected},
		"no end":   {func(func()) (int, error) { return 1, nil }, 409, ports.ErrRTMRejected},
		"break":    {func(func()) (int, error) { return 0, io.ErrUnexpectedEOF }, 200, io.ErrUnexpectedEOF},
		"caller":   {func(cancel func()) (int, error) { cancel(); return 0, io.ErrUnexpectedEOF }, 409, context.Canceled},
		"too late": {func(cancel func()) (int, error) { cancel(); return 0, io.EOF }, 409, ports.ErrRTMRejected},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		closed := false
		client := clientOf(t, nil, rtm.Options{BaseURL: "http://manager", Transport: roundTripper(
			func(*http.Request) (*http.Response, error) {
				read := func() (int, error) { return test.read(cancel) }
				return &http.Response{StatusCode: test.status, Body: body{read, &closed}}, nil
			})})
		if err := client.Patch(ctx, input); !errors.Is(err, test.want) || !closed {
			t.Errorf("%s: error = %v, closed = %t, want %v and closed", name, err, closed, test.want)
		}
		cancel()
	}
}
