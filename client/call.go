package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// parameter is a value and its name in the path, the query or the headers.
type parameter struct {
	name  string
	value any
}

// text is how the value is sent; empty when it is left out.
func (p parameter) text() string {
	switch value := p.value.(type) {
	case time.Time:
		if value.IsZero() {
			return ""
		}
		return value.UTC().Format(time.RFC3339Nano)
	case int:
		if value == 0 {
			return ""
		}
	case bool:
		if !value {
			return ""
		}
	}
	return fmt.Sprint(p.value)
}

// call is one request of an operation. The generated functions make them.
type call struct {
	method string
	// path is that of the document, with {name} for those of inPath.
	path    string
	inPath  []parameter
	query   []parameter
	headers []parameter
	// body is sent as JSON; nil sends none.
	body any
	// repeatable is a POST that does no more when it is sent twice.
	repeatable bool
	// alsoAnswers is a status from 400 up whose body is an answer and no problem.
	alsoAnswers int
}

const headerIdempotencyKey = "Idempotency-Key"

// isRepeatable reports whether sending the request twice does no more than
// sending it once.
func (asked call) isRepeatable() bool {
	switch asked.method {
	case http.MethodGet, http.MethodPut, http.MethodDelete:
		return true
	}
	return asked.repeatable || slices.ContainsFunc(asked.headers, func(header parameter) bool {
		return header.name == headerIdempotencyKey && header.text() != ""
	})
}

// target returns path and query. A value that would turn the path into another
// one is refused here, since no server could tell.
func (asked call) target() (string, error) {
	path := asked.path
	for _, value := range asked.inPath {
		text := value.text()
		switch text {
		case "":
			return "", fmt.Errorf("%s: must not be empty", value.name)
		case ".", "..":
			return "", fmt.Errorf("%s: %q is none", value.name, text)
		}
		path = strings.Replace(path, "{"+value.name+"}", url.PathEscape(text), 1)
	}
	query := url.Values{}
	for _, value := range asked.query {
		if text := value.text(); text != "" {
			query.Set(value.name, text)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path, nil
}

// request makes the HTTP request of one try.
func (c *Client) request(ctx context.Context, asked call) (*http.Request, error) {
	target, err := asked.target()
	if err != nil {
		return nil, err
	}
	var content io.Reader
	if asked.body != nil {
		text, err := json.Marshal(asked.body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, asked.method, c.server+target, content)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if asked.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Accept", "application/json, application/problem+json")
	request.Header.Set("User-Agent", c.userAgent)
	for _, header := range asked.headers {
		if text := header.text(); text != "" {
			request.Header.Set(header.name, text)
		}
	}
	return request, c.authorize(ctx, request)
}

func (c *Client) authorize(ctx context.Context, request *http.Request) error {
	if c.token == nil {
		return nil
	}
	token, err := c.token(ctx)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	if err := checkToken(token); err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// try sends the request once. The error is a *noAnswer, an *Error or an
// *AnswerError; any other one means that nothing was sent.
func (c *Client) try(ctx context.Context, asked call) (answer, error) {
	if asked.method == http.MethodGet {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.reads, silence(c.reads))
		defer cancel()
	}
	request, err := c.request(ctx, asked)
	if err != nil {
		return answer{}, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, c.unanswered(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	return c.read(ctx, response, asked)
}

// ask sends the request, again if need be, and reads the answer.
func ask[T shape](ctx context.Context, c *Client, asked call) (T, error) {
	var out T
	got, err := c.send(ctx, asked)
	if err != nil {
		return out, err
	}
	return decode[T](got)
}
