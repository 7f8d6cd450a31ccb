package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// maxRetryAfter is the longest wait that an answer may ask for and get: a minute
// is what callers of a patch wait anyway. A longer one is the caller's to decide
// on, who finds it in the error.
const maxRetryAfter = time.Minute

// send tries the request until it is answered, as often as it may.
func (c *Client) send(ctx context.Context, asked call) (answer, error) {
	for try := 0; ; try++ {
		got, err := c.try(ctx, asked)
		if err == nil || try >= c.retries || !asked.mayRepeat(err) {
			return got, err
		}
		pause := c.pause(try, err)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
			// The answer there is says more than that the time is up.
			return got, err
		}
		if cut := sleep(ctx, pause); cut != nil {
			return got, fmt.Errorf("%w; %w before it was sent again", err, cut)
		}
	}
}

// mayRepeat reports whether err leaves the request to be sent again: because it
// does no harm, or because the API has certainly not acted on it.
func (asked call) mayRepeat(err error) bool {
	if _, silent := errors.AsType[silence](err); silent || !IsTemporary(err) || retryAfterOf(err) > maxRetryAfter {
		return false
	}
	return asked.isRepeatable() || statusOf(err) == http.StatusTooManyRequests || isUnsent(err)
}

// isUnsent reports whether no connection came about, so that nothing was sent.
func isUnsent(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && (failed.Op == "dial" || failed.Op == "proxyconnect")
}

func statusOf(err error) int {
	if problem, ok := errors.AsType[*Error](err); ok {
		return problem.HTTPStatus
	}
	if wrong, ok := errors.AsType[*AnswerError](err); ok {
		return wrong.HTTPStatus
	}
	return 0
}

func retryAfterOf(err error) time.Duration {
	if problem, ok := errors.AsType[*Error](err); ok {
		return problem.RetryAfter
	}
	if wrong, ok := errors.AsType[*AnswerError](err); ok {
		return wrong.RetryAfter
	}
	return 0
}

// pause is how long to wait before the try after the given one, which is counted
// from zero. Chance keeps many clients from coming back at the same moment, also
// after a Retry-After, which is the same for all.
func (c *Client) pause(try int, err error) time.Duration {
	// Shifted in steps: a number of retries may be given that no shift survives.
	full := c.first
	for ; try > 0 && full < c.longest; try-- {
		full *= 2
	}
	half := min(full, c.longest) / 2
	chance := rand.N(half + 1)
	return max(retryAfterOf(err), half) + chance
}

// sleep returns the error of ctx when that ends first.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
