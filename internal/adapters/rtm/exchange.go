package rtm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"galaxy/gamemaster/internal/ports"
)

// maxBody is how much of an answer is read, in bytes. The contract's answers
// are a few hundred.
const maxBody = 64 << 10

// call is one request to be made.
type call struct {
	method  string
	path    string
	body    []byte
	key     string
	fence   int64 // the Fencing-Token header; zero sends none
	timeout time.Duration
}

// exchange sends one request and reads the whole answer, whatever its status.
// The error is a [*ports.RTMError]; a body that broke off is not an error here,
// because the status may be all that the caller needs.
func (c *Client) exchange(parent context.Context, call call) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(parent, call.timeout, timeoutError(call.timeout))
	defer cancel()

	request, err := c.request(ctx, call)
	if err != nil {
		return answer{}, refused(err)
	}
	// The transport is used without http.Client: its redirects, cookies and
	// referers are all unwanted here, and a 3xx with a broken Location would
	// come back as an error instead of as the refusal that it is.
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return answer{}, unanswered(0, why(parent, ctx, err))
	}
	defer func() { _ = response.Body.Close() }() // nothing was written; there is nothing to lose
	body, err := readBody(response.Body)
	if err != nil {
		err = why(parent, ctx, err)
		if parent.Err() != nil {
			return answer{}, unanswered(response.StatusCode, err)
		}
	}
	return answer{status: response.StatusCode, header: response.Header, body: body, readErr: err}, nil
}

func (c *Client) request(ctx context.Context, call call) (*http.Request, error) {
	var body io.Reader
	if call.body != nil {
		body = bytes.NewReader(call.body)
	}
	request, err := http.NewRequestWithContext(ctx, call.method, c.base+call.path, body)
	if err != nil {
		return nil, err
	}
	// net/http takes a POST with an Idempotency-Key for replayable: when a
	// reused connection breaks before the answer, it sends the request again by
	// itself. The key would make that harmless, but it would be an attempt that
	// the history does not show and that was not preceded by a look at the
	// container. Without GetBody there is nothing to replay from. The price is
	// an attempt lost to a connection that the other side had just closed; the
	// transport's idle timeout keeps that rare. Inspect has no body and may be
	// replayed, which nobody can tell.
	request.GetBody = nil

	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", c.userAgent)
	if call.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if call.key != "" {
		request.Header.Set("Idempotency-Key", call.key)
	}
	if call.fence != 0 {
		request.Header.Set("Fencing-Token", strconv.FormatInt(call.fence, 10))
	}
	return request, nil
}

var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxBody)

// readBody reads body to its end, so that the connection can be used again. Of
// a body over the cap the rest is left unread: the connection goes, which is
// cheaper than to drain what may have no end.
func readBody(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err == nil && len(data) > maxBody {
		err = errTooLong
	}
	return data, err
}

// why returns the reason behind err: the end of the caller's ctx, else the
// call's own deadline, else err itself.
func why(parent, ctx context.Context, err error) error {
	switch {
	case parent.Err() != nil:
		return parent.Err()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errTooLong):
		return err
	default:
		return transportError{err}
	}
}

// timeoutError is the call's own deadline. It is not context.DeadlineExceeded,
// so that a caller can tell its own deadline from this one.
type timeoutError time.Duration

func (e timeoutError) Error() string { return "no answer within " + time.Duration(e).String() }

// Timeout makes it a timeout in the sense of package net.
func (e timeoutError) Timeout() bool { return true }

// transportError bounds the text of a transport's error, which may quote what
// the other side sent.
type transportError struct{ err error }

func (e transportError) Error() string { return clean(e.err.Error()) }
func (e transportError) Unwrap() error { return e.err }

// refused is a call that was not made because no attempt can succeed.
func refused(err error) *ports.RTMError {
	return &ports.RTMError{Kind: ports.ErrRTMRejected, Err: err}
}

// unanswered is a call of which nobody knows what it did.
func unanswered(status int, err error) *ports.RTMError {
	return &ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: status, Err: err}
}
