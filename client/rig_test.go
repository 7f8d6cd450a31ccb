package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/client"
)

// script answers the requests one after the other; the last reply is given to
// all further ones.
type script struct {
	mu      sync.Mutex
	replies []reply
	record  func(query map[string][]string)
	// requests are the headers of what was asked.
	requests []http.Header
}

// reply is one answer of a script.
type reply struct {
	status     int
	kind       string
	body       string
	retryAfter string
	// lost cuts the connection instead.
	lost bool
}

const (
	kindJSON    = "application/json"
	kindProblem = "application/problem+json"
	openPatch   = `{"patch_id":"demo-1.ie6lo7c3uipa373oksugz6isl4","workflow_id":"w","run_id":"r","game_id":"demo-1","state":"open"}`
	closedPatch = `{"patch_id":"demo-1.ie6lo7c3uipa373oksugz6isl4","workflow_id":"w","run_id":"r","game_id":"demo-1","state":"closed","outcome":"success"}`
)

func ok(body string) reply { return reply{status: http.StatusOK, kind: kindJSON, body: body} }

func problem(status int, code string) reply {
	return reply{status: status, kind: kindProblem, body: `{"code":"` + code + `","detail":"told","request_id":"5f0c8b1e"}`}
}

func later() reply { return problem(http.StatusServiceUnavailable, "service_unavailable") }

func answering(replies ...reply) *script { return &script{replies: replies} }

func pagesOf(bodies ...string) *script {
	s := &script{}
	for _, body := range bodies {
		s.replies = append(s.replies, ok(body))
	}
	return s
}

// recording hands the query of every request to record.
func (s *script) recording(record func(map[string][]string)) *script {
	s.record = record
	return s
}

func (s *script) next(r *http.Request) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Header.Clone())
	if s.record != nil {
		s.record(r.URL.Query())
	}
	now := s.replies[0]
	if len(s.replies) > 1 {
		s.replies = s.replies[1:]
	}
	return now
}

// tries is how often something was asked.
func (s *script) tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// sent returns the values of a header, one for each request.
func (s *script) sent(header string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var values []string
	for _, request := range s.requests {
		values = append(values, request.Get(header))
	}
	return values
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := s.next(r)
	if now.lost {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", now.kind)
	if now.retryAfter != "" {
		w.Header().Set("Retry-After", now.retryAfter)
	}
	w.WriteHeader(now.status)
	_, _ = io.WriteString(w, now.body)
}

// RoundTrip lets a script answer without a network, where time is not real.
func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// soon makes the pauses too short to be noticed.
func soon() client.Option { return client.WithBackoff(time.Microsecond, time.Microsecond) }

// newClient returns a client of a server that answers by handler.
func newClient(t *testing.T, handler http.Handler, options ...client.Option) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, append([]client.Option{client.WithToken(token), soon()}, options...)...)
	require.NoError(t, err)
	return c
}

// newScripted is a server that answers by a script.
func newScripted(replies ...reply) *httptest.Server { return httptest.NewServer(answering(replies...)) }
