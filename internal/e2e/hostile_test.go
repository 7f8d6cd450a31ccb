package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hostile is one thing that a client should not do, and the answer that it gets.
type hostile struct {
	name string
	// send writes the request; what it cannot write any more is the server's
	// right to refuse.
	send   func(net.Conn)
	status int
	// code is the problem's, empty where net/http answers before the API is
	// asked.
	code string
}

func hostiles() []hostile {
	head := func(method, path string, headers ...string) string {
		return method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\n" +
			strings.Join(append(headers, ""), "\r\n") + "\r\n"
	}
	const patchPath = base + "/runtimes/demo-1/patch"
	const isJSON = "Content-Type: application/json"
	text := func(request string) func(net.Conn) {
		return func(conn net.Conn) { _, _ = io.WriteString(conn, request) }
	}
	sized := func(path, body string) func(net.Conn) {
		return text(head("POST", path, isJSON, fmt.Sprintf("Content-Length: %d", len(body))) + body)
	}
	const version = `{"version":"1.4.3"}`
	return []hostile{
		{"slowloris: headers that never end", text("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "), 0, ""},
		{"a body that never ends", text(head("POST", patchPath, isJSON, "Content-Length: 19") + `{"ver`), http.StatusRequestTimeout, "request_timeout"},
		{"a half-closed connection", func(conn net.Conn) {
			_, _ = io.WriteString(conn, head("POST", patchPath, isJSON, "Content-Length: 19")+`{"ver`)
			_ = conn.(*net.TCPConn).CloseWrite()
		}, http.StatusBadRequest, "invalid_request"},
		{"a body of 50 MB, announced", text(head("POST", patchPath, isJSON, "Content-Length: 52428800")), http.StatusRequestEntityTooLarge, "body_too_large"},
		{"a body of 50 MB, in chunks", func(conn net.Conn) {
			_, _ = io.WriteString(conn, head("POST", patchPath, isJSON, "Transfer-Encoding: chunked"))
			chunk := "10000\r\n" + strings.Repeat(" ", 1<<16) + "\r\n"
			for range 800 {
				if _, err := io.WriteString(conn, chunk); err != nil {
					return
				}
			}
		}, http.StatusRequestEntityTooLarge, "body_too_large"},
		{"10,000 headers", func(conn net.Conn) {
			_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
			for i := range 10_000 {
				if _, err := fmt.Fprintf(conn, "X-%d: y\r\n", i); err != nil {
					return
				}
			}
			_, _ = io.WriteString(conn, "\r\n")
		}, http.StatusRequestHeaderFieldsTooLarge, ""},
		{"an endless URL", text("GET /" + strings.Repeat("a", 1<<16) + " HTTP/1.1\r\nHost: localhost\r\n\r\n"), http.StatusRequestHeaderFieldsTooLarge, ""},
		{"a key twice", sized(patchPath, `{"version":"1.4.3","version":"1.4.4"}`), http.StatusBadRequest, "invalid_request"},
		{"an unknown key", sized(patchPath, `{"version":"1.4.3","image":"x"}`), http.StatusBadRequest, "invalid_request"},
		{"trailing garbage", sized(patchPath, version+"x"), http.StatusBadRequest, "invalid_request"},
		{"a deep body", sized(patchPath, `{"version":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+"}"), http.StatusBadRequest, "invalid_request"},
		{"%00 in an id", sized(base+"/runtimes/demo%00/patch", version), http.StatusBadRequest, "invalid_request"},
		{"..%2f in an id", sized(base+"/runtimes/..%2fdemo-1/patch", version), http.StatusBadRequest, "invalid_request"},
		{"dots in the path", sized(base+"/runtimes/../demo-1/patch", version), http.StatusNotFound, "not_found"},
		{"an empty id", sized(base+"/runtimes//patch", version), http.StatusBadRequest, "invalid_request"},
		{"no content type", text(head("POST", patchPath, "Content-Length: 19") + version), http.StatusUnsupportedMediaType, "unsupported_media_type"},
		{"a form", text(head("POST", patchPath, "Content-Type: application/x-www-form-urlencoded", "Content-Length: 13") + "version=1.4.3"),
			http.StatusUnsupportedMediaType, "unsupported_media_type"},
		{"a compressed body", text(head("POST", patchPath, isJSON, "Content-Encoding: gzip", "Content-Length: 19") + version),
			http.StatusUnsupportedMediaType, "unsupported_media_type"},
		{"another method", text(head("PATCH", patchPath)), http.StatusMethodNotAllowed, "method_not_allowed"},
		{"no HTTP at all", text("\x16\x03\x01\x02\x00\x01\x00"), http.StatusBadRequest, ""},
		{"two lengths", text(head("POST", patchPath, isJSON, "Content-Length: 19", "Content-Length: 5") + version), http.StatusBadRequest, ""},
		{"no host", text("GET /healthz HTTP/1.1\r\n\r\n"), http.StatusBadRequest, ""},
	}
}

// TestHostileClients proves that each gets its clear answer, or is cut off where
// there is nobody to answer to, and that all the while others are served.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	game := r.game()
	address := strings.TrimPrefix(r.url, "http://")
	served := r.url + base + "/runtimes/" + game
	for _, row := range hostiles() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", address)
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			sent := make(chan struct{})
			go func() { defer close(sent); row.send(conn) }()
			answered := readAnswer(conn, row)

			mine := *r
			mine.t = t
			other := mine.call(http.MethodGet, strings.TrimPrefix(served, r.url), "")
			require.Equal(t, http.StatusOK, other.status, "the others")

			require.NoError(t, <-answered)
			<-sent
		})
	}
}

// readAnswer reads what the server says to row, and reports what is wrong with
// it.
func readAnswer(conn net.Conn, row hostile) <-chan error {
	verdict := make(chan error, 1)
	go func() { verdict <- checkAnswer(conn, row) }()
	return verdict
}

func checkAnswer(conn net.Conn, row hostile) error {
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if row.status == 0 {
		// Nobody has asked anything yet, so that the end is the answer.
		if err == nil {
			return fmt.Errorf("got %s, want the connection to end", response.Status)
		}
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // the connection's own
			return fmt.Errorf("the connection stays open: %w", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != row.status {
		return fmt.Errorf("got %s, want %d: %s", response.Status, row.status, text)
	}
	if row.code != "" && !strings.Contains(string(text), `"code":"`+row.code+`"`) {
		return fmt.Errorf("want code %s: %s", row.code, text)
	}
	return nil
}
