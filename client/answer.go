package client

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer: a page of a thousand audit rows
// takes about 1 MB, and what is much more than that is not from the API.
const maxAnswer = 8 << 20

const unexpected = "is not what the operation answers"

// answer is what the API answered to a request that it took.
type answer struct {
	status int
	kind   string
	body   []byte
}

// read returns the answer, or the error that it stands for.
func (c *Client) read(ctx context.Context, response *http.Response, asked call) (answer, error) {
	got := answer{status: response.StatusCode, kind: mediaType(response.Header)}
	var err error
	if got.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1)); err != nil {
		return answer{}, c.unanswered(ctx, err)
	}
	switch {
	case len(got.body) > maxAnswer:
		return answer{}, got.wrong("is larger than 8 MiB", response)
	case got.status == asked.alsoAnswers && got.kind == "application/json":
		return got, nil
	case got.status >= http.StatusBadRequest:
		return answer{}, got.problem(response)
	case got.status >= http.StatusMultipleChoices:
		return answer{}, got.wrong("is a redirect, which is not followed; is the URL the API's own?", response)
	}
	return got, nil
}

// decode reads the body. Keys that the shape does not have are passed over: the
// API may be newer.
func decode[T shape](got answer) (T, error) {
	var out, none T
	switch {
	case got.kind != "application/json":
		return none, got.wrong("is not JSON; is something else listening there?", nil)
	case json.Unmarshal(got.body, &out) != nil, !out.isWhole():
		return none, got.wrong(unexpected, nil)
	}
	return out, nil
}

// problem is the error of an answer from 400 up.
func (got answer) problem(response *http.Response) error {
	var problem Problem
	if !strings.HasSuffix(got.kind, "json") || json.Unmarshal(got.body, &problem) != nil || problem.Code == "" {
		return got.wrong("is no problem of the API; is something else listening there?", response)
	}
	return &Error{Problem: problem, HTTPStatus: got.status, RetryAfter: retryAfter(response.Header)}
}

// wrong is the error of an answer that the API cannot have given.
func (got answer) wrong(what string, response *http.Response) error {
	wrong := &AnswerError{HTTPStatus: got.status, ContentType: got.kind, what: what}
	if response != nil {
		wrong.RetryAfter = retryAfter(response.Header)
	}
	return wrong
}

func mediaType(header http.Header) string {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// retryAfter reads seconds or a date (RFC 9110); 0 when there is none that can
// be read, or it has passed.
func retryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		// A day is as good as never, and keeps the product within its type.
		const day = 24 * 60 * 60
		return time.Duration(max(0, min(seconds, day))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
