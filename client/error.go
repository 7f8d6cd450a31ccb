package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ErrNoAnswer is wrapped by the error of a request that got no answer. Whether
// the API acted on it is not known.
var ErrNoAnswer = errors.New("no answer")

// Error is a problem that the API answered.
type Error struct {
	Problem
	// HTTPStatus is the status that it was answered with.
	HTTPStatus int
	// RetryAfter is how long the API wants to be left alone; 0 when it does not
	// say.
	RetryAfter time.Duration
}

// Error tells code and detail, every further field that is to be mended, and
// what finds the request in the API's logs.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Code, e.Detail)
	for _, field := range e.Errors {
		if told := field.Field + ": " + field.Detail; !strings.Contains(e.Detail, told) {
			b.WriteString("; " + told)
		}
	}
	fmt.Fprintf(&b, " (HTTP %d", e.HTTPStatus)
	if e.RequestID != "" {
		b.WriteString(", request " + e.RequestID)
	}
	return b.String() + ")"
}

// AnswerError is an answer that the API cannot have given: that of a proxy, or
// of something else that listens at the URL. Its body is not repeated.
type AnswerError struct {
	HTTPStatus int
	// ContentType is the media type of the answer; empty when it has none.
	ContentType string
	// RetryAfter is how long the one who answered wants to be left alone; 0 when
	// it does not say.
	RetryAfter time.Duration

	what string
}

// Error tells the status and what is wrong with the answer.
func (e *AnswerError) Error() string {
	kind := e.ContentType
	if kind == "" {
		kind = "no content type"
	}
	return fmt.Sprintf("HTTP %d with %s: the answer %s", e.HTTPStatus, kind, e.what)
}

// noAnswer is the error of a request that got no answer.
type noAnswer struct {
	server string
	cause  error
}

func (e *noAnswer) Error() string {
	cause := e.cause
	// Its own words repeat method and URL.
	if inner, ok := errors.AsType[*url.Error](cause); ok {
		cause = inner.Err
	}
	return fmt.Sprintf("%s from %s: %s", ErrNoAnswer, e.server, cause)
}

func (e *noAnswer) Unwrap() []error { return []error{ErrNoAnswer, e.cause} }

// silence is a read that found nobody for as long as it may.
type silence time.Duration

func (e silence) Error() string { return "none within " + time.Duration(e).String() }

// Timeout makes it a timeout in the sense of package net.
func (e silence) Timeout() bool { return true }

// unanswered is the error of a request of ctx that got no answer.
func (c *Client) unanswered(ctx context.Context, err error) error {
	if quiet, ok := errors.AsType[silence](context.Cause(ctx)); ok {
		err = quiet
	}
	return &noAnswer{server: c.server, cause: err}
}

// IsCode reports whether err is a problem with one of codes.
func IsCode(err error, codes ...Code) bool {
	problem, ok := errors.AsType[*Error](err)
	return ok && slices.Contains(codes, problem.Code)
}

// IsTemporary reports whether the same request may be answered differently
// later: there was no answer, or one that says so (429, 502, 503, 504). It is
// false when the caller ended the request, when there is no trust between the two
// sides, and for a patch that has ended because a service was unavailable: its
// request, sent again with the same key, gets the same end.
func IsTemporary(err error) bool {
	if problem, ok := errors.AsType[*Error](err); ok {
		return isLater(problem.HTTPStatus) && problem.RunID == ""
	}
	if wrong, ok := errors.AsType[*AnswerError](err); ok {
		return isLater(wrong.HTTPStatus)
	}
	return errors.Is(err, ErrNoAnswer) && !isFinal(err)
}

// isFinal reports whether there will be no answer later either: the caller ended
// the request, or one side does not trust the other, which a TLS alert tells.
func isFinal(err error) bool {
	if failed, ok := errors.AsType[*net.OpError](err); ok && (failed.Op == "remote error" || failed.Op == "local error") {
		return true
	}
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return distrusted || errors.Is(err, context.Canceled)
}

func isLater(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
