package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"galaxy/gamemaster/api"
)

// restClient talks to the REST API.
type restClient struct {
	server string
	token  string
	http   *http.Client
}

// Every answer of the API comes within its longest wait of 60 s.
const restTimeout = 75 * time.Second

// maxAnswer bounds an answer of the API; a thousand audit rows take about 1 MB.
const maxAnswer = 8 << 20

func newRESTClient(server, token string) (*restClient, error) {
	parsed, err := url.Parse(server)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return nil, fmt.Errorf("server %q: want an URL such as http://127.0.0.1:8080", server)
	}
	return &restClient{
		server: strings.TrimSuffix(server, "/"), token: token, http: &http.Client{Timeout: restTimeout},
	}, nil
}

// problemError is an answer of the API that is not a success.
type problemError struct{ api.Problem }

func (e *problemError) Error() string {
	return fmt.Sprintf("%s: %s (HTTP %d)", e.Code, e.Detail, e.Status)
}

// restRequest is one request of the API.
type restRequest struct {
	method, path string
	headers      map[string]string
	// body is sent as JSON; nil sends none.
	body any
}

// do sends request and reads the answer into out. It returns the status, and a
// *problemError for one from 400 up.
func (c *restClient) do(ctx context.Context, asked restRequest, out any) (int, error) {
	var content io.Reader
	if asked.body != nil {
		text, err := json.Marshal(asked.body)
		if err != nil {
			return 0, fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, asked.method, c.server+asked.path, content)
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	if asked.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, value := range asked.headers {
		request.Header.Set(name, value)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, fmt.Errorf("no answer from the API: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return response.StatusCode, fmt.Errorf("read the API's answer: %w", err)
	}
	return response.StatusCode, decodeAnswer(response.StatusCode, text, out)
}

func decodeAnswer(status int, text []byte, out any) error {
	if status >= http.StatusBadRequest {
		var problem problemError
		if json.Unmarshal(text, &problem.Problem) != nil || problem.Code == "" {
			return fmt.Errorf("HTTP %d, and no problem of the API: is something else listening there?", status)
		}
		return &problem
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("HTTP %d with an unreadable answer: %w", status, err)
	}
	return nil
}

// refusedByAPI reports whether asking again in the same way is of no use.
func refusedByAPI(err error) bool {
	var problem *problemError
	return errors.As(err, &problem) && problem.Status < http.StatusInternalServerError
}
